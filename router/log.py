"""Logs for journald and for machines: one JSON object a line on standard error.

A message is constant and its facts stand beside it (`extra`), so that it can be searched and counted.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_OURS: Final = ("yellowbus", "bus", "router", "adapters")
_PRIORITY: Final = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time (UTC), priority (syslog's number), message, its facts."""

    def format(self, record: logging.LogRecord) -> str:
        entries: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "priority": _PRIORITY.get(record.levelname, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entries |= {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        if record.exc_info:
            entries["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entries, default=str, ensure_ascii=False)


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Log to a stream (standard error), one JSON object a line.

    Libraries are heard from WARNING on: an HTTP client's INFO is a line for each request, with a person's
    account in its address.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.getLogger("nats").setLevel("ERROR")
