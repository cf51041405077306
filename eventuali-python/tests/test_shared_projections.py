"""Projections that processes share: each at work in one of them, whoever comes, leaves and dies."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from pots import (
    SAFETY,
    Pot,
    Pots,
    Poured,
    Total,
    Writer,
    check_pots,
    check_sums,
    end_of,
    make,
    pour,
    running,
    sums,
    until,
)
from stores import Blocking, each_api, each_backend, each_shared, each_store, opened, url_of
from stores import run as run_on
from support import TESTS

from eventuali import Projection, ReadModel
from eventuali.errors import (
    ConfigurationError,
    InvalidEventError,
    ProjectionError,
    StorageCorruptedError,
)
from eventuali.group import Group
from eventuali.worker import Worker

LONG = 60.0
"""A lease that does not end within a test, in seconds."""


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(6 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


def at_work(found) -> set[str]:
    return {each.name for each in found.status() if each.state in ("catching up", "live")}


class Count(ReadModel):
    events: int = 0


class Third(Projection[Count]):
    def key(self, event: Poured) -> str:
        return "third"

    def on_poured(self, event: Poured, doc: Count | None) -> Count:
        return Count(events=(doc.events if doc else 0) + 1)


@each_store
def test_each_is_at_work_in_one_place(api, kind, tmp_path):
    async def test(store):
        def shared():
            return running(store, Pots(), sums(store), waits=False, group="views", lease=LONG)

        writer = Writer((kind, api), streams=5)
        await writer.write(store, 100)
        async with shared() as first:
            await until(lambda: at_work(first) == {"Pots", "Sums"})
            await first.caught_up(timeout=SAFETY)
            async with shared() as second:
                await until(lambda: len(at_work(first)) == len(at_work(second)) == 1)
                assert at_work(first) | at_work(second) == {"Pots", "Sums"}
                for found in (first, second):  # whoever it is that works on them
                    committed = await writer.write(store, 20)
                    await found.wait_for(committed, timeout=SAFETY)
                    await check_pots(store)
                    await check_sums(store)
                    await found.caught_up(timeout=SAFETY)
                states = {each.state for each in first.status()}
                assert "elsewhere" in states
                end = await end_of(store)
                assert [each.position for each in second.status()] == [end, end]
            await until(lambda: at_work(first) == {"Pots", "Sums"})
            committed = await writer.write(store, 20)
            await first.wait_for(committed, timeout=SAFETY)
            await check_pots(store)
            await check_sums(store)

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_what_moves_in_the_middle_counts_each_event_once(kind, api, tmp_path):
    async def main():
        place = url_of(kind, tmp_path)
        async with asyncio.timeout(6 * SAFETY), AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(api, place)) for _ in range(3)]
            writer = Writer((kind, api), streams=10)
            await writer.write(stores[0], 500)

            async def come_and_go(store):
                for _ in range(4):
                    everything = Pots(), sums(store), Third()
                    async with running(
                        store, *everything, waits=False, group="views", lease=LONG
                    ) as found:
                        await until(lambda: at_work(found))

            async def write():
                for _ in range(20):
                    await writer.write(stores[0], 20)
                    await asyncio.sleep(0.02)

            async with running(
                stores[0], Pots(), sums(stores[0]), Third(), group="views", lease=LONG
            ) as found:
                await asyncio.gather(write(), *map(come_and_go, stores[1:]))
                await found.wait_for(await end_of(stores[0]), timeout=SAFETY)
                await until(lambda: len(at_work(found)) == 3)
            await check_pots(stores[0])
            await check_sums(stores[0])

    asyncio.run(main())


MEMBER = """
import asyncio, os, pickle, sys
from eventuali import EventStore
from pots import Pots, Sums

async def main():
    store = await EventStore.create(pickle.loads(bytes.fromhex(os.environ["PLACE"])))
    async with store.run(Pots(), Sums(), group="views", lease=1.0) as running:
        await running.caught_up()
        print("at work", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def member_of(place) -> subprocess.Popen[str]:
    environment = os.environ | {"PLACE": pickle.dumps(place).hex(), "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", MEMBER]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@each_shared
def test_what_a_killed_process_had_goes_on_elsewhere(kind, tmp_path):
    async def main():
        place = url_of(kind, tmp_path)
        async with asyncio.timeout(6 * SAFETY), opened("async", place) as store:
            writer = Writer((kind,), streams=5)
            await writer.write(store, 50)
            with member_of(place) as child:
                await asyncio.to_thread(child.stdout.readline)
                async with running(
                    store, Pots(), sums(store), group="views", lease=1.0, waits=False
                ) as found:
                    await until(lambda: len(at_work(found)) == 1)
                    os.kill(child.pid, signal.SIGKILL)
                    committed = await writer.write(store, 50)
                    await until(lambda: len(at_work(found)) == 2)
                    await found.wait_for(committed, timeout=SAFETY)
            await check_pots(store)
            await check_sums(store)

    asyncio.run(main())


@each_store
def test_a_faulted_one_stands_where_it_is_until_that_leaves(api, kind, tmp_path):
    async def test(store):
        fails = True

        class Poisoned(Projection[Total], name="Poisoned"):
            def key(self, event: Poured) -> str:
                return "all"

            def on_poured(self, event: Poured, doc: Total | None) -> Total:
                if fails:
                    raise ZeroDivisionError
                return Total(events=(doc.events if doc else 0) + 1)

        def shared():
            return running(store, Poisoned(), Pots(), waits=False, group="views", lease=LONG)

        await make(store, "p-1", "Ada", 1)
        committed = await pour(store, 1, 2)
        async with shared() as first:
            await until(lambda: first.status()[0].state == "faulted")
            with pytest.raises(ProjectionError, match="faulted"):
                await first.wait_for(committed, timeout=SAFETY)
            async with shared() as second:
                await until(lambda: at_work(second))
                assert (await store.get(Pot, "p-1")).content == 1
                fails = False
            await until(lambda: first.status()[1].state == "live")
        async with shared() as third:
            await third.wait_for(committed, timeout=SAFETY)
            assert third.status()[0].error is None
        assert (await store.get(Total, "all")).events == 2

    run(api, kind, tmp_path, test)


@each_backend
def test_a_view_in_memory_is_filled_in_each_process(kind, tmp_path):
    async def test(store):
        views = [Pots().in_memory(), Pots().in_memory()]
        await make(store, "p-1", "Ada", 1)
        async with (
            store.run(views[0], Third(), group="views") as first,
            store.run(views[1], Third(), group="views") as second,
        ):
            await first.caught_up(timeout=SAFETY)
            await second.caught_up(timeout=SAFETY)
            assert [view["p-1"].content for view in views] == [1, 1]

    run("async", kind, tmp_path, test)


@each_backend
def test_a_group_shares_projections_or_the_log(kind, tmp_path):
    async def test(store):
        async def work(event: Poured) -> None: ...

        async with store.run(Pots(), group="views"):
            pass
        with pytest.raises(ConfigurationError, match="not both"):
            async with store.join(Group("views", work)):
                pass
        with pytest.raises(ConfigurationError, match="one partition for each"):
            await store.repartition("views", 16)
        async with store.join(Group("mailer", work)):
            pass
        with pytest.raises(ConfigurationError, match="not both"):
            async with store.run(Pots(), group="mailer"):
                pass

    run("async", kind, tmp_path, test)


@each_store
def test_a_group_of_an_older_copy_ends(api, kind, tmp_path):
    async def test(store):
        core = (store.store if isinstance(store, Blocking) else store)._store
        async with running(store, Pots(), Third(), waits=False, group="views") as found:
            await found.caught_up(timeout=SAFETY)
            version, _ = await asyncio.to_thread(lambda: core.record("group", "views").wait())
            older = b'{"partitions": 1, "tag": null, "names": ["X/1"]}'
            put = core.put_record("group", "views", version, older, uuid4())
            await asyncio.to_thread(put.wait)
            await until(lambda: {each.state for each in found.status()} == {"faulted"})
            for each in found.status():
                assert isinstance(each.error, StorageCorruptedError)

    run(api, kind, tmp_path, test)


@each_api
def test_nothing_else_is_accepted(api, tmp_path):
    async def test(store):
        for wrong, error in (
            ({"group": ""}, InvalidEventError),
            ({"group": 7}, TypeError),
            ({"group": "views", "lease": 0.05}, ValueError),
            ({"group": "views", "lease": "long"}, TypeError),
            ({"lease": -1}, ValueError),
        ):
            with pytest.raises(error):
                async with running(store, Pots(), **wrong):
                    pass
            with pytest.raises(error):
                Worker("memory://", Pots(), **wrong)

    run(api, "memory", tmp_path, test)


@each_shared
def test_a_worker_says_what_others_work_on(kind, tmp_path, caplog):
    async def main():
        place = url_of(kind, tmp_path)
        caplog.set_level(logging.INFO, "eventuali.worker")
        workers = [Worker(place, Pots(), Third(), group="views", lease=LONG) for _ in range(2)]
        async with asyncio.timeout(6 * SAFETY):
            first = asyncio.create_task(workers[0].serve())
            await until(lambda: len([e for e in workers[0].status() if e.state == "live"]) == 2)
            second = asyncio.create_task(workers[1].serve())
            await until(lambda: len([e for e in workers[1].status() if e.state == "live"]) == 1)
            for worker in workers:
                worker.stop()
            assert await asyncio.gather(first, second) == [0, 0]
        assert "another process works on it" in caplog.text

    asyncio.run(main())
