"""The blocking subscription."""

from __future__ import annotations

import sys
import threading
from math import inf
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from eventuali._engine.checkpoint import flushed
from eventuali._engine.follow import Following
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.limit import Limit, followed
from eventuali._engine.operation import Operation, run
from eventuali.errors import EventStoreError
from eventuali.expected import duration
from eventuali.query import E_co

T = TypeVar("T")


class Subscription(Following[E_co], Generic[E_co]):
    """Yields matching events in the order of their positions, and blocks for new ones at the end.

        with store.subscribe(name="auditor") as events:
            for event in events:
                ...

    One thread at a time takes events. Any thread may read `position` and `live`, wait for
    `caught_up`, or close it. For the rest see `eventuali.subscription.Subscription`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Don't call this directly; use `EventStore.subscribe`."""
        super().__init__(*arguments, **options)
        self._told = threading.Condition()
        self._times = 0  # that it was told
        self._holder: int | None = None  # the thread that takes events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E_co:
        """Returns the next event; blocks if there is none yet. Ctrl-C loses nothing."""
        if self._busy:
            raise RuntimeError("another thread is waiting for the next event of this subscription")
        self._left = None
        try:
            self._holder = threading.get_ident()
            if self._checkpoint is not None and (self._acknowledge() or self.closed):
                self._drive(flushed(self._checkpoint))
            event = self._held()
            while event is None:
                if not self._drive(self._advance()):
                    break
                event = self._held()
        except BaseException as error:
            self._leave("raised an error" if isinstance(error, Exception) else "was interrupted")
            raise
        if event is None:
            raise StopIteration
        self._unhandled = True
        return event

    def caught_up(self, seconds: float | None = None) -> None:
        """Blocks until all stored events are handled and the event after them is requested.

        Another thread has to take the events in the meantime.

        Raises:
            StreamingError: Before that, the subscription was closed, raised an error, or was
                interrupted by Ctrl-C.
            TimeoutError: It took longer than `seconds`.
        """
        refuse_in_loop()
        longest = inf if seconds is None else duration(seconds, "seconds")
        limit = Limit(longest, followed(self._store))
        before = self._times
        with limit.telling(self._wake), self._told:
            while not (self._live or self.closed or self._left or self._times != before):
                if not (left := limit.left()):
                    raise TimeoutError(f"the subscription has not caught up in {seconds} s")
                self._told.wait(None if left == inf else left)
        if not self._live:
            raise self._ended()

    def _tell(self) -> None:
        with self._told:
            self._times += 1
            self._told.notify_all()

    def _wake(self) -> None:
        with self._told:
            self._told.notify_all()

    def close(self) -> None:
        """Closes the subscription; see `eventuali.subscription.Subscription.aclose`."""
        self._end_it(handled=sys.exception() is None)

    def _end_it(self, *, handled: bool) -> None:
        self._stop()
        self._tell()
        if self._checkpoint is None:
            return
        if handled and self._holder == threading.get_ident():
            self._acknowledge()
        if self._started:
            run(flushed(self._checkpoint))

    def __enter__(self) -> Self:
        self._drive(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end_it(handled=error is None)
        except EventStoreError as failed:
            if error is None:
                raise
            error.add_note(f"the checkpoint of {self.name!r} was not written: {failed}")

    def _drive(self, operation: Operation[T]) -> T:
        """Runs an operation for the one thread that takes events."""
        refuse_in_loop()
        self._busy = True
        try:
            return run(operation)
        finally:
            self._busy = False
