"""A PostgreSQL that falls silent under commands, and under those who wait for a read model."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from postgres_server import server_url
from stores import each_api, gathered, opened, schema_of
from test_command_locked import Fill, Filled, send

from eventuali import EventStoreConfig, Projection, ReadModel
from eventuali.errors import OutcomeUnknownError, StorageBusyError, StorageUnavailableError

LIMIT = 60
"""Seconds after which a test has failed that would otherwise hang."""


class Stock(ReadModel, name="silent_stock"):
    litres: int = 0


class Stocks(Projection[Stock], name="silent_stocks"):
    def on_filled(self, event: Filled, doc: Stock | None) -> Stock:
        return Stock(litres=(doc.litres if doc else 0) + event.litres)


class Line:
    """A way to the server that can fall silent: connections stay, and nothing comes through."""

    def __init__(self) -> None:
        self.target = urlsplit(server_url())
        self.open = threading.Event()
        self.open.set()
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        user = self.target.netloc.rpartition("@")[0]
        place = f"{user}@127.0.0.1:{self.server.getsockname()[1]}"
        return urlunsplit(self.target._replace(netloc=place))

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self.server.accept()
            except OSError:
                return
            self.open.wait()
            there = socket.create_connection((self.target.hostname, self.target.port or 5432))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with closing(one), closing(other):
            while True:
                try:
                    data = one.recv(1 << 16)
                    self.open.wait()
                    if not data:
                        return
                    other.sendall(data)
                except OSError:
                    return


@contextmanager
def line():
    made = Line()
    try:
        yield made
    finally:
        made.open.set()
        made.server.close()


def place_of(way: Line, folder) -> EventStoreConfig:
    config = EventStoreConfig.postgres(way.url).with_schema(schema_of(folder))
    return config.with_connect_timeout(1).with_statement_timeout(1)


@each_api
def test_a_command_ends_with_an_error_and_has_one_effect(api, tmp_path):
    async def main():
        with line() as way:
            async with opened(api, place_of(way, tmp_path)) as store:
                await send(api, store, Fill(tank="a", litres=1))
                command = Fill(command_id=uuid4(), tank="a", litres=10)
                way.open.clear()
                async with asyncio.timeout(LIMIT):
                    with pytest.raises(
                        (OutcomeUnknownError, StorageBusyError, StorageUnavailableError)
                    ):
                        await send(api, store, command)
                way.open.set()
                async with asyncio.timeout(LIMIT):
                    found = await until(lambda: send(api, store, command))
                assert found.answer == 11
                assert (await send(api, store, command)).repeated
                assert [e.litres for e in await gathered(store.read())] == [1, 10]

    asyncio.run(main())


@each_api
def test_who_waits_for_a_read_model_is_answered_in_time_and_again_later(api, tmp_path):
    async def main():
        with line() as way:
            async with opened(api, place_of(way, tmp_path)) as store:
                await send(api, store, Fill(tank="a", litres=1))
                real = store.store if api == "sync" else store
                running = real.run(Stocks())
                if api == "sync":
                    await asyncio.to_thread(running.__enter__)
                else:
                    await running.__aenter__()
                try:
                    await waited(api, running, 1)
                    way.open.clear()
                    async with asyncio.timeout(LIMIT):
                        with pytest.raises((TimeoutError, StorageUnavailableError)):
                            await waited(api, running, 2, timeout=0.5)
                    way.open.set()
                    async with asyncio.timeout(LIMIT):
                        handled = await until(lambda: send(api, store, Fill(tank="a", litres=2)))
                        await until(lambda: waited(api, running, handled.position, timeout=30))
                    assert (await store.get(Stock, "a")).litres == 3
                finally:
                    way.open.set()
                    if api == "sync":
                        await asyncio.to_thread(running.__exit__, None, None, None)
                    else:
                        await running.__aexit__(None, None, None)

    asyncio.run(main())


async def waited(api, running, position, **options):
    if api == "sync":
        await asyncio.to_thread(running.wait_for, position, **options)
    else:
        await running.wait_for(position, **options)


async def until(call):
    """Calls again as long as the storage is not back."""
    while True:
        try:
            return await call()
        except (OutcomeUnknownError, StorageBusyError, StorageUnavailableError):
            await asyncio.sleep(0.05)
