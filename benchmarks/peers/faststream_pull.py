"""FastStream, pulling 200 at a time; the audit is published and acknowledged."""

import uvloop

from benchmarks.peers.by_faststream import main
from benchmarks.peers.common import given

if __name__ == "__main__":
    uvloop.run(main(given(), pull=True))
