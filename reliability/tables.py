"""The same projections in tables of the user's, which SQLAlchemy writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, Engine, create_engine, delete
from sqlalchemy.engine import make_url
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from eventuali import Projection, ReadModel
from eventuali.projection import Runnable
from eventuali.projection._model import set_key
from eventuali.sqlalchemy import AsyncSessions, Sessions, checkpoints
from reliability.projecting import (
    Booked,
    Dropped,
    Odd,
    Poison,
    Share,
    Tally,
    chained,
    receipt_of,
    shares_of,
)

_BUSY_S = 20


class Base(DeclarativeBase):
    """The tables."""

    type_annotation_map = {int: BigInteger}  # noqa: RUF012


class TallyRow(Base):
    """A row for each `Tally`."""

    __tablename__ = "ledger_tallies"
    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    total: Mapped[int]
    last: Mapped[int]
    chain: Mapped[int]
    group: Mapped[str]
    version: Mapped[int]


class ShareRow(Base):
    """A row for each `Share`."""

    __tablename__ = "ledger_shares"
    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    total: Mapped[int]
    last: Mapped[int]
    version: Mapped[int]


class OddRow(Base):
    """A row for each account, of which those that are odd are an `Odd`."""

    __tablename__ = "ledger_odds"
    key: Mapped[str] = mapped_column(primary_key=True)
    odd: Mapped[bool]
    last: Mapped[int]
    version: Mapped[int]


class ReceiptRow(Base):
    """A row for each `Receipt`."""

    __tablename__ = "ledger_receipts"
    number: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    position: Mapped[int]
    text: Mapped[str]


Row: TypeAlias = type[TallyRow] | type[ShareRow] | type[OddRow]
ROWS: Mapping[type[ReadModel], Row] = {Tally: TallyRow, Share: ShareRow, Odd: OddRow}
CHECKPOINTS = checkpoints(Base.metadata)


class Tallies(Projection, name="tallies"):
    """A row for each account."""

    def __init__(self, poison: Poison | None = None) -> None:
        """Without poison, all events are handled."""
        self._poison = poison or Poison()

    def on_any(self, event: Booked | Dropped, session: Session) -> None:
        """Counts an event, or deletes the account."""
        self._poison.taste(event)
        key = event.meta.aggregate_id or ""
        rows = _held(session)
        row = rows.get(key) or session.get(TallyRow, key)
        if isinstance(event, Dropped):
            if row is not None:
                session.flush()  # it may be new
                session.delete(row)
                session.flush()
                rows.pop(key, None)
            return
        if row is None:
            start = {"count": 0, "total": 0, "chain": 0, "version": self.__projection_version__}
            row = TallyRow(key=key, group=f"group {event.number % 7}", **start)
            session.add(row)
        rows[key] = row
        row.count += 1
        row.total += event.amount
        row.last = event.meta.position or 0
        row.chain = chained(row.chain, event.number)

    def reset(self, session: Session) -> None:
        """Empties the table."""
        session.execute(delete(TallyRow))


class BlockingShares(Projection, name="shares"):
    """The shares, and the accounts with an odd number of events, in two tables."""

    def __init__(self, poison: Poison | None = None) -> None:
        """Without poison, all events are handled."""
        self._poison = poison or Poison()

    def on_any(self, event: Booked | Dropped, session: Session) -> None:
        """Counts an event in two rows, and turns a third one over."""
        self._poison.taste(event)
        rows = _held(session)
        for key in shares_of(event.number):
            row = rows.get(key) or session.get(ShareRow, key)
            if row is None:
                row = ShareRow(key=key, count=0, total=0, version=self.__projection_version__)
                session.add(row)
            rows[key] = row
            _count(row, event)
        key = event.meta.aggregate_id or ""
        odd = rows.get(key) or session.get(OddRow, key)
        if odd is None:
            odd = OddRow(key=key, odd=False, version=self.__projection_version__)
            session.add(odd)
        rows[key] = odd
        _turn(odd, event)

    def reset(self, session: Session) -> None:
        """Empties both tables."""
        for row in (ShareRow, OddRow):
            session.execute(delete(row))


class Shares(BlockingShares, name="shares"):
    """The same, awaited."""

    async def on_any(self, event: Booked | Dropped, session: AsyncSession) -> None:  # type: ignore[override]
        """Counts an event in two rows, and turns a third one over."""
        self._poison.taste(event)
        rows = _held(session)
        for key in shares_of(event.number):
            row = rows.get(key) or await session.get(ShareRow, key)
            if row is None:
                row = ShareRow(key=key, count=0, total=0, version=self.__projection_version__)
                session.add(row)
            rows[key] = row
            _count(row, event)
        key = event.meta.aggregate_id or ""
        odd = rows.get(key) or await session.get(OddRow, key)
        if odd is None:
            odd = OddRow(key=key, odd=False, version=self.__projection_version__)
            session.add(odd)
        rows[key] = odd
        _turn(odd, event)

    async def reset(self, session: AsyncSession) -> None:  # type: ignore[override]
        """Empties both tables."""
        for row in (ShareRow, OddRow):
            await session.execute(delete(row))


class Receipts(Projection, name="receipts in rows"):
    """A row for each event."""

    def on_any(self, event: Booked | Dropped, session: Session) -> None:
        """Makes the row."""
        session.add(ReceiptRow(number=event.number, **receipt_of(event).model_dump()))

    def reset(self, session: Session) -> None:
        """Empties the table."""
        session.execute(delete(ReceiptRow))


def _held(session: Session | AsyncSession) -> dict[str, Any]:
    """Returns the rows that a session has used; by itself it forgets what it has flushed."""
    held: dict[str, Any] = session.info.setdefault("held", {})
    return held


def _turn(row: OddRow, event: Booked | Dropped) -> None:
    row.odd = not row.odd
    row.last = event.meta.position or 0


def _count(row: ShareRow, event: Booked | Dropped) -> None:
    row.count += 1
    row.total += event.amount if isinstance(event, Booked) else 0
    row.last = event.meta.position or 0


def placed(
    url: str, version: int, sick: Mapping[str, Poison], *, blocking: bool
) -> Sequence[Runnable]:
    """Returns the projections in a version, into the tables at a URL.

    With a loop, one has a session that blocks, in a thread, and one a session that is awaited.
    """
    tallies: Any = Tallies
    shares: Any = BlockingShares if blocking else Shares

    class TheseTallies(tallies, version=version, name="tallies"):  # type: ignore[call-arg,misc]
        pass

    class TheseShares(shares, version=version, name="shares"):  # type: ignore[call-arg,misc]
        pass

    awaited = _of_async(url)
    return (
        TheseTallies(sick.get("tallies")).into(Sessions(sessionmaker(engine(url)))),
        TheseShares(sick.get("shares")).into(
            Sessions(sessionmaker(engine(url))) if blocking else awaited
        ),
    )


def receipts_at(url: str) -> Runnable:
    """Returns the projection that makes a row for each event."""
    return Receipts().into(Sessions(sessionmaker(engine(url))))


def engine(url: str) -> Engine:
    """Returns the database at a URL."""
    made = create_engine(url, connect_args=_patience(url))
    _hurry(made)
    return made


def _hurry(made: Engine) -> None:
    """Leaves flushing to the system: what a process handed over outlives it."""
    if made.name == "sqlite":
        listen(made, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = NORMAL").close())


def _of_async(url: str) -> AsyncSessions:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        parts = parts.set(drivername="sqlite+aiosqlite")
    return AsyncSessions(
        async_sessionmaker(create_async_engine(parts, connect_args=_patience(url)))
    )


def _patience(url: str) -> dict[str, Any]:
    return {"timeout": _BUSY_S} if url.startswith("sqlite") else {}


def read(beside: Engine, model: type[ReadModel]) -> tuple[Sequence[ReadModel], int]:
    """Returns the rows of a model, as documents, and the checkpoint, as of one moment."""
    row, name = ROWS[model], "tallies" if model is Tally else "shares"
    with beside.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        snapshot = " ISOLATION LEVEL REPEATABLE READ" if beside.name == "postgresql" else ""
        connection.exec_driver_sql(f"BEGIN{snapshot}")
        columns = CHECKPOINTS.c
        at = connection.execute(
            CHECKPOINTS.select().with_only_columns(columns.position).where(columns.name == name)
        ).scalar()
        rows = connection.execute(row.__table__.select()).mappings().all()
        connection.exec_driver_sql("COMMIT")
    found = [_document(model, dict(each)) for each in rows if each.get("odd", True)]
    return found, at or 0


def _document(model: type[ReadModel], fields: dict[str, Any]) -> ReadModel:
    fields.pop("odd", None)
    key = fields.pop("key")
    document = model(**fields)
    set_key(document, key)
    return document
