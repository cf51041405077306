"""Expected versions and append conditions, for optimistic concurrency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from threading import TIMEOUT_MAX
from typing import Final, Literal, TypeAlias, TypeVar

from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.query import Query

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "AppendCondition",
    "Expected",
    "ExpectedVersion",
    "StreamEvents",
]

E = TypeVar("E")

COMMIT = 10_000
"""The most events that a commit holds."""


class ExpectedVersion(Enum):
    """An expected version that is not a number."""

    ANY = "any"
    NO_STREAM = "no_stream"
    STREAM_EXISTS = "stream_exists"


ANY: Final = ExpectedVersion.ANY
"""Any version, or no stream at all."""
NO_STREAM: Final = ExpectedVersion.NO_STREAM
"""The stream has no events."""
STREAM_EXISTS: Final = ExpectedVersion.STREAM_EXISTS
"""The stream has at least one event."""

Expected: TypeAlias = int | ExpectedVersion
"""An exact version, or one of `ANY`, `NO_STREAM`, `STREAM_EXISTS`."""


@dataclass(frozen=True, slots=True)
class AppendCondition:
    """Requires that no event after position `after` matches `query`.

    Attributes:
        query: The events on which the decision depends.
        after: The position up to which the decision has seen them.
    """

    query: Query
    after: int = field(default=0)


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """New events for one stream, on condition that it is at a version.

        StreamEvents(("Account", "acc-1"), [Deposited(amount=5)], expected=3)

    `append` stores several of them in one commit, and a decision may return them.

    Attributes:
        stream: `(aggregate_type, aggregate_id)`.
        events: The events; without any, only the version is checked.
        expected: The version at which the stream must be.

    Raises:
        TypeError: `events` are not events.
    """

    stream: tuple[str, str]
    events: Sequence[Event]
    expected: Expected = ANY

    def __post_init__(self) -> None:
        """Takes the events, of an endless iterable one more than a commit holds."""
        if isinstance(self.events, Event):
            name = type(self.events).__name__
            raise TypeError(f"StreamEvents takes several events; write [{name}(…)]")
        object.__setattr__(self, "events", several(self.events))
        for event in self.events:
            if not isinstance(event, Event):
                raise TypeError(f"StreamEvents takes events, not {event!r:.60}")


def several(events: Iterable[E]) -> tuple[E, ...]:
    """Returns the events of a commit; of an endless iterable, one more than the limit."""
    return tuple(events if isinstance(events, Sized) else islice(events, COMMIT + 1))


def wire(expected: object) -> int | Literal["any", "no_stream", "stream_exists"]:
    """Returns an expected version in the form for the core.

    Raises:
        TypeError: It is neither an int nor an `ExpectedVersion`.
        InvalidEventError: It is negative or beyond 63 bits.
    """
    if isinstance(expected, ExpectedVersion):
        return expected.value
    if type(expected) is not int:
        raise TypeError(
            f"an expected version must be an int or an ExpectedVersion, not {expected!r:.60}"
        )
    return checked_position(expected, "expected")


def checked_position(number: object, name: str) -> int:
    """Returns a version or position after checking that a store can have it.

    Raises:
        TypeError: It is not an int.
        InvalidEventError: It is negative or beyond 63 bits.
    """
    if type(number) is not int:
        raise TypeError(f"{name} must be an int, not {number!r:.60}")
    if not 0 <= number < 1 << 63:
        text = f"{name} must be from 0 to 2**63 - 1, not {number!r:.60}"
        raise InvalidEventError(text, field=name)
    return number


def at_least(least: int, number: object, name: str) -> int:
    """Returns a number after checking that it is not below `least`.

    Raises:
        TypeError: It is not an int.
        InvalidEventError: It is too low.
    """
    if type(number) is not int:
        raise TypeError(f"{name} must be an int, not {number!r:.60}")
    if number < least:
        text = f"{name} must be at least {least}, not {number!r:.60}"
        raise InvalidEventError(text, field=name)
    return number


def duration(seconds: object, name: str) -> float:
    """Returns how long to wait, at most as long as a lock can.

    Raises:
        TypeError: It is not a number.
        InvalidEventError: It is negative or NaN.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number, not {seconds!r:.60}")
    if not seconds >= 0:
        raise InvalidEventError(f"{name} must be at least 0, not {seconds!r:.60}", field=name)
    return float(min(seconds, TIMEOUT_MAX))
