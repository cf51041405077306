"""Commits of several streams on a condition: `save`, `append` and `decide`."""

from __future__ import annotations

import asyncio

import pytest
from hotel import (
    MoneyMoved,
    Purse,
    RefusedError,
    RoomBooked,
    book,
    book_all,
    race_for_money,
    race_for_rooms,
    transfer_all,
)
from lossy import UNANSWERED, UNSENT, Line
from racers import race
from stores import each_api, each_kind, each_shared, each_store, gathered, run, url_of

from eventuali import (
    NO_STREAM,
    STREAM_EXISTS,
    AppendCondition,
    AppendConditionError,
    Committed,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    Query,
    StreamEvents,
    sync,
)
from eventuali.errors import IdempotencyConflictError

MONEY = Query(event_types=[MoneyMoved])
EVE = Query(tags=["person:eve"])


def moved(amount=1, person="all"):
    return MoneyMoved(person=person, amount=amount)


def purse(key, *amounts, person="all"):
    made = Purse(id=key)
    for amount in amounts:
        made.apply(moved(amount, person))
    return made


# --- save -----------------------------------------------------------------------------------------


@each_store
def test_a_save_holds_on_its_condition(kind, api, tmp_path):
    async def test(store):
        one, other = purse("a", 1), purse("b", 2)
        committed = await store.save(one, other, condition=AppendCondition(MONEY))
        assert committed.versions == (1, 1)
        one.apply(moved(5))
        other.apply(moved(5))
        with pytest.raises(AppendConditionError) as said:
            await store.save(one, other, condition=AppendCondition(MONEY, after=1))
        assert said.value.position == committed.position
        assert one.has_uncommitted_events()
        assert other.has_uncommitted_events()
        # Nothing is left of the condition that failed.
        assert (await store.save(one, other)).versions == (2, 2)
        assert len(await gathered(store.read())) == 4

    run(api, kind, tmp_path, test)


@each_store
def test_a_save_of_nothing_still_looks_at_its_condition(kind, api, tmp_path):
    async def test(store):
        one = purse("a", 1)
        assert await store.save(condition=AppendCondition(MONEY)) == Committed()
        await store.save(one)
        assert await store.save(one, condition=AppendCondition(EVE)) == Committed()
        for aggregates in ((), (one,)):
            with pytest.raises(AppendConditionError):
                await store.save(*aggregates, condition=AppendCondition(MONEY))
        for wrong in (MONEY, 1, "x"):
            with pytest.raises(TypeError, match="AppendCondition"):
                await store.save(one, condition=wrong)

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("arrives", [True, False])
@each_store
def test_a_repeated_save_settles_on_the_condition_it_was_sent_with(kind, api, arrives, tmp_path):
    async def test(store):
        line = Line(api, store)
        doubt = UNANSWERED if arrives else UNSENT
        for again in (AppendCondition(MONEY), None, AppendCondition(Query())):
            one = purse(f"a{again is None}{again == AppendCondition(MONEY)}", 1, person="eve")
            before = store.stats().last_position
            line.plan = [doubt]
            condition = AppendCondition(MONEY, after=before)
            with pytest.raises(OutcomeUnknownError):
                await store.save(one, condition=condition)
            committed = await store.save(one, condition=again)
            assert committed.versions == (1,)
            assert not one.has_uncommitted_events()
        assert len(await gathered(store.read())) == 3
        # What was not stored is refused where its condition was violated meanwhile.
        two = purse("b", 1)
        line.plan = [UNSENT]
        condition = AppendCondition(MONEY, after=store.stats().last_position)
        with pytest.raises(OutcomeUnknownError):
            await store.save(two, condition=condition)
        await store.append([moved()])
        with pytest.raises(AppendConditionError):
            await store.save(two)
        await store.save(two)

    run(api, kind, tmp_path, test)


@each_store
def test_new_events_after_an_open_save_have_the_new_condition(kind, api, tmp_path):
    async def test(store):
        line = Line(api, store)
        one = purse("a", 1)
        line.plan = [UNANSWERED]
        with pytest.raises(OutcomeUnknownError):
            await store.save(one)
        one.apply(moved(2))
        with pytest.raises(AppendConditionError):
            await store.save(one, condition=AppendCondition(MONEY))
        assert [event.amount for event in one.get_uncommitted_events()] == [2]
        condition = AppendCondition(MONEY, after=store.stats().last_position)
        assert (await store.save(one, condition=condition)).versions == (2,)

    run(api, kind, tmp_path, test)


# --- append ---------------------------------------------------------------------------------------


@each_store
def test_events_of_several_streams_are_one_commit(kind, api, tmp_path):
    async def test(store):
        first, second, alone = moved(1), [moved(2), moved(3)], moved(4)
        parts = [
            StreamEvents((Purse, "a"), [first], expected=NO_STREAM),
            alone,
            StreamEvents(("hotel.purse", "b"), second),
        ]
        committed = await store.append(parts, condition=AppendCondition(MONEY))
        assert committed.versions == (0, 1, 2)
        assert await store.append(parts, condition=AppendCondition(MONEY)) == committed
        seen = [(e.amount, e.aggregate_id, e.aggregate_version) for e in
                await gathered(store.read())]  # fmt: skip
        assert seen == [(4, None, None), (1, "a", 1), (2, "b", 1), (3, "b", 2)]
        assert [(e.aggregate_id, e.aggregate_version) for e in (first, *second, alone)] == [
            ("a", 1), ("b", 1), ("b", 2), (None, None),
        ]  # fmt: skip
        for stale in (
            [StreamEvents(("hotel.purse", "a"), [moved()], expected=0), moved()],
            [StreamEvents(("hotel.purse", "a"), [moved()]),
             StreamEvents(("hotel.purse", "c"), [moved()], expected=STREAM_EXISTS)],
            [StreamEvents(("hotel.purse", "a"), [moved()]),
             StreamEvents(("hotel.purse", "b"), [], expected=1)],
            [StreamEvents(("hotel.purse", "b"), [], expected=1)],
        ):  # fmt: skip
            with pytest.raises(OptimisticConcurrencyError):
                await store.append(stale)
        with pytest.raises(IdempotencyConflictError):
            await store.append([*parts, StreamEvents(("hotel.purse", "c"), [moved()])])
        both = [StreamEvents(("hotel.purse", "b"), [], expected=2), moved(9)]
        committed = await store.append(both, stream=("hotel.purse", "a"), expected=1)
        assert committed.versions == (2,)
        assert len(await gathered(store.read())) == 5

    run(api, kind, tmp_path, test)


@each_api
def test_what_is_no_event_of_a_stream_is_refused(api, tmp_path):
    async def test(store):
        one = moved()
        stream = ("hotel.purse", "a")
        for call in (
            lambda: store.append(StreamEvents(stream, [one])),
            lambda: store.append([StreamEvents(stream, one)]),
            lambda: store.append([StreamEvents(stream, [1])]),
            lambda: store.append([StreamEvents("a", [one])]),
            lambda: store.append([StreamEvents(stream, [one], expected="x")]),
        ):
            with pytest.raises(TypeError):
                await call()
        for call in (
            lambda: store.append([StreamEvents(stream, [one]), one]),
            lambda: store.append([StreamEvents(stream, [one]), StreamEvents(stream, [moved()])]),
            lambda: store.append([StreamEvents(stream, [one])], expected=3),
            lambda: store.append([StreamEvents(stream, [one], expected=-1)]),
            lambda: store.append([StreamEvents(stream, purse("b", 1).get_uncommitted_events())]),
        ):
            with pytest.raises(InvalidEventError):
                await call()
        assert await gathered(store.read()) == []
        assert StreamEvents(stream, iter([one])).events == (one,)

    run(api, "memory", tmp_path, test)


# --- decide ---------------------------------------------------------------------------------------


@each_store
def test_a_decision_gives_any_mix(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("old", 7))
        old = await store.load_one(Purse, "old")
        old.apply(moved(1))
        unchanged = purse("unchanged")
        new, alone = purse("new", 1, 2), moved(9)
        stream = StreamEvents(("hotel.purse", "c"), [moved(3)], expected=NO_STREAM)
        committed = await store.decide(MONEY, lambda _: (one for one in (
            alone, new, stream, unchanged, old)))  # fmt: skip
        assert (len(committed.positions), committed.versions) == (5, (2, 2, 0, 1))
        assert not new.has_uncommitted_events()
        assert (alone.position, stream.events[0].aggregate_version) != (None, None)
        assert await store.decide(MONEY, lambda _: unchanged) == Committed()
        assert await store.decide(MONEY, lambda _: StreamEvents(("hotel.purse", "c"), [])) == (
            Committed()
        )
        assert (await store.decide(MONEY, lambda _: purse("one", 1))).versions == (1,)
        assert (await store.decide(MONEY, lambda _: stream)).versions == (1,)  # the same events
        twice = purse("twice", 1)
        with pytest.raises(InvalidEventError, match="twice"):
            await store.decide(MONEY, lambda _: [twice, twice])
        with pytest.raises(TypeError, match="a decision must return"):
            await store.decide(MONEY, lambda _: [new, 1])
        with pytest.raises(InvalidEventError, match="applied to an aggregate"):
            await store.decide(MONEY, lambda _: twice.get_uncommitted_events())
        assert len(await gathered(store.read())) == 7

    run(api, kind, tmp_path, test)


@each_store
def test_a_stream_that_moved_on_leads_to_a_new_decision(kind, api, tmp_path):
    async def test(store):
        inner = store if api == "async" else store.store
        await store.save(purse("a", 10))
        seen = []

        async def awaited(events):
            one = await store.load_one(Purse, "a")
            seen.append(one.balance)
            if len(seen) < 4:
                await store.append([moved(100)], stream=("hotel.purse", "a"))
            one.apply(moved(-1))
            return one, moved(0, "eve")

        def waited(events):
            one = inner.load_one(Purse, "a")
            seen.append(one.balance)
            if len(seen) < 4:
                inner.append([moved(100)], stream=("hotel.purse", "a"))
            one.apply(moved(-1))
            return one, moved(0, "eve")

        decision = awaited if api == "async" else waited
        committed = await store.decide(EVE, decision)
        assert seen == [10, 110, 210, 310]
        assert committed.versions == (5, 0) or committed.versions == (0, 5)
        with pytest.raises(OptimisticConcurrencyError, match="after 3 attempts") as said:
            await store.decide(EVE, lambda _: StreamEvents(("hotel.purse", "a"), [moved()], 2),
                               attempts=3)  # fmt: skip
        assert type(said.value) is OptimisticConcurrencyError
        assert (said.value.stream, said.value.expected_version, said.value.actual_version) == (
            ("hotel.purse", "a"), 2, 5,
        )  # fmt: skip
        assert len(await gathered(store.read(EVE))) == 1

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("arrives", [True, False])
@each_store
def test_a_mix_in_doubt_is_sent_again_and_not_decided_again(kind, api, arrives, tmp_path):
    async def test(store):
        doubt = UNANSWERED if arrives else UNSENT
        line = Line(api, store, [doubt] * 2)
        decided = []

        def decision(events):
            decided.append(len(events))
            stream = StreamEvents(("hotel.purse", "b"), [moved(2)], expected=0)
            return [purse("a", 1), stream, moved(3)]

        committed = await store.decide(MONEY, decision)
        assert (decided, len(committed.positions)) == ([0], 3)
        assert len(await gathered(store.read())) == 3
        # Where it gives up, the aggregate still knows what was sent.
        line.plan = [doubt] * 9
        one = purse("c", 1)
        with pytest.raises(OutcomeUnknownError):
            await store.decide(MONEY, lambda _: [one, moved(4)], attempts=2)
        with pytest.raises(InvalidEventError, match="save it again first"):
            await store.decide(MONEY, lambda _: one)
        line.plan = []
        assert len((await store.save(one)).positions) == 2
        assert len(await gathered(store.read())) == 5

    run(api, kind, tmp_path, test)


# --- rules over several streams, raced for --------------------------------------------------------


@each_kind
def test_no_night_is_booked_twice_by_threads(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        check_nights(store, book_all(store, "guest", 16, 8))


@each_shared
def test_no_night_is_booked_twice_by_processes(kind, tmp_path):
    url = url_of(kind, tmp_path)
    won = race(race_for_rooms, 4, url, 4, 8)
    with sync.EventStore.create(url) as store:
        check_nights(store, [night for each in won for night in each])


def check_nights(store, won):
    nights = sorted(event.night for event in store.read(Query(event_types=[RoomBooked])))
    assert nights == sorted([*won, *(night + 1 for night in won)])
    assert len(set(nights)) == len(nights)
    assert len(nights) >= 4
    for night in range(8):
        with pytest.raises(RefusedError):
            store.decide(*book("1", [night, night + 1], "late"))


@each_kind
def test_a_limit_over_all_purses_holds_for_threads(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.save(purse("bank", 100, person="bank"))
        assert transfer_all(store, "payer", 16, 20) == 20
        check_money(store, 20)


@each_shared
def test_a_limit_over_all_purses_holds_for_processes(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url) as store:
        store.save(purse("bank", 100, person="bank"))
        assert sum(race(race_for_money, 4, url, 4, 20)) == 20
        check_money(store, 20)


def check_money(store, limit):
    balances = store.load_many(Purse, ["bank", "eve-0", "eve-1", "eve-2", "eve-3"])
    assert balances.pop("bank").balance == 100 - limit
    assert sum(each.balance for each in balances.values()) == limit
    assert len(list(store.read(MONEY))) == 2 * limit + 1


# --- load_many ------------------------------------------------------------------------------------


@each_store
def test_many_are_loaded_as_one_by_one(kind, api, tmp_path):
    async def test(store):
        await store.save(*(purse(f"p{n}", *range(n % 7 + 1)) for n in range(150)))
        long = purse("long", *range(2300))
        await store.save(long)
        ids = [f"p{n}" for n in range(149, -1, -3)] + ["nobody", "long", "p0", "p149"]
        found = await store.load_many(Purse, iter(ids))
        assert list(found) == [key for key in dict.fromkeys(ids) if key != "nobody"]
        for key, one in found.items():
            assert type(one) is Purse
            assert one == await store.load_one(Purse, key)
        found["long"].apply(moved(1))
        assert (await store.save(found["long"])).versions == (2301,)
        assert await store.load_many(Purse, []) == {}
        assert await store.for_tenant("other").load_many(Purse, ids) == {}

    run(api, kind, tmp_path, test)


@each_api
def test_ids_are_several_texts(api, tmp_path):
    async def test(store):
        for wrong in ("abc", b"abc", 1, None, [1], [None]):
            with pytest.raises(TypeError):
                await store.load_many(Purse, wrong)
        for wrong in (MoneyMoved, "Purse", None):
            with pytest.raises(TypeError):
                await store.load_many(wrong, ["a"])
        with pytest.raises(InvalidEventError):
            await store.load_many(Purse, ["a", ""])

    run(api, "memory", tmp_path, test)


def test_many_are_cancelled_and_the_store_goes_on(tmp_path):
    async def test(store):
        await store.save(*(purse(f"p{n}", 1) for n in range(100)))
        for turn in range(20):
            loading = store.load_many(Purse, [f"p{n}" for n in range(100)])
            task = asyncio.create_task(loading)
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(await store.load_many(Purse, [f"p{n}" for n in range(100)])) == 100

    run("async", "sqlite", tmp_path, test)
