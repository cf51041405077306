"""What follows an attempt to store that failed: the same again, a new attempt, or an error."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from eventuali.errors import (
    AppendConditionError,
    DatabaseError,
    EventStoreError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    StoreClosedError,
)
from eventuali.expected import at_least

ATTEMPTS = 20
"""Enough for each of 64 concurrent callers with conflicting decisions to succeed."""
_FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.25


class Attempts(ABC):
    """Attempts to store the result of a function, which is called anew after a conflict.

    Attributes:
        settled: Whether it is known that the last one was not stored, so that a new one is needed.
        made: How many were made.
    """

    WHAT: ClassVar[str]
    """What is attempted, as messages call it."""

    def __init__(self, attempts: int) -> None:
        """Begins without an attempt.

        Raises:
            TypeError: `attempts` is not an int.
            InvalidEventError: It is below 1.
        """
        self.settled = False
        self.made = 0
        self._most = at_least(1, attempts, "attempts")
        self._doubt: OutcomeUnknownError | None = None

    @abstractmethod
    def event_ids(self) -> Iterable[UUID]:
        """Returns the ids of the events that are to be stored."""

    def advice(self) -> str:
        """Returns what to do if the outcome stays unknown."""
        return "look for its events with Query(event_ids=…) before you call again"

    def refused(self, error: EventStoreError) -> float:
        """Returns the seconds to wait before sending the same again or making a new attempt.

        Raises:
            EventStoreError: There is to be no further attempt.
        """
        self.made += 1
        if isinstance(error, OptimisticConcurrencyError) and self._stays(error):
            self.settled, self._doubt = True, None
        elif isinstance(error, OutcomeUnknownError):
            self._doubt = error
        elif self._doubt is None:
            raise error
        elif isinstance(error, StoreClosedError) or not (
            isinstance(error, DatabaseError | OptimisticConcurrencyError)
        ):
            raise self._in_doubt() from error
        if self.made == self._most:
            raise self._gave_up(error) from error
        return self.pause()

    def pause(self) -> float:
        """Returns the seconds to wait before the next attempt."""
        longest: float = min(_FIRST_PAUSE * 2 ** (self.made - 1), LONGEST_PAUSE)
        return longest * random.random()  # noqa: S311 - keeps callers apart, guards no secret

    def _stays(self, error: OptimisticConcurrencyError) -> bool:
        """Whether a commit in doubt before this conflict can't have been stored either.

        A violated condition stays violated, and so does an expected version, except that a stream
        can still come to exist.
        """
        return self._doubt is None or error.expected_version != "stream_exists"

    def _gave_up(self, error: EventStoreError) -> EventStoreError:
        if not self.settled or not isinstance(error, OptimisticConcurrencyError):
            return self._in_doubt()
        times = "one attempt" if self.made == 1 else f"{self.made} attempts"
        given_up = f"the {self.WHAT} was given up after {times}"
        advice = "call again, with higher attempts= if that happens often"
        if isinstance(error, AppendConditionError):
            return AppendConditionError(
                f"{given_up}: another writer appended an event that it depends on, at position "
                f"{error.position}; {advice}",
                after=error.after,
                position=error.position,
            )
        return OptimisticConcurrencyError(
            f"{given_up}: {error}; {advice}",
            stream=error.stream,
            expected_version=error.expected_version,
            actual_version=error.actual_version,
        )

    def _in_doubt(self) -> OutcomeUnknownError:
        times = "one attempt" if self.made == 1 else f"{self.made} attempts"
        return OutcomeUnknownError(
            f"it is unknown whether the {self.WHAT} is stored, after {times}; {self.advice()}",
            event_ids=self.event_ids(),
        )
