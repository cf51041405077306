"""The decorators that say which function or method handles what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from eventuali.aggregate._commands import MARK, Mark, local_names

F = TypeVar("F", bound=Callable[..., Any])


def handles(command: type, *, id: str | None = None, creates: bool = False) -> Callable[[F], F]:
    """Marks a function, or a method of an aggregate, that handles a class of commands.

        @handles(Deposit, id="account_id")
        def deposit(self, command: Deposit) -> Decimal: ...

        @handles(Transfer)
        async def transfer(command: Transfer, work: UnitOfWork) -> None: ...

    Args:
        command: The class of the command, exactly: any class, such as a `Command`, a pydantic model
            or a dataclass.
        id: For a method: the field of the command that holds the id of the aggregate. A bus needs
            it, `Aggregate.handle` does not.
        creates: For a method: whether a bus makes the aggregate if nothing of it is stored. If
            not, that is an `AggregateNotFoundError`.

    Raises:
        TypeError: `command` is not a class.
    """
    return _marking(command, False, id, creates)


def answers(query: type) -> Callable[[F], F]:
    """Marks a function that answers a class of queries.

        @answers(BalanceOf)
        async def balance(query: BalanceOf, store: EventStore) -> Decimal: ...

    Args:
        query: The class of the query, exactly.

    Raises:
        TypeError: `query` is not a class.
    """
    return _marking(query, True, None, False)


def _marking(message: type, is_query: bool, id: str | None, creates: bool) -> Callable[[F], F]:
    if not isinstance(message, type):
        what = "answers" if is_query else "handles"
        raise TypeError(f"@{what} takes the class of a message: write @{what}(PlaceOrder)")
    around = local_names(2)

    def mark(function: F) -> F:
        told = getattr(function, "__annotations__", {}).get("return")
        local = around if isinstance(told, str) else {}
        inner: Any = function
        if isinstance(inner, staticmethod | classmethod):
            inner = inner.__func__
        setattr(inner, MARK, Mark(message, is_query, id, creates, local))
        return function

    return mark
