"""Checkpoints from outside: listed, reset, deleted; and a subscription that starts at the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from ledger import Counted
from stores import Blocking, each_kind, each_shared, each_store, opened, run, url_of

from eventuali import CheckpointInfo, Query, sync
from eventuali.errors import CheckpointMismatchError, InvalidEventError, StorageCorruptedError

EVEN = Query(tags=["even"])


async def append(store, *numbers):
    await store.append([Counted(number=n, tags=["even"] * (n % 2 == 0)) for n in numbers])


def taking(store, count, *arguments, **options):
    """Takes some events by name, and handles all of them but for the last one."""
    store = store.store if isinstance(store, Blocking) else store
    if isinstance(store, sync.EventStore):

        def blocking():
            with store.subscribe(*arguments, **options) as events:
                return [next(events).number for _ in range(count)]

        return asyncio.to_thread(blocking)

    async def waiting():
        async with store.subscribe(*arguments, **options) as events:
            return [(await anext(events)).number for _ in range(count)]

    return waiting()


@each_store
def test_they_are_listed_by_name(kind, api, tmp_path):
    async def test(store):
        assert await store.checkpoints() == []
        await append(store, *range(10))
        begun = datetime.now(UTC)
        await taking(store, 4, name="mailer")
        await taking(store, 1, name="auditor")
        await taking(store, 3, EVEN, name="even")
        found = await store.checkpoints()
        assert [(one.name, one.position, one.lag) for one in found] == [
            ("auditor", 1, 9),
            ("even", 5, 5),
            ("mailer", 4, 6),
        ]
        for one in found:
            assert isinstance(one, CheckpointInfo)
            assert begun - timedelta(seconds=5) < one.written_at < begun + timedelta(minutes=5)
        assert await store.for_tenant("acme").checkpoints() == []

    run(api, kind, tmp_path, test)


@each_store
def test_a_reset_says_where_it_resumes(kind, api, tmp_path):
    async def test(store):
        await append(store, *range(10))
        assert await taking(store, 5, name="n") == [0, 1, 2, 3, 4]
        for target, position, first in [
            (2, 2, 2),
            (0, 0, 0),
            (9, 9, 9),
            ("beginning", 0, 0),
        ]:
            done = await store.reset_checkpoint("n", target)
            assert (done.name, done.position, done.lag) == ("n", position, 10 - position)
            assert await store.checkpoints() == [done]
            assert await taking(store, 1, name="n") == [first], target
        done = await store.reset_checkpoint("n", "end")
        assert (done.position, done.lag) == (10, 0)
        await append(store, 10)
        assert await taking(store, 1, name="n") == [10]
        done = await store.reset_checkpoint("new", 4)
        assert done.position == 4
        assert await taking(store, 1, name="new") == [4], "it makes one"

    run(api, kind, tmp_path, test)


@each_store
def test_a_reset_stands_on_an_event_of_the_tenant(kind, api, tmp_path):
    async def test(store):
        acme = store.for_tenant("acme")
        await append(store, 0, 1)
        await append(acme, 2, 3)
        await append(store, 4)
        assert (await acme.reset_checkpoint("n", 5)).position == 4
        assert (await acme.reset_checkpoint("n", 2)).position == 0, "before its first event"
        assert await taking(acme, 1, name="n") == [2]
        assert (await store.reset_checkpoint("n", 4)).position == 2
        assert await taking(store, 1, name="n") == [4]
        assert (await acme.checkpoints())[0].position == 3

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_refused(kind, api, tmp_path):
    async def test(store):
        await append(store, 0)
        for position in (2, 2**63 - 1, -1, "middle"):
            with pytest.raises(InvalidEventError, match="position"):
                await store.reset_checkpoint("n", position)
        with pytest.raises(TypeError):
            await store.reset_checkpoint("n", 1.0)
        for verb in (store.delete_checkpoint, lambda name: store.reset_checkpoint(name, 0)):
            with pytest.raises(InvalidEventError):
                await verb("")
        assert await store.checkpoints() == []

    run(api, kind, tmp_path, test)


@each_store
def test_a_deleted_one_is_new(kind, api, tmp_path):
    async def test(store):
        await append(store, *range(4))
        assert not await store.delete_checkpoint("n")
        await taking(store, 3, name="n")
        assert await store.delete_checkpoint("n")
        assert await store.checkpoints() == []
        assert not await store.delete_checkpoint("n")
        assert await taking(store, 2, name="n") == [0, 1]
        assert [one.position for one in await store.checkpoints()] == [2]

    run(api, kind, tmp_path, test)


async def _changed(store, change, *, handled):
    """Changes a checkpoint under a subscription that has handled some events; tells the error."""
    await append(store, *range(10))

    async def follow():
        async with store.subscribe(name="n") as events:
            for _ in range(handled + 1):
                await anext(events)
            while handled and not await store.checkpoints():
                await asyncio.sleep(0.005)
            await change
            await anext(events)

    with pytest.raises(CheckpointMismatchError) as told:
        await follow()
    assert told.value.name == "n"
    return await store.checkpoints()


@each_kind
@pytest.mark.parametrize("handled", [0, 3])
@pytest.mark.parametrize("position", [0, 2, 9, "end"])
def test_who_runs_notices_a_reset(kind, handled, position, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            change = store.reset_checkpoint("n", position)
            (left,) = await _changed(store, change, handled=handled)
            assert left.position == (10 if position == "end" else position), "the reset stands"

    asyncio.run(asyncio.wait_for(main(), 30))


@each_kind
def test_who_runs_notices_a_deletion(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            assert await _changed(store, store.delete_checkpoint("n"), handled=3) == []

    asyncio.run(asyncio.wait_for(main(), 30))


@each_shared
def test_another_process_resets(kind, tmp_path):
    async def main():
        place = url_of(kind, tmp_path)
        async with opened("async", place) as store, opened("sync", place) as other:
            (left,) = await _changed(store, other.reset_checkpoint("n", 5), handled=2)
            assert left.position == 5

    asyncio.run(asyncio.wait_for(main(), 30))


@each_store
def test_it_starts_at_the_end_once(kind, api, tmp_path):
    async def test(store):
        await append(store, *range(5))
        assert await taking(store, 0, name="mailer", start="end") == []
        assert [one.position for one in await store.checkpoints()] == [5], "nothing was handled"
        await append(store, 5, 6, 7)
        assert await taking(store, 2, name="mailer", start="end") == [5, 6]
        assert await taking(store, 1, name="mailer", start="end") == [7]
        assert await taking(store, 1, name="other") == [0]
        assert await taking(store, 1, name="other", start="end") == [1], "it is not new"

    run(api, kind, tmp_path, test)


@each_store
def test_the_end_of_an_empty_log_is_its_beginning(kind, api, tmp_path):
    async def test(store):
        assert await taking(store, 0, name="n", start="end") == []
        assert [one.position for one in await store.checkpoints()] == [0]
        await append(store, 0, 1)
        assert await taking(store, 2, name="n", start="end") == [0, 1]

    run(api, kind, tmp_path, test)


@each_store
def test_two_start_at_the_end(kind, api, tmp_path):
    async def test(store):
        await append(store, 0, 1)
        await asyncio.gather(*(taking(store, 0, name="n", start="end") for _ in range(8)))
        assert [one.position for one in await store.checkpoints()] == [2]

    run(api, kind, tmp_path, test)


@each_store
def test_without_a_name_it_starts_at_the_end_each_time(kind, api, tmp_path):
    async def test(store):
        await append(store, *range(3))
        inner = store.store if isinstance(store, Blocking) else store
        if api == "async":
            async with inner.subscribe(start="end") as events:
                await append(store, 3)
                assert ((await anext(events)).number, events.position) == (3, 4)
        else:

            def blocking():
                with inner.subscribe(start="end") as events:
                    inner.append([Counted(number=3)])
                    return next(events).number, events.position

            assert await asyncio.to_thread(blocking) == (3, 4)
        assert await store.checkpoints() == []

    run(api, kind, tmp_path, test)


@each_kind
def test_a_start_is_checked(kind, tmp_path):
    async def test(store):
        with pytest.raises(InvalidEventError, match="start"):
            store.subscribe(start="middle")
        with pytest.raises(TypeError, match="start"):
            store.subscribe(after=3, start="end")

    run("async", kind, tmp_path, test)


@each_kind
def test_a_damaged_one_is_named(kind, tmp_path):
    async def test(store):
        put = store._store.put_record("checkpoint", "n", None, b"{}", uuid4())
        await store._driver.answer(put)
        with pytest.raises(StorageCorruptedError, match="n"):
            await store.checkpoints()
        await store.reset_checkpoint("n", 0)
        assert [one.name for one in await store.checkpoints()] == ["n"], "a reset mends it"

    run("async", kind, tmp_path, test)


@each_kind
def test_those_of_before_have_no_time(kind, tmp_path):
    async def test(store):
        await append(store, 0)
        (event,) = [event async for event in store.read()]
        old = f'{{"position": 1, "event_id": "{event.meta.event_id}"}}'
        await store._driver.answer(
            store._store.put_record("checkpoint", "n", None, old.encode(), uuid4())
        )
        assert await store.checkpoints() == [CheckpointInfo("n", 1, None, 0)]

    run("async", kind, tmp_path, test)
