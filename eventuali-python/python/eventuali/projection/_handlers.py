"""Which handler of a projection takes which event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import (
    Parameter,
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from eventuali.event import DomainEvent, Event, SystemEvent, _registry
from eventuali.projection._model import ReadModel

PREFIX = "on_"

_FREE = frozenset({"docs", "session", "sql"})
"""How the free form names what it works on, unless an annotation says it."""


class Handler(NamedTuple):
    """A method that reacts to events.

    Attributes:
        name: Its name.
        function: The function, which takes the projection, the event and what it works on.
        events: The classes that it takes.
        needs_document: Whether it takes no None for the document.
        may_delete: Whether None, as an answer, deletes the document.
        is_async: Whether it is a coroutine function.
    """

    name: str
    function: Callable[..., Any]
    events: tuple[type[Event], ...]
    needs_document: bool
    may_delete: bool
    is_async: bool


def handlers_of(
    cls: type, local: Mapping[str, Any], model: type | None, *, generic: bool = False
) -> dict[type[Event], Handler]:
    """Returns the handlers of a class by the class of events.

    Args:
        cls: The projection.
        local: The names around its class statement.
        model: The class of its documents in the pure form, None in the free form.
        generic: Whether a subclass names the model.

    Raises:
        TypeError: A method that begins with `on_` is no handler, or two take the same events.
    """
    found: dict[type[Event], Handler] = {}
    names = dict.fromkeys(
        name for base in reversed(cls.__mro__) for name in vars(base) if name.startswith(PREFIX)
    )
    for name in names:
        handler = _handler(cls, name, local, model, generic)
        for event in handler.events:
            other = found.setdefault(event, handler)
            if other is not handler:
                raise TypeError(
                    f"{cls.__name__}: {other.name} and {name} both take {event.__name__}"
                )
    wire: dict[str, type[Event]] = {}
    for event in found:
        for name in _registry.names(event):
            other_class = wire.setdefault(name, event)
            if other_class is not event:
                raise TypeError(
                    f"{cls.__name__}: {other_class.__qualname__} and {event.__qualname__} both "
                    f"have the wire name {name!r}"
                )
    return found


def handler_of(handlers: Mapping[type[Event], Handler], event: type[Event]) -> Handler | None:
    """Returns the handler of a class of events: its own, or that of its nearest base.

    One that was defined again has the handler of the class before.
    """
    for base in event.__mro__:
        if base in handlers:
            return handlers[base]
    bases = [base for base in event.__mro__ if issubclass(base, Event)]
    return next(
        (handlers[each] for base in bases for each in handlers if _registry.is_one(base, each)),
        None,
    )


def _handler(
    cls: type, name: str, local: Mapping[str, Any], model: type | None, generic: bool
) -> Handler:
    function = getattr(cls, name)
    at = f"{cls.__name__}.{name}"
    third = "doc" if model is not None else "docs"
    if not callable(function) or isinstance(vars(cls).get(name), staticmethod | classmethod):
        raise TypeError(f"{at} must be a method: def {name}(self, event, {third})")
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(f"{at} is a generator: calling it does nothing; write a plain function")
    is_async = iscoroutinefunction(function)
    if is_async and model is not None:
        raise TypeError(
            f"{at} is a coroutine function, but a fold has nothing to wait for: make it a plain "
            "`def`, or derive from Projection without a model and take `docs`"
        )
    parameters = list(signature(function).parameters.values())
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        p
        for p in parameters
        if p.default is Parameter.empty
        and p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    ]
    if len(required) != 3 or any(p.kind not in positional for p in required):
        raise TypeError(f"{at} must take the event and {third}: def {name}(self, event, {third})")
    try:
        hints = get_type_hints(function, localns=dict(local))
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TypeError(f"{at}: an annotation can't be resolved: {error}") from error
    events = _members(hints.get(required[1].name))
    if not events or not all(isinstance(e, type) and issubclass(e, Event) for e in events):
        raise TypeError(f"{at}: annotate its event with the class or classes that it takes")
    if {Event, DomainEvent, SystemEvent} & set(events):
        raise TypeError(f"{at}: name the classes of events that it takes, instead of a base of all")
    for event in events:
        if event.__becomes__ is not None:
            raise TypeError(
                f"{at} takes {event.__name__}, which is retired: no handler gets it; handle what "
                "it becomes"
            )
    given = required[2].name
    document = _members(hints.get(given, Any))
    answer = _members(hints.get("return", Any))
    if model is not None:
        if given in _FREE and given not in hints:
            raise TypeError(f"{at} takes {given!r}, and its projection names a model: {_FORMS}")
        for what, members in (("document", document), ("result", answer)):
            if not all(each in (Any, NoneType, model) or _is_variable(each) for each in members):
                raise TypeError(
                    f"{at}: the {what} must be annotated with {model.__name__}, None or both: "
                    f"{_FORMS}"
                )
    elif not generic and _folds(given, given in hints, document, answer):
        raise TypeError(f"{at} takes a document, and its projection names no model: {_FORMS}")
    return Handler(
        name,
        function,
        events,
        needs_document=model is not None and not {Any, NoneType} & set(document),
        may_delete="return" in hints and bool({Any, NoneType} & set(answer)),
        is_async=is_async,
    )


_FORMS = (
    "the pure form names it, Projection[Model], and its handlers take (self, event, doc) and "
    "return the document; the free form, Projection alone, takes (self, event, docs) and writes "
    "with docs.put"
)


def _folds(
    name: str, is_annotated: bool, document: tuple[Any, ...], answer: tuple[Any, ...]
) -> bool:
    """Whether a handler is one of the pure form, which takes a document and returns it."""
    if any(isinstance(each, type) and issubclass(each, ReadModel) for each in (*document, *answer)):
        return True
    return NoneType in document or (name == "doc" and not is_annotated)


def _is_variable(annotation: Any) -> bool:
    return isinstance(annotation, TypeVar)


def _members(annotation: Any) -> tuple[Any, ...]:
    if annotation is None:
        return (NoneType,)
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)
