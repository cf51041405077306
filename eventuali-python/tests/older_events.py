"""Stored events of any type and version, as an earlier program would have left them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID, uuid4

from stores import Blocking

from eventuali import Event, EventMeta, UnknownEvent
from eventuali.event._envelope import DetachedMeta

ORDER = ("Order", "o-1")


def older(
    name: str,
    version: int,
    data: object,
    readable_by: int | None = None,
    tags: tuple[str, ...] = (),
    event_id: UUID | None = None,
) -> UnknownEvent:
    """Returns an event for `append`, which stores it as it is."""
    payload = data if isinstance(data, bytes) else json.dumps(data).encode()
    made = datetime(2026, 1, 1, tzinfo=UTC)
    meta = EventMeta(event_id or uuid4(), name, version, made, tags=tags)
    return UnknownEvent.from_stored(DetachedMeta(meta), payload, readable_by)


def fields(event: Event) -> dict[str, object]:
    return event.model_dump()


async def followed(store, count: int, *args, **options) -> list[Event]:
    """Takes so many events of a subscription."""
    if isinstance(store, Blocking):

        def take() -> list[Event]:
            with store.store.subscribe(*args, **options) as following:
                return list(islice(following, count))

        return await asyncio.to_thread(take)
    async with store.subscribe(*args, **options) as following:
        return [await anext(following) for _ in range(count)]
