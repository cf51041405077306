"""The stores that the tests run on."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from zlib import crc32

import psycopg
import pytest
from apis import Blocking as Blocking
from apis import gathered as gathered
from apis import opened as opened
from postgres_server import server_url

from eventuali import EventStoreConfig

BACKENDS = ("memory", "sqlite", "postgres")
KINDS = ("memory", "sqlite-memory", "sqlite", "postgres")
SHARED = ("sqlite", "postgres")
"""Those that several processes can open, and that outlive them."""

each_kind = pytest.mark.parametrize("kind", KINDS)
each_backend = pytest.mark.parametrize("kind", BACKENDS)
each_shared = pytest.mark.parametrize("kind", SHARED)
each_store = pytest.mark.parametrize(
    ("kind", "api"),
    [("memory", "async"), ("sqlite-memory", "sync"), *((kind, api) for kind in SHARED
                                                      for api in ("async", "sync"))],
)  # fmt: skip
each_api = pytest.mark.parametrize("api", ["async", "sync"])


def url_of(kind: str, folder: Path) -> str | EventStoreConfig:
    """Says what opens the store of a folder: always the same one."""
    if kind == "memory":
        return "memory://"
    if kind == "sqlite-memory":
        return "sqlite://:memory:"
    if kind == "postgres":
        return EventStoreConfig.postgres(server_url()).with_schema(schema_of(folder))
    return f"sqlite:///{folder / 'events.db'}"


def unencrypted(place: str | EventStoreConfig) -> str | EventStoreConfig:
    """Returns the same place, reached without TLS unless the tests' URL asks for it."""
    url = server_url()
    if not isinstance(place, EventStoreConfig) or "sslmode=" in url:
        return place
    url += ("&" if "?" in url else "?") + "sslmode=disable"
    return EventStoreConfig.postgres(url).with_schema(place.schema)


_schemas: dict[str, Path] = {}


def schema_of(folder: Path) -> str:
    """Names a schema after a folder; it is dropped when the folder's test has ended."""
    schema = f"py_{os.getpid()}_{crc32(bytes(folder)):08x}"
    _schemas[schema] = folder
    return schema


def drop_schemas(folder: Path | None = None) -> None:
    """Drops the schemas of a folder and those below, or all that are left."""
    names = [
        name for name, place in _schemas.items() if folder is None or place.is_relative_to(folder)
    ]
    if not names:
        return
    with administrator() as connection:
        # Whoever still holds a lock has left something behind.
        connection.execute("SET lock_timeout = '5s'; SET client_min_messages = warning")
        for name in names:
            del _schemas[name]
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def administrator() -> psycopg.Connection:
    """Opens a connection that may do anything on the tests' server; each statement by itself."""
    return psycopg.connect(server_url(), autocommit=True)


def run(api: str, kind: str, folder: Path, test) -> None:
    """Runs a test, which takes a store, on the store of a folder."""

    async def main():
        async with opened(api, url_of(kind, folder)) as store:
            await test(store)

    asyncio.run(main())
