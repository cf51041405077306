"""Rows 29-37, 62-64: expectations, ids used twice, ranges, handlers that raise, clocks, life."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from time import time
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from bad_input_case import Case, Place, append, bad, good, plant
from ledger import Counted, Ledger, check_log, counted
from stores import SHARED, unencrypted
from support import output_of

from eventuali import (
    NO_STREAM,
    STREAM_EXISTS,
    Aggregate,
    AggregateNotFoundError,
    AppendCondition,
    Event,
    EventStore,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    Query,
    UnknownEvent,
    sync,
)
from eventuali.errors import StoreClosedError, UnknownEventTypeError

NO_NUMBER = [True, 1.0, "1", "any", b"1", (1,)]
NO_POSITION = [-1, -2, 2**63, 2**64, 10**30]


# --- expectations ---------------------------------------------------------------------------------


def expecting(expected: Any) -> Callable[[Place], object]:
    return append(Counted(number=1), stream=("Ledger", "expected"), expected=expected)


def too_far(expected: Any, actual: int | None, stored: int) -> Callable[[Place], None]:
    """A conflict that names the stream, what was expected and what was found."""

    def act(at: Place) -> None:
        stream = ("Ledger", uuid4().hex)
        if stored:
            at.store.append([Counted(number=n) for n in range(stored)], stream=stream)
        before = at.store.stats().last_position
        with pytest.raises(OptimisticConcurrencyError) as caught:
            at.store.append([Counted(number=9)], stream=stream, expected=expected)
        assert caught.value.stream == stream
        wanted = expected if isinstance(expected, int) else expected.value
        assert (caught.value.expected_version, caught.value.actual_version) == (wanted, actual)
        assert list(at.store.read(after=before)) == []
        at.store.append([Counted(number=2)], stream=stream, expected=stored)

    return act


# --- event ids ------------------------------------------------------------------------------------


def twice(at: Place) -> object:
    event_id = uuid4()
    events = [Counted(number=n, event_id=event_id) for n in (1, 2)]
    return at.store.append(events, stream=("Ledger", "twice"))


def twice_alike(at: Place) -> object:
    event_id = uuid4()
    return at.store.append([Counted(number=1, event_id=event_id) for _ in range(2)])


def twice_in_two_aggregates(at: Place) -> object:
    event_id = uuid4()
    ledgers = [Ledger(id=f"twice-{n}") for n in range(2)]
    for ledger in ledgers:
        ledger.apply(Counted(number=1, event_id=event_id))
    return at.store.save(*ledgers)


def one_event_twice(at: Place) -> object:
    event = Counted(number=1)
    return at.store.append([event, event])


def one_aggregate_twice(at: Place) -> object:
    ledger = counted("one-twice", 1)
    return at.store.save(ledger, ledger)


def two_of_one_stream(at: Place) -> object:
    return at.store.save(counted("of-one", 1), counted("of-one", 2))


def used(make: Callable[[UUID], list[Event]], **options: Any) -> Callable[[Place], None]:
    """An id that is stored in the stream `used`, sent again in another way."""

    def act(at: Place) -> None:
        event_id, when = uuid4(), datetime(2024, 1, 1, tzinfo=UTC)
        with at.fresh() as store:
            first = Counted(number=1, event_id=event_id, timestamp=when)
            store.append([first], stream=("Ledger", "used"))
            with pytest.raises(IdempotencyConflictError) as caught:
                store.append(make(event_id), **{"stream": ("Ledger", "used")} | options)
            assert caught.value.event_ids == [event_id]
            assert [event.number for event in store.read()] == [1]
            assert [stream.aggregate_id for stream in store.streams()] == ["used"]
            store.append([Counted(number=2)])

    return act


def again(event_id: UUID, number: int = 1, **more: Any) -> Counted:
    when = datetime(2024, 1, 1, tzinfo=UTC)
    return Counted(**{"number": number, "event_id": event_id, "timestamp": when} | more)


# --- reading --------------------------------------------------------------------------------------


def unknown_type(at: Place) -> None:
    with at.fresh() as store:
        plant(store, "NobodyKnowsThis", b'{"a":1}')
        with pytest.raises(UnknownEventTypeError) as caught:
            list(store.read())
        assert caught.value.event_type == "NobodyKnowsThis"
        (event,) = store.read(raw=True)
        assert isinstance(event, UnknownEvent)
        assert (event.data, event.event_type) == ({"a": 1}, "NobodyKnowsThis")
        store.append([Counted(number=1)])


def limited(limit: int) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        at.store.append([Counted(number=n) for n in range(3)])
        assert [e.number for e in at.store.read(after=at.before, limit=limit)] == [0, 1, 2]

    return act


def ranges() -> Iterator[Case]:
    def read(**options: Any) -> Callable[[Place], object]:
        return lambda at: list(at.store.read(**options))

    def from_version(one: Any) -> Callable[[Place], object]:
        return lambda at: at.store.load_events("none", "Ledger", from_version=one)

    def at_version(one: Any) -> Callable[[Place], object]:
        return lambda at: at.store.load(Ledger, "none", at_version=one)

    def condition(one: Any) -> Callable[[Place], object]:
        return append(Counted(number=1), condition=AppendCondition(Query(tags=["q"]), after=one))

    for one in (-1, -(2**63), -(10**30)):
        yield bad(36, f"limit {one}", read(limit=one), InvalidEventError)
    for one in (10**9, 2**62, 2**63, 2**64, 10**30):
        yield good(36, f"limit {one}", limited(one))
    calls: dict[str, Callable[[Any], Callable[[Place], object]]] = {
        "limit": lambda one: read(limit=one),
        "after": lambda one: read(after=one),
        "before": lambda one: read(before=one),
        "from_version": from_version,
        "at_version": at_version,
        "a condition's after": condition,
    }
    for name, call in calls.items():
        for one in NO_NUMBER:
            yield bad(36, f"{name} {one!r}", call(one), TypeError)
        if name != "limit":
            for one in NO_POSITION:
                yield bad(36, f"{name} {one}", call(one), InvalidEventError)
            if "condition" not in name:
                yield good(36, f"{name} {2**63 - 1}", call(2**63 - 1))
    for when in ("2024-01-01", 5, b"x"):
        load = lambda at, when=when: at.store.load(Ledger, "none", at_time=when)  # noqa: E731
        yield bad(36, f"at_time {when!r}", load, TypeError)
    yield bad(36, "a naive at_time",
              lambda at: at.store.load(Ledger, "none", at_time=datetime(2024, 1, 1)),
              InvalidEventError)  # fmt: skip
    for year in (1, 1969, 2262, 9999):
        moment = datetime(year, 12, 31, tzinfo=UTC)
        yield good(36, f"at_time of {year}",
                   lambda at, moment=moment: at.store.load(Ledger, "none", at_time=moment)
                   )  # fmt: skip


def missing(at: Place) -> None:
    store = at.store
    assert store.load(Ledger, "missing") is None
    assert store.load(Ledger, "missing", at_version=3) is None
    assert store.load_events("missing") == store.load_events("missing", "Ledger", 5) == []
    assert store.get_aggregate_version("missing") is None
    assert list(store.read(Query(aggregate_id="missing"))) == []
    assert list(store.read(after=2**62)) == []
    assert list(store.streams("Missing")) == store.load_events_by_type("Missing") == []


# --- handlers -------------------------------------------------------------------------------------


class Fragile(Aggregate):
    """Its handler raises what `raising` holds."""

    total: int = 0
    seen: list[int] = []  # noqa: RUF012

    def apply_counted(self, event: Counted) -> None:
        self.seen.append(event.number)
        self.total += event.number
        if event.number == 13 and raising:
            raise raising[0]


raising: list[BaseException] = []
RAISED = [
    BaseException, SystemExit, KeyboardInterrupt, StopIteration, StopAsyncIteration, GeneratorExit,
    asyncio.CancelledError, RecursionError, ValueError,
]  # fmt: skip


def in_apply(kind: type[BaseException]) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        fragile = Fragile(id="fragile")
        fragile.apply(Counted(number=1))
        mine = kind("mine")
        raising[:] = [mine]
        with pytest.raises(kind) as caught:
            fragile.apply(Counted(number=13))
        raising.clear()
        assert caught.value is mine
        assert (fragile.version, fragile.total, fragile.seen) == (1, 1, [1])
        assert at.new() == []
        with at.fresh() as store:
            store.save(fragile)
            assert [event.number for event in store.read()] == [1]

    return act


def in_replay(kind: type[BaseException], blocking: bool) -> Callable[[Place], None]:
    """The exception comes through; a `StopIteration` as the cause of Python's `RuntimeError`."""
    wanted = (kind, RuntimeError) if kind is StopIteration else (kind,)

    def act(at: Place) -> None:
        mine = kind("mine")

        async def load(url: str) -> None:
            async with EventStore.create(url) as store:
                fragile = Fragile(id="fragile")
                fragile.apply(Counted(number=1))
                fragile.apply(Counted(number=13))
                await store.save(fragile)
                raising[:] = [mine]
                try:
                    await store.load(Fragile, "fragile")
                except wanted as error:
                    met.append(error if type(error) is kind else error.__cause__)
                finally:
                    raising.clear()
                assert (await store.load_one(Fragile, "fragile")).total == 14

        met: list[BaseException] = []
        if blocking:
            with at.fresh() as store:
                fragile = Fragile(id="fragile")
                fragile.apply(Counted(number=1))
                fragile.apply(Counted(number=13))
                store.save(fragile)
                raising[:] = [mine]
                try:
                    store.load(Fragile, "fragile")
                except wanted as error:
                    met.append(error if type(error) is kind else error.__cause__)
                finally:
                    raising.clear()
                assert store.load_one(Fragile, "fragile").total == 14
        else:
            asyncio.run(load(at.url()))
        assert met == [mine]

    return act


# --- clocks ---------------------------------------------------------------------------------------

YEARS = [1, 1582, 1969, 1970, 2038, 2262, 2263, 9999]


def happened_in(year: int) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        moment = datetime(year, 6, 1, 12, 30, 15, 123457, tzinfo=UTC)
        at.store.append([Counted(number=1, timestamp=moment), Counted(number=2)])
        first, second = at.new()
        assert (first.timestamp, first.number, second.number) == (moment, 1, 2)
        assert second.recorded_at >= first.recorded_at > datetime(2024, 1, 1, tzinfo=UTC)

    return act


def clock_at(ns: int) -> Callable[[Place], None]:
    """This process's clock shows another time: the order of what is stored does not change."""

    def act(at: Place) -> None:
        with ExitStack() as stack:
            modules = ("event", "event._envelope", "event._slot")
            for module in modules:
                stack.enter_context(mock.patch(f"eventuali.{module}.time_ns", return_value=ns))
            at.store.append([Counted(number=1)])
            ledger = counted(uuid4().hex, 2)
            at.store.save(ledger)
        at.store.append([Counted(number=3)])
        events = at.new()
        assert [event.number for event in events] == [1, 2, 3]
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        for event in events[:2]:
            assert abs((event.timestamp - epoch).total_seconds() - ns / 10**9) < 0.001
        ids = {event.event_id for event in events}
        assert len(ids) == 3
        recorded = [event.recorded_at for event in events]
        assert recorded == sorted(recorded)

    return act


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    long step = 0;
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_STEP"), "r") : NULL;
    if (file) { if (fscanf(file, "%ld", &step) == 1) now->tv_sec += step; fclose(file); }
    return failed;
}
"""
STEPPED = """
import os, sys
from eventuali import sync
from ledger import Counted

def step(seconds):
    with open(os.environ["CLOCK_STEP"], "w") as file:
        file.write(str(seconds))

with sync.EventStore.create(sys.argv[1]) as store:
    for number, seconds in enumerate([0, int(sys.argv[2]), 0]):
        step(seconds)
        store.append([Counted(number=number)])
    events = list(store.read())
    assert [event.number for event in events] == [0, 1, 2]
    assert events[1].timestamp < events[0].timestamp
    recorded = [event.recorded_at for event in events]
    assert recorded == sorted(recorded), recorded
"""


def stepped_back(seconds: int) -> Callable[[Place], None]:
    """The clock of the system, that of the core too, goes back; the order stays."""

    def act(at: Place) -> None:
        library, source = at.folder / "clock.so", at.folder / "clock.c"
        if not library.exists():
            source.write_text(SHIM)
            build = [COMPILER, "-shared", "-fPIC", "-o", library, source, "-ldl"]
            subprocess.run(build, check=True)
        options = {"CLOCK_STEP": str(at.folder / "clock"), "LD_PRELOAD": str(library)}
        with mock.patch.dict(os.environ, options):
            # TLS looks at the clock: to its library, one before 1970 is a reason to panic.
            assert output_of(STEPPED, unencrypted(at.url()), -seconds) == ""

    return act


COMPILER = shutil.which("cc") if sys.platform == "linux" else None
DAY = 86_400

# --- a store's life -------------------------------------------------------------------------------

VERBS: dict[str, Callable[[sync.EventStore], object]] = {
    "save": lambda store: store.save(counted("b", 2)),
    "save nothing": lambda store: store.save(),
    "append": lambda store: store.append([Counted(number=3)]),
    "load": lambda store: store.load(Ledger, "a"),
    "load_events": lambda store: store.load_events("a"),
    "version": lambda store: store.get_aggregate_version("a"),
    "read": lambda store: list(store.read()),
    "streams": lambda store: list(store.streams()),
    "horizon": lambda store: store.horizon(),
    "read as a tenant": lambda store: list(store.for_tenant("blue").read()),
}


def after_close(verb: Callable[[sync.EventStore], object]) -> Callable[[Place], object]:
    def act(at: Place) -> object:
        with at.fresh() as store:
            store.save(counted("a", 1))
        return verb(store)

    return act


def closed_twice(at: Place) -> None:
    with at.fresh() as store:
        store.save(counted("a", 1))
        store.close()
        store.close()


def closed_during_saves(at: Place) -> None:
    url = at.url()

    async def main() -> list[Any]:
        store = await EventStore.create(url)
        saves = [asyncio.ensure_future(store.save(counted(f"s-{n}", n))) for n in range(100)]
        await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), 10)
        return await asyncio.wait_for(asyncio.gather(*saves, return_exceptions=True), 10)

    outcomes = asyncio.run(main())
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert {type(one) for one in refused} <= {StoreClosedError}
    if at.kind in SHARED:
        with sync.EventStore.create(url) as store:
            saved = [n for n, one in enumerate(outcomes) if not isinstance(one, BaseException)]
            check_log(store.read(), saved)


def opened_twice(at: Place) -> None:
    url = at.url()
    with sync.EventStore.create(url) as one, sync.EventStore.create(url) as other:
        one.append([Counted(number=1)], stream=("Ledger", "a"))
        other.append([Counted(number=2)], stream=("Ledger", "a"))
        numbers = [[event.number for event in store.read()] for store in (one, other)]
    assert numbers == ([[1], [2]] if at.kind == "memory" else [[1, 2]] * 2)


def from_another_thread(at: Place) -> None:
    thread = threading.Thread(target=lambda: at.store.append([Counted(number=5)]))
    thread.start()
    thread.join(10)
    assert [event.number for event in at.new()] == [5]


def from_another_loop(at: Place) -> None:
    url = at.url()

    async def begin() -> EventStore:
        return await EventStore.create(url)

    async def go_on(store: EventStore) -> list[int]:
        await store.append([Counted(number=1)])
        try:
            return [event.number async for event in store.read()]
        finally:
            await store.close()

    assert asyncio.run(go_on(asyncio.run(begin()))) == [1]


def inside_a_loop(at: Place) -> object:
    async def main() -> object:
        return at.store.append([Counted(number=1)])

    return asyncio.run(main())


FORK = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from bad_input_calls import VERBS
from eventuali import sync
from eventuali.errors import ForkedProcessError
from ledger import counted
store = sync.EventStore.create(sys.argv[1])
store.save(counted("a", 1))
if (pid := os.fork()) == 0:
    signal.alarm(20)
    begun = time.monotonic()
    for name, verb in VERBS.items():
        try:
            verb(store)
        except ForkedProcessError:
            continue
        os._exit(1)
    os._exit(0 if time.monotonic() - begun < 1 else 2)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print([event.number for event in store.read()])
store.close()
"""


def in_a_forked_child(at: Place) -> None:
    assert output_of(FORK, at.url(), timeout=40).splitlines() == ["0", "[1]"]


CASES = [
    *(bad(29, f"{one!r}", expecting(one), InvalidEventError) for one in NO_POSITION),
    *(bad(29, f"{one!r}", expecting(one), TypeError) for one in [*NO_NUMBER, None]),
    bad(29, "3 without a stream", append(Counted(number=1), expected=3), InvalidEventError),
    good(30, "far too high", too_far(10**6, 2, 2)),
    good(30, "one too high", too_far(3, 2, 2)),
    good(30, "one too low", too_far(1, 2, 2)),
    good(30, "2**63 - 1", too_far(2**63 - 1, 2, 2)),
    good(30, "a stream that should be new", too_far(NO_STREAM, 2, 2)),
    good(30, "far too high, no stream", too_far(10**6, 0, 0)),
    good(30, "2**63 - 1, no stream", too_far(2**63 - 1, 0, 0)),
    good(30, "a stream that should be there", too_far(STREAM_EXISTS, 0, 0)),
    *(bad(31, act.__name__, act, InvalidEventError)
      for act in (twice, twice_alike, twice_in_two_aggregates, one_event_twice,
                  one_aggregate_twice)),
    bad(31, "two aggregates of one stream", two_of_one_stream, InvalidEventError),
    good(32, "another stream", used(lambda one: [again(one)], stream=("Ledger", "other"))),
    good(32, "another type", used(lambda one: [again(one)], stream=("Other", "used"))),
    good(32, "no stream", used(lambda one: [again(one)], stream=None)),
    good(32, "other content", used(lambda one: [again(one, 2)])),
    good(32, "another time",
         used(lambda one: [again(one, timestamp=datetime(2025, 1, 1, tzinfo=UTC))])),
    good(32, "other headers", used(lambda one: [again(one, headers={"a": "b"})])),
    good(32, "a part of the batch", used(lambda one: [again(one), Counted(number=2)])),
    good(32, "the end of the batch", used(lambda one: [Counted(number=2), again(one)])),
    good(35, "unknown type", unknown_type),
    *ranges(),
    good(37, "missing", missing),
    bad(37, "load_one of nothing", lambda at: at.store.load_one(Ledger, "missing"),
        AggregateNotFoundError, aggregate_type="Ledger", aggregate_id="missing"),
    *(good(62, f"{kind.__name__} in apply", in_apply(kind)) for kind in RAISED),
    *(good(62, f"{kind.__name__} in a replay", in_replay(kind, True)) for kind in RAISED),
    *(good(62, f"{kind.__name__} in a replay, async", in_replay(kind, False))
      for kind in (StopIteration, StopAsyncIteration, GeneratorExit, ValueError,
                   asyncio.CancelledError)),
    *(good(63, f"an event of the year {year}", happened_in(year)) for year in YEARS),
    good(63, "a clock of 1969", clock_at(-86_400 * 10**9)),
    good(63, "a clock of 1970", clock_at(0)),
    good(63, "a clock of yesterday", clock_at(1_700_000_000 * 10**9)),
    good(63, "a clock of 2262", clock_at(2**63 - 1)),
    good(63, "a clock of 2300", clock_at(10_413_792_000 * 10**9)),
    *(good(63, f"the system's clock {what}", stepped_back(seconds))
      for what, seconds in [("a day back", DAY), ("in 1969", int(time()) + 200 * DAY)]
      if COMPILER),
    *(bad(64, f"{name} after close", after_close(verb), StoreClosedError)
      for name, verb in VERBS.items()),
    good(64, "double close", closed_twice),
    good(64, "close during saves", closed_during_saves),
    good(64, "create twice", opened_twice),
    good(64, "another thread", from_another_thread),
    good(64, "another loop", from_another_loop),
    bad(64, "inside a loop", inside_a_loop, RuntimeError),
    good(64, "a forked child", in_a_forked_child),
]  # fmt: skip
