"""Which method of an aggregate takes which command, and handling one without a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, NamedTuple

from eventuali.aggregate._rollback import Savepoint, beside, restore
from eventuali.errors import UnknownCommandError
from eventuali.event._slot import unapply

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate
    from eventuali.event import Event

MARK = "__eventuali_handles__"


class Mark(NamedTuple):
    """What a decorator notes at a function.

    Attributes:
        message: The class of the command or query.
        is_query: Whether it answers a query.
        id: The field of the command that names the aggregate; None for a function.
        creates: Whether an aggregate of which nothing is stored is made.
        local: The names around the function, for its annotations.
    """

    message: type
    is_query: bool
    id: str | None
    creates: bool
    local: Mapping[str, Any]


class Method(NamedTuple):
    """A method of an aggregate that takes a command."""

    name: str
    function: Callable[..., Any]
    mark: Mark


def refuse_generator(function: Callable[..., Any], what: str) -> None:
    """Refuses a function of which nothing runs when it is called.

    Raises:
        TypeError: It is a generator function.
    """
    for each in (function, getattr(function, "__call__", None)):  # noqa: B004 - it may be marked
        if isgeneratorfunction(each) or isasyncgenfunction(each):
            raise TypeError(f"{what} is a generator function, which does nothing; don't use yield")


def local_names(depth: int) -> Mapping[str, Any]:
    """Returns the local names of a caller and of its caller; empty in a module."""
    frame = sys._getframe(depth + 1)
    outer = frame.f_back
    names: dict[str, Any] = {}
    for each in (outer, frame):
        if each is not None and each.f_locals is not each.f_globals:
            names |= each.f_locals
    return names


def methods_of(cls: type[Aggregate]) -> Mapping[type, Method]:
    """Returns the methods of a class that take commands, by the class of the command.

    Raises:
        TypeError: Two take the same command, or one is a coroutine or generator function, a static
            or class method, or takes a query.
    """
    known: Mapping[type, Method] | None = cls.__commands__
    if known is not None:
        return known
    found: dict[type, Method] = {}
    names: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        names |= vars(base)
    for name, function in names.items():
        at = f"{cls.__name__}.{name}"
        if isinstance(function, staticmethod | classmethod) and hasattr(function.__func__, MARK):
            raise TypeError(
                f"{at} is a static or class method, which has no aggregate to change; make it a "
                "plain method"
            )
        mark: Mark | None = getattr(function, MARK, None)
        if mark is None or not callable(function):
            continue
        if mark.is_query:
            raise TypeError(f"{at}: a method can't answer a query; write a function")
        if iscoroutinefunction(function):
            raise TypeError(
                f"{at} is a coroutine function; an aggregate does no I/O: make it a plain `def`, "
                "or handle the command in a function that loads it"
            )
        refuse_generator(function, at)
        other = found.setdefault(mark.message, Method(name, function, mark))
        if other.name != name:
            raise TypeError(
                f"{cls.__name__}: {other.name} and {name} both handle {mark.message.__name__}"
            )
    cls.__commands__ = found
    return found


def handle(
    aggregate: Aggregate, command: object, begin: Callable[[Aggregate], Savepoint]
) -> tuple[Any, list[Event]]:
    """Lets an aggregate handle a command; returns its answer and the events that it applied.

    If the method raises, the aggregate is as it was before.

    Args:
        aggregate: The aggregate.
        command: The command.
        begin: Keeps the state of an aggregate that has none of before.

    Raises:
        UnknownCommandError: No method takes the command.
    """
    methods = methods_of(type(aggregate))
    method = methods.get(type(command))
    if method is None:
        raise unknown(type(command), methods, type(aggregate).__name__, "command")
    savepoint = aggregate._savepoint or begin(aggregate)
    uncommitted = aggregate._uncommitted
    count, before = len(uncommitted), aggregate.__dict__.copy()
    kept = beside(aggregate) if savepoint.has_beside else None
    try:
        answer = method.function(aggregate, command)
    except BaseException as error:
        for event in uncommitted[count:]:
            unapply(event)
        del uncommitted[count:]
        restore(aggregate, savepoint, before, kept, error)
        raise
    return answer, uncommitted[count:]


def unknown(
    message: type, known: Mapping[type, Any], where: str, what: str, instead: str = ""
) -> UnknownCommandError:
    """Returns the error for a message that nobody handles, which lists what is known."""
    names = sorted(each.__name__ for each in known)
    listed = ", ".join(names) if names else "nothing"
    return UnknownCommandError(
        f"{where} has no handler for the {what} {message.__name__}; it knows {listed}{instead}",
        message_type=message.__name__,
        known=names,
    )
