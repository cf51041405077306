"""Transactions of the asynchronous store, and their unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from eventuali._engine.load import load_one_of
from eventuali._engine.pending_commit import Committed
from eventuali._engine.transact import Transaction
from eventuali._engine.unit import Unit
from eventuali.aggregate import Aggregate
from eventuali.aggregate._commands import refuse_generator
from eventuali.errors import EventStoreError
from eventuali.event import Event
from eventuali.expected import ANY, AppendCondition, Expected
from eventuali.query import E, Query

if TYPE_CHECKING:
    from eventuali.store import EventStore

__all__ = ["Outcome", "UnitOfWork"]

A = TypeVar("A", bound=Aggregate)
T = TypeVar("T")


class Outcome(NamedTuple, Generic[T]):
    """The result of a transaction; `value, committed = await store.transact(…)` unpacks it.

    Attributes:
        value: What the function returned in the attempt that was stored.
        committed: The result of the commit, without positions if there was nothing to store.
    """

    value: T
    committed: Committed


class UnitOfWork:
    """What the function of a transaction, or the handler of a command, loads, reads and adds.

    `EventStore.transact` and `CommandBus.send` make it. All its new events are stored in one
    commit, on condition that everything that was loaded or read is still as it was. It serves one
    attempt: don't keep it, nor its aggregates.
    """

    def __init__(self, unit: Unit, store: EventStore) -> None:
        """Don't call this directly; use `EventStore.transact` or a `CommandBus`."""
        self._unit = unit
        self._store = store
        self._driver = store._driver

    @property
    def store(self) -> EventStore:
        """The store, to read what is to be no condition. Its writes are not part of the commit."""
        return self._store

    async def load(self, cls: type[A], aggregate_id: str) -> A | None:
        """Rebuilds an aggregate; None if nothing was ever stored.

        A second call with the same id returns the same object. If others change the same
        aggregates in this process, it first waits for its turn.

        Raises:
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
        """
        return await self._driver.run(self._unit.load(cls, aggregate_id))

    async def load_one(self, cls: type[A], aggregate_id: str) -> A:
        """Rebuilds an aggregate like `load`, but raises if nothing was ever stored.

        Raises:
            AggregateNotFoundError: Nothing was ever stored.
        """
        return load_one_of(cls, aggregate_id, await self.load(cls, aggregate_id))

    async def load_or_new(self, cls: type[A], aggregate_id: str) -> A:
        """Rebuilds an aggregate like `load`, or adds a new one if nothing was ever stored.

        What is stored is then on condition that nothing was stored of it in the meantime.
        """
        return await self._driver.run(self._unit.load_or_new(cls, aggregate_id))

    async def load_many(self, cls: type[A], ids: Iterable[str]) -> dict[str, A]:
        """Rebuilds several aggregates of a class; see `EventStore.load_many`."""
        return await self._driver.run(self._unit.load_many(cls, ids))

    async def read(self, query: Query[E]) -> list[E]:
        """Returns all events that match, in the order of the log.

        What is stored is then on condition that no other event matches by that time.
        """
        return await self._driver.run(self._unit.read(query))

    def add(self, *aggregates: Aggregate) -> None:
        """Adds new aggregates, whose events are stored with all others.

        Raises:
            InvalidEventError: Another object of the same type and id was loaded or added.
        """
        self._unit.add(aggregates)

    def append(
        self,
        events: Iterable[Event],
        *,
        stream: tuple[str, str] | None = None,
        expected: Expected = ANY,
        condition: AppendCondition | None = None,
    ) -> None:
        """Adds events of no aggregate, which are stored with all others, after them.

        Args:
            events: The events. `expected` and `condition` are checked even if it is empty.
            stream: `(aggregate_type, aggregate_id)`; None for events without a stream.
            expected: The version at which the stream must be before the first of its events.
            condition: The events that must not have been stored in the meantime.

        Raises:
            InvalidEventError: Another version of the stream was expected before.
        """
        self._unit.append(events, stream, expected, condition)


async def transact(
    transaction: Transaction, store: EventStore, function: Callable[[UnitOfWork], Any]
) -> Outcome[Any]:
    """Runs a function until what it does is stored."""
    import asyncio  # which `import eventuali` need not bring

    driver = store._driver
    refuse_generator(function, "the function of a transaction")
    try:
        while True:
            unit = await driver.run(transaction.begin())
            with transaction.calling(unit):
                given = function(UnitOfWork(unit, store))
                value = await given if isawaitable(given) else given
            transaction.propose(unit)
            if transaction.proposal.empty:
                return Outcome(value, Committed())
            while not transaction.settled:
                try:
                    return Outcome(value, await driver.run(transaction.send()))
                except EventStoreError as error:
                    pause = transaction.refused(error)
                await asyncio.sleep(pause)
    finally:
        transaction.end()
