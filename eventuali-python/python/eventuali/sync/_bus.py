"""The blocking bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from inspect import isawaitable, iscoroutine
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from eventuali._engine import answers as _answers
from eventuali._engine import load as _load
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.operation import run
from eventuali._engine.retrying import ATTEMPTS
from eventuali._engine.work import Work
from eventuali.aggregate import Aggregate, answered
from eventuali.command._dispatch import Dispatch, Handled, Sent
from eventuali.command._handlers import Handling
from eventuali.errors import EventStoreError

if TYPE_CHECKING:
    from eventuali.sync import EventStore

A = TypeVar("A", bound=Aggregate)


class UnitOfWork(Work):
    """What the handler of a command loads, changes and adds; see `eventuali.command.UnitOfWork`."""

    def __init__(self, store: EventStore) -> None:
        """Don't call this directly; a bus gives it to the handler."""
        super().__init__()
        self._store = store

    @property
    def store(self) -> EventStore:
        """The store, to read. What is written with it is not part of the commit."""
        return self._store

    def load(self, cls: type[A], aggregate_id: str) -> A | None:
        """Rebuilds an aggregate, whose new events are committed; None if nothing was ever stored.

        Raises:
            SerializationError: A stored event does not fit its class.
        """
        known = self._aggregates.get((cls.__aggregate_type__, aggregate_id))
        if known is not None:
            return cast("A", known)
        store = self._store._store
        loaded = run(_load.load(store, cls, aggregate_id, None, None, "recorded_at"))
        if loaded is not None:
            self.add(loaded)
        return loaded

    def load_one(self, cls: type[A], aggregate_id: str) -> A:
        """Rebuilds an aggregate like `load`, but raises if nothing was ever stored.

        Raises:
            AggregateNotFoundError: Nothing was ever stored.
        """
        loaded = self.load(cls, aggregate_id)
        return _load.load_one_of(cls, aggregate_id, loaded)


class CommandBus:
    """A bus whose calls block; see `eventuali.command.CommandBus`."""

    def __init__(
        self,
        store: EventStore,
        *handlers: Handling,
        middleware: Sequence[Callable[..., Any]] = (),
        retention: timedelta | None = timedelta(days=7),
        attempts: int = ATTEMPTS,
    ) -> None:
        """Makes a bus; see `eventuali.command.CommandBus`.

        Raises:
            TypeError: A handler is a coroutine function, too.
        """
        self._dispatch = Dispatch(handlers, middleware, retention, attempts)
        for handler in self._dispatch.table.values():
            if handler.is_async:
                raise TypeError(
                    f"{handler.name} is a coroutine function, which needs an event loop; use "
                    "eventuali.command.CommandBus, or make it a plain `def`"
                )
        self._store = store

    def send(self, command: object, *, command_id: UUID | str | None = None) -> Handled:
        """Has a command handled, and commits what its handler wants, all or nothing."""
        refuse_in_loop()

        def handle(message: object) -> Handled:
            return self._handle(Sent(self._dispatch, message, command_id))

        return cast("Handled", self._through(0, command, handle))

    def ask(self, query: object) -> Any:
        """Returns what the handler of a query answers."""
        refuse_in_loop()

        def answer(message: object) -> Any:
            handler = self._dispatch.find(message, is_query=True)
            return _immediate(handler.function(message, self._store))

        return self._through(0, query, answer)

    def sweep(self) -> int:
        """Removes the answers whose retention is over by the store's clock; returns how many."""
        refuse_in_loop()
        return run(_answers.sweep(self._store._store))

    def for_tenant(self, tenant: str) -> CommandBus:
        """Returns the same bus for another tenant of the store."""
        bus = CommandBus.__new__(CommandBus)
        bus._dispatch = self._dispatch
        bus._store = self._store.for_tenant(tenant)
        return bus

    def _through(self, index: int, message: object, last: Callable[[object], Any]) -> Any:
        """Goes through the middleware from an index on, and then to the handler."""
        if index == len(self._dispatch.middleware):
            return last(message)

        def go_on(message: object) -> Any:
            return self._through(index + 1, message, last)

        return _immediate(self._dispatch.middleware[index](message, go_on))

    def _handle(self, sent: Sent) -> Handled:
        with sent.block():
            while True:
                if (before := self._before(sent)) is not None:
                    return before
                work = UnitOfWork(self._store)
                try:
                    answer = self._call(sent, work)
                    commit = work.commit(self._store._event_types)
                    records = sent.records(commit, answer)
                except Exception:
                    # What it has seen may be the effect of the same command, sent by another.
                    if (before := self._before(sent)) is not None:
                        return before
                    raise
                sent.retrying.begin()
                while not sent.retrying.settled:
                    try:
                        committed = run(
                            commit.send_with(
                                self._store._store, self._store._inline, records, sent.commit_id
                            )
                        )
                        return Handled(answer, committed.position)
                    except EventStoreError as error:
                        pause = sent.retrying.refused(error)
                    sleep(pause)

    def _before(self, sent: Sent) -> Handled | None:
        """Returns what became of a command that was handled before."""
        if sent.id is None:
            return None
        store = self._store._store
        kept = run(_answers.read(store, sent.id))
        if kept is None:
            return None
        if kept.event is None:
            return sent.replayed(kept, None)
        for _ in range(_answers.LOOKS):
            at = run(_answers.position(store, kept.event))
            if at is not None:
                return sent.replayed(kept, at)
            sleep(_answers.UNSETTLED)
        raise _answers.unsettled(sent.id)

    def _call(self, sent: Sent, work: UnitOfWork) -> Any:
        handler = sent.handler
        if handler.aggregate is None:
            return _immediate(handler.function(sent.message, work))
        aggregate = work.load(handler.aggregate, handler.key(sent.message))
        return answered(aggregate or sent.made(work), sent.message)[0]


def _immediate(value: Any) -> Any:
    """Returns what a function of the blocking bus returned.

    Raises:
        TypeError: It is awaitable.
    """
    if isawaitable(value):
        if iscoroutine(value):
            value.close()
        raise TypeError(
            "a handler or middleware of the blocking bus can't be a coroutine; use "
            "eventuali.command.CommandBus"
        )
    return value
