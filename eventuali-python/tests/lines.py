"""Tables of a user that a projection fills, in SQLite or PostgreSQL: a line for each event.

Nothing in the tables refuses a line that is written twice, so that it shows.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postgres_server import server_url
from pots import Gate, Poured, finish
from sqlalchemy import BigInteger, ForeignKey, create_engine, delete, event, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from stores import administrator, gathered, schema_of

from eventuali import Projection
from eventuali.sqlalchemy import AsyncSessions, Sessions, checkpoints

WAYS = ("blocking", "threads", "async")
"""A blocking store; an event loop with sessions in threads; an event loop with its own sessions."""


class Base(DeclarativeBase):
    pass


CHECKPOINTS = checkpoints(Base.metadata)


class Line(Base):
    __tablename__ = "lines"
    number: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int]


class Sum(Base):
    __tablename__ = "sums"
    name: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int] = mapped_column(default=0)
    amount: Mapped[int] = mapped_column(default=0)


class Once(Base):
    """Refuses a second row of an amount, when it is flushed."""

    __tablename__ = "once"
    number: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(unique=True)


class Child(Base):
    """Refuses a row without its line, when the transaction is committed."""

    __tablename__ = "children"
    number: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(
        ForeignKey("lines.number", deferrable=True, initially="DEFERRED")
    )


def url_of_tables(kind: str, folder: Path) -> str:
    """Says where the tables of a folder are."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'own.db'}"
    parts = server_url().partition("://")
    schema = schema_of(folder / "own")
    mark = "&" if "?" in parts[2] else "?"
    return f"postgresql+psycopg://{parts[2]}{mark}options=-csearch_path%3D{schema}"


def engine_of(kind: str, folder: Path, **options: Any):
    """Opens the database of a folder; SQLite waits for nobody, and checks foreign keys."""
    if kind == "sqlite":
        options.setdefault("connect_args", {"timeout": 0.2})
    engine = create_engine(url_of_tables(kind, folder), **options)
    if kind == "sqlite":
        event.listen(engine, "connect", _with_keys)
    return engine


def _with_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON").close()


def make_tables(kind: str, folder: Path) -> None:
    if kind == "postgres":
        with administrator() as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema_of(folder / 'own')}")
    engine = engine_of(kind, folder)
    Base.metadata.create_all(engine)
    engine.dispose()


class Own:
    """A database of a user, with the tables."""

    def __init__(self, way: str, kind: str, folder: Path) -> None:
        self.way, self.kind, self.folder = way, kind, folder
        self.engine = engine_of(kind, folder)
        self.sessions = sessionmaker(self.engine)
        self._async: Any = None
        if way == "async":
            url = url_of_tables(kind, folder).replace("sqlite:", "sqlite+aiosqlite:")
            options = {"connect_args": {"timeout": 0.2}} if kind == "sqlite" else {}
            self._async = create_async_engine(url, **options)
            if kind == "sqlite":
                event.listen(self._async.sync_engine, "connect", _with_keys_async)

    @property
    def tables(self) -> Sessions | AsyncSessions:
        if self._async is not None:
            return AsyncSessions(async_sessionmaker(self._async))
        return Sessions(self.sessions)

    def into(self, write: Any = None, gates: dict[int, Gate] | None = None, **names: Any):
        """Returns a projection of lines that is to be run; see `writing`."""
        return writing(self.way, write, gates, **names).into(self.tables)

    def lines(self) -> list[tuple[int, int]]:
        """Returns position and amount of each line, in the order in which they were written."""
        with self.sessions() as session:
            rows = session.execute(select(Line.position, Line.amount).order_by(Line.number))
            return [tuple(row) for row in rows]

    def sum(self) -> tuple[int, int]:
        with self.sessions() as session:
            found = session.get(Sum, "all")
            return (found.events, found.amount) if found else (0, 0)

    def checkpoint(self, name: str = "Lines") -> dict | None:
        with self.sessions() as session:
            row = session.execute(select(CHECKPOINTS).where(CHECKPOINTS.c.name == name)).first()
            return None if row is None else row._asdict()

    def run(self, statement: Any) -> None:
        with self.sessions.begin() as session:
            session.execute(statement)

    async def close(self) -> None:
        self.engine.dispose()
        if self._async is not None:
            await self._async.dispose()


def _with_keys_async(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@asynccontextmanager
async def owned(way: str, kind: str, folder: Path):
    await asyncio.to_thread(make_tables, kind, folder)
    own = Own(way, kind, folder)
    try:
        yield own
    finally:
        await own.close()


def write_line(event: Poured, session: Session) -> None:
    """What is to be written of each event, once."""
    session.add(Line(position=event.meta.position, amount=event.amount))
    found = session.get(Sum, "all")
    if found is None:
        found = Sum(name="all", events=0, amount=0)
        session.add(found)
    found.events += 1
    found.amount += event.amount


def empty(session: Session) -> None:
    session.execute(delete(Line))
    session.execute(delete(Sum))


def writing(
    way: str,
    write: Any = None,
    gates: dict[int, Gate] | None = None,
    name: str = "Lines",
    version: int = 1,
    empties: Any = empty,
) -> Projection:
    """Makes a projection, for either kind of session, of `def write(event, session)`."""
    write = write or write_line
    gates = gates or {}

    if way == "async":

        class Awaited(Projection, name=name, version=version):
            async def on_poured(self, event: Poured, session: AsyncSession) -> None:
                if event.amount in gates:
                    await gates[event.amount].passed()
                await session.run_sync(lambda here: write(event, here))

            if empties is not None:

                async def reset(self, session: AsyncSession) -> None:
                    await session.run_sync(empties)

        return Awaited()

    class Plain(Projection, name=name, version=version):
        def on_poured(self, event: Poured, session: Session) -> None:
            if event.amount in gates:
                finish(gates[event.amount].passed())
            write(event, session)

        if empties is not None:

            def reset(self, session: Session) -> None:
                empties(session)

    return Plain()


async def check(store: Any, own: Own) -> None:
    """Requires a line for each event of the log, in its order, and their sum."""
    log = [each for each in await gathered(store.read()) if isinstance(each, Poured)]
    assert own.lines() == [(each.meta.position, each.amount) for each in log]
    assert own.sum() == (len(log), sum(each.amount for each in log))
