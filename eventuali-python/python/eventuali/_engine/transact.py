"""Transactions: load, change, save, and all of it again after a conflict."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import ClassVar, TypeVar
from uuid import UUID

from eventuali._engine.arguments import aggregate_class, query_items
from eventuali._engine.attempts import LONGEST_PAUSE, Attempts
from eventuali._engine.decode import Decoders
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.load import catch_up, checked_ids, load, load_many
from eventuali._engine.operation import Operation
from eventuali._engine.pace import Key, Paces
from eventuali._engine.pending_commit import Committed, Condition, StreamWrite
from eventuali._engine.proposal import Proposal
from eventuali._engine.read import Reading
from eventuali._engine.tickets import Ticket, Tickets, within
from eventuali._engine.write import checked_condition
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import EventStoreError, InvalidEventError, OptimisticConcurrencyError
from eventuali.event import Event
from eventuali.expected import AppendCondition
from eventuali.query import Query

A = TypeVar("A", bound=Aggregate)

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
        self._ticket = tickets.draw()
        self._keys: set[Key] = set()
        self.proposal = Proposal((), (), ())

    def begin(self) -> Operation[Unit]:
        """Begins an attempt: waits for the turn at the streams of the one before."""
        if self.made:
            yield from self._ticket.retake(self._keys)
        self.settled = False
        return Unit(self._store, self._event_types, self._ticket, contended=self.made > 0)

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
        """Takes what the function has done."""
        self._keys = unit.keys()
        self._unit = unit
        self.proposal = unit.proposal()

    def send(self) -> Operation[Committed]:
        """Sends what was proposed."""
        sending = self.proposal.send(self._store, self._event_types, self._inline)
        committed = yield from sending
        self._unit.stored(self._tickets.paces)
        return committed

    def end(self) -> None:
        """Lets others have their turn."""
        self._ticket.give_back()

    def event_ids(self) -> list[UUID]:
        """Returns the ids of the events that are to be stored."""
        return self.proposal.event_ids()


@contextmanager
def calling() -> Iterator[None]:
    """Marks the time in which the function of a transaction runs."""
    token = within.set(True)
    try:
        yield
    finally:
        within.reset(token)


class Unit:
    """A unit of work: what one attempt has loaded, read and added."""

    def __init__(
        self, store: Store, event_types: EventTypes, ticket: Ticket, *, contended: bool
    ) -> None:
        self._contended = contended
        self.begun = 0.0
        self._store = store
        self._event_types = event_types
        self._ticket = ticket
        self._aggregates: dict[tuple[str, str], Aggregate | None] = {}
        self._conditions: list[Condition] = []
        self._loaded: set[tuple[str, str]] = set()

    def load(self, cls: type[A], aggregate_id: str) -> Operation[A | None]:
        """Loads an aggregate, once."""
        (found,) = (yield from self.load_many(cls, [aggregate_id])).values() or (None,)
        return found

    def load_many(self, cls: type[A], ids: Iterable[str]) -> Operation[dict[str, A]]:
        """Loads several aggregates, each once."""
        name = aggregate_class(cls, "load").__aggregate_type__
        wanted = checked_ids(ids)
        new = [key for key in wanted if (name, key) not in self._aggregates]
        if new:
            keys = [self._key((name, key)) for key in new]
            yield from self._ticket.take(keys)
            if not self._contended:
                yield from self._ticket.pause(keys)
            self.begun = self.begun or monotonic()
            if len(new) == 1:
                found = {new[0]: (yield from self._load(cls, new[0]))}
            else:
                found = dict((yield from load_many(self._store, cls, new)))
            for key in new:  # which somebody else may have loaded meanwhile
                self._take((name, key), found.get(key))
        known = {key: self._aggregates[name, key] for key in wanted}
        return {key: self._of(cls, one) for key, one in known.items() if one is not None}

    def _load(self, cls: type[A], aggregate_id: str) -> Operation[A | None]:
        """Loads one aggregate; where others want it, too, only what is new."""
        key = self._key((cls.__aggregate_type__, aggregate_id))
        tickets = self._ticket.tickets
        found = tickets.loaded(key, cls)
        known = found is not None
        if found is None:
            found = yield from load(self._store, cls, aggregate_id, None, None, "recorded_at")
        if found is not None:
            if known or self._contended:
                # The shorter the time from the last read to the commit, the fewer conflicts.
                yield from catch_up(self._store, found)
            tickets.keep(key, found, contended=self._contended)
        return found

    def _take(self, stream: tuple[str, str], found: Aggregate | None) -> None:
        self._aggregates.setdefault(stream, found)
        self._loaded.add(stream)
        if found is not None:
            self._ticket.tickets.paces.loaded(self._key(stream), found.version)

    def read(self, query: Query) -> Operation[list[Event]]:
        """Reads the events that match, and makes it a condition that no more do."""
        decoders = Decoders(self._event_types, raw=False)
        reading = Reading(self._store, decoders, query_items(query))
        events: list[Event] = []
        while (pending := reading.pending) is not None:
            events += reading.take((yield pending))
            reading.done()
        condition = AppendCondition(query, after=reading.position)
        self._conditions.append(checked_condition(condition))
        return events

    def add(self, aggregates: Sequence[Aggregate]) -> None:
        """Adds aggregates that were not loaded here.

        Raises:
            TypeError: It is no aggregate.
            InvalidEventError: Another object stands for the same stream.
        """
        for one in aggregates:
            if not isinstance(one, Aggregate):
                raise TypeError(f"add takes aggregates, not {one!r:.60}")
            stream = (one.__aggregate_type__, one.id)
            other = self._aggregates.get(stream)
            if other is not None and other is not one:
                text = f"the {stream[0]} {stream[1]!r:.260} is loaded or added already; change that"
                raise InvalidEventError(text, field="aggregates")
            self._aggregates[stream] = one

    def keys(self) -> set[Key]:
        """Returns the lines of all streams that it concerns."""
        return set(map(self._key, self._aggregates))

    def proposal(self) -> Proposal:
        """Returns the new events, on condition that all that was loaded is as it was."""
        loaded = [one for one in self._aggregates.values() if one is not None]
        same = [
            StreamWrite(stream, 0 if one is None else one.version, ())
            for stream, one in self._aggregates.items()
            if one is None or not one._uncommitted
        ]
        return Proposal(loaded, same, self._conditions)

    def stored(self, paces: Paces) -> None:
        """Notes the commit, for the next ones of the same streams."""
        seconds = monotonic() - self.begun
        for stream, one in self._aggregates.items():
            if one is not None and stream in self._loaded:
                paces.stored(self._key(stream), one.version, seconds)

    def _key(self, stream: tuple[str, str]) -> Key:
        return (self._store.tenant, *stream)

    def _of(self, cls: type[A], found: Aggregate) -> A:
        if not isinstance(found, cls):
            text = f"{found.id!r:.260} is loaded as {type(found).__name__}, not as {cls.__name__}"
            raise InvalidEventError(text, field="aggregates")
        return found
