"""`python -m console.cli` is `yellowbus`."""

from console.cli import main

main(prog_name="yellowbus")
