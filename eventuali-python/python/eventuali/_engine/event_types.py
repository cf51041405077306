"""Which class a stored event type stands for."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from eventuali.errors import InvalidEventError
from eventuali.event import Event, UnknownEvent, _registry

P = ParamSpec("P")
R = TypeVar("R")


class EventTypes:
    """Which class a stored event type stands for if no aggregate is loaded.

    In this order: the class given to `register_event_class`; the class that this store has saved
    under the name; the class that aggregates of the stream's type handle; the only class that
    claims the name.
    """

    def __init__(self, named: dict[str, type[Event]] | None = None) -> None:
        self._named = ChainMap({} if named is None else named, _registry.named)
        # By type of the stream; by "" for events of no stream, and of streams that no aggregate
        # that is known here has events of this name in.
        self._saved: dict[tuple[str, str], type[Event]] = {}
        self._noted: set[tuple[str, type[Event]]] = set()

    def register(self, name: str, cls: type[Event]) -> None:
        """Decides what `name` stands for."""
        if not (isinstance(cls, type) and issubclass(cls, Event)):
            raise TypeError(f"{cls!r:.60} is not a class of events")
        if not isinstance(name, str) or not name:
            raise InvalidEventError("an event type must be a non-empty str", field="event_type")
        self._named[name] = cls

    def unregister(self, name: str) -> None:
        """Undoes `register` for a name."""
        self._named.maps[0].pop(name, None)

    def named(self) -> dict[str, type[Event]]:
        """Returns the registered classes, of this store and of all stores."""
        return dict(self._named)

    def saves(self, aggregate_type: str, events: Iterable[Event], *, applied: bool) -> None:
        """Notes the classes of events that are about to be saved in a stream of a type.

        Args:
            aggregate_type: The type of the stream; empty for events of no stream.
            events: The events.
            applied: Whether an aggregate of that type has taken them.

        Raises:
            InvalidEventError: Another class has the wire name; a reader could not tell them apart.
        """
        for cls in set(map(type, events)):
            if (aggregate_type, cls) not in self._noted:
                self._note(aggregate_type, cls, applied=applied)

    def _note(self, aggregate_type: str, cls: type[Event], *, applied: bool) -> None:
        name = cls.__event_type__
        if name in self._named or issubclass(cls, UnknownEvent):
            return
        taken = _taken(aggregate_type, name)
        keys = [(aggregate_type, name)]
        rivals: list[type[Event]] = []
        # A local class ends with its function: it is nobody's rival but where both are saved.
        rival = not applied and not _registry.is_local(cls)
        if not (applied or taken):
            keys.append(("", name))
            rivals = _registry.living(name) if rival else []
        elif rival and not any(_registry.same(cls, other) for other in taken):
            rivals = taken
        others = [other for other in rivals if not _registry.is_local(other)]
        others += (self._saved[key] for key in keys if key in self._saved)
        for other in others:
            if not _registry.same(cls, other):
                text = _TWO_CLAIM.format(*map(_registry.shown, (other, cls)), name)
                raise InvalidEventError(text, field="event_type")
        self._saved.update(dict.fromkeys(keys, cls))
        self._noted.add((aggregate_type, cls))

    def find(self, name: str) -> type[Event] | None:
        """Returns the class of a name in any stream; None if it depends on the stream."""
        if name in self._named:
            return self._named[name]
        claims = _registry.registered(name)
        if len(claims) != 1 or _registry.is_local(claims[0]):
            return None
        saved = (cls for (_, saved), cls in self._saved.items() if saved == name)
        return claims[0] if all(_registry.same(claims[0], cls) for cls in saved) else None

    def of(self, name: str, aggregate_type: str) -> list[type[Event]]:
        """Returns the classes that a name may stand for in a stream of a type."""
        if named := self._named.get(name):
            return [named]
        if saved := self._saved.get((aggregate_type, name)):
            return [_registry.newest(saved)]
        if len(taken := _taken(aggregate_type, name)) == 1:
            return taken
        if saved := self._saved.get(("", name)):
            return [_registry.newest(saved)]
        return _registry.living(name)


_TWO_CLAIM = (
    "{} and {} have the same wire name {!r}, so a reader could take one for the other; "
    "give one of them a name of its own: class …(Event, name='…')"
)


def _taken(aggregate_type: str, name: str) -> list[type[Event]]:
    """Returns the classes of a wire name that aggregates of a type handle, each once."""
    handlers = (cls.__dispatch__ for cls in _registry.aggregates(aggregate_type))
    taken = (found for each in handlers if (found := each.taken(name)) is not None)
    return list(dict.fromkeys(taken))


class StoreOrClass(Generic[P, R]):
    """A method that can be called on a store, or on the class of stores for all of them.

    Its first argument is the store or the class.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self.__func__ = function
        self.__doc__ = function.__doc__

    def __get__(self, store: Any, cls: object = None) -> Callable[P, R]:
        bound: Callable[P, R] = MethodType(self.__func__, cls if store is None else store)
        return bound


def event_types_of(store: Any) -> EventTypes:
    """Returns the event types of a store, or those of all stores if given the class."""
    event_types: EventTypes = _all if isinstance(store, type) else store._event_types
    return event_types


_all = EventTypes(_registry.named)
