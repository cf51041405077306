"""A clock to set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time_ns
from types import TracebackType
from typing import ClassVar, Self

from eventuali import event as _event
from eventuali._engine.clock import StoreClock
from eventuali._engine.limit import entered, moved
from eventuali.event import _envelope, _slot
from eventuali.event._envelope import since_epoch, utc

_READERS = (_event, _envelope, _slot)
"""The modules that ask what time it is for an event, by the name `time_ns`."""
_EARLIEST = 1
_LATEST = since_epoch(datetime.max.replace(tzinfo=UTC))


class Clock(StoreClock):
    """A clock that stands still until a test moves it.

        clock = Clock(datetime(2025, 1, 1, tzinfo=UTC))
        with clock, EventStore.create("memory://", clock=clock) as store:
            store.save(account)
            clock.advance(timedelta(days=30))

    A store that is opened with it takes `recorded_at` from it, and with that `load(at_time=)` and
    `read(since=, until=)` go by it, on every backend. It belongs to that store; others have theirs.

    `with clock:` has new events take their `timestamp`, and the time within their ids, from it, and
    so do the ids of new commands.
    An event is made before it meets a store, so this holds for the whole process, all threads
    included, until the block ends. Of two that are entered, the inner one counts.

    A wait is over once it is by either clock, this one or the machine's. So `advance` ends the
    pause before a handler is tried again, or a `wait_for` at its timeout, and whoever waits by a
    clock that stands does not hang. A store waits by its own clock, else by the one that was
    entered when the wait began.
    """

    __slots__ = ()

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, now: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        """Sets the clock for the first time.

        Args:
            now: What it shows, after 1970, with a time zone.

        Raises:
            ValueError: The time has no zone, or lies before 1970.
        """
        super().__init__(_microseconds(now))

    @property
    def now(self) -> datetime:
        """What it shows: aware, UTC, in µs."""
        return utc(self._core.now())

    def advance(self, by: timedelta) -> None:
        """Moves it forward.

        Args:
            by: How far, 0 or more.

        Raises:
            ValueError: It is negative; `set` can go back.
            OverflowError: It leads beyond year 9999.
        """
        if by < timedelta():
            raise ValueError(f"a clock advances by 0 or more, not by {by}; use set to go back")
        self.set(self.now + by)

    def set(self, to: datetime) -> None:
        """Sets it, also back. `recorded_at` of a store never falls all the same.

        Raises:
            ValueError: The time has no zone, or lies before 1970.
        """
        self._core.set(_microseconds(to))
        moved()

    def __enter__(self) -> Self:
        with self._lock:
            entered.append(self)
            _read_by(_nanoseconds(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            if not entered or entered[-1] is not self:
                raise RuntimeError("clocks are left in the reverse order in which they are entered")
            entered.pop()
            _read_by(_nanoseconds(entered[-1]) if entered else time_ns)

    def __repr__(self) -> str:
        return f"<Clock {self.now}>"


def _nanoseconds(clock: StoreClock) -> Callable[[], int]:
    return lambda: clock._core.now() * 1000


def _read_by(read: Callable[[], int]) -> None:
    """Has events ask this for the time; the real clock costs what it did before."""
    for module in _READERS:
        module.time_ns = read  # type: ignore[attr-defined]


def _microseconds(time: datetime) -> int:
    if not isinstance(time, datetime):
        raise TypeError(f"a clock is set to a datetime, not {time!r:.60}")
    found = since_epoch(time)
    if found is None:
        raise ValueError(f"{time} has no time zone; add one, such as tzinfo=UTC")
    if not _EARLIEST <= found <= (_LATEST or 0):
        raise ValueError(f"{time} is not after 1970, so no store can record it")
    return found
