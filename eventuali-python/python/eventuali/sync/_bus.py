"""The blocking bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast, overload
from uuid import UUID

from eventuali._engine import answers as _answers
from eventuali._engine.decide import immediate
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.operation import run
from eventuali._engine.transact import ATTEMPTS
from eventuali.aggregate import answered
from eventuali.command._command import Answered, R
from eventuali.command._dispatch import Dispatch, Handled, Sent
from eventuali.command._handlers import Handling
from eventuali.sync._transaction import UnitOfWork, transact

if TYPE_CHECKING:
    from eventuali.sync import EventStore


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

    @overload
    def send(self, command: Answered[R], *, command_id: UUID | str | None = None) -> Handled[R]: ...

    @overload
    def send(self, command: object, *, command_id: UUID | str | None = None) -> Handled[Any]: ...

    def send(self, command: object, *, command_id: UUID | str | None = None) -> Handled[Any]:
        """Has a command handled, and commits what its handler wants, all or nothing."""
        refuse_in_loop()

        def handle(message: object) -> Handled:
            return self._handle(Sent(self._dispatch, message, command_id))

        return cast("Handled", self._through(0, command, handle))

    @overload
    def ask(self, query: Answered[R]) -> R: ...

    @overload
    def ask(self, query: object) -> Any: ...

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
        store, look = self._store, partial(_answers.look, self._store._store)

        def handle(work: UnitOfWork) -> Handled:
            before = run(sent.before(look))
            return before or sent.answered(work._unit, self._call(sent, work))

        with sent.block():
            try:
                return sent.handled(transact(sent.transaction(store._transaction), store, handle))
            except Exception as error:
                if not sent.may_be_repeated(error):
                    raise
                before = run(sent.before(look))
                if before is None:
                    raise
                return before

    def _call(self, sent: Sent, work: UnitOfWork) -> Any:
        handler = sent.handler
        if handler.aggregate is None:
            return _immediate(handler.function(sent.message, work))
        aggregate = work.load(handler.aggregate, handler.key(sent.message))
        found = sent.made(work._unit) if aggregate is None else aggregate
        return answered(found, sent.message)[0]


def _immediate(value: Any) -> Any:
    what = "a handler or middleware of the blocking bus"
    return immediate(value, what, "eventuali.command.CommandBus")
