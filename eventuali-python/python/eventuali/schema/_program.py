"""What the modules of a program define: events, and who raises, applies and handles them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import getattr_static
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from eventuali._imported import imported
from eventuali.aggregate import Aggregate
from eventuali.aggregate._commands import MARK
from eventuali.errors import ConfigurationError
from eventuali.event import Event, _registry
from eventuali.event._registry import shown
from eventuali.projection import Projection


@dataclass(frozen=True, slots=True)
class Program:
    """What was found, each sorted by its path.

    Attributes:
        modules: The modules.
        events: The classes of events.
        aggregates: The classes of aggregates.
        projections: The classes of projections.
        functions: The functions that handle commands.
    """

    modules: tuple[ModuleType, ...]
    events: tuple[type[Event], ...]
    aggregates: tuple[type[Aggregate], ...]
    projections: tuple[type[Projection[Any]], ...]
    functions: tuple[Callable[..., Any], ...]


def program(names: Iterable[str]) -> Program:
    """Imports modules, with all their submodules, and finds what they define or name.

    Raises:
        ConfigurationError: There is no such module, one can't be imported, or there is no event.
    """
    names = list(names)
    modules = {module.__name__: module for name in names for module in _tree(name)}
    events = _of(modules, _registry.defined(), Event)
    if not events:
        listed = ", ".join(names)
        raise ConfigurationError(f"there is no class of events in {listed}, nor in a module of it")
    return Program(
        tuple(modules[name] for name in sorted(modules)),
        tuple(sorted(events, key=shown)),
        tuple(sorted(_of(modules, _registry.defined_aggregates(), Aggregate), key=shown)),
        tuple(sorted(_of(modules, _below(Projection), Projection), key=shown)),
        tuple(_functions(modules)),
    )


def _tree(name: str) -> Iterator[ModuleType]:
    """Imports a module and those below it."""
    if not all(map(str.isidentifier, name.split("."))):
        raise ConfigurationError(f"{name!r:.200} must be the name of a module, such as 'shop'")
    module = _imported(name)
    yield module
    for found in iter_modules(getattr(module, "__path__", ())):
        if found.name != "__main__":
            yield from _tree(f"{name}.{found.name}")


def _imported(name: str) -> ModuleType:
    try:
        return imported(name)
    except ConfigurationError:
        raise
    except (Exception, SystemExit) as error:
        text = f"{name} can't be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(text) from error


def _of(modules: dict[str, ModuleType], known: Iterable[Any], base: type[Any]) -> list[Any]:
    """Returns the classes that modules define, and those of others that they name."""
    found = {cls: None for cls in known if cls.__module__ in modules and _is_there(cls)}
    for module in modules.values():
        for value in list(vars(module).values()):
            if isinstance(value, type) and issubclass(value, base) and not _is_ours(value):
                found[value] = None
    return list(found)


def _is_there(cls: type[Any]) -> bool:
    """Whether a class is still what its path leads to, and not one from before a reload."""
    generic = getattr(cls, "__pydantic_generic_metadata__", {}).get("origin")
    wanted = generic or cls
    found: Any = sys.modules.get(wanted.__module__)
    for name in wanted.__qualname__.split("."):
        found = getattr_static(found, name, None)
    return found is wanted


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "eventuali"


def _below(cls: type[Any]) -> Iterator[type[Any]]:
    for each in cls.__subclasses__():
        yield each
        yield from _below(each)


def _functions(modules: dict[str, ModuleType]) -> Iterator[Callable[..., Any]]:
    for name in sorted(modules):
        for value in list(vars(modules[name]).values()):
            mark = getattr(value, MARK, None)
            is_own = getattr(value, "__module__", None) == name
            if mark is not None and is_own and not isinstance(value, type):
                yield value
