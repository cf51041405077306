"""Deciding from the events of a query, and storing the result unless more match by then."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable, iscoroutine
from typing import Any, TypeAlias

from pydantic import BaseModel

from eventuali._engine.write import several
from eventuali.errors import (
    AppendConditionError,
    DatabaseError,
    EventStoreError,
    OutcomeUnknownError,
    StoreClosedError,
)
from eventuali.event import Event
from eventuali.expected import AppendCondition, at_least
from eventuali.query import E, Query

Proposal: TypeAlias = Event | Iterable[Event] | None
"""What is to be stored."""
Decision: TypeAlias = Callable[[list[E]], Proposal]
"""Takes the events so far and returns new ones; raises an exception to refuse."""
AsyncDecision: TypeAlias = Callable[[list[E]], Proposal | Awaitable[Proposal]]
"""The same, or a coroutine function that does this."""

_NO_EVENTS = (str, bytes, BaseModel)
"""Types that are iterable but do not contain events."""
ATTEMPTS = 20
"""Enough for each of 64 concurrent callers with conflicting decisions to succeed."""
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25


class Deciding:
    """A decision in progress.

    Each store has its own loop around it, because the loop awaits the decision, in asyncio, and
    sleeps, and an `Operation` yields neither. To share it would take more code than the two loops.

    Attributes:
        events: The events to append; the same objects until their outcome is known.
        condition: The condition on which they are appended.
        settled: Whether it is known that they were not stored, so that a new decision is needed.
    """

    def __init__(self, query: Query, attempts: int) -> None:
        """Begins without a decision.

        Raises:
            TypeError: `attempts` is not an int.
            InvalidEventError: It is below 1.
        """
        self.events: list[Event] = []
        self.condition = AppendCondition(query)
        self.settled = False
        self._attempts = at_least(1, attempts, "attempts")
        self._sent = 0
        self._doubt: OutcomeUnknownError | None = None

    def propose(self, proposal: Proposal, seen_to: int) -> None:
        """Takes the result of a decision from the events up to a position."""
        if proposal is None:
            self.events = []
        elif isinstance(proposal, Event):  # which is iterable, as any pydantic model
            self.events = [proposal]
        elif isinstance(proposal, Iterable) and not isinstance(proposal, _NO_EVENTS):
            self.events = several(proposal)
        else:
            raise TypeError(f"a decision must return events or None, not {proposal!r:.60}")
        self.condition = AppendCondition(self.condition.query, after=seen_to)
        self.settled = False

    def refused(self, error: EventStoreError) -> float:
        """Returns the seconds to wait before sending the events again or making a new decision.

        Raises:
            EventStoreError: There is to be no further attempt.
        """
        self._sent += 1
        if isinstance(error, AppendConditionError):
            # It stays violated: a commit in doubt before this one can't have been stored either.
            self.settled, self._doubt = True, None
        elif isinstance(error, OutcomeUnknownError):
            self._doubt = error
        elif self._doubt is None:
            raise error
        elif isinstance(error, StoreClosedError) or not isinstance(error, DatabaseError):
            raise self._in_doubt() from error
        if self._sent == self._attempts:
            raise self._gave_up(error) from error
        longest: float = min(_FIRST_PAUSE * 2 ** (self._sent - 1), _LONGEST_PAUSE)
        return longest * random.random()  # noqa: S311 - keeps callers apart, guards no secret

    def _gave_up(self, error: EventStoreError) -> EventStoreError:
        if not isinstance(error, AppendConditionError):
            return self._in_doubt()
        times = "one attempt" if self._sent == 1 else f"{self._sent} attempts"
        return AppendConditionError(
            f"the decision was given up after {times}: another writer appended an event that it "
            f"depends on, at position {error.position}",
            after=error.after,
            position=error.position,
        )

    def _in_doubt(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"it is unknown whether the decision is stored, after {self._sent} attempts",
            event_ids=[event.meta.event_id for event in self.events],
        )


def immediate(decided: Any) -> Proposal:
    """Returns a decision of the blocking store.

    Raises:
        TypeError: It is awaitable.
    """
    if isawaitable(decided):
        if iscoroutine(decided):
            decided.close()
        raise TypeError(
            "a decision of the blocking store can't be a coroutine; use eventuali.EventStore"
        )
    proposal: Proposal = decided
    return proposal
