"""Commands and queries: what may be asked of an application, and who answers.

    class Deposit(Command[Decimal]):
        account_id: str
        amount: Decimal

    class Account(Aggregate):
        @handles(Deposit, id="account_id")
        def deposit(self, command: Deposit) -> Decimal:
            self.apply(Deposited(amount=command.amount))
            return self.balance

    bus = CommandBus(store, Account)
    handled = await bus.send(Deposit(account_id="acc-1", amount=5))

The blocking bus is `eventuali.sync.CommandBus`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from inspect import isawaitable
from typing import Any, cast, overload
from uuid import UUID

from eventuali._engine import answers as _answers
from eventuali._engine.transact import ATTEMPTS
from eventuali.aggregate import answered
from eventuali.command._command import Answered, Command, R
from eventuali.command._dispatch import Dispatch, Handled, Sent
from eventuali.command._handlers import Handling
from eventuali.command._marks import answers, handles
from eventuali.store import EventStore
from eventuali.transaction import UnitOfWork, transact

__all__ = ["Answered", "Command", "CommandBus", "Handled", "UnitOfWork", "answers", "handles"]

# A pickle names them where no part of the path is private.
Answered.__module__ = Command.__module__ = Handled.__module__ = __name__


class CommandBus:
    """Takes commands and queries to the function or aggregate that handles their class."""

    def __init__(
        self,
        store: EventStore,
        *handlers: Handling,
        middleware: Sequence[Callable[..., Any]] = (),
        retention: timedelta | None = timedelta(days=7),
        attempts: int = ATTEMPTS,
    ) -> None:
        """Makes a bus.

        Args:
            store: The store.
            handlers: Functions that are marked with `handles` or `answers`, and classes of
                aggregates with methods that are.
            middleware: Callables `(message, next)` around each handler, the first one outermost,
                plain or coroutine functions. `next(message)` goes on, and is to be awaited.
            retention: How long the answer of a command with an id is kept at least; `sweep` removes
                it after that, and the same command is a new one then. None for ever.
            attempts: The maximum number of commits of a command, if other writers are faster or the
                outcome is unknown, with pauses that grow to 250 ms.

        Raises:
            ConfigurationError: Two handlers take the same class.
            TypeError: One is not marked, takes other arguments, answers a `Command` with what
                pydantic can't write, or is annotated with another answer than its class names.
        """
        self._dispatch = Dispatch(handlers, middleware, retention, attempts)
        self._store = store

    @overload
    async def send(
        self, command: Answered[R], *, command_id: UUID | str | None = None
    ) -> Handled[R]: ...

    @overload
    async def send(
        self, command: object, *, command_id: UUID | str | None = None
    ) -> Handled[Any]: ...

    async def send(self, command: object, *, command_id: UUID | str | None = None) -> Handled[Any]:
        """Has a command handled, and commits what its handler wants, all or nothing.

        It is a transaction, as of `EventStore.transact`: if other writers were faster, the handler
        is called again, with what is stored by then. If the command has an id, its answer is
        recorded in the same commit, so that the same command has one effect, whoever repeats it and
        whatever dies in between.

        Args:
            command: The command.
            command_id: Its id, such as an `Idempotency-Key`; by default its `command_id`.

        Raises:
            UnknownCommandError: No handler takes its class.
            CommandIdConflictError: The id was used for a command with other content.
            AggregateNotFoundError: Nothing is stored of the aggregate that it names.
            SerializationError: Its answer can't be recorded exactly.
            TypeError: It has an id, and pydantic can't write what its handler is annotated with.
            OptimisticConcurrencyError: Other writers were faster in each attempt.
            RuntimeError: Within a transaction, it changes what that has loaded or added.
            OutcomeUnknownError: The storage failed and did not recover within the attempts. Sending
                the same command again is safe if it has an id.
        """

        async def handle(message: object) -> Handled:
            return await self._handle(Sent(self._dispatch, message, command_id))

        return cast("Handled", await self._through(0, command, handle))

    @overload
    async def ask(self, query: Answered[R]) -> R: ...

    @overload
    async def ask(self, query: object) -> Any: ...

    async def ask(self, query: object) -> Any:
        """Returns what the handler of a query answers.

        Raises:
            UnknownCommandError: No handler takes its class.
        """

        async def answer(message: object) -> Any:
            handler = self._dispatch.find(message, is_query=True)
            return await _awaited(handler.function(message, self._store))

        return await self._through(0, query, answer)

    async def sweep(self) -> int:
        """Removes the answers whose retention is over by the store's clock; returns how many."""
        return await self._store._driver.run(_answers.sweep(self._store._store))

    def for_tenant(self, tenant: str) -> CommandBus:
        """Returns the same bus for another tenant of the store."""
        bus = CommandBus.__new__(CommandBus)
        bus._dispatch = self._dispatch
        bus._store = self._store.for_tenant(tenant)
        return bus

    async def _through(self, index: int, message: object, last: Callable[[object], Any]) -> Any:
        """Goes through the middleware from an index on, and then to the handler."""
        if index == len(self._dispatch.middleware):
            return await last(message)

        def go_on(message: object) -> Any:
            return self._through(index + 1, message, last)

        return await _awaited(self._dispatch.middleware[index](message, go_on))

    async def _handle(self, sent: Sent) -> Handled:
        store, look = self._store, partial(_answers.look, self._store._store)

        async def handle(work: UnitOfWork) -> Handled:
            before = await store._driver.run(sent.before(look))
            return before or sent.answered(work._unit, await self._call(sent, work))

        with sent.block():
            try:
                return sent.handled(
                    await transact(sent.transaction(store._transaction), store, handle)
                )
            except Exception as error:
                if not sent.may_be_repeated(error):
                    raise
                before = await store._driver.run(sent.before(look))
                if before is None:
                    raise
                return before

    async def _call(self, sent: Sent, work: UnitOfWork) -> Any:
        handler = sent.handler
        if handler.aggregate is None:
            return await _awaited(handler.function(sent.message, work))
        aggregate = await work.load(handler.aggregate, handler.key(sent.message))
        found = sent.made(work._unit) if aggregate is None else aggregate
        return answered(found, sent.message)[0]


async def _awaited(value: Any) -> Any:
    return await value if isawaitable(value) else value
