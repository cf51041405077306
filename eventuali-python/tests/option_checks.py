"""One check an option: what a call gives with each of several values, which must not be the same.

    @changes("EventStore.read.limit", (1, [0]), (2, [0, 1]))
    def _(place, limit):
        with place.filled() as store:
            return numbers(store.read(limit=limit))

says that reading with `limit=1` gives [0], and with `limit=2` [0, 1]. Options of a store are tried
with both stores: `place` opens the one that is meant, and its answers need no awaiting. The last
value may be `LEFT_OUT`: the check then has to leave the option out.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from asyncio import Runner
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from inspect import isawaitable
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from ledger import Counted, Ledger, Other, counted
from older_table import rows, write_postgres, write_sqlite
from postgres_server import server_url
from pydantic import create_model
from stores import administrator, gathered, schema_of, url_of
from support import TESTS
from units import outside

import eventuali
from eventuali import (
    ALL,
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Aggregate,
    AggregateNotFoundError,
    AppendCondition,
    AppendConditionError,
    Event,
    EventStoreConfig,
    OptimisticConcurrencyError,
    Projection,
    Query,
    ReadModel,
    StreamEvents,
    TenantLimits,
    Tracking,
    UnknownEvent,
    User,
    sync,
)
from eventuali.errors import (
    InvalidEventError,
    SchemaMismatchError,
    StorageBusyError,
    StreamingError,
    TenantLimitError,
    UnknownEventTypeError,
)
from eventuali.event import UserDeactivated, UserRegistered
from eventuali.importing import import_events
from eventuali.sync._subscription import Subscription as BlockingSubscription
from eventuali.testing import Clock

LEFT_OUT = object()
"""Stands for an option that is not given."""


@dataclass
class Check:
    """What an option changes.

    Attributes:
        option: Its name.
        pairs: Values of the option, each with what is seen then.
        see: Calls with a value, and says what is seen.
    """

    option: str
    pairs: tuple[tuple[Any, Any], ...]
    see: Callable[..., Any]


CHECKS: dict[str, Check] = {}


def changes(option: str, *pairs: tuple[Any, Any]) -> Callable[[Callable[..., Any]], Any]:
    """Registers a check for an option."""

    def register(see: Callable[..., Any]) -> Callable[..., Any]:
        assert option not in CHECKS, f"{option} is checked twice"
        CHECKS[option] = Check(option, pairs, see)
        return see

    return register


class Waited:
    """A store whose answers are there when a call returns, whichever store it is."""

    def __init__(self, store: Any, run: Callable[[Any], Any]) -> None:
        self.store, self.run = store, run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.store, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            given = value(*arguments, **options)
            if isawaitable(given):
                return self.run(awaited(given))
            if isinstance(given, eventuali.Subscription):
                return self.run(caught_up(given))
            if isinstance(given, BlockingSubscription):
                return caught_up_blocking(given)
            if hasattr(given, "__aiter__"):
                return self.run(gathered(given))
            if isinstance(given, eventuali.EventStore | sync.EventStore):
                return Waited(given, self.run)
            return list(given) if hasattr(given, "__next__") else given

        return call


async def awaited(given: Any) -> Any:
    return await given


async def caught_up(subscription: Any) -> list[Event]:
    """Returns what is stored, and handles it."""
    taken = []

    async def take() -> None:
        try:
            async for event in subscription:
                taken.append(event)
        finally:  # whoever waits for the end of the catch-up hears of an error
            await subscription.aclose()

    async with subscription:
        taking = asyncio.create_task(take())
        with suppress(StreamingError):  # the task tells what it was
            await subscription.caught_up()
        await subscription.aclose()
        await taking
    return taken


def caught_up_blocking(subscription: Any) -> list[Event]:
    """The same, blocking."""
    taken: list[Event] = []

    def take() -> None:
        try:
            taken.extend(subscription)
        finally:
            subscription.close()

    with subscription, ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        with suppress(StreamingError):
            subscription.caught_up()
        subscription.close()
        taking.result()
    return taken


@dataclass
class Place:
    """Where a check is tried: one of the two stores, on any backend."""

    api: str
    folder: Path
    room: Path = field(init=False)

    def __post_init__(self) -> None:
        self.room = self.folder / uuid4().hex[:12]
        self.room.mkdir()

    @contextmanager
    def open(self, url: Any = "memory://", **options: Any) -> Iterator[Any]:
        if self.api == "sync":
            with sync.EventStore.create(url, **options) as store:
                yield Waited(store, lambda given: given)
            return
        with Runner() as runner:

            async def opening() -> Any:
                return await eventuali.EventStore.create(url, **options)

            store = runner.run(opening())
            try:
                yield Waited(store, runner.run)
            finally:
                runner.run(store.close())

    @contextmanager
    def filled(self) -> Iterator[Any]:
        """Gives a store with four events, and the four of them."""
        with self.open() as store:
            store.append([Counted(number=0, tags=["a"])], stream=("Ledger", "x"))
            store.append([Counted(number=1, tags=["a", "b"])], stream=("Ledger", "y"))
            store.append([Counted(number=2, correlation_id="c")], stream=("Other", "x"))
            store.append([Noted(number=3, tags=["b"])])
            yield store

    def config(self) -> EventStoreConfig:
        url = url_of("postgres", self.room)
        assert isinstance(url, EventStoreConfig)
        return url


class Noted(Event, name="options.noted"):
    number: int


class Tall(Aggregate):
    number: int = -1

    def apply_counted(self, event: Counted) -> None:
        self.number = event.number


def numbers(events: Any) -> list[int]:
    return [event.number for event in events]


def raised(call: Callable[[], Any], *kinds: type[Exception]) -> str:
    """Names what a call raises; "nothing" where it does not."""
    try:
        call()
    except kinds as error:
        return type(error).__name__
    return "nothing"


def given(name: str, value: Any) -> dict[str, Any]:
    return {} if value is LEFT_OUT else {name: value}


# --- opening --------------------------------------------------------------------------------------


@changes("EventStore.create.url", ("memory://", "memory"), ("sqlite://:memory:", "sqlite"))
def _(place, url):
    with place.open(url) as store:
        return store.stats().backend


@changes("EventStore.create.tenant", ("blue", []), ("", [1]), (LEFT_OUT, [1]))
def _(place, tenant):
    url = url_of("sqlite", place.room)
    with place.open(url) as store:
        store.append([Counted(number=1)])
    with place.open(url, **given("tenant", tenant)) as store:
        return numbers(store.read())


@changes(
    "EventStore.create.limits",
    (TenantLimits(events=1), "TenantLimitError"),
    (TenantLimits(events=2), "nothing"),
    (None, "nothing"),
    (LEFT_OUT, "nothing"),
)
def _(place, limits):
    with place.open(**given("limits", limits)) as store:
        store.append([Counted(number=1)])
        return raised(lambda: store.append([Counted(number=2)]), TenantLimitError)


class Sum(ReadModel):
    number: int = 0


class Sums(Projection[Sum], inline=True):
    def on_counted(self, event: Counted, doc: Sum | None) -> Sum:
        return Sum(number=event.number)


@changes("EventStore.create.inline", ([Sums()], 7), ((), None), (LEFT_OUT, None))
def _(place, inline):
    with place.open(**given("inline", inline)) as store:
        store.append([Counted(number=7)], stream=("Counter", "a"))
        found = store.get(Sum, "a")
        return found and found.number


@changes("EventStore.create.clock", (Clock(datetime(2001, 1, 1, tzinfo=UTC)), 2001),
         (Clock(datetime(2002, 1, 1, tzinfo=UTC)), 2002), (LEFT_OUT, "now"))  # fmt: skip
def _(place, clock):
    with place.open(**given("clock", clock)) as store:
        store.append([Counted(number=1)])
        (event,) = store.read()
        return event.recorded_at.year if event.recorded_at.year < 2020 else "now"


@changes("EventStore.create.durability", ("full", "flushed"), ("relaxed", "not flushed"),
         (LEFT_OUT, "flushed"))  # fmt: skip
def _(place, durability):
    """SQLite: counts the flushes of 30 commits. PostgreSQL: asks the server how far it flushed."""
    option = {} if durability is LEFT_OUT else {"durability": durability}
    flushes = flushes_of(place, option)
    with place.open(place.config(), **option) as store, administrator() as server:
        late = 0
        for number in range(30):
            (before,) = server.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            store.append([Counted(number=number)])
            asked = server.execute("SELECT pg_current_wal_flush_lsn() > %s::pg_lsn", [before])
            late += not asked.fetchone()[0]
    assert (flushes >= 30) == (late == 0), (flushes, late)
    return "flushed" if flushes >= 30 else "not flushed"


COUNTING = """
#include <sys/types.h>
static long flushes = 0;
int fsync(int fd) { flushes++; return 0; }
int fdatasync(int fd) { flushes++; return 0; }
long counted_flushes(void) { return flushes; }
"""
COMMITS = """
import asyncio, ctypes, sys
from ledger import Counted
from eventuali import EventStore, sync
options = eval(sys.argv[3])
count = ctypes.CDLL(sys.argv[4]).counted_flushes
count.restype = ctypes.c_long
async def asynchronous():
    async with EventStore.create(sys.argv[1], **options) as store:
        before = count()
        for number in range(30):
            await store.append([Counted(number=number)])
        print(count() - before)
def blocking():
    with sync.EventStore.create(sys.argv[1], **options) as store:
        before = count()
        for number in range(30):
            store.append([Counted(number=number)])
        print(count() - before)
blocking() if sys.argv[2] == "sync" else asyncio.run(asynchronous())
"""


def flushes_of(place: Place, option: dict[str, str]) -> int:
    source, library = place.room / "counting.c", place.room / "counting.so"
    source.write_text(COUNTING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", COMMITS, place.room / f"{uuid4().hex}.db", place.api, repr(option),
         library],
        env=os.environ | {"PYTHONPATH": str(TESTS), "LD_PRELOAD": str(library)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return int(done.stdout)


@changes("EventStore.for_tenant.tenant", ("blue", [1]), ("red", []))
def _(place, tenant):
    with place.open() as store:
        store.for_tenant("blue").append([Counted(number=1)])
        return numbers(store.for_tenant(tenant).read())


@changes(
    "EventStore.for_tenant.limits",
    (TenantLimits(bytes=1), "TenantLimitError"),
    (TenantLimits(bytes=100), "nothing"),
    (None, "nothing"),
    (LEFT_OUT, "nothing"),
)
def _(place, limits):
    with place.open() as store:
        blue = store.for_tenant("blue", **given("limits", limits))
        return raised(lambda: blue.append([Counted(number=2)]), TenantLimitError)


# --- PostgreSQL -----------------------------------------------------------------------------------


def setting(name: str, *pairs: tuple[Any, Any]) -> Callable[[Callable[..., Any]], Any]:
    """Registers a check for a setting: as a field, and as given by its method."""
    method = f"with_{name}"
    function = vars(EventStoreConfig)[method]
    (argument,) = list(function.__annotations__.keys() - {"return"})

    def register(see: Callable[..., Any]) -> Callable[..., Any]:
        def by_field(place: Place, value: Any) -> Any:
            base = place.config()
            fields = {"_secret": base._secret, "schema": base.schema, name: value}
            return see(place, EventStoreConfig(**fields))

        changes(f"EventStoreConfig.{name}", *pairs)(by_field)
        by_method = lambda place, value: see(place, getattr(place.config(), method)(value))  # noqa: E731
        changes(f"EventStoreConfig.{method}.{argument}", *pairs)(by_method)
        return see

    return register


@changes("EventStoreConfig.postgres.url", ("postgresql://ada@one/shop", "postgresql://ada@one/shop"),
         ("postgresql://ada:secret@two/shop", "postgresql://ada@two/shop"))  # fmt: skip
def _(_place, url):
    return EventStoreConfig.postgres(url).url


@setting("schema", ("py_options_one", "py_options_one"), ("py_options_two", "py_options_two"))
def _(place, config):
    with place.open(config), administrator() as server:
        found = server.execute(
            "SELECT table_schema FROM information_schema.views "
            "WHERE table_name = 'events' AND table_schema LIKE 'py_options_%'"
        ).fetchall()
        for (schema,) in found:
            server.execute(f"SET client_min_messages = warning; DROP SCHEMA {schema} CASCADE")
    ((schema,),) = found
    return schema


@setting("table_name", ("events", "events"), ("orders", "orders"))
def _(place, config):
    with place.open(config), administrator() as server:
        find = "SELECT table_name FROM information_schema.views WHERE table_schema = %s"
        names = {name for (name,) in server.execute(find, [config.schema])}
    (name,) = names & {"events", "orders"}
    return name


@setting("max_connections", (1, 1), (3, 3))
def _(place, config):
    application = f"options_{uuid4().hex[:8]}"
    separator = "&" if "?" in server_url() else "?"
    url = f"{server_url()}{separator}application_name={application}"
    config = EventStoreConfig(
        _secret=url, schema=config.schema, max_connections=config.max_connections
    )
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    with sync.EventStore.create(config) as store, ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(lambda n: store.get_aggregate_version(str(n)), range(64)))
            with administrator() as server:
                (connections,) = server.execute(count, [application]).fetchone()
            if connections == config.max_connections:
                break
    return connections


def reading_a_locked_log(place: Place, config: EventStoreConfig) -> str:
    with place.open(config) as store, locked(config, 3.0):
        return raised(store.read, StorageBusyError)


for _limit in ("connect_timeout", "statement_timeout"):
    setting(_limit, (0.2, "StorageBusyError"), (20.0, "nothing"))(reading_a_locked_log)


@contextmanager
def locked(config: EventStoreConfig, seconds: float) -> Iterator[None]:
    """Locks the log for so long at the most."""
    with administrator() as holder:
        holder.execute("BEGIN")
        holder.execute(f"LOCK TABLE {config.schema}.events_log")
        end = threading.Timer(seconds, holder.rollback)
        end.start()
        yield
        end.cancel()
        end.join()


@setting("migrations", (True, "nothing"), (False, "SchemaMismatchError"))
def _(place, config):
    with administrator() as server:
        server.execute(f"CREATE SCHEMA {config.schema}")

    def opening() -> None:
        with place.open(config):
            pass

    return raised(opening, SchemaMismatchError)


# --- writing --------------------------------------------------------------------------------------


@changes("EventStore.save.aggregates", ((), 0), ((1,), 1), ((1, 2), 2))
def _(place, values):
    with place.open() as store:
        store.save(*(counted(str(value), value) for value in values))
        return len(store.streams())


@changes("EventStore.append.events", ([], []), ([1], [1]), ([2, 1], [2, 1]))
def _(place, values):
    with place.open() as store:
        store.append([Counted(number=value) for value in values])
        return numbers(store.read())


@changes("EventStore.append.stream", (None, []), (("Ledger", "a"), ["a"]), (LEFT_OUT, []))
def _(place, stream):
    with place.open() as store:
        store.append([Counted(number=1)], **given("stream", stream))
        return [found.aggregate_id for found in store.streams()]


@changes("EventStore.append.expected", (ANY, "nothing"), (STREAM_EXISTS, "nothing"), (1, "nothing"),
         (NO_STREAM, "OptimisticConcurrencyError"), (2, "OptimisticConcurrencyError"),
         (LEFT_OUT, "nothing"))  # fmt: skip
def _(place, expected):
    options = {"stream": ("Ledger", "x"), **given("expected", expected)}
    with place.filled() as store:
        append = lambda: store.append([Counted(number=9)], **options)  # noqa: E731
        return raised(append, OptimisticConcurrencyError)


@changes("EventStore.append.condition", (None, "nothing"), (LEFT_OUT, "nothing"),
         (AppendCondition(Query(tags=["a"])), "AppendConditionError"),
         (AppendCondition(Query(tags=["z"])), "nothing"))  # fmt: skip
def _(place, condition):
    with place.filled() as store:
        append = lambda: store.append([Counted(number=9)], **given("condition", condition))  # noqa: E731
        return raised(append, AppendConditionError)


@changes("AppendCondition.query", (Query(tags=["a"]), "AppendConditionError"),
         (Query(tags=["z"]), "nothing"))  # fmt: skip
def _(place, query):
    with place.filled() as store:
        append = lambda: store.append([Counted(number=9)], condition=AppendCondition(query))  # noqa: E731
        return raised(append, AppendConditionError)


@changes("AppendCondition.after", (1, "AppendConditionError"), (2, "nothing"),
         (LEFT_OUT, "AppendConditionError"))  # fmt: skip
def _(place, after):
    condition = AppendCondition(Query(tags=["a"]), **given("after", after))
    with place.filled() as store:
        append = lambda: store.append([Counted(number=9)], condition=condition)  # noqa: E731
        return raised(append, AppendConditionError)


@changes("EventStore.decide.query", (Query(tags=["a"]), [0, 1]), (Query(tags=["b"]), [1, 3]))
def _(place, query):
    seen = []
    with place.filled() as store:
        store.decide(query, lambda events: seen.extend(numbers(events)))
    return seen


@changes(
    "EventStore.decide.decision", (lambda events: None, 4), (lambda events: Noted(number=9), 5)
)
def _(place, decision):
    with place.filled() as store:
        store.decide(ALL, decision)
        return len(store.read())


@changes("EventStore.decide.attempts", (1, 1), (3, 3), (LEFT_OUT, 20))
def _(place, attempts):
    """How often somebody decides who is always overtaken."""
    calls = []

    async def awaited_decision(events):
        calls.append(len(events))
        await store.store.append([Noted(number=0)])
        return Noted(number=1)

    def decision(events):
        calls.append(len(events))
        store.append([Noted(number=0)])
        return Noted(number=1)

    with place.open() as store:
        decide = awaited_decision if place.api == "async" else decision
        raised(
            lambda: store.decide(ALL, decide, **given("attempts", attempts)), AppendConditionError
        )
    return len(calls)


@changes("EventStore.save.condition", ("z", "nothing"), ("a", "AppendConditionError"),
         (LEFT_OUT, "nothing"))  # fmt: skip
def _(place, tag):
    condition = tag if tag is LEFT_OUT else AppendCondition(Query(tags=[tag]))
    with place.filled() as store:
        save = lambda: store.save(counted("new", 1), **given("condition", condition))  # noqa: E731
        return raised(save, AppendConditionError)


@changes("StreamEvents.stream", (("Ledger", "x"), [("Ledger", "x", 2)]),
         ((Other, "x"), [("Other", "x", 2)]))  # fmt: skip
def _(place, stream):
    with place.filled() as store:
        store.append([StreamEvents(stream, [Counted(number=9)])])
        metas = [event.meta for event in store.read(after=4)]
        return [(m.aggregate_type, m.aggregate_id, m.aggregate_version) for m in metas]


@changes("StreamEvents.events", ([], []), ([7, 8], [7, 8]))
def _(place, wanted):
    with place.filled() as store:
        store.append([StreamEvents(("Ledger", "x"), [Counted(number=n) for n in wanted])])
        return numbers(store.read(after=4))


@changes("StreamEvents.expected", (1, "nothing"), (2, "OptimisticConcurrencyError"),
         (NO_STREAM, "OptimisticConcurrencyError"), (LEFT_OUT, "nothing"))  # fmt: skip
def _(place, expected):
    events = StreamEvents(("Ledger", "x"), [Counted(number=9)], **given("expected", expected))
    with place.filled() as store:
        return raised(lambda: store.append([events]), OptimisticConcurrencyError)


# --- transactions ---------------------------------------------------------------------------------


def within_work(place: Place, verb: str, *arguments: Any) -> Callable[[Any], Any]:
    """Returns a function for `transact` that calls a method of its unit of work."""

    async def awaiting(work: Any) -> Any:
        found = getattr(work, verb)(*arguments)
        return await found if isawaitable(found) else found

    def waiting(work: Any) -> Any:
        return getattr(work, verb)(*arguments)

    return awaiting if place.api == "async" else waiting


@changes(
    "EventStore.transact.fn", (lambda work: 1, 1), (lambda work: type(work).__name__, "UnitOfWork")
)
def _(place, fn):
    with place.filled() as store:
        return store.transact(fn).value


@changes("EventStore.transact.attempts", (1, 1), (3, 3), (LEFT_OUT, 50))
def _(place, attempts):
    """How often somebody is called who is always overtaken."""
    calls = []

    async def awaiting(work):
        calls.append((await work.load_one(Ledger, "x")).apply(Counted(number=1)))
        await outside(store.store.append, [Counted(number=0)], stream=("Ledger", "x"))

    def waiting(work):
        calls.append(work.load_one(Ledger, "x").apply(Counted(number=1)))
        Context().run(store.append, [Counted(number=0)], stream=("Ledger", "x"))

    with place.filled() as store:
        fn = awaiting if place.api == "async" else waiting
        raised(
            lambda: store.transact(fn, **given("attempts", attempts)), OptimisticConcurrencyError
        )
    return len(calls)


@changes("UnitOfWork.load.cls", (Ledger, "Ledger"), (Other, "Other"))
def _(place, cls):
    with place.filled() as store:
        return type(store.transact(within_work(place, "load", cls, "x")).value).__name__


@changes("UnitOfWork.load.aggregate_id", ("x", "x"), ("z", None))
def _(place, aggregate_id):
    with place.filled() as store:
        found = store.transact(within_work(place, "load", Ledger, aggregate_id)).value
        return found and found.id


@changes("UnitOfWork.load_one.cls", (Ledger, "Ledger"), (Other, "Other"))
def _(place, cls):
    with place.filled() as store:
        return type(store.transact(within_work(place, "load_one", cls, "x")).value).__name__


@changes("UnitOfWork.load_one.aggregate_id", ("x", "nothing"), ("z", "AggregateNotFoundError"))
def _(place, aggregate_id):
    with place.filled() as store:
        fn = within_work(place, "load_one", Ledger, aggregate_id)
        return raised(lambda: store.transact(fn), AggregateNotFoundError)


@changes("UnitOfWork.load_or_new.cls", (Ledger, "Ledger"), (Other, "Other"))
def _(place, cls):
    with place.filled() as store:
        return type(store.transact(within_work(place, "load_or_new", cls, "x")).value).__name__


@changes("UnitOfWork.load_or_new.aggregate_id", ("x", False), ("z", True))
def _(place, aggregate_id):
    with place.filled() as store:
        fn = within_work(place, "load_or_new", Ledger, aggregate_id)
        return store.transact(fn).value.is_new()


@changes("UnitOfWork.load_many.cls", (Ledger, ["x", "y"]), (Other, ["x"]))
def _(place, cls):
    with place.filled() as store:
        return list(store.transact(within_work(place, "load_many", cls, ["x", "y"])).value)


@changes("UnitOfWork.load_many.ids", ([], []), (["y", "z", "x"], ["y", "x"]))
def _(place, ids):
    with place.filled() as store:
        return list(store.transact(within_work(place, "load_many", Ledger, ids)).value)


@changes("UnitOfWork.read.query", (Query(tags=["a"]), [0, 1]), (Query(tags=["b"]), [1, 3]))
def _(place, query):
    with place.filled() as store:
        return numbers(store.transact(within_work(place, "read", query)).value)


@changes("UnitOfWork.add.aggregates", ((), 4), ((1, 2), 6))
def _(place, wanted):
    with place.filled() as store:
        new = [counted(f"n{number}", number) for number in wanted]
        store.transact(within_work(place, "add", *new))
        return len(store.read())


def appended(place: Place, events: Any, **options: Any) -> Any:
    """Appends in a unit of work; returns the last event that is stored."""

    def fn(work: Any) -> None:
        work.append(events, **options)

    with place.filled() as store:
        with suppress(OptimisticConcurrencyError):
            store.transact(fn, attempts=1)
        return store.read()[-1]


@changes("UnitOfWork.append.events", ([7], 7), ([7, 8], 8))
def _(place, wanted):
    return appended(place, [Counted(number=number) for number in wanted]).number


@changes("UnitOfWork.append.stream", (("Ledger", "z"), "z"), (None, None))
def _(place, stream):
    return appended(place, [Counted(number=7)], stream=stream).aggregate_id


@changes(
    "UnitOfWork.append.expected",
    (NO_STREAM, "z"), (3, "refused"), (LEFT_OUT, "z"),
)  # fmt: skip
def _(place, expected):
    wanted = given("expected", expected)
    found = appended(place, [Counted(number=7)], stream=("Ledger", "z"), **wanted)
    return found.aggregate_id if found.number == 7 else "refused"


@changes(
    "UnitOfWork.append.condition",
    (AppendCondition(Query(tags=["a"])), "refused"), (None, 7),
)  # fmt: skip
def _(place, condition):
    found = appended(place, [Counted(number=7)], condition=condition)
    return 7 if found.number == 7 else "refused"


# --- loading --------------------------------------------------------------------------------------


@changes("EventStore.load_many.cls", (Ledger, ["x", "y"]), (Other, ["x"]))
def _(place, cls):
    with place.filled() as store:
        return list(store.load_many(cls, ["x", "y"]))


@changes("EventStore.load_many.ids", ([], []), (["y", "z", "x"], ["y", "x"]))
def _(place, ids):
    with place.filled() as store:
        return list(store.load_many(Ledger, ids))


@contextmanager
def aged(place: Place) -> Iterator[tuple[Any, list[datetime]]]:
    """A store with a ledger of three commits, each told to have happened years before the last."""
    with place.open() as store:
        times = []
        for number in (1, 2, 3):
            at = datetime(2000 + number, 1, 1, tzinfo=UTC)
            event = Counted(number=number, timestamp=at)
            times.append(store.append([event], stream=("Ledger", "x")).recorded_at)
        yield store, times


for _verb in ("load", "load_one"):

    @changes(f"EventStore.{_verb}.cls", (Ledger, "Ledger 0"), (Tall, "Tall 7"))
    def _(place, cls, verb=_verb):
        with place.filled() as store:
            store.append([Counted(number=7)], stream=("Tall", "x"))
            found = getattr(store, verb)(cls, "x")
            value = found.numbers[0] if cls is Ledger else found.number
            return f"{type(found).__name__} {value}"

    @changes(f"EventStore.{_verb}.aggregate_id", ("x", [0]), ("y", [1]))
    def _(place, aggregate_id, verb=_verb):
        with place.filled() as store:
            return getattr(store, verb)(Ledger, aggregate_id).numbers

    @changes(f"EventStore.{_verb}.at_version", (1, [1]), (2, [1, 2]), (None, [1, 2, 3]),
             (LEFT_OUT, [1, 2, 3]))  # fmt: skip
    def _(place, at_version, verb=_verb):
        with aged(place) as (store, _):
            return getattr(store, verb)(Ledger, "x", **given("at_version", at_version)).numbers

    @changes(f"EventStore.{_verb}.at_time", (datetime(1990, 1, 1, tzinfo=UTC), []),
             (datetime(2990, 1, 1, tzinfo=UTC), [1, 2, 3]), (LEFT_OUT, [1, 2, 3]))  # fmt: skip
    def _(place, at_time, verb=_verb):
        with aged(place) as (store, _):
            return getattr(store, verb)(Ledger, "x", **given("at_time", at_time)).numbers

    @changes(f"EventStore.{_verb}.by", ("timestamp", [1, 2]), ("recorded_at", []), (LEFT_OUT, []))
    def _(place, by, verb=_verb):
        middle = datetime(2002, 6, 1, tzinfo=UTC)
        with aged(place) as (store, _):
            load = getattr(store, verb)
            return load(Ledger, "x", at_time=middle, **given("by", by)).numbers


@changes("EventStore.history.cls", (Ledger, ["Ledger"]), (Tall, []))
def _(place, cls):
    with place.filled() as store:
        return [type(step.state).__name__ for step in store.history(cls, "x")]


@changes("EventStore.history.aggregate_id", ("x", [[0]]), ("y", [[1]]))
def _(place, aggregate_id):
    with place.filled() as store:
        return [step.state.numbers for step in store.history(Ledger, aggregate_id)]


@changes("EventStore.history.from_version", (0, [[1], [1, 2], [1, 2, 3]]), (3, [[1, 2, 3]]),
         (LEFT_OUT, [[1], [1, 2], [1, 2, 3]]))  # fmt: skip
def _(place, from_version):
    with aged(place) as (store, _):
        steps = store.history(Ledger, "x", **given("from_version", from_version))
        return [step.state.numbers for step in steps]


@changes("EventStore.history.limit", (1, [[1]]), (0, []), (LEFT_OUT, [[1], [1, 2], [1, 2, 3]]))
def _(place, limit):
    with aged(place) as (store, _):
        steps = store.history(Ledger, "x", **given("limit", limit))
        return [step.state.numbers for step in steps]


# --- reading --------------------------------------------------------------------------------------


@changes("EventStore.read.query", (Query(tags=["a"]), [0, 1]), (ALL, [0, 1, 2, 3]),
         (LEFT_OUT, [0, 1, 2, 3]))  # fmt: skip
def _(place, query):
    with place.filled() as store:
        return numbers(store.read(**given("query", query)))


@changes("EventStore.read.after", (1, [1, 2, 3]), (3, [3]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, after):
    with place.filled() as store:
        return numbers(store.read(**given("after", after)))


@changes("EventStore.read.before", (2, [0]), (4, [0, 1, 2]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, before):
    with place.filled() as store:
        return numbers(store.read(**given("before", before)))


_PAST, _FUTURE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2900, 1, 1, tzinfo=UTC)


@changes("EventStore.read.since", (_PAST, [0, 1, 2, 3]), (_FUTURE, []), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, since):
    with place.filled() as store:
        return numbers(store.read(**given("since", since)))


@changes("EventStore.read.until", (_PAST, []), (_FUTURE, [0, 1, 2, 3]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, until):
    with place.filled() as store:
        return numbers(store.read(**given("until", until)))


@changes("EventStore.read.by", ("timestamp", [1, 2]), ("recorded_at", []), (LEFT_OUT, []))
def _(place, by):
    with aged(place) as (store, _):
        return numbers(store.read(until=datetime(2002, 6, 1, tzinfo=UTC), **given("by", by)))


@changes("EventStore.read.from_version", (2, [2, 3]), (3, [3]), (LEFT_OUT, [1, 2, 3]))
def _(place, from_version):
    with aged(place) as (store, _):
        query = Query(aggregate_type=Ledger, aggregate_id="x")
        return numbers(store.read(query, **given("from_version", from_version)))


@changes("EventStore.read.to_version", (2, [1, 2]), (0, []), (LEFT_OUT, [1, 2, 3]))
def _(place, to_version):
    with aged(place) as (store, _):
        query = Query(aggregate_type=Ledger, aggregate_id="x")
        return numbers(store.read(query, **given("to_version", to_version)))


@changes("EventStore.read.limit", (1, [0]), (2, [0, 1]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, limit):
    with place.filled() as store:
        return numbers(store.read(**given("limit", limit)))


@changes("EventStore.read.backwards", (True, [3, 2, 1, 0]), (False, [0, 1, 2, 3]),
         (LEFT_OUT, [0, 1, 2, 3]))  # fmt: skip
def _(place, backwards):
    with place.filled() as store:
        return numbers(store.read(**given("backwards", backwards)))


def stranger() -> UnknownEvent:
    """An event of a type that no class has."""

    class Row:
        event_type, event_version = "nobody.knows", 1

        def meta(self) -> Any:
            meta = Counted(number=0).meta
            return type(meta)(meta.event_id, "nobody.knows", 1, meta.timestamp)

    return UnknownEvent.from_stored(Row(), b"{}")


@changes("EventStore.read.raw", (True, "UnknownEvent"), (False, "UnknownEventTypeError"),
         (LEFT_OUT, "UnknownEventTypeError"))  # fmt: skip
def _(place, raw):
    with place.open() as store:
        store.append([stranger()])
        try:
            (event,) = store.read(**given("raw", raw))
        except UnknownEventTypeError as error:
            return type(error).__name__
        return type(event).__name__


@changes("EventStore.subscribe.query", (Query(aggregate_id="y"), [1]), (ALL, [0, 1, 2, 3]),
         (LEFT_OUT, [0, 1, 2, 3]))  # fmt: skip
def _(place, query):
    with place.filled() as store:
        return numbers(store.subscribe(**given("query", query)))


@changes("EventStore.subscribe.after", (1, [1, 2, 3]), (3, [3]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, after):
    with place.filled() as store:
        return numbers(store.subscribe(**given("after", after)))


@changes("EventStore.subscribe.name", ("one", []), (None, [0, 1, 2, 3]), (LEFT_OUT, [0, 1, 2, 3]))
def _(place, name):
    with place.filled() as store:
        store.subscribe(**given("name", name))
        return numbers(store.subscribe(**given("name", name)))


@changes("EventStore.subscribe.start", ("end", []), ("beginning", [0, 1, 2, 3]),
         (LEFT_OUT, [0, 1, 2, 3]))  # fmt: skip
def _(place, start):
    with place.filled() as store:
        return numbers(store.subscribe(**given("start", start)))


@changes("EventStore.reset_checkpoint.name", ("a", ["a"]), ("b", ["b"]))
def _(place, name):
    with place.filled() as store:
        store.reset_checkpoint(name, 1)
        return [one.name for one in store.checkpoints()]


@changes("EventStore.reset_checkpoint.position", (1, [1]), ("end", [4]), ("beginning", [0]))
def _(place, position):
    with place.filled() as store:
        store.reset_checkpoint("n", position)
        return [one.position for one in store.checkpoints()]


@changes("EventStore.delete_checkpoint.name", ("a", ["b"]), ("b", ["a"]))
def _(place, name):
    with place.filled() as store:
        for one in "ab":
            store.reset_checkpoint(one, 1)
        store.delete_checkpoint(name)
        return [one.name for one in store.checkpoints()]


@changes("EventStore.append.tracking", (Tracking("n", 1), 1), (Tracking("n", 2), 2),
         (LEFT_OUT, None))  # fmt: skip
def _(place, tracking):
    with place.filled() as store:
        store.append([Noted(number=9)], **given("tracking", tracking))
        return store.tracked("n")


@changes("EventStore.save.tracking", (Tracking("n", 1), 1), (Tracking("n", 2), 2),
         (LEFT_OUT, None))  # fmt: skip
def _(place, tracking):
    with place.filled() as store:
        store.save(counted("new", 1), **given("tracking", tracking))
        return store.tracked("n")


@changes("EventStore.tracked.name", ("n", 1), ("m", None))
def _(place, name):
    with place.filled() as store:
        store.append([], tracking=Tracking("n", 1))
        return store.tracked(name)


@changes("Tracking.name", ("n", 1), ("m", None))
def _(place, name):
    with place.filled() as store:
        store.append([], tracking=Tracking(name, 1))
        return store.tracked("n")


@changes("Tracking.position", (1, 1), (2, 2))
def _(place, position):
    with place.filled() as store:
        store.append([], tracking=Tracking("n", position))
        return store.tracked("n")


@changes("Query.user_id", ("ada", [1, 2]), ("bob", [3]), (None, [1, 2, 3]))
def _(place, user_id):
    with place.open() as store:
        for number, user in enumerate(("ada", "ada", "bob"), 1):
            store.append([Counted(number=number, user_id=user)])
        return numbers(store.read(Query(user_id=user_id)))


@changes("EventStore.load_events.to_version", (2, [1, 2]), (0, []), (LEFT_OUT, [1, 2, 3]))
def _(place, to_version):
    with aged(place) as (store, _):
        return numbers(store.load_events("x", Ledger, **given("to_version", to_version)))


@changes("EventStore.load_events.limit", (2, [1, 2]), (0, []), (LEFT_OUT, [1, 2, 3]))
def _(place, limit):
    with aged(place) as (store, _):
        return numbers(store.load_events("x", Ledger, **given("limit", limit)))


@changes("EventStore.load_events.backwards", (True, [3, 2, 1]), (False, [1, 2, 3]),
         (LEFT_OUT, [1, 2, 3]))  # fmt: skip
def _(place, backwards):
    with aged(place) as (store, _):
        return numbers(store.load_events("x", Ledger, **given("backwards", backwards)))


@changes("EventStore.subscribe.raw", (True, "UnknownEvent"), (False, "UnknownEventTypeError"),
         (LEFT_OUT, "UnknownEventTypeError"))  # fmt: skip
def _(place, raw):
    with place.open() as store:
        store.append([stranger()])
        try:
            (event,) = store.subscribe(**given("raw", raw))
        except UnknownEventTypeError as error:
            return type(error).__name__
        return type(event).__name__


_QUERIES: dict[str, tuple[tuple[Any, list[int]], ...]] = {
    "aggregate_type": ((Ledger, [0, 1]), ("Other", [2]), (None, [0, 1, 2, 3])),
    "aggregate_id": (("x", [0, 2]), ("y", [1]), (None, [0, 1, 2, 3])),
    "event_types": (([Noted], [3]), (["Counted"], [0, 1, 2]), (None, [0, 1, 2, 3])),
    "tags": ((["a"], [0, 1]), (["a", "b"], [1]), (None, [0, 1, 2, 3])),
    "correlation_id": (("c", [2]), ("d", []), (None, [0, 1, 2, 3])),
}
for _part, _pairs in _QUERIES.items():

    @changes(f"Query.{_part}", *_pairs)
    def _(place, value, part=_part):
        with place.filled() as store:
            return numbers(store.read(Query(**{part: value})))


@changes(
    "Query.event_ids", ([UUID(int=7)], [0]), ([UUID(int=8), UUID(int=7)], [0, 1]), (None, [0, 1])
)
def _(place, event_ids):
    with place.open() as store:
        store.append([Counted(number=n, event_id=UUID(int=7 + n)) for n in range(2)])
        return numbers(store.read(Query(event_ids=event_ids)))


@changes("EventStore.load_events.aggregate_id", ("y", [1]), ("z", []))
def _(place, aggregate_id):
    with place.filled() as store:
        return numbers(store.load_events(aggregate_id))


@changes("EventStore.load_events.aggregate_type", (Ledger, [0]), ("Other", [2]))
def _(place, aggregate_type):
    with place.filled() as store:
        return numbers(store.load_events("x", aggregate_type))


@changes("EventStore.load_events.from_version", (0, [1, 2, 3]), (3, [3]), (LEFT_OUT, [1, 2, 3]))
def _(place, from_version):
    with aged(place) as (store, _):
        return numbers(store.load_events("x", Ledger, **given("from_version", from_version)))


@changes("EventStore.load_events_by_type.aggregate_type", (Ledger, [0, 1]), (Other, [2]))
def _(place, aggregate_type):
    with place.filled() as store:
        return numbers(store.load_events_by_type(aggregate_type))


@changes("EventStore.get_aggregate_version.aggregate_id", ("y", 1), ("z", None))
def _(place, aggregate_id):
    with place.filled() as store:
        return store.get_aggregate_version(aggregate_id)


@changes("EventStore.get_aggregate_version.aggregate_type", (Ledger, 2), (Other, 1))
def _(place, aggregate_type):
    with place.filled() as store:
        store.append([Counted(number=9)], stream=("Ledger", "x"))
        return store.get_aggregate_version("x", aggregate_type)


@changes("EventStore.verify.limit", (1, True), (0, "InvalidEventError"), (LEFT_OUT, True))
def _(place, limit):
    with place.filled() as store:
        try:
            return store.verify(**given("limit", limit)).complete
        except InvalidEventError as error:
            return type(error).__name__


@changes("EventStore.verify.progress", (True, True), (None, False), (LEFT_OUT, False))
def _(place, progress):
    with place.filled() as store, redirect_stderr(StringIO()) as told:
        store.verify(**given("progress", progress))
        return "verify [" in told.getvalue()


@changes("EventStore.streams.aggregate_type", (Ledger, ["x", "y"]), ("Other", ["x"]),
         (LEFT_OUT, ["x", "y", "x"]))  # fmt: skip
def _(place, aggregate_type):
    with place.filled() as store:
        found = store.streams(**given("aggregate_type", aggregate_type))
        return [stream.aggregate_id for stream in found]


def relabelled(place: Place, name: str, cls: type[Event]) -> str:
    with place.filled() as store:
        store.register_event_class(name, cls)
        (event,) = store.read(Query(event_types=["Counted"]), limit=1)
        return type(event).__name__


@changes("EventStore.register_event_class.name", ("Counted", "Noted"), ("Elsewhere", "Counted"))
def _(place, name):
    return relabelled(place, name, Noted)


@changes("EventStore.unregister_event_class.name", ("Counted", "Counted"), ("Noted", "Noted"))
def _(place, name):
    with place.filled() as store:
        store.register_event_class("Counted", Noted)
        store.unregister_event_class(name)
        (event,) = store.read(Query(event_types=["Counted"]), limit=1)
        return type(event).__name__


@changes("EventStore.register_event_class.cls", (Noted, "Noted"), (Counted, "Counted"))
def _(place, cls):
    return relabelled(place, "Counted", cls)


# --- events ---------------------------------------------------------------------------------------


@changes("Event.from_dict.data", ({"number": 1}, 1), ({"number": 2}, 2))
def _(place, data):
    return Counted.from_dict(data).number


@changes("Event.from_json.text", ('{"number": 1}', 1), (b'{"number": 2}', 2))
def _(place, text):
    return Counted.from_json(text).number


_METADATA: dict[str, tuple[Any, Any, Any]] = {
    "event_id": (UUID(int=7), UUID(int=8), None),
    "timestamp": (datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 1, 1, tzinfo=UTC), None),
    "correlation_id": ("c", UUID(int=8), None),
    "causation_id": ("c", UUID(int=8), None),
    "user_id": ("ada", "bob", None),
    "headers": ({"a": "1"}, {"b": "2"}, {}),
    "tags": (("a",), ("a", "b"), ()),
}
"""Two values for each, and what is there without: none for what is made anew."""
for _field, (_one, _other, _default) in _METADATA.items():
    _pairs = [(_one, [_one, _one]), (_other, [_other, _other])]
    if _field not in ("event_id", "timestamp"):
        _pairs.append((LEFT_OUT, [_default, _default]))

    @changes(f"Event.{_field}", *_pairs)
    def _(place, value, name=_field):
        event = Counted(number=1, **given(name, value))
        with place.open() as store:
            store.append([event])
            (stored,) = store.read()
        return [getattr(event.meta, name), getattr(stored.meta, name)]


@changes("Event[class].name", ("options.one", "options.one"), ("options.two", "options.two"),
         (LEFT_OUT, "Made"))  # fmt: skip
def _(place, name):
    made = create_model("Made", __base__=Event, __cls_kwargs__=given("name", name))
    with place.open() as store:
        store.append([made()])
        (stored,) = store.read(raw=True)
    return stored.meta.event_type


@changes("Event[class].version", (1, 1), (7, 7), (LEFT_OUT, 1))
def _(place, version):
    keywords = {"name": f"options.{uuid4().hex}", **given("version", version)}
    made = create_model("Made", __base__=Event, __cls_kwargs__=keywords)
    with place.open() as store:
        store.append([made()])
        (stored,) = store.read()
    return stored.meta.event_version


@changes("Event.model_copy.update", ({"number": 2}, [2, ()]), ({"tags": ["a"]}, [1, ("a",)]),
         (None, [1, ()]), (LEFT_OUT, [1, ()]))  # fmt: skip
def _(_place, update):
    copied = Counted(number=1).model_copy(**given("update", update))
    return [copied.number, copied.meta.tags]


class Listing(Event, name="options.listing"):
    values: list[int]


@changes("Event.model_copy.deep", (True, False), (False, True), (LEFT_OUT, True))
def _(_place, deep):
    """Whether the copy shares its list."""
    event = Listing(values=[1])
    return event.model_copy(**given("deep", deep)).values is event.values


# --- aggregates -----------------------------------------------------------------------------------


@changes("Aggregate.id", ("a", ["a"]), ("b", ["b"]))
def _(place, value):
    ledger = Ledger(id=value)
    ledger.apply(Counted(number=1))
    with place.open() as store:
        store.save(ledger)
        return [stream.aggregate_id for stream in store.streams()]


@changes(
    "Aggregate.version", (0, "nothing"), (5, "OptimisticConcurrencyError"), (LEFT_OUT, "nothing")
)
def _(place, version):
    ledger = Ledger(id="a", **given("version", version))
    ledger.apply(Counted(number=1))
    with place.open() as store:
        return raised(lambda: store.save(ledger), OptimisticConcurrencyError)


@changes("Aggregate[class].name", ("options-one", "options-one"), ("options-two", "options-two"),
         (LEFT_OUT, "Named"))  # fmt: skip
def _(place, name):
    made = type("Named", (Ledger,), {"__module__": __name__}, **given("name", name))
    aggregate = made(id="a")
    aggregate.apply(Counted(number=1))
    with place.open() as store:
        store.save(aggregate)
        (stream,) = store.streams()
    return stream.aggregate_type


@changes("Aggregate.apply.event", (1, [1]), (2, [2]))
def _(_place, number):
    ledger = Ledger()
    ledger.apply(Counted(number=number))
    return ledger.numbers


@changes("Aggregate.from_events.events", ([], [0, []]), ([1, 2], [2, [1, 2]]))
def _(_place, values):
    ledger = Ledger.from_events([Counted(number=value) for value in values])
    return [ledger.version, ledger.numbers]


@changes("Aggregate.from_events.id", ("a", "a"), ("b", "b"))
def _(_place, value):
    return Ledger.from_events([], id=value).id


@changes("Aggregate.from_dict.data", ({"id": "a", "numbers": [1]}, [1]), ({"numbers": [2]}, [2]))
def _(_place, data):
    return Ledger.from_dict(data).numbers


def somebody() -> User:
    user = User()
    user.apply(UserRegistered(name="Ada", email="ada@one"))
    return user


@changes("User.change_email.email", ("ada@two", "ada@two"), ("ada@three", "ada@three"))
def _(_place, email):
    user = somebody()
    user.change_email(email)
    return user.email


@changes("User.deactivate.reason", ("left", "left"), (None, None), (LEFT_OUT, None))
def _(_place, reason):
    user = somebody()
    user.deactivate(**given("reason", reason))
    event = user.get_uncommitted_events()[-1]
    assert isinstance(event, UserDeactivated)
    return event.reason


# --- importing ------------------------------------------------------------------------------------


def imported(place: Place, store: Any, **options: Any) -> int:
    """Imports an older table with all that is there of it; says how many events that were."""
    path = place.room / "old.db"
    if not path.exists():
        write_sqlite(path, rows())
        write_sqlite(path, rows()[:1], "other")
    return import_events(options.pop("source", path), store, **options).events


@changes("import_events.source", ("all", len(rows())), ("one", 1))
def _(place, source):
    path = place.room / f"{source}.db"
    write_sqlite(path, rows() if source == "all" else rows()[:1])
    with sync.EventStore.create("memory://") as store:
        return imported(place, store, source=path)


@changes("import_events.store", ("blue", ["blue"]), ("green", ["green"]))
def _(place, name):
    with sync.EventStore.create("memory://") as store:
        imported(place, store.for_tenant(name))
        tenants = ("blue", "green")
        return [one for one in tenants if list(store.for_tenant(one).streams())]


@changes("import_events.table_name", ("other", 1), ("events", len(rows())), (LEFT_OUT, len(rows())))
def _(place, table_name):
    with sync.EventStore.create("memory://") as store:
        return imported(place, store, **given("table_name", table_name))


@changes("import_events.schema", ("blue", 1), ("green", len(rows())))
def _(place, schema):
    full = schema_of(place.room / schema)
    write_postgres(full, rows()[:1] if schema == "blue" else rows())
    with sync.EventStore.create("memory://") as store:
        return imported(place, store, source=server_url(), schema=full)


@changes("import_events.progress", (True, ["checked", "compared", "stored"]), (False, []),
         (LEFT_OUT, []))  # fmt: skip
def _(place, progress):
    steps = set()

    def note(step: str, done: int, total: int | None) -> None:
        steps.add(step)

    options = {"progress": note if progress else None} if progress is not LEFT_OUT else {}
    with sync.EventStore.create("memory://") as store:
        imported(place, store, **options)
    return sorted(steps)
