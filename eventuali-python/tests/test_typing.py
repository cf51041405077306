"""Type checkers know the package: what is right passes, what is wrong is found before it runs."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from eventuali import Event

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("typing_app.py")

INFERRED = """\
from typing_app import Clear, LastOf, Note, Order, clear, OrderPaid, OrderReturned
from eventuali import Event, EventStore, EventStoreConfig, Projection, Query, ReadModel, sync
from eventuali.command import CommandBus, UnitOfWork
from eventuali.sqlalchemy import AsyncSessions, Sessions
from eventuali.testing import Clock, assert_replays, given, given_streams, strategies, stream
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

class Paid(ReadModel): ...

class Payments(Projection[Paid]):
    def key(self, paid: OrderPaid) -> str:
        return paid.meta.aggregate_id

class OwnTables(Projection):
    def reset(self, connection: str) -> None: ...

def places(payments: Payments, free: Projection, store: sync.EventStore) -> None:
    reveal_type(payments.in_memory()["1"])
    reveal_type(free.into(Sessions(sessionmaker())))
    free.into(AsyncSessions(async_sessionmaker()))
    store.run(payments, payments.in_memory(), free.into(Sessions(sessionmaker())))

async def loading(store: EventStore) -> None:
    reveal_type(await store.load(Order, "1"))
    reveal_type(await store.load_one(Order, "1"))
    reveal_type(await EventStore.create("memory://"))
    async for event in store.read():
        reveal_type(event)
    async for paid in store.read(Query(event_types=[OrderPaid])):
        reveal_type(paid.amount)
    async with store.subscribe(Query(event_types=[OrderPaid], tags=["a"])) as payments:
        async for paid in payments:
            reveal_type(paid)
    reveal_type(Query(event_types=["OrderPaid"]))
    returned: Query[OrderPaid | OrderReturned] = Query(event_types=[OrderPaid, OrderReturned])
    async for either in store.read(returned):
        reveal_type(either)
    async for event in store.read(Query(event_types=[OrderPaid, OrderReturned, "old"]), limit=1):
        print(event.event_type)
    reveal_type(Query(event_types=[OrderPaid]) | Query(event_types=[OrderReturned]))
    reveal_type(await store.save(Order()))

async def sending(bus: CommandBus, work: UnitOfWork) -> None:
    reveal_type(await bus.send(Order()))
    reveal_type((await bus.send(Note(order_id="1", text="a"))).answer)
    reveal_type(await bus.ask(LastOf("1")))
    reveal_type(await work.load(Order, "1"))
    reveal_type(await work.load_or_new(Order, "1"))

async def deciding(store: EventStore, blocking: sync.EventStore) -> None:
    paid = Query(event_types=[OrderPaid])
    either = Query(event_types=[OrderPaid]) | Query(event_types=[OrderReturned])
    async def later(events: list[OrderPaid]) -> OrderReturned | None:
        return OrderReturned() if events else None

    def any_event(events: list[Event]) -> Event | None:
        return None

    await store.decide(paid, later)
    def of_either(events: list[OrderPaid | OrderReturned]) -> list[OrderReturned]:
        return []

    await store.decide(paid, any_event)
    await store.decide(Query(), any_event)
    await store.decide(either, of_either)
    await store.decide(Query(event_types=[OrderPaid, OrderReturned]), any_event)
    blocking.decide(Query(event_types=[OrderPaid]), any_event)
    blocking.decide(either, of_either)
    blocking.decide(paid, lambda events: OrderReturned() if events[0].amount else None)

def blocking(store: sync.EventStore) -> None:
    reveal_type(store.load(Order, "1"))
    reveal_type(EventStoreConfig.postgres("postgresql://").with_max_connections(2))

def fields(event: OrderPaid) -> None:
    reveal_type(event.amount)
    reveal_type(event.user_id)
    reveal_type(event.correlation_id)
    reveal_type(event.meta.user_id)
    reveal_type(event.meta.aggregate_id)
    reveal_type(event.recorded_at)

def paid(events: list[OrderPaid]) -> None: ...
async def paid_later(events: list[OrderPaid]) -> OrderPaid: return events[0]
def any_events(events: list[Event]) -> None: ...

async def kit(blocking: sync.EventStore, store: EventStore) -> None:
    reveal_type(given(Order).when(lambda order: order.id).aggregate)
    reveal_type(given(stream(Order, "1")).when(Payments()).then({"1": Paid()}))
    reveal_type(given().when(lambda events: None, Query(tags=["x"])).then_nothing())
    reveal_type(given().when(paid, Query(event_types=[OrderPaid])))
    reveal_type(given().when(paid_later, Query(event_types=[OrderPaid])))
    reveal_type(given().when(lambda paid: paid[0], Query(event_types=[OrderPaid])))
    reveal_type(given().when(any_events, Query(event_types=[OrderPaid])))
    reveal_type(given(Order).when(Note(order_id="1", text="a")).then_returns(1).aggregate)
    given(Order).when(Clear("1"))
    reveal_type(given_streams(stream(Order, "1")).when(Clear("1"), clear).then({(Order, "1"): []}))
    given_streams().when(lambda work: work.load_or_new(Order, "1"))
    reveal_type(assert_replays(Order, blocking, before="states.json"))
    reveal_type(await assert_replays(Order, store, before=Order))
    with Clock() as clock:
        sync.EventStore.create("memory://", clock=clock)
    reveal_type(strategies.events(OrderPaid))
"""
TYPES = [
    "inferred.Paid",
    "eventuali.projection._places.Placed",
    "typing_app.Order | None",
    "typing_app.Order",
    "eventuali.store.EventStore",
    "eventuali.event.Event",
    "decimal.Decimal",
    "typing_app.OrderPaid",
    "eventuali.query.Query[eventuali.event.Event]",
    "typing_app.OrderPaid | typing_app.OrderReturned",
    "eventuali.query.Query[typing_app.OrderPaid | typing_app.OrderReturned]",
    "eventuali._engine.pending_commit.Committed",
    "eventuali.command._dispatch.Handled[Any]",
    "str",
    "str",
    "typing_app.Order | None",
    "typing_app.Order",
    "typing_app.Order | None",
    "eventuali.config.EventStoreConfig",
    "decimal.Decimal",
    "int",
    "uuid.UUID | str | None",
    "str | None",
    "str | Any",
    "datetime.datetime | Any",
    "typing_app.Order",
    "eventuali.testing._projected.Projected",
    *["eventuali.testing._decisions.Decided"] * 5,
    "typing_app.Order",
    "eventuali.testing._streams.Transacted",
    "eventuali.testing._replays.Replayed",
    "eventuali.testing._replays.Replayed",
    "hypothesis.strategies._internal.strategies.SearchStrategy[typing_app.OrderPaid]",
]

IMPORTS = [
    "from decimal import Decimal",
    "from eventuali import EventStoreConfig, Query, sync",
    "from typing_app import *; from eventuali.command import handles",
    "from eventuali.context import metadata; from eventuali.testing import Clock, given",
    'store = sync.EventStore.create("memory://")',
    "def returned(events: list[OrderReturned]) -> None: ...",
]
MISTAKES = {
    "from eventuali import EventStor": "attr-defined",
    'OrderReturned(raeson="torn")': "call-arg",
    'OrderPaid(amount="much", user_id=1)': "arg-type",
    "OrderPaid(user_id=1)": "call-arg",
    "OrderReturned(position=1)": "call-arg",
    "OrderReturned(timestamp=1)": "arg-type",
    'Order(id="o-1").placed': "attr-defined",
    "Order().apply(Order())": "arg-type",
    "metadata(user_id=1)": "arg-type",
    'handles("Order")': "arg-type",
    'sync.EventStore.create("memory://", durability="none")': "arg-type",
    'sync.EventStore.create("memory://").load(OrderPaid, "1")': "type-var",
    'sync.EventStore.create("memory://").load(Order, "1").total': "union-attr",
    "OrderReturned().meta.aggregate_id + 1": "operator",
    "store.decide(Query(event_types=[OrderPaid]), returned)": "arg-type",
    "store.decide(Query(event_types=[OrderPaid]), lambda paid: paid[0].reason)": "attr-defined",
    'EventStoreConfig.postgres("postgresql://").with_max_connections("2")': "arg-type",
    'EventStoreConfig.postgres("postgresql://").schema = "shop"': "misc",
    "given(Order).when(lambda order: order.lost)": "attr-defined",
    'sync.CommandBus(store).ask(LastOf("1")) + 1': "operator",
    'sync.CommandBus(store).send(Note(order_id="1", text="a")).answer + 1': "operator",
    "given().when(returned, Query(event_types=[OrderPaid]))": "arg-type",
    "given(Order).when(lambda order: None).then(Order())": "arg-type",
    'given(Order).when("place")': "arg-type",
    'Clock("2025-01-01")': "arg-type",
    'sync.EventStore.create("memory://", clock="2025-01-01")': "arg-type",
}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The application, what is inferred beside it, and mistakes."""
    directory = tmp_path_factory.mktemp("typing")
    shutil.copy(APP, directory)
    (directory / "inferred.py").write_text(INFERRED)
    (directory / "mistaken.py").write_text("\n".join([*IMPORTS, *MISTAKES, ""]))
    return [str(directory / name) for name in ("typing_app.py", "inferred.py", "mistaken.py")]


@pytest.fixture(scope="module")
def checked(programs):
    """The lines that mypy says of each file, from one run."""
    done = run("mypy", "--strict", "--no-error-summary", *programs)
    assert done.stderr == ""
    said = {Path(name).name: [] for name in programs}
    for line in done.stdout.splitlines():
        said.setdefault(Path(line.partition(":")[0]).name, []).append(line)
    return said


@pytest.fixture(scope="module")
def checked_by_pyright(programs):
    """What pyright says of each file in its standard mode: line, severity and text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        check_types = importlib.import_module("check_types")
    said = {Path(name).name: [] for name in programs}
    for one in check_types.pyright_says(programs, Path(programs[0]).parent):
        line = one["range"]["start"]["line"] + 1
        said[Path(one["file"]).name].append((line, one["severity"], one["message"]))
    return said


def test_an_application_passes(checked, checked_by_pyright):
    assert checked_by_pyright["typing_app.py"] == []
    assert checked["typing_app.py"] == []
    assert list(checked) == ["typing_app.py", "inferred.py", "mistaken.py"]


def test_the_application_runs():
    done = subprocess.run([sys.executable, "-W", "error", APP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_types_are_inferred(checked):
    found = [re.search(r'Revealed type is "(.*)"', line) for line in checked["inferred.py"]]
    assert [type_ and type_[1].replace("builtins.", "") for type_ in found] == TYPES


def test_pyright_infers_the_same_types(checked_by_pyright):
    said = checked_by_pyright["inferred.py"]
    assert {severity for _, severity, _ in said} == {"information"}
    found = [re.search(r' is "(.*)"$', text)[1] for _, _, text in said]
    assert found == [re.sub(r"\w+\.", "", type_) for type_ in TYPES]


def test_mistakes_are_found_before_they_run(checked):
    errors = [line for line in checked["mistaken.py"] if ": error:" in line]
    found = {int(line.split(":")[1]): line.rsplit("[", 1)[-1].rstrip("]") for line in errors}
    assert found == dict(enumerate(MISTAKES.values(), len(IMPORTS) + 1))


def test_pyright_finds_the_same_mistakes(checked_by_pyright):
    said = checked_by_pyright["mistaken.py"]
    found = {line for line, severity, _ in said if severity == "error"}
    assert found == {len(IMPORTS) + 1 + index for index in range(len(MISTAKES))}


def test_a_misspelt_field_is_an_error_at_run_time_too():
    class OrderReturned(Event):  # like that of the application, which other tests need not know
        reason: str | None = None

    with pytest.raises(ValidationError, match="raeson"):
        OrderReturned(raeson="torn")


def test_the_package_passes():
    done = run("mypy", "--strict")  # the configuration names the package
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_describes_the_extension():
    done = run("mypy.stubtest", "eventuali._eventuali")
    assert done.returncode == 0, done.stdout + done.stderr
