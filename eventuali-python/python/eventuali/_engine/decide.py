"""Deciding from the events of a query, and storing the result unless more match by then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutine
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from eventuali._engine.attempts import Attempts
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pace import query_line
from eventuali._engine.pending_commit import Committed
from eventuali._engine.proposal import Proposal, Proposed, proposed
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Tickets
from eventuali._engine.write import checked_condition
from eventuali._eventuali import Store
from eventuali.expected import AppendCondition
from eventuali.query import E, Query

Decision: TypeAlias = Callable[[list[E]], Proposed]
"""Takes the events so far and returns what is to be stored; raises an exception to refuse."""
AsyncDecision: TypeAlias = Callable[[list[E]], Proposed | Awaitable[Proposed]]
"""The same, or a coroutine function that does this."""


class Deciding(Attempts):
    """A decision in progress.

    Each store has its own loop around it, because the loop awaits the decision, in asyncio, and
    sleeps, and an `Operation` yields neither. To share it would take more code than the two loops.

    Attributes:
        proposal: What is to be stored; the same objects until their outcome is known.
    """

    WHAT: ClassVar[str] = "decision"

    def __init__(self, query: Query, attempts: int, tickets: Tickets, tenant: str) -> None:
        """Begins without a decision.

        Raises:
            TypeError: `attempts` is not an int.
            InvalidEventError: It is below 1.
        """
        super().__init__(attempts)
        self._query = query
        self._tenant = tenant
        self.ticket = tickets.draw()
        self._key = query_line(tenant, query)
        self.proposal = Proposal((), (), ())

    def begin(self) -> Operation[None]:
        """Begins an attempt; after a conflict, callers with the same query take turns."""
        if self.made:
            yield from self.ticket.retake([self._key])

    def end(self) -> None:
        """Lets others have their turn."""
        self.ticket.close()

    def propose(self, decided: Proposed, seen_to: int) -> None:
        """Takes the result of a decision from the events up to a position.

        Raises:
            RuntimeError: It changes what a transaction around it has loaded or added.
        """
        condition = checked_condition(AppendCondition(self._query, after=seen_to))
        self.proposal = proposed(decided, (condition,))
        self.ticket.check_around(self.proposal.keys(self._tenant), self.WHAT)
        self.settled = False

    def send(
        self,
        store: Store,
        event_types: EventTypes,
        inline: Inline | None,
        snapshots: Snapshots,
    ) -> Operation[Committed]:
        """Sends what was proposed."""
        return self.proposal.send(store, event_types, inline, snapshots)

    def event_ids(self) -> list[UUID]:
        """Returns the ids of the events that are to be stored."""
        return self.proposal.event_ids()


def immediate(given: Any, what: str, instead: str = "eventuali.EventStore") -> Any:
    """Returns the result of a function of the blocking store.

    Raises:
        TypeError: It is awaitable.
    """
    if isawaitable(given):
        if iscoroutine(given):
            given.close()
        raise TypeError(f"{what} can't be a coroutine; use {instead}")
    return given
