"""Decisions on what was read: stored only while they hold, and never twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest
from ledger import Counted
from lossy import AWAY, LOST, Line
from racers import append_blindly, decide_seats, race
from stores import each_api, each_shared, each_store, gathered, run, url_of

from eventuali import (
    AppendConditionError,
    Committed,
    EventStore,
    EventStoreError,
    InvalidEventError,
    OutcomeUnknownError,
    Query,
    sync,
)
from eventuali.errors import StorageUnavailableError, StoreClosedError

COURSE = Query(tags=["course:1"])
LIMIT = 10


class FullError(Exception):
    pass


def seat(number: int) -> Counted:
    return Counted(number=number, tags=["course:1"])


def enrol(number: int, events: list) -> Counted:
    if len(events) >= LIMIT:
        raise FullError
    return seat(number)


@each_store
def test_one_of_eight_wins_and_the_others_see_it(kind, api, tmp_path):
    async def test(store):
        def claim(number, events):
            if events:
                raise FullError(events[0].number)
            return [Counted(number=number, tags=["name:ada"])]

        name = Query(tags=["name:ada"])
        claims = (store.decide(name, partial(claim, n)) for n in range(8))
        outcomes = await asyncio.gather(*claims, return_exceptions=True)
        (won,) = [n for n, one in enumerate(outcomes) if isinstance(one, Committed)]
        lost = [one for one in outcomes if isinstance(one, FullError)]
        assert [error.args for error in lost] == [(won,)] * 7
        (stored,) = await gathered(store.read())
        assert (stored.number, stored.position) == (won, outcomes[won].position)

    run(api, kind, tmp_path, test)


@each_store
def test_of_sixteen_who_take_seats_until_there_are_none_ten_get_one(kind, api, tmp_path):
    async def test(store):
        async def take(number):
            taken = 0
            while True:
                try:
                    await store.decide(COURSE, partial(enrol, number), attempts=200)
                except FullError:
                    return taken
                taken += 1

        taken = await asyncio.gather(*(take(n) for n in range(16)))
        stored = await gathered(store.read(COURSE))
        assert (sum(taken), len(stored)) == (LIMIT, LIMIT)
        assert [taken[n] for n in range(16)] == [
            sum(event.number == n for event in stored) for n in range(16)
        ]

    run(api, kind, tmp_path, test)


@each_shared
def test_of_sixteen_in_four_processes_ten_get_a_seat(kind, tmp_path):
    url = url_of(kind, tmp_path)
    taken = race(decide_seats, 4, url, 4, LIMIT)
    with sync.EventStore.create(url) as store:
        stored = list(store.read(COURSE))
    assert (sum(taken), len(stored)) == (LIMIT, LIMIT)


@each_shared
def test_without_the_condition_there_are_more_than_ten(kind, tmp_path):
    """The control: the same loop is wrong without its condition, so that the tests above tell."""
    url = url_of(kind, tmp_path)
    taken = race(append_blindly, 4, url, LIMIT)
    with sync.EventStore.create(url) as store:
        stored = list(store.read(COURSE))
    assert sum(taken) == len(stored) > LIMIT


@each_store
def test_as_many_as_64_callers_come_through_with_the_attempts_they_have(kind, api, tmp_path):
    async def test(store):
        one_more = (store.decide(COURSE, lambda events: seat(len(events))) for _ in range(64))
        await asyncio.gather(*one_more)
        stored = await gathered(store.read(COURSE))
        assert [event.number for event in stored] == list(range(64))

    run(api, kind, tmp_path, test)


@each_store
def test_what_a_decision_may_give(kind, api, tmp_path):
    async def test(store):
        for given, numbers in [
            (None, []),
            ([], []),
            (seat(1), [1]),
            ([seat(2), seat(3)], [2, 3]),
            ((event for event in [seat(4)]), [4]),
        ]:
            before = store.stats().last_position
            committed = await store.decide(COURSE, lambda events, given=given: given)
            assert [e.number for e in await gathered(store.read(after=before))] == numbers
            assert len(committed.positions) == len(numbers)
            assert (committed.position is None) == (not numbers)
        for wrong in (1, "text", b"bytes", [1], {"a": 1}, COURSE):
            with pytest.raises(TypeError):
                await store.decide(COURSE, lambda events, wrong=wrong: wrong)
        once = seat(5)
        with pytest.raises(InvalidEventError):
            await store.decide(COURSE, lambda events: [once, once])
        with pytest.raises(FullError):
            await store.decide(COURSE, refuse)
        assert len(await gathered(store.read())) == 4

    run(api, kind, tmp_path, test)


def refuse(events):
    raise FullError


@each_store
def test_a_decision_is_given_what_matches_and_nothing_else(kind, api, tmp_path):
    async def test(store):
        await store.append([seat(1), Counted(number=2, tags=["course:2"]), seat(3)])
        given = []

        def look(events):
            given.append([event.number for event in events])
            events.clear()  # it is the decision's own list

        await store.decide(COURSE, look)
        await store.decide(Query(tags=["course:3"]), look)
        await store.decide(Query(), look)
        assert given == [[1, 3], [], [1, 2, 3]]

    run(api, kind, tmp_path, test)


def meanwhile(api, store, event_of, seen) -> object:
    """A decision for a seat, during which somebody else appends an event."""

    async def awaited(events):
        seen.append(len(events))
        await store.append([event_of()])
        return seat(1)

    def waited(events):
        seen.append(len(events))
        store.store.append([event_of()])
        return seat(1)

    return awaited if api == "async" else waited


@each_store
def test_what_is_stored_elsewhere_is_in_nobodys_way(kind, api, tmp_path):
    async def test(store):
        seen = []
        elsewhere = partial(Counted, number=0, tags=["course:2"])
        await store.decide(COURSE, meanwhile(api, store, elsewhere, seen), attempts=1)
        assert seen == [0]

    run(api, kind, tmp_path, test)


@each_store
def test_whoever_is_always_overtaken_hears_it_after_the_attempts_that_were_allowed(
    kind, api, tmp_path
):
    async def test(store):
        for attempts in (1, 3):
            seen = []
            before = len(await gathered(store.read(COURSE)))
            overtaken = meanwhile(api, store, partial(seat, 0), seen)
            with pytest.raises(AppendConditionError, match="given up after") as caught:
                await store.decide(COURSE, overtaken, attempts=attempts)
            assert seen == list(range(before, before + attempts))
            cause = caught.value.__cause__
            assert type(cause) is AppendConditionError
            assert (caught.value.position, caught.value.after) == (cause.position, cause.after)
        assert [event.number for event in await gathered(store.read(COURSE))] == [0] * 4

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "3", None, True])
@each_api
def test_attempts_count_from_one(api, wrong, tmp_path):
    async def test(store):
        kinds = (TypeError, ValueError)
        with pytest.raises(kinds, match="attempts"):
            await store.decide(COURSE, lambda events: seat(1), attempts=wrong)
        assert await gathered(store.read()) == []

    run(api, "memory", tmp_path, test)


def test_the_blocking_store_takes_no_coroutine():
    async def decision(events):
        return seat(1)

    with sync.EventStore.create("memory://") as store:
        with pytest.raises(TypeError, match="coroutine"):
            store.decide(COURSE, decision)
        assert list(store.read()) == []


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
def test_an_outcome_is_settled_before_anything_is_decided_anew(kind, api, plan, tmp_path):
    async def test(store):
        line = Line(api, store, plan)
        decided = []

        def decision(events):
            decided.append(len(events))
            return seat(7)

        committed = await store.decide(COURSE, decision)
        assert decided == [0]
        assert len(line.sent) == len(plan) + 1
        (stored,) = await gathered(store.read())
        assert {first for sent in line.sent for first in sent} == {stored.event_id.bytes}
        assert (stored.number, stored.position) == (7, committed.position)

    run(api, kind, tmp_path, test)


@each_store
def test_what_was_lost_and_then_overtaken_is_decided_anew_and_stored_once(kind, api, tmp_path):
    async def test(store):
        line = Line(api, store, [(LOST, None)])
        line.rival = [seat(0)]
        decided = []

        def decision(events):
            decided.append([event.number for event in events])
            return seat(7)

        await store.decide(COURSE, decision)
        assert decided == [[], [0]]
        assert [event.number for event in await gathered(store.read())] == [0, 7]

    run(api, kind, tmp_path, test)


@each_store
def test_an_outcome_that_stays_unknown_says_so(kind, api, tmp_path):
    async def test(store):
        for plan, attempts in [
            ([(None, LOST)], 1),
            ([(None, LOST), (AWAY, None), (AWAY, None)], 3),
            ([(None, LOST), (StoreClosedError("closed"), None)], 9),
        ]:
            line = Line(api, store, plan)
            number = 10 + attempts
            decision = partial(numbered, number)
            with pytest.raises(OutcomeUnknownError) as caught:
                await store.decide(Query(tags=[f"n:{number}"]), decision, attempts=attempts)
            assert len(line.sent) == len(plan)
            assert caught.value.event_ids == [UUID(bytes=line.sent[0][0])]
            assert isinstance(caught.value.__cause__, EventStoreError)
            # Deciding again finds what was stored.
            with pytest.raises(FullError):
                await store.decide(Query(tags=[f"n:{number}"]), decision)
        assert len(await gathered(store.read())) == 3

    run(api, kind, tmp_path, test)


def numbered(number, events):
    if events:
        raise FullError
    return Counted(number=number, tags=[f"n:{number}"])


@each_store
def test_what_fails_without_a_doubt_is_raised_as_it_is(kind, api, tmp_path):
    async def test(store):
        line = Line(api, store, [(AWAY, None)])
        with pytest.raises(StorageUnavailableError) as caught:
            await store.decide(COURSE, lambda events: seat(1))
        assert caught.value is AWAY
        assert len(line.sent) == 1
        assert await gathered(store.read()) == []

    run(api, kind, tmp_path, test)


@each_shared
def test_a_cancelled_decision_that_is_made_again_is_stored_once(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            for turn in range(60):
                query = Query(tags=[f"n:{turn}"])
                task = asyncio.create_task(store.decide(query, partial(numbered, turn)))
                for _ in range(turn // 3):
                    await asyncio.sleep(0.0002)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                with suppress(FullError):
                    await store.decide(query, partial(numbered, turn))
            stored = await gathered(store.read())
            assert [event.number for event in stored] == list(range(60))

    asyncio.run(main())
