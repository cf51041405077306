"""Every option that users can give, found in the signatures of the package.

An option is named `Owner.method.parameter`; `Owner.parameter` for a constructor,
`Owner[class].parameter` for a keyword of a class statement, `function.parameter` for a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import eventuali
from eventuali import Aggregate, Event, sync
from eventuali.event._envelope import GIVEN

RESULTS = {
    "Change", "CheckpointInfo", "CleanedSnapshots", "Committed", "Damage", "DeadLetter",
    "Delivery", "Entry", "EventMeta", "ExpectedVersion", "Failure", "Finding", "GroupStatus",
    "Handled", "Horizon", "Imported", "Metadata", "Outcome", "PartitionStatus",
    "ProjectionStatus", "Snapshot", "SnapshotStats", "Step", "StoreStats", "StoredType",
    "StreamInfo", "TenantEvent", "TenantUsage", "Verification",
}  # fmt: skip
"""Classes that the library makes instances of: what they hold is no option."""
OPENED = {
    "AllTenants",
    "Block",
    "DeadLetters",
    "Documents",
    "EventStore",
    "EventStream",
    "Member",
    "Running",
    "Subscription",
    "UnitOfWork",
}
"""Classes whose constructor is not to be called."""
INTERNAL = {"UnknownEvent", "registered"}
"""For the library alone, though a module lists them."""


def public_modules() -> list[ModuleType]:
    """Returns the package and its public modules."""
    return [eventuali, *(import_module(f"eventuali.{name}") for name in sorted(eventuali._MODULES))]


def public_classes() -> dict[str, type]:
    """Returns the public classes by name; of the two stores the asynchronous one."""
    found: dict[str, type] = {}
    for module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and value is not sync.EventStore:
                found.setdefault(name, value)
    return {name: found[name] for name in found.keys() - RESULTS - INTERNAL}


def public_options() -> set[str]:
    """Returns the names of all options."""
    options: set[str] = set()
    for name, cls in public_classes().items():
        options |= {f"{name}.{one}" for one in of_constructor(cls)}
        for method, function in methods(cls):
            options |= {f"{name}.{method}.{one}" for one in parameters(function)[1:]}
        if "__pydantic_init_subclass__" in vars(cls):
            hook = cls.__pydantic_init_subclass__
            options |= {f"{name}[class].{one}" for one in parameters(hook)}
    for name, function in public_functions().items():
        options |= {f"{name}.{one}" for one in parameters(function)}
    return options


def public_functions() -> dict[str, Any]:
    """Returns the public functions that are of no class, by name."""
    found = {name: getattr(module, name) for module in public_modules() for name in module.__all__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isfunction(value) and name not in INTERNAL
    }


def of_constructor(cls: type) -> list[str]:
    if cls is Event:
        return sorted(GIVEN)
    if cls is Aggregate:
        return list(Aggregate.__pydantic_fields__)
    if cls.__name__ in OPENED or not ("__init__" in vars(cls) or issubclass(cls, Exception)):
        return []
    return [one for one in parameters(cls.__init__)[1:] if not one.startswith("_")]


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yields the public methods that a class defines itself; handlers are called by `apply`."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        if not name.startswith(("_", "apply_")) and inspect.isfunction(function):
            yield name, function


def parameters(function: Any) -> list[str]:
    """Returns the names of what a function takes, but for `**kwargs`."""
    given = inspect.signature(function).parameters.values()
    return [one.name for one in given if one.kind != one.VAR_KEYWORD]


def difference_of_the_stores() -> set[str]:
    """Returns the options that only one of the two stores has."""

    def of(cls: type) -> set[str]:
        return {f"{name}.{one}" for name, function in methods(cls) for one in parameters(function)}

    return of(eventuali.EventStore) ^ of(sync.EventStore)
