"""Consumer groups: sharing, order, handing over, failing handlers, dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from math import inf
from threading import Event as Ended
from time import sleep
from typing import ClassVar
from uuid import uuid4

import pytest
from crews import NOTED, SAFETY, CrewNoted, Letters, fill, handler, joined, numbers, until
from older_events import ORDER
from option_checks import stranger
from stores import each_backend, each_store
from stores import run as run_on
from test_upcasting_retired import Ordered, Paid, bought

from eventuali import Event, EventStore, Projection, Query, Retry, sync
from eventuali._engine import consuming
from eventuali._engine.consuming import Consuming
from eventuali.errors import (
    CheckpointMismatchError,
    ConfigurationError,
    ConsumerGroupError,
    DeadLetterNotFoundError,
    InvalidEventError,
    StorageBusyError,
)
from eventuali.group import Group, delivery
from eventuali.worker import Worker

LEASE = 1.0
"""How long an event may be handled, where that matters, in seconds."""
PARK = Retry(1, backoff=0.001).then("park")


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(3 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


def group(store, function, **options) -> Group:
    return Group("crew", handler(store, function), NOTED, **options)


class Seen:
    """What was handled, in order."""

    def __init__(self) -> None:
        self.events: list[CrewNoted] = []

    def __call__(self, event: CrewNoted) -> None:
        self.events.append(event)

    def check(self, expected: list[int]) -> None:
        """Everything once, and each stream in order."""
        found = [event.number for event in self.events]
        assert sorted(found) == sorted(expected), Counter(found) - Counter(expected)
        streams = defaultdict(list)
        for event in self.events:
            streams[event.meta.aggregate_id].append(event.meta.aggregate_version)
        assert all(versions == sorted(versions) for versions in streams.values())


@each_store
def test_each_event_is_handled_once_in_the_order_of_its_stream(api, kind, tmp_path):
    async def test(store):
        seen = Seen()
        await fill(store, 10, 3)
        async with joined(store, group(store, seen, lease=SAFETY)) as member:
            await member.caught_up(timeout=SAFETY)
            assert len(seen.events) == 30
            await fill(store, 10, 1, first=30)
            await member.caught_up(timeout=SAFETY)
            status = member.status()
        assert (status.name, status.partitions, status.members, status.lost) == ("crew", 8, 1, 0)
        assert [each.number for each in status.owned] == list(range(8))
        assert sum(each.handled for each in status.owned) == 40
        assert {each.state for each in status.owned} <= {"live", "catching up"}
        # Whoever joins next goes on behind that.
        await fill(store, 10, 1, first=40)
        async with joined(store, group(store, seen, partitions=8)) as member:
            await member.caught_up(timeout=SAFETY)
        seen.check(await numbers(store))

    run(api, kind, tmp_path, test)


@each_store
def test_members_come_and_go(api, kind, tmp_path):
    async def test(store):
        seen = Seen()
        mailer = group(store, seen, partitions=4, lease=SAFETY)
        await fill(store, 12, 2)
        async with joined(store, mailer) as first:
            await until(lambda: len(first.status().owned) == 4)
            async with joined(store, mailer) as second:
                await until(lambda: len(first.status().owned) == len(second.status().owned) == 2)
                assert first.status().members == second.status().members == 2
                await fill(store, 12, 2, first=24)
                await first.caught_up(timeout=SAFETY)
                await second.caught_up(timeout=SAFETY)
                assert len(seen.events) == 48
            await until(lambda: len(first.status().owned) == 4)
            await fill(store, 12, 1, first=48)
            await first.caught_up(timeout=SAFETY)
        seen.check(await numbers(store))

    run(api, kind, tmp_path, test)


@each_backend
def test_a_tag_divides_what_streams_do_not(kind, tmp_path):
    async def test(store):
        owners = defaultdict(set)

        def work(event: CrewNoted) -> None:
            owners[event.tags[0]].add(asyncio.current_task())

        for number in range(40):
            event = CrewNoted(number=number, tags=[f"customer:{number % 5}"])
            await store.append([event], stream=("Crew", f"s-{number}"))
        async with joined(store, group(store, work, partition_by="customer")) as member:
            await member.caught_up(timeout=SAFETY)
        assert len(owners) == 5
        assert all(len(tasks) == 1 for tasks in owners.values())

    run("async", kind, tmp_path, test)


@each_store
def test_a_handler_that_fails_stops_its_partition_alone(api, kind, tmp_path):
    async def test(store):
        seen, bad = Seen(), [5]

        def work(event: CrewNoted) -> None:
            if event.number in bad:
                raise ZeroDivisionError(event.number)
            seen(event)

        await fill(store, 10, 2)
        async with joined(store, group(store, work, on_error=Retry(2, backoff=0.001))) as member:
            with pytest.raises(ConsumerGroupError, match="ZeroDivisionError") as told:
                await member.caught_up(timeout=SAFETY)
            assert isinstance(told.value.__cause__, ZeroDivisionError)
            stopped = next(each for each in member.status().owned if each.state == "faulted")
            assert stopped.failed_at == 6
            assert str(stopped.error) == "5"
            end = (await numbers(store))[-1] + 1
            await until(lambda: all(e.position >= end for e in member.status().owned
                                    if e.number != stopped.number))  # fmt: skip
        assert 5 not in [event.number for event in seen.events]
        bad.clear()
        async with joined(store, group(store, work)) as member:
            await member.caught_up(timeout=SAFETY)
        seen.check(await numbers(store))

    run(api, kind, tmp_path, test)


@each_store
def test_a_parked_event_is_edited_and_replayed_across_restarts(api, kind, tmp_path):
    async def test(store):
        seen, tried = Seen(), Counter()

        def work(event: CrewNoted) -> None:
            tried[event.number] += 1
            if event.number == 5:
                raise ZeroDivisionError("the café is closed \ud800")
            seen(event)

        await fill(store, 10, 3)
        letters = Letters(store, "crew")
        async with joined(store, group(store, work, on_error=PARK)) as member:
            await member.caught_up(timeout=SAFETY)
            status = member.status()
        assert sum(each.parked for each in status.owned) == 3
        found = await letters.list()
        assert [letter.position for letter in found] == [6, 16, 26]
        assert [letter.reason for letter in found] == ["failed", "held back", "held back"]
        first = found[0]
        assert (first.event_type, first.aggregate_type, first.aggregate_id) == (
            "CrewNoted", "Crew", "c-5")  # fmt: skip
        assert first.error == "ZeroDivisionError: the café is closed ?"
        assert "in work" in first.trace
        assert (first.tries, first.again, first.edited) == (2, False, None)
        assert tried[5] == 2
        assert await letters.get(6) == first
        assert [each.position for each in await letters.list(after=6, limit=1)] == [16]
        # Replayed in vain, by another member: it says the new error.
        assert await letters.replay_all() == 3
        async with joined(store, group(store, work, on_error=PARK)) as member:
            async with asyncio.timeout(SAFETY):
                while any(letter.again for letter in await letters.list()):
                    await asyncio.sleep(0.01)
            left = await letters.list()
            # What follows in its stream stays behind it.
            assert [(each.position, each.tries) for each in left] == [(6, 3), (16, 0), (26, 0)]
            assert (tried[5], tried[15], tried[25]) == (3, 0, 0)
            # Edited, it is handled with another payload; the log stays as it is.
            assert (await letters.edit(6, CrewNoted(number=-5))).edited == '{"number":-5}'
            assert await letters.replay(6, 16, 26, 1000) == 3
            async with asyncio.timeout(SAFETY):
                while await letters.list():
                    await asyncio.sleep(0.01)
            await fill(store, 10, 1, first=30)
            await member.caught_up(timeout=SAFETY)
        expected = await numbers(store)
        assert expected[5] == 5
        handled = [event.number for event in seen.events]
        assert sorted(handled) == sorted([-5 if number == 5 else number for number in expected])
        for verb in (letters.get(6), letters.edit(6, CrewNoted(number=1))):
            with pytest.raises(DeadLetterNotFoundError) as told:
                await verb
            assert (told.value.group, told.value.position) == ("crew", 6)
        assert await letters.replay(6) == await letters.discard(6) == 0

    run(api, kind, tmp_path, test)


@each_backend
def test_without_holding_back_a_stream_goes_on(kind, tmp_path):
    async def test(store):
        seen = Seen()

        def work(event: CrewNoted) -> None:
            if event.number == 5:
                raise ZeroDivisionError
            seen(event)

        await fill(store, 10, 3)
        letters = Letters(store, "crew")
        crew = group(store, work, on_error=PARK, hold_back=False)
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
        assert [letter.position for letter in await letters.list()] == [6]
        assert await letters.discard(6) == 1
        assert await letters.list() == []
        assert sorted(event.number for event in seen.events) == [*range(5), *range(6, 30)]

    run("async", kind, tmp_path, test)


@each_backend
def test_a_slow_handler_loses_its_partition_and_no_other(kind, tmp_path):
    async def test(store):
        seen, slept = Seen(), []

        async def work(event: CrewNoted) -> None:
            seen(event)
            if event.number == 3 and not slept:
                slept.append(True)
                sleep(3 * LEASE)

        crew = Group("crew", work, NOTED, partitions=8, lease=SAFETY, deadline=LEASE)
        await fill(store, 16, 1)
        async with store.join(crew) as member:
            await until(lambda: slept)
            await until(lambda: member.status().lost >= 1)
            await member.caught_up(timeout=SAFETY)
            status = member.status()
        assert status.lost == 1
        found = Counter(event.number for event in seen.events)
        assert found.pop(3) == 2, "it was given away, and tried once more"
        assert set(found) == set(range(16)) - {3}
        assert set(found.values()) == {1}

    run("async", kind, tmp_path, test)


@each_backend
def test_others_may_wait_while_one_keeps_the_loop(kind, tmp_path):
    async def test(store):
        slept, done = [], []

        async def work(event: CrewNoted) -> None:
            if event.number == 3:
                slept.append(True)
                sleep(4)
            else:
                await asyncio.sleep(0.1)
            done.append(event.number)

        crew = Group("crew", work, NOTED, partitions=8, lease=3, deadline=SAFETY)
        await fill(store, 16, 1)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
            assert member.status().lost == 0, "a lease is renewed without the loop"
        assert sorted(done) == list(range(16))

    run("async", kind, tmp_path, test)


@each_backend
def test_an_event_that_nobody_can_read_is_parked(kind, tmp_path):
    async def test(store):
        seen = Seen()
        await fill(store, 4, 1)
        await store.append([stranger()], stream=("Crew", "c-1"))
        crew = Group("crew", handler(store, seen), on_error=PARK)
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
        found = await Letters(store, "crew").list()
        assert [(letter.reason, letter.event_type) for letter in found] == [
            ("unreadable", "nobody.knows")
        ]
        assert sorted(event.number for event in seen.events) == [0, 1, 2, 3]

    run("async", kind, tmp_path, test)


@each_backend
def test_parts_of_an_event_are_given_up_together(kind, tmp_path):
    async def test(store):
        done, bad = [], [True]

        async def work(event: Event) -> None:
            if isinstance(event, Ordered) and bad:
                raise ZeroDivisionError(event.article)
            done.append(event)

        await store.append([bought("one", 1), bought("two", 2)], stream=ORDER, expected=0)
        query = Query(aggregate_id=ORDER[1])
        crew = Group("crew", work, query, partitions=1, on_error=PARK)
        letters = Letters(store, "crew")
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
            found = await letters.list()
            assert [(letter.position, letter.reason) for letter in found] == [
                (1, "failed"),
                (2, "held back"),
            ]
            assert found[0].error == "ZeroDivisionError: one"
            assert done == []
            bad.clear()
            await letters.replay_all()
            async with asyncio.timeout(SAFETY):
                while await letters.list():
                    await asyncio.sleep(0.01)
        assert done == [
            Ordered(article="one"),
            Paid(amount=1),
            Ordered(article="two"),
            Paid(amount=2),
        ]

    run("async", kind, tmp_path, test)


@each_backend
def test_what_was_given_up_is_not_again_after_a_crash(kind, tmp_path):
    """Whoever wrote the letter ended before the checkpoint passed the event."""

    async def test(store):
        tried = []

        async def work(event: CrewNoted) -> None:
            tried.append(event.number)
            raise ZeroDivisionError(event.number)

        letters = Letters(store, "crew")
        await fill(store, 1, 1)
        crew = Group("crew", work, NOTED, partitions=1, on_error=PARK)
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
        before = await letters.get(1)
        assert tried == [0, 0]
        core, answer = store._store, store._driver.answer
        version, _ = await answer(core.record("group checkpoint", "crew/0"))
        start = b'{"position": 0, "written_at": 1}'
        await answer(core.put_record("group checkpoint", "crew/0", version, start, uuid4()))
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
        assert (await letters.list(), tried) == ([before], [0, 0])

    run("async", kind, tmp_path, test)


@each_backend
def test_a_handler_that_hangs_costs_its_partition_until_it_is_cancelled(kind, tmp_path):
    async def test(store):
        seen, cancelled = Seen(), []

        async def work(event: CrewNoted) -> None:
            seen(event)
            if event.number == 3 and not cancelled:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(True)
                    raise

        crew = Group("crew", work, NOTED, lease=SAFETY, deadline=LEASE)
        await fill(store, 16, 1)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
            assert (member.status().lost, cancelled) == (1, [True])
        found = Counter(event.number for event in seen.events)
        assert found == Counter([*range(16), 3])

    run("async", kind, tmp_path, test)


@each_backend
def test_a_partition_whose_handler_hangs_is_handled_by_another_member(kind, tmp_path):
    async def test(store):
        seen, ends = Seen(), Ended()

        def work(event: CrewNoted) -> None:
            seen(event)
            if event.number == 3 and [each.number for each in seen.events].count(3) == 1:
                ends.wait(SAFETY)

        crew = group(store, work, partitions=2, lease=SAFETY, deadline=LEASE)
        async with joined(store, crew) as one, joined(store, crew) as other:

            def each_has_one():
                return [len(member.status().owned) for member in (one, other)] == [1, 1]

            try:
                await until(each_has_one)
                await fill(store, 16, 1)
                expected = Counter([*range(16), 3])
                await until(lambda: Counter(each.number for each in seen.events) == expected)
            finally:
                ends.set()
            await until(each_has_one)
            assert one.status().lost + other.status().lost == 1

    run("sync", kind, tmp_path, test)


class Refusing:
    """A partition whose first write is refused, and may succeed later."""

    refused: ClassVar[list[int]] = []

    def __init__(self, held) -> None:
        self.held = held

    def __getattr__(self, name):
        return getattr(self.held, name)

    def flush(self):
        if not self.refused:
            self.refused.append(self.held.number)
            raise StorageBusyError("somebody has the lock")
        return self.held.flush()


def test_whoever_has_handled_its_last_event_keeps_nobody_waiting(tmp_path, monkeypatch):
    """Of two events that may have ended a process, the second is tried when the first is done."""

    async def test(store):
        streams, seen = {}, []

        def work(event: CrewNoted) -> None:
            streams[delivery().partition] = event.meta.aggregate_id
            seen.append(event.number)

        crew = Group("crew", handler(store, work), NOTED, partitions=2)
        await fill(store, 8, 1)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
        core, answer = store._store, store._driver.answer
        for number, stream in streams.items():
            stored = await store.append([CrewNoted(number=8 + number)], stream=("Crew", stream))
            lease = "group lease", f"crew/{number}"
            version, _ = await answer(core.record(*lease))
            crashed = b'{"owner": null, "crashed": true}'
            await answer(core.put_record(*lease, version, crashed, uuid4()))
            tried = b'{"position": %d, "tries": 1}' % stored.positions[0]
            await answer(core.put_record("group attempt", f"crew/{number}", None, tried, uuid4()))
        make = Consuming.__init__

        def made(self, store, event_types, group, held, *rest):
            make(self, store, event_types, group, Refusing(held), *rest)

        monkeypatch.setattr(Consuming, "__init__", made)
        monkeypatch.setattr(consuming, "LONGEST", inf)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
        assert Refusing.refused
        assert sorted(seen) == list(range(10))

    run("async", "sqlite", tmp_path, test)


@each_backend
def test_while_one_is_tried_that_may_have_ended_a_process_no_other_is_begun(kind, tmp_path):
    async def test(store):
        begun, goes_on = [], asyncio.Event()

        async def work(event: CrewNoted) -> None:
            begun.append(event.number)
            if len(begun) == 1:
                await goes_on.wait()

        await fill(store, 8, 1)
        core, answer = store._store, store._driver.answer
        for number in range(2):
            crashed = b'{"owner": null, "crashed": true}'
            lease = "group lease", f"crew/{number}", None, crashed, uuid4()
            await answer(core.put_record(*lease))
        positions: dict[int, list[int]] = {0: [], 1: []}

        async def place(event: CrewNoted) -> None:
            positions[delivery().partition].append(event.meta.position)

        async with store.join(Group("probe", place, NOTED, partitions=2)) as member:
            await member.caught_up(timeout=SAFETY)
        suspect = positions[0][0]
        attempt = f'{{"position": {suspect}, "tries": 1}}'.encode()
        await answer(core.put_record("group attempt", "crew/0", None, attempt, uuid4()))
        async with store.join(Group("crew", work, NOTED, partitions=2)) as member:
            await until(lambda: begun)
            if begun == [suspect - 1]:
                await asyncio.sleep(0.3)
                assert len(begun) == 1, "nothing is begun beside it"
            else:  # the other partition was first: then that one waits for it
                await asyncio.sleep(0.3)
                assert suspect - 1 not in begun
            goes_on.set()
            await member.caught_up(timeout=SAFETY)
        assert sorted(begun) == list(range(8))

    run("async", kind, tmp_path, test)


@each_backend
def test_a_handler_whose_call_was_cancelled_has_failed(kind, tmp_path):
    async def test(store):
        tried = []

        async def work(event: CrewNoted) -> None:
            tried.append(event.number)
            if len(tried) % 2:
                await asyncio.sleep(0)
            raise asyncio.CancelledError

        await fill(store, 1, 1)
        crew = Group("crew", work, NOTED, partitions=1, on_error=PARK)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
            (letter,) = await store.dead_letters("crew").list()
        assert (letter.reason, letter.tries, tried) == ("failed", 2, [0, 0])
        assert "the handler was cancelled" in letter.error

    run("async", kind, tmp_path, test)


@each_backend
def test_others_take_what_a_leaving_member_has_given_away(kind, tmp_path):
    async def test(store):
        may_end, waits = asyncio.Event(), []

        async def work(event: CrewNoted) -> None:
            if event.number == 3:
                waits.append(delivery().partition)
                await may_end.wait()

        crew = Group("crew", work, NOTED, lease=SAFETY)
        await fill(store, 16, 1)
        async with store.join(crew) as second, store.join(crew) as first:
            await until(lambda: waits)
            await until(lambda: len(first.status().owned) >= 3)
            await until(lambda: len(first.status().owned + second.status().owned) == 8)
            has_it = waits[0] in [each.number for each in first.status().owned]
            leaver, stays = (first, second) if has_it else (second, first)
            leaving = asyncio.create_task(leaver.__aexit__(None, None, None))
            await until(lambda: len(stays.status().owned) == 7)
            may_end.set()
            await leaving
            await until(lambda: len(stays.status().owned) == 8)

    run("async", kind, tmp_path, test)


@each_backend
def test_a_pause_before_a_retry_keeps_no_partition(kind, tmp_path):
    async def test(store):
        async def work(event: CrewNoted) -> None:
            if event.number < 8:
                raise ZeroDivisionError

        policy = Retry(3, backoff=10 * SAFETY)
        crew = Group("crew", work, NOTED, lease=SAFETY, on_error=policy)
        await fill(store, 16, 1)
        async with store.join(crew) as first:
            await until(lambda: any(e.state == "retrying" for e in first.status().owned))
            async with store.join(crew) as second:
                await until(lambda: len(second.status().owned) == 4)

    run("async", kind, tmp_path, test)


@each_backend
def test_what_a_killed_member_had_is_waited_for(kind, tmp_path):
    async def test(store):
        seen, owner = Seen(), uuid4()
        core, answer = store._store, store._driver.answer
        beat = b'{"process": 1, "count": 1, "lease": 500, "leaving": false}'
        await answer(core.put_record("group member", f"crew/{owner}", None, beat, uuid4()))
        for number in range(8):
            lease = f'{{"owner": "{owner}", "crashed": false}}'.encode()
            await answer(core.put_record("group lease", f"crew/{number}", None, lease, uuid4()))
        await fill(store, 16, 1)
        async with joined(store, group(store, seen, lease=0.5)) as member:
            await member.caught_up(timeout=SAFETY)
            assert {event.number for event in seen.events} == set(range(16))
            assert member.status().members == 1

    run("async", kind, tmp_path, test)


@each_backend
def test_a_partition_that_cannot_begin_stands(kind, tmp_path):
    async def test(store):
        core, answer = store._store, store._driver.answer
        await answer(core.put_record("group checkpoint", "crew/0", None, b"damaged", uuid4()))
        async with joined(store, group(store, Seen(), partitions=1)) as member:
            await until(lambda: [e.state for e in member.status().owned] == ["faulted"])
            await asyncio.sleep(0.5)
            (owned,) = member.status().owned
            assert (owned.state, owned.generation) == ("faulted", 1)
            assert "damaged" in str(owned.error)

    run("async", kind, tmp_path, test)


@each_backend
def test_an_event_of_several_parts_is_one_attempt_and_one_piece(kind, tmp_path):
    async def test(store):
        done, may_end = [], asyncio.Event()

        async def work(event: Event) -> None:
            done.append(event)
            if len(done) == 1:
                await may_end.wait()

        await store.append([bought("one", 1)], stream=ORDER, expected=0)
        core, answer = store._store, store._driver.answer
        crashed = b'{"owner": null, "crashed": true}'
        await answer(core.put_record("group lease", "crew/0", None, crashed, uuid4()))
        crew = Group("crew", work, Query(aggregate_id=ORDER[1]), partitions=1)
        async with store.join(crew) as member:
            await until(lambda: done)
            leaving = asyncio.create_task(member.__aexit__(None, None, None))
            await asyncio.sleep(0.2)
            may_end.set()
            await leaving
        _, attempt = await answer(core.record("group attempt", "crew/0"))
        assert b'"tries":1' in attempt
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
        assert done == [Ordered(article="one"), Paid(amount=1)]

    run("async", kind, tmp_path, test)


@each_backend
def test_a_letter_that_is_edited_while_it_is_replayed_stays_edited(kind, tmp_path):
    async def test(store):
        letters, edits = store.dead_letters("crew"), [True]

        async def work(event: CrewNoted) -> None:
            if event.number == 0 and edits and len(await letters.list()) == 1:
                edits.clear()
                await letters.edit(1, CrewNoted(number=-1))
            if event.number == 0:
                raise ZeroDivisionError
            done.append(event.number)

        done: list[int] = []
        await fill(store, 1, 1)
        crew = Group("crew", work, NOTED, partitions=1, on_error=PARK)
        async with store.join(crew) as member:
            await member.caught_up(timeout=SAFETY)
            assert await letters.replay(1) == 1
            async with asyncio.timeout(SAFETY):
                while await letters.list():
                    await asyncio.sleep(0.01)
        assert (done, edits) == ([-1], [])
        with pytest.raises(TypeError, match="replay_all"):
            await letters.replay()

    run("async", kind, tmp_path, test)


@each_backend
def test_a_checkpoint_above_the_log_is_another_log(kind, tmp_path):
    async def test(store):
        seen = Seen()
        await fill(store, 8, 1)
        core, answer = store._store, store._driver.answer
        place = f'{{"position": 1000, "event_id": "{uuid4()}", "written_at": 1}}'.encode()
        await answer(core.put_record("group checkpoint", "crew/0", None, place, uuid4()))
        async with joined(store, group(store, seen, partitions=2)) as member:
            with pytest.raises(ConsumerGroupError, match="partition 0") as told:
                await member.caught_up(timeout=SAFETY)
            assert isinstance(told.value.__cause__, CheckpointMismatchError)
            await until(lambda: any(each.state == "live" for each in member.status().owned))

    run("async", kind, tmp_path, test)


@each_backend
def test_a_group_begins_where_it_is_told_to(kind, tmp_path):
    async def test(store):
        seen = Seen()
        await fill(store, 10, 1)
        async with joined(store, group(store, seen, start="end")) as member:
            await fill(store, 10, 1, first=10)
            await member.caught_up(timeout=SAFETY)
        assert sorted(event.number for event in seen.events) == list(range(10, 20))
        with pytest.raises(ConfigurationError, match="8 partitions by stream, and not 9"):
            async with joined(store, group(store, seen, partitions=9)):
                pass

    run("async", kind, tmp_path, test)


@each_store
def test_what_was_handled_in_fewer_partitions_is_not_handled_again(api, kind, tmp_path):
    async def test(store):
        seen, failing = Seen(), True

        def work(event: CrewNoted) -> None:
            if failing and event.number % 10 == 0:
                raise ZeroDivisionError
            seen(event)

        letters = Letters(store, "crew")
        crew = Group("crew", handler(store, work), NOTED, partitions=2, on_error=PARK)
        await fill(store, 10, 2)
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
        await store.repartition("crew", 5)
        await fill(store, 10, 1, first=20)
        async with joined(store, crew) as member:
            assert member.status().partitions == 5
            await member.caught_up(timeout=SAFETY)
            with pytest.raises(ConfigurationError, match="at work"):
                await store.repartition("crew", 16)
        await store.repartition("crew", 16)
        await fill(store, 10, 1, first=30)
        async with joined(store, crew) as member:
            await member.caught_up(timeout=SAFETY)
            # Dead letters of each time are handled by whoever has their streams by now.
            left = [number for number in await numbers(store) if number % 10 == 0]
            assert len(await letters.list()) >= len(left) == 4
            failing = False
            await letters.replay_all()
            while await letters.list():
                await asyncio.sleep(0.01)
            await member.caught_up(timeout=SAFETY)
        assert {event.number for event in seen.events} == set(await numbers(store))
        assert len(seen.events) == len(await numbers(store)), "nothing twice"

    run(api, kind, tmp_path, test)


@each_backend
def test_of_a_checkpoint_above_the_log_nothing_is_raised(kind, tmp_path):
    async def test(store):
        await fill(store, 8, 1)
        async with joined(store, group(store, Seen(), partitions=1)) as member:
            await member.caught_up(timeout=SAFETY)
        core, answer = store._store, store._driver.answer
        version, _ = await answer(core.record("group checkpoint", "crew/0"))
        place = f'{{"position": 1000, "event_id": "{uuid4()}", "written_at": 1}}'.encode()
        await answer(core.put_record("group checkpoint", "crew/0", version, place, uuid4()))
        with pytest.raises(CheckpointMismatchError, match="position 1000"):
            await store.repartition("crew", 4)

    run("async", kind, tmp_path, test)


@each_backend
def test_what_may_end_processes_is_known_under_more_partitions(kind, tmp_path):
    async def test(store):
        tried = []

        async def work(event: CrewNoted) -> None:
            tried.append(event.number)

        await fill(store, 8, 1)
        async with joined(store, group(store, Seen(), partitions=1)) as member:
            await member.caught_up(timeout=SAFETY)
        await fill(store, 8, 1, first=8)
        core, answer = store._store, store._driver.answer
        attempt = b'{"position": 9, "tries": 5}'
        await answer(core.put_record("group attempt", "crew/0", None, attempt, uuid4()))
        version, _ = await answer(core.record("group lease", "crew/0"))
        gone = f'{{"owner": "{uuid4()}", "crashed": false}}'.encode()
        await answer(core.put_record("group lease", "crew/0", version, gone, uuid4()))
        await store.repartition("crew", 4)
        async with store.join(Group("crew", work, NOTED, on_error=PARK)) as member:
            await member.caught_up(timeout=SAFETY)
            (letter,) = await store.dead_letters("crew").list()
        assert (letter.position, letter.reason) == (9, "crashed")
        assert sorted(tried) == list(range(9, 16))

    run("async", kind, tmp_path, test)


@each_backend
def test_only_more_partitions_are_accepted(kind, tmp_path):
    async def test(store):
        with pytest.raises(ConfigurationError, match='no group "crew"'):
            await store.repartition("crew", 16)
        async with joined(store, group(store, Seen())):
            pass
        await store.repartition("crew", 8)
        with pytest.raises(ConfigurationError, match=r"has 8 partitions: .* and not be 7"):
            await store.repartition("crew", 7)
        for wrong in (0, 257, True, "16", 9.0):
            with pytest.raises(ValueError, match="1 to 256"):
                await store.repartition("crew", wrong)
        with pytest.raises(InvalidEventError):
            await store.repartition("", 16)

    run("async", kind, tmp_path, test)


@each_backend
def test_tenants_have_groups_of_their_own(kind, tmp_path):
    async def test(store):
        acme, other = store.for_tenant("acme"), store.for_tenant("other")
        mine, theirs = Seen(), Seen()
        await fill(acme, 5, 1)
        await fill(other, 5, 1, first=100)
        crews = Group("crew", handler(acme, mine)), Group("crew", handler(other, theirs))
        async with acme.join(crews[0]) as member, other.join(crews[1]) as second:
            await member.caught_up(timeout=SAFETY)
            await second.caught_up(timeout=SAFETY)
            assert member.status().members == second.status().members == 1
        assert sorted(event.number for event in mine.events) == [0, 1, 2, 3, 4]
        assert sorted(event.number for event in theirs.events) == [100, 101, 102, 103, 104]

    run("async", kind, tmp_path, test)


def test_what_is_no_group_is_refused():
    def work(event: CrewNoted) -> None: ...

    for wrong, error in [
        ({"name": ""}, InvalidEventError),
        ({"handler": 3}, TypeError),
        ({"query": "all"}, TypeError),
        ({"partitions": 0}, ValueError),
        ({"partitions": 257}, ValueError),
        ({"partition_by": "a:b"}, InvalidEventError),
        ({"start": "middle"}, ValueError),
        ({"lease": 0.01}, ValueError),
        ({"lease": "5"}, TypeError),
        ({"lease": float("nan")}, InvalidEventError),
        ({"deadline": 0}, ValueError),
        ({"on_error": "park"}, TypeError),
    ]:
        options = {"name": "crew", "handler": work} | wrong
        with pytest.raises(error):
            Group(**options)


def test_projections_do_not_park():
    class Sums(Projection, version=1):
        def on_crew_noted(self, event: CrewNoted, docs) -> None: ...

    with sync.EventStore.create("memory://") as store:
        for refused in (
            lambda: store.run(Sums(), on_error=PARK),
            lambda: store.rebuild(Sums(), on_error=PARK),
            lambda: Worker("memory://", Sums(), on_error=PARK),
        ):
            with pytest.raises(ValueError, match="'park' is for groups"):
                refused()


def test_a_coroutine_function_needs_an_event_loop():
    async def work(event: CrewNoted) -> None: ...

    with sync.EventStore.create("memory://") as store:
        store.append([CrewNoted(number=1)])
        with (
            store.join(Group("crew", work, partitions=1)) as member,
            pytest.raises(ConsumerGroupError, match="no coroutine function"),
        ):
            member.caught_up(timeout=SAFETY)


@pytest.mark.parametrize("api", ["async", "sync"])
def test_whatever_a_plain_handler_raises_is_a_failure(api, tmp_path):
    async def test(store):
        def work(event: CrewNoted) -> None:
            next(iter(()))  # StopIteration, with which coroutines end, too

        await fill(store, 1, 1)
        async with joined(store, Group("crew", work, NOTED, partitions=1)) as member:
            with pytest.raises(ConsumerGroupError, match="StopIteration"):
                await member.caught_up(timeout=SAFETY)

    run(api, "memory", tmp_path, test)


def test_a_block_is_entered_once_and_a_closed_store_says_so():
    async def main():
        async def work(event: CrewNoted) -> None: ...

        store = await EventStore.create("memory://")
        member = store.join(Group("crew", work))
        async with member:
            with pytest.raises(RuntimeError, match="entered once"):
                await member.__aenter__()
            await store.close()
            with pytest.raises(Exception, match=r"ended|closed"):
                await member.caught_up(timeout=SAFETY)
        with pytest.raises(TypeError, match="takes an eventuali"):
            store.join("crew")

    asyncio.run(main())
