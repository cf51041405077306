"""Whose turn it is to handle events again that a process ended among."""

from __future__ import annotations

from threading import Lock
from time import monotonic

LONGEST = 60.0
"""How long somebody waits for a turn, in seconds; a handler may hang."""
_WISH = 0.1
"""How long nobody else begins once somebody has asked to be alone, in seconds; it asks again."""


class Turn:
    """One at a time of those that work side by side, or several that are not suspected.

    Each of them was at work when a process ended, and any event in hand may be the one that ends
    it. An event that was begun before is tried alone, so that no other one is blamed for it, and
    it for no other one.
    """

    def __init__(self) -> None:
        """Nobody has it."""
        # Each may be at work in a thread of its own. Nobody ever waits for the lock for long.
        self._lock = Lock()
        self._alone_since: float | None = None
        self._beside = 0
        self._wished_at = -_WISH

    def take(self) -> bool:
        """Takes the turn alone; False where others are at work."""
        with self._lock:
            if self._alone_since is not None or self._beside:
                self._wished_at = monotonic()
                return False
            self._alone_since = monotonic()
            return True

    def give(self) -> None:
        """Gives it to the next one."""
        with self._lock:
            self._alone_since = None

    def begin(self) -> bool:
        """Begins beside others; False where one is alone, or waits to be.

        One that has been alone for very long hangs, and keeps nobody waiting any more.
        """
        with self._lock:
            now, since = monotonic(), self._alone_since
            alone = since is not None and now - since < LONGEST
            if alone or now - self._wished_at < _WISH:
                return False
            self._beside += 1
            return True

    def end(self) -> None:
        """Ends what `begin` began."""
        with self._lock:
            self._beside -= 1
