"""Saves for some seconds, in a process in which other libraries use the same file.

    python -m reliability.children.neighbour PATH SEED NUMBER SECONDS all|sqlite3

With `all` these run at once: two savers on a store; `sqlite3` and a pool of SQLAlchemy's that write
tables of their own and read the log; connections that come and go; stores that are opened and
closed. With `sqlite3` only that. The history goes to stdout, and at the end how many rows each
table was promised. Any error ends the process.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from random import Random
from threading import Thread
from time import monotonic, sleep

from sqlalchemy import QueuePool, create_engine, text

from eventuali.sync import EventStore
from reliability.children.contender import save
from reliability.history import Recorder
from reliability.workload import log_of, writes_from

TABLES = ("mine", "pooled")
"""What stands beside the events."""
_PATIENCE = 60


class Neighbour:
    """The work of one process on one file."""

    def __init__(self, path: str, seed: str, number: str, seconds: str) -> None:
        """Begins to count the time."""
        self.path = path
        self.recorder = Recorder(sys.stdout.buffer.write)
        self.rows = dict.fromkeys(TABLES, 0)
        self._choice = f"{seed}/{number}"
        self._number = int(number)
        self._end = monotonic() + float(seconds)

    def goes_on(self) -> bool:
        """Whether there is time left."""
        return monotonic() < self._end

    def saver(self, store: EventStore, index: int) -> None:
        """Saves aggregates, and reads the log now and then."""
        chance = Random(f"{self._choice}/{index}")
        make = writes_from(2 * self._number + index, chance)
        while self.goes_on():
            save(store, self.recorder, make(f"s-{chance.randrange(6)}", 20))
            if chance.random() < 0.05:
                log_of(store)

    def plain(self) -> None:
        """Writes a table through one connection that stays open."""
        db = sqlite3.connect(self.path, timeout=_PATIENCE)
        while self.goes_on():
            db.execute("INSERT INTO mine VALUES (1)")
            db.commit()
            self.rows["mine"] += 1
            db.execute("SELECT count(*) FROM events").fetchone()
        db.close()

    def pooled(self) -> None:
        """Writes a table and reads the log through a pool."""
        engine = create_engine(
            f"sqlite:///{self.path}", poolclass=QueuePool, connect_args={"timeout": _PATIENCE}
        )
        while self.goes_on():
            with engine.begin() as connection, engine.connect() as other:
                connection.execute(text("INSERT INTO pooled VALUES (1)"))
                other.execute(text("SELECT max(position) FROM events")).fetchone()
            self.rows["pooled"] += 1
        engine.dispose()

    def passing(self) -> None:
        """Opens and closes the file in the middle of what the others do."""
        while self.goes_on():
            db = sqlite3.connect(self.path, timeout=_PATIENCE)
            db.execute("SELECT count(*) FROM streams").fetchone()
            db.close()
            sleep(0.001)

    def reopening(self) -> None:
        """Opens and closes stores."""
        while self.goes_on():
            with EventStore.create(self.path) as store:
                next(iter(store.read(limit=1)), None)
            sleep(0.01)

    def all(self) -> None:
        """Runs everything at once."""
        with EventStore.create(self.path) as store:
            savers = [lambda index=index: self.saver(store, index) for index in range(2)]
            self.run(*savers, self.plain, self.pooled, self.passing, self.reopening)

    def run(self, *works: Callable[[], None]) -> None:
        """Runs each on a thread of its own; an error in one is the error of the process."""
        errors: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # handed to the main thread
                errors.append(error)

        threads = [Thread(target=guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


def main() -> None:
    """Works until the time is up."""
    *words, kind = sys.argv[1:]
    neighbour = Neighbour(*words)
    try:
        neighbour.all() if kind == "all" else neighbour.run(neighbour.plain)
    finally:
        neighbour.recorder.line("rows", **neighbour.rows)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
