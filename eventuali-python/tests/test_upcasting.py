"""Events of earlier versions: read through steps, wherever events are read."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest
from older_events import ORDER, fields, followed, older
from stores import each_store, gathered, run

from eventuali import (
    Aggregate,
    AppendCondition,
    Event,
    Projection,
    Query,
    ReadModel,
    UnknownEvent,
    upcast,
)

T = TypeVar("T")
NAME = "up.placed"


class Placed(Event, name=NAME, version=3):
    order_id: str
    total: Decimal
    currency: str
    lines: tuple[str, ...] = ()

    @upcast(1)
    @staticmethod
    def add_currency(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"currency": "EUR"}

    @upcast(2)
    @staticmethod
    def rename_id(data: dict[str, Any]) -> dict[str, Any]:
        changed = dict(data)
        changed["order_id"] = changed.pop("id")
        return changed


class Shipped(Event, name="up.shipped"):
    pass


class Order(Aggregate, name="Order"):
    total: Decimal = Decimal(0)
    currency: str = ""
    shipped: bool = False

    def apply_placed(self, event: Placed) -> None:
        self.total, self.currency = event.total, event.currency

    def apply_shipped(self, event: Shipped) -> None:
        self.shipped = True


class Totals(ReadModel):
    total: Decimal
    currency: str


class OfOrders(Projection[Totals], name="up.totals"):
    def on_placed(self, event: Placed, doc: Totals | None) -> Totals:
        return Totals(total=event.total, currency=event.currency)


ONE = {"id": "o-1", "total": "9.90"}
TWO = {"id": "o-1", "total": "9.90", "currency": "USD"}
NOW = {"order_id": "o-1", "total": Decimal("9.90"), "currency": "EUR", "lines": ()}


@each_store
def test_events_of_each_version_are_read_as_the_current_one(kind, api, tmp_path):
    async def check(store):
        current = Placed(order_id="o-3", total=Decimal(1), currency="CHF")
        await store.append([older(NAME, 1, ONE), older(NAME, 2, TWO), current])
        found = await gathered(store.read(Query(event_types=[Placed])))
        assert [type(event) for event in found] == [Placed] * 3
        assert fields(found[0]) == NOW
        assert fields(found[1]) == NOW | {"currency": "USD"}
        assert found[2] == current
        assert [(e.meta.event_type, e.meta.event_version) for e in found] == [
            (NAME, 1), (NAME, 2), (NAME, 3)]  # fmt: skip
        assert [event.event_version for event in found] == [1, 2, 3]

    run(api, kind, tmp_path, check)


@each_store
def test_every_way_of_reading_takes_the_steps(kind, api, tmp_path):
    async def check(store):
        given = [older(NAME, 1, ONE), Shipped()]
        await store.append(given, stream=ORDER, expected=0)
        order = await store.load_one(Order, "o-1")
        assert (order.total, order.currency, order.shipped) == (Decimal("9.90"), "EUR", True)
        assert (await store.load_one(Order, "o-1", at_version=1)).currency == "EUR"
        assert (await store.load_many(Order, ["o-1"]))["o-1"].currency == "EUR"
        steps = await gathered(store.history(Order, "o-1"))
        assert [type(step.event) for step in steps] == [Placed, Shipped]
        assert steps[0].state.currency == "EUR"
        assert fields((await store.load_events("o-1"))[0]) == NOW
        assert fields((await store.get_events("o-1"))[0]) == NOW
        assert fields((await store.load_events_by_type("Order"))[0]) == NOW
        (first,) = await followed(store, 1, Query(event_types=[Placed]))
        assert fields(first) == NOW
        backwards = await gathered(store.read(backwards=True))
        assert [type(event) for event in backwards] == [Shipped, Placed]

        seen = []

        def decide(events):
            seen.extend(events)
            return []

        await store.decide(Query(event_types=[Placed]), decide)
        assert [fields(event) for event in seen] == [NOW]

    run(api, kind, tmp_path, check)


@each_store
def test_read_models_are_built_through_the_steps(kind, api, tmp_path):
    async def check(store):
        await store.append([older(NAME, 1, ONE)], stream=ORDER, expected=0)
        await store.rebuild(OfOrders())
        assert await store.get(Totals, "o-1") == Totals(
            key="o-1", total=Decimal("9.90"), currency="EUR"
        )

    run(api, kind, tmp_path, check)


@each_store
def test_what_is_stored_never_changes(kind, api, tmp_path):
    async def check(store):
        event = older(NAME, 1, ONE, readable_by=1)
        await store.append([event])
        (stored,) = await gathered(store.read(raw="all"))
        assert (stored.payload, stored.meta.event_version, stored.readable_by) == (
            event.payload, 1, 1)  # fmt: skip
        (read,) = await gathered(store.read())
        await store.append([read.model_copy()])
        *_, copy = await gathered(store.read(raw="all"))
        assert copy.meta.event_version == 3
        assert copy.data == {
            "order_id": "o-1", "total": "9.90", "currency": "EUR", "lines": []}  # fmt: skip
        assert copy.readable_by is None

    run(api, kind, tmp_path, check)


@each_store
def test_an_event_that_was_read_equals_one_that_is_made(kind, api, tmp_path):
    async def check(store):
        await store.append([older(NAME, 1, ONE)])
        (event,) = await gathered(store.read())
        assert event == Placed(order_id="o-1", total=Decimal("9.90"), currency="EUR")
        twin = pickle.loads(pickle.dumps(event))
        assert twin == event
        assert twin.meta == event.meta

    run(api, kind, tmp_path, check)


@each_store
def test_conditions_and_counts_find_every_version(kind, api, tmp_path):
    async def check(store):
        await store.append([older(NAME, 1, ONE), older(NAME, 2, TWO)])
        query = Query(event_types=[Placed])
        assert await store.count(query) == 2
        with pytest.raises(Exception, match="matches"):
            await store.append([Shipped()], condition=AppendCondition(query, after=1))

    run(api, kind, tmp_path, check)


class Exact(Event, name="up.exact", version=2):
    whole: int
    real: float
    text: str
    data: bytes
    deep: Any = None

    @upcast(1)
    @staticmethod
    def nothing(data: dict[str, Any]) -> dict[str, Any]:
        return data


@pytest.mark.parametrize(
    "deep",
    [
        10**30,
        -(2**63) - 1,
        0.1 + 0.2,
        5e-324,
        1.7976931348623157e308,
        "é\u2028\x00",
        [[], {}, [{"a": [None, True]}]],
        {"": 0},
    ],
)
def test_values_come_through_a_step_exactly(deep, tmp_path):
    event = Exact(whole=10**30, real=-0.0, text="\U0001f600", data=b"\xff\x00", deep=deep)

    async def check(store):
        await store.append([event])
        (stored,) = await gathered(store.read(raw="all"))
        await store.append([older("up.exact", 1, stored.payload)])
        native, read = await gathered(store.read())
        assert read == native == event
        assert repr(read.model_dump()) == repr(native.model_dump())

    run("sync", "memory", tmp_path, check)


def test_json_that_no_event_writes_is_read_as_without_a_step(tmp_path):
    payload = b'{"whole":1,"whole":2,"real":1e400,"text":"","data":"","deep":1.10}'

    async def check(store):
        await store.append([older("up.exact", 1, payload), older("up.exact", 2, payload)])
        through, native = await gathered(store.read())
        assert through == native
        assert (through.whole, through.real) == (2, float("inf"))

    run("sync", "memory", tmp_path, check)


class Changed(Event, Generic[T], name="up.changed", version=2, formerly="up.edited"):
    new: T

    @upcast(1)
    @staticmethod
    def rename(data: dict[str, Any]) -> dict[str, Any]:
        return {"new": data["value"]}


def test_a_generic_class_has_the_steps_of_its_origin(tmp_path):
    cls = Changed[int]
    assert (cls.__event_type__, cls.__formerly__) == ("up.changed[int]", ("up.edited[int]",))

    async def check(store):
        await store.append([older("up.changed[int]", 1, {"value": 1})])
        await store.append([older("up.edited[int]", 2, {"new": 2})])
        assert await gathered(store.read()) == [cls(new=1), cls(new=2)]

    run("sync", "memory", tmp_path, check)


def test_what_a_class_says_about_its_versions_can_be_asked():
    assert isinstance(Placed.__upcasters__, Mapping)
    assert list(Placed.__upcasters__) == [1, 2]
    assert Placed.__upcasters__[1]({"a": 1}) == {"a": 1, "currency": "EUR"}
    assert Placed.add_currency({}) == {"currency": "EUR"}
    assert (Placed.__readable_by__, Placed.__formerly__, Placed.__becomes__) == (None, (), None)
    assert Placed.model_fields.keys() == {"order_id", "total", "currency", "lines"}


def test_steps_are_not_inherited():
    class Special(Placed, name="up.special"):
        pass

    assert (Special.__event_version__, dict(Special.__upcasters__)) == (1, {})


def test_a_raw_event_keeps_who_can_read_it():
    event = older(NAME, 7, ONE, readable_by=2)
    for twin in (pickle.loads(pickle.dumps(event)), event.__copy__()):
        assert isinstance(twin, UnknownEvent)
        assert twin.readable_by == 2
