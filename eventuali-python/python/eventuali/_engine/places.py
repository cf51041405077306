"""Where projections keep what they make of the log: what a place does, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from eventuali._engine.limit import Limit
from eventuali._eventuali import Pending, Row
from eventuali.event import Event
from eventuali.projection import Projection
from eventuali.projection._handlers import Handler

Cursor: TypeAlias = tuple[int, tuple[int, UUID] | None, int, int]
"""(position, (position, id) of the last event that matched, attempts, version)"""

START: Cursor = (0, None, 0, 0)


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in an operation, which begins when it is made."""

    limit: Limit


@dataclass(frozen=True, slots=True)
class Call:
    """A coroutine for the event loop to run."""

    coroutine: Awaitable[Any]


Work: TypeAlias = Generator[Pending | Pause | Call, Any, None]

Taken: TypeAlias = tuple[Event, Handler, Row]
"""An event, the handler that takes it, and its row."""


class Failed(Exception):
    """A handler failed at an event."""

    def __init__(self, row: Row, cause: BaseException) -> None:
        super().__init__(row, cause)
        self.position = row.position
        self.cause = cause


class TooLarge(Exception):
    """What was handled is more than a commit holds."""


class Gone(Exception):
    """Another process has written the page, or has put another generation in the place of this."""


class Unavailable(Exception):
    """A database of the user can't be reached now, as the cause says."""


class Place(ABC):
    """Where one projection keeps what it makes of the log.

    Attributes:
        projection: The projection.
        cursor: How far what is kept has come.
        number: The generation that is filled; 0 before there is one.
        is_live: Whether that generation is what people read.
        may_wait: Whether handlers may take long, so that nothing should be on its way meanwhile.
    """

    may_wait = False

    def __init__(self, projection: Projection[Any]) -> None:
        self.projection = projection
        self.cursor: Cursor = START
        self.number = 0
        self.is_live = False

    @abstractmethod
    def begin(self, *, rebuild: bool) -> Work:
        """Finds out how far it has come; a rebuild starts anew.

        Raises:
            ProjectionError: A newer version is at work, or the place is taken.
            CheckpointMismatchError: The log is another one.
        """

    @abstractmethod
    def handle(self, taken: Sequence[Taken]) -> Work:
        """Applies events to what is kept.

        Raises:
            Failed: A handler failed.
        """

    @abstractmethod
    def is_full(self) -> bool:
        """Whether it is time to write what was handled."""

    @abstractmethod
    def write(self, to: Cursor) -> Work:
        """Writes what was handled, with how far that is; `settle` waits for that.

        Raises:
            Failed: What an event gave can't be stored.
            TooLarge: It is more than a commit holds.
            Gone: Somebody else has moved the cursor.
        """

    def settle(self) -> Work:
        """Waits until what was written last is stored."""
        yield from ()

    @abstractmethod
    def forget(self) -> None:
        """Drops what is not stored, and everything that is only remembered."""

    def written(self) -> Generator[Any, Any, Cursor]:
        """Returns how far it has come, as it is stored."""
        yield from ()
        return self.cursor

    def swap(self, *, behind: bool) -> Generator[Any, Any, bool]:
        """Makes what was built what people read; False where that would take them back.

        Args:
            behind: Whether it may be behind what they read now.
        """
        yield from ()
        self.is_live = True
        return True

    def rebuilt(self) -> Pending | None:
        """Asks for the number of a generation that is rebuilt beside; None where there are none."""
        return None

    def progress_of(self, number: int) -> Pending:
        """Asks how far a generation has come."""
        raise NotImplementedError

    def discard(self, number: int) -> Pending | None:
        """Gives up a generation; None where there is nothing to give up."""
        return None

    def take_back(self) -> Pending | Call | None:
        """Takes back that an event is tried, for work that was cancelled; None if nothing is."""
        return None
