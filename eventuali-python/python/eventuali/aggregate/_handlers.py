"""Which handler of an aggregate takes which event.

A method `apply_<something>(self, event)` is a handler. The annotation of `event` says which classes
it takes; without one, the method's name does: `apply_order_placed` takes the event whose class or
wire name is `OrderPlaced`, `order.placed` or similar.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from inspect import (
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isgeneratorfunction,
    unwrap,
)
from types import FunctionType, MethodType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from eventuali.aggregate._copies import Handler, isolating
from eventuali.errors import InvalidEventError, UnknownEventTypeError
from eventuali.event import DomainEvent, Event, SystemEvent, _registry
from eventuali.event._names import snake_case
from eventuali.event._registry import living, names, shown

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

_PREFIX = "apply_"
# Annotations that leave it to the method's name.
_TELLS_NOTHING = (Event, DomainEvent, SystemEvent, Any, object)
_UNRESOLVED = (NameError, AttributeError, SyntaxError, TypeError)
"""What evaluating an annotation raises if a name in it does not exist, or not yet."""
_OR_IGNORE = "or list it in `ignores`"
_WORD = re.compile(r"\w+")
# What annotations said, so that a subclass of an aggregate does not have to resolve them again.
_resolved: WeakKeyDictionary[FunctionType, Classes] = WeakKeyDictionary()

Classes = tuple[type[Event], ...] | None
"""The classes that a handler takes: empty if its name decides; None if it is not a handler."""


class Handlers(dict[type[Event], Handler]):
    """The handlers of one aggregate class by event class.

    An event class that is not in here yet is looked up once: its own handler, else the one of its
    nearest base that a handler is annotated with.

    Attributes:
        isolating: The same handlers, for events that the caller keeps.
        cached: The names of the `cached_property`s; their values are valid until the next event.
    """

    def __init__(
        self,
        aggregate: type[Aggregate],
        ignores: Iterable[type[Event] | str],
        local: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.aggregate = aggregate
        self.aggregate_type = aggregate.__aggregate_type__
        ignored = tuple(ignores)
        self._ignored_classes = frozenset(i for i in ignored if isinstance(i, type))
        self._ignored_names = frozenset(i for i in ignored if isinstance(i, str))
        self._annotated: dict[type[Event], str] = {}
        self._by_name: dict[str, Handler] = {}
        self.cached = _cached(aggregate)
        self._pending = _methods(aggregate)
        self.isolating = Isolating(self)
        self.classes = HandledTypes(self)
        self._resolve(local)

    def settled(self) -> Handlers:
        """Resolves annotations that named classes not defined yet, as far as they are now.

        Of classes that were defined again since, the newest definition counts from then on.

        Raises:
            TypeError: Handlers conflict.
        """
        if self._pending:
            self._resolve({})
        self.classes.renew()
        return self

    def complete(self) -> Handlers:
        """Resolves all annotations.

        Raises:
            TypeError: An annotation names a class that does not exist, or handlers conflict.
        """
        for name in self.settled()._pending:
            raise self._unresolved(name)
        return self

    def annotated(self) -> set[type[Event]]:
        """Returns the classes that handlers are annotated with, or whose name a handler bears.

        Of the latter, those that the handler's module knows.
        """
        found = set(self._annotated)
        for name in self._by_name:
            method = unwrap(getattr(self.aggregate, _PREFIX + name))
            known = getattr(method, "__globals__", {}).values()
            events = (
                one for one in list(known) if isinstance(one, type) and issubclass(one, Event)
            )
            found |= {
                one
                for one in events
                if name in (snake_case(one.__name__), snake_case(one.__event_type__))
            }
        return found

    def ignored_names(self) -> set[str]:
        """Returns the wire names of events that change nothing and need no decoding."""
        self.settled()
        if not (self._ignored_classes or self._ignored_names):
            return set()
        ignored = {
            name
            for each in map(_registry.current, self._ignored_classes)
            if each.__becomes__ is not None or self._find(each) is _ignore
            for name in names(each)
        }
        handled = {name for each in map(_registry.current, self._annotated) for name in names(each)}
        by_name = {n for n in self._ignored_names if snake_case(n) not in self._by_name}
        return (by_name | ignored) - handled

    def takes(self, event_type: type[Event]) -> bool:
        """Says whether events of a class have a handler or are ignored."""
        return self._find(event_type) is not None

    def method_of(self, event_type: type[Event]) -> str | None:
        """Returns the name of the handler of a class; None if it has none."""
        self.settled()
        known = self._known_as(event_type)
        if known in self._annotated:
            return self._annotated[known]
        for name in (event_type.__name__, event_type.__event_type__):
            if snake_case(name) in self._by_name:
                return _PREFIX + snake_case(name)
        if self._find(event_type) in (None, _ignore):
            return None
        bases = map(self._known_as, event_type.__mro__)
        return next((self._annotated[c] for c in bases if c in self._annotated), None)

    def _known_as(self, cls: type[Any]) -> type[Any]:
        """Returns the definition of a class that a handler or `ignores` names; else the class."""
        if cls in self._annotated or cls in self._ignored_classes or not issubclass(cls, Event):
            return cls
        known = (*self._annotated, *self._ignored_classes)
        return next((each for each in known if _registry.is_one(cls, each)), cls)

    def taken(self, name: str) -> type[Event] | None:
        """Returns the class that events of a wire name have in streams of the aggregate.

        None if it has no handler for them, ignores their name, or several classes fit.
        """
        if name in self._ignored_names:
            return None
        if self.settled()._pending:
            return self.classes.get(name)
        try:
            return self.classes[name]
        except UnknownEventTypeError:
            return None

    def __missing__(self, event_type: type) -> Handler:
        if not issubclass(event_type, Event):
            raise TypeError(f"apply takes an Event, not {event_type.__name__}")
        handler = self.settled().get(event_type) or self._find(event_type)
        if handler is None:
            raise self._unhandled(event_type)
        if handler is _ignore:  # which changes the version nevertheless
            handler = _forgetting(handler, self.cached)
        self[event_type] = handler
        return handler

    def _find(self, event_type: type[Event]) -> Handler | None:
        if event_type in self._annotated:
            return self[event_type]
        if event_type.__becomes__ is not None:
            return None
        if (known := self._known_as(event_type)) in self._annotated:
            return self[known]
        for method, unresolved in self._pending.items():
            if _may_take(method, unresolved, event_type):
                raise self._unresolved(method)
        wire = names(event_type)
        for name in (event_type.__name__, *wire):
            if own := self._by_name.get(snake_case(name)):
                return own
        if not self._ignored_names.isdisjoint(wire):
            return _ignore
        for base in map(self._known_as, event_type.__mro__):
            if base in self._annotated:
                return self[base]
            if base in self._ignored_classes:
                return _ignore
        return None

    def _unhandled(self, event_type: type[Event]) -> InvalidEventError:
        aggregate, event = self.aggregate.__name__, event_type.__name__
        if event_type.__becomes__ is not None:
            text = f"{event} is retired: its events are read, and no new one is applied"
            return InvalidEventError(text, field="event_type")
        method = _PREFIX + snake_case(event)
        advice = f"write {method}(self, event: {event}) or list it in `ignores`"
        if hasattr(self.aggregate, method):
            advice = f"its {method} does not take a single event of that class"
        return InvalidEventError(
            f"{aggregate} has no handler for {event}: {advice}", field="event_type"
        )

    def _unresolved(self, method: str) -> TypeError:
        """Returns the error for a method whose annotation can't be resolved."""
        try:
            _classes(self._pending[method], {})
        except _UNRESOLVED as error:
            at = f"{self.aggregate.__name__}.{method}"
            told = TypeError(
                f"{at}: the annotation of its event can't be resolved: {error}; import the class "
                "at run time, not only under TYPE_CHECKING"
            )
            told.__cause__ = error
            return told
        raise AssertionError("it is resolved")

    def _resolve(self, local: Mapping[str, Any]) -> None:
        """Sorts the methods in whose annotations can be looked up; the others wait."""
        for name, handler in list(self._pending.items()):
            try:
                classes = _classes(handler, local)
            except _UNRESOLVED:
                continue
            del self._pending[name]
            self._add(name, handler, classes)

    def _add(self, name: str, handler: Handler, classes: Classes) -> None:
        if classes == ():
            self._by_name[name.removeprefix(_PREFIX)] = _forgetting(handler, self.cached)
        elif classes and _is_lazy(handler):
            raise TypeError(
                f"{self.aggregate.__name__}.{name} is a coroutine function or a generator: calling "
                "it changes nothing; a handler must be a plain `def`: await what you need before "
                "`apply`"
            )
        for event_type in classes or ():
            if event_type.__becomes__ is not None:
                raise TypeError(
                    f"{self.aggregate.__name__}.{name} takes {event_type.__name__}, which is "
                    "retired: no handler gets it; handle what it becomes"
                )
            other = self._annotated.setdefault(event_type, name)
            if other != name:
                raise TypeError(
                    f"{self.aggregate.__name__}: {other} and {name} both take {event_type.__name__}"
                )
            self.classes.add(event_type)
            self[event_type] = _forgetting(handler, self.cached)


class Isolating(dict[type[Event], Handler]):
    """The handlers, wrapped so that state and event share no mutable value."""

    def __init__(self, handlers: Handlers) -> None:
        super().__init__()
        self._handlers = handlers

    def __missing__(self, event_type: type[Event]) -> Handler:
        handler = self[event_type] = isolating(self._handlers[event_type], event_type)
        return handler


class HandledTypes(dict[str, type[Event]]):
    """The event classes of one aggregate class by wire name.

    A name that no annotation accounts for is looked up once among the registered classes that the
    aggregate takes; one of the aggregate's own module goes first.
    """

    def __init__(self, handlers: Handlers) -> None:
        super().__init__()
        self._handlers = handlers
        self._generation: object = None
        for event_type in handlers._ignored_classes:
            self.add(event_type)

    def add(self, event_type: type[Event]) -> None:
        """Adds a class.

        Raises:
            TypeError: Another class of the aggregate has the same wire name.
        """
        for name in names(event_type):
            other = self.setdefault(name, event_type)
            if other is not event_type:
                raise TypeError(
                    f"{self._handlers.aggregate.__name__}: {shown(other)} and {shown(event_type)} "
                    f"both have the wire name {name!r}"
                )

    def renew(self) -> None:
        """Takes the newest definitions of classes that were defined again."""
        if self._generation is _registry.generation:
            return
        self._generation = _registry.generation
        for cls in set(self.values()):
            newer = _registry.current(cls)
            for name in names(newer) if newer is not cls else ():
                if self.get(name, cls) is cls:
                    self[name] = newer

    def __missing__(self, name: str) -> type[Event]:
        known = living(name)
        found = [c for c in known if self._handlers.takes(c)]
        active = [c for c in known if c.__becomes__ is None]
        if not active:  # a retired class is for what no other one claims
            found = known
        near = [c for c in found if c.__module__ == self._handlers.aggregate.__module__]
        best = near or found
        if len(best) == 1:
            self[name] = best[0]
            return best[0]
        aggregate = self._handlers.aggregate.__name__
        if best:
            claims = " and ".join(map(shown, best))
            text = f"{aggregate}: event type {name!r} is claimed by {claims}; annotate the handler"
        elif active:
            text = f"{aggregate} has no handler for {shown(active[0])}; write one, {_OR_IGNORE}"
        else:
            text = (
                f"{aggregate}: no known event class has the wire name {name!r}; import its module, "
                f"write it and its handler, {_OR_IGNORE}"
            )
        raise UnknownEventTypeError(text, event_type=name)


def outer_locals() -> Mapping[str, Any]:
    """Returns the local names around the class statement that is being executed."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if module not in ("eventuali.aggregate", "abc") and not module.startswith("pydantic."):
            break
        frame = frame.f_back
    return frame.f_locals


def returned_value(aggregate: Aggregate, event: Event, returned: object) -> TypeError:
    """Returns the error for a handler that returned a value: it may have changed nothing."""
    close = getattr(returned, "close", None)
    if iscoroutine(returned) and callable(close):
        close()  # or Python warns that it was never awaited
    return TypeError(
        f"{type(aggregate).__name__}: the handler of {type(event).__name__} returned "
        f"{returned!r:.60}; a handler changes the aggregate itself and returns nothing"
    )


def forget(state: dict[str, Any], cached: Iterable[str]) -> None:
    """Drops the values that were computed from an earlier state."""
    for name in cached:
        state.pop(name, None)


def _forgetting(handler: Handler, cached: Sequence[str]) -> Handler:
    """Returns a handler that drops cached values before and after it runs."""
    if not cached:
        return handler

    def forgetting(aggregate: Aggregate, event: Event) -> object:
        forget(aggregate.__dict__, cached)
        returned = handler(aggregate, event)
        forget(aggregate.__dict__, cached)
        return returned

    return forgetting


def _cached(aggregate: type) -> tuple[str, ...]:
    found = (vars(base).items() for base in aggregate.__mro__)
    return tuple({n for items in found for n, v in items if isinstance(v, cached_property)})


def _is_lazy(handler: Handler) -> bool:
    """Tells whether a call only makes a coroutine or a generator."""
    call = handler.func if isinstance(handler, partial) else handler
    if not isinstance(call, FunctionType | MethodType):
        call = type(call).__call__
    return iscoroutinefunction(call) or isgeneratorfunction(call) or isasyncgenfunction(call)


def _methods(aggregate: type) -> dict[str, Handler]:
    """Returns what could be a handler, base classes first."""
    names = {
        name: value
        for base in reversed(aggregate.__mro__)
        for name, value in vars(base).items()
        if name.startswith(_PREFIX)
    }
    return {
        name: getattr(aggregate, name)
        for name, value in names.items()
        if callable(value) and not isinstance(value, staticmethod | classmethod)
    }


def _classes(handler: Handler, local: Mapping[str, Any]) -> Classes:
    function = unwrap(handler)
    if not isinstance(function, FunctionType):
        return ()
    if function not in _resolved:
        _resolved[function] = _inspect(function, local)
    return _resolved[function]


def _may_take(method: str, handler: Handler, event_type: type[Event]) -> bool:
    """Tells whether a method could be the handler, going by its name and its annotation's words."""
    if method.removeprefix(_PREFIX) == snake_case(event_type.__name__):
        return True
    annotation = _annotation(unwrap(handler))
    return event_type.__name__ in _WORD.findall(str(annotation))


def _annotation(function: Any) -> Any:
    return function.__annotations__.get(function.__code__.co_varnames[1], Any)


def _inspect(function: FunctionType, local: Mapping[str, Any]) -> Classes:
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    if code.co_argcount < 2 or required > 2:
        return None
    parameter = code.co_varnames[1]
    holder = SimpleNamespace(__annotations__={parameter: _annotation(function)})
    resolved = get_type_hints(holder, function.__globals__, dict(local))[parameter]
    members = get_args(resolved) if get_origin(resolved) in (Union, UnionType) else (resolved,)
    if any(member in _TELLS_NOTHING for member in members):
        return ()
    events = tuple(m for m in members if isinstance(m, type) and issubclass(m, Event))
    return events if len(events) == len(members) else None


def _ignore(aggregate: object, event: object) -> None:
    """Handles an event that changes nothing."""
