"""Deciding on what was read, and storing the decision only if it still holds."""

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
from eventuali.query import Query

Proposal: TypeAlias = Event | Iterable[Event] | None
"""What is to be stored."""
Decision: TypeAlias = Callable[[list[Event]], Proposal]
"""Looks at what happened and says what is to happen; raises to refuse."""
AsyncDecision: TypeAlias = Callable[[list[Event]], Proposal | Awaitable[Proposal]]
"""The same, or a coroutine function that does."""

_NO_EVENTS = (str, bytes, BaseModel)
"""What is iterable and gives no events."""
ATTEMPTS = 20
"""As many as let each of 64 callers at once come through, where each is in the others' way."""
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25


class Deciding:
    """A decision in progress.

    Each store has its own loop around it. It calls the decision, which only one of them may await,
    and pauses, and an operation yields neither; one that did would be longer than the two loops.

    Attributes:
        events: What was decided, to be appended; the same objects until their outcome is known.
        condition: On which.
        settled: Whether it is known that they were not stored, so that it takes a new decision.
    """

    def __init__(self, query: Query, attempts: int) -> None:
        """Begins without a decision.

        Raises:
            TypeError: `attempts` is no int.
            InvalidEventError: It is below 1.
        """
        self.events: list[Event] = []
        self.condition = AppendCondition(query)
        self.settled = False
        self._attempts = at_least(1, attempts, "attempts")
        self._sent = 0
        self._doubt: OutcomeUnknownError | None = None

    def propose(self, proposal: Proposal, seen_to: int) -> None:
        """Takes what was decided on events up to a position."""
        if proposal is None:
            self.events = []
        elif isinstance(proposal, Event):  # which is iterable, as any pydantic model
            self.events = [proposal]
        elif isinstance(proposal, Iterable) and not isinstance(proposal, _NO_EVENTS):
            self.events = several(proposal)
        else:
            raise TypeError(f"a decision gives events or None, not {proposal!r:.60}")
        self.condition = AppendCondition(self.condition.query, after=seen_to)
        self.settled = False

    def refused(self, error: EventStoreError) -> float:
        """Returns how long to wait, in seconds, before the events are sent again or decided anew.

        Raises:
            EventStoreError: Nothing is to be tried again.
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
        times = "once" if self._sent == 1 else f"{self._sent} times"
        return AppendConditionError(
            f"decided {times}, and was overtaken each time: an event that the decision depends on "
            f"is at position {error.position}",
            after=error.after,
            position=error.position,
        )

    def _in_doubt(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"whether the decision is stored is not known, after {self._sent} attempts",
            event_ids=[event.meta.event_id for event in self.events],
        )


def immediate(decided: Any) -> Proposal:
    """Returns a decision of the blocking store.

    Raises:
        TypeError: It is to be awaited.
    """
    if isawaitable(decided):
        if iscoroutine(decided):
            decided.close()
        raise TypeError(
            "a decision of the blocking store is no coroutine; use eventuali.EventStore"
        )
    proposal: Proposal = decided
    return proposal
