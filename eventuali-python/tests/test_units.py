"""A unit of work loses nothing silently, and is not overtaken by the function that it serves."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from hotel import MoneyMoved, Purse
from stores import each_api, each_store, run
from units import Awaited, fit, fit_handler, inner, outside

from eventuali import Aggregate, Event, EventStore, Query, StreamEvents, sync
from eventuali._engine.unit import Unit
from eventuali.command import Command, CommandBus, handles
from eventuali.context import carry


def moved(amount=1):
    return MoneyMoved(person="all", amount=amount)


def purse(key, *amounts):
    made = Purse(id=key)
    for amount in amounts:
        made.apply(moved(amount))
    return made


async def balance(store, key):
    found = await store.load(Purse, key)
    return found and found.balance


class OtherPurse(Aggregate, name="hotel.purse"):
    def apply_money_moved(self, event: MoneyMoved) -> None: ...


# --- load_or_new ----------------------------------------------------------------------------------


@each_store
def test_a_new_aggregate_is_part_of_the_unit(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("there", 5))

        async def change(work):
            new = await work.load_or_new(Purse, "new")
            assert (new.is_new(), new.version) == (True, 0)
            assert await work.load_or_new(Purse, "new") is new
            assert await work.load(Purse, "new") is new
            there = await work.load_or_new(Purse, "there")
            assert there is await work.load_one(Purse, "there")
            new.apply(moved(2))
            there.apply(moved(1))

        committed = (await store.transact(fit(api, change))).committed
        assert committed.versions == (1, 2)
        assert (await balance(store, "new"), await balance(store, "there")) == (2, 6)

    run(api, kind, tmp_path, test)


@each_store
def test_the_stream_of_a_new_aggregate_must_not_exist(kind, api, tmp_path):
    async def test(store):
        calls = []

        async def change(work):
            found = await work.load_or_new(Purse, "a")
            calls.append(found.version)
            if len(calls) == 1:
                await outside(other.save, purse("a", 10))
            found.apply(moved(1))

        # With events of its own, and without any.
        async def append(work):
            found = await work.load_or_new(Purse, "b")
            calls.append(found.version)
            if len(calls) == 1:
                await outside(other.save, purse("b", 10))
            work.append([moved(1)], stream=("hotel.log", "b"))

        other = inner(api, store)
        await store.transact(fit(api, change))
        assert (calls, await balance(store, "a")) == ([0, 1], 11)
        calls.clear()
        await store.transact(fit(api, append))
        assert calls == [0, 1]

    run(api, kind, tmp_path, test)


@each_api
def test_two_tasks_that_want_the_same_new_aggregate_get_one(api, tmp_path):
    async def test(store):
        async def change(work):
            one, other = await asyncio.gather(
                work.load_or_new(Purse, "a"), work.load_or_new(Purse, "a")
            )
            assert one is other
            one.apply(moved())

        if api == "async":
            await store.transact(change)
            assert await balance(store, "a") == 1

        def in_threads(work):
            with ThreadPoolExecutor(4) as pool:
                found = list(pool.map(lambda _: work.load_or_new(Purse, "b"), range(4)))
            assert len(set(map(id, found))) == 1
            found[0].apply(moved())

        if api == "sync":
            await store.transact(in_threads)
            assert await balance(store, "b") == 1

    run(api, "memory", tmp_path, test)


@each_api
def test_it_is_of_the_class_that_was_asked_for(api, tmp_path):
    async def test(store):
        async def change(work):
            await work.load_or_new(Purse, "a")
            await work.load_or_new(OtherPurse, "a")

        with pytest.raises(ValueError, match="loaded as Purse, not as OtherPurse"):
            await store.transact(fit(api, change))

        async def wrong(work):
            await work.load_or_new(Purse, 5)

        with pytest.raises(TypeError, match="aggregate_id"):
            await store.transact(fit(api, wrong))

    run(api, "memory", tmp_path, test)


# --- what would be lost ---------------------------------------------------------------------------


async def forgetful(work):
    found = await work.load(Purse, "a") or Purse(id="a")
    found.apply(moved())
    return found.balance


async def forgetful_of_many(work):
    found = await work.load_many(Purse, ["a", "b"])
    for key in ("a", "b"):
        one = found.get(key) or Purse(id=key)
        one.apply(moved())


async def made_before_the_look(work):
    made = purse("a", 1)
    if await work.load(Purse, "a") is not None:
        raise ValueError("it is there")
    return made.balance


async def made_before_others_are_added(work):
    purse("a", 1)
    await work.load_or_new(Purse, "a")


async def made_in_a_nested_transaction(work):
    if await work.load(Purse, "a") is None:
        await nested(work, lambda: purse("a", 1))


async def made_before_in_a_nested_transaction(work):
    async def change():
        await nested(work, lambda: purse("a", 1))

    await change()
    await work.load(Purse, "a")


async def nested(work, change):
    """Calls a function in a transaction within the transaction."""
    api = "sync" if isinstance(work, Awaited) else "async"

    async def inside(_):
        change()

    await work.store.transact(fit(api, inside))


class Move(Command):
    key: str = "a"


async def forgetful_handler(command, work):
    return await forgetful(work)


@each_store
def test_an_aggregate_that_was_not_added_is_an_error(kind, api, tmp_path):
    async def test(store):
        for function in (forgetful, forgetful_of_many):
            with pytest.raises(RuntimeError, match=r"'a' has new .*load_or_new.*work.add"):
                await store.transact(fit(api, function))
        assert await balance(store, "a") is None
        await store.save(purse("a", 1), purse("b", 1))
        for function in (forgetful, forgetful_of_many):  # there is something to load now
            await store.transact(fit(api, function))
        assert (await balance(store, "a"), await balance(store, "b")) == (3, 2)

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize(
    "function",
    [
        made_before_the_look,
        made_before_others_are_added,
        made_in_a_nested_transaction,
        made_before_in_a_nested_transaction,
    ],
)
@each_store
def test_an_aggregate_that_was_made_anywhere_and_not_added_is_an_error(
    kind, api, function, tmp_path
):
    async def test(store):
        with pytest.raises(RuntimeError, match=r"'a' has new .*load_or_new.*work.add"):
            await store.transact(fit(api, function))
        assert await balance(store, "a") is None

    run(api, kind, tmp_path, test)


@each_store
def test_a_handler_that_forgets_to_add_is_an_error_and_not_handled(kind, api, tmp_path):
    async def test(store):
        handler = handles(Move)(fit_handler(api, forgetful_handler))
        bus = (CommandBus if api == "async" else sync.CommandBus)(inner(api, store), handler)
        command = Move()

        async def send():
            return (
                await bus.send(command)
                if api == "async"
                else await asyncio.to_thread(bus.send, command)
            )

        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"'a' has new events"):
                await send()
        await store.save(purse("a", 1))
        assert (await send()).answer == 2

    run(api, kind, tmp_path, test)


@each_api
@pytest.mark.parametrize("blind", [False, True])
def test_the_silent_loss_comes_back_without_the_look_at_what_changed(
    api, blind, monkeypatch, tmp_path
):
    if blind:
        monkeypatch.setattr(Unit, "note", lambda self, aggregate: None)

    async def test(store):
        async def notice():
            try:
                await store.transact(fit(api, forgetful))
            except RuntimeError:
                return True
            return False

        assert await notice() is not blind
        assert await balance(store, "a") is None  # and so its events are lost

    run(api, "memory", tmp_path, test)


async def added_at_last(work):
    found = await work.load(Purse, "a") or Purse(id="a")
    found.apply(moved())
    work.add(found)


async def taken_back(work):
    if await work.load(Purse, "a") is None:
        tried = purse("a", 100)
        tried.mark_events_as_committed()
    work.append([moved()], stream=("hotel.purse", "a"))


async def refused(work):
    if await work.load(Purse, "a") is None:
        with pytest.raises(ValueError, match="StrangeMoney"):
            Purse(id="a").apply(StrangeMoney())
        with pytest.raises(RuntimeError, match="no more"):
            Wallet(id="a").handle(Move())
    work.append([moved()], stream=("hotel.purse", "a"))


async def thrown_away(work):
    await work.load(Purse, "b")
    price = purse("a quote", 100)  # of a stream that nobody has asked for
    work.append([moved(price.balance - 99)], stream=("hotel.purse", "a"))


async def of_another_tenant(work):
    await work.load(Purse, "a")
    other = work.store.for_tenant("other")
    await other.save(purse("a", 7))
    work.append([moved()], stream=("hotel.purse", "a"))


async def made_before_and_added(work):
    made = purse("a", 1)
    assert await work.load(Purse, "a") is None
    work.add(made)


async def made_before_of_one_that_is_there(work):
    await work.store.append_events("a", [moved()], Purse)
    purse("a", 100)
    assert (await work.load(Purse, "a")).balance == 1


async def tried_beside_the_one_that_is_new(work):
    new = await work.load_or_new(Purse, "a")
    purse("a", 100)
    new.apply(moved())


async def stored_by_a_nested_transaction(work):
    api = "sync" if isinstance(work, Awaited) else "async"

    async def inside(own):
        (await own.load_or_new(Purse, "b")).apply(moved())

    await work.store.transact(fit(api, inside))
    await work.load(Purse, "c")
    work.append([moved()], stream=("hotel.purse", "a"))


async def left_by_a_nested_transaction_that_failed(work):
    assert await work.load(Purse, "a") is None

    def change():
        purse("a", 100)
        raise LookupError

    with pytest.raises(LookupError):
        await nested(work, change)
    work.append([moved()], stream=("hotel.purse", "a"))


class StrangeMoney(Event, name="hotel.strange_money"):
    pass


class Wallet(Aggregate, name="hotel.purse"):
    def apply_money_moved(self, event: MoneyMoved) -> None: ...

    @handles(Move, id="key")
    def move(self, command: Move) -> None:
        self.apply(moved())
        raise RuntimeError("no more")


@pytest.mark.parametrize(
    "function",
    [
        added_at_last,
        taken_back,
        refused,
        thrown_away,
        of_another_tenant,
        made_before_and_added,
        made_before_of_one_that_is_there,
        tried_beside_the_one_that_is_new,
        stored_by_a_nested_transaction,
        left_by_a_nested_transaction_that_failed,
    ],
)
@each_store
def test_what_is_not_lost_is_no_error(kind, api, function, tmp_path):
    async def test(store):
        await store.transact(fit(api, function))
        assert await balance(store, "a") == 1

    run(api, kind, tmp_path, test)


def test_it_is_seen_in_tasks_and_threads_that_take_the_context_along(tmp_path):
    def change():
        purse("a", 1)

    async def in_task(work):
        await work.load(Purse, "a")

        async def task():
            change()

        await asyncio.create_task(task())

    async def in_thread(work):
        await work.load(Purse, "a")
        await asyncio.to_thread(change)

    async def carried(work):
        await work.load(Purse, "a")
        with ThreadPoolExecutor() as pool:
            pool.submit(carry(change)).result()

    async def elsewhere(work):
        await work.load(Purse, "a")
        with ThreadPoolExecutor() as pool:
            pool.submit(change).result()

    async def test(store):
        for function in (in_task, in_thread, carried):
            with pytest.raises(RuntimeError, match=r"'a' has new events"):
                await store.transact(function)
        await store.transact(elsewhere)

    run("async", "memory", tmp_path, test)


def test_what_is_made_after_the_function_is_nobodys(tmp_path):
    kept = []

    async def remember(work):
        await work.load(Purse, "a")
        kept.append(copy_context())

    async def test(store):
        await store.transact(remember)
        await store.save(kept[0].run(purse, "a", 1))
        assert await balance(store, "a") == 1

    run("async", "memory", tmp_path, test)


# --- writes of the function's own -----------------------------------------------------------------


async def saved_by_itself(work):
    found = await work.load_one(Purse, "a")
    other = await work.store.load_one(Purse, "a")
    other.apply(moved())
    found.apply(moved())
    await work.store.save(other)


async def saved_what_was_loaded(work):
    found = await work.load_one(Purse, "a")
    found.apply(moved())
    await work.store.save(found)


async def saved_new(work):
    await work.load(Purse, "new")
    await work.store.save(purse("new", 1))


async def appended(work):
    (await work.load_one(Purse, "a")).apply(moved())
    await work.store.append([moved()], stream=("hotel.purse", "a"))


async def appended_among_others(work):
    (await work.load_one(Purse, "a")).apply(moved())
    await work.store.append([moved(), StreamEvents(("hotel.purse", "a"), [moved()])])


async def appended_by_id(work):
    (await work.load_one(Purse, "a")).apply(moved())
    await work.store.append_events("a", [moved()])


@pytest.mark.parametrize(
    "function",
    [
        saved_by_itself,
        saved_what_was_loaded,
        saved_new,
        appended,
        appended_among_others,
        appended_by_id,
    ],
)
@each_store
def test_a_write_of_a_stream_that_the_unit_has_loaded_is_refused(kind, api, function, tmp_path):
    async def test(store):
        await store.save(purse("a", 1))
        calls = []

        async def counted(work):
            calls.append(1)
            return await function(work)

        with pytest.raises(RuntimeError, match=r"within a transaction changes the hotel\.purse"):
            await store.transact(fit(api, counted))
        assert len(calls) == 1
        assert (await balance(store, "a"), await balance(store, "new")) == (1, None)

    run(api, kind, tmp_path, test)


@each_store
def test_writes_of_other_streams_are_free(kind, api, tmp_path):
    async def test(store):
        await store.save(purse("a", 1))

        async def change(work):
            (await work.load_one(Purse, "a")).apply(moved())
            await work.store.save(purse("b", 5))
            await work.store.append([moved()], stream=("hotel.log", "b"))
            await work.store.append([moved()])
            await work.store.append([], stream=("hotel.purse", "a"))
            await work.store.append_events("c", [moved()])
            await work.store.for_tenant("other").save(purse("a", 7))

        await store.transact(fit(api, change))
        assert (await balance(store, "a"), await balance(store, "b")) == (2, 5)
        await store.save(purse("d", 1))  # and nothing is refused once it has ended

    run(api, kind, tmp_path, test)


def test_the_store_of_somebody_else_may_write_the_same_stream(tmp_path):
    async def test(store):
        await store.save(purse("a", 1))
        calls = []

        async def change(work):
            calls.append(1)
            found = await work.load_one(Purse, "a")
            if len(calls) == 1:
                async with EventStore.create(tmp_path / "events.db") as other:
                    await other.append([moved(9)], stream=("hotel.purse", "a"))
            found.apply(moved())

        await store.transact(change)
        assert (calls, await balance(store, "a")) == ([1, 1], 11)

    run("async", "sqlite", tmp_path, test)


@each_api
def test_a_decision_within_a_transaction_still_decides(api, tmp_path):
    async def test(store):
        async def change(work):
            await work.load(Purse, "a")
            await work.store.decide(Query(tags=["person:all"]), lambda events: purse("b", 1))

        await store.transact(fit(api, change))
        assert await balance(store, "b") == 1

    run(api, "memory", tmp_path, test)
