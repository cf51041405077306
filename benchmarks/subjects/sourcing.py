"""S: the package `eventsourcing` with its SQLite recorder, as its documentation shows its use.

The default JSON transcoder, no cache, no snapshots. Its connections switch to WAL by themselves;
`synchronous=FULL`, which is the usual default of SQLite, is set on each of them here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool

from benchmarks.subjects import AUTHORS, SAVERS, in_threads, note, timed

PAGE = 1000
"""Events a page when the whole log is read; as large as ours."""


class Account(Aggregate):
    """Adds up."""

    class Added(Aggregate.Event):
        """An event of two fields."""

        amount: int
        note: str

    def __init__(self) -> None:
        self.total = 0

    @event(Added)
    def add(self, amount: int, note: str) -> None:
        """Adds."""
        self.total += amount


def durable(pool: type[SQLiteConnectionPool]) -> None:
    """Sets `synchronous=FULL` on every connection that is made from now on."""
    create: Callable[[SQLiteConnectionPool], SQLiteConnection] = pool._create_connection

    def create_durable(self: SQLiteConnectionPool) -> SQLiteConnection:
        connection = create(self)
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0] != "wal":
            raise RuntimeError("eventsourcing did not switch to WAL")
        return connection

    pool._create_connection = create_durable  # type: ignore[method-assign]


def environment(path: Path) -> dict[str, str]:
    """Returns the settings of an application on SQLite."""
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}


def fill(account: Account, events: int) -> None:
    """Triggers so many events."""
    for number in range(events):
        account.add(number, note(number))


class Sourcing:
    """The package."""

    def __init__(self) -> None:
        durable(SQLiteConnectionPool)
        self._app: Application[UUID] | None = None
        self._log_start: int | None = None

    def about(self) -> dict[str, str]:
        """Returns its version and that of the SQLite beneath."""
        return {
            "eventsourcing": version("eventsourcing"),
            "SQLite of Python": sqlite3.sqlite_version,
        }

    def fresh(self, folder: Path) -> None:
        """Makes the application."""
        self.close()
        self._log_start = None
        self._app = Application(env=environment(folder / "eventsourcing.db"))

    def close(self) -> None:
        """Closes the application."""
        if self._app is not None:
            self._app.close()
            self._app = None

    @property
    def app(self) -> Application[UUID]:
        """The application."""
        if self._app is None:
            raise RuntimeError("there is no application yet")
        return self._app

    def op_create(self, events: int, repeat: int) -> float:
        """Creates events, with the time of day that a trigger would give them."""
        key = uuid4()
        kind: Any = Account.Added  # its metaclass makes the dataclass, which mypy cannot see

        def work() -> None:
            for number in range(repeat):
                kind(
                    originator_id=key,
                    originator_version=number,
                    timestamp=kind.create_timestamp(),
                    amount=number,
                    note="account-00",
                )

        return timed(work, repeat)

    def op_apply(self, events: int, repeat: int) -> float:
        """Triggers events of an aggregate."""
        account = Account()

        def work() -> None:
            for number in range(repeat):
                account.add(number, "account-00")

        return timed(work, repeat)

    def _prepared(self, events: int, repeat: int) -> list[Account]:
        """Returns accounts that are stored, each with events that are not."""
        accounts = [Account() for _ in range(repeat)]
        self.app.save(*accounts)
        for account in accounts:
            fill(account, events)
        return accounts

    def op_save(self, events: int, repeat: int) -> float:
        """Saves aggregates one after another."""
        accounts, app = self._prepared(events, repeat), self.app

        def work() -> None:
            for account in accounts:
                app.save(account)

        return timed(work, repeat)

    def op_savers(self, events: int, repeat: int) -> float:
        """Saves from 64 threads, each one aggregate after another."""
        accounts, app = self._prepared(events, SAVERS * repeat), self.app

        def saver(mine: Sequence[Account]) -> None:
            for account in mine:
                app.save(account)

        return timed(lambda: in_threads(saver, accounts), SAVERS * repeat)

    def op_load(self, events: int, repeat: int) -> float:
        """Loads aggregates one after another; the first event is that of the creation."""
        app = self.app
        accounts = [Account() for _ in range(repeat)]
        for account in accounts:
            fill(account, events - 1)
            app.save(account)
        ids = [account.id for account in accounts]

        def work() -> None:
            for key in ids:
                app.repository.get(key)

        return timed(work, repeat)

    def _log(self, events: int) -> int:
        """Returns where the log begins: 100 accounts, 100 events of each at a time."""
        if self._log_start is None:
            accounts = [Account() for _ in range(AUTHORS)]
            self.app.save(*accounts)
            self._log_start = self.app.recorder.max_notification_id() or 0
            for first in range(0, events, 100):
                account = accounts[first // 100 % AUTHORS]
                fill(account, 100)
                self.app.save(account)
        return self._log_start + 1

    def op_read(self, events: int, repeat: int) -> float:
        """Reads the log in order and sums up by a field."""
        start = self._log(events)
        totals: dict[str, int] = {}

        def fold(found: Account.Added) -> None:
            totals[found.note] = totals.get(found.note, 0) + found.amount

        return timed(lambda: self._read(start, fold), events)

    def op_read_by_id(self, events: int, repeat: int) -> float:
        """Reads the log in order and sums up by aggregate."""
        start = self._log(events)
        totals: dict[UUID, int] = {}

        def fold(found: Account.Added) -> None:
            totals[found.originator_id] = totals.get(found.originator_id, 0) + found.amount

        return timed(lambda: self._read(start, fold), events)

    def _read(self, start: int, fold: Callable[[Account.Added], None]) -> None:
        recorder, decode = self.app.recorder, self.app.mapper.to_domain_event
        while page := recorder.select_notifications(start, PAGE):
            for notification in page:
                found = decode(notification)
                if isinstance(found, Account.Added):
                    fold(found)
            start = page[-1].id + 1


def make() -> Sourcing:
    """Returns the subject."""
    return Sourcing()
