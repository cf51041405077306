"""Where a named subscription goes on: a record with a position, and the id of the event there.

A position alone would not do: a database that is restored from an older copy gives the same
positions to other events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic
from typing import NamedTuple
from uuid import UUID, uuid4

from eventuali._eventuali import Page, Pending, Row, Store
from eventuali._names import check_name
from eventuali._steps import Firm, Steps
from eventuali.errors import CheckpointMismatchError, OptimisticConcurrencyError
from eventuali.query import Item

SPACE = "checkpoint"
EVERY_S = 0.1
EVERY_EVENTS = 1000
FIRM_S = 5.0
"""How long a write is waited for by somebody who was cancelled."""
AHEAD = 1000
"""So many positions without a match are not looked at twice."""


class _Attempt(NamedTuple):
    """A write that may have happened; repeating it with its id does nothing twice."""

    id: UUID
    place: Place
    expected: int | None


class Place(NamedTuple):
    """An event that is stored."""

    position: int
    event_id: UUID


class Checkpoint:
    """The checkpoint of one name, as one follower knows it."""

    def __init__(self, store: Store, name: str, items: Sequence[Item]) -> None:
        """Reads nothing yet.

        Raises:
            TypeError: The name is no string.
            InvalidEventError: The name is no name.
        """
        self.name = check_name("name", name)
        self._store = store
        self._items = items
        self._version: int | None = None
        self._written: Place | None = None
        self._handled: Row | None = None
        self._looked_to = self._searched_to = 0
        self._count = 0
        self._last = monotonic()
        self._attempt: _Attempt | None = None
        self._lock = Lock()  # a thread follows, another one closes; never held while one waits

    def read(self) -> Steps[int]:
        """Returns the position to go on from: 0 where the name is new.

        Raises:
            CheckpointMismatchError: The event of the checkpoint is not there any more.
        """
        stored = yield self._store.record(SPACE, self.name)
        if stored is None:
            return 0
        self._version, value = stored
        content = json.loads(value)
        place = Place(content["position"], UUID(content["event_id"]))
        found = None
        # A stream is readable sooner than the log as a whole is settled.
        for items in ([], self._items):
            page = yield self._store.read(
                items, after=place.position - 1, until=place.position, limit=1
            )
            if len(page):
                found = _last(page).event_id
                break
        if found != place.event_id:
            what = "no event" if found is None else f"event {found}"
            raise CheckpointMismatchError(
                f"the checkpoint of {self.name!r} is at position {place.position}, event "
                f"{place.event_id}, but {what} is there now: the store is not the one that was "
                "followed, or lost events; follow under another name",
                name=self.name,
                position=place.position,
                event_id=place.event_id,
            )
        self._written = place
        self._looked_to = place.position
        return place.position

    def handled(self, row: Row) -> None:
        """Notes an event whose handler has returned."""
        self._handled = row
        self._count += 1

    def looked(self, position: int) -> None:
        """Notes that all that matches up to a position is handled."""
        self._looked_to = position

    def due(self) -> float | None:
        """Returns in how many seconds it is to be written; None where there is nothing to write."""
        if self._count == 0 and self._attempt is None and not self._far():
            return None
        if self._count >= EVERY_EVENTS:
            return 0.0
        return max(self._last + EVERY_S - monotonic(), 0.0)

    def _known(self) -> int:
        """Returns the position of the last event that was handled, or passed over, and is known."""
        written = 0 if self._written is None else self._written.position
        return written if self._handled is None else max(self._handled.position, written)

    def _far(self) -> bool:
        seen = max(self._known(), self._searched_to)
        return bool(self._items) and self._looked_to - seen >= AHEAD

    def write(self) -> Steps[None]:
        """Writes how far everything is handled.

        Raises:
            CheckpointMismatchError: Somebody else follows under this name.
        """
        yield from self._reach(None)
        self._count, self._last = 0, monotonic()
        row = self._handled
        if self._far():
            page = yield self._store.read(
                [], after=self._known(), until=self._looked_to, backwards=True, limit=1
            )
            row = _last(page) if len(page) else row
            self._searched_to = self._looked_to
        yield from self._reach(None if row is None else Place(row.position, row.event_id))

    def _reach(self, place: Place | None) -> Steps[None]:
        """Settles the attempt of whoever writes at the same time, then writes a place behind it."""
        while True:
            with self._lock:
                attempt, written = self._attempt, self._written
                if attempt is None:
                    if place is None or (written and place.position <= written.position):
                        return
                    attempt = self._attempt = _Attempt(uuid4(), place, self._version)
            yield from self._put(attempt)

    def _put(self, attempt: _Attempt) -> Steps[None]:
        position, event_id = attempt.place
        value = json.dumps({"position": position, "event_id": str(event_id)}).encode()

        def put() -> Pending:
            return self._store.put_record(SPACE, self.name, attempt.expected, value, attempt.id)

        try:
            version = yield from _settled(put)
        except OptimisticConcurrencyError as error:
            if self._attempt is not attempt:
                return  # whoever wrote it at the same time has settled it, and gone on
            raise CheckpointMismatchError(
                f"the checkpoint of {self.name!r} moved: somebody else follows under this name",
                name=self.name,
                position=position,
                event_id=event_id,
            ) from error
        with self._lock:
            if self._attempt is attempt:
                self._attempt = None
                self._version, self._written = version, attempt.place


def _settled(write: Callable[[], Pending]) -> Steps[int]:
    """Waits for a write that can be repeated, also after the wait was broken off.

    Who goes on under the name must not meet it on its way. It is repeated once then, and waited for
    so many seconds, however often that is broken off. A second Ctrl-C ends this wait, too.
    """
    broken_off: BaseException | None = None
    step: Pending | Firm = write()
    while True:
        try:
            answer: int = yield step
        except GeneratorExit:
            raise
        except Exception:
            if broken_off is None:
                raise
            raise broken_off from None
        except BaseException as error:
            if broken_off is None:
                broken_off, step = error, Firm(write(), FIRM_S)
            elif isinstance(error, KeyboardInterrupt):
                raise
        else:
            if broken_off is None:
                return answer
            raise broken_off


def _last(page: Page) -> Row:
    return page.columns()[2][-1]
