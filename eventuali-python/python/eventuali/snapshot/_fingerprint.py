"""What the code of an aggregate class does with events, as a digest.

Snapshots of code that may have made another state must not be used. So the digest covers all code
of the program that the class, its events and their steps reach by imports, module by module: what
is in a module may be found in so many ways that no part of it is left out. Comments and docstrings
don't count. Code of other packages is not looked into: `snapshot_version` is for that.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from inspect import getattr_static

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

__all__ = ["Unclear", "fingerprint", "handled"]

_BASES = (Aggregate, Event)


def fingerprint(cls: type[Aggregate]) -> str:
    """Returns the digest of a class: the same in each process that runs the same code.

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
    seen.add("modules", sorted(_reached(cls, seen.modules, own).items()))
    return seen.hexdigest()


def _reached(
    cls: type[Aggregate], modules: set[str], is_own: Callable[[str], bool]
) -> dict[str, str]:
    """Returns the digests of modules, and of those that they reach, by name."""
    digests: dict[str, str] = {}
    waiting, done = list(modules), set[str]()
    while waiting:
        name = waiting.pop()
        if name in done or not is_own(name):
            continue
        done.add(name)
        waiting.extend(_parents(name))
        place = place_of(name)
        source = None if place is None else source_of(place)
        if place is None or source is None:
            continue  # a name that is no module, or a notebook, whose classes are looked into
        if changed_at(place) > cls.__made_at__:
            raise Unclear(f"{place.file} was changed after {cls.__name__} was made")
        digests[name] = source.digest
        waiting.extend(imported(place, source, is_own))
    return digests


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
