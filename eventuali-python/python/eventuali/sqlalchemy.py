"""Projections into your own tables, through SQLAlchemy: `pip install eventuali[sqlalchemy]`.

    class Invoices(Projection):
        def on_order_placed(self, event: OrderPlaced, session: Session) -> None:
            session.add(Invoice(order=event.order_id, cents=event.cents))

    with store.run(Invoices().into(Sessions(sessionmaker(engine)))) as running:
        ...

A page of events is one transaction of your database. The checkpoint is a row of the table that
`checkpoints` describes, and moves in the same transaction, so that each event counts exactly once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Insert,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Update,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from eventuali.errors import ProjectionError
from eventuali.projection import AsyncOwnTables, Checkpoint, OwnTables
from eventuali.projection._unavailable import says_unavailable

__all__ = ["AsyncSessions", "Sessions", "checkpoints"]

TABLE = "eventuali_checkpoints"


def checkpoints(metadata: MetaData, name: str = TABLE, schema: str | None = None) -> Table:
    """Returns the table of checkpoints, as a part of your metadata.

    Create it with `metadata.create_all`, or by a migration.

    Args:
        metadata: Your metadata, such as `Base.metadata`.
        name: The name of the table.
        schema: Its schema; None for the default of the connection.
    """
    return Table(
        name,
        metadata,
        Column("name", String(200), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("event_position", BigInteger),
        Column("event_id", String(36)),
        Column("attempts", Integer, nullable=False),
        Column("moves", BigInteger, nullable=False),
        schema=schema,
    )


class _Statements:
    """What is asked of the table of checkpoints."""

    def __init__(self, table: Table | None) -> None:
        self._table = checkpoints(MetaData()) if table is None else table
        missing = {"name", *_values(Checkpoint(1, 0, None, 0, 1))} - set(self._table.c.keys())
        if missing:
            raise ValueError(
                f"the table {self._table.name} has no column {sorted(missing)[0]!r}; make it with "
                "eventuali.sqlalchemy.checkpoints"
            )

    @property
    def bind(self) -> dict[str, Any]:
        """What tells a session which of its databases has the table."""
        return {"clause": self._table}

    def load(self, name: str) -> Select[Any]:
        columns = self._table.c
        return select(
            columns.version,
            columns.position,
            columns.event_position,
            columns.event_id,
            columns.attempts,
            columns.moves,
        ).where(columns.name == name)

    def unreadable(self, error: DBAPIError) -> ProjectionError:
        """Returns what to raise where the database refuses to read the checkpoint."""
        return ProjectionError(
            f"the checkpoint can't be read from the table {self._table.fullname}: {error.orig}; "
            "eventuali.sqlalchemy.checkpoints adds this table to your metadata, and create_all or "
            "a migration creates it"
        )

    def create(self, name: str, checkpoint: Checkpoint) -> Insert:
        return insert(self._table).values(name=name, **_values(checkpoint))

    def move(self, name: str, checkpoint: Checkpoint) -> Update:
        columns = self._table.c
        before = checkpoint.moves - 1
        return (
            update(self._table)
            .where(columns.name == name, columns.moves == before)
            .values(**_values(checkpoint))
            .execution_options(synchronize_session=False)
        )


def _values(checkpoint: Checkpoint) -> dict[str, Any]:
    position, event_id = checkpoint.event or (None, None)
    return {
        "version": checkpoint.version,
        "position": checkpoint.position,
        "event_position": position,
        "event_id": None if event_id is None else str(event_id),
        "attempts": checkpoint.attempts,
        "moves": checkpoint.moves,
    }


def _checkpoint(row: Any) -> Checkpoint | None:
    if row is None:
        return None
    version, position, event_position, event_id, attempts, moves = row
    last = None if event_position is None else (event_position, UUID(event_id))
    return Checkpoint(version, position, last, attempts, moves)


def _has_moved(result: Any) -> bool:
    assert isinstance(result, CursorResult)  # noqa: S101
    return result.rowcount == 1


def _is_unavailable(error: Exception) -> bool:
    """Whether a connection was lost, or the database was busy: not what a handler did wrong."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or says_unavailable(error)
    return isinstance(error, PoolTimeoutError) or says_unavailable(error)


class _Kept:
    """Keeps the transaction of a page open while handlers have the session.

    A commit in the middle of a page would say that all of its events were handled.
    """

    def __init__(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        self._session = session
        self._transaction = transaction
        # A handler can have it from the session. What it commits there is beyond recall.
        event.listen(connection, "commit", self._refuse_commit_of_connection)
        self._open = False

    def _refuse_commit_of_connection(self, _: Connection) -> None:
        if self._open:
            raise ProjectionError(_COMMITS)

    def __enter__(self) -> None:
        self._open = True
        event.listen(self._session, "before_commit", _refuse_commit)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._open = False
        event.remove(self._session, "before_commit", _refuse_commit)
        if kind is None and not (
            self._session.get_transaction() is self._transaction and self._transaction.is_active
        ):
            raise ProjectionError(
                "a handler has rolled the transaction back, or has closed the session; raise an "
                "exception instead, or use session.begin_nested()"
            )


_COMMITS = "a handler must not commit: the events of a page and the checkpoint are one transaction"


def _refuse_commit(session: Session) -> None:
    if not session.in_nested_transaction():
        raise ProjectionError(_COMMITS)


class Sessions(OwnTables[Session]):
    """Tables that handlers write through a SQLAlchemy `Session`.

    While the database can't be reached or is busy, the projection tries again, with pauses: after a
    lost connection, a lock, a serialization failure, a pool that is exhausted.
    """

    def __init__(self, sessions: Callable[[], Session], table: Table | None = None) -> None:
        """Takes what makes sessions.

        Args:
            sessions: A `sessionmaker`, or a function that returns a new session.
            table: The table of checkpoints; by default the one that `checkpoints` describes.

        Raises:
            TypeError: `sessions` is something else.
            ValueError: The table has other columns.
        """
        if not callable(sessions) or isinstance(sessions, async_sessionmaker):
            raise TypeError(f"sessions must be a sessionmaker, not {sessions!r:.60}")
        self._sessions = sessions
        self._statements = _Statements(table)

    def transaction(self) -> AbstractContextManager[Session]:
        """Begins a session with a transaction."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._sessions() as session, session.begin() as began:
            connection = session.connection(self._statements.bind)
            with _Kept(session, began, connection):
                yield session

    def load(self, session: Session, name: str) -> Checkpoint | None:
        """Returns the checkpoint of a projection; None if there is none."""
        try:
            return _checkpoint(session.execute(self._statements.load(name)).first())
        except DBAPIError as error:
            if _is_unavailable(error):
                raise
            raise self._statements.unreadable(error) from error

    def create(self, session: Session, name: str, checkpoint: Checkpoint) -> None:
        """Inserts the first checkpoint of a projection; raises if there is one by now."""
        session.execute(self._statements.create(name, checkpoint))

    def move(self, session: Session, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if nobody else has."""
        return _has_moved(session.execute(self._statements.move(name, checkpoint)))

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy."""
        return _is_unavailable(error)

    def __repr__(self) -> str:
        return f"Sessions({self._sessions!r})"


class AsyncSessions(AsyncOwnTables[AsyncSession]):
    """Tables that handlers write through a SQLAlchemy `AsyncSession`; see `Sessions`."""

    def __init__(self, sessions: Callable[[], AsyncSession], table: Table | None = None) -> None:
        """Takes what makes sessions.

        Args:
            sessions: An `async_sessionmaker`, or a function that returns a new session.
            table: The table of checkpoints; by default the one that `checkpoints` describes.

        Raises:
            TypeError: `sessions` is something else.
            ValueError: The table has other columns.
        """
        if not callable(sessions) or isinstance(sessions, sessionmaker):
            raise TypeError(f"sessions must be an async_sessionmaker, not {sessions!r:.60}")
        self._sessions = sessions
        self._statements = _Statements(table)

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Begins a session with a transaction."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session, session.begin() as began:
            assert began.sync_transaction is not None  # noqa: S101
            connection = (await session.connection(self._statements.bind)).sync_connection
            assert connection is not None  # noqa: S101
            with _Kept(session.sync_session, began.sync_transaction, connection):
                yield session

    async def load(self, session: AsyncSession, name: str) -> Checkpoint | None:
        """Returns the checkpoint of a projection; None if there is none."""
        try:
            return _checkpoint((await session.execute(self._statements.load(name))).first())
        except DBAPIError as error:
            if _is_unavailable(error):
                raise
            raise self._statements.unreadable(error) from error

    async def create(self, session: AsyncSession, name: str, checkpoint: Checkpoint) -> None:
        """Inserts the first checkpoint of a projection; raises if there is one by now."""
        await session.execute(self._statements.create(name, checkpoint))

    async def move(self, session: AsyncSession, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if nobody else has."""
        return _has_moved(await session.execute(self._statements.move(name, checkpoint)))

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy."""
        return _is_unavailable(error)

    def __repr__(self) -> str:
        return f"AsyncSessions({self._sessions!r})"
