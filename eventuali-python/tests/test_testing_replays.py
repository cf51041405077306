"""Replaying stored streams by changed code: which states differ, and in what."""

import asyncio
import json
import re
from decimal import Decimal
from textwrap import dedent

import pytest
from pydantic import BaseModel
from stores import each_store, url_of

import eventuali
from eventuali import Aggregate, Event, sync
from eventuali.testing import Replayed, assert_replays, record_states


class Opened(Event, name="kit_replay_opened"):
    owner: str


class Deposited(Event, name="kit_replay_deposited"):
    amount: Decimal


class Last(BaseModel):
    amount: Decimal = Decimal(0)
    number: int = 0


class Account(Aggregate, name="KitReplayAccount"):
    owner: str = ""
    balance: Decimal = Decimal(0)
    last: Last = Last()
    owners: frozenset[str] = frozenset()

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner
        self.owners |= {event.owner, "someone", "else"}

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount
        self.last = Last(amount=event.amount, number=self.last.number + 1)


class Same(Account, name="KitReplayAccount"):
    """The same states by other code."""

    def apply_deposited(self, event: Deposited) -> None:
        self.last = Last(amount=event.amount, number=1 + self.last.number)
        self.balance = sum((self.balance, event.amount), Decimal(0))


class Wrong(Account, name="KitReplayAccount"):
    def apply_deposited(self, event: Deposited) -> None:
        super().apply_deposited(event)
        if event.amount > 2:
            self.balance += 1


class Breaking(Account, name="KitReplayAccount"):
    def apply_deposited(self, event: Deposited) -> None:
        if event.amount > 2:
            raise ValueError("too much")
        super().apply_deposited(event)


class Wider(Account, name="KitReplayAccount"):
    deposits: int = 0


class Other(Aggregate, name="KitReplayOther"): ...


def filled(store):
    """Accounts 1 to 4, with that many deposits of 1, 2, 3 …"""
    for count in range(1, 5):
        account = Account(id=f"acc-{count}")
        account.apply(Opened(owner="Ada"))
        for amount in range(1, count + 1):
            account.apply(Deposited(amount=amount))
        store.save(account)
    store.append([Deposited(amount=9)], stream=("KitReplayOther", "x"))


class Stores:
    """A filled store by either API, and how to call the kit with it."""

    def __init__(self, kind, api, folder):
        self.api, self.place = api, url_of(kind, folder)

    def __call__(self, function, cls, *arguments, **options):
        if self.api == "sync":
            with sync.EventStore.create(self.place) as store:
                filled(store) if not list(store.read(limit=1)) else None
                return function(cls, store, *arguments, **options)
        return asyncio.run(self._awaited(function, cls, arguments, options))

    async def _awaited(self, function, cls, arguments, options):
        if isinstance(self.place, str) and "memory" in self.place:
            from eventuali.testing._stores import Opened

            both = Opened(self.place)
            await asyncio.to_thread(filled, both.blocking)
            return await function(cls, both.asynchronous, *arguments, **options)
        with_events = sync.EventStore.create
        await asyncio.to_thread(lambda: self._fill(with_events))
        async with eventuali.EventStore.create(self.place) as store:
            return await function(cls, store, *arguments, **options)

    def _fill(self, create):
        with create(self.place) as store:
            filled(store) if not list(store.read(limit=1)) else None


@pytest.fixture
def call(kind, api, tmp_path):
    return Stores(kind, api, tmp_path)


def said(call, *arguments, **options) -> str:
    with pytest.raises(AssertionError) as failed:
        call(assert_replays, *arguments, **options)
    return str(failed.value)


def text(expected: str) -> str:
    return dedent(expected).strip("\n")


@each_store
def test_the_same_states_pass(call):
    told = []
    done = call(assert_replays, Same, before=Account, progress=lambda *at: told.append(at))
    assert done == Replayed(streams=4, events=14)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@each_store
def test_a_failure_tells_the_stream_the_version_and_the_field(call):
    assert said(call, Wrong, before=Account) == text("""
        2 of 4 streams of 'KitReplayAccount' have another state with Wrong than with Account

        'acc-3' differs from version 4 on:
            balance: before Decimal('6')
                     now    Decimal('7')

        'acc-4' differs from version 4 on:
            balance: before Decimal('6')
                     now    Decimal('7')
        """)
    assert call(assert_replays, Wrong, before=Account, ignore=["balance"]).streams == 4


@each_store
def test_an_error_is_a_difference_like_any_other(call):
    found = said(call, Breaking, before=Account)
    assert found.startswith("2 of 4 streams")
    assert (
        "'acc-3' differs from version 4 on:\n    before a state\n    now    ValueError: " in found
    )
    assert call(assert_replays, Breaking, before=Breaking).streams == 4


@each_store
def test_a_field_that_is_new_counts_unless_it_is_ignored(call):
    found = said(call, Wider, before=Account)
    assert "'acc-1' differs from version 1 on:\n    deposits: before nothing\n" in found
    assert call(assert_replays, Wider, before=Account, ignore={"deposits"}).streams == 4


@each_store
def test_states_that_were_recorded_are_compared(call, kind, tmp_path):
    if kind.endswith("memory"):
        pytest.skip("nothing is left of a store in memory that is closed")
    path = tmp_path / "states.json"
    assert call(record_states, Account, path) == Replayed(4, 14)
    assert [each.name for each in tmp_path.glob("states*")] == ["states.json"]
    assert not re.search("Ada|someone", path.read_text()), "it has data of the fields"
    # What is stored after it is left out.
    with sync.EventStore.create(call.place) as store:
        store.append([Deposited(amount=100)], stream=("KitReplayAccount", "acc-1"))
    assert call(assert_replays, Same, before=path) == Replayed(4, 14)
    assert said(call, Wrong, before=str(path)) == text("""
        2 of 4 streams of 'KitReplayAccount' have another state with Wrong than with states.json

        'acc-3' differs at version 4:
            balance: another value was recorded; now Decimal('7')

        'acc-4' differs at version 5:
            balance: another value was recorded; now Decimal('12')
        """)
    assert "deposits: not recorded" in said(call, Wider, before=path)
    assert "now ValueError" in said(call, Breaking, before=path)
    with path.open("a") as file:
        file.write(json.dumps(["gone", 1, {}]) + "\n")
    assert said(call, Same, before=path).startswith("1 recorded streams are not in this store")


def test_a_hash_does_not_depend_on_the_order_of_sets_and_dicts():
    from eventuali.testing._replays import _hash_of

    one, other = {"b": {3, 1}, "a": 1}, {"a": 1, "b": {1, 3}}
    assert _hash_of({"x": one}, "x") == _hash_of({"x": other}, "x")
    assert _hash_of({"x": {"é", "a"}}, "x") == _hash_of({"x": {"a", "é"}}, "x")
    assert _hash_of({"x": [1, 2]}, "x") != _hash_of({"x": [2, 1]}, "x")
    assert _hash_of({"x": {"a": 1}}, "x") != _hash_of({"x": {"a": 2}}, "x")


@pytest.fixture
def store():
    with sync.EventStore.create("memory://") as store:
        filled(store)
        yield store


def test_a_sample_is_the_same_each_time(store):
    told = []
    for _ in range(2):
        with pytest.raises(AssertionError) as failed:
            assert_replays(Wider, store, before=Account, sample=2)
        told.append(str(failed.value))
    assert told[0] == told[1]
    assert told[0].startswith("2 of 2 streams")
    assert assert_replays(Same, store, before=Account, sample=9).streams == 4


def test_a_failure_tells_of_ten_streams(store):
    for number in range(20):
        store.append([Deposited(amount=3)], stream=("KitReplayAccount", f"more-{number:02}"))
    with pytest.raises(AssertionError) as failed:
        assert_replays(Wrong, store, before=Account)
    assert str(failed.value).startswith("22 of 24 streams")
    assert str(failed.value).endswith("\n\nand 12 more")


def test_nothing_to_compare_is_a_failure(store):
    with (
        sync.EventStore.create("memory://") as empty,
        pytest.raises(AssertionError, match="no stream"),
    ):
        assert_replays(Same, empty, before=Account)


def test_a_bar_is_drawn(store, capsys):
    assert_replays(Same, store, before=Account, progress=True)
    assert "replay Same [####" in capsys.readouterr().err


def test_mistakes_are_named(store, tmp_path):
    with pytest.raises(ValueError, match=r"class Other\(Aggregate, name='KitReplayAccount'\)"):
        assert_replays(Account, store, before=Other)
    with pytest.raises(TypeError, match="a class of aggregates, or a file"):
        assert_replays(Account, store, before=Opened)
    with pytest.raises(TypeError, match="store must be an EventStore"):
        assert_replays(Account, "memory://", before=Same)
    with pytest.raises(TypeError, match="several names"):
        assert_replays(Account, store, before=Same, ignore="balance")
    with pytest.raises(eventuali.InvalidEventError, match="sample"):
        assert_replays(Account, store, before=Same, sample=0)
    wrong = tmp_path / "wrong.json"
    for content in ("", "{}", "[]", '{"format": "x", "aggregate_type": "KitReplayAccount"}\n3'):
        wrong.write_text(content)
        with pytest.raises(ValueError, match="was not written by record_states"):
            assert_replays(Account, store, before=wrong)
    wrong.write_text('{"format": "eventuali states 1", "aggregate_type": "X"}')
    with pytest.raises(ValueError, match="has states of 'X'"):
        assert_replays(Account, store, before=wrong)
