"""Decisions, called with the events that a store would call them with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from eventuali._engine.decide import AsyncDecision
from eventuali._engine.proposal import proposed
from eventuali.event import Event
from eventuali.query import Query, shows
from eventuali.testing import _differences as differences
from eventuali.testing._outcome import Outcome, attempt, finished


class Decided(Outcome):
    """What a decision decided."""

    _title = "decision"

    def __init__(
        self, decision: AsyncDecision[Any], given: Sequence[Event], query: Query[Any]
    ) -> None:
        """Decides at once; is made by `when`."""
        if not callable(decision):
            raise TypeError(f"when takes a decision or a projection, not {decision!r:.60}")
        if not isinstance(query, Query):
            raise TypeError(f"query must be a Query, not {query!r:.60}")
        super().__init__()
        self._title = getattr(decision, "__qualname__", type(decision).__qualname__)
        self._events = given
        self._seen = [index for index, event in enumerate(given) if matches(query, event)]
        seen = [given[index] for index in self._seen]
        decided, self._raised = attempt(
            lambda: list(proposed(finished(decision(seen)), ()).events())
        )
        self._new = decided or []

    def then_sees(self, *events: Event) -> Self:
        """Checks which of the given events match the query, so that the decision has seen them.

        Raises:
            AssertionError: It has seen others.
        """
        __tracebackhide__ = True
        if self._raised is None:
            self._checked()
        seen = [self._events[index] for index in self._seen]
        if found := differences.of_events(events, seen, (), ()):
            self._fail("the decision has not seen the events that were expected", found)
        return self

    def _given(self) -> list[str]:
        def mark(index: int) -> str:
            return "" if index in self._seen else "  (not seen: the query does not match it)"

        lines = differences.listed("given", self._events, mark)
        return lines + (differences.listed("new", self._new) if self._new else [])


def matches(query: Query, event: Event) -> bool:
    """Tells whether a store would show an event to who reads by a query."""
    return shows(query, event, event.meta)
