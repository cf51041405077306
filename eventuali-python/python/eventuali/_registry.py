"""Which event classes exist, by wire name. Classes register themselves when they are defined."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from eventuali.event import Event

# Weak, so that classes made in functions can die. The inner key is (module, qualified name): a
# module reloaded or a notebook cell run again replaces its class instead of contradicting it.
_classes: dict[str, WeakValueDictionary[tuple[str, str], type[Event]]] = {}


def register(name: str, cls: type[Event]) -> None:
    """Makes `cls` known under a wire name, in place of an earlier class of the same path."""
    bucket = _classes.setdefault(name, WeakValueDictionary())
    bucket[cls.__module__, cls.__qualname__] = cls


def registered(name: str) -> list[type[Event]]:
    """Returns the classes that claim a wire name, oldest first; more than one is ambiguous."""
    bucket = _classes.get(name)
    return [] if bucket is None else list(bucket.values())
