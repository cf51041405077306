"""Which classes of events and aggregates exist, by wire name. They register when they are defined.

A class inside a function, as in a test, is *local*: it belongs to that function and ends with it.
The classes of the library's demo give way to those of the program.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate
    from eventuali.event import Event

C = TypeVar("C", bound="type[Any]")
_Path: TypeAlias = tuple[str, str, str]
_Claim: TypeAlias = tuple[str, _Path]

# Weak, so that classes made in functions can die. A module reloaded or a notebook cell run again
# has the path of the class before, and replaces it instead of contradicting it.
_classes: dict[str, WeakValueDictionary[_Path, type[Event]]] = {}
_aggregates: dict[str, WeakValueDictionary[_Path, type[Aggregate]]] = {}

# By a class, the retired ones whose events become events of it. Both by wire name and path, so that
# a class that is defined again has those of the class before.
_sources: dict[_Claim, WeakValueDictionary[_Claim, type[Event]]] = {}

named: dict[str, type[Event]] = {}
"""What `register_event_class` says on the class of stores, for all of them."""

generation = object()
"""Another one after each class that registers: who remembers what was found compares it."""


def register(cls: type[Event]) -> None:
    """Makes `cls` known by its wire names, in place of an earlier class of the same path."""
    for name in names(cls):
        _classes.setdefault(name, WeakValueDictionary())[_path(cls)] = cls
    _note_sources(cls)
    _begin_generation()


def _note_sources(cls: type[Event]) -> None:
    for part in cls.__becomes__ or ():
        _sources.setdefault(_claim(part), WeakValueDictionary())[_claim(cls)] = cls


def _begin_generation() -> None:
    global generation
    generation = object()


def names(cls: type[Event]) -> tuple[str, ...]:
    """Returns the wire names of a class, the current one first."""
    return cls.__event_type__, *cls.__formerly__


def sources(cls: type[Event]) -> list[type[Event]]:
    """Returns the retired classes whose events become events of `cls`."""
    found = _sources.get(_claim(cls))
    classes = [] if found is None else list(found.values())
    return [
        each
        for each in classes
        if any(each is known for known in _known(each))
        and any(is_one(cls, part) for part in each.__becomes__ or ())
    ]


def _known(cls: type[Event]) -> list[type[Event]]:
    return list(_classes.get(cls.__event_type__, {}).values())


def registered(name: str) -> list[type[Event]]:
    """Returns the classes that claim a wire name, oldest first; more than one is ambiguous."""
    return _of_the_program(_classes.get(name))


def living(name: str) -> list[type[Event]]:
    """Like `registered`, without classes that are no longer referenced.

    Such a class exists until the garbage collector runs; the result must not depend on when.
    """
    found = registered(name)
    if len(found) > 1 or any(map(is_local, found)):
        found.clear()
        gc.collect()
    return registered(name)


def known() -> list[type[Event]]:
    """Returns every class of events that there is, once."""
    found = {id(cls): cls for bucket in list(_classes.values()) for cls in list(bucket.values())}
    return list(found.values())


def defined() -> list[type[Event]]:
    """Returns every class of events that a module has defined."""
    return [cls for cls in known() if not is_local(cls)]


def defined_aggregates() -> list[type[Aggregate]]:
    """Returns every class of aggregates that a module has defined."""
    found = [cls for bucket in list(_aggregates.values()) for cls in list(bucket.values())]
    return [cls for cls in found if not is_local(cls)]


def newest(cls: type[Event]) -> type[Event]:
    """Returns the class that has replaced `cls`, or `cls`."""
    bucket = _classes.get(cls.__event_type__)
    return cls if bucket is None else bucket.get(_path(cls), cls)


def current(cls: type[Event]) -> type[Event]:
    """Returns the newest definition of a class, as of a notebook's cell that ran again.

    Classes made in functions stay apart: each call may mean another one.
    """
    return cls if is_local(cls) else newest(cls)


def is_one(cls: type[Event], other: type[Event]) -> bool:
    """Tells whether two classes are the same, or definitions of the same one."""
    return cls is other or (
        cls.__event_type__ == other.__event_type__
        and not is_local(cls)
        and _path(cls) == _path(other)
    )


def register_aggregate(name: str, cls: type[Aggregate]) -> None:
    """Makes a class of aggregates known under its wire name."""
    _aggregates.setdefault(name, WeakValueDictionary())[_path(cls)] = cls


def aggregates(name: str) -> list[type[Aggregate]]:
    """Returns the classes of aggregates whose streams are of this type."""
    return _of_the_program(_aggregates.get(name))


class LocalClaims:
    """The wire names that classes made in functions claim, to be given up again after a test.

    A class of a module stays, for the module is imported only once.
    """

    def __init__(self) -> None:
        self._events = _local(_classes)
        self._aggregates = _local(_aggregates)
        self._named = named.copy()

    def restore(self) -> None:
        """Takes back every claim of a local class, and every name registered for all stores."""
        _restore(_classes, self._events)
        for cls in self._events.values():
            _note_sources(cls)
        _begin_generation()
        _restore(_aggregates, self._aggregates)
        named.clear()
        named.update(self._named)


def _local(by_name: dict[str, WeakValueDictionary[_Path, C]]) -> dict[tuple[str, _Path], C]:
    return {
        (name, path): cls
        for name, bucket in by_name.items()
        for path, cls in bucket.items()
        if is_local(cls)
    }


def _restore(
    by_name: dict[str, WeakValueDictionary[_Path, C]], before: dict[tuple[str, _Path], C]
) -> None:
    for name, path in _local(by_name).keys() - before.keys():
        del by_name[name][path]
    for (name, path), cls in before.items():
        by_name[name][path] = cls


def same(cls: type[Event], other: type[Event]) -> bool:
    """Tells whether two classes are the same, or one replaces the other."""
    return cls is other or _path(cls) == _path(other)


def is_local(cls: type) -> bool:
    """Tells whether a class was made inside of a function."""
    return "<locals>" in cls.__qualname__


def shown(cls: type[Any]) -> str:
    """Returns the path of a class, with those of the classes that a generic one is made for."""
    generic: dict[str, Any] = getattr(cls, "__pydantic_generic_metadata__", {})
    if generic.get("origin") is None:
        return f"{cls.__module__}.{cls.__qualname__}"
    made_for = ", ".join(shown(a) if isinstance(a, type) else repr(a) for a in generic["args"])
    return f"{shown(generic['origin'])}[{made_for}]"


def where(function: Any) -> str:
    """Returns the module of a function and its line there, if it has one."""
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    module: str = getattr(inner, "__module__", type(inner).__module__)
    return module if code is None else f"{module}, line {code.co_firstlineno}"


def _claim(cls: type[Event]) -> _Claim:
    return cls.__event_type__, _path(cls)


def _path(cls: type[Any]) -> _Path:
    """Returns what identifies a class: `Changed[Address]` of two `Address`es are two classes."""
    return cls.__module__, cls.__qualname__, shown(cls)


def _of_the_program(bucket: WeakValueDictionary[_Path, C] | None) -> list[C]:
    found = [] if bucket is None else list(bucket.values())
    own = [cls for cls in found if cls.__module__ != "eventuali.event._demo"]
    return own or found
