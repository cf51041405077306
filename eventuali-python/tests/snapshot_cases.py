"""Aggregates with snapshots, and what tests look at and change behind the store's back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from pydantic import Field

from eventuali import Aggregate, Event, SnapshotPolicy
from eventuali._engine.event_types import EventTypes
from eventuali._engine.history import History
from eventuali._engine.load import load, load_many
from eventuali._engine.operation import run
from eventuali._engine.snapshot_record import form_of
from eventuali._eventuali import Page
from eventuali.snapshot import SnapshotStats

EVERY = SnapshotPolicy(every=10)
FOREVER = timedelta(days=365)


class Put(Event, name="snapshots_put"):
    amount: int
    labels: list[str] = Field(default_factory=list)


class Cleared(Event, name="snapshots_cleared"):
    pass


class Jar(Aggregate, name="SnapshotsJar"):
    total: int = 0
    labels: list[str] = Field(default_factory=list)
    seen: dict[str, list[int]] = Field(default_factory=dict)

    def apply_put(self, event: Put) -> None:
        self.total += event.amount
        self.labels = [*self.labels[-20:], *event.labels]
        self.seen.setdefault(str(event.amount % 3), []).append(event.amount)

    def apply_cleared(self, event: Cleared) -> None:
        self.total = 0
        self.seen = {}


def core_of(store):
    """Returns the engine of a store of either API."""
    inner = getattr(store, "store", store)
    return inner._store.blocking(True)


def kept_of(store):
    return getattr(store, "store", store)._snapshots


async def settled(store) -> None:
    """Waits until no snapshot is under way."""
    while kept_of(store)._under_way:
        store.stats()
        await asyncio.sleep(0.001)


async def stats(store, cls=Jar) -> SnapshotStats:
    await settled(store)
    return store.stats().snapshots.get(cls.__aggregate_type__, SnapshotStats())


def newest(store, cls, key: str, at_most: int = 2**63 - 1):
    """Returns what is stored of a stream's newest snapshot: (key, version of the record, bytes)."""
    return core_of(store).snapshots().newest(form_of(cls).series(key), at_most).wait()


def version_of(store, cls, key: str) -> int | None:
    found = newest(store, cls, key)
    return None if found is None else form_of(cls).taken(key, 2**63 - 1, found).aggregate.version


def put(store, cls, key: str, value: bytes, *, version: int, place: int = 0) -> None:
    """Writes a snapshot over whatever is there."""
    form = form_of(cls)
    parts = form.series(key), place, form.kind, version, value, None, None, True
    core_of(store).snapshots().put(*parts).wait()


def replayed(store, cls, key: str, at_version=None, at_time=None):
    """Loads an aggregate from all its events."""
    return run(load(core_of(store), cls, key, at_version, at_time, "recorded_at"))


def rows_read(store, cls, keys: str | list[str], **bounds):
    """Loads as the store does it; returns what was loaded and how many rows were read."""
    rows = 0
    core, kept = core_of(store), kept_of(store)
    if isinstance(keys, str):
        at = bounds.get("at_version"), bounds.get("at_time"), bounds.get("by", "recorded_at")
        operation = load(core, cls, keys, *at, kept)
    else:
        operation = load_many(core, cls, keys, kept)
    try:
        step = operation.send(None)
        while True:
            answer = step.wait()
            rows += len(answer) if isinstance(answer, Page) else 0
            step = operation.send(answer)
    except StopIteration as end:
        return end.value, rows


def history_rows(store, cls, key: str, **options):
    """Returns the steps of a history, and how many rows were read."""
    rows: list[Page] = []
    core = core_of(store)
    history = History(core, EventTypes(), cls, key, **options)
    skipping = history.skip(kept_of(store))
    with suppress(StopIteration):
        step = skipping.send(None)
        while True:
            rows.append(step.wait())
            step = skipping.send(rows[-1])
    steps = []
    while (pending := history.pending) is not None:
        rows.append(pending.wait())
        steps.extend(history.take(rows[-1]))
    return steps, sum(len(each) for each in rows if isinstance(each, Page))


async def fill(store, key: str, amounts: Iterable[int], at_once: int = 1, cls=Jar):
    """Saves events one by one, or several at once; returns the aggregate."""
    jar = await store.load(cls, key) or cls(id=key)
    for amount in amounts:
        jar.apply(Put(amount=amount, labels=[str(amount)]))
        if len(jar.get_uncommitted_events()) == at_once:
            await store.save(jar)
            await settled(store)
    await store.save(jar)
    await settled(store)
    return jar
