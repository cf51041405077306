"""Loading: rebuilding an aggregate from its events, as it is or as it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from eventuali._engine.arguments import aggregate_class, microseconds
from eventuali._engine.bounds import By, checked_by
from eventuali._engine.decode import Columns
from eventuali._engine.operation import Operation
from eventuali._engine.read import PAGE
from eventuali._engine.replay import Replay
from eventuali._engine.snapshot_load import AHEAD, Bounds, loading
from eventuali._engine.snapshots import Snapshots
from eventuali._eventuali import Page, Pending, Store
from eventuali.aggregate import Aggregate, check_replayed
from eventuali.errors import AggregateNotFoundError, InvalidEventError
from eventuali.event._names import checked_text
from eventuali.expected import checked_position
from eventuali.query import Item

A = TypeVar("A", bound=Aggregate)


def load(
    store: Store,
    cls: type[A],
    aggregate_id: str,
    at_version: int | None,
    at_time: datetime | None,
    by: By,
    snapshots: Snapshots | None = None,
) -> Operation[A | None]:
    """Rebuilds an aggregate from its events; None if nothing was ever stored."""
    aggregate_class(cls, "load")
    bounds: Bounds = {}
    happened_until = None
    checked_by(by)
    if at_version is not None and at_time is not None:
        raise TypeError("give at_version or at_time, not both")
    if at_version is not None:
        bounds["until_version"] = checked_position(at_version, "at_version")
    if at_time is not None:
        until = microseconds(at_time, "at_time")
        if by == "recorded_at":
            bounds["recorded_until"] = until
        else:
            happened_until = until
    name = cls.__aggregate_type__
    key = checked_text("aggregate_id", aggregate_id)
    item: Item = (name, key, (), (), (), None)
    pending: Pending | None = None
    aggregate: A | None = None
    if snapshots is not None and (cls.__snapshot_every__ or snapshots.every):
        with_snapshot = happened_until is None and loading(snapshots, store, cls, bounds)
    else:
        with_snapshot = None
    if with_snapshot:
        aggregate = yield from with_snapshot.load(key)
    else:
        pending = store.read([item], limit=PAGE, **bounds)
    replay = Replay(cls)
    seen = 0
    while pending is not None:
        page: Page = yield pending
        seen = page.last_version or seen
        # The next page is read while this one is decoded.
        pending = None
        if not page.end:
            pending = store.read(
                [item],
                after=page.looked_to,
                after_version=seen,
                limit=PAGE,
                **bounds,
            )
        if len(page):
            aggregate = aggregate or cls(id=key)
            columns = page.columns()
            if happened_until is not None and _cut(columns, happened_until):
                pending = None
            replay.apply(aggregate, columns)
            check_replayed(aggregate)
    if aggregate is not None and at_version is not None and aggregate.version < at_version:
        raise InvalidEventError(
            f"{name} {key!r:.260} is at version {aggregate.version}, below at_version={at_version}",
            field="at_version",
        )
    if aggregate is None and (at_version is not None or at_time is not None):
        streams, _ = yield store.streams(name, key, None, 1)
        return cls(id=key) if streams else None
    return aggregate


def _cut(columns: Columns, until: int) -> bool:
    """Drops the first event that happened later and all after it; returns whether there was one."""
    for index, row in enumerate(columns[2]):
        if row.timestamp > until:
            for column in columns:
                del column[index:]
            return True
    return False


def catch_up(store: Store, aggregate: Aggregate, last: UUID | None) -> Operation[UUID | None]:
    """Applies what was stored after the version of an aggregate that was loaded.

    Args:
        store: The store.
        aggregate: The aggregate.
        last: The id of the event at that version; None if that is not known.

    Returns:
        The id of the event at the version that it has now. None if the event that it had last is
        not there: somebody has put another copy under the store, and it has to be loaded anew.
    """
    cls = type(aggregate)
    item: Item = (cls.__aggregate_type__, aggregate.id, (), (), (), None)
    # With the event that it had last.
    page: Page = yield store.read([item], after_version=aggregate.version - 1, limit=PAGE)
    columns = page.columns()
    if not columns[2] or columns[2][0].version != aggregate.version:
        return None
    found = columns[2][0].meta().event_id
    if last not in (None, found):
        return None
    for column in columns:
        del column[0]
    while True:
        if columns[2]:
            found = columns[2][-1].meta().event_id
            Replay(cls).apply(aggregate, columns)
            check_replayed(aggregate)
        if page.end:
            return found
        page = yield store.read([item], after_version=aggregate.version, limit=PAGE)
        columns = page.columns()


def load_one(store: Store, cls: type[A], aggregate_id: str, *bounds: Any) -> Operation[A]:
    """Like `load`, but an aggregate that was never stored is an error."""
    return load_one_of(cls, aggregate_id, (yield from load(store, cls, aggregate_id, *bounds)))


def load_one_of(cls: type[A], aggregate_id: str, aggregate: A | None) -> A:
    """Returns what was loaded.

    Raises:
        AggregateNotFoundError: Nothing was ever stored.
    """
    if aggregate is None:
        name = cls.__aggregate_type__
        raise AggregateNotFoundError(
            f"no event is stored for {name} {aggregate_id!r:.260}",
            aggregate_type=name,
            aggregate_id=aggregate_id,
        )
    return aggregate


def load_many(
    store: Store, cls: type[A], ids: Iterable[str], snapshots: Snapshots | None = None
) -> Operation[dict[str, A]]:
    """Rebuilds several aggregates, of which some are read while others are decoded."""
    aggregate_class(cls, "load_many")
    wanted = iter(checked_ids(ids))
    if snapshots is not None and (cls.__snapshot_every__ or snapshots.every):
        with_snapshots = loading(snapshots, store, cls, {})
        if with_snapshots is not None:
            return (yield from with_snapshots.load_many(wanted))
    replay = Replay(cls)
    found: dict[str, A] = {}
    ahead: deque[tuple[str, Pending]] = deque()

    def begin(count: int) -> None:
        for key in islice(wanted, count):
            item: Item = (cls.__aggregate_type__, key, (), (), (), None)
            ahead.append((key, store.read([item], limit=PAGE)))

    begin(AHEAD)
    while ahead:
        key, pending = ahead.popleft()
        page: Page = yield pending
        begin(1)
        if not len(page):
            continue
        aggregate = found[key] = cls(id=key)
        while True:
            more = None if page.end else _following(store, cls, key, page)
            replay.apply(aggregate, page.columns())
            check_replayed(aggregate)
            if more is None:
                break
            page = yield more
    return found


def _following(store: Store, cls: type[Aggregate], key: str, page: Page) -> Pending:
    """Begins to read the page after another."""
    item: Item = (cls.__aggregate_type__, key, (), (), (), None)
    seen = page.last_version
    return store.read([item], after=page.looked_to, after_version=seen, limit=PAGE)


def checked_ids(ids: Iterable[Any]) -> list[str]:
    """Returns ids of aggregates, each once, in the order given.

    Raises:
        TypeError: It is one id, or not ids.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise TypeError(f"load_many takes several ids, not {ids!r:.60}")
    return list(dict.fromkeys(checked_text("aggregate_id", each) for each in ids))
