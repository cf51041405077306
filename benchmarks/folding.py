"""Projections that are measured: how they fold the log into documents, beside a plain fold."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.progress import Progress
from benchmarks.subjects import timed
from benchmarks.subjects.ours import Added
from eventuali import Documents, EventStore, EventStoreConfig, Projection, ReadModel
from eventuali.sync import EventStore as SyncEventStore

BATCH = 1_000
"""Events of a commit, and rows of a transaction."""
PATIENCE = 3600.0
"""Seconds that a projection has to come to the end of the log."""
Place: TypeAlias = Path | EventStoreConfig


class Sale(ReadModel, index=("product", "cents")):
    """A document of which there are many."""

    product: str
    cents: int


class Sales(Projection[Sale]):
    """One document for each event."""

    def key(self, event: Added) -> str:
        """Returns the number of the event."""
        return str(event.amount)

    def on_added(self, event: Added, doc: None) -> Sale:
        """Makes the document."""
        return sale(event.amount, event.note)


def sale(number: int, product: str) -> Sale:
    """Returns the document of an event; prices are spread over a million."""
    return Sale(product=product, cents=number * 7_919 % 1_000_003)


def names(events: int, keys: int) -> Iterator[str]:
    """Yields the name that each event has, drawn evenly, the same each time."""
    draw = random.Random(1)  # noqa: S311
    for _ in range(events):
        yield f"name-{draw.randrange(keys):04}"


def fill(place: Place, events: int, keys: int, progress: Progress) -> None:
    """Stores events in commits and streams of a thousand."""
    drawn = names(events, keys)
    with SyncEventStore.create(place, durability="relaxed") as store:
        for first in range(0, events, BATCH):
            numbers = range(first, min(first + BATCH, events))
            batch = [Added(amount=number, note=next(drawn)) for number in numbers]
            store.append(batch, stream=("Account", f"s{first}"))
            progress.step(1, f"storing {events:,} events")


def totals(number: object) -> Projection[Any]:
    """Returns a projection of the pure form that has built nothing yet: a document a name."""

    class Total(ReadModel, name=f"Total{number}"):
        events: int = 0
        amount: int = 0

    class Totals(Projection[Total], name=f"Totals{number}"):
        def key(self, event: Added) -> str:
            return event.note

        def on_added(self, event: Added, doc: Total | None) -> Total:
            doc = doc or Total()
            doc.events += 1
            doc.amount += event.amount
            return doc

    return Totals()


def free_totals(number: object) -> Projection[Any]:
    """Returns a projection of the free form that builds the same documents."""

    class Total(ReadModel, name=f"FreeTotal{number}"):
        events: int = 0
        amount: int = 0

    class Totals(Projection, name=f"FreeTotals{number}"):
        async def on_added(self, event: Added, docs: Documents) -> None:
            doc = await docs.get(Total, event.note) or Total()
            doc.events += 1
            doc.amount += event.amount
            docs.put(event.note, doc)

    return Totals()


def singles(number: object) -> Projection[Any]:
    """Returns a projection that has built nothing yet: a document for each event."""

    class Single(ReadModel, name=f"Single{number}"):
        events: int = 1
        amount: int

    class Singles(Projection[Single], name=f"Singles{number}"):
        def key(self, event: Added) -> str:
            return str(event.amount)

        def on_added(self, event: Added, doc: None) -> Single:
            return Single(amount=event.amount)

    return Singles()


def single_rows(events: int) -> list[tuple[str, bytes]]:
    """Returns the documents of `singles` as they are stored, by their keys."""
    return [(str(number), b'{"events":1,"amount":%d}' % number) for number in range(events)]


async def built(store: EventStore, projection: Projection[Any]) -> float:
    """Returns the seconds until the documents of the whole log are live."""
    end = store.stats().last_position
    gc.collect()
    begun = time.perf_counter()
    async with store.run(projection) as running:
        await running.wait_for(end, timeout=PATIENCE)
        return time.perf_counter() - begun


def by_hand(store: SyncEventStore) -> float:
    """Returns the seconds that reading the log into documents in a dict takes."""
    projection = totals("ByHand")
    return timed(lambda: projection.fold(store.read()), 1)


def plain(payloads: list[bytes]) -> dict[str, float]:
    """Returns the seconds of the same fold without a store: from JSON in memory, from objects."""
    projection, decode = totals("Plain"), Added.model_validate_json
    found = {"plain": timed(lambda: projection.fold(map(decode, payloads)), 1)}
    events = [decode(payload) for payload in payloads]
    return found | {"objects": timed(lambda: projection.fold(events), 1)}
