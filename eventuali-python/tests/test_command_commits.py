"""A command is one transaction: its events, documents and answer, once, by whomever it is sent."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from stores import each_api, each_store, gathered, opened, run, url_of
from test_command import Bus, Empty, Noted, Open, Opened, Paid, Pay, Purse, purse_bus
from units import outside

import eventuali
from eventuali import Projection, Query, ReadModel, sync
from eventuali.command import Command, Handled, handles
from eventuali.errors import (
    OutcomeUnknownError,
    ProjectionError,
    StorageBusyError,
    StorageCorruptedError,
)
from eventuali.testing import Clock


class PurseView(ReadModel, name="command.purse-view"):
    balance: Decimal


class Purses(Projection[PurseView], name="command.purses", inline=True):
    def on_opened(self, event: Opened, doc: PurseView | None) -> PurseView:
        return PurseView(balance=Decimal(0))

    def on_paid(self, event: Paid, doc: PurseView) -> PurseView:
        doc.balance += event.amount
        return doc


@each_store
def test_inline_projections_are_in_the_commit_of_a_command(kind, api, tmp_path) -> None:
    async def main() -> None:
        async with opened(api, url_of(kind, tmp_path), inline=[Purses()]) as store:
            bus = purse_bus(store)
            opening = Open(purse_id="a", owner="Ada")
            await asyncio.gather(*(bus.send(opening) for _ in range(8)))
            commands = [Pay(purse_id="a", amount=Decimal(1)) for _ in range(8)] * 2
            handled = await asyncio.gather(*(bus.send(command) for command in commands))
            assert [each.repeated for each in handled].count(True) == 8
            document = await store.get(PurseView, "a")
            assert document.balance == 8

    asyncio.run(main())


class CutOff:
    """A store whose commits are carried out, and whose next answers get lost."""

    def __init__(self, api, store) -> None:
        inner = store.store if api == "sync" else store
        self.real, inner._store = inner._store, self
        if inner._inline is not None:
            inner._inline._store = self
        self.lose = 0

    def commit(self, *arguments, **options):
        return self._lost(self.real.commit(*arguments, **options))

    def commit_with(self, *arguments, **options):
        return self._lost(self.real.commit_with(*arguments, **options))

    def _lost(self, pending):
        if self.lose:
            self.lose -= 1
            pending.wait()
            raise OutcomeUnknownError("cut off")
        return pending

    def __getattr__(self, name):
        return getattr(self.real, name)


@each_store
def test_a_commit_of_unknown_outcome_is_sent_again(kind, api, tmp_path) -> None:
    """The storage fails after it has written: the same commit again gives its answer."""
    calls = []

    @dataclass
    class Plain:
        pass

    @handles(Plain)
    def plain(command: Plain, work: Any) -> None:
        calls.append(command)
        work.append([Noted(text="x")])

    async def test(store) -> None:
        bus, line = purse_bus(store), CutOff(api, store)
        line.lose = 2
        assert not (await bus.send(Open(purse_id="a", owner="Ada"))).repeated
        line.lose = 2
        assert await bus.send(Empty(purse_id="a")) == Handled([], None)
        line.lose = 2
        await Bus(store, plain).send(Plain())
        assert len(await gathered(store.read())) == 2, "without an id, too"
        assert (len(calls), line.lose) == (1, 0)
        line.lose = 2
        command = Open(purse_id="b", owner="Ada")
        with pytest.raises(OutcomeUnknownError, match="send the same command again"):
            await purse_bus(store, attempts=2).send(command)
        assert (await bus.send(command)).repeated
        line.lose = 2
        with pytest.raises(OutcomeUnknownError, match="look for its events"):
            await Bus(store, plain, attempts=2).send(Plain())

    run(api, kind, tmp_path, test)


class Once(Projection[PurseView], name="command.once", inline=True):
    def on_opened(self, event: Opened, doc: PurseView | None) -> PurseView:
        if doc is not None:
            raise ValueError("it is open")
        return PurseView(balance=Decimal(0))


@each_store
def test_a_command_is_settled_though_its_document_can_not_be_made_again(
    kind, api, tmp_path
) -> None:
    @handles(Empty)
    def opens(command: Empty, work: Any) -> str:
        work.append([Opened(owner="Ada")], stream=("command.purse", command.purse_id))
        return "opened"

    async def main() -> None:
        async with opened(api, url_of(kind, tmp_path), inline=[Once()]) as store:
            bus, line = Bus(store, opens), CutOff(api, store)
            line.lose = 1
            handled = await bus.send(Empty(purse_id="a"))
            assert (handled, line.lose) == (Handled("opened", 1), 0)
            with pytest.raises(ProjectionError, match="it is open"):
                await bus.send(Empty(purse_id="a"))
            assert len(await gathered(store.read())) == 1

    asyncio.run(main())


@each_store
def test_a_conflict_about_the_answer_leads_to_the_answer(kind, api, tmp_path) -> None:
    """Another sender of the same command is faster, and there is no further attempt."""

    class Twin(Command):
        events: bool
        raises: bool = False

    calls = []
    rivals: list[Any] = []

    def after(command: Twin, work: Any, number: int) -> int:
        if command.raises and number == 1:
            raise ValueError("what the twin did is in the way")
        work.append([Noted(text="x")] if command.events else [])
        return number

    if api == "async":

        @handles(Twin)
        async def twin(command: Twin, work: Any) -> int:
            calls.append(command)
            number = len(calls)
            if number == 1:
                await rivals[0].inner.send(command)
            return after(command, work, number)
    else:

        @handles(Twin)
        def twin(command: Twin, work: Any) -> int:
            calls.append(command)
            number = len(calls)
            if number == 1:
                rivals[0].inner.send(command)
            return after(command, work, number)

    async def test(store) -> None:
        rivals.append(Bus(store, twin))
        events = 0
        for command in [Twin(events=True), Twin(events=False), Twin(events=True, raises=True)]:
            calls.clear()
            handled = await Bus(store, twin, attempts=1).send(command)
            assert (handled.answer, handled.repeated, len(calls)) == (2, True, 2)
            events += command.events
            assert len(await gathered(store.read())) == events

    run(api, kind, tmp_path, test)


@each_store
def test_what_a_handler_only_looks_at_must_stay_as_it_was(kind, api, tmp_path) -> None:
    class Compare(Command):
        events: bool

    seen: list[Any] = []

    def compared(command: Compare, work: Any, found: Any, noted: Any) -> int:
        seen.append((found["b"].balance, len(noted)))
        if command.events:
            found["a"].apply(Paid(amount=Decimal(1)))
        return len(seen)

    async def test(store) -> None:
        inner = store.store if api == "sync" else store

        def rivals() -> list[Any]:
            if len(seen) == 0:
                return [[Paid(amount=Decimal(5))], ("command.purse", "b")]
            return [[Noted(text="rival")], None] if len(seen) == 1 else []

        if api == "async":

            @handles(Compare)
            async def compare(command: Compare, work: Any) -> int:
                found = await work.load_many(Purse, ["a", "b"])
                noted = await work.read(Query(event_types=[Noted]))
                assert work.store is inner
                if rival := rivals():
                    await outside(inner.append, rival[0], stream=rival[1])
                return compared(command, work, found, noted)
        else:

            @handles(Compare)
            def compare(command: Compare, work: Any) -> int:
                found = work.load_many(Purse, ["a", "b"])
                noted = work.read(Query(event_types=[Noted]))
                assert work.store is inner
                if rival := rivals():
                    Context().run(inner.append, rival[0], stream=rival[1])
                return compared(command, work, found, noted)

        bus = purse_bus(store)
        for key in "ab":
            await bus.send(Open(purse_id=key, owner="Ada"))
        for events, wanted in [
            (True, [(0, 0), (5, 0), (5, 1)]),
            (False, [(5, 1), (10, 1), (10, 2)]),
        ]:
            seen.clear()
            assert (await Bus(store, compare).send(Compare(events=events))).answer == 3
            assert seen == wanted

    run(api, kind, tmp_path, test)


@each_store
def test_retention_goes_by_the_clock_of_the_store(kind, api, tmp_path) -> None:
    async def main() -> None:
        for year in (2001, 2201):
            clock = Clock(datetime(year, 1, 1, tzinfo=UTC))
            async with opened(api, url_of(kind, tmp_path), clock=clock) as store:
                bus = purse_bus(store, retention=timedelta(days=7))
                command = Open(purse_id=f"p{year}", owner="Ada")
                await bus.send(command)
                clock.advance(timedelta(days=7, microseconds=-1))
                assert await bus.sweep() == 0
                assert (await bus.send(command)).repeated
                clock.advance(timedelta(microseconds=1))
                assert await bus.sweep() == 1
                for_ever = purse_bus(store, retention=timedelta.max)
                await for_ever.send(Open(purse_id=f"q{year}", owner="Ada"))
                assert await bus.sweep() == 0

    asyncio.run(main())


def test_there_is_one_unit_of_work() -> None:
    assert eventuali.command.UnitOfWork is eventuali.UnitOfWork
    names = {name for name in vars(eventuali.UnitOfWork) if not name.startswith("_")}
    assert names == {name for name in vars(sync.UnitOfWork) if not name.startswith("_")}


@each_api
def test_an_answer_whose_event_is_held_back_is_told_later(api, tmp_path, monkeypatch) -> None:
    from eventuali._engine import answers as records

    def held_back(store, event):
        yield from ()

    async def test(store) -> None:
        bus = purse_bus(store)
        command = Open(purse_id="a", owner="Ada")
        await bus.send(command)
        with monkeypatch.context() as patched:
            patched.setattr(records, "position", held_back)
            patched.setattr(records, "LOOKS", 3)
            with pytest.raises(StorageBusyError, match="send it again later"):
                await bus.send(command)
        assert (await bus.send(command)).repeated

    run(api, "memory", tmp_path, test)


@each_api
def test_a_damaged_answer_is_named(api, tmp_path) -> None:
    async def test(store) -> None:
        core = (store.store if api == "sync" else store)._store
        for number, value in enumerate([b"{}", b"no", b'{"digest":"","answer":"","event":[1]}']):
            core.put_record("command answer", f"c{number}", None, value, uuid4()).wait()
            with pytest.raises(StorageCorruptedError, match=f"'c{number}' can't be read"):
                await purse_bus(store).send(Empty(purse_id="a", command_id=f"c{number}"))

    run(api, "memory", tmp_path, test)


@each_store
def test_tenants_share_no_command_ids(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store).inner
        send = (lambda b, c: asyncio.to_thread(b.send, c)) if api == "sync" else (
            lambda b, c: b.send(c)
        )  # fmt: skip
        command = Open(purse_id="a", owner="Ada", command_id=uuid4())
        assert not (await send(bus, command)).repeated
        assert not (await send(bus.for_tenant("other"), command)).repeated
        assert (await send(bus.for_tenant("other"), command)).repeated

    run(api, kind, tmp_path, test)


def test_threads_share_a_blocking_bus(tmp_path) -> None:
    with sync.EventStore.create(f"sqlite:///{tmp_path / 'events.db'}") as store:
        bus = sync.CommandBus(store, Purse)
        bus.send(Open(purse_id="a", owner="Ada"))
        command = Pay(purse_id="a", amount=Decimal(3))
        found: list[Handled] = []
        threads = [
            threading.Thread(target=lambda: found.append(bus.send(command))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {(each.answer, each.position) for each in found} == {(Decimal(3), 2)}
        assert len(found) == 8


@each_store
def test_commands_that_change_the_same_aggregate_take_turns(kind, api, tmp_path) -> None:
    calls = []

    class Drop(Command):
        pass

    if api == "async":

        @handles(Drop)
        async def drop(command: Drop, work: Any) -> None:
            (await work.load_one(Purse, "a")).apply(Paid(amount=Decimal(1)))
            calls.append(command)
    else:

        @handles(Drop)
        def drop(command: Drop, work: Any) -> None:
            work.load_one(Purse, "a").apply(Paid(amount=Decimal(1)))
            calls.append(command)

    async def test(store) -> None:
        await purse_bus(store).send(Open(purse_id="a", owner="Ada"))
        buses = [Bus(store, drop) for _ in range(4)]
        handled = await asyncio.gather(*(buses[n % 4].send(Drop()) for n in range(24)))
        assert len({each.position for each in handled}) == len(calls) == 24
        assert (await store.load_one(Purse, "a")).balance == 24

    run(api, kind, tmp_path, test)


@each_api
def test_a_command_within_another_can_not_change_the_same_aggregate(api, tmp_path) -> None:
    class Outer(Command):
        pass

    calls = []
    pay = {"a": Pay(purse_id="a", amount=Decimal(100)), "b": Pay(purse_id="b", amount=Decimal(1))}

    async def test(store) -> None:
        bus = purse_bus(store)
        for key in pay:
            await bus.send(Open(purse_id=key, owner="Ada"))

        if api == "async":

            @handles(Outer)
            async def outer(command: Outer, work: Any) -> None:
                calls.append(command)
                (await work.load_one(Purse, "a")).apply(Paid(amount=Decimal(1)))
                await bus.send(pay["b"])
                if len(calls) == 1:
                    await bus.send(pay["a"])
        else:

            @handles(Outer)
            def outer(command: Outer, work: Any) -> None:
                calls.append(command)
                work.load_one(Purse, "a").apply(Paid(amount=Decimal(1)))
                bus.inner.send(pay["b"])
                if len(calls) == 1:
                    bus.inner.send(pay["a"])

        with pytest.raises(RuntimeError, match=r"a command .* changes the command\.purse 'a'"):
            await Bus(store, outer).send(Outer())
        assert len(calls) == 1
        await Bus(store, outer).send(Outer())
        balances = [(await store.load_one(Purse, key)).balance for key in pay]
        assert balances == [1, 1]  # the command within has an id, and so one effect

    run(api, "memory", tmp_path, test)


def test_a_task_that_outlives_its_handler_can_not_append(tmp_path) -> None:
    class Late(Command):
        pass

    tasks = []

    @handles(Late)
    async def late(command: Late, work: Any) -> None:
        over = asyncio.Event()

        async def audit() -> None:
            await over.wait()
            work.append([Paid(amount=Decimal(7))])

        tasks.append((asyncio.create_task(audit()), over))

    async def test(store) -> None:
        await Bus(store, late).send(Late())
        ((task, over),) = tasks
        over.set()
        with pytest.raises(RuntimeError, match="has ended"):
            await task

    run("async", "memory", tmp_path, test)
