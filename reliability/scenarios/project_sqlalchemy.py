"""Projections into tables of the user's, killed at any moment: each event counts once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from eventuali import ReadModel, sync
from reliability import server
from reliability.course import Nursery
from reliability.hoarding import hoard
from reliability.poisoning import poison
from reliability.scenario import Job, Scenario
from reliability.scenarios.project import APART, run
from reliability.tables import CHECKPOINTS, Base, engine, read

_MODULES = ("reliability.tables", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql")


class InRows:
    """Rows of the user's."""

    rebuilds = 0.1
    kinds = (0.5, 0.97, 0.97)  # there are no swaps
    most = 50
    longest_ms = 1_000

    def __init__(self, url: str, tables: str, beside: Engine) -> None:
        """The log is at one URL, and the tables are at another one, or the same."""
        self.url = url
        self.tables = tables
        self._beside = beside

    def find(self, model: type[ReadModel]) -> Sequence[ReadModel]:
        """Returns all rows of a model, as documents."""
        return read(self._beside, model)[0]

    def look_at_tables(self, job: Job) -> None:
        """Looks at the checkpoints: each has moved with a page, and nothing is being tried."""
        with self._beside.connect() as connection:
            found = connection.execute(CHECKPOINTS.select()).all()
        names = sorted(each.name for each in found)
        job.report.expect(names == ["shares", "tallies"], f"there are checkpoints of {names}")
        for each in found:
            job.report.expect(each.attempts == 0, f"an event is left that is tried: {each}")
            job.report.count("moves", each.moves)


@contextmanager
def _rows(url: str, tables: str) -> Iterator[InRows]:
    sync.EventStore.create(url).close()
    beside = engine(tables)
    try:
        if beside.name == "sqlite":
            with beside.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        Base.metadata.create_all(beside)
        yield InRows(url, tables, beside)
    finally:
        beside.dispose()


def _on_sqlite(job: Job, nursery: Nursery) -> None:
    """In a file beside that of the store."""

    def at(name: str) -> tuple[str, str]:
        path: Path = job.folder / name
        return f"{path}.db", f"sqlite:///{path}-tables.db"

    with _rows(*at("events")) as kept:
        run(job, nursery, kept)
    if not job.fault:
        with _rows(*at("poisoned")) as kept:
            poison(job, nursery, kept)
        with _rows(*at("hoarded")) as kept:
            hoard(job, kept.url, ("tables",), kept.tables)


def _on_postgres(job: Job, nursery: Nursery) -> None:
    """In the database of the store."""
    job.report.backend = "postgres"
    with server.database(job.folder) as url, _rows(url, _driven(url)) as kept:
        run(job, nursery, kept)
    if not job.fault:
        with server.database(job.folder, "_poisoned") as url, _rows(url, _driven(url)) as kept:
            poison(job, nursery, kept)
        with server.database(job.folder, "_hoarded") as url, _rows(url, _driven(url)) as kept:
            hoard(job, url, ("tables",), kept.tables)


def _driven(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def on_sqlite(job: Job) -> None:
    """The tables are in SQLite, as the log is."""
    with Nursery(job, *_MODULES) as nursery:
        _on_sqlite(job, nursery)


def on_postgres(job: Job) -> None:
    """The tables are in PostgreSQL, as the log is."""
    try:
        with Nursery(job, *_MODULES) as nursery:
            _on_postgres(job, nursery)
    except server.NoServerError as error:
        job.report.not_run = str(error)


SCENARIO = Scenario(
    name="project-sqlalchemy",
    about="the same with tables of the user's in SQLite, through SQLAlchemy",
    run=on_sqlite,
    cycles=300,
    quick=12,
    faults=APART,
)
ON_POSTGRES = Scenario(
    name="project-sqlalchemy-postgres",
    about="the same with tables of the user's in PostgreSQL",
    run=on_postgres,
    cycles=300,
    quick=12,
    faults=APART,
)
