"""The projections of `eventsourcing`: a view of its own, tracked with the place in the log.

Each event is handled and tracked in a transaction of its own, as its documentation shows it. The
view is kept in the database of the events, or in memory.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory, Tracking, TrackingRecorder
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import (
    SQLiteConnectionPool,
    SQLiteDatastore,
    SQLiteTrackingRecorder,
)
from eventsourcing.utils import Environment
from psycopg.sql import SQL

from benchmarks.folding import BATCH, names
from benchmarks.subjects import sourcing, sourcing_postgres, timed
from benchmarks.subjects.sourcing import PAGE, Account

UPSERT = (
    "INSERT INTO totals (name, events, amount) VALUES ({0}, 1, {0}) ON CONFLICT (name) "
    "DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount"
)
TABLE = "CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, events BIGINT, amount BIGINT)"


class InSqlite(SQLiteTrackingRecorder):
    """The view in SQLite."""

    upsert = UPSERT.format("?")

    def __init__(self, datastore: SQLiteDatastore, **words: Any) -> None:
        super().__init__(datastore, **words)
        self.create_table_statements = [*self.create_table_statements, TABLE]

    def add(self, name: str, amount: int, tracking: Tracking) -> None:
        """Adds to a row, and tracks the event."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.upsert, (name, amount))


class InPostgres(PostgresTrackingRecorder):
    """The view in PostgreSQL."""

    upsert = SQL(UPSERT.format("%s"))

    def __init__(self, datastore: PostgresDatastore, **words: Any) -> None:
        super().__init__(datastore, **words)
        self.sql_create_statements.append(SQL(TABLE).format())

    def add(self, name: str, amount: int, tracking: Tracking) -> None:
        """Adds to a row, and tracks the event."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.upsert, (name, amount), prepare=True)


class InMemory(POPOTrackingRecorder):
    """The view in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: dict[str, tuple[int, int]] = {}

    def add(self, name: str, amount: int, tracking: Tracking) -> None:
        """Adds to an entry, and tracks the event."""
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            events, total = self.totals.get(name, (0, 0))
            self.totals[name] = events + 1, total + amount


class Totals(Projection[Any]):
    """Adds up by name."""

    last: ClassVar[int] = 0
    """The event that is waited for."""
    done: ClassVar[threading.Event] = threading.Event()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Adds, if it is an event of ours."""
        if isinstance(domain_event, Account.Added):
            self.view.add(domain_event.note, domain_event.amount, tracking)
        else:
            self.view.insert_tracking(tracking)
        if tracking.notification_id == Totals.last:
            Totals.done.set()


class Tracked:
    """An application with stored events."""

    def __init__(self, env: dict[str, str], view: type[TrackingRecorder]) -> None:
        self._env = env
        self._view = view
        self._events = 0

    def fill(self, events: int, keys: int) -> None:
        """Stores events, a thousand a commit."""
        drawn = list(names(events, keys))
        app = Application[UUID](env=self._env)
        account = Account()
        app.save(account)
        for first in range(0, events, BATCH):
            for number, name in enumerate(drawn[first : first + BATCH], first):
                account.add(number, name)
            app.save(account)
        self._events = events
        app.close()

    def forget(self) -> None:
        """Removes what was projected before."""
        if self._view is InPostgres:
            env = self._env
            with psycopg.connect(
                host=env["POSTGRES_HOST"],
                port=env["POSTGRES_PORT"],
                dbname=env["POSTGRES_DBNAME"],
                user=env["POSTGRES_USER"],
                password=env["POSTGRES_PASSWORD"],
            ) as postgres:
                postgres.execute("DROP TABLE IF EXISTS totals, totals_tracking")
        else:
            with sqlite3.connect(self._env["SQLITE_DBNAME"]) as beside:
                beside.execute("DROP TABLE IF EXISTS totals")
                beside.execute("DROP TABLE IF EXISTS tracking")
            beside.close()

    def projected(self, events: int) -> float:
        """Returns the seconds an event that the first ones take whose view is in the database."""
        self.forget()
        return self._project(self._env, self._view, events)

    def in_memory(self) -> float:
        """Returns the seconds an event that all take whose view is in memory."""
        env = self._env | {"TOTALS_PERSISTENCE_MODULE": "eventsourcing.popo"}
        return self._project(env, InMemory, self._events)

    def _project(self, env: dict[str, str], view: type[TrackingRecorder], events: int) -> float:
        app = Application[UUID](env=env)
        Totals.last = app.recorder.select_notifications(1, events + 1)[-1].id
        Totals.done.clear()
        try:
            if self._view is InPostgres:
                return self._by_runner(env, view, events)
            return self._by_pages(app, view, events)
        finally:
            app.close()

    def _by_runner(self, env: dict[str, str], view: type[TrackingRecorder], events: int) -> float:
        """Projects as its documentation shows it, by a subscription."""
        runners: list[ProjectionRunner[Any, Any]] = []

        def work() -> None:
            runner = ProjectionRunner(
                application_class=Application[UUID],
                projection_class=Totals,
                view_class=view,
                env=env,
            )
            runners.append(runner)
            while not Totals.done.wait(1.0) and not runner.is_interrupted.is_set():
                pass

        seconds = timed(work, events)
        with runners[0]:  # raises what the projection has raised
            return seconds

    def _by_pages(self, app: Application[UUID], view: type[TrackingRecorder], events: int) -> float:
        """Hands page after page to the projection: its SQLite recorder has no subscriptions."""
        env = Environment(Totals.name, app.env)
        factory = InfrastructureFactory[Any].construct(env=env)
        projection = Totals(factory.tracking_recorder(view))
        recorder, decode = app.recorder, app.mapper.to_domain_event

        def work() -> None:
            last = 0
            while not Totals.done.is_set():
                left = min(PAGE, Totals.last - last)
                page = recorder.select_notifications(last, left, inclusive_of_start=False)
                for found in page:
                    projection.process_event(decode(found), Tracking(app.name, found.id))
                last = page[-1].id

        seconds = timed(work, events)
        factory.close()
        return seconds


def on_sqlite(path: Path) -> Tracked:
    """Returns an application on SQLite, whose commits are flushed."""
    sourcing.durable(SQLiteConnectionPool)
    return Tracked(sourcing.environment(path), InSqlite)


def on_postgres(url: str) -> Tracked:
    """Returns an application on PostgreSQL."""
    return Tracked(sourcing_postgres.environment(url), InPostgres)
