"""One way to use both APIs. Scripts in other processes import it, so it imports no test library."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import eventuali
from eventuali import sync


class Blocking:
    """A `sync.EventStore` that tests written for the async one can use: each call in a thread."""

    def __init__(self, store: sync.EventStore) -> None:
        self.store = store

    @property
    def url(self):
        return self.store.url

    def stats(self):
        return self.store.stats()

    def register_event_class(self, name, cls):
        self.store.register_event_class(name, cls)

    def for_tenant(self, tenant, **options):
        return Blocking(self.store.for_tenant(tenant, **options))

    def read(self, *args, **options):
        return BlockingRead(self.store.read(*args, **options))

    async def history(self, *args, **options):
        for step in await asyncio.to_thread(lambda: list(self.store.history(*args, **options))):
            yield step

    async def streams(self, *args):
        for stream in await asyncio.to_thread(lambda: list(self.store.streams(*args))):
            yield stream

    def __getattr__(self, name):
        verb = getattr(self.store, name)

        async def call(*args, **options):
            return await asyncio.to_thread(verb, *args, **options)

        return call


class BlockingRead:
    """A reader of a `sync.EventStore`, each event waited for in a thread."""

    def __init__(self, reader) -> None:
        self.reader = reader

    @property
    def position(self):
        return self.reader.position

    def __aiter__(self):
        return self

    async def __anext__(self):
        event = await asyncio.to_thread(next, self.reader, None)
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self):
        self.reader.close()


@asynccontextmanager
async def opened(api: str, url: str, **options):
    if api == "async":
        async with eventuali.EventStore.create(url, **options) as store:
            yield store
    else:
        store = await asyncio.to_thread(lambda: sync.EventStore.create(url, **options))
        try:
            yield Blocking(store)
        finally:
            await asyncio.to_thread(store.close)


async def gathered(iterator) -> list:
    if isinstance(iterator, BlockingRead):
        return await asyncio.to_thread(list, iterator.reader)
    return [item async for item in iterator]
