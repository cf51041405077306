"""What the code of an aggregate class does with events, as a digest.

Snapshots of code that may have made another state must not be used. So the digest covers all code
of the program that the class, its events and their steps reach by imports, module by module: what
is in a module may be found in so many ways that no part of it is left out. What is registered with
their single dispatches counts, wherever it is. Comments and docstrings don't count. Code of other
packages is not looked into: `snapshot_version` is for that.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, singledispatchmethod
from inspect import getattr_static
from types import FunctionType, MappingProxyType
from typing import Any, TypeAlias

import pydantic

from eventuali.aggregate import Aggregate
from eventuali.event import Event, _registry
from eventuali.snapshot._modules import (
    Unclear,
    changed_at,
    has_source,
    imported,
    is_own,
    place_of,
    source_of,
)
from eventuali.snapshot._values import Values

__all__ = ["Registered", "Unclear", "examined", "fingerprint", "handled"]

_BASES = (Aggregate, Event)
Registered: TypeAlias = Mapping[Any, Callable[..., Any]]
"""The implementations of a single dispatch, by class."""


def fingerprint(cls: type[Aggregate]) -> str:
    """Returns the digest of a class: the same in each process that runs the same code.

    Raises:
        TypeError: The annotation of a handler names a class that does not exist.
        Unclear: It can't be told what the code does.
    """
    return examined(cls)[0]


def examined(cls: type[Aggregate]) -> tuple[str, list[Registered]]:
    """Returns the digest of a class, and what its code dispatches by, which may still grow.

    Raises:
        TypeError: The annotation of a handler names a class that does not exist.
        Unclear: It can't be told what the code does.
    """
    events = handled(cls)
    packages = {each.__module__.partition(".")[0] for each in (*cls.__mro__, *events)}
    packages -= sys.stdlib_module_names - {"__main__"}
    own = partial(is_own, packages=packages)
    seen = Values(own, has_source)
    versions = sys.version_info[:2], pydantic.VERSION, cls.__snapshot_version__
    seen.add("versions", versions)
    seen.add("state", cls)
    for name in sorted(dir(cls)):
        if name.startswith("apply_"):
            seen.add(name, getattr_static(cls, name))
    seen.add("ignored", sorted(cls.__ignored_names__()))
    seen.add("events", events)
    reached = _Reached(cls, own)
    known: dict[str, Registered] = {}
    while True:
        new = reached.follow(seen.modules)
        if not new - known.keys():
            break
        for name, registered in sorted(new.items()):
            if name not in known:
                seen.add(name, sorted(registered.items(), key=_path))  # and so meets more modules
        known |= new
    seen.add("modules", sorted(reached.digests.items()))
    return seen.hexdigest(), list(known.values())


class _Reached:
    """Modules that code reaches.

    Attributes:
        digests: What they are made of, by name.
    """

    def __init__(self, cls: type[Aggregate], is_own: Callable[[str], bool]) -> None:
        self.digests: dict[str, str] = {}
        self._cls = cls
        self._is_own = is_own
        self._done: set[str] = set()

    def follow(self, modules: Iterable[str]) -> dict[str, Registered]:
        """Reaches modules, and those that they reach; returns what all of them dispatch by."""
        waiting, done = list(modules), self._done
        while waiting:
            name = waiting.pop()
            if name in done or not self._is_own(name):
                continue
            done.add(name)
            waiting.extend(_parents(name))
            place = place_of(name)
            source = None if place is None else source_of(place)
            if place is None or source is None:
                continue  # a name that is no module, or a notebook, whose classes are looked into
            if changed_at(place) > self._cls.__made_at__:
                raise Unclear(f"{place.file} was changed after {self._cls.__name__} was made")
            self.digests[name] = source.digest
            waiting.extend(imported(place, source, self._is_own))
        return dict(each for name in sorted(self.digests) for each in _dispatches(name))


def _dispatches(module: str) -> Iterator[tuple[str, Registered]]:
    """Yields the single dispatches that a module and its classes hold, by name."""
    loaded = sys.modules.get(module)
    values = [] if loaded is None else list(vars(loaded).values())
    # By their types: a proxy of something else may not be asked yet.
    for cls in [each for each in values if issubclass(type(each), type)]:
        if cls.__module__ == module:
            values.extend(vars(cls).values())
    for value in values:
        function = value.dispatcher if issubclass(type(value), singledispatchmethod) else value
        registered = getattr(function, "registry", None) if type(function) is FunctionType else None
        if type(registered) is MappingProxyType:
            yield f"{function.__module__}.{function.__qualname__}", registered


def _path(item: tuple[Any, Any]) -> str:
    return f"{item[0].__module__}.{item[0].__qualname__}"


def _parents(name: str) -> list[str]:
    """Returns the packages that an import of a module runs before it."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def handled(cls: type[Aggregate]) -> list[type[Event]]:
    """Returns the classes of events that an aggregate may be given, in an order of their own.

    Those that its handlers take, with their subclasses, and those whose events become such.

    Raises:
        TypeError: The annotation of a handler names a class that does not exist.
    """
    found = _handled(cls)
    if any(map(_registry.is_local, found)):
        gc.collect()  # classes that are gone must not count until a collection
        found = _handled(cls)
    return sorted(found, key=lambda each: (_registry.shown(each), each.__event_type__))


def _handled(cls: type[Aggregate]) -> list[type[Event]]:
    handlers = cls.__dispatch__.complete()
    taken = handlers.annotated()
    taken |= {each for each in _registry.known() if handlers.takes(each)}
    new = list(taken)
    while new:
        more = [source for each in new for source in _registry.sources(each)]
        new = [each for each in more if each not in taken]
        taken.update(new)
    return [each for each in taken if each not in _BASES]
