"""Two versions of a program on one store: what each reads of the other, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest
from older_events import ORDER, older
from pydantic import BaseModel
from stores import each_shared, each_store, gathered, opened, run, url_of

from eventuali import Aggregate, Event, Query, UnknownEvent, sync, upcast
from eventuali._engine import encode
from eventuali.errors import SerializationError, UnknownEventTypeError

NAME = "up.paid"


class Line(BaseModel):
    model_config = {"extra": "forbid"}
    article: str


def first() -> type[Event]:
    class Paid(Event, name=NAME):
        amount: int
        lines: tuple[Line, ...] = ()

    return Paid


def second() -> type[Event]:
    class Paid(Event, name=NAME, version=2, readable_by=1):
        amount: int
        lines: tuple[dict[str, Any], ...] = ()
        method: str

        @upcast(1)
        @staticmethod
        def by_card(data: dict[str, Any]) -> dict[str, Any]:
            return data | {"method": "card"}

    return Paid


def third() -> type[Event]:
    class Paid(Event, name=NAME, version=3):
        cents: int
        method: str

        @upcast(1)
        @staticmethod
        def by_card(data: dict[str, Any]) -> dict[str, Any]:
            return data | {"method": "card"}

        @upcast(2)
        @staticmethod
        def in_cents(data: dict[str, Any]) -> dict[str, Any]:
            return {"cents": data["amount"] * 100, "method": data["method"]}

    return Paid


@each_store
def test_a_newer_event_is_read_where_it_says_so(kind, api, tmp_path):
    async def check(store):
        old, new = first(), second()
        store.register_event_class(NAME, new)
        await store.append([new(amount=5, method="cash", lines=({"article": "a", "many": 2},))])
        store.register_event_class(NAME, old)
        (event,) = await gathered(store.read())
        assert type(event) is old
        assert event.amount == 5
        assert event.model_extra == {"method": "cash"}  # kept, though this class doesn't know it
        assert event.lines[0].model_extra == {"many": 2}
        assert event.meta.event_version == 2
        await store.append([older(NAME, 9, {"amount": "five"}, readable_by=1)])
        with pytest.raises(SerializationError, match="does not fit its class"):
            await gathered(store.read())

    run(api, kind, tmp_path, check)


@each_store
@pytest.mark.parametrize("readable_by", [None, 2, 3])
def test_a_newer_event_is_refused_where_it_does_not(kind, api, readable_by, tmp_path):
    cls = first()

    class Order(Aggregate, name="Order"):
        def apply_paid(self, event: cls) -> None: ...

    async def check(store):
        store.register_event_class(NAME, cls)
        await store.append([older(NAME, 3, {"cents": 1}, readable_by)], stream=ORDER, expected=0)
        for read in (lambda: gathered(store.read()), lambda: store.load(Order, "o-1")):
            with pytest.raises(UnknownEventTypeError) as caught:
                await read()
            assert str(caught.value) == (
                "the up.paid at position 1 is stored in version 3, which classes from version "
                f"{readable_by or 3} on can read, and Paid has version 1; deploy the newer class, "
                "or read with raw=True"
            )
        (raw,) = await gathered(store.read(raw=True))
        assert isinstance(raw, UnknownEvent)
        assert (raw.data, raw.meta.event_version, raw.readable_by) == (
            {"cents": 1}, 3, readable_by)  # fmt: skip

    run(api, kind, tmp_path, check)


@each_shared
def test_three_programs_side_by_side(kind, tmp_path):
    place = url_of(kind, tmp_path)

    async def check(v1):
        async with opened("async", place) as v2, opened("sync", place) as v3:
            classes = dict(zip((v1, v2, v3), (first(), second(), third()), strict=True))
            for store, cls in classes.items():
                store.register_event_class(NAME, cls)
            await v1.append([classes[v1](amount=1)])
            await v2.append([classes[v2](amount=2, method="cash")])
            assert [event.amount for event in await gathered(v1.read())] == [1, 2]
            assert [event.method for event in await gathered(v2.read())] == ["card", "cash"]
            assert [event.cents for event in await gathered(v3.read())] == [100, 200]
            await v3.append([classes[v3](cents=5, method="cash")])
            for store in (v1, v2):
                with pytest.raises(UnknownEventTypeError, match="deploy the newer class"):
                    await gathered(store.read())
            assert len(await gathered(v3.read())) == 3
            assert len(await gathered(v1.read(raw=True))) == 3

    run("async", kind, tmp_path, check)


@each_store
def test_without_readable_by_the_codec_is_as_before(kind, api, tmp_path):
    async def check(store):
        old, new = first(), second()
        await store.append([old(amount=1)])
        store.register_event_class(NAME, new)
        await store.append([new(amount=1, method="x")])
        raw = await gathered(store.read(raw="all"))
        assert [event.readable_by for event in raw] == [None, 1]

    run(api, kind, tmp_path, check)


@each_store
def test_a_codec_that_is_not_known_is_refused(kind, api, tmp_path, monkeypatch):
    async def check(store):
        for codec in ("json;readable_by=", "json;readable_by=x", "json+zstd", "json;else=1"):
            monkeypatch.setattr(encode, "codec_name", lambda given, codec=codec: codec)
            await store.append([older(NAME, 1, {"amount": 1})])
        monkeypatch.undo()
        for position in range(4):
            with pytest.raises(SerializationError, match="a newer release wrote it"):
                await gathered(store.read(Query(event_types=[NAME]), after=position, limit=1))

    run(api, kind, tmp_path, check)


def test_raw_is_one_of_three():
    with (
        sync.EventStore.create("memory://") as store,
        pytest.raises(ValueError, match="raw must be True, False or 'all'"),
    ):
        store.read(raw="some")
