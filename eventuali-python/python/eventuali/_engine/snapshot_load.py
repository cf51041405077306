"""Loading with a snapshot: the newest one at or below a version, and the events from it on.

The first of these must be the event that the snapshot stands on. If it is another one, or none, the
database is not the one that it was, and everything is replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeAlias, TypedDict

from eventuali._engine.bounds import NO_BOUND
from eventuali._engine.operation import Operation
from eventuali._engine.read import PAGE
from eventuali._engine.replay import Replay
from eventuali._engine.snapshot_record import Form, Taken
from eventuali._engine.snapshots import Snapshots, Wrong
from eventuali._eventuali import Page, Pending, Row, Store
from eventuali.aggregate import Aggregate, check_replayed
from eventuali.errors import EventStoreError, ForkedProcessError, StoreClosedError
from eventuali.query import Item


class Bounds(TypedDict, total=False):
    """Up to where an aggregate is loaded."""

    until_version: int
    recorded_until: int


Found: TypeAlias = Taken[Any] | Wrong | None
"""A snapshot; why there is none, if that is to be mended."""

AHEAD = 64
"""Aggregates that are looked for, and whose first pages are requested, at once."""


class Loading:
    """A load of aggregates of one class, which may have snapshots."""

    def __init__(
        self,
        snapshots: Snapshots,
        store: Store,
        cls: type[Aggregate],
        form: Form,
        bounds: Bounds,
        *,
        counted: bool = True,
    ) -> None:
        """Takes what is loaded; `counted`: whether what is used and missed is."""
        self._snapshots = snapshots
        self._store = store
        self._cls = cls
        self._form = form
        self._bounds = bounds
        self._replay = Replay(cls)
        self._counted = counted

    def load(self, aggregate_id: str) -> Operation[Any]:
        """Rebuilds an aggregate; None if nothing was ever stored."""
        found = yield from self.found(aggregate_id)
        page = yield self._begin(aggregate_id, found)
        return (yield from self._replayed(aggregate_id, found, page))

    def made(self, aggregate_id: str, found: Found) -> Operation[tuple[Any, Row | None]]:
        """Returns the aggregate and its last event, without writing anything."""
        page = yield self._begin(aggregate_id, found)
        aggregate, row, _, _ = yield from self._state(aggregate_id, found, page)
        return aggregate, row

    def load_many(self, ids: Iterable[str]) -> Operation[dict[str, Any]]:
        """Rebuilds several aggregates; some are looked for and read while others are decoded."""
        wanted = iter(ids)
        looked: deque[tuple[str, Pending]] = deque()
        begun: deque[tuple[str, Found, Pending]] = deque()
        loaded: dict[str, Any] = {}
        while True:
            looked.extend((key, self._look(key, NO_BOUND)) for key in islice(wanted, AHEAD))
            while looked:
                key, pending = looked.popleft()
                found = yield from self._found(key, NO_BOUND, pending)
                begun.append((key, found, self._begin(key, found)))
            if not begun:
                return loaded
            looked.extend((key, self._look(key, NO_BOUND)) for key in islice(wanted, AHEAD))
            while begun:
                key, found, pending = begun.popleft()
                aggregate = yield from self._replayed(key, found, (yield pending))
                if aggregate is not None:
                    loaded[key] = aggregate

    def found(self, aggregate_id: str) -> Operation[Found]:
        """Looks for the newest snapshot within the bounds."""
        at_most = self._bounds.get("until_version", NO_BOUND)
        recorded_until = self._bounds.get("recorded_until", NO_BOUND)
        while True:
            pending = self._look(aggregate_id, at_most)
            found = yield from self._found(aggregate_id, at_most, pending)
            if not isinstance(found, Taken) or found.at.recorded_at <= recorded_until:
                return found
            at_most = found.aggregate.version - 1

    def _look(self, aggregate_id: str, at_most: int) -> Pending:
        return self._store.snapshots().newest(self._form.series(aggregate_id), at_most)

    def _found(self, aggregate_id: str, at_most: int, pending: Pending) -> Operation[Found]:
        """Returns the snapshot that was looked for."""
        try:
            found = yield pending
        except (StoreClosedError, ForkedProcessError):
            raise
        except EventStoreError as error:
            return self._snapshots.unread(self._store.tenant, self._cls, aggregate_id, error)
        if found is None:
            self._note("missed")
            return None
        return self._snapshots.take(
            self._store, self._cls, self._form, aggregate_id, at_most, found
        )

    def _begin(self, aggregate_id: str, found: Found) -> Pending:
        """Begins to read: from the event on that a snapshot stands on, else from the first."""
        after = found.aggregate.version - 1 if isinstance(found, Taken) else 0
        return self._read(aggregate_id, after, 0)

    def _read(self, aggregate_id: str, after_version: int, after: int) -> Pending:
        item: Item = (self._cls.__aggregate_type__, aggregate_id, (), (), (), None)
        return self._store.read(
            [item], after=after, after_version=after_version, limit=PAGE, **self._bounds
        )

    def _replayed(self, aggregate_id: str, found: Found, page: Page) -> Operation[Any]:
        """Applies the events from the first page on, and writes a snapshot if it is time."""
        aggregate, row, base, found = yield from self._state(aggregate_id, found, page)
        if row is not None and not self._bounds:
            wrong = found if isinstance(found, Wrong) else None
            self._snapshots.loaded(self._store, aggregate, row, aggregate.version - base, wrong)
        return aggregate

    def _state(
        self, aggregate_id: str, found: Found, page: Page
    ) -> Operation[tuple[Any, Row | None, int, Found]]:
        """Returns the aggregate, its last event, and from which version and snapshot it is."""
        base, aggregate = 0, None
        if isinstance(found, Taken):
            base = found.aggregate.version
            while not len(page) and not page.end:
                page = yield self._read(aggregate_id, base - 1, page.looked_to)
            if self._stands(found, page):
                aggregate = found.aggregate
                self._note("used")
            else:
                base, found = 0, self._foreign(aggregate_id, found)
                page = yield self._read(aggregate_id, 0, 0)
        aggregate, row = yield from self._applied(aggregate_id, aggregate, page)
        return aggregate, row, base, found

    def _note(self, what: str) -> None:
        if self._counted:
            self._snapshots.note(self._store.tenant, self._cls.__aggregate_type__, what)

    def _stands(self, taken: Taken[Any], page: Page) -> bool:
        """Whether the first event is the one that a snapshot stands on."""
        if not len(page):
            return False
        first = page.columns()[2][0]
        return first.version == taken.aggregate.version and first.event_id == taken.at.event_id

    def _applied(
        self, aggregate_id: str, aggregate: Any, page: Page
    ) -> Operation[tuple[Any, Row | None]]:
        """Applies all pages; returns the aggregate, if there is one, and its last event."""
        seen, row = 0, None
        while True:
            seen = page.last_version or seen
            # The next page is read while this one is decoded.
            more = None if page.end else self._read(aggregate_id, seen, page.looked_to)
            if len(page):
                columns = page.columns()
                row = columns[2][-1]
                if aggregate is None:
                    aggregate = self._cls(id=aggregate_id)
                elif columns[2][0].version == aggregate.version:  # what the snapshot stands on
                    for column in columns:
                        del column[0]
                self._replay.apply(aggregate, columns)
                check_replayed(aggregate)
            if more is None:
                return aggregate, row
            page = yield more

    def _foreign(self, aggregate_id: str, taken: Taken[Any]) -> Wrong:
        text = f"the stream has no event {taken.at.event_id} at version {taken.aggregate.version}"
        self._snapshots.ignore(self._store.tenant, self._cls, aggregate_id, "foreign", text)
        return Wrong(taken.place)


def loading(
    snapshots: Snapshots | None, store: Store, cls: type[Aggregate], bounds: Bounds
) -> Loading | None:
    """Returns how aggregates of a class are loaded with snapshots; None if they have none."""
    form = None if snapshots is None else snapshots.form(cls)
    if snapshots is None or form is None:
        return None
    return Loading(snapshots, store, cls, form, bounds)
