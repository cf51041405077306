"""How often something is tried whose commit others were faster than, and the pauses between."""

from __future__ import annotations

import random

from eventuali.errors import (
    DatabaseError,
    EventStoreError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    StoreClosedError,
)
from eventuali.expected import at_least

ATTEMPTS = 20
"""Enough for each of 64 concurrent callers that change the same aggregate to succeed."""
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25


class Retrying:
    """The attempts of one command.

    Attributes:
        settled: Whether it is known that nothing was stored, so that all is to be done again. If it
            is not, the same commit is to be sent again.
    """

    def __init__(self, attempts: int) -> None:
        """Begins.

        Raises:
            TypeError: `attempts` is not an int.
            InvalidEventError: It is below 1.
        """
        self._attempts = at_least(1, attempts, "attempts")
        self._made = 0
        self._doubt: OutcomeUnknownError | None = None
        self.settled = False

    def begin(self) -> None:
        """Notes that a new commit is made."""
        self.settled, self._doubt = False, None

    def refused(self, error: EventStoreError) -> float:
        """Returns the seconds to wait before the next attempt.

        Raises:
            EventStoreError: There is to be no further attempt.
        """
        self._made += 1
        if isinstance(error, OptimisticConcurrencyError):
            self.settled = True
        elif isinstance(error, OutcomeUnknownError):
            self._doubt = error
        elif self._doubt is None:
            raise error
        elif isinstance(error, StoreClosedError) or not isinstance(error, DatabaseError):
            raise self._doubt from error
        if self._made == self._attempts:
            times = "one attempt" if self._made == 1 else f"{self._made} attempts"
            error = error if self.settled else self._doubt or error
            error.add_note(f"the command was given up after {times}")
            raise error
        longest: float = min(_FIRST_PAUSE * 2 ** (self._made - 1), _LONGEST_PAUSE)
        return longest * random.random()  # noqa: S311 - keeps callers apart, guards no secret
