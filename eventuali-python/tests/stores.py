"""The stores that the tests run on, and one way to use both APIs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import eventuali
from eventuali import sync

KINDS = ("memory", "sqlite-memory", "sqlite")

each_kind = pytest.mark.parametrize("kind", KINDS)
each_backend = pytest.mark.parametrize("kind", ["memory", "sqlite"])
each_store = pytest.mark.parametrize(
    ("kind", "api"),
    [("memory", "async"), ("sqlite-memory", "sync"), ("sqlite", "async"), ("sqlite", "sync")],
)
each_api = pytest.mark.parametrize("api", ["async", "sync"])


def url_of(kind: str, folder: Path) -> str:
    if kind == "memory":
        return "memory://"
    if kind == "sqlite-memory":
        return "sqlite://:memory:"
    return f"sqlite:///{folder / 'events.db'}"


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

    def for_tenant(self, tenant):
        return Blocking(self.store.for_tenant(tenant))

    async def read(self, *args, **options):
        for event in await asyncio.to_thread(lambda: list(self.store.read(*args, **options))):
            yield event

    async def streams(self, *args):
        for stream in await asyncio.to_thread(lambda: list(self.store.streams(*args))):
            yield stream

    def __getattr__(self, name):
        verb = getattr(self.store, name)

        async def call(*args, **options):
            return await asyncio.to_thread(verb, *args, **options)

        return call


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
    return [item async for item in iterator]
