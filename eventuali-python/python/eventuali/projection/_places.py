"""Where a projection may write instead of the store: tables of the user's, or memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from threading import Lock
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from eventuali.errors import ProjectionError
from eventuali.projection._model import ReadModel, set_key
from eventuali.projection._unavailable import says_unavailable

if TYPE_CHECKING:
    from eventuali.projection import Projection

S = TypeVar("S")
M = TypeVar("M", bound=ReadModel)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a projection has come, as a row of a database of yours.

    Attributes:
        version: The version of the projection.
        position: The tables hold everything that concerns them up to this position.
        event: Position and id of the last event that was handled; None before there is one.
        attempts: How often the next page was begun by a process that did not end it.
        moves: How often the checkpoint was written, from 1.
    """

    version: int
    position: int
    event: tuple[int, UUID] | None
    attempts: int
    moves: int


class OwnTables(ABC, Generic[S]):
    """Tables in your own database, which handlers write through a session of yours.

    A page of events is one transaction, and the checkpoint is a row that moves in it, so that each
    event counts exactly once. `eventuali.sqlalchemy.Sessions` is one; derive your own for another
    library, and give it to `Projection.into`. The name of a checkpoint is that of the projection,
    in a tenant's store behind the tenant: `acme/Invoices`, at most 165 bytes.
    """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[S]:
        """Begins a transaction; its end commits, an exception rolls back.

        What it gives is what the handlers get.
        """

    @abstractmethod
    def load(self, session: S, name: str) -> Checkpoint | None:
        """Returns the checkpoint of a projection; None if there is none."""

    @abstractmethod
    def create(self, session: S, name: str, checkpoint: Checkpoint) -> None:
        """Inserts the first checkpoint of a projection; raises if there is one by now."""

    @abstractmethod
    def move(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if its `moves` are one less than those given; False otherwise."""

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy; then it is retried.

        By default, the codes of SQLite and PostgreSQL decide, as their drivers, SQLAlchemy and
        Django pass them on; without a code, `OperationalError` and `InterfaceError` say so.
        """
        return says_unavailable(error)


class AsyncOwnTables(ABC, Generic[S]):
    """`OwnTables` whose session is awaited, as `eventuali.sqlalchemy.AsyncSessions` is."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[S]:
        """Begins a transaction; see `OwnTables.transaction`."""

    @abstractmethod
    async def load(self, session: S, name: str) -> Checkpoint | None:
        """Returns the checkpoint of a projection; None if there is none."""

    @abstractmethod
    async def create(self, session: S, name: str, checkpoint: Checkpoint) -> None:
        """Inserts the first checkpoint of a projection; raises if there is one by now."""

    @abstractmethod
    async def move(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if its `moves` are one less than those given; False otherwise."""

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy; then it is retried.

        By default, the codes of SQLite and PostgreSQL decide, as their drivers, SQLAlchemy and
        Django pass them on; without a code, `OperationalError` and `InterfaceError` say so.
        """
        return says_unavailable(error)


@dataclass(frozen=True, slots=True)
class Placed:
    """A projection that writes tables of yours; what `Projection.into` returns, for `run`.

    Attributes:
        projection: The projection.
        tables: Where its handlers write.
    """

    projection: Projection[Any]
    tables: OwnTables[Any] | AsyncOwnTables[Any]


@dataclass(frozen=True, slots=True)
class InSql:
    """A projection that writes tables with SQL; what `Projection.in_sql` returns, for `run`.

    Attributes:
        projection: The projection.
    """

    projection: Projection[Any]


class MemoryView(Mapping[str, M], Generic[M]):
    """The documents of a projection in memory, by their keys; for `run`, and to be read.

    They are made anew from the first event whenever the view is run: for small logs, and for
    queries that no index answers. What is read is a copy. Any thread may read; it sees the events
    of a page all at once.
    """

    def __init__(self, projection: Projection[M]) -> None:
        """Is not called directly: use `Projection.in_memory`."""
        self.projection = projection
        self._lock = Lock()
        self._documents: dict[str, M] = {}  # none of which is ever changed
        self._position = 0
        self._filler: object = None

    def _begin(self, filler: object) -> None:
        with self._lock:
            self._documents, self._position, self._filler = {}, 0, filler

    def _show(self, filler: object, changed: Mapping[str, M | None], position: int) -> None:
        with self._lock:
            if self._filler is not filler:
                name = type(self.projection).__projection_name__
                raise ProjectionError(
                    f"another `run` has begun to fill this view of {name}; make a view for each"
                )
            for key, document in changed.items():
                if document is None:
                    self._documents.pop(key, None)
                else:
                    self._documents[key] = document
            self._position = position

    def _all(self) -> list[tuple[str, M]]:
        with self._lock:
            return list(self._documents.items())

    def __getitem__(self, key: str) -> M:
        """Returns a copy of the document of a key.

        Raises:
            KeyError: There is none.
        """
        with self._lock:
            document = self._documents[key]
        return _copied(key, document)

    def __contains__(self, key: object) -> bool:
        return key in self._documents

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._all())

    def __len__(self) -> int:
        return len(self._documents)

    def items(self) -> ItemsView[str, M]:
        """Returns the keys and copies of their documents, as they are when an iteration begins."""
        return _Items(self)

    def values(self) -> ValuesView[M]:
        """Returns copies of the documents, as they are when an iteration begins."""
        return _Values(self)

    def __repr__(self) -> str:
        name = type(self.projection).__name__
        return f"<MemoryView of {name}, {len(self)} documents, at position {self._position}>"


class _Items(ItemsView[str, M]):
    _mapping: MemoryView[M]

    def __iter__(self) -> Iterator[tuple[str, M]]:
        return ((key, _copied(key, document)) for key, document in self._mapping._all())


class _Values(ValuesView[M]):
    _mapping: MemoryView[M]

    def __iter__(self) -> Iterator[M]:
        return (_copied(key, document) for key, document in self._mapping._all())


_ATOMS = {NoneType, bool, int, float, str, bytes, Decimal, UUID, date, datetime, time, timedelta}
"""What nobody can change; `deepcopy` takes long to find that out."""


def _copied(key: str, document: M) -> M:
    """Returns a copy that shares nothing that can be changed."""
    state = document.__dict__
    if document.__pydantic_private__ is None and not document.__pydantic_extra__:
        copy = document.model_copy()
        for name, value in state.items():
            if type(value) not in _ATOMS:
                copy.__dict__[name] = deepcopy(value)
    else:
        copy = document.model_copy(deep=True)
    set_key(copy, key)
    return copy
