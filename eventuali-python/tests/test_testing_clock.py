"""A clock to set: the store, its readers and new events go by it, on every backend."""

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from time import time

import pytest
from stores import BACKENDS, each_api, each_backend, each_store, gathered, opened, run, url_of

import eventuali
from eventuali import Aggregate, Event, Projection, ReadModel, sync
from eventuali.testing import Clock

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Opened(Event, name="kit_clock_opened"):
    owner: str


class Deposited(Event, name="kit_clock_deposited"):
    amount: int


class Account(Aggregate, name="KitClockAccount"):
    owner: str = ""
    balance: int = 0

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount


class Balance(ReadModel, name="kit_clock_balance"):
    amount: int = 0


class Balances(Projection[Balance], name="kit_clock_balances"):
    def on_deposited(self, event: Deposited, doc: Balance | None) -> Balance:
        return Balance(amount=event.amount)


def clocked(api, kind, folder, test, clock):
    async def main():
        async with opened(api, url_of(kind, folder), clock=clock) as store:
            await test(store)

    asyncio.run(main())


@each_store
def test_a_store_goes_by_its_clock(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        account = Account(id="a")
        for number in range(4):
            account.apply(Opened(owner="Ada") if not number else Deposited(amount=1))
            committed = await store.save(account)
            assert account.version == number + 1
            assert committed.versions == (number + 1,)
            clock.advance(DAY)
        events = await gathered(store.read())
        assert [e.recorded_at for e in events] == [START + n * DAY for n in range(4)]
        assert (await store.load(Account, "a", at_time=START + 2 * DAY)).version == 3
        just_before = START + 2 * DAY - timedelta(microseconds=1)
        assert (await store.load(Account, "a", at_time=just_before)).version == 2
        assert (await store.load(Account, "a", at_time=START - DAY)).version == 0
        found = await gathered(store.read(since=START + DAY, until=START + 3 * DAY))
        assert [e.meta.aggregate_version for e in found] == [2, 3]
        # In one go, and of no stream.
        await store.append([Deposited(amount=n) for n in range(3)])
        assert {e.recorded_at for e in (await gathered(store.read()))[4:]} == {START + 4 * DAY}

    clocked(api, kind, tmp_path, test, clock)


@each_store
def test_recorded_at_never_falls(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        for to in (START, START - DAY, START + DAY, START):
            clock.set(to)
            await store.append([Deposited(amount=1)])
        times = [e.recorded_at for e in await gathered(store.read())]
        assert times == [START, START, START + DAY, START + DAY]

    clocked(api, kind, tmp_path, test, clock)


@each_store
def test_tenants_and_conditions_go_by_it_too(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        other = store.for_tenant("acme")
        assert store.stats().clock == other.stats().clock == START
        await store.append([Deposited(amount=1)])
        clock.advance(DAY)
        await other.append([Deposited(amount=1)])
        committed = await store.decide(
            eventuali.Query(event_types=[Deposited]), lambda events: Deposited(amount=len(events))
        )
        assert committed.positions
        times = [e.recorded_at for e in await gathered(store.read())]
        assert times == [START, START + DAY]
        assert (await gathered(other.read()))[0].recorded_at == START + DAY

    clocked(api, kind, tmp_path, test, clock)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_store_that_is_opened_again_without_one_has_the_real_time(kind, tmp_path):
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place, clock=Clock(START)) as store:
        store.append([Deposited(amount=1)])
        with sync.EventStore.create(place) as beside:
            before = datetime.now(UTC)
            beside.append([Deposited(amount=2)])
            assert beside.stats().clock is None
        # It can't go back behind what is stored.
        store.append([Deposited(amount=3)])
        times = [e.recorded_at for e in store.read()]
    assert times[0] == START
    assert before - DAY < times[1] == times[2]
    with sync.EventStore.create(place, clock=Clock(START + 20_000 * DAY)) as store:
        store.append([Deposited(amount=4)])
        assert list(store.read())[-1].recorded_at == START + 20_000 * DAY


@each_backend
def test_many_threads_and_groups_of_commits_go_by_it(kind, tmp_path):
    clock = Clock(START)
    with sync.EventStore.create(url_of(kind, tmp_path), clock=clock) as store:

        def write():
            for _ in range(20):
                store.append([Deposited(amount=1)])
                clock.advance(timedelta(seconds=1))

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times = [e.recorded_at for e in store.read()]
    assert len(times) == 160
    assert all(one <= other for one, other in pairwise(times))
    assert times[0] >= START
    assert times[-1] <= START + timedelta(seconds=160)


def test_two_stores_have_two_clocks(tmp_path):
    one, other = Clock(START), Clock(START + DAY)
    with (
        sync.EventStore.create("memory://", clock=one) as first,
        sync.EventStore.create("memory://", clock=other) as second,
        sync.EventStore.create("memory://") as real,
    ):
        for store in (first, second, real):
            store.append([Deposited(amount=1)])
        times = [next(iter(store.read())).recorded_at for store in (first, second, real)]
    assert times[:2] == [START, START + DAY]
    assert abs(times[2].timestamp() - time()) < 3600


@pytest.mark.parametrize("kind", BACKENDS)
def test_the_lag_of_a_projection_is_told_by_it(kind, tmp_path):
    clock = Clock(START)

    class Slow(Projection[Balance], name="kit_clock_slow"):
        def on_deposited(self, event: Deposited, doc: Balance | None) -> Balance:
            raise ValueError("it stops here")

    with sync.EventStore.create(url_of(kind, tmp_path), clock=clock) as store:
        account = Account(id="a")
        account.apply(Deposited(amount=1))
        store.save(account)
        clock.advance(DAY)
        with store.run(Slow()) as running:
            with pytest.raises(eventuali.errors.ProjectionError):
                running.wait_for(store.stats().last_position)
            (status,) = running.status()
    assert status.lag_time == DAY


@pytest.mark.parametrize("kind", BACKENDS)
def test_inline_documents_are_stored_by_it(kind, tmp_path):
    class InlineBalances(Projection[Balance], name="kit_clock_inline", inline=True):
        def on_deposited(self, event: Deposited, doc: Balance | None) -> Balance:
            return Balance(amount=event.amount)

    clock = Clock(START)
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place, clock=clock, inline=[InlineBalances()]) as store:
        with store.run(InlineBalances()) as running:
            running.wait_for(0)
        for amount in (1, 2):
            account = store.load(Account, "a") or Account(id="a")
            account.apply(Deposited(amount=amount))
            store.save(account)
            assert store.get(Balance, "a") == Balance(amount=amount)
            clock.advance(DAY)
        assert [e.recorded_at for e in store.read()] == [START, START + DAY]


# --- new events -----------------------------------------------------------------------------------


def test_events_that_are_made_within_it_have_its_time():
    real = Deposited(amount=1)
    with Clock(START) as clock:
        event = Deposited(amount=1)
        given = Deposited(amount=1, correlation_id="x")
        clock.advance(timedelta(microseconds=7))
        later = event.model_copy()
        built = Deposited.model_construct(amount=1)
        own = Deposited(amount=1, timestamp=START - DAY)
        assert (event.timestamp, given.timestamp) == (START, START)
        assert later.timestamp == START + timedelta(microseconds=7)
        assert built.timestamp == later.timestamp
        assert own.timestamp == START - DAY
        assert event.event_id.int >> 80 == int(START.timestamp() * 1000)
    assert abs(real.timestamp.timestamp() - time()) < 3600
    assert abs(Deposited(amount=1).timestamp.timestamp() - time()) < 3600


def test_all_threads_have_its_time():
    found = []
    with Clock(START):
        thread = threading.Thread(target=lambda: found.append(Deposited(amount=1).timestamp))
        thread.start()
        thread.join()
    assert found == [START]


def test_the_inner_of_two_counts():
    one, other = Clock(START), Clock(START + DAY)
    with one:
        with other:
            assert Deposited(amount=1).timestamp == START + DAY
            with pytest.raises(RuntimeError, match="reverse order"):
                one.__exit__(None, None, None)
        assert Deposited(amount=1).timestamp == START
    with pytest.raises(RuntimeError, match="reverse order"):
        one.__exit__(None, None, None)
    assert abs(Deposited(amount=1).timestamp.timestamp() - time()) < 3600


def test_a_clock_of_a_store_alone_leaves_events_as_they_are():
    with sync.EventStore.create("memory://", clock=Clock(START)) as store:
        store.append([Deposited(amount=1)])
        (event,) = store.read()
    assert event.recorded_at == START
    assert abs(event.timestamp.timestamp() - time()) < 3600


# --- the clock itself -----------------------------------------------------------------------------


def test_a_clock_is_set_and_advanced():
    clock = Clock()
    assert clock.now == START
    clock.advance(timedelta(hours=1))
    clock.advance(timedelta())
    assert clock.now == START + timedelta(hours=1)
    clock.set(datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now == datetime(2024, 1, 1, tzinfo=UTC)
    assert repr(clock) == "<Clock 2024-01-01 00:00:00+00:00>"
    clock.set(datetime.max.replace(tzinfo=UTC))
    assert clock.now == datetime.max.replace(tzinfo=UTC)


def test_a_time_that_no_store_can_record_is_refused():
    clock = Clock()
    for wrong, error, text in (
        (datetime(2025, 1, 1), ValueError, "has no time zone"),
        (datetime(1970, 1, 1, tzinfo=UTC), ValueError, "not after 1970"),
        (datetime(1950, 1, 1, tzinfo=UTC), ValueError, "not after 1970"),
        ("2025-01-01", TypeError, "a datetime"),
    ):
        with pytest.raises(error, match=text):
            clock.set(wrong)
        with pytest.raises(error, match=text):
            Clock(wrong)
    with pytest.raises(ValueError, match="use set to go back"):
        clock.advance(timedelta(-1))
    with pytest.raises(OverflowError):
        clock.advance(timedelta(days=365 * 9000))
    assert clock.now == START


@each_store
def test_a_store_shows_that_its_clock_is_set(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        shown = repr(store.store if api == "sync" else store)
        assert shown.endswith(", clock set to 2025-01-01 00:00:00+00:00>")
        assert store.stats().clock == START

    clocked(api, kind, tmp_path, test, clock)

    async def without(store):
        assert "clock" not in repr(store.store if api == "sync" else store)
        assert store.stats().clock is None

    run(api, kind, tmp_path, without)


@each_api
@pytest.mark.parametrize("clock", ["2025-01-01", START, 5, object()])
def test_nothing_but_a_clock_of_the_kit_is_taken(api, clock, tmp_path):
    async def test(store):
        raise AssertionError("it is opened")

    with pytest.raises(TypeError, match=r"a Clock of eventuali\.testing"):
        clocked(api, "memory", tmp_path, test, clock)


def test_a_program_without_the_kit_never_brings_it():
    script = """
import sys, eventuali
from eventuali import sync
with sync.EventStore.create("memory://") as store:
    store.append([])
assert not [name for name in sys.modules if name.startswith("eventuali.testing")]
assert "pytest" not in sys.modules and "hypothesis" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
