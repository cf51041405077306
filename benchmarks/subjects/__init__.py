"""What is measured: one module a subject, each imported only in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

AUTHORS = 100
"""How many accounts the whole log is about."""
SAVERS = 64
"""How many save at the same time."""
_MODULES = {
    "ours": "ours",
    "s": "sourcing",
    "uma": "uma",
    "plain": "plain",
    "pg": "ours_postgres",
    "pg_s": "sourcing_postgres",
    "pg_raw": "raw_postgres",
}


class Subject(Protocol):
    """Something that can be measured. Its method `op_X` is the operation `X`.

    An operation prepares what it needs, then takes the time of the rest; it returns seconds a unit,
    which is a commit, a load or an event.
    """

    def about(self) -> dict[str, str]:
        """Returns what it is made of, with versions and settings."""

    def fresh(self, folder: Path) -> None:
        """Starts over with an empty database in `folder`."""

    def close(self) -> None:
        """Lets go of everything."""


def make(name: str, *words: str) -> Subject:
    """Returns the subject of a name, made of `words`: those on PostgreSQL take a URL."""
    module: Any = import_module(f"{__name__}.{_MODULES[name]}")
    subject: Subject = module.make(*words)
    return subject


def timed(work: Callable[[], object], units: int) -> float:
    """Returns the seconds that a unit of `work` takes; begins with the garbage gone."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) / units


def note(number: int) -> str:
    """Returns the text in an event: one of a hundred names."""
    return f"account-{number % AUTHORS:02}"


def payload(number: int) -> bytes:
    """Returns an event's two fields as JSON, as ours are stored."""
    return b'{"amount":%d,"note":"%s"}' % (number, note(number).encode())


def in_threads(
    work: Callable[[Sequence[T]], None], given: Sequence[T], savers: int = SAVERS
) -> None:
    """Runs `work` in so many threads, each with its part of what is given."""
    failed: list[BaseException] = []

    def run(part: Sequence[T]) -> None:
        try:
            work(part)
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=run, args=(given[first::savers],)) for first in range(savers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
