"""Commands and queries: who handles them, in one commit with their answers."""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from stores import Blocking, each_api, each_store, gathered, run
from units import outside

import eventuali
from eventuali import (
    NO_STREAM,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    ConfigurationError,
    Event,
    InvalidEventError,
    OptimisticConcurrencyError,
    Projection,
    Query,
    SerializationError,
    sync,
)
from eventuali.command import Command, CommandBus, Handled, answers, handles
from eventuali.context import current_metadata, metadata
from eventuali.errors import (
    AggregateNotFoundError,
    CommandIdConflictError,
    UnknownCommandError,
)


class Opened(Event, name="command.opened"):
    owner: str


class Paid(Event, name="command.paid"):
    amount: Decimal


class Noted(Event, name="command.noted"):
    text: str


class Open(Command):
    purse_id: str
    owner: str


class Pay(Command):
    purse_id: str
    amount: Decimal


class Empty(Command):
    purse_id: str


class Move(Command):
    source: str
    target: str
    amount: Decimal


class Look(BaseModel):
    purse_id: str


class Purse(Aggregate, name="command.purse"):
    owner: str = ""
    balance: Decimal = Decimal(0)
    seen: list[str] = []  # noqa: RUF012

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

    def apply_paid(self, event: Paid) -> None:
        self.balance += event.amount
        self.seen.append(str(event.amount))

    @handles(Open, id="purse_id", creates=True)
    def open(self, command: Open) -> None:
        if not self.is_new():
            raise ValueError(f"{self.id} is open")
        self.apply(Opened(owner=command.owner))

    @handles(Pay, id="purse_id")
    def pay(self, command: Pay) -> Decimal:
        self.apply(Paid(amount=command.amount))
        if self.balance < 0:
            raise ValueError("not enough")
        return self.balance

    @handles(Empty, id="purse_id")
    def empty(self, command: Empty) -> list[UUID]:
        return []


@handles(Move)
async def move(command: Move, work: Any) -> dict[str, Decimal]:
    source = await work.load_one(Purse, command.source)
    target = await work.load_one(Purse, command.target)
    assert await work.load(Purse, command.source) is source
    source.handle(Pay(purse_id=source.id, amount=-command.amount))
    target.handle(Pay(purse_id=target.id, amount=command.amount))
    return {source.id: source.balance, target.id: target.balance}


@handles(Move)
def move_blocking(command: Move, work: Any) -> dict[str, Decimal]:
    source = work.load_one(Purse, command.source)
    target = work.load_one(Purse, command.target)
    assert work.load(Purse, command.source) is source
    source.handle(Pay(purse_id=source.id, amount=-command.amount))
    target.handle(Pay(purse_id=target.id, amount=command.amount))
    return {source.id: source.balance, target.id: target.balance}


@answers(Look)
async def look(query: Look, store: Any) -> Decimal:
    return (await store.load_one(Purse, query.purse_id)).balance


@answers(Look)
def look_blocking(query: Look, store: Any) -> Decimal:
    return store.load_one(Purse, query.purse_id).balance


class Bus:
    """Either bus, for tests that await it."""

    def __init__(self, store, *handlers, **options) -> None:
        self._sync = isinstance(store, Blocking)
        if self._sync:
            self.inner = sync.CommandBus(store.store, *handlers, **options)
        else:
            self.inner = CommandBus(store, *handlers, **options)

    def __getattr__(self, name):
        verb = getattr(self.inner, name)
        if not self._sync:
            return verb

        async def call(*args, **options):
            return await asyncio.to_thread(verb, *args, **options)

        return call


def purse_bus(store, **options) -> Bus:
    blocking = isinstance(store, Blocking)
    functions = (move_blocking, look_blocking) if blocking else (move, look)
    return Bus(store, Purse, *functions, **options)


# --- without a store ------------------------------------------------------------------------------


def test_an_aggregate_handles_a_command_without_a_store() -> None:
    purse = Purse.from_events([Opened(owner="Ada")], id="p")
    assert purse.handle(Pay(purse_id="p", amount=Decimal(5))) == [Paid(amount=Decimal(5))]
    assert purse.handle(Empty(purse_id="p")) == []
    assert purse.balance == 5
    assert len(purse.get_uncommitted_events()) == 1


def test_a_method_that_raises_leaves_the_aggregate_as_it_was() -> None:
    purse = Purse.from_events([Opened(owner="Ada")], id="p")
    purse.handle(Pay(purse_id="p", amount=Decimal(5)))
    with pytest.raises(ValueError, match="not enough"):
        purse.handle(Pay(purse_id="p", amount=Decimal(-6)))
    assert (purse.balance, purse.version, purse.seen) == (5, 2, ["5"])
    assert purse.get_uncommitted_events() == [Paid(amount=Decimal(5))]
    purse.handle(Pay(purse_id="p", amount=Decimal(1)))
    assert (purse.balance, purse.version) == (6, 3)
    first, second = purse.get_uncommitted_events()
    assert first.event_id != second.event_id


def test_a_command_that_it_does_not_take_is_named() -> None:
    with pytest.raises(
        UnknownCommandError, match="Purse has no handler for the command Move"
    ) as refused:
        Purse().handle(Move(source="a", target="b", amount=Decimal(1)))
    assert refused.value.known == ["Empty", "Open", "Pay"]


def test_a_subclass_has_the_methods_of_its_base_and_its_own() -> None:
    class Savings(Purse, name="command.savings"):
        @handles(Pay, id="purse_id")
        def pay(self, command: Pay) -> Decimal:
            self.apply(Paid(amount=2 * command.amount))
            return self.balance

    assert Savings(id="s").handle(Pay(purse_id="s", amount=Decimal(1))) == [Paid(amount=Decimal(2))]
    assert Savings(id="s").handle(Open(purse_id="s", owner="Ada")) == [Opened(owner="Ada")]


# --- a bus ----------------------------------------------------------------------------------------


@each_store
def test_commands_and_queries_reach_their_handlers(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        opened = await bus.send(Open(purse_id="a", owner="Ada"))
        assert (opened.answer, opened.repeated) == (None, False)
        await bus.send(Open(purse_id="b", owner="Bob"))
        paid = await bus.send(Pay(purse_id="a", amount=Decimal(10)))
        assert paid == Handled(Decimal(10), 3)
        moved = await bus.send(Move(source="a", target="b", amount=Decimal(4)))
        assert moved.answer == {"a": Decimal(6), "b": Decimal(4)}
        assert await bus.ask(Look(purse_id="b")) == Decimal(4)
        assert await bus.send(Empty(purse_id="a")) == Handled([], None)
        events = await gathered(store.read())
        assert moved.position == events[-1].position
        assert [(event.aggregate_id, event.aggregate_version) for event in events] == [
            ("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2),
        ]  # fmt: skip

    run(api, kind, tmp_path, test)


@each_store
def test_the_same_command_has_one_effect_and_one_answer(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        await bus.send(Open(purse_id="a", owner="Ada"))
        command = Pay(purse_id="a", amount=Decimal("10.50"))
        first = await bus.send(command)
        await bus.send(Pay(purse_id="a", amount=Decimal(1)))
        again = await purse_bus(store).send(command.model_copy())
        assert again == Handled(first.answer, first.position, repeated=True)
        assert type(again.answer) is Decimal
        assert await bus.ask(Look(purse_id="a")) == Decimal("11.50")
        nothing = Empty(purse_id="a", command_id="nothing")
        assert not (await bus.send(nothing)).repeated
        assert await bus.send(nothing) == Handled([], None, repeated=True)

    run(api, kind, tmp_path, test)


@each_store
def test_the_same_id_with_another_content_is_refused(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        await bus.send(Open(purse_id="a", owner="Ada", command_id="c"))
        for other in (
            Open(purse_id="a", owner="Eve", command_id="c"),
            Empty(purse_id="a", command_id="c"),
        ):
            with pytest.raises(CommandIdConflictError, match="'c' was used") as refused:
                await bus.send(other)
            assert refused.value.command_id == "c"
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test)


@each_store
def test_an_id_can_be_given_to_a_command_without_one(kind, api, tmp_path) -> None:
    @dataclass
    class Note:
        text: str
        tags: frozenset[str] = frozenset()

    calls = []

    @handles(Note)
    def note(command: Note, work: Any) -> int:
        calls.append(command)
        work.append([Noted(text=command.text)])
        return len(calls)

    async def test(store) -> None:
        bus = Bus(store, note)
        tags = [f"t{n}" for n in range(20)]
        for _ in range(2):
            assert (await bus.send(Note("x"))).repeated is False
        given = await bus.send(Note("y", frozenset(tags)), command_id="k")
        again = await bus.send(Note("y", frozenset(reversed(tags))), command_id="k")
        assert (given.answer, again.answer, again.repeated) == (3, 3, True)
        number = UUID(int=5)
        await bus.send(Note("z"), command_id=number)
        assert (await bus.send(Note("z"), command_id=str(number))).repeated
        with pytest.raises(InvalidEventError, match="command_id"):
            await bus.send(Note("z"), command_id="")
        assert len(await gathered(store.read())) == 4

    run(api, kind, tmp_path, test)


@each_store
def test_what_a_handler_raises_is_raised_and_nothing_is_stored(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        await bus.send(Open(purse_id="a", owner="Ada"))
        command = Pay(purse_id="a", amount=Decimal(-1))
        for _ in range(2):
            with pytest.raises(ValueError, match="not enough"):
                await bus.send(command)
        await bus.send(Pay(purse_id="a", amount=Decimal(1)))
        assert not (await bus.send(command)).repeated, "a refusal is no answer"
        with pytest.raises(AggregateNotFoundError, match="creates=True") as missing:
            await bus.send(Pay(purse_id="b", amount=Decimal(1)))
        assert missing.value.aggregate_id == "b"
        with pytest.raises(AggregateNotFoundError):
            await bus.send(Move(source="a", target="b", amount=Decimal(0)))

    run(api, kind, tmp_path, test)


@each_store
def test_an_answer_that_would_not_come_back_is_refused(kind, api, tmp_path) -> None:
    class Ask(Command):
        exact: bool

    @handles(Ask)
    def ask(command: Ask, work: Any):
        work.append([Noted(text="x")])
        return [1] if command.exact else (1,)

    async def test(store) -> None:
        bus = Bus(store, ask)
        assert (await bus.send(Ask(exact=True))).answer == [1]
        with pytest.raises(SerializationError, match="annotate what it returns"):
            await bus.send(Ask(exact=False))
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test)


@each_store
def test_a_unit_of_work_is_one_commit_on_its_conditions(kind, api, tmp_path) -> None:
    class Mixed(Command):
        tag: str
        broken: bool = False

    @handles(Mixed)
    def mixed(command: Mixed, work: Any) -> None:
        purse = Purse(id=command.tag)
        purse.apply(Opened(owner="Ada"))
        work.add(purse)
        work.add(purse)
        given.append([Noted(text="1"), Noted(text="2"), Noted(text="3")])
        work.append(given[-1][:2], stream=("command.diary", command.tag), expected=NO_STREAM)
        work.append(
            given[-1][2:],
            condition=AppendCondition(Query(tags=["never"])) if not command.broken else
            AppendCondition(Query(event_types=[Noted])),
        )  # fmt: skip

    given: list[list[Noted]] = []

    async def test(store) -> None:
        bus = Bus(store, mixed, attempts=2)
        handled = await bus.send(Mixed(tag="a"))
        events = await gathered(store.read())
        places = [(event.aggregate_id, event.aggregate_version) for event in events]
        assert places == [("a", 1), ("a", 1), ("a", 2), (None, None)]
        assert handled.position == events[-1].position
        assert [event.event_id for event in given[0]] == [event.event_id for event in events[1:]]
        assert [event.aggregate_version for event in given[0]] == [1, 2, None]
        with pytest.raises(AppendConditionError, match="command was given up after 2 attempts"):
            await bus.send(Mixed(tag="b", broken=True))
        assert len(await gathered(store.read())) == 4

    run(api, kind, tmp_path, test)


@each_store
def test_a_bound_method_is_a_handler_and_a_stream_is_expected_once(kind, api, tmp_path) -> None:
    class Diary:
        def __init__(self, name: str) -> None:
            self.name = name

        @handles(Empty)
        def write(self, command: Empty, work: Any) -> str:
            work.append([Noted(text="1")], stream=("command.diary", self.name), expected=NO_STREAM)
            work.append([Noted(text="2")], stream=("command.diary", self.name))
            with pytest.raises(InvalidEventError, match="expected at 'no_stream'"):
                work.append([Noted(text="3")], stream=("command.diary", self.name), expected=2)
            return self.name

    async def test(store) -> None:
        bus = Bus(store, Diary("d").write)
        assert (await bus.send(Empty(purse_id="x"))).answer == "d"
        events = await gathered(store.read())
        assert [(event.text, event.aggregate_version) for event in events] == [("1", 1), ("2", 2)]

    run(api, kind, tmp_path, test)


@each_store
def test_a_conflict_is_tried_again_with_what_is_stored_by_then(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        await bus.send(Open(purse_id="a", owner="Ada"))
        commands = [Pay(purse_id="a", amount=Decimal(1)) for _ in range(24)]
        handled = await asyncio.gather(*(bus.send(command) for command in commands))
        assert sorted(each.answer for each in handled) == [Decimal(n) for n in range(1, 25)]
        assert len({each.position for each in handled}) == 24

    run(api, kind, tmp_path, test)


@each_store
def test_attempts_bound_the_retries(kind, api, tmp_path) -> None:
    calls = []

    class Lose(Command):
        pass

    async def test(store) -> None:
        inner = store.store if api == "sync" else store
        await store.save(purse := Purse(id="a"))
        purse.apply(Opened(owner="Ada"))
        await store.save(purse)

        def beaten(work: Any, mine: Any, other: Any) -> None:
            calls.append(1)
            mine.apply(Paid(amount=Decimal(1)))
            other.apply(Paid(amount=Decimal(2)))

        if api == "async":

            @handles(Lose)
            async def lose(command: Lose, work: Any) -> None:
                mine, other = await work.load(Purse, "a"), await inner.load(Purse, "a")
                beaten(work, mine, other)
                await outside(inner.save, other)
        else:

            @handles(Lose)
            def lose(command: Lose, work: Any) -> None:
                mine, other = work.load(Purse, "a"), inner.load(Purse, "a")
                beaten(work, mine, other)
                Context().run(inner.save, other)

        with pytest.raises(OptimisticConcurrencyError, match="command was given up after 3 att"):
            await Bus(store, lose, attempts=3).send(Lose())
        assert len(calls) == 3

    run(api, kind, tmp_path, test)


@each_store
def test_sixteen_tasks_that_send_the_same_command_get_one_answer(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        buses = [purse_bus(store) for _ in range(4)]
        for number in range(10):
            command = Open(purse_id=f"a{number}", owner="Ada")
            handled = await asyncio.gather(*(buses[n % 4].send(command) for n in range(16)))
            assert [each.repeated for each in handled].count(False) == 1
            pay = Pay(purse_id=f"a{number}", amount=Decimal(number))
            handled = await asyncio.gather(*(buses[n % 4].send(pay) for n in range(16)))
            assert {(each.answer, each.position) for each in handled} == {
                (Decimal(number), handled[0].position)
            }
            assert [each.repeated for each in handled].count(False) == 1
        assert len(await gathered(store.read())) == 20

    run(api, kind, tmp_path, test)


# --- retention ------------------------------------------------------------------------------------


@each_store
def test_a_sweep_removes_answers_whose_retention_is_over(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        short = purse_bus(store, retention=timedelta(microseconds=1))
        for_ever, long = purse_bus(store, retention=None), purse_bus(store)
        await short.send(Open(purse_id="a", owner="Ada"))
        pay = [Pay(purse_id="a", amount=Decimal(n)) for n in (1, 2, 4)]
        for bus, command in zip((short, for_ever, long), pay, strict=True):
            await bus.send(command)
        assert await long.sweep() == 2
        assert await short.sweep() == 0
        assert [(await long.send(command)).repeated for command in pay] == [False, True, True]
        assert await long.ask(Look(purse_id="a")) == Decimal(8)

    run(api, kind, tmp_path, test)


def test_a_retention_must_be_above_zero() -> None:
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(ValueError, match="above 0"):
            sync.CommandBus(store, Purse, retention=timedelta())
        with pytest.raises(TypeError, match="timedelta"):
            sync.CommandBus(store, Purse, retention=7)


# --- middleware and metadata ----------------------------------------------------------------------


@each_store
def test_middleware_is_around_commands_and_queries_in_order(kind, api, tmp_path) -> None:
    seen: list[object] = []

    async def outer(message, go_on):
        seen.append(("outer", type(message).__name__))
        with metadata(user_id="ada"):
            return await go_on(message)

    def inner(message, go_on):
        seen.append(("inner", current_metadata().user_id))
        if isinstance(message, Pay) and message.amount > 100:
            raise PermissionError("too much")
        if isinstance(message, Open):
            message = message.model_copy(update={"owner": message.owner.title()})
        return go_on(message)

    def outer_blocking(message, go_on):
        seen.append(("outer", type(message).__name__))
        with metadata(user_id="ada"):
            return go_on(message)

    async def test(store) -> None:
        first = outer_blocking if api == "sync" else outer
        bus = purse_bus(store, middleware=[first, inner])
        await bus.send(Open(purse_id="a", owner="ada"))
        assert await bus.ask(Look(purse_id="a")) == 0
        with pytest.raises(PermissionError):
            await bus.send(Pay(purse_id="a", amount=Decimal(101)))
        assert seen == [
            ("outer", "Open"), ("inner", "ada"), ("outer", "Look"), ("inner", "ada"),
            ("outer", "Pay"), ("inner", "ada"),
        ]  # fmt: skip
        (event,) = await gathered(store.read())
        assert (event.owner, event.user_id) == ("Ada", "ada")

    run(api, kind, tmp_path, test)


@each_store
def test_events_follow_from_their_command(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        opening = Open(purse_id="a", owner="Ada")
        await bus.send(opening)
        with metadata(correlation_id="request", user_id="ada"):
            await bus.send(Pay(purse_id="a", amount=Decimal(1), command_id="pay"))
        cause = Noted(text="x", correlation_id="event")
        with eventuali.context.caused_by(cause):
            await bus.send(Pay(purse_id="a", amount=Decimal(1)))
        given = [
            (e.correlation_id, e.causation_id, e.user_id) for e in await gathered(store.read())
        ]
        assert given == [
            (opening.command_id, opening.command_id, None),
            ("request", "pay", "ada"),
            ("event", cause.event_id, None),
        ]

    run(api, kind, tmp_path, test)


@each_store
def test_the_ids_of_a_request_are_on_every_event_that_follows_from_it(kind, api, tmp_path) -> None:
    """Through the bus, tasks, a thread, a projection and the commands that it sends."""

    async def test(store) -> None:
        bus = purse_bus(store)
        paying = bus.inner.send

        if api == "async":

            class Bonus(Projection, name="command.bonus"):
                async def on_opened(self, event: Opened, docs) -> None:
                    key = event.aggregate_id
                    await paying(Pay(purse_id=key, amount=Decimal(1), command_id=f"bonus-{key}"))
        else:

            class Bonus(Projection, name="command.bonus"):
                def on_opened(self, event: Opened, docs) -> None:
                    key = event.aggregate_id
                    paying(Pay(purse_id=key, amount=Decimal(1), command_id=f"bonus-{key}"))

        async def request(number: int) -> None:
            key = f"p{number}"
            with metadata(correlation_id=f"request-{number}", user_id=f"user-{number}"):
                opening = Open(purse_id=key, owner="Ada", command_id=f"open-{number}")
                await asyncio.create_task(bus.send(opening))
                note = await asyncio.to_thread(Noted, text=key)
                await store.append([note])

        await asyncio.gather(*(request(number) for number in range(20)))
        inner = store.store if api == "sync" else store
        if api == "async":
            async with inner.run(Bonus()) as running:
                await running.caught_up()
        else:
            running = inner.run(Bonus())
            await asyncio.to_thread(running.__enter__)
            await asyncio.to_thread(running.caught_up)
            await asyncio.to_thread(running.__exit__, None, None, None)
        events = await gathered(store.read())
        assert len(events) == 60
        opened_by = {event.aggregate_id: event for event in events if type(event) is Opened}
        for event in events:
            number = (event.text if type(event) is Noted else event.aggregate_id)[1:]
            assert event.correlation_id == f"request-{number}"
            if type(event) is Paid:
                assert event.causation_id == opened_by[event.aggregate_id].event_id
                assert event.user_id is None, "a projection runs for nobody"
            else:
                assert event.user_id == f"user-{number}"

    run(api, kind, tmp_path, test)


# --- what a bus refuses ---------------------------------------------------------------------------


@each_api
def test_an_unknown_command_names_what_is_known(api, tmp_path) -> None:
    async def test(store) -> None:
        bus = purse_bus(store)
        with pytest.raises(UnknownCommandError, match="knows Empty, Move, Open, Pay") as refused:
            await bus.send(Look(purse_id="a"))
        assert refused.value.message_type == "Look"
        with pytest.raises(UnknownCommandError, match="knows Look"):
            await bus.ask(Empty(purse_id="a"))

    run(api, "memory", tmp_path, test)


class Other(Command):
    pass


class Opaque:
    """Something that pydantic can't write."""


def test_what_can_not_be_a_handler_is_refused() -> None:
    @handles(Other)
    async def one(command: Other, work: Any) -> None: ...

    @handles(Other)
    def two(command: Other, work: Any) -> None: ...

    @handles(Other)
    def few(command: Other) -> None: ...

    @handles(Other)
    def lost(command: Other, work: Any) -> Nowhere: ...  # noqa: F821

    @handles(Other, id="x")
    def keyed(command: Other, work: Any) -> None: ...

    class NoKey(Aggregate, name="command.no-key"):
        @handles(Other)
        def other(self, command: Other) -> None: ...

    class WrongKey(Aggregate, name="command.wrong-key"):
        @handles(Other, id="missing")
        def other(self, command: Other) -> None: ...

    class Twice(Aggregate, name="command.twice"):
        @handles(Other)
        def one(self, command: Other) -> None: ...
        @handles(Other)
        def two(self, command: Other) -> None: ...

    class Waits(Aggregate, name="command.waits"):
        @handles(Other)
        async def one(self, command: Other) -> None: ...

    class Yields(Aggregate, name="command.yields"):
        @handles(Other)
        def one(self, command: Other) -> Any:
            yield

    @handles(Other)
    def yields(command: Other, work: Any) -> Any:
        yield

    @handles(Other)
    async def yields_later(command: Other, work: Any) -> Any:
        yield

    class Queried(Aggregate, name="command.queried"):
        @answers(Other)
        def one(self, query: Other) -> None: ...

    class Plain(Aggregate, name="command.plain"): ...

    class Static(Aggregate, name="command.static"):
        @handles(Other)
        @staticmethod
        def one(command: Other) -> None: ...

        @handles(Empty)
        def two(self, command: Empty) -> None: ...

    @handles(Other)
    def opaque(command: Other, work: Any) -> Opaque: ...

    cases = [
        (TypeError, "Static.one is a static or class method", (Static,)),
        (TypeError, "opaque: .* not under TYPE_CHECKING", (opaque,)),
        (ConfigurationError, "both take Other", (two, one)),
        (TypeError, "event loop", (one,)),
        (TypeError, "two arguments", (few,)),
        (TypeError, "can't be resolved", (lost,)),
        (TypeError, "methods of aggregates", (keyed,)),
        (ConfigurationError, "does not say which NoKey", (NoKey,)),
        (ConfigurationError, "no field 'missing'", (WrongKey,)),
        (TypeError, "both handle Other", (Twice,)),
        (TypeError, "coroutine function", (Waits,)),
        (TypeError, "one is a generator function", (Yields,)),
        (TypeError, "yields is a generator function", (yields,)),
        (TypeError, "yields_later is a generator function", (yields_later,)),
        (TypeError, "can't answer a query", (Queried,)),
        (TypeError, "no method of Plain", (Plain,)),
        (TypeError, "neither an aggregate", (int,)),
        (TypeError, "is not marked", (print,)),
    ]
    with sync.EventStore.create("memory://") as store:
        for error, text, handlers in cases:
            with pytest.raises(error, match=text):
                sync.CommandBus(store, *handlers)
        with pytest.raises(TypeError, match="middleware"):
            sync.CommandBus(store, Purse, middleware=[1])
        bus = sync.CommandBus(store, _returns_coroutine)
        with pytest.raises(TypeError, match="blocking bus"):
            bus.send(Other())
    with pytest.raises(TypeError, match=r"@handles\(PlaceOrder\)"):
        handles("Other")


@each_api
def test_what_is_not_recorded_need_not_be_known_to_pydantic(api, tmp_path) -> None:
    class Request(BaseModel):
        pass

    @dataclass
    class Keyed:
        command_id: str | None = None

    @answers(Look)
    def asked(query: Look, store: Any) -> Opaque:
        return Opaque()

    @handles(Request)
    def requested(command: Request, work: Any) -> Nowhere:  # noqa: F821
        return Opaque()

    @handles(Keyed)
    def keyed(command: Keyed, work: Any) -> Opaque:
        work.append([Noted(text="x")])
        return Opaque()

    async def test(store) -> None:
        bus = Bus(store, asked, requested, keyed)
        assert isinstance(await bus.ask(Look(purse_id="a")), Opaque)
        assert isinstance((await bus.send(Request())).answer, Opaque)
        assert isinstance((await bus.send(Keyed())).answer, Opaque)
        with pytest.raises(TypeError, match=r"requested: .*'Nowhere'.* import it at run time"):
            await bus.send(Request(), command_id="r")
        with pytest.raises(TypeError, match=r"keyed: .* annotate it with a type that pydantic"):
            await bus.send(Keyed("k"))
        assert len(await gathered(store.read())) == 1

    run(api, "memory", tmp_path, test)


@each_api
def test_a_static_or_class_method_is_a_handler_whichever_decorator_comes_first(
    api, tmp_path
) -> None:
    class Service:
        @handles(Empty)
        @staticmethod
        def static(command: Empty, work: Any) -> str:
            return "static"

        @handles(Other)
        @classmethod
        def of_class(cls, command: Other, work: Any) -> str:
            return cls.__name__

        @staticmethod
        @handles(Pay)
        def first(command: Pay, work: Any) -> str:
            return "first"

    async def test(store) -> None:
        bus = Bus(store, Service.static, Service.of_class, Service().first)
        assert (await bus.send(Empty(purse_id="a"))).answer == "static"
        assert (await bus.send(Other())).answer == "Service"
        assert (await bus.send(Pay(purse_id="a", amount=Decimal(1)))).answer == "first"

    run(api, "memory", tmp_path, test)


@handles(Other)
def _returns_coroutine(command: Other, work: Any) -> Any:
    async def later() -> None: ...

    return later()


class Wound(Event, name="command.wound"):
    turns: int


class Wind(Command):
    clock_id: str
    turns: int


class Clockwork(Aggregate, name="command.clockwork"):
    turns: int = 0

    def __bool__(self) -> bool:
        return False

    @handles(Wind, id="clock_id", creates=True)
    def wind(self, command: Wind) -> int:
        self.apply(Wound(turns=command.turns))
        return self.turns

    def apply_wound(self, event: Wound) -> None:
        self.turns += event.turns


@each_store
def test_an_aggregate_that_is_false_is_there_all_the_same(kind, api, tmp_path) -> None:
    async def test(store) -> None:
        bus = Bus(store, Clockwork)
        assert (await bus.send(Wind(clock_id="c", turns=2))).answer == 2
        assert (await bus.send(Wind(clock_id="c", turns=3))).answer == 5
        assert (await store.load(Clockwork, "c")).turns == 5

    run(api, kind, tmp_path, test)
