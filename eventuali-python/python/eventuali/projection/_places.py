"""Where a projection may write instead of the store: tables of the user's, or memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from eventuali.projection._model import ReadModel, set_key

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
    library, and give it to `Projection.into`.
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
    def create(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Inserts the first checkpoint of a projection; False if there is one by now."""

    @abstractmethod
    def move(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if its `moves` are one less than those given; False otherwise."""

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy; then it is retried.

        By default none does, and the projection is faulted.
        """
        return False


class AsyncOwnTables(ABC, Generic[S]):
    """`OwnTables` whose session is awaited, as `eventuali.sqlalchemy.AsyncSessions` is."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[S]:
        """Begins a transaction; see `OwnTables.transaction`."""

    @abstractmethod
    async def load(self, session: S, name: str) -> Checkpoint | None:
        """Returns the checkpoint of a projection; None if there is none."""

    @abstractmethod
    async def create(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Inserts the first checkpoint of a projection; False if there is one by now."""

    @abstractmethod
    async def move(self, session: S, name: str, checkpoint: Checkpoint) -> bool:
        """Updates the checkpoint, if its `moves` are one less than those given; False otherwise."""

    def is_unavailable(self, error: Exception) -> bool:
        """Whether an error says that the database can't be reached or is busy; then it is retried.

        By default none does, and the projection is faulted.
        """
        return False


@dataclass(frozen=True, slots=True)
class Placed:
    """A projection that writes tables of yours; what `Projection.into` returns, for `run`.

    Attributes:
        projection: The projection.
        tables: Where its handlers write.
    """

    projection: Projection[Any]
    tables: OwnTables[Any] | AsyncOwnTables[Any]


class MemoryView(Mapping[str, M], Generic[M]):
    """The documents of a projection in memory, by their keys; for `run`, and to be read.

    They are made anew from the first event whenever a process starts: for small logs, and for
    queries that no index answers. What is read is a copy.
    """

    def __init__(self, projection: Projection[M]) -> None:
        """Is not called directly: use `Projection.in_memory`."""
        self.projection = projection
        self._documents: dict[str, M | None] = {}
        self._position = 0

    def _show(self, documents: dict[str, M | None], position: int) -> None:
        if position >= self._position:
            self._documents, self._position = documents, position

    def __getitem__(self, key: str) -> M:
        """Returns a copy of the document of a key.

        Raises:
            KeyError: There is none.
        """
        document = self._documents[key]
        if document is None:
            raise KeyError(key)
        copy = document.model_copy(deep=True)
        set_key(copy, key)
        return copy

    def __iter__(self) -> Iterator[str]:
        # A copy: another thread may be at work.
        return (key for key, each in list(self._documents.items()) if each is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        name = type(self.projection).__name__
        return f"<MemoryView of {name}, {len(self)} documents, at position {self._position}>"
