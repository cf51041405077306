"""Transactions of the blocking store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from eventuali._engine.decide import immediate
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.load import load_one_of
from eventuali._engine.operation import run
from eventuali._engine.pending_commit import Committed
from eventuali._engine.transact import Transaction
from eventuali._engine.unit import Unit
from eventuali.aggregate import Aggregate
from eventuali.aggregate._commands import refuse_generator
from eventuali.errors import EventStoreError
from eventuali.event import Event
from eventuali.expected import ANY, AppendCondition, Expected
from eventuali.query import E, Query
from eventuali.transaction import Outcome

if TYPE_CHECKING:
    from eventuali.sync import EventStore

A = TypeVar("A", bound=Aggregate)
T = TypeVar("T")

_WHAT = "the function of a transaction of the blocking store"


class UnitOfWork:
    """What a transaction or a handler loads, reads and adds; see `eventuali.UnitOfWork`."""

    def __init__(self, unit: Unit, store: EventStore) -> None:
        """Don't call this directly; use `EventStore.transact` or a `CommandBus`."""
        self._unit = unit
        self._store = store

    @property
    def store(self) -> EventStore:
        """The store, to read what is to be no condition. Its writes are not part of the commit."""
        return self._store

    def load(self, cls: type[A], aggregate_id: str) -> A | None:
        """Rebuilds an aggregate, or returns None; see `eventuali.UnitOfWork.load`."""
        refuse_in_loop()
        return run(self._unit.load(cls, aggregate_id))

    def load_one(self, cls: type[A], aggregate_id: str) -> A:
        """Rebuilds an aggregate like `load`, but raises if nothing was ever stored.

        Raises:
            AggregateNotFoundError: Nothing was ever stored.
        """
        return load_one_of(cls, aggregate_id, self.load(cls, aggregate_id))

    def load_or_new(self, cls: type[A], aggregate_id: str) -> A:
        """Rebuilds an aggregate, or adds a new one; see `eventuali.UnitOfWork.load_or_new`."""
        refuse_in_loop()
        return run(self._unit.load_or_new(cls, aggregate_id))

    def load_many(self, cls: type[A], ids: Iterable[str]) -> dict[str, A]:
        """Rebuilds several aggregates of a class; see `eventuali.EventStore.load_many`."""
        refuse_in_loop()
        return run(self._unit.load_many(cls, ids))

    def read(self, query: Query[E]) -> list[E]:
        """Returns all events that match; see `eventuali.UnitOfWork.read`."""
        refuse_in_loop()
        return run(self._unit.read(query))

    def add(self, *aggregates: Aggregate) -> None:
        """Adds new aggregates; see `eventuali.UnitOfWork.add`."""
        self._unit.add(aggregates)

    def append(
        self,
        events: Iterable[Event],
        *,
        stream: tuple[str, str] | None = None,
        expected: Expected = ANY,
        condition: AppendCondition | None = None,
    ) -> None:
        """Adds events of no aggregate; see `eventuali.UnitOfWork.append`."""
        self._unit.append(events, stream, expected, condition)


def transact(
    transaction: Transaction, store: EventStore, function: Callable[[UnitOfWork], T]
) -> Outcome[T]:
    """Runs a function until what it does is stored."""
    refuse_in_loop()
    refuse_generator(function, _WHAT)
    try:
        while True:
            unit = run(transaction.begin())
            with transaction.calling(unit):
                value: T = immediate(
                    function(UnitOfWork(unit, store)),
                    _WHAT,
                )
            transaction.propose(unit)
            if transaction.proposal.empty:
                return Outcome(value, Committed())
            while not transaction.settled:
                try:
                    return Outcome(value, run(transaction.send()))
                except EventStoreError as error:
                    pause = transaction.refused(error)
                sleep(pause)
    finally:
        transaction.end()
