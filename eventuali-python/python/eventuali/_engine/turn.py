"""Whose turn it is to handle events again that a process ended among."""

from __future__ import annotations

from threading import Lock

LONGEST = 60.0
"""How long a projection waits for its turn, in seconds; a handler may hang."""


class Turn:
    """One at a time of the projections that run together.

    Each of them was at work when a process ended, and any event in hand may be the one that ends
    it. Only a projection that has its turn tries such an event, so that no other one is blamed.
    """

    def __init__(self) -> None:
        """Nobody has it."""
        # A projection may be at work in a thread of its own. Nobody ever waits for the lock.
        self._lock = Lock()

    def take(self) -> bool:
        """Takes the turn; False where another one has it."""
        return self._lock.acquire(blocking=False)

    def give(self) -> None:
        """Gives it to the next one."""
        self._lock.release()
