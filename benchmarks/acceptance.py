"""A page of rows with targets: what was measured, compared with what, and whether it is met."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from reliability.server import NoServerError, any_server

from benchmarks.databases import Databases
from benchmarks.machine import busy, machine
from benchmarks.page import table

SQLITE, POSTGRES = "SQLite file", "PostgreSQL"
HEAD = ("", "measured", "ratio", "target", "")
Line = tuple[str, ...]
Measure = Callable[[Path, str | None], Sequence[Line]]
"""Measures in a folder, and in the empty database at a URL where a server is to be had."""


def line(name: str, found: str, ratio: float, limit: str = "", *, met: bool = False) -> Line:
    """Returns the cells of a row; without a limit it has no target."""
    verdict = ("met" if met else "missed") if limit else ""
    return name, found, f"{ratio:.2f}x", limit, verdict


def markdown(
    option: str, title: str, method: str, lines: Sequence[Line], facts: dict[str, str]
) -> str:
    """Returns the page."""
    parts = [
        f"# Benchmarks: {title}",
        f"`make bench ARGS=--{option}` wrote this page; nothing on it is written by hand. {method}",
        table([HEAD, *lines]),
        table([("", ""), *facts.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def run(option: str, title: str, method: str, measure: Measure, data: Path, page: Path) -> None:
    """Measures below `data`, on a server as well where there is one, and writes the page."""
    folder = Path(tempfile.mkdtemp(prefix=f"{option}-", dir=data))
    facts = machine(data) | {"load average": f"{busy()} when it began"}
    try:
        with ExitStack() as stack:
            url = None
            try:
                server = stack.enter_context(any_server(folder / "server"))
            except NoServerError as error:
                print(f"PostgreSQL is left out: {error}", file=sys.stderr)
            else:
                databases = Databases(server, option, joined=False)
                stack.callback(databases.close)
                url = databases.fresh()
            lines = measure(folder, url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = markdown(option, title, method, lines, facts)
    page.write_text(text, encoding="utf-8")
    print(text)
