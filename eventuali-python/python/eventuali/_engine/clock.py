"""The clock that a store goes by: the real one, or one that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime

from eventuali._eventuali import SetClock, Store
from eventuali.event._envelope import utc


class StoreClock:
    """A clock that stands still until it is set; tests use `eventuali.testing.Clock`.

    It has no way to be made from a URL, a setting or the environment: only code that imports
    `eventuali.testing` can give one to a store.
    """

    __slots__ = ("_core",)

    def __init__(self, microseconds: int) -> None:
        self._core = SetClock(microseconds)


def core_of(clock: object) -> SetClock | None:
    """Returns a clock in the form for the extension.

    Raises:
        TypeError: It is something else.
    """
    if clock is None:
        return None
    if not isinstance(clock, StoreClock):
        raise TypeError(f"clock must be a Clock of eventuali.testing, not {clock!r:.60}")
    return clock._core


def shown_by(store: Store) -> datetime | None:
    """Returns what a clock shows that a test gave the store; None if it gave none."""
    shown = store.clock()
    return None if shown is None else utc(shown)


def now(store: Store) -> datetime:
    """Returns what time it is for a store."""
    return shown_by(store) or datetime.now(UTC)


def described(store: Store) -> str:
    """Returns what a store is called: its URL, and its clock if that is not the real one."""
    shown = shown_by(store)
    return store.url if shown is None else f"{store.url}, clock set to {shown}"
