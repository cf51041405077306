"""When a wait ends: by the machine's clock, or by one that a test sets, whichever is first there.

So a test that moves its clock does not wait, and one whose clock stands still does not hang.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import TypeAlias

from eventuali._engine.clock import StoreClock
from eventuali._eventuali import Store

Reader: TypeAlias = Callable[[], int | None]

entered: list[StoreClock] = []
"""The clocks in whose block the process is; the last one counts."""
_waiting: dict[object, Callable[[], None]] = {}
"""Whom to tell that a clock was moved."""
_lock = Lock()


class Limit:
    """The end of a wait that begins now.

    Attributes:
        follows: Whether a clock that a test sets can end it.
    """

    __slots__ = ("_due", "_read", "_until", "follows")

    def __init__(self, seconds: float, read: Reader | None = None) -> None:
        """Begins the wait.

        Args:
            seconds: How long it is.
            read: Reads another clock than the machine's, in µs, by which it may end as well; see
                `followed`.
        """
        self._until = monotonic() + seconds
        self._read = read
        self.follows = read is not None
        shown = None if read is None else read()
        endless = shown is None or seconds >= TIMEOUT_MAX
        self._due = inf if endless else (shown or 0) + round(seconds * 1_000_000)

    def left(self) -> float:
        """Returns the seconds that are left; 0 once either clock has come to the end."""
        left = max(self._until - monotonic(), 0.0)
        if left and self._read is not None and (self._read() or 0) >= self._due:
            return 0.0
        return left

    @contextmanager
    def telling(self, wake: Callable[[], None]) -> Iterator[None]:
        """Calls a function meanwhile, in any thread, whenever a clock was moved."""
        if not self.follows:
            yield
            return
        key = object()
        with _lock:
            _waiting[key] = wake
        try:
            yield
        finally:
            with _lock:
                _waiting.pop(key, None)


def followed(store: Store | None = None, clock: object = None) -> Reader | None:
    """Returns what reads the clock that ends the waits of a store besides the machine's.

    That is its own, if a test gave it one; else the one in whose block the process is; None if
    there is neither. Before the store is open, the clock that it will have is `clock`.
    """
    if store is not None and store.clock() is not None:
        return store.clock
    found = clock if isinstance(clock, StoreClock) else next(iter(entered[-1:]), None)
    return None if found is None else found._core.now


def moved() -> None:
    """Tells those who wait that a clock was moved."""
    with _lock:
        wakes = list(_waiting.values())
    for wake in wakes:
        wake()


if hasattr(os, "register_at_fork"):
    # In the child nobody waits, and the lock may be held by a thread of the parent.
    def _after_fork() -> None:
        global _lock
        _lock = Lock()
        _waiting.clear()

    os.register_at_fork(after_in_child=_after_fork)
