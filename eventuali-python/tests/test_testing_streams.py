"""The kit for handlers of several aggregates: given streams, when, then events by stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from eventuali import Aggregate, Event, Query, sync
from eventuali.command import Command, handles
from eventuali.context import metadata
from eventuali.errors import AggregateNotFoundError, ConfigurationError, UnknownCommandError
from eventuali.testing import given_streams, stream


class Opened(Event, name="kit_streams.opened"):
    owner: str


class Moved(Event, name="kit_streams.moved"):
    amount: Decimal
    note: str = ""


class Audited(Event, name="kit_streams.audited"):
    text: str


class Transfer(Command):
    source: str
    target: str
    amount: Decimal


@dataclass
class Open:
    key: str
    owner: str


class Account(Aggregate, name="kit_streams.account"):
    owner: str = ""
    balance: Decimal = Decimal(0)

    @handles(Open, id="key", creates=True)
    def open(self, command: Open) -> str:
        self.apply(Opened(owner=command.owner))
        return self.id

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

    def apply_moved(self, event: Moved) -> None:
        self.balance += event.amount


@handles(Transfer)
async def transfer(command: Transfer, work: Any) -> Decimal:
    source = await work.load_one(Account, command.source)
    target = await work.load_or_new(Account, command.target)
    return moved(command, source, target)


@handles(Transfer)
def transfer_blocking(command: Transfer, work: Any) -> Decimal:
    source = work.load_one(Account, command.source)
    target = work.load_or_new(Account, command.target)
    return moved(command, source, target)


def moved(command: Transfer, source: Account, target: Account) -> Decimal:
    if source.balance < command.amount:
        raise ValueError(f"{source.balance} is too little")
    source.apply(Moved(amount=-command.amount))
    target.apply(Moved(amount=command.amount, note="from " + source.id))
    return source.balance


def of(amount: int, note: str = "") -> Moved:
    return Moved(amount=Decimal(amount), note=note)


GIVEN = given_streams(
    stream(Account, "a", Opened(owner="Ada"), of(10)),
    stream(Account, "b", Opened(owner="Bob")),
    Audited(text="begun"),
)
COMMAND = Transfer(source="a", target="b", amount=Decimal(4))
A, B = (Account, "a"), (Account, "b")
WANTED: Any = {A: [of(-4)], B: [of(4, "from a")]}

each_handler = pytest.mark.parametrize("handler", [transfer, transfer_blocking])


@each_handler
def test_a_command_over_two_streams(handler):
    for _ in range(2):  # what is given can be used again
        GIVEN.when(COMMAND, handler).then(WANTED).then_returns(Decimal(6))
    done = GIVEN.when(COMMAND, Account, handler).then_state(Account, "b", balance=4, owner="Bob")
    done.then({("kit_streams.account", "a"): [of(-4)], B: [of(1)]}, ignore=["amount", "note"])
    with pytest.raises(AssertionError, match="balance: expected 5"):
        done.then_state(Account, "b", balance=5)


@each_handler
def test_a_function_of_a_unit_of_work(handler):
    GIVEN.when(partial(handler, COMMAND)).then(WANTED).then_returns(Decimal(6))
    GIVEN.when(lambda work: handler(COMMAND, work)).then(WANTED)


@each_handler
def test_within_an_async_test_too(handler):
    async def test():
        with metadata(correlation_id="req-7", user_id="ada"):
            GIVEN.when(COMMAND, handler).then(WANTED)
            wanted = {
                key: [type(one)(**dict(one), correlation_id="req-7") for one in events]
                for key, events in WANTED.items()
            }
            GIVEN.when(partial(handler, COMMAND)).then(wanted, meta=["correlation_id"])
            GIVEN.when(Open("c", "Cy"), Account).then({(Account, "c"): [Opened(owner="Cy")]})

    asyncio.run(test())


@each_handler
def test_what_a_handler_raises_is_checked_and_stores_nothing(handler):
    poor = given_streams(stream(Account, "a", Opened(owner="Ada")))
    poor.when(COMMAND, handler).then_raises(ValueError, match="0 is too little").then_nothing()
    given_streams().when(COMMAND, handler).then_raises(AggregateNotFoundError, match="'a'")
    with pytest.raises(AssertionError, match="ValueError: 0 is too little"):
        poor.when(COMMAND, handler).then(WANTED)


def test_a_method_of_an_aggregate_is_a_handler():
    given_streams().when(Open("c", "Cy"), Account).then(
        {(Account, "c"): [Opened(owner="Cy")]}
    ).then_returns("c")


def test_an_aggregate_that_is_not_added_is_found():
    async def forgetful(work):
        found = await work.load(Account, "new") or Account(id="new")
        found.apply(of(1))

    given_streams().when(forgetful).then_raises(RuntimeError, match="load_or_new").then_nothing()


def test_queries_see_what_is_given_in_its_order_and_events_of_no_stream_are_new_ones():
    seen = []

    async def audit(work):
        seen.extend(await work.read(Query(event_types=[Audited, Opened])))
        work.append([Audited(text=f"{len(seen)} seen")])

    GIVEN.when(audit).then({None: [Audited(text="3 seen")]})
    assert seen == [Opened(owner="Ada"), Opened(owner="Bob"), Audited(text="begun")]
    assert [each.meta.position for each in seen] == [1, 3, 4]


def test_a_failure_shows_what_differs_by_stream():
    with pytest.raises(AssertionError) as caught:
        GIVEN.when(COMMAND, transfer).then({A: [of(-5)], (Account, "c"): [of(4)]})
    assert (
        str(caught.value)
        == """\
transfer: the new events are not those that were expected

given   1 Opened(owner='Ada')  (kit_streams.account 'a')
        2 Moved(amount=Decimal('10'), note='')  (kit_streams.account 'a')
        3 Opened(owner='Bob')  (kit_streams.account 'b')
        4 Audited(text='begun')  (no stream)
new     1 Moved(amount=Decimal('-4'), note='')  (kit_streams.account 'a')
        2 Moved(amount=Decimal('4'), note='from a')  (kit_streams.account 'b')

kit_streams.account 'a':
    event 1, Moved:
        amount: expected Decimal('-5')
                got      Decimal('-4')
kit_streams.account 'c':
    event 1 is missing: expected Moved(amount=Decimal('4'), note='')
kit_streams.account 'b':
    event 1 is extra: got Moved(amount=Decimal('4'), note='from a')"""
    )
    with pytest.raises(AssertionError, match="is extra"):
        GIVEN.when(COMMAND, transfer).then_nothing()
    GIVEN.when(lambda work: None).then({A: []}).then_nothing()


def test_what_the_kit_is_told_wrongly_is_refused():
    with pytest.raises(UnknownCommandError, match="Transfer"):
        GIVEN.when(COMMAND, Account)
    with pytest.raises(ConfigurationError, match="both take Transfer"):
        GIVEN.when(COMMAND, transfer, transfer_blocking)
    with pytest.raises(TypeError, match="a function needs none"):
        GIVEN.when(lambda work: None, transfer)
    with pytest.raises(TypeError, match="takes events"):
        given_streams(Account)
    for events in ([of(1)], {A: of(1)}, {A: [1]}, {"a": [of(1)]}, {(Event, "a"): []}):
        with pytest.raises(TypeError, match=r"then takes|a stream is"):
            GIVEN.when(COMMAND, transfer).then(events)
    with pytest.raises(TypeError, match="no metadata 'nothing'"):
        GIVEN.when(COMMAND, transfer).then(WANTED, meta=["nothing"])
    for twice in (
        [stream(Account, "a", of(1)), stream(Account, "a", of(2))],
        [stream(Account, "a", of(1), after=4)],
    ):
        with pytest.raises(TypeError, match=r"account 'a': version .* is next"):
            given_streams(twice).when(COMMAND, transfer)
    with pytest.raises(TypeError, match="checks nothing"):
        GIVEN.when(COMMAND, transfer).then_state(Account, "a")


def test_metadata_of_what_is_given_is_stored_as_it_is():
    found = []
    past = Moved(amount=Decimal(1), correlation_id="old", tags=["x"])

    async def look(work):
        found.extend(await work.read(Query(tags=["x"])))

    given_streams(stream(Account, "a", past)).when(look).then_nothing()
    (meta,) = (each.meta for each in found)
    assert (meta.event_id, meta.timestamp) == (past.meta.event_id, past.meta.timestamp)
    assert (meta.correlation_id, meta.aggregate_version) == ("old", 1)


def test_a_plain_function_that_returns_a_coroutine_is_called_once():
    calls = []

    async def handle(work):
        await transfer(COMMAND, work)

    def plain(work):
        calls.append(work)
        return handle(work)

    GIVEN.when(plain).then(WANTED)
    assert len(calls) == 1
    calls.clear()

    def blocking(work):
        calls.append(isinstance(work, sync.UnitOfWork))
        return work.load_one(Account, "a").owner

    GIVEN.when(blocking).then_nothing()
    assert calls == [True]
