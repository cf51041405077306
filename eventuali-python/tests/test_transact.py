"""Transactions: nothing is lost or stored twice, callers take turns, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from hotel import MoneyMoved, Purse, increment, race_to_increment
from lossy import AWAY, LOST, Line
from racers import race
from stores import each_api, each_kind, each_shared, each_store, gathered, opened, run, url_of
from units import fit, inner, outside

from eventuali import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    Committed,
    EventStore,
    InvalidEventError,
    OptimisticConcurrencyError,
    Outcome,
    OutcomeUnknownError,
    Query,
    StreamEvents,
    sync,
)
from eventuali._engine import tickets as lines
from eventuali._engine import transact as transacting
from eventuali._engine.operation import run as drive
from eventuali.errors import (
    AggregateNotFoundError,
    StorageUnavailableError,
    StoreClosedError,
)


def moved(amount=1):
    return MoneyMoved(person="all", amount=amount)


def purse(key, *amounts):
    made = Purse(id=key)
    for amount in amounts:
        made.apply(moved(amount))
    return made


async def stored(store, key):
    return (await store.load_one(Purse, key)).balance


@each_store
def test_a_transfer_is_one_commit_and_gives_its_value(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10), purse("b", 1))

        async def transfer(work):
            source, target = await work.load_one(Purse, "a"), await work.load_one(Purse, "b")
            source.apply(moved(-4))
            target.apply(moved(4))
            return source.balance

        outcome = await store.transact(fit(api, transfer))
        value, committed = outcome
        assert (type(outcome), value, outcome.value) == (Outcome, 6, 6)
        assert (len(committed.positions), committed.versions) == (2, (2, 2))
        assert committed.position == store.stats().last_position
        assert (await stored(store, "a"), await stored(store, "b")) == (6, 5)

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_added_is_stored_and_what_is_unchanged_is_not(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def open_another(work):
            assert await work.load(Purse, "new") is None
            with pytest.raises(AggregateNotFoundError):
                await work.load_one(Purse, "new")
            many = await work.load_many(Purse, ["nobody", "a", "a"])
            assert list(many) == ["a"]
            assert many["a"] is await work.load(Purse, "a")
            new = purse("new", many["a"].balance)
            work.add(new, purse("other", 3))
            assert await work.load(Purse, "new") is new
            with pytest.raises(InvalidEventError, match="already"):
                work.add(purse("a", 1))
            with pytest.raises(TypeError, match="aggregates"):
                work.add(moved())
            work.add(new)

        committed = (await store.transact(fit(api, open_another))).committed
        assert committed.versions == (1, 1)
        assert (await stored(store, "new"), await stored(store, "other")) == (10, 3)
        assert await store.get_aggregate_version("a") == 1

        async def look(work):
            return (await work.load_one(Purse, "a")).balance

        assert await store.transact(fit(api, look)) == (10, Committed())

    run(api, kind, tmp_path, test)


class OtherPurse(Aggregate, name="hotel.purse"):
    balance: int = 0

    def apply_money_moved(self, event: MoneyMoved) -> None:
        self.balance += event.amount


@each_api
def test_an_aggregate_has_one_class_in_a_transaction(api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def twice(work):
            await work.load(Purse, "a")
            await work.load(OtherPurse, "a")

        with pytest.raises(InvalidEventError, match="loaded as Purse, not as OtherPurse"):
            await store.transact(fit(api, twice))

    run(api, "memory", tmp_path, test)


class NoError(Exception):
    pass


@each_store
def test_what_the_function_raises_is_raised_and_nothing_is_stored(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def change_and_refuse(work):
            (await work.load_one(Purse, "a")).apply(moved())
            raise NoError

        for _ in range(3):
            with pytest.raises(NoError):
                await store.transact(fit(api, change_and_refuse))
        assert await stored(store, "a") == 10
        assert inner(api, store)._tickets._lines == {}

    run(api, kind, tmp_path, test)


def overtaken(api, store, times, work_of, rival):
    """Returns a function in whose first calls somebody else stores something, and what it sees."""
    seen = []

    async def change(work):
        seen.append(await work_of(work))
        if len(seen) <= times:
            await outside(rival, inner(api, store))
        return len(seen)

    return fit(api, change), seen


@each_store
def test_after_a_conflict_it_is_called_anew_with_what_is_stored_by_then(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def add(work):
            found = await work.load_one(Purse, "a")
            before = found.balance
            found.apply(moved())
            return before

        def rival(store):
            return store.append([moved(100)], stream=("hotel.purse", "a"))

        change, seen = overtaken(api, store, 3, add, rival)
        assert (await store.transact(change)).value == 4
        assert seen == [10, 110, 210, 310]
        assert await stored(store, "a") == 311

    run(api, kind, tmp_path, test)


@each_store
def test_whoever_is_always_overtaken_hears_what_to_do(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def add(work):
            (await work.load_one(Purse, "a")).apply(moved())

        def rival(store):
            return store.append([moved(100)], stream=("hotel.purse", "a"))

        change, seen = overtaken(api, store, 9, add, rival)
        with pytest.raises(
            OptimisticConcurrencyError, match=r"after 3 attempts.*attempts="
        ) as said:
            await store.transact(change, attempts=3)
        error = said.value
        assert (error.stream, error.expected_version, error.actual_version) == (
            ("hotel.purse", "a"), 3, 4,
        )  # fmt: skip
        assert len(seen) == 3
        assert isinstance(error.__cause__, OptimisticConcurrencyError)
        assert await stored(store, "a") == 310

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_only_looked_at_must_stay_as_it_was(kind, api, tmp_path):
    """Of two rules that each look at both, one would else be stored beside the other."""

    async def test(store):
        await store.save(purse("a", 9), purse("b", 1))

        async def take_from_a(work):
            a, b = await work.load_one(Purse, "a"), await work.load_one(Purse, "b")
            c = await work.load(Purse, "c")
            a.apply(moved(-1))
            return b.balance, c and c.balance

        def rival_of(key):
            return lambda store: store.append([moved(-1)], stream=("hotel.purse", key))

        for key, wanted in [("b", [(1, None), (0, None)]), ("c", [(0, None), (0, -1)])]:
            change, seen = overtaken(api, store, 1, take_from_a, rival_of(key))
            await store.transact(change)
            assert seen == wanted
        assert await stored(store, "a") == 7

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_read_is_a_condition(kind, api, tmp_path):
    async def test(store):
        seats = Query(tags=["seat"])

        async def take(work):
            taken = await work.read(seats)
            work.add(purse(f"p{len(taken)}", 1))
            return len(taken)

        def rival(store):
            return store.append([MoneyMoved(person="x", amount=0, tags=["seat"])])

        change, seen = overtaken(api, store, 2, take, rival)
        await store.transact(change)
        assert seen == [0, 1, 2]
        await store.append([MoneyMoved(person="x", amount=0, tags=["seat"])])
        change, seen = overtaken(api, store, 2, take, rival)
        with pytest.raises(AppendConditionError, match="after one attempt"):
            await store.transact(change, attempts=1)
        assert [each.aggregate_id async for each in store.streams(Purse)] == ["p2"]

    run(api, kind, tmp_path, test)


@each_store
def test_events_of_no_aggregate_are_in_the_same_commit(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        async def note(work):
            (await work.load_one(Purse, "a")).apply(moved())
            given.append([moved(1), moved(2), moved(3)])
            work.append(given[-1][:1], stream=("hotel.purse", "b"), expected=NO_STREAM)
            work.append(given[-1][1:2], stream=("hotel.purse", "b"))
            work.append(iter(given[-1][2:]))

        given = []
        committed = (await store.transact(fit(api, note))).committed
        events = await gathered(store.read())
        assert [event.aggregate_id for event in events] == ["a", "a", "b", "b", None]
        assert committed.positions == tuple(event.position for event in events[1:])
        assert [event.event_id for event in given[0]] == [event.event_id for event in events[2:]]
        with pytest.raises(OptimisticConcurrencyError, match="after 2 attempts"):
            await store.transact(fit(api, note), attempts=2)
        assert (len(given), await store.get_aggregate_version("a")) == (3, 2)

    run(api, kind, tmp_path, test)


@each_store
def test_the_stream_of_what_was_loaded_must_be_at_its_version(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))

        def append(expected, key="a"):
            async def change(work):
                found = await work.load(Purse, key)
                work.append([moved()], stream=("hotel.purse", key), expected=expected)
                return found and found.balance

            return change

        def rival(store):
            return store.append([moved(5)], stream=("hotel.purse", "a"))

        change, seen = overtaken(api, store, 1, append(ANY), rival)
        await store.transact(change)
        assert seen == [10, 15]
        await store.transact(fit(api, append(3)))
        await store.transact(fit(api, append(STREAM_EXISTS)))
        await store.transact(fit(api, append(NO_STREAM, "new")))
        await store.transact(fit(api, append(0, "newer")))
        for wrong in [append(4), append(6), append(NO_STREAM), append(STREAM_EXISTS, "no")]:
            with pytest.raises(OptimisticConcurrencyError, match="at version") as refused:
                await store.transact(fit(api, wrong))
            assert refused.value.stream[0] == "hotel.purse"
        assert await stored(store, "a") == 18

        async def both(work):
            (await work.load_one(Purse, "a")).apply(moved())
            work.append([moved()], stream=("hotel.purse", "a"))

        with pytest.raises(InvalidEventError, match="apply these to it"):
            await store.transact(fit(api, both))

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_expected_explicitly_is_checked_without_events(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 10))
        seats = Query(tags=["seat"])

        def expect(**options):
            async def change(work):
                work.append([], **options)

            return fit(api, change)

        stream = ("hotel.purse", "a")
        for right in [{"stream": stream, "expected": 1}, {"condition": AppendCondition(seats)}, {}]:
            assert await store.transact(expect(**right)) == (None, Committed())
        await store.append([MoneyMoved(person="x", amount=0, tags=["seat"])])
        with pytest.raises(AppendConditionError):
            await store.transact(expect(condition=AppendCondition(seats)), attempts=1)
        with pytest.raises(OptimisticConcurrencyError):
            await store.transact(expect(stream=stream, expected=2), attempts=2)
        with pytest.raises(InvalidEventError, match="stream="):
            await store.transact(expect(expected=2))

    run(api, kind, tmp_path, test)


@each_api
def test_what_can_not_be_appended_is_refused(api, tmp_path):
    async def test(store):
        for wrong in (moved(), purse("a", 1), [1], [purse("a", 1)]):

            async def change(work, wrong=wrong):
                work.append(wrong)

            with pytest.raises(TypeError, match="append takes"):
                await store.transact(fit(api, change))

        async def waiting(work):
            work.append(purse("a", 1).get_uncommitted_events())

        with pytest.raises(InvalidEventError, match="applied to an aggregate"):
            await store.transact(fit(api, waiting))

    run(api, "memory", tmp_path, test)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "3", None, True])
@each_api
def test_attempts_count_from_one(api, wrong, tmp_path):
    async def test(store):
        with pytest.raises((TypeError, ValueError), match="attempts"):
            await store.transact(lambda work: None, attempts=wrong)

    run(api, "memory", tmp_path, test)


def test_the_blocking_store_takes_no_coroutine():
    async def change(work):
        work.add(purse("a", 1))

    with sync.EventStore.create("memory://") as store:
        with pytest.raises(TypeError, match=r"the function of a transaction.*coroutine"):
            store.transact(change)
        assert list(store.read()) == []


def test_the_other_store_takes_a_plain_function(tmp_path):
    async def test(store):
        value, committed = await store.transact(lambda work: work.add(purse("a", 1)))
        assert (value, committed.versions) == (None, (1,))

    run("async", "memory", tmp_path, test)


# --- outcomes that are not known ------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        [(None, LOST)],
        [(LOST, None)],
        [(None, LOST), (LOST, None), (AWAY, None), (None, LOST)],
        [(LOST, None), (AWAY, None), (AWAY, None)],
    ],
    ids=["stored", "not-stored", "stored-and-away", "away"],
)
@each_store
def test_an_outcome_is_settled_before_the_function_is_called_again(kind, api, plan, tmp_path):
    async def test(store):
        await store.save(purse("a", 1))
        line = Line(api, store, plan)
        calls = []

        async def add(work):
            calls.append(1)
            (await work.load_one(Purse, "a")).apply(moved())
            work.add(purse("b", 5))

        committed = (await store.transact(fit(api, add))).committed
        assert len(calls) == 1
        assert len(line.sent) == len(plan) + 1
        assert len(set(map(tuple, line.sent))) == 1
        assert committed.versions == (2, 1)
        assert (await stored(store, "a"), await stored(store, "b")) == (2, 5)

    run(api, kind, tmp_path, test)


@each_store
def test_an_outcome_that_stays_unknown_says_so(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 1))
        for plan, attempts in [
            ([(None, LOST)], 1),
            ([(None, LOST), (AWAY, None), (AWAY, None)], 3),
            ([(None, LOST), (StoreClosedError("closed"), None)], 9),
        ]:
            line = Line(api, store, plan)

            async def add(work):
                (await work.load_one(Purse, "a")).apply(moved())

            with pytest.raises(OutcomeUnknownError, match="transaction") as caught:
                await store.transact(fit(api, add), attempts=attempts)
            (found,) = await gathered(store.read(Query(event_ids=caught.value.event_ids)))
            assert found.event_id.bytes == line.sent[0][0]
        assert await stored(store, "a") == 4

    run(api, kind, tmp_path, test)


@each_store
def test_what_fails_without_a_doubt_is_raised_as_it_is(kind, api, tmp_path):
    async def test(store):
        line = Line(api, store, [(AWAY, None)])

        async def add(work):
            work.add(purse("a", 1))

        with pytest.raises(StorageUnavailableError) as caught:
            await store.transact(fit(api, add))
        assert caught.value is AWAY
        assert len(line.sent) == 1

    run(api, kind, tmp_path, test)


# --- one hot aggregate ----------------------------------------------------------------------------


@each_kind
def test_sixteen_threads_lose_nothing_and_take_turns(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.save(purse("hot", 0))
        with ThreadPoolExecutor(16) as pool:
            attempts = [n for found in pool.map(increment, [store] * 16, [15] * 16) for n in found]
        assert store.load_one(Purse, "hot").balance == 240
        assert max(attempts) == 1  # nobody else was there
        assert store._tickets._lines == {}


@each_kind
def test_sixty_tasks_lose_nothing_and_take_turns(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            await store.save(purse("hot", 0))
            calls = []

            async def more(work):
                calls.append(1)
                (await work.load_one(Purse, "hot")).apply(moved())

            await asyncio.gather(*(store.transact(more) for _ in range(60)))
            assert await stored(store, "hot") == len(calls) == 60
            assert store._tickets._lines == {}

    asyncio.run(main())


@each_shared
def test_four_processes_of_sixteen_threads_lose_nothing(kind, tmp_path):
    url, times = url_of(kind, tmp_path), 6
    with sync.EventStore.create(url) as store:
        store.save(purse("hot", 0))
        found = race(race_to_increment, 4, url, 16, times)
        attempts = sorted(n for each in found for n in each)
        assert store.load_one(Purse, "hot").balance == len(attempts) == 4 * 16 * times
        assert len(list(store.read())) == len(attempts) + 1
    # What they need where nobody takes turns is shown by benchmarks.contention: 23 to 70.
    assert attempts[int(len(attempts) * 0.99)] <= 12, attempts[-20:]


@each_store
def test_streams_in_opposite_order_never_deadlock(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 0), purse("b", 0))

        async def move(work, first, second):
            one, other = await work.load_one(Purse, first), await work.load_one(Purse, second)
            one.apply(moved(1))
            other.apply(moved(-1))

        def moving(*keys):
            return store.transact(fit(api, lambda work: move(work, *keys)))

        await asyncio.gather(*(moving(*("ab" if n % 2 else "ba")) for n in range(40)))
        assert (await stored(store, "a"), await stored(store, "b")) == (0, 0)
        assert await store.get_aggregate_version("a") == 41

    run(api, kind, tmp_path, test)


def test_several_loops_and_threads_take_turns(tmp_path):
    """The line is one, however its callers wait."""
    store = asyncio.run(opening(url_of("sqlite", tmp_path)))

    async def more(work):
        (await work.load_one(Purse, "hot")).apply(moved())

    async def some():
        await asyncio.gather(*(store.transact(more) for _ in range(10)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: asyncio.run(some()), range(4)))

    async def end():
        assert await stored(store, "hot") == 40
        await store.close()

    asyncio.run(end())


async def opening(url):
    store = await EventStore.create(url)
    await store.save(purse("hot", 0))
    return store


@each_api
def test_nobody_waits_for_ever_for_a_caller_that_hangs(api, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "HOLD", 0.05)

    async def test(store):
        await store.save(purse("hot", 0))
        hung, free = threading.Event(), threading.Event()

        async def hang(work):
            (await work.load_one(Purse, "hot")).apply(moved(1))
            if not hung.is_set():
                hung.set()
                if api == "async":
                    await asyncio.to_thread(free.wait)
                else:
                    free.wait()

        async def more(work):
            (await work.load_one(Purse, "hot")).apply(moved(10))

        hanging = asyncio.create_task(store.transact(fit(api, hang)))
        await asyncio.to_thread(hung.wait)
        await asyncio.gather(*(store.transact(fit(api, more)) for _ in range(5)))
        assert await stored(store, "hot") == 50
        free.set()
        await hanging
        assert await stored(store, "hot") == 51

    run(api, "memory", tmp_path, test)


@each_api
def test_a_transaction_inside_another_does_not_wait_for_it(api, tmp_path):
    """It may look at what that one changes, and change something else, in each attempt."""

    async def test(store):
        await store.save(purse("hot", 0), purse("other", 0))
        calls = []

        async def inside(work):
            (await work.load_one(Purse, "other")).apply(moved())
            assert (await work.load_one(Purse, "hot")).balance == 0

        async def outside(work):
            (await work.load_one(Purse, "hot")).apply(moved(10))
            calls.append(time.monotonic())
            await (
                store.transact(fit(api, inside))
                if api == "async"
                else completed(inner(api, store).transact(fit(api, inside)))
            )
            calls.append(time.monotonic())

        await store.transact(fit(api, outside))
        assert calls[1] - calls[0] < lines.HOLD
        assert (len(calls), await stored(store, "hot"), await stored(store, "other")) == (2, 10, 1)

    run(api, "memory", tmp_path, test)


async def completed(value):
    return value


@pytest.mark.parametrize("way", ["load", "add", "append", "decide"])
@each_api
def test_a_transaction_inside_another_can_not_change_the_same(api, way, tmp_path):
    async def test(store):
        await store.save(purse("hot", 0))
        calls = []

        async def inside(work):
            if way == "append":
                work.append([moved()], stream=("hotel.purse", "hot"))
            else:
                (await work.load_one(Purse, "hot")).apply(moved(1))

        def decided(_events):
            return StreamEvents(("hotel.purse", "hot"), [moved()])

        async def outside(work):
            calls.append(1)
            if way == "add":
                work.add(
                    await store.load_one(Purse, "hot")
                    if api == "async"
                    else inner(api, store).load_one(Purse, "hot")
                )
            else:
                await work.load_one(Purse, "hot")
            here = inner(api, store)
            if way == "decide":
                begun = here.decide(Query(tags=["none"]), decided)
            else:
                begun = here.transact(fit(api, inside))
            await (begun if api == "async" else completed(begun))

        with pytest.raises(RuntimeError, match=r"transaction changes the hotel\.purse 'hot'"):
            await store.transact(fit(api, outside))
        assert (len(calls), await store.get_aggregate_version("hot")) == (1, 1)
        assert inner(api, store)._tickets._lines == {}

    run(api, "memory", tmp_path, test)


def test_a_task_that_a_transaction_leaves_behind_takes_turns_again(tmp_path):
    async def test(store):
        await store.save(purse("hot", 0))
        over, held = asyncio.Event(), asyncio.Event()

        async def more(work):
            (await work.load_one(Purse, "hot")).apply(moved())

        async def later():
            await over.wait()
            await store.transact(more)

        async def leave(work):
            await work.load_one(Purse, "hot")
            return asyncio.create_task(later())

        async def hold(work):
            (await work.load_one(Purse, "hot")).apply(moved())
            held.set()
            (line,) = store._tickets._lines.values()
            while not line.waiting:
                await asyncio.sleep(0)

        left = (await store.transact(leave)).value
        holding = asyncio.create_task(store.transact(hold))
        await held.wait()
        over.set()
        await asyncio.wait_for(asyncio.gather(left, holding), 30)
        assert await stored(store, "hot") == 2

    run("async", "memory", tmp_path, test)


@each_api
def test_a_unit_of_work_that_has_ended_takes_no_calls(api, tmp_path):
    async def test(store):
        await store.save(purse("a", 0))
        kept = []

        async def keep(work):
            kept.append(getattr(work, "inner", work))
            await work.load_one(Purse, "a")

        async def fail(work):
            kept.append(getattr(work, "inner", work))
            raise ValueError

        await store.transact(fit(api, keep))
        with pytest.raises(ValueError):  # noqa: PT011
            await store.transact(fit(api, fail))
        for work in kept:
            for late in [
                lambda work=work: work.append([moved()]),
                lambda work=work: work.add(purse("b", 1)),
            ]:
                with pytest.raises(RuntimeError, match="has ended"):
                    late()
            for late in [
                lambda work=work: work.load(Purse, "a"),
                lambda work=work: work.load_one(Purse, "x"),
                lambda work=work: work.load_many(Purse, ["a", "x"]),
                lambda work=work: work.read(Query()),
            ]:
                with pytest.raises(RuntimeError, match="has ended"):
                    await (late() if api == "async" else asyncio.to_thread(late))
        assert inner(api, store)._tickets._lines == {}

    run(api, "memory", tmp_path, test)


def test_whoever_waits_for_a_turn_when_its_transaction_ends_holds_no_line(tmp_path):
    async def test(store):
        await store.save(purse("hot", 0))
        held, go = asyncio.Event(), asyncio.Event()
        tasks = []

        async def hold(work):
            (await work.load_one(Purse, "hot")).apply(moved())
            held.set()
            await go.wait()

        async def fail(work):
            tasks.extend(asyncio.create_task(work.load_one(Purse, "hot")) for _ in range(2))
            (line,) = store._tickets._lines.values()
            while not line.waiting:
                await asyncio.sleep(0)
            raise ValueError

        holding = asyncio.create_task(store.transact(hold))
        await held.wait()
        with pytest.raises(ValueError):  # noqa: PT011
            await store.transact(fail)
        for task in tasks:
            with pytest.raises(RuntimeError, match="has ended"):
                await task
        go.set()
        await holding
        assert store._tickets._lines == {}

    run("async", "memory", tmp_path, test)


@each_api
def test_who_only_reads_takes_turns_and_pauses_no_longer_than_it_took(api, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(transacting.random, "random", lambda: 1.0)
    pause = transacting.Transaction.pause
    monkeypatch.setattr(
        transacting.Transaction, "pause", lambda self: taken.append(pause(self)) or 0.0
    )
    monkeypatch.setattr(transacting, "LONGEST_PAUSE", 1e9)

    async def test(store):
        query = Query(event_types=[MoneyMoved])
        calls = []

        async def more(work):
            calls.append(time.monotonic())
            work.append([moved(len(await work.read(query)))])
            if len(calls) == 1:
                await (
                    store.append([moved()])
                    if api == "async"
                    else completed(inner(api, store).append([moved()]))
                )
            else:
                assert [key[1] for key in inner(api, store)._tickets._lines] == [repr(query)]

        begun = time.monotonic()
        await store.transact(fit(api, more))
        assert len(taken) == 1
        assert taken[0] <= calls[1] - begun
        assert inner(api, store)._tickets._lines == {}

    run(api, "memory", tmp_path, test)


@each_api
def test_a_generator_function_is_refused_by_name(api, tmp_path):
    def plain(work):
        yield work.add(purse("a", 1))

    async def waiting(work):
        yield work.add(purse("a", 1))

    class Callable:
        def __call__(self, work):
            yield work

    async def test(store):
        for wrong in (plain, waiting, Callable(), partial(plain)):
            with pytest.raises(TypeError, match=r"the function of a transaction.*generator"):
                await store.transact(wrong)

    run(api, "memory", tmp_path, test)


def test_who_is_cancelled_leaves_the_line(tmp_path):
    async def test(store):
        await store.save(purse("hot", 0))
        inside, go = asyncio.Event(), asyncio.Event()

        async def hold(work):
            (await work.load_one(Purse, "hot")).apply(moved())
            inside.set()
            await go.wait()

        async def more(work):
            (await work.load_one(Purse, "hot")).apply(moved())

        holding = asyncio.create_task(store.transact(hold))
        await inside.wait()
        waiting = [asyncio.create_task(store.transact(more)) for _ in range(9)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        (line,) = store._tickets._lines.values()
        while len(line.waiting) > 4:
            await asyncio.sleep(0.001)
        go.set()
        await asyncio.gather(holding, *waiting, return_exceptions=True)
        assert await stored(store, "hot") == 5
        assert store._tickets._lines == {}

    run("async", "memory", tmp_path, test)


@each_shared
def test_a_cancelled_transaction_that_looks_for_itself_is_stored_once(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            for turn in range(40):

                async def once(work, turn=turn):
                    if await work.load(Purse, f"n{turn}") is None:
                        work.add(purse(f"n{turn}", turn))

                task = asyncio.create_task(store.transact(once))
                for _ in range(turn // 3):
                    await asyncio.sleep(0.0002)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await store.transact(once)
            assert len(await gathered(store.read())) == 40

    asyncio.run(main())


# --- the lines themselves -------------------------------------------------------------------------


def test_the_first_to_come_is_the_first_to_go_and_a_retry_keeps_its_place():
    tickets = lines.Tickets()
    first, second, third = (tickets.draw() for _ in range(3))
    drive(first.take(["a"]))
    assert tickets.enter("a", third) is not None
    turn = tickets.enter("a", second)
    tickets.leave(first, ["a"])
    assert turn.done()
    assert second.held == {"a"}
    # `first` came first: for its next attempt it is before `third`.
    again = tickets.enter("a", first)
    second.close()
    assert again.done()
    first.close()
    assert third.held == {"a"}
    third.close()
    assert tickets._lines == {}


def test_a_caller_waits_only_in_the_order_of_the_keys():
    tickets = lines.Tickets()
    one, other = tickets.draw(), tickets.draw()
    drive(one.take(["b"]))
    drive(other.take(["a"]))
    assert tickets.enter("a", one) is None  # goes on without, for `other` may wait for it
    assert one.held == {"b"}
    assert tickets.enter("b", other) is not None


def test_a_turn_ends_when_it_takes_too_long(monkeypatch):
    monkeypatch.setattr(lines, "HOLD", 0.0)
    tickets = lines.Tickets()
    one, other = tickets.draw(), tickets.draw()
    drive(one.take(["a"]))
    drive(other.take(["a"]))
    assert other.held == {"a"}
    tickets.renew(one)
    assert one.held == set()


def test_a_caller_that_is_dropped_leaves_the_line():
    tickets = lines.Tickets()
    one, other = tickets.draw(), tickets.draw()
    drive(one.take(["a"]))
    waiting = other.take(["a"])
    next(waiting)
    assert len(tickets._lines["a"].waiting) == 1
    del waiting
    gc.collect()
    assert tickets._lines["a"].waiting == []
