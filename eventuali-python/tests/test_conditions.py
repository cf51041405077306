"""Append conditions: what was decided on must still hold when the decision is stored."""

from __future__ import annotations

import asyncio

import pytest
from ledger import Counted, check_log
from racers import append_on_condition, race
from stores import each_kind, each_shared, each_store, gathered, opened, url_of

from eventuali import (
    AppendCondition,
    AppendConditionError,
    EventStore,
    OptimisticConcurrencyError,
    Query,
    sync,
)


@each_store
def test_one_of_eight_tasks_wins(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            for turn in range(6):
                query = Query(tags=[f"seat:{turn}"])
                after = store.stats().last_position if turn % 2 else 0
                condition = AppendCondition(query, after=after)
                outcomes = await asyncio.gather(
                    *(
                        store.append(
                            [Counted(number=turn * 100 + n, tags=[f"seat:{turn}", "seat"])],
                            condition=condition,
                        )
                        for n in range(8)
                    ),
                    return_exceptions=True,
                )
                lost = [one for one in outcomes if isinstance(one, AppendConditionError)]
                won = [one for one in outcomes if not isinstance(one, BaseException)]
                assert (len(won), len(lost)) == (1, 7), outcomes
                for error in lost:
                    assert isinstance(error, OptimisticConcurrencyError)
                    assert error.after == after
                    assert error.position == won[0].position
                (stored,) = await gathered(store.read(query))
                assert stored.meta.position == won[0].position
                assert (stored.meta.aggregate_type, stored.meta.aggregate_id) == (None, None)

    asyncio.run(main())


@each_shared
def test_one_of_eight_processes_wins(kind, tmp_path):
    url, rounds = url_of(kind, tmp_path), 20
    answers = race(append_on_condition, 8, url, rounds)
    for turn in range(rounds):
        assert [answer[turn] for answer in answers].count(True) == 1, turn
    with sync.EventStore.create(url) as store:
        for turn in range(rounds):
            assert len(list(store.read(Query(tags=[f"seat:{turn}"])))) == 1
        assert len(list(store.read())) == rounds


@each_shared
def test_ten_seats_are_ten(kind, tmp_path):
    """16 that read, decide and append: what commits between reading and writing is seen."""
    course = Query(tags=["course:1"])

    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as one:
            async with EventStore.create(url_of(kind, tmp_path)) as other:
                await asyncio.gather(*(enrol((one, other)[n % 2], n) for n in range(16)))
            stored = await gathered(one.read(course))
            assert len(stored) == 10
            check_log_without_streams(stored, [event.number for event in stored])

    async def enrol(store, number: int) -> None:
        """Takes seats for as long as there are some."""
        while True:
            seen = await gathered(store.read(course))
            if len(seen) >= 10:
                return
            condition = AppendCondition(course, after=seen[-1].position if seen else 0)
            seat = Counted(number=number, tags=["course:1"])
            try:
                await store.append([seat], condition=condition)
            except AppendConditionError:
                continue

    asyncio.run(main())


@each_store
def test_a_condition_looks_at_its_query_and_only_after_its_position(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            first = await store.append([Counted(number=1, tags=["a", "b"])])

            async def holds(number, query, after):
                condition = AppendCondition(query, after=after)
                await store.append([Counted(number=number)], condition=condition)

            await holds(2, Query(tags=["a"]), first.position)
            await holds(3, Query(tags=["a", "c"]), 0)
            await holds(4, Query(event_types=["Elsewhere"], tags=["a"]), 0)
            await holds(5, Query(aggregate_type="Ledger"), 0)
            refused = [Query(tags=["a"]), Query(tags=["b", "a"]), Query(event_types=[Counted]),
                       Query(tags=["z"]) | Query(tags=["b"]), Query()]  # fmt: skip
            for query in refused:
                with pytest.raises(AppendConditionError) as caught:
                    await holds(99, query, 0)
                assert caught.value.after == 0
            with pytest.raises(AppendConditionError):
                await holds(99, Query(tags=["a"]), first.position - 1)
            check_log_without_streams(await gathered(store.read()), [1, 2, 3, 4, 5])

    asyncio.run(main())


@each_kind
def test_repeating_an_append_gives_the_first_answer_though_its_own_event_matches(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        event = Counted(number=1, tags=["seat"])
        condition = AppendCondition(Query(tags=["seat"]))
        first = store.append([event], condition=condition)
        assert store.append([event], condition=condition) == first
        assert len(list(store.read())) == 1


@each_kind
def test_a_condition_and_a_stream_hold_together(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Counted(number=1, tags=["t"])], stream=("Ledger", "a"))
        for expected, tag in [(1, "t"), (0, "u")]:
            with pytest.raises(OptimisticConcurrencyError):
                store.append(
                    [Counted(number=2)],
                    stream=("Ledger", "a"),
                    expected=expected,
                    condition=AppendCondition(Query(tags=[tag])),
                )
        store.append(
            [Counted(number=3)],
            stream=("Ledger", "a"),
            expected=1,
            condition=AppendCondition(Query(tags=["u"])),
        )
        check_log(store.read(), [1, 3])


def check_log_without_streams(events, wanted):
    assert [event.number for event in events] == wanted
    positions = [event.meta.position for event in events]
    assert positions == sorted(set(positions))
