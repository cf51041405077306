"""Projections at work: states, waiting, faults, retries, several runners, dying processes."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest
from pots import (
    SAFETY,
    Gate,
    Owner,
    Pot,
    PotFilled,
    PotMade,
    Pots,
    PotSeen,
    Poured,
    Total,
    Writer,
    caught_up,
    check_pots,
    check_sums,
    end_of,
    everything,
    filled,
    free,
    make,
    pots_of,
    pour,
    put,
    running,
    sums,
    until,
    until_status,
)
from stores import each_api, each_backend, each_shared, each_store, gathered, opened, url_of
from stores import run as run_on
from support import script

from eventuali import Event, Projection, ReadModel, Retry, sync
from eventuali.errors import ProjectionError, StoreClosedError

HANGS = 10
"""After so many seconds it is said that something hangs."""


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(4 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


class Fragile(Pots, name="Pots"):
    """Fails at the amounts that it is told, after it has spoilt the document."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.calls: list[int] = []

    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        self.calls.append(event.amount)
        if event.amount in self.bad:
            doc.content = -1_000_000
            doc.owner = "spoilt"
            raise ZeroDivisionError(event.amount)
        return super().on_filled(event, doc)


class Sight(ReadModel):
    position: int


class Seen(Projection):
    """Takes what no other takes."""

    def on_seen(self, event: PotSeen, docs: Any) -> None:
        docs.put(str(event.meta.position), Sight(position=event.meta.position))


# --- states ---------------------------------------------------------------------------------------


@each_store
def test_each_state_says_what_is(api, kind, tmp_path):
    gates = [Gate(), Gate()]

    async def handler(event, docs):
        if event.amount in (0, 1500):
            await gates[event.amount // 1500].passed()
        docs.put(str(event.amount), Total(events=1))

    async def test(store):
        first = (await pour(store, *range(1000))).positions
        second = (await pour(store, *range(1000, 2000))).positions
        await put(store, None, PotSeen())
        async with running(store, free(store, handler), Seen()) as found:
            await gates[0].reached()
            seen = await until_status(found, "live", 1)
            assert (seen.name, seen.handled, seen.lag) == ("Seen", 1, 0)
            (status, _) = found.status()
            assert (status.name, status.version, status.state) == ("Free", 1, "catching up")
            assert (status.position, status.handled, status.lag) == (0, 0, await end_of(store))
            assert (status.error, status.failed_at, status.rebuilding) == (None, None, False)
            assert status.lag_time >= timedelta(0)
            gates[0].open()
            await gates[1].reached()
            await until(lambda: found.status()[0].handled == 1000)
            (status, _) = found.status()
            assert status.state == "catching up"
            assert first[-1] <= status.position < second[0]
            assert status.lag == await end_of(store) - status.position
            assert status.rate > 0
            assert len(await everything(store, Total)) == 1000, "the first page is there"
            gates[1].open()
            status = await until_status(found, "live")
            assert (status.handled, status.lag, status.lag_time) == (2000, 0, None)
            assert status.position >= second[-1]

    run(api, kind, tmp_path, test)


@each_store
def test_caught_up_is_all_that_is_stored_by_then(api, kind, tmp_path):
    """An empty log, one without a match, one that grows meanwhile, and one with a poison event."""

    async def test(store):
        async with running(store, Pots()) as found:
            await found.caught_up(timeout=HANGS)
            assert found.status()[0].state == "live"
            await put(store, None, PotSeen())
            await found.caught_up(Pots, timeout=HANGS)
            for number in range(5):
                await make(store, f"p{number}", "Ada", 1)
                await found.caught_up(timeout=HANGS)
                assert len(await everything(store, Pot)) == number + 1
        await pour(store, 1)

        async def fails(event, docs):
            raise ValueError("poison")

        async with running(store, free(store, fails), Pots()) as found:
            with pytest.raises(ProjectionError, match="Free is faulted"):
                await found.caught_up(timeout=HANGS)
            await found.caught_up(Pots, timeout=HANGS)
            with pytest.raises(ValueError, match="does not run here"):
                await found.caught_up(Seen, timeout=HANGS)

    run(api, kind, tmp_path, test)


@each_store
def test_caught_up_waits_no_longer_than_it_may(api, kind, tmp_path):
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()

    async def test(store):
        await pour(store, 1)
        async with running(store, free(store, handler)) as found:
            await gate.reached()
            with pytest.raises(TimeoutError, match="Free is at position 0"):
                await found.caught_up(timeout=0.01)
            gate.open()
            await found.caught_up(timeout=HANGS)

    run(api, kind, tmp_path, test)


@each_store
def test_what_was_left_is_stopped(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots()) as found:
            await until_status(found, "live")
        assert found.status()[0].state == "stopped"

    run(api, kind, tmp_path, test)


@each_store
def test_who_waits_for_what_was_left_is_told(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots()) as found:
            await until_status(found, "live")
        with pytest.raises(ProjectionError, match="stopped"):
            await found.wait_for(await make(store, "a", "Ada"), timeout=HANGS)

    run(api, kind, tmp_path, test)


@each_store
def test_the_lag_is_the_age_of_the_oldest_that_is_not_handled(api, kind, tmp_path):
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()

    async def test(store):
        await pour(store, 1)
        first, last = (await gathered(store.read()))[0], None
        while last is None or last.meta.recorded_at - first.meta.recorded_at < timedelta(seconds=1):
            await pour(store, 2)
            (last,) = await gathered(store.read(backwards=True, limit=1))
        try:
            async with running(store, free(store, handler)) as found:
                await gate.reached()
                before = datetime.now(UTC)
                lag = found.status()[0].lag_time
                gate.open()
        finally:
            gate.open()
        assert lag >= before - first.meta.recorded_at

    run(api, kind, tmp_path, test)


@each_store
def test_what_comes_while_it_is_live_is_behind_until_it_is_handled(api, kind, tmp_path):
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()
        docs.put("n", Total())

    async def test(store):
        async with running(store, free(store, handler)) as found:
            await until_status(found, "live")
            committed = await pour(store, 1, 2)
            await gate.reached()
            (status,) = found.status()
            assert (status.position, status.handled) == (0, 0)
            assert status.lag == committed.position
            gate.open()
            await found.wait_for(committed, timeout=SAFETY)
            (status,) = found.status()
            assert (status.position, status.handled) == (committed.position, 2)
            assert status.lag_time is None

    run(api, kind, tmp_path, test)


@each_store
def test_leaving_in_the_middle_of_it_and_going_on(api, kind, tmp_path):
    """The page in hand is finished, and nothing after it is begun."""
    handled: list[int] = []

    async def handler(event, docs):
        handled.append(event.amount)
        if event.amount in gates:
            await gates[event.amount].passed()
        total = await docs.get(Total, "n") or Total()
        total.events += event.amount
        docs.put("n", total)

    async def test(store):
        await pour(store, *range(5000))
        for gate in gates.values():
            async with running(store, free(store, handler), waits=False) as found:
                await gate.reached()
                asyncio.get_running_loop().call_later(0.01, gate.open)
            (status,) = found.status()
            assert status.error is None
            assert status.position > 0
        await caught_up(store, free(store, handler))
        assert (await store.get(Total, "n")).events == sum(range(5000))
        assert handled == list(range(5000)), "no page was begun and left"

    gates = {100: Gate(), 3200: Gate()}
    run(api, kind, tmp_path, test)


@each_backend
def test_leaving_at_once_does_not_hang(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            await make(store, "a", "Ada", 1)
            for _ in range(20):
                async with asyncio.timeout(HANGS), store.run(Pots()):
                    await asyncio.sleep(0)
            await caught_up(store, Pots())
            await check_pots(store)

    asyncio.run(main())


@each_store
def test_leaving_by_an_error_raises_it(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)

        async def fails():
            async with running(store, Pots(), waits=False) as found:
                await found.wait_for(await end_of(store), timeout=SAFETY)
                await until_status(found, "live")
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await fails()
        await check_pots(store)

    run(api, kind, tmp_path, test)


# --- waiting --------------------------------------------------------------------------------------


@each_store
def test_who_waits_reads_what_was_written(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots(), sums(store)) as found:
            for number in range(30):
                committed = await make(store, f"p{number % 7}", "Ada", number)
                await found.wait_for(committed, timeout=SAFETY)
                assert (await store.get(Pot, f"p{number % 7}")).content == number
                assert (await store.get(Owner, f"p{number % 7}")).content == number
                assert (await store.get(Total, "all")).events == 2 * number + 2

    run(api, kind, tmp_path, test)


@each_store
def test_a_commit_that_concerns_nobody_and_an_empty_one(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        projection = Fragile(7)
        async with running(store, projection) as found:
            await found.wait_for(await put(store, "a", PotSeen()), timeout=SAFETY)
            await found.wait_for(await store.save(), timeout=SAFETY)
            await found.wait_for(await store.append([]), timeout=SAFETY)
            await found.wait_for(0, timeout=SAFETY)
            # Of one that is faulted, too: it shows all that it has to.
            before = await end_of(store)
            await put(store, "a", filled(7))
            await until_status(found, "faulted")
            await found.wait_for(before, timeout=SAFETY)
            await found.wait_for(await store.save(), timeout=SAFETY)

    run(api, kind, tmp_path, test)


@each_store
def test_a_faulted_projection_answers_at_once(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        async with running(store, Fragile(7), sums(store)) as found:
            committed = await put(store, "a", filled(7), filled(8))
            with pytest.raises(ProjectionError, match="Pots") as told:
                await found.wait_for(committed, timeout=10**6)
            assert isinstance(told.value.__cause__, ZeroDivisionError)
            later = await put(store, "a", filled(9))
            with pytest.raises(ProjectionError):
                await found.wait_for(later, timeout=10**6)
            # The other goes on.
            await found.wait_for(later, type(sums(store)), timeout=SAFETY)
            await check_sums(store)

    run(api, kind, tmp_path, test)


@each_store
def test_who_waits_while_it_becomes_faulted_is_told(api, kind, tmp_path):
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()
        raise ZeroDivisionError

    async def test(store):
        async with running(store, free(store, handler)) as found:
            waiting = asyncio.create_task(found.wait_for(await pour(store, 1), timeout=10**6))
            await gate.reached()
            assert not waiting.done()
            gate.open()
            with pytest.raises(ProjectionError) as told:
                await waiting
            assert isinstance(told.value.__cause__, ZeroDivisionError)

    run(api, kind, tmp_path, test)


@each_store
def test_a_wait_ends_with_its_time_or_with_the_block(api, kind, tmp_path):
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()

    async def test(store):
        async with running(store, free(store, handler)) as found:
            committed = await pour(store, 1)
            for timeout in (0, 0.01):
                with pytest.raises(TimeoutError):
                    await found.wait_for(committed, timeout=timeout)
            with pytest.raises(TimeoutError):
                await found.wait_for(committed.position + 100, timeout=0.01)
            for timeout in (-1, float("nan")):
                with pytest.raises(ValueError, match="timeout"):
                    await found.wait_for(committed, timeout=timeout)
            for wrong in ("1", 1.0, True, committed.positions):
                with pytest.raises(TypeError):
                    await found.wait_for(wrong)
            gate.open()
            await found.wait_for(committed, timeout=SAFETY)
            await found.wait_for(committed, timeout=0)

    run(api, kind, tmp_path, test)


@each_store
def test_to_wait_for_a_projection_that_does_not_run_here_is_refused(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots()) as found:
            committed = await make(store, "a", "Ada")
            with pytest.raises((ValueError, TypeError, ProjectionError)):
                await found.wait_for(committed, Seen, timeout=SAFETY)

    run(api, kind, tmp_path, test)


# --- faults ---------------------------------------------------------------------------------------


@each_store
@pytest.mark.parametrize("seed", range(2))
def test_a_poison_stops_one_projection_there_and_nothing_is_lost(api, kind, seed, tmp_path):
    """The page before it and the part of the page that precedes it are in the documents, once."""

    async def test(store):
        writer = Writer((kind, api, seed), streams=8)
        await writer.write(store, writer.chance.randrange(100, 2500))
        await make(store, "poisoned", "Ada", 1)
        poison = await put(store, "poisoned", filled(12345))
        await writer.write(store, 50)
        log = await gathered(store.read())
        async with running(store, Fragile(12345), sums(store), Seen()) as found:
            await found.wait_for(await end_of(store), type(sums(store)), Seen, timeout=SAFETY)
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ZeroDivisionError)
        assert status.failed_at == poison.position
        assert status.position < poison.position
        before = [event for event in log if event.meta.position < poison.position]
        assert all(event.meta.position <= status.position for event in before if known(event))
        assert await everything(store, Pot) == pots_of(before)
        await check_sums(store)
        (status,) = await caught_up(store, Fragile())
        await check_pots(store)
        assert status.handled == sum(known(event) for event in log[len(before) :])

    run(api, kind, tmp_path, test)


def known(event: Event) -> bool:
    return not isinstance(event, PotSeen)


@each_store
def test_after_the_fix_it_goes_on_however_often_it_failed(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 7, 8)
        for _ in range(8):
            async with running(store, Fragile(7)) as found:
                status = await until_status(found, "faulted")
                assert isinstance(status.error, ZeroDivisionError), status.error
        await caught_up(store, Fragile())
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_store
def test_of_a_failing_handler_of_the_free_form_nothing_remains(api, kind, tmp_path):
    async def handler(event, docs):
        total = await docs.get(Total, "n") or Total()
        total.events += event.amount
        docs.put("n", total)
        docs.put(f"only {event.amount}", Owner())
        docs.delete(Total, "first")
        if event.amount == 1:
            docs.put("first", Total(events=99))
        if event.amount == bad:
            raise ZeroDivisionError

    async def test(store):
        nonlocal bad
        poison = (await pour(store, 1, 2, 4, 8, 16)).positions[2]
        async with running(store, free(store, handler)) as found:
            status = await until_status(found, "faulted")
        assert (status.failed_at, status.handled) == (poison, 2)
        assert await everything(store, Total) == {"n": {"events": 3}}
        assert list(await everything(store, Owner)) == ["only 1", "only 2"]
        bad = None
        await caught_up(store, free(store, handler))
        assert await everything(store, Total) == {"n": {"events": 31}}

    bad: int | None = 4
    run(api, kind, tmp_path, test)


@each_store
def test_a_key_that_fails_is_a_fault_there(api, kind, tmp_path):
    class Keyless(Projection[Total]):
        def key(self, event):
            return {1: "one", 2: "two"}[event.amount]

        def on_poured(self, event: Poured, doc: Total | None) -> Total:
            return Total(events=event.amount)

    async def test(store):
        committed = await pour(store, 1, 2, 3, 1)
        async with running(store, Keyless()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, KeyError)
        assert status.failed_at == committed.positions[2]
        assert await everything(store, Total) == {"one": {"events": 1}, "two": {"events": 2}}

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_an_event_that_does_not_fit_its_class_is_a_fault_there(kind, api, tmp_path):
    async def handler(event, docs):
        docs.put(str(event.amount), Total())

    async def test(store):
        await pour(store, 1)
        old = type(
            "Old",
            (Event,),
            {"__annotations__": {"amount": str}, "__module__": __name__},
            name="Poured",
        )
        async with opened(api, url_of(kind, tmp_path)) as earlier:
            earlier.register_event_class("Poured", old)  # as another process has it
            poison = await put(earlier, None, old(amount="many"))
        async with running(store, free(store, handler)) as found:
            status = await until_status(found, "faulted")
        assert status.failed_at == poison.position
        assert list(await everything(store, Total)) == ["1"]

    run(api, kind, tmp_path, test)


# --- retries --------------------------------------------------------------------------------------


@each_store
@pytest.mark.parametrize("times", [0, 1, 3])
def test_an_event_is_tried_again_so_often(api, kind, times, tmp_path):
    calls: list[int] = []

    async def handler(event, docs):
        total = await docs.get(Total, "n") or Total()
        total.events += event.amount
        docs.put("n", total)
        if event.amount == 4:
            calls.append(total.events)
            if len(calls) <= fails:
                raise ZeroDivisionError(len(calls))

    async def test(store):
        nonlocal fails
        committed = await pour(store, 1, 2, 4, 8)
        policy = Retry(times, backoff=0.001)
        async with running(store, free(store, handler), on_error=policy) as found:
            status = await until_status(found, "faulted")
        assert status.failed_at == committed.positions[2]
        assert calls == [7] * (times + 1)
        assert str(status.error) == str(times + 1), "the last one"
        calls.clear()
        fails = times
        (status,) = await caught_up(store, free(store, handler), on_error=policy.then("stop"))
        assert calls == [7] * (times + 1)
        assert (status.state, status.error, status.failed_at) == ("live", None, None)
        assert await everything(store, Total) == {"n": {"events": 15}}

    fails = 10**9
    run(api, kind, tmp_path, test)


@each_store
def test_while_it_is_tried_again_its_error_is_shown(api, kind, tmp_path):
    second = Gate()
    calls: list[int] = []

    async def handler(event, docs):
        calls.append(event.amount)
        if len(calls) > 1:
            await second.passed()
        else:
            raise ZeroDivisionError

    async def test(store):
        committed = await pour(store, 1)
        policy = Retry(1, backoff=0)
        async with running(store, free(store, handler), on_error=policy) as found:
            await second.reached()
            (status,) = found.status()
            assert isinstance(status.error, ZeroDivisionError)
            assert (status.state, status.failed_at) == ("catching up", None)
            second.open()
            await found.wait_for(committed, timeout=SAFETY)
            await until_status(found, "live")
            assert found.status()[0].error is None

    run(api, kind, tmp_path, test)


@each_backend
def test_leaving_does_not_wait_for_the_next_attempt(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store, asyncio.timeout(HANGS):
            await make(store, "a", "Ada", 7)
            async with store.run(Fragile(7), on_error=Retry(1, backoff=3600)) as found:
                await until(lambda: found.status()[0].error is not None)

    asyncio.run(main())


@each_shared
def test_leaving_does_not_wait_for_the_next_attempt_in_threads(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([PotMade(owner="Ada"), filled(7)], stream=("Pot", "a"))
        with store.run(Fragile(7), on_error=Retry(1, backoff=3600)) as found:
            while found.status()[0].error is None:
                threading.Event().wait(0.002)
        assert found.status()[0].state == "stopped"


# --- several at once ------------------------------------------------------------------------------


@each_store
def test_two_of_one_name_are_refused(api, kind, tmp_path):
    class Other(Pots, name="Pots"):
        pass

    async def test(store):
        for given in ((Pots(), Pots()), (Pots(), Other())):
            with pytest.raises(ValueError, match="'Pots'"):
                async with running(store, *given):
                    raise AssertionError

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("form", ["pure", "free"])
def test_a_model_of_another_projection_is_refused(api, kind, form, tmp_path):
    class Others(Pots):
        pass

    async def handler(event, docs):
        docs.put("mine", Pot(owner="mine"))

    async def test(store):
        await make(store, "a", "Ada", 1)
        committed = await pour(store, 1)
        await caught_up(store, Pots())
        projection = Others() if form == "pure" else free(store, handler)
        async with running(store, projection, waits=False) as found:
            await until(lambda: found.status()[0].error is not None)
            with pytest.raises(ProjectionError) as told:
                await found.wait_for(committed, timeout=HANGS)
            assert "Pots" in str(told.value.__cause__)
            assert found.status()[0].state == "faulted"
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_shared
@each_api
@pytest.mark.parametrize("seed", range(2))
def test_two_runners_at_once_give_the_fold(kind, api, seed, tmp_path):
    """Each with a store of its own, as two processes have, and events that come meanwhile."""

    async def main():
        place = url_of(kind, tmp_path)
        async with (
            asyncio.timeout(4 * SAFETY),
            opened(api, place) as one,
            opened(api, place) as other,
        ):
            writer = Writer((kind, api, seed), streams=10)
            await writer.write(one, 1500)
            async with (
                running(one, Pots(), sums(one)) as first,
                running(other, Pots(), sums(other)) as second,
            ):
                for _ in range(60):
                    committed = await writer.write(one, 20)
                await first.wait_for(committed, timeout=SAFETY)
                await second.wait_for(committed, timeout=SAFETY)
                for found in (first, second):
                    for number in (0, 1):
                        await until_status(found, "live", number)
            await check_pots(one)
            await check_sums(other)

    asyncio.run(main())


@each_store
def test_two_runners_with_a_slow_handler_are_no_crash(api, kind, tmp_path):
    """Nobody has crashed: each handler returns, but not before the other runner has begun."""
    entered = 0
    changed = threading.Event()

    async def handler(event, docs):
        nonlocal entered
        entered += 1
        mine = entered
        while entered == mine and mine < 12 and not changed.is_set():
            # Until the other one is here, too.
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                changed.wait(0.001)
            else:
                await asyncio.sleep(0.001)
        total = await docs.get(Total, "n") or Total()
        total.events += 1
        docs.put("n", total)

    async def test(store):
        committed = await pour(store, 1, 2, 3)
        try:
            async with (
                running(store, free(store, handler)) as one,
                running(store, free(store, handler)) as other,
            ):
                waits = [
                    asyncio.create_task(found.wait_for(committed, timeout=SAFETY))
                    for found in (one, other)
                ]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                changed.set()  # the other one is behind, and nobody comes to it any more
                with suppress(TimeoutError):
                    await asyncio.gather(*waits)
                for found in (one, other):
                    assert found.status()[0].state != "faulted", found.status()[0].error
        finally:
            changed.set()
        assert (await store.get(Total, "n")).events == 3

    run(api, kind, tmp_path, test)


# --- what ends it ---------------------------------------------------------------------------------


@each_store
def test_a_store_that_is_closed_while_it_runs(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        async with running(store, Pots(), sums(store), waits=False) as found:
            await found.wait_for(await end_of(store), timeout=SAFETY)
            for number in (0, 1):
                await until_status(found, "live", number)
            await store.close()
            with pytest.raises((ProjectionError, StoreClosedError)):
                await found.wait_for(10**6, timeout=10**6)

    run(api, kind, tmp_path, test)


@each_store
def test_of_a_store_that_is_closed_the_status_can_be_asked(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots(), waits=False) as found:
            await until_status(found, "live")
            await store.close()
            await until(lambda: found.status()[0].state in ("faulted", "stopped"))

    run(api, kind, tmp_path, test)


@each_backend
def test_a_block_whose_task_is_cancelled_leaves_a_whole_page(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            gate = Gate()

            async def handler(event, docs):
                if event.amount == 1001:
                    await gate.passed()
                total = await docs.get(Total, "n") or Total()
                total.events += event.amount
                docs.put("n", total)

            async def work():
                async with store.run(free(store, handler)):
                    await asyncio.Event().wait()

            await pour(store, *range(1500))
            task = asyncio.create_task(work())
            await gate.reached()
            task.cancel()
            await asyncio.sleep(0)
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await task
            await caught_up(store, free(store, handler))
            assert (await store.get(Total, "n")).events == sum(range(1500))

    async def limited():
        async with asyncio.timeout(2 * SAFETY):
            await main()

    asyncio.run(limited())


@each_backend
def test_a_handler_that_never_returns_ends_with_a_second_cancellation(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store, asyncio.timeout(2 * SAFETY):
            reached, stuck = asyncio.Event(), True

            async def handler(event, docs):
                if event.amount == 3 and stuck:
                    reached.set()
                    await asyncio.Event().wait()
                total = await docs.get(Total, "n") or Total()
                total.events += event.amount
                docs.put("n", total)

            async def work():
                async with store.run(free(store, handler)):
                    await asyncio.Event().wait()

            await pour(store, *range(5))
            task = asyncio.create_task(work())
            await reached.wait()
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            stuck = False
            await caught_up(store, free(store, handler))
            assert (await store.get(Total, "n")).events == 10

    asyncio.run(main())


@each_backend
def test_cancelled_starts_are_no_crashes(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store, asyncio.timeout(2 * SAFETY):
            await pour(store, 1)
            for _ in range(8):
                reached = asyncio.Event()

                async def stuck(event, docs, reached=reached):
                    reached.set()
                    await asyncio.Event().wait()

                async def work(handler=stuck):
                    async with store.run(free(store, handler)) as found:
                        await until(lambda: found.status()[0].state == "faulted")
                        return found.status()[0].error

                task = asyncio.create_task(work())
                started = asyncio.create_task(reached.wait())
                await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
                assert not task.done(), task.result()
                while not task.done():
                    task.cancel()
                    await asyncio.sleep(0)

    asyncio.run(main())


DIES = """
import os, sys
from eventuali import sync
from pots import *

class Dying(Pots, name="Pots"):
    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        if event.amount == 12345:
            os._exit(9)
        return super().on_filled(event, doc)

with sync.EventStore.create(sys.argv[1]) as store:
    last = list(store.read(backwards=True, limit=1))[0].meta.position
    with store.run(Dying()) as running:
        try:
            running.wait_for(last, timeout=60)
        except Exception:
            (status,) = running.status()
            print(status.state, status.failed_at, type(status.error).__name__, status.error)
        else:
            print("shows it")
"""


@each_shared
@pytest.mark.parametrize("before", [0, 3, 1100])
def test_a_handler_that_ends_the_process_is_counted(kind, before, tmp_path):
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place) as store:
        for number in range(0, before, 100):
            amounts = [filled(1) for _ in range(min(before - number, 100) - 1)]
            store.append([PotMade(owner="Ada"), *amounts], stream=("Pot", f"p{number}"))
        store.append([PotMade(owner="Bob")], stream=("Pot", "poisoned"))
        poison = store.append([filled(12345), filled(1)], stream=("Pot", "poisoned")).positions[0]
        ends = []
        for _ in range(12):
            done = script(DIES, place)
            ends.append(done.returncode)
            if done.returncode == 0:
                break
            assert done.returncode == 9, done.stderr
        assert ends[-1] == 0, "it crashes for ever"
        assert len(ends) > 2, "it was not tried again"
        assert done.stdout.startswith(f"faulted {poison} ProjectionError"), done.stdout
        found = {pot.key: pot.model_dump() for pot in store.find(Pot, limit=1000)}
        assert found == pots_of(event for event in store.read() if event.meta.position < poison)


@each_shared
def test_after_the_fix_of_what_ended_the_process_it_goes_on(kind, tmp_path):
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place) as store:
        store.append([PotMade(owner="Bob"), filled(12345)], stream=("Pot", "poisoned"))
        while script(DIES, place).returncode:
            pass
        with store.run(Pots()) as found:
            found.wait_for(2, timeout=SAFETY)
        assert store.get(Pot, "poisoned").content == 12345


KILLED = """
import os, random, signal, sys
from time import sleep
from eventuali import sync
from eventuali._engine.folding import ByHand
from eventuali._engine.projecting import Projecting
from pots import *

place, seed, apart = sys.argv[1:]
chance = random.Random(seed)
left = [chance.randrange(2, 4), chance.randrange(1, 1500)]  # commits, events
if seed == "to the end":
    left, by = [10**9, 10**9], 0
else:
    by = int(seed) % 2

def count(which):
    if by == which:
        left[which] -= 1
        if left[which] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

settle, write = Projecting._settle, ByHand.write

def counted(self):
    sent = self._sent is not None
    yield from settle(self)
    if sent:
        count(0)

def in_two(self, to):
    position, last, _, _ = self.cursor
    yield from write(self, (position, last, 0, 0))
    yield from self.settle()
    count(0)
    yield from write(self, to)

Projecting._settle = counted
if apart == "apart":
    ByHand.write = in_two

class Counting(SumsInThreads, name="Sums"):
    def on_filled(self, event: PotFilled, docs: Any) -> None:
        count(1)
        super().on_filled(event, docs)

with sync.EventStore.create(place) as store:
    last = list(store.read(backwards=True, limit=1))[0].meta.position
    with store.run(Counting()) as running:
        running.wait_for(last, timeout=100)
        while running.status()[0].state == "catching up":
            sleep(0.002)
"""


@each_shared
@pytest.mark.parametrize("way", ["together", "apart"])
def test_killed_at_any_moment_each_event_counts_once(kind, way, tmp_path):
    """The control writes documents and cursor one after the other, and is caught."""
    place = url_of(kind, tmp_path)
    writer = Writer((kind, way), streams=40)

    async def write():
        async with opened("async", place) as store:
            await writer.write(store, 3500)

    async def check():
        async with opened("async", place) as store:
            await check_sums(store)

    asyncio.run(write())
    kills = 0
    for turn in [*range(6), "to the end"]:
        done = script(KILLED, place, turn, way, timeout=120)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        kills += done.returncode != 0
    assert done.returncode == 0, done.stderr
    assert kills
    if way == "together":
        asyncio.run(check())
    else:
        with pytest.raises(AssertionError):
            asyncio.run(check())


@each_shared
@pytest.mark.parametrize(("pause", "count"), [(0.002, 100), (0.1, 20)], ids=["quick", "slow"])
def test_workers_that_start_one_after_the_other_are_no_crashes(kind, pause, count, tmp_path):
    """As those of a web server do: each finds a page that somebody has begun and not ended."""

    class Slow(Projection[Total]):
        def key(self, event: Poured) -> str:
            return str(event.amount)

        def on_poured(self, event: Poured, doc: Total | None) -> Total:
            sleep(pause)
            return Total(events=doc.events + 1 if doc else 1)

    place = url_of(kind, tmp_path)
    with ExitStack() as stack:
        stores = [stack.enter_context(sync.EventStore.create(place)) for _ in range(8)]
        last = stores[0].append([Poured(amount=n % 10) for n in range(count)]).position
        workers = []
        for store in stores:
            workers.append(stack.enter_context(store.run(Slow())))
            sleep(0.03)
        for worker in workers:
            worker.wait_for(last, timeout=4 * SAFETY)
        for worker in workers:
            worker.caught_up(timeout=4 * SAFETY)
            assert worker.status()[0].state == "live"
        assert {each.events for each in stores[0].find(Total)} == {count // 10}
