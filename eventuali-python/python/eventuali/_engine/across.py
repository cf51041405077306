"""Reading across all tenants: the events of the log, each with its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.operation import Operation
from eventuali._engine.read import Reading
from eventuali._eventuali import Store as Store
from eventuali.event import Event

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver

Used = tuple[str, int, int, int]
"""(tenant, events, bytes, streams)"""


def usage(store: Store) -> Operation[Used]:
    """Counts what the tenant of a store has stored."""
    events, size, streams = yield store.usage()
    return store.tenant, events, size, streams


def usages(store: Store) -> Operation[list[Used]]:
    """Counts what each tenant has stored, sorted by name."""
    found: list[Used] = yield store.usages()
    return found


async def awaited(reading: Reading, driver: AsyncioDriver) -> AsyncIterator[tuple[str, Event]]:
    """Yields the events of a reading, each behind its tenant."""
    while (pending := reading.pending) is not None:
        events = reading.take(await driver.answer(pending))
        for one in _owned(reading, events):
            yield one
        reading.done()


def waited(reading: Reading) -> Iterator[tuple[str, Event]]:
    """Yields the events of a reading, each behind its tenant, and blocks for each page."""
    while True:
        refuse_in_loop()
        if (pending := reading.pending) is None:
            return
        yield from _owned(reading, reading.take(pending.wait()))
        reading.done()


def _owned(reading: Reading, events: Iterator[Event]) -> Iterator[tuple[str, Event]]:
    tenants = reading.tenants()
    for event in events:
        reading.last = event
        yield tenants[event.meta.position or 0], event
