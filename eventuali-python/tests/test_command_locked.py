"""Another program writes into the file of a store while the answer of a command is recorded."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from time import sleep
from uuid import uuid4

import pytest
from stores import each_api, gathered, opened, url_of

import eventuali
from eventuali import Aggregate, Event, sync
from eventuali.command import Command, handles

LIMIT = 60


class Filled(Event, name="locked.filled"):
    litres: int


class Fill(Command):
    tank: str
    litres: int


class Tank(Aggregate, name="locked.Tank"):
    litres: int = 0

    def apply_filled(self, event: Filled) -> None:
        self.litres += event.litres

    @handles(Fill, id="tank", creates=True)
    def fill(self, command: Fill) -> int:
        reached.set()
        self.apply(Filled(litres=command.litres))
        return self.litres


reached = threading.Event()


def send(api, store, command):
    """Sends a command as each store does."""
    if api == "sync":
        return asyncio.to_thread(sync.CommandBus(store.store, Tank).send, command)
    return eventuali.command.CommandBus(store, Tank).send(command)


@each_api
@pytest.mark.parametrize("times", [1, 3])
def test_a_command_waits_and_has_one_effect(api, times, tmp_path):
    """The file is locked before the handler runs, so no commit of it can have been earlier."""

    async def main():
        async with opened(api, url_of("sqlite", tmp_path)) as store:
            await send(api, store, Fill(tank="a", litres=1))
            for n in range(times):
                reached.clear()
                command = Fill(command_id=uuid4(), tank="a", litres=10)
                with closing(
                    sqlite3.connect(
                        tmp_path / "events.db", isolation_level=None, check_same_thread=False
                    )
                ) as other:
                    other.execute("BEGIN IMMEDIATE")
                    sent = both(api, store, command)
                    while not reached.is_set():
                        await asyncio.sleep(0.001)
                    await asyncio.to_thread(sleep, 0.3)  # long enough to be refused a few times
                    assert not any(task.done() for task in sent)
                    other.execute("ROLLBACK")
                async with asyncio.timeout(LIMIT):
                    found = [await task for task in sent]
                assert sorted(each.repeated for each in found) == [False, True]
                assert {each.answer for each in found} == {11 + 10 * n}
                assert (await send(api, store, command)).repeated
            assert len(await gathered(store.read())) == 1 + times
            assert (await store.verify()).ok

    asyncio.run(main())


def both(api, store, command):
    return [asyncio.ensure_future(send(api, store, command)) for _ in range(2)]
