"""Building documents anew beside those that serve: versions, readers, and what is left behind."""

from __future__ import annotations

import asyncio
import signal

import pytest
from pots import (
    SAFETY,
    Gate,
    Pot,
    PotMade,
    Pots,
    Total,
    Writer,
    caught_up,
    check_pots,
    check_sums,
    end_of,
    everything,
    filled,
    free,
    make,
    pots_of,
    pour,
    rows_of,
    running,
    sums,
    until,
    until_status,
)
from stores import Blocking, each_shared, each_store, gathered, opened, url_of
from stores import run as run_on
from support import script

from eventuali import Retry, sync
from eventuali._engine import projecting
from eventuali.errors import EventualiError, ProjectionError

HANGS = 10
"""After so many seconds it is said that something hangs."""
KEYS = ["n", "other", *(f"p{number}" for number in range(40)), "a"]


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(4 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


def marking(mark: int, gates: dict[int, Gate] | None = None):
    """Returns a handler that writes its mark into all documents."""

    async def handler(event, docs):
        if gates and event.amount in gates:
            await gates[event.amount].passed()
        docs.put(f"p{event.amount % 40}", Total(events=mark))

    return handler


async def marks(store) -> set[int]:
    return {each["events"] for each in (await everything(store, Total)).values()}


# --- a rebuild ------------------------------------------------------------------------------------


@each_store
def test_a_rebuild_gives_the_same_and_leaves_only_it(api, kind, tmp_path):
    async def test(store):
        await Writer((kind, api)).write(store, 1500)
        await caught_up(store, Pots(), sums(store))
        before = await everything(store, Pot)
        status = await store.rebuild(Pots())
        assert (status.name, status.version, status.error) == ("Pots", 1, None)
        assert status.position >= 1
        await store.rebuild(sums(store))
        assert await everything(store, Pot) == before
        await check_pots(store)
        await check_sums(store)
        assert len(await rows_of(store, "Pots", ["Pot"], KEYS)) == 1
        await make(store, "later", "Ada", 5)
        await caught_up(store, Pots(), sums(store))
        await check_pots(store)
        await check_sums(store)

    run(api, kind, tmp_path, test)


@each_store
def test_readers_see_the_old_or_the_new_and_nothing_is_lost(api, kind, tmp_path):
    """While a rebuild stands still in its middle, the old serves, and is kept up to date."""
    gates = {700: Gate(), 2500: Gate()}

    async def test(store):
        await pour(store, *range(1000))
        await pour(store, *range(1000, 3000))
        async with running(store, free(store, marking(1))) as found:
            await found.wait_for(await end_of(store), timeout=SAFETY)
            rebuilding = asyncio.create_task(store.rebuild(free(store, marking(2, gates))))
            for number, gate in gates.items():
                await gate.reached()
                assert await marks(store) == {1}, number
                assert len(await everything(store, Total)) == 40
                committed = await pour(store, *range(3000 + number, 3010 + number))
                await found.wait_for(committed, timeout=SAFETY)
                assert await marks(store) == {1}
                gate.open()
            async with asyncio.timeout(SAFETY):
                while not rebuilding.done():
                    assert len(await everything(store, Total)) == 40
                    assert len({each.events for each in await store.find(Total)}) == 1
            await rebuilding
            # Whoever ran goes on with the new one.
            committed = await pour(store, 5)
            await found.wait_for(committed, timeout=SAFETY)
            assert (await store.get(Total, "p5")).events == 1
            await until_status(found, "live")
        documents = await everything(store, Total)
        # What came last may have been left to whoever ran.
        late = {"p5", *(f"p{number % 40}" for number in range(5500, 5510))}
        assert {each["events"] for key, each in documents.items() if key not in late} == {2}

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("written", [0, 3])
def test_a_rebuild_of_what_never_ran(api, kind, written, tmp_path):
    async def test(store):
        if written:
            await make(store, "a", "Ada", *range(written - 1))
        async with asyncio.timeout(HANGS):
            status = await store.rebuild(Pots())
        assert status.error is None
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_store
def test_a_rebuild_tries_a_failing_event_again(api, kind, tmp_path):
    failures = 0

    async def handler(event, docs):
        nonlocal failures
        if event.amount == 2 and failures:
            failures -= 1
            raise ZeroDivisionError
        docs.put(f"p{event.amount}", Total(events=event.amount))

    async def test(store):
        nonlocal failures
        await pour(store, 1, 2, 3)
        await caught_up(store, free(store, handler))
        failures = 1
        async with asyncio.timeout(HANGS):
            await store.rebuild(free(store, handler), on_error=Retry(2, backoff=0))
        assert sorted(await everything(store, Total)) == ["p1", "p2", "p3"]

    run(api, kind, tmp_path, test)


@each_store
def test_a_rebuild_that_fails_leaves_nothing(api, kind, tmp_path):
    async def failing(event, docs):
        docs.put(f"p{event.amount % 40}", Total(events=2))
        if event.amount == 1500:
            raise ZeroDivisionError

    async def test(store):
        committed = await pour(store, *range(2000))
        await caught_up(store, free(store, marking(1)))
        before = await rows_of(store, "Free", ["Total"], KEYS)
        with pytest.raises(ProjectionError, match=str(committed.positions[1500])) as told:
            await store.rebuild(free(store, failing))
        assert isinstance(told.value.__cause__, ZeroDivisionError)
        assert await marks(store) == {1}
        assert await rows_of(store, "Free", ["Total"], KEYS) == before
        await store.rebuild(free(store, marking(3)))
        assert await marks(store) == {3}

    run(api, kind, tmp_path, test)


@each_store
def test_a_rebuild_that_is_cancelled_leaves_nothing(api, kind, tmp_path):
    if api == "sync":
        pytest.skip("a thread can't be cancelled")

    async def test(store):
        await pour(store, *range(2500))
        await caught_up(store, free(store, marking(1)))
        before = await rows_of(store, "Free", ["Total"], KEYS)
        for amount in (0, 1700, 2499):
            gate = Gate()
            projection = free(store, marking(2, {amount: gate}))
            rebuilding = asyncio.create_task(store.rebuild(projection))
            await gate.reached()
            rebuilding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rebuilding
            gate.open()
            assert await marks(store) == {1}
            assert await rows_of(store, "Free", ["Total"], KEYS) == before

    run(api, kind, tmp_path, test)


KILLED = """
import os, signal, sys
from eventuali import sync
from pots import *

async def handler(event, docs):
    if event.amount == 1500:
        os.kill(os.getpid(), signal.SIGKILL)
    docs.put(f"p{event.amount % 40}", Total(events=2))

with sync.EventStore.create(sys.argv[1]) as store:
    store.rebuild(free(Blocking(store), handler))
"""


@each_shared
def test_a_rebuild_that_is_killed_leaves_nothing_once_it_runs(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(projecting, "ABANDONED", 0.0)

    async def main():
        place = url_of(kind, tmp_path)
        async with opened("async", place) as store:
            await pour(store, *range(2000))
            await caught_up(store, free(store, marking(1)))
            before = await rows_of(store, "Free", ["Total"], KEYS)
            done = await asyncio.to_thread(script, KILLED, place)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert await marks(store) == {1}
            async with running(store, free(store, marking(1))), asyncio.timeout(SAFETY):
                while list(await rows_of(store, "Free", ["Total"], KEYS)) != list(before):
                    await asyncio.sleep(0.01)

    asyncio.run(main())


@each_store
def test_the_progress_of_a_rebuild_goes_to_the_end(api, kind, tmp_path):
    async def test(store):
        await pour(store, *range(2500))
        end = await end_of(store)
        await caught_up(store, free(store, marking(1)))
        told: list[tuple[int, int]] = []
        await store.rebuild(free(store, marking(2)), progress=lambda *at: told.append(at))
        assert told == sorted(told)
        assert {total for _, total in told} == {end}
        assert told[-1] == (end, end)
        assert any(0 < done < end for done, _ in told)

    run(api, kind, tmp_path, test)


@each_store
def test_what_progress_raises_ends_the_rebuild_as_it_is(api, kind, tmp_path):
    class Enough(Exception):
        pass

    def progress(done: int, total: int) -> None:
        if done:
            raise Enough(done)

    async def test(store):
        await pour(store, *range(2500))
        await caught_up(store, free(store, marking(1)))
        before = await rows_of(store, "Free", ["Total"], KEYS)
        with pytest.raises(Enough):
            await store.rebuild(free(store, marking(2)), progress=progress)
        assert await marks(store) == {1}
        assert await rows_of(store, "Free", ["Total"], KEYS) == before

    run(api, kind, tmp_path, test)


@each_store
def test_of_two_rebuilds_at_once_both_return(api, kind, tmp_path):
    async def test(store):
        gate = Gate()
        await pour(store, *range(10))
        await caught_up(store, free(store, marking(1)))
        first = asyncio.create_task(store.rebuild(free(store, marking(2, {5: gate}))))
        await gate.reached()
        await store.rebuild(free(store, marking(3)))
        gate.open()
        async with asyncio.timeout(HANGS):
            await asyncio.gather(first, return_exceptions=True)
        assert await marks(store) in ({2}, {3})

    run(api, kind, tmp_path, test)


# --- versions -------------------------------------------------------------------------------------


@each_store
def test_a_newer_version_is_built_beside_and_takes_the_place(api, kind, tmp_path):
    gates = {700: Gate()}

    async def test(store):
        await pour(store, *range(1500))
        await caught_up(store, free(store, marking(1)))
        newer = free(store, marking(2, gates), version=2)
        async with running(store, newer) as found:
            await gates[700].reached()
            (status,) = found.status()
            assert (status.version, status.rebuilding, status.state) == (2, True, "catching up")
            assert await marks(store) == {1}
            async with running(store, free(store, marking(1))) as older:
                # The old one is kept up to date meanwhile.
                await older.wait_for(await pour(store, 8), timeout=SAFETY)
                await until_status(older, "live")
            gates[700].open()
            status = await until_status(found, "live")
            assert (status.rebuilding, status.error) == (False, None)
            assert await marks(store) == {2}
            await found.wait_for(await pour(store, 9), timeout=SAFETY)
        assert await marks(store) == {2}
        assert list(await rows_of(store, "Free", ["Total"], KEYS)) == [2]

    run(api, kind, tmp_path, test)


@each_store
def test_who_waits_for_a_version_that_is_being_built_reads_it(api, kind, tmp_path):
    gates = {1500: Gate()}

    async def test(store):
        await caught_up(store, free(store, marking(1)))
        first = await pour(store, *range(1000))
        await pour(store, *range(1000, 2000))
        async with running(store, free(store, marking(2, gates), version=2)) as found:
            await gates[1500].reached()
            await until(lambda: found.status()[0].handled >= 1000)
            waiting = asyncio.create_task(found.wait_for(first, timeout=SAFETY))
            await asyncio.sleep(0.1)
            told = waiting.done()
            shown = await store.get(Total, "p1")
            gates[1500].open()
            await waiting
            assert not told or shown is not None

    run(api, kind, tmp_path, test)


@each_store
def test_an_older_version_beside_a_newer_is_told(api, kind, tmp_path):
    async def test(store):
        await pour(store, 1)
        await caught_up(store, free(store, marking(2), version=2))
        committed = await pour(store, 2)
        async with running(store, free(store, marking(1)), waits=False) as found:
            await until(lambda: found.status()[0].error is not None)
            assert isinstance(found.status()[0].error, EventualiError)
            assert "version 2" in str(found.status()[0].error)
            with pytest.raises(ProjectionError):
                await found.wait_for(committed, timeout=HANGS)
            assert found.status()[0].state == "faulted"
        assert await marks(store) == {2}

    run(api, kind, tmp_path, test)


@each_store
def test_a_version_that_was_replaced_while_it_ran_is_told(api, kind, tmp_path):
    async def test(store):
        await pour(store, 1)
        async with running(store, free(store, marking(1)), waits=False) as found:
            await until_status(found, "live")
            await caught_up(store, free(store, marking(2), version=2))
            committed = await pour(store, 2)
            with pytest.raises(ProjectionError):
                await found.wait_for(committed, timeout=HANGS)
            assert found.status()[0].state == "faulted"
        assert await marks(store) == {2}

    run(api, kind, tmp_path, test)


@each_store
def test_a_version_that_was_left_while_it_was_built_goes_on(api, kind, tmp_path):
    class Newer(Pots, name="Pots", version=3):
        pass

    async def test(store):
        writer = Writer((kind, api))
        await writer.write(store, 1500)
        await caught_up(store, Pots())
        old = pots_of(await gathered(store.read()))
        await make(store, "later", "Ada", 1)
        if isinstance(store, Blocking):
            assert await everything(store, Pot) == old
        else:
            task = asyncio.create_task(caught_up(store, Newer()))
            for _ in range(3):
                await asyncio.sleep(0)
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            assert await everything(store, Pot) in (old, pots_of(await gathered(store.read())))
        (status,) = await caught_up(store, Newer())
        assert status.version == 3
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_shared
def test_a_rebuild_by_a_blocking_store_beside_a_runner(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([PotMade(owner="Ada"), filled(1)], stream=("Pot", "a"))
        with store.run(Pots()) as found:
            found.wait_for(2, timeout=SAFETY)
            for amount in range(2, 12):
                assert store.rebuild(Pots()).error is None
                committed = store.append([filled(amount)], stream=("Pot", "a"))
                found.wait_for(committed, timeout=SAFETY)
                assert store.get(Pot, "a").events == amount + 1


@each_store
def test_a_rebuild_does_not_take_readers_back(api, kind, tmp_path):
    """What comes while its last event is handled is handled, too, before its documents are read."""
    gate, slow = Gate(), []

    async def handler(event, docs):
        if slow and event.amount == 100:
            await gate.passed()
        total = await docs.get(Total, "n") or Total()
        total.events += 1
        docs.put("n", total)

    async def test(store):
        await pour(store, *range(101))
        async with running(store, free(store, handler)) as found:
            await found.caught_up(timeout=SAFETY)
            slow.append(True)
            rebuild = asyncio.create_task(store.rebuild(free(store, handler)))
            await gate.reached()
            slow.clear()
            await found.wait_for(await pour(store, 7), timeout=SAFETY)
            assert (await store.get(Total, "n")).events == 102
            gate.open()
            status = await rebuild
            assert status.handled == 102
            assert (await store.get(Total, "n")).events == 102

    run(api, kind, tmp_path, test)


@each_store
def test_a_rebuild_of_what_never_ran_is_read_when_it_is_whole(api, kind, tmp_path):
    async def fails(event, docs):
        docs.put(str(event.amount), Total())
        if event.amount == 2500:
            raise ValueError("poison")

    async def test(store):
        await pour(store, *range(3000))
        with pytest.raises(ProjectionError, match="failed at position"):
            await store.rebuild(free(store, fails))
        assert await everything(store, Total) == {}
        await caught_up(store, free(store, marking(1)))
        assert await marks(store) == {1}

    run(api, kind, tmp_path, test)


@each_shared
def test_a_runner_removes_a_rebuild_that_is_killed_while_it_runs(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(projecting, "ABANDONED", 0.01)

    async def main():
        place = url_of(kind, tmp_path)
        async with opened("async", place) as store:
            await pour(store, *range(2000))
            async with running(store, free(store, marking(1))) as found:
                await found.caught_up(timeout=SAFETY)
                before = await rows_of(store, "Free", ["Total"], KEYS)
                done = await asyncio.to_thread(script, KILLED, place)
                assert done.returncode in (-signal.SIGKILL, 1), done.stderr  # or it was given up
                async with asyncio.timeout(SAFETY):
                    while list(await rows_of(store, "Free", ["Total"], KEYS)) != list(before):
                        await asyncio.sleep(0.01)

    asyncio.run(main())
