"""Transactions: load, change, save, and all of it again after a conflict."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import ClassVar
from uuid import UUID

from eventuali._engine.attempts import LONGEST_PAUSE, Attempts
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pace import Key
from eventuali._engine.pending_commit import Committed
from eventuali._engine.proposal import Proposal
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Tickets
from eventuali._engine.unit import Unit
from eventuali._eventuali import Store
from eventuali.aggregate._watch import Watcher, watcher, watching
from eventuali.errors import EventStoreError, OptimisticConcurrencyError

ATTEMPTS = 50
"""Of 64 callers in four processes, none has needed more than 16."""


class Transaction(Attempts):
    """A transaction in progress; each store has its own loop around it, as for a decision."""

    WHAT: ClassVar[str] = "transaction"

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        inline: Inline | None,
        tickets: Tickets,
        snapshots: Snapshots,
        attempts: int,
    ) -> None:
        """Begins without an attempt.

        Raises:
            TypeError: `attempts` is not an int.
            InvalidEventError: It is below 1.
        """
        super().__init__(attempts)
        self._store = store
        self._event_types = event_types
        self._inline = inline
        self._tickets = tickets
        self._snapshots = snapshots
        self.ticket = tickets.draw()
        self._around: Watcher | None = None
        self._done = False
        self._keys: set[Key] = set()
        self.proposal = Proposal((), (), ())

    def begin(self) -> Operation[Unit]:
        """Begins an attempt: waits for the turn at the streams of the one before."""
        if self.made:
            yield from self.ticket.retake(self._keys)
        self.settled = False
        contended = self.made > 0
        kept = self._snapshots
        return Unit(self._store, self._event_types, self.ticket, kept, contended=contended)

    @contextmanager
    def calling(self, unit: Unit) -> Iterator[None]:
        """Marks the time in which its function runs, and ends the unit of work with it."""
        self.ticket.concerned = unit.keys
        self._around = watcher()
        try:
            with self.ticket.calling(), watching(unit.note):
                yield
        finally:
            self.ticket.concerned = None
            unit.end()

    def refused(self, error: EventStoreError) -> float:
        """Returns the seconds to wait before sending the same again or making a new attempt.

        Raises:
            EventStoreError: There is to be no further attempt.
        """
        if isinstance(error, OptimisticConcurrencyError):
            expected, actual = error.expected_version, error.actual_version
            if isinstance(expected, int) and actual is not None and actual < expected:
                self._tickets.forget(self._keys)  # the database was restored
            for key in self._keys:
                self._tickets.paces.overtaken(key)
        return super().refused(error)

    def pause(self) -> float:
        """Returns the seconds to wait; after a conflict the less, the more there were before.

        So newcomers let the others pass. Somebody always wins, however many there are.
        """
        if not self.settled:
            return super().pause()
        taken = min(monotonic() - self._unit.begun, LONGEST_PAUSE)
        return taken * random.random() / self.made  # noqa: S311 - guards no secret

    def propose(self, unit: Unit) -> None:
        """Takes what the function has done.

        Raises:
            RuntimeError: It changes what a transaction around it has loaded or added, or it has
                not added an aggregate.
        """
        self._keys = unit.lines()
        self._unit = unit
        self.proposal = unit.proposal()
        self._done = self.proposal.empty
        self.ticket.check_around(self.proposal.keys(self._store.tenant), self.WHAT)

    def send(self) -> Operation[Committed]:
        """Sends what was proposed."""
        parts = self._store, self._event_types, self._inline, self._snapshots
        committed = yield from self.proposal.send(*parts)
        self._unit.stored(self._tickets.paces)
        self._done = True
        return committed

    def end(self) -> None:
        """Lets others have their turn, and tells a unit of work around it of what it left."""
        self.ticket.close()
        if self._done and self._around is not None:
            for one in self._unit.not_added():
                self._around(one)

    def event_ids(self) -> list[UUID]:
        """Returns the ids of the events that are to be stored."""
        return self.proposal.event_ids()
