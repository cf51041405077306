"""The decorators that say which function or method handles what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, isfunction, signature
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

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
        TypeError: `command` is not a class, or the parameter is annotated with another one.
    """
    return _marking(command, False, id, creates)


def answers(query: type) -> Callable[[F], F]:
    """Marks a function that answers a class of queries.

        @answers(BalanceOf)
        async def balance(query: BalanceOf, store: EventStore) -> Decimal: ...

    Args:
        query: The class of the query, exactly.

    Raises:
        TypeError: `query` is not a class, or the parameter is annotated with another one.
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
        _check_parameter(inner, message, is_query, around)
        setattr(inner, MARK, Mark(message, is_query, id, creates, local))
        return function

    return mark


def _check_parameter(
    function: Any, message: type, is_query: bool, local: Mapping[str, Any]
) -> None:
    """Refuses a function whose parameter is annotated with another class than it is marked with.

    An annotation that can't be resolved yet says nothing.
    """
    if not isfunction(function):
        return
    taken = signature(function).parameters.values()
    first = next((each for each in taken if each.name not in ("self", "cls")), None)
    annotation = Any if first is None else first.annotation
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__, dict(local))  # noqa: S307
        except Exception:
            return
    found = members(annotation)
    if all(_excludes(each, message) for each in found):
        what, mark = ("query", "answers") if is_query else ("command", "handles")
        told = " | ".join(getattr(each, "__name__", repr(each)) for each in found)
        raise TypeError(
            f"{function.__qualname__} is marked with @{mark}({message.__name__}), and its {what} "
            f"is annotated with {told}; name the same class in both"
        )


def members(annotation: Any) -> tuple[Any, ...]:
    """Returns the types of which a union consists; of another type, that alone."""
    if annotation is None:
        return (NoneType,)
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _excludes(annotation: Any, message: type) -> bool:
    """Whether an annotation is a class to which a message does not belong."""
    if not isinstance(annotation, type) or annotation in (Any, Parameter.empty):
        return False
    if get_origin(annotation) is not None or getattr(annotation, "_is_protocol", False):
        return False
    return not issubclass(message, annotation)
