"""The command line: `python -m eventuali`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from eventuali.schema import _cli as schema


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m eventuali", description="Tools for stores and events."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    schema.add_to(commands)
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names may hold what a terminal can't show
            stream.reconfigure(errors="backslashreplace")
    code: int = given.run(given)
    return code


if __name__ == "__main__":
    sys.exit(main())
