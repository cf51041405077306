"""Metadata by context: whose ids an event gets, across tasks, threads and handlers."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from stores import each_store, gathered, opened, run, url_of

import eventuali
from eventuali import Aggregate, Event, InvalidEventError, Projection, Query, Retry
from eventuali.context import carry, caused_by, current_metadata, metadata


class Asked(Event, name="context.asked"):
    number: int


class Answered(Event, name="context.answered"):
    number: int


class Desk(Aggregate, name="context.desk"):
    asked: int = 0

    def apply_asked(self, event: Asked) -> None:
        self.asked += 1


def ids(event: Event) -> tuple[object, object, object]:
    meta = event.meta
    return meta.correlation_id, meta.causation_id, meta.user_id


# --- one block ------------------------------------------------------------------------------------


def test_an_event_has_the_metadata_of_the_block_in_which_it_is_made() -> None:
    with metadata(correlation_id="r", causation_id=UUID(int=1), user_id="ada", headers={"a": "1"}):
        event = Asked(number=1)
    assert ids(event) == ("r", UUID(int=1), "ada")
    assert event.headers == {"a": "1"}
    assert ids(Asked(number=2)) == (None, None, None)


def test_its_own_values_win() -> None:
    with metadata(correlation_id="r", user_id="ada", headers={"a": "1", "b": "2"}):
        event = Asked(number=1, user_id="eve", headers={"b": "3"})
    assert ids(event) == ("r", None, "eve")
    assert event.headers == {"a": "1", "b": "3"}


def test_an_inner_block_overrides_what_it_names() -> None:
    with metadata(correlation_id="r", user_id="ada", headers={"a": "1"}):
        with metadata(user_id="eve", headers={"b": "2"}):
            inner = Asked(number=1)
        with metadata(correlation_id=None, headers=None):
            without = Asked(number=2)
        outer = Asked(number=3)
    assert (ids(inner), inner.headers) == (("r", None, "eve"), {"a": "1", "b": "2"})
    assert (ids(without), without.headers) == ((None, None, "ada"), {})
    assert (ids(outer), outer.headers) == (("r", None, "ada"), {"a": "1"})


def test_what_it_gives_is_shown_and_checked() -> None:
    assert current_metadata().user_id is None
    with metadata(user_id="ada"):
        assert current_metadata().user_id == "ada"
    with pytest.raises(InvalidEventError, match="correlation_id"), metadata(correlation_id=""):
        pass
    with pytest.raises(TypeError, match="takes an event"):
        caused_by("e")  # type: ignore[arg-type]


def test_copies_of_an_event_are_as_it_is_and_a_new_one_belongs_to_its_block() -> None:
    with metadata(correlation_id="r"):
        event = Asked(number=1)
    with metadata(correlation_id="s", user_id="eve"):
        for same in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
            assert ids(same) == ("r", None, None)
            assert same.event_id == event.event_id
        assert ids(event.model_copy()) == ("r", None, "eve")
        assert ids(Answered(number=1).model_copy()) == ("s", None, "eve")


def test_a_block_is_entered_once_and_left_where_it_was_entered() -> None:
    block = metadata(user_id="ada")
    with block:
        pass
    with pytest.raises(RuntimeError, match="entered before"), block:
        pass

    async def elsewhere() -> None:
        other = metadata(user_id="eve")
        await asyncio.create_task(asyncio.to_thread(other.__enter__))
        other.__exit__(None, None, None)

    with pytest.raises(RuntimeError, match="another task or thread"):
        asyncio.run(elsewhere())


# --- when it is taken -----------------------------------------------------------------------------


@each_store
def test_it_is_taken_when_the_event_is_made_else_applied_else_stored(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        with metadata(correlation_id="made"):
            made = Asked(number=1)
        desk = Desk(id="d")
        outside = Asked(number=2)
        with metadata(correlation_id="applied", user_id="ada"):
            desk.apply(made)
            desk.apply(outside)
            desk.apply(Asked.model_validate({"number": 3}))
        desk.apply(Asked(number=4))
        with metadata(correlation_id="stored", user_id="eve"):
            await store.save(desk)
            await store.append([Answered(number=5)])
        assert [ids(event) for event in await gathered(store.read())] == [
            ("made", None, None),
            ("applied", None, "ada"),
            ("applied", None, "ada"),
            ("stored", None, "eve"),
            ("stored", None, "eve"),
        ]

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_loaded_in_one_request_and_saved_in_another_has_the_ids_of_the_first(
    kind, api, tmp_path
) -> None:
    async def test(store) -> None:
        await store.save(_asked("d", 1))
        with metadata(correlation_id="first"):
            desk = await store.load_one(Desk, "d")
            desk.apply(Asked(number=2))
        with metadata(correlation_id="second", user_id="eve"):
            await store.save(desk)
        with metadata(correlation_id="third"):
            await store.save(desk)
            await store.append(desk_events := [Answered(number=1)])
        with metadata(correlation_id="fourth"):
            await store.append(desk_events)  # the same commit again
        events = await gathered(store.read())
        assert [ids(event)[::2] for event in events] == [
            (None, None),
            ("first", None),
            ("third", None),
        ]

    run(api, kind, tmp_path, test)


def _asked(key: str, number: int) -> Desk:
    desk = Desk(id=key)
    desk.apply(Asked(number=number))
    return desk


# --- across tasks and threads ---------------------------------------------------------------------


@each_store
def test_it_crosses_tasks_and_threads(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        async def child(number: int) -> None:
            await asyncio.sleep(0)
            await store.append([Asked(number=number)])

        with store_block(store, api, correlation_id="r", user_id="ada"):
            await child(1)
            await asyncio.create_task(child(2))
            await asyncio.gather(child(3), child(4))
            async with asyncio.TaskGroup() as group:
                group.create_task(child(5))
            await store.append([await asyncio.to_thread(Asked, number=6)])
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(1) as pool:
                make = carry(lambda: Asked(number=7))
                await store.append([await loop.run_in_executor(pool, make)])
                bare = await loop.run_in_executor(pool, lambda: ids(Asked(number=8)))
        assert bare == (None, None, None), "a plain executor begins outside of every block"
        events = await gathered(store.read())
        assert len(events) == 7
        assert {ids(event) for event in events} == {("r", None, "ada")}

    run(api, kind, tmp_path, test)


def store_block(store, api: str, **given):
    """A block that is made by the store."""
    return (store if api == "async" else store.store).metadata(**given)


def test_a_function_that_is_carried_can_run_several_times_at_once() -> None:
    with metadata(user_id="ada"):
        meet = threading.Barrier(4)

        def work() -> object:
            meet.wait(30)
            return ids(Asked(number=1))[2]

        work = carry(work)
    with ThreadPoolExecutor(4) as pool:
        assert [each.result() for each in [pool.submit(work) for _ in range(4)]] == ["ada"] * 4


# --- two requests at once -------------------------------------------------------------------------

REQUESTS = 10_000
AT_ONCE = 250


async def requests(store, count: int) -> int:
    """Serves requests that give way to each other; returns how many events have others' ids."""
    numbers = iter(range(count))
    chance = random.Random(7)

    async def request(number: int) -> None:
        with metadata(correlation_id=f"r{number}"):
            await asyncio.sleep(0)
            with metadata(user_id=f"u{number}"):
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
                event = Asked(number=number)
                await store.append([event])

    async def client() -> None:
        for number in numbers:
            await request(number)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    events = await gathered(store.read())
    assert len(events) == count
    return sum(ids(event) != (f"r{event.number}", None, f"u{event.number}") for event in events)


@each_store
def test_ten_thousand_requests_at_once_never_mix(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        assert await requests(store, REQUESTS) == 0

    run(api, kind, tmp_path, test)


def test_a_plain_global_variable_mixes_them(monkeypatch, tmp_path) -> None:
    """The positive control: with the same requests, it is seen."""

    class Global:
        value = None

        def get(self):
            return self.value

        def set(self, value):
            before, self.value = self.value, value
            return (before,)

        def reset(self, token):
            (self.value,) = token

    plain = Global()
    import eventuali.event._context as variable
    from eventuali.event import _slot

    monkeypatch.setattr(variable, "_current", plain)
    for module in (eventuali.event, _slot, eventuali.context, eventuali.aggregate):
        monkeypatch.setattr(module, "current", plain.get)

    async def test(store) -> None:
        assert await requests(store, 1000) > 100

    run("async", "memory", tmp_path, test)


# --- what follows from an event -------------------------------------------------------------------


@each_store
def test_the_events_of_a_loop_over_a_subscription_follow_from_each(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        first = Asked(number=1, correlation_id="r")
        second = Asked(number=2)
        await store.append([first, second])
        with metadata(user_id="worker"):
            for event in await gathered(store.read(Query(event_types=[Asked]))):
                with caused_by(event):
                    await store.append([Answered(number=event.number)])
                    await store.append([Answered(number=0, causation_id="own")])
        answers = await gathered(store.read(Query(event_types=[Answered])))
        assert [ids(event) for event in answers] == [
            ("r", first.event_id, "worker"),
            ("r", "own", "worker"),
            (second.event_id, second.event_id, "worker"),
            (second.event_id, "own", "worker"),
        ]

    run(api, kind, tmp_path, test)


@each_store
def test_what_the_handler_of_a_projection_stores_follows_from_its_event(
    kind, api, tmp_path
) -> None:
    async def test(store) -> None:
        inner = store if api == "async" else store.store

        if api == "async":

            class Replies(Projection, name="context.replies"):
                async def on_asked(self, event: Asked, docs) -> None:
                    if event.number < 0:
                        raise ValueError("a handler that fails ends its block, too")
                    await asyncio.gather(inner.append([Answered(number=event.number)]))
        else:

            class Replies(Projection, name="context.replies"):
                def on_asked(self, event: Asked, docs) -> None:
                    if event.number < 0:
                        raise ValueError("a handler that fails ends its block, too")
                    inner.append([Answered(number=event.number)])

        asked = [Asked(number=n, correlation_id=f"r{n}") for n in range(50)]
        await store.append(asked)
        with metadata(user_id="runner"):
            async with _running(store, api, Replies()) as caught_up:
                await caught_up()
                await store.append([Asked(number=-1)])
        assert current_metadata() == eventuali.context.Metadata()
        answers = await gathered(store.read(Query(event_types=[Answered])))
        assert [ids(event) for event in answers] == [
            (event.correlation_id, event.event_id, "runner") for event in asked
        ]

    run(api, kind, tmp_path, test)


class _running:
    """Projections of either store, from a task."""

    def __init__(self, store, api: str, *projections) -> None:
        self._sync = api == "sync"
        self._block = (store.store if self._sync else store).run(*projections, on_error=Retry(0))

    async def __aenter__(self):
        if not self._sync:
            running = await self._block.__aenter__()
            return running.caught_up
        running = await asyncio.to_thread(self._block.__enter__)
        return lambda: asyncio.to_thread(running.caught_up)

    async def __aexit__(self, *error) -> None:
        if self._sync:
            await asyncio.to_thread(self._block.__exit__, *error)
        else:
            await self._block.__aexit__(*error)


def test_metadata_is_in_a_store_that_is_opened_again(tmp_path) -> None:
    async def main() -> None:
        url = url_of("sqlite", tmp_path)
        async with opened("async", url) as store:
            with store.metadata(correlation_id=UUID(int=7)), store.metadata(user_id="ada"):
                await store.append([Asked(number=1)])
        async with opened("async", url) as store:
            (event,) = await gathered(store.read())
            assert ids(event) == (UUID(int=7), None, "ada")

    asyncio.run(main())
