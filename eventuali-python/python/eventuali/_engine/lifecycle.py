"""How a store is opened, prepared for a fork, and closed when the interpreter ends."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import Any, Literal, TypeAlias
from weakref import WeakSet

from eventuali._engine.clock import StoreClock, core_of
from eventuali._eventuali import (
    Pending,
    Store,
    after_fork_in_child,
    after_fork_in_parent,
    before_fork,
)
from eventuali.config import EventStoreConfig, options_of
from eventuali.errors import ConfigurationError, EventualiError, InvalidEventError
from eventuali.event._names import checked_text, encodable

Durability: TypeAlias = Literal["full", "relaxed"]
Place: TypeAlias = str | os.PathLike[str] | EventStoreConfig

_EXIT_SECONDS = 5.0
_open: WeakSet[Store] = WeakSet()

if hasattr(os, "register_at_fork"):
    # Threads that are inside SQLite would leave its mutexes locked in the child.
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )


def begin(
    place: Place, tenant: str, durability: Durability, clock: StoreClock | None = None
) -> Pending:
    """Begins to open a store.

    Raises:
        ConfigurationError: An option is wrong.
        TypeError: An argument has another type.
    """
    if not isinstance(place, str | os.PathLike | EventStoreConfig):
        # Only its type: bytes may hold a password.
        kind = type(place).__name__
        raise TypeError(f"a store is opened with a URL, a path or a config, not with {kind}")
    checked_text("tenant", tenant)
    if durability not in ("full", "relaxed"):
        message = f"durability must be 'full' or 'relaxed', not {durability!r:.60}"
        raise ConfigurationError(message)
    relaxed = durability == "relaxed"
    set_clock = core_of(clock)
    if isinstance(place, EventStoreConfig):
        return Store.open(options_of(place), tenant, relaxed, set_clock)
    path = os.fspath(place)
    if not isinstance(path, str):
        raise TypeError(f"a path must be a str, not {type(path).__name__}")
    if not encodable(path):
        raise ConfigurationError("the store URL contains a lone surrogate")
    return Store.open(path, tenant, relaxed, set_clock)


def named_tenant(tenant: object) -> str:
    """Returns the tenant for a view of a store; a missing claim must not mean the default.

    Raises:
        InvalidEventError: It is empty.
    """
    name = checked_text("tenant", tenant)
    if not name:
        raise InvalidEventError("the tenant of for_tenant must not be empty", field="tenant")
    return name


def opened(store: Store) -> Store:
    """Notes a store, to close it at exit if nobody has closed it before."""
    _open.add(store)
    return store


def refuse_in_loop() -> None:
    """Refuses to block in a thread that runs an event loop.

    Raises:
        RuntimeError: An event loop is running here, asyncio's or trio's.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise RuntimeError(
            "eventuali.sync.EventStore blocks, and an event loop is running here; "
            "use eventuali.EventStore and await its methods"
        )
    trio = sys.modules.get("trio")
    if trio is not None and _in_trio(trio):
        raise RuntimeError(
            "eventuali.sync.EventStore blocks, and trio is running here; "
            "call it in a thread, with trio.to_thread.run_sync"
        )


def _in_trio(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    except (RuntimeError, AttributeError):  # outside of it; trio is being imported
        return False
    return True


@atexit.register
def _close_all() -> None:
    """Closes every store, so that writes that have begun end; waits for at most 5 s."""
    deadline = monotonic() + _EXIT_SECONDS
    closing = []
    for store in list(_open):
        # The threads of a forked child's store live in its parent, which closes it.
        with suppress(EventualiError):
            closing.append(store.close())
    for pending in closing:
        with suppress(EventualiError, TimeoutError):
            pending.wait(max(deadline - monotonic(), 0.0))
