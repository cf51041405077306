"""Many writers at once: one wins, the others learn why, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from itertools import chain

import pytest
from ledger import Counted, Ledger, Other, check_log, check_versions, counted
from racers import open_fresh, race, save_for, save_same_version
from stores import each_backend, each_shared, each_store, gathered, opened, url_of

from eventuali import (
    NO_STREAM,
    STREAM_EXISTS,
    EventStore,
    OptimisticConcurrencyError,
    sync,
)

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "check"


def check_losers(outcomes: list[tuple]) -> None:
    """Of all that raced for one version one won, and the rest were told what the store holds."""
    won = [outcome for outcome in outcomes if outcome[0] == "won"]
    lost = [outcome for outcome in outcomes if outcome[0] == "lost"]
    assert len(won) == 1, outcomes
    _, stream_id, version, versions = won[0]
    assert versions == (version + 1,)
    for outcome in lost:
        assert outcome[:4] == ("lost", stream_id, version, ("Ledger", stream_id))
        expected, actual, found = outcome[4:]
        assert expected == version or (version == 0 and expected == "no_stream")
        assert actual == found == version + 1


@each_store
def test_one_of_16_tasks_wins(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.save(counted("old", -1))
            for turn in range(6):
                ledgers = [
                    Ledger(id=f"new-{turn}") if turn % 2 else await store.load(Ledger, "old")
                    for _ in range(16)
                ]
                outcomes = await asyncio.gather(
                    *(attempt(store, ledger, turn, n) for n, ledger in enumerate(ledgers))
                )
                check_losers(outcomes)
            check_versions(await gathered(store.read()))

    async def attempt(store, ledger: Ledger, turn: int, number: int) -> tuple:
        version = ledger.version
        ledger.apply(Counted(number=turn * 100 + number))
        try:
            committed = await store.save(ledger)
        except OptimisticConcurrencyError as error:
            found = await store.get_aggregate_version(ledger.id)
            assert len(ledger.get_uncommitted_events()) == 1
            return ("lost", ledger.id, version, error.stream, error.expected_version,
                    error.actual_version, found)  # fmt: skip
        return "won", ledger.id, version, committed.versions

    asyncio.run(main())


@each_shared
def test_one_of_eight_processes_wins(kind, tmp_path):
    url, rounds = url_of(kind, tmp_path), 20
    with sync.EventStore.create(url) as store:
        store.save(counted("old", -1))
    answers = race(save_same_version, 8, url, rounds)
    for turn in range(rounds):
        check_losers([answer[turn] for answer in answers])
    with sync.EventStore.create(url) as store:
        stored = list(store.read())
    assert len(stored) == rounds + 1
    check_versions(stored)


@each_shared
def test_eight_processes_save_to_one_store(kind, tmp_path):
    url = url_of(kind, tmp_path)
    answers = race(save_for, 8, url, 20 if LONG else 4)
    assert all(own for own, _ in answers), "every process gets its turn"
    with sync.EventStore.create(url) as store:
        check_log(store.read(), chain.from_iterable(own + shared for own, shared in answers))
        for number in range(8):
            assert store.load_one(Other, f"own-{number}").version > 0


def test_eight_processes_open_a_fresh_file(tmp_path):
    rounds = 400 if LONG else 60
    answers = race(open_fresh, 8, str(tmp_path), rounds)
    for versions in zip(*answers, strict=True):
        assert sorted(versions) == list(range(1, 9))


@each_store
def test_a_conflict_on_the_second_stream_leaves_the_first_alone(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.save(counted("a", 1), counted("b", 2))
            first, second = await store.load(Ledger, "a"), await store.load(Ledger, "b")
            await store.append([Counted(number=3)], stream=("Ledger", "b"))
            first.apply(Counted(number=4))
            second.apply(Counted(number=5))
            with pytest.raises(OptimisticConcurrencyError) as caught:
                await store.save(first, second)
            error = caught.value
            assert error.stream == ("Ledger", "b")
            assert (error.expected_version, error.actual_version) == (1, 2)
            assert await store.get_aggregate_version("a") == 1
            assert await store.get_aggregate_version("b") == 2
            check_log(await gathered(store.read()), [1, 2, 3])
            for ledger in (first, second):
                assert ledger.version == 2
                assert len(ledger.get_uncommitted_events()) == 1
            await store.save(first)
            assert (await store.load(Ledger, "a")).numbers == [1, 4]

    asyncio.run(main())


@each_shared
def test_two_streams_in_opposite_order_never_deadlock(kind, tmp_path):
    """16 tasks of 4 stores save the same two streams, half of them the other way round."""

    async def main():
        async with AsyncExitStack() as stack:
            stores = [
                await stack.enter_async_context(EventStore.create(url_of(kind, tmp_path)))
                for _ in range(4)
            ]
            wanted = await asyncio.gather(*(work(stores[n % 4], n) for n in range(16)))
            check_log(await gathered(stores[0].read()), chain.from_iterable(wanted))
            assert await stores[0].get_aggregate_version("a") == 160
            assert await stores[0].get_aggregate_version("b") == 160

    async def work(store, task: int) -> list[int]:
        numbers = []
        for turn in range(10):
            numbers += [2 * (task * 10 + turn), 2 * (task * 10 + turn) + 1]
            names = ("a", "b") if task // 4 % 2 else ("b", "a")
            while True:
                pair = [await store.load(Ledger, name) or Ledger(id=name) for name in names]
                for ledger, number in zip(pair, numbers[-2:], strict=True):
                    ledger.apply(Counted(number=number))
                try:
                    await store.save(*pair)
                except OptimisticConcurrencyError:
                    continue  # the only error that is right here
                break
        return numbers

    asyncio.run(main())


@each_store
def test_two_streams_are_saved_in_one_commit(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            committed = await store.save(counted("a", 1, 2), Other(id="none"), counted("b", 3))
            assert len(committed.positions) == 3
            assert sorted(committed.positions) == list(committed.positions)
            stored = await gathered(store.read())
            assert {event.meta.recorded_at for event in stored} == {committed.recorded_at}
            check_log(stored, [1, 2, 3])

    asyncio.run(main())


@each_store
def test_every_expectation(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            stream = ("Ledger", "x")

            async def refused(expected, actual):
                with pytest.raises(OptimisticConcurrencyError) as caught:
                    await store.append([Counted(number=9)], stream=stream, expected=expected)
                wanted = expected if isinstance(expected, int) else expected.value
                assert caught.value.stream == stream
                assert caught.value.expected_version == wanted
                assert caught.value.actual_version == actual

            await refused(STREAM_EXISTS, 0)
            await refused(1, 0)
            await refused(2**62, 0)
            await store.append([Counted(number=1)], stream=stream, expected=NO_STREAM)
            await refused(NO_STREAM, 1)
            await refused(0, 1)
            await refused(2, 1)
            await refused(2**63 - 1, 1)
            await store.append([Counted(number=2)], stream=stream, expected=STREAM_EXISTS)
            await store.append([Counted(number=3)], stream=stream, expected=2)
            await store.append([Counted(number=4)], stream=stream)
            check_log(await gathered(store.read()), [1, 2, 3, 4])

    asyncio.run(main())


@each_backend
def test_one_conflict_among_64_that_wait_hurts_nobody_else(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await store.save(counted("stale", 0))
            for turn in range(5):
                ledgers = [counted(f"{turn}-{n}", turn * 100 + n + 1) for n in range(64)]
                stale = counted("stale", 77)
                ledgers.insert(32, stale)
                outcomes = await asyncio.gather(
                    *(store.save(ledger) for ledger in ledgers), return_exceptions=True
                )
                conflict = outcomes.pop(32)
                assert isinstance(conflict, OptimisticConcurrencyError)
                assert conflict.stream == ("Ledger", "stale")
                assert conflict.actual_version == 1
                failed = [one for one in outcomes if isinstance(one, BaseException)]
                assert failed == []
            wanted = [turn * 100 + n + 1 for turn in range(5) for n in range(64)]
            check_log(await gathered(store.read()), [0, *wanted])

    asyncio.run(main())


@each_backend
def test_threads_share_a_blocking_store(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:

        async def main():
            def write(thread: int) -> None:
                ledger = Ledger(id=f"t-{thread}")
                for n in range(25):
                    ledger.apply(Counted(number=thread * 1000 + n))
                    store.save(ledger)

            await asyncio.gather(*(asyncio.to_thread(write, n) for n in range(8)))

        asyncio.run(main())
        check_log(store.read(), [t * 1000 + n for t in range(8) for n in range(25)])


@each_backend
def test_a_reader_never_sees_a_position_appear_below_what_it_saw(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            done = asyncio.Event()
            seen: list[int] = []

            async def follow():
                while True:
                    last = done.is_set()
                    async for event in store.read(after=seen[-1] if seen else 0):
                        seen.append(event.meta.position)
                    if last:
                        return
                    await asyncio.sleep(0)

            reader = asyncio.create_task(follow())
            await asyncio.gather(*(store.save(counted(f"s-{n}", n)) for n in range(400)))
            done.set()
            await reader
            everything = [event.meta.position async for event in store.read()]
            assert seen == everything
            assert len(seen) == 400

    asyncio.run(main())
