"""The same event ids, sent again, give the same answer, or a conflict that names them."""

from __future__ import annotations

from uuid import UUID

import pytest
from ledger import Counted, Ledger, check_log, counted
from stores import each_kind, each_store, gathered, run, url_of

from eventuali import (
    NO_STREAM,
    Event,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    sync,
)

STREAM = ("Ledger", "a")
ID = UUID("0190a5b0-0000-7000-8000-00000000000a")


class Word(Event):
    text: str


@each_store
def test_the_same_append_gives_the_same_answer(kind, api, tmp_path):
    async def test(store):
        events = [Counted(number=1), Counted(number=2)]
        first = await store.append(events, stream=STREAM, expected=NO_STREAM)
        await store.append([Counted(number=3)], stream=STREAM)
        again = await store.append(events, stream=STREAM, expected=NO_STREAM)
        assert again == first
        assert (first.positions, first.versions) == (again.positions, again.versions)
        check_log(await gathered(store.read()), [1, 2, 3])
        assert events[0].meta.position == first.positions[0]

    run(api, kind, tmp_path, test)


@each_store
def test_the_same_given_id_and_content_is_the_same_event(kind, api, tmp_path):
    """New objects, as after a restart: what counts is the id and what is in the event."""

    async def test(store):
        def event():
            return Counted(number=1, event_id=ID, timestamp=moment, headers={"a": "b"})

        moment = Counted(number=0).timestamp
        first = await store.append([event()], stream=STREAM)
        assert await store.append([event()], stream=STREAM) == first
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test)


@each_store
def test_a_part_of_the_ids_is_a_conflict(kind, api, tmp_path):
    async def test(store):
        one, two, three = (Counted(number=n) for n in (1, 2, 3))
        await store.append([one, two], stream=STREAM)
        ids = {event.event_id for event in (one, two)}
        for attempt in [[one, two, three], [three, one], [two, three]]:
            with pytest.raises(IdempotencyConflictError) as caught:
                await store.append(attempt, stream=STREAM)
            assert caught.value.event_ids
            assert set(caught.value.event_ids) <= ids
            assert all(isinstance(one_id, UUID) for one_id in caught.value.event_ids)
            check_log(await gathered(store.read()), [1, 2])
        for attempt in [[one], [two]]:  # all of their ids are stored: the original positions
            again = await store.append(attempt, stream=STREAM)
            assert again.positions == (attempt[0].meta.position,)
        await store.append([three], stream=STREAM)
        check_log(await gathered(store.read()), [1, 2, 3])

    run(api, kind, tmp_path, test)


MOMENT = Counted(number=0).timestamp
OTHER_CONTENT = [
    ("payload", lambda: Counted(number=2, event_id=ID, timestamp=MOMENT), STREAM),
    ("type", lambda: Word(text="1", event_id=ID, timestamp=MOMENT), STREAM),
    ("stream", lambda: Counted(number=1, event_id=ID, timestamp=MOMENT), ("Ledger", "b")),
    ("stream-type", lambda: Counted(number=1, event_id=ID, timestamp=MOMENT), ("Other", "a")),
    ("no-stream", lambda: Counted(number=1, event_id=ID, timestamp=MOMENT), None),
    (
        "timestamp",
        lambda: Counted(number=1, event_id=ID, timestamp=MOMENT.replace(year=2001)),
        STREAM,
    ),
    (
        "headers",
        lambda: Counted(number=1, event_id=ID, timestamp=MOMENT, headers={"a": "b"}),
        STREAM,
    ),
    ("user", lambda: Counted(number=1, event_id=ID, timestamp=MOMENT, user_id="eve"), STREAM),
    (
        "correlation",
        lambda: Counted(number=1, event_id=ID, timestamp=MOMENT, correlation_id="c"),
        STREAM,
    ),
    ("tags", lambda: Counted(number=1, event_id=ID, timestamp=MOMENT, tags=["t"]), STREAM),
]


@each_store
@pytest.mark.parametrize(
    ("make", "stream"), [row[1:] for row in OTHER_CONTENT], ids=[row[0] for row in OTHER_CONTENT]
)
def test_other_content_under_a_known_id_is_a_conflict(make, stream, kind, api, tmp_path):
    async def test(store):
        first = Counted(number=1, event_id=ID, timestamp=MOMENT)
        committed = await store.append([first], stream=STREAM)
        with pytest.raises(IdempotencyConflictError) as caught:
            await store.append([make()], stream=stream)
        assert caught.value.event_ids == [ID]
        (stored,) = await gathered(store.read())
        assert stored == first
        assert await store.append([first], stream=STREAM) == committed
        await store.append([Counted(number=5)], stream=STREAM)

    run(api, kind, tmp_path, test)


@each_kind
def test_an_id_belongs_to_its_tenant_only(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Counted(number=1, event_id=ID)], stream=STREAM)
        other = store.for_tenant("other")
        try:
            other.append([Counted(number=2, event_id=ID)], stream=STREAM)
        except IdempotencyConflictError as error:
            assert error.event_ids == [ID]  # noqa: PT017
            assert list(other.read()) == []
        else:
            assert [event.number for event in other.read()] == [2]
        assert [event.number for event in store.read()] == [1]


@each_kind
def test_an_id_twice_in_one_commit_is_invalid(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        event = Counted(number=1)
        twins = [Counted(number=1, event_id=ID), Counted(number=2, event_id=ID)]
        for events in (twins, [event, event]):
            with pytest.raises(InvalidEventError):
                store.append(events, stream=STREAM)
        assert list(store.read()) == []
        store.append([event], stream=STREAM)


@each_store
def test_saving_a_saved_aggregate_does_nothing(kind, api, tmp_path):
    async def test(store):
        ledger = counted("a", 1)
        first = await store.save(ledger)
        again = await store.save(ledger)
        assert first.versions == (1,)
        assert (again.positions, again.versions, again.recorded_at) == ((), (), None)
        assert await store.save() == again
        assert await store.append([]) == again
        check_log(await gathered(store.read()), [1])

    run(api, kind, tmp_path, test)


@each_kind
def test_an_id_stays_the_same_from_its_first_look(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        ledger = counted("a", 1, 2)
        seen = ledger.get_uncommitted_events()[1].event_id
        events = ledger.get_uncommitted_events()
        store.save(ledger)
        stored = list(store.read())
        assert stored[1].event_id == seen
        assert [event.event_id for event in events] == [event.event_id for event in stored]
        assert seen.version == 7
        for event, other in zip(events, stored, strict=True):
            assert event.meta == other.meta


# --- what a failed save leaves --------------------------------------------------------------------


@each_store
def test_a_failed_save_changes_nothing_in_the_aggregate(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", 1))
        ledger = await store.load(Ledger, "a")
        ledger.apply(Counted(number=2))
        ledger.apply(Counted(number=3))
        await store.append([Counted(number=9)], stream=STREAM)
        before = ledger.to_dict()
        waiting = ledger.get_uncommitted_events()
        ids = [event.event_id for event in waiting]
        for _ in range(3):
            with pytest.raises(OptimisticConcurrencyError) as caught:
                await store.save(ledger)
            assert (caught.value.expected_version, caught.value.actual_version) == (1, 2)
            assert (ledger.id, ledger.version, ledger.to_dict()) == ("a", 3, before)
            after = ledger.get_uncommitted_events()
            assert len(after) == 2
            assert all(one is other for one, other in zip(after, waiting, strict=True))
            assert [event.event_id for event in after] == ids
            assert [event.meta.aggregate_version for event in after] == [2, 3]
            assert [event.meta.position for event in after] == [None, None]
        check_log(await gathered(store.read()), [1, 9])
        ledger.apply(Counted(number=4))
        assert ledger.version == 4

    run(api, kind, tmp_path, test)


@each_store
def test_a_conflict_is_answered_by_loading_again(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", 1))
        stale = await store.load(Ledger, "a")
        await store.append([Counted(number=2)], stream=STREAM)
        stale.apply(Counted(number=3))
        with pytest.raises(OptimisticConcurrencyError):
            await store.save(stale)
        fresh = await store.load(Ledger, "a")
        fresh.apply(Counted(number=3))
        assert (await store.save(fresh)).versions == (3,)
        check_log(await gathered(store.read()), [1, 2, 3])

    run(api, kind, tmp_path, test)
