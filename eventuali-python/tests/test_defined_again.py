"""Classes of events that are defined again, as by a cell of a notebook that runs again.

What was defined with the class before, and doesn't run again, goes on with the new one.
"""

from __future__ import annotations

import asyncio
import sys
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from older_events import ORDER, followed, older
from pots import running
from stores import each_store, gathered, opened, run, url_of

from eventuali import Aggregate, Event, InvalidEventError, Query
from eventuali.errors import UnknownEventTypeError, UpcastError

CELL = """
from eventuali import Aggregate, Event, Projection, ReadModel, upcast

class Placed(Event, name="again.placed"):
    sku: str
"""
AGAIN = """
class Placed(Event, name="again.placed", version=2, formerly="again.was-placed"):
    sku: str
    count: int

    @upcast(1)
    @staticmethod
    def one(data):
        return data | {"count": 1}
"""


class Notebook:
    """A module without a file, whose cells run one by one."""

    def __init__(self) -> None:
        self.module = sys.modules["again_notebook"] = ModuleType("again_notebook")
        self.run(CELL)

    def run(self, cell: str) -> None:
        exec(dedent(cell), vars(self.module))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


@pytest.fixture
def notebook():
    yield Notebook()
    del sys.modules["again_notebook"]


@pytest.mark.parametrize("annotation", [": Placed", ""], ids=["annotated", "by name"])
@each_store
def test_handlers_of_an_aggregate_take_the_newest_definition(
    kind, api, annotation, notebook, tmp_path
):
    notebook.run(f"""
        class Order(Aggregate, name="Order"):
            placed: tuple = ()

            def apply_placed(self, event{annotation}):
                self.placed = (*self.placed, event)
    """)
    order, old = notebook.Order, notebook.Placed(sku="a")

    async def check(store):
        first = order(id="o-1")
        first.apply(old)
        await store.save(first)
        assert (await store.load_one(order, "o-1")).placed == (old,)
        notebook.run(AGAIN)
        new = notebook.Placed
        again = await store.load_one(order, "o-1")
        again.apply(new(sku="b", count=2))
        await store.save(again)
        was = older("again.was-placed", 1, {"sku": "c"})
        await store.append([was], stream=ORDER, expected=2)
        wanted = (new(sku="a", count=1), new(sku="b", count=2), new(sku="c", count=1))
        loaded = await store.load_one(order, "o-1")
        assert loaded.placed == wanted
        assert {type(event) for event in loaded.placed} == {new}
        assert tuple(await gathered(store.read())) == wanted
        assert tuple(await store.load_events("o-1")) == wanted
        steps = await gathered(store.history(order, "o-1"))
        assert tuple(step.event for step in steps) == wanted

    run(api, kind, tmp_path, check)


@each_store
def test_what_is_ignored_stays_ignored(kind, api, notebook, tmp_path):
    notebook.run("""
        class Order(Aggregate, name="Order"):
            ignores = (Placed,)
    """)

    async def check(store):
        notebook.run(AGAIN)
        order = notebook.Order(id="o-1")
        order.apply(notebook.Placed(sku="a", count=1))
        await store.save(order)
        # A name that only the new definition has, and what it can't read, need no decoding.
        was = older("again.was-placed", 1, {"article": "b"})
        await store.append([was], stream=ORDER, expected=1)
        assert (await store.load_one(notebook.Order, "o-1")).version == 2

    run(api, kind, tmp_path, check)


def test_handlers_of_a_base_take_subclasses_of_its_newest_definition(notebook):
    notebook.run("""
        class Order(Aggregate, name="Order"):
            placed: int = 0

            def apply_placed(self, event: Placed):
                self.placed += 1
    """)
    notebook.run(AGAIN)
    notebook.run("""
        class PlacedByPhone(Placed, name="again.phoned"):
            pass
    """)
    order = notebook.Order(id="o-1")
    order.apply(notebook.PlacedByPhone(sku="a", count=1))
    assert order.placed == 1


def test_a_class_that_is_defined_again_as_retired_is_applied_no_more(notebook):
    notebook.run("""
        class Order(Aggregate, name="Order"):
            def apply_placed(self, event: Placed): ...
    """)
    notebook.run("""
        class Placed(Event, name="again.placed", retired=True):
            pass
    """)
    with pytest.raises(InvalidEventError, match="Placed is retired"):
        notebook.Order(id="o-1").apply(notebook.Placed())


def test_classes_of_functions_stay_apart(tmp_path):
    """Two calls of a function make two classes, though one module defines a class only once."""

    def shop(version: int):
        class Sold(Event, name="again.sold", version=version):
            number: int

        class Till(Aggregate, name="Till"):
            sold: int = 0

            def apply_sold(self, event: Sold) -> None:
                self.sold = event.number

        return Sold, Till

    (sold, till), (other, _) = shop(1), shop(2)
    till(id="t-1").apply(sold(number=1))
    with pytest.raises(InvalidEventError, match="no handler for Sold"):
        till(id="t-1").apply(other(number=1))

    async def check(store):
        one = till(id="t-1")
        one.apply(sold(number=1))
        await store.save(one)
        assert (await store.load_one(till, "t-1")).sold == 1
        await store.append([older("again.sold", 2, {"number": 2})], stream=("Till", "t-1"))
        with pytest.raises(UnknownEventTypeError):
            await store.load_one(till, "t-1")

    run("sync", "memory", tmp_path, check)


# --- projections ----------------------------------------------------------------------------------

PROJECTION = """
class Sale(ReadModel):
    skus: str = ""

class Sales(Projection[Sale], name="again.sales"{}):
    def on_placed(self, event: Placed, doc: Sale | None) -> Sale:
        return Sale(skus=(doc.skus if doc else "") + event.sku + str(getattr(event, "count", 0)))
"""


@each_store
def test_handlers_of_a_projection_take_the_newest_definition(kind, api, notebook, tmp_path):
    notebook.run(PROJECTION.format(""))

    async def check(store):
        await store.append([notebook.Placed(sku="a")], stream=ORDER, expected=0)
        notebook.run(AGAIN)
        events = [notebook.Placed(sku="b", count=2), older("again.was-placed", 1, {"sku": "c"})]
        await store.append(events, stream=ORDER, expected=1)
        await store.rebuild(notebook.Sales())
        assert (await store.get(notebook.Sale, "o-1")).skus == "a1b2c1"
        folded = notebook.Sales().fold(await gathered(store.read()))
        assert folded["o-1"].skus == "a1b2c1"

    run(api, kind, tmp_path, check)


@each_store
def test_an_inline_projection_takes_the_newest_definition(kind, api, notebook, tmp_path):
    notebook.run(PROJECTION.format(", inline=True"))

    async def main():
        async with opened(api, url_of(kind, tmp_path), inline=[notebook.Sales()]) as store:
            await store.append([notebook.Placed(sku="a")], stream=ORDER, expected=0)
            notebook.run(AGAIN)
            await store.append([notebook.Placed(sku="b", count=2)], stream=ORDER, expected=1)
            was = older("again.was-placed", 1, {"sku": "c"})
            await store.append([was], stream=ORDER, expected=2)
            assert (await store.get(notebook.Sale, "o-1")).skus == "a0b2c1"

    asyncio.run(main())


# --- what retired classes become ------------------------------------------------------------------

RETIRED = """
class Bought(Event, name="again.bought", retired=True):
    @upcast(1, into=(Placed, Placed))
    @staticmethod
    def apart(data):
        return {"sku": data["one"]}, {"sku": data["two"]}

class Order(Aggregate, name="Order"):
    skus: tuple = ()

    def apply_placed(self, event: Placed):
        self.skus = (*self.skus, event.sku)
"""
PART_AGAIN = """
class Placed(Event, name="again.placed"):
    sku: str
    count: int = 1
"""


def bought() -> Event:
    return older("again.bought", 1, {"one": "a", "two": "b"})


@each_store
def test_parts_are_of_the_newest_definition(kind, api, notebook, tmp_path):
    notebook.run(RETIRED + PROJECTION.format(""))
    before = Query(event_types=[notebook.Placed])

    async def check(store):
        await store.append([bought()], stream=ORDER, expected=0)
        assert len(await gathered(store.read(before))) == 2
        notebook.run(PART_AGAIN)
        new = notebook.Placed
        parts = [new(sku="a", count=1), new(sku="b", count=1)]
        after = Query(event_types=[new])
        for query in (Query(), before, after, after | Query(tags=["none"])):
            events = await gathered(store.read(query))
            assert events == parts
            assert {type(event) for event in events} == {new}
        assert await followed(store, 2, after) == parts
        assert await store.count(after) == 1
        assert (await store.load_one(notebook.Order, "o-1")).skus == ("a", "b")
        assert await store.load_events("o-1") == parts
        await store.rebuild(notebook.Sales())
        assert (await store.get(notebook.Sale, "o-1")).skus == "a1b1"

    run(api, kind, tmp_path, check)


@each_store
def test_an_inline_projection_has_parts_of_the_newest_definition(kind, api, notebook, tmp_path):
    notebook.run(RETIRED + PROJECTION.format(", inline=True"))

    async def main():
        async with opened(api, url_of(kind, tmp_path), inline=[notebook.Sales()]) as store:
            await store.append([bought()], stream=ORDER, expected=0)
            notebook.run(PART_AGAIN)
            await store.append([bought()], stream=ORDER, expected=1)
            await store.append([notebook.Placed(sku="c")], stream=ORDER, expected=2)
            await store.append([bought()], stream=ORDER, expected=3)
            assert (await store.get(notebook.Sale, "o-1")).skus == "a0b0" + "a1b1c1a1b1"

    asyncio.run(main())


@each_store
def test_a_projection_that_runs_has_every_part(kind, api, notebook, tmp_path):
    notebook.run(RETIRED + PROJECTION.format(""))

    async def check(store):
        async with running(store, notebook.Sales()) as found:
            await store.append([notebook.Placed(sku="c")], stream=ORDER, expected=0)
            await found.wait_for(1)
            notebook.run(PART_AGAIN)
            await store.append([bought()], stream=ORDER, expected=1)
            await found.wait_for(2)
        assert (await store.get(notebook.Sale, "o-1")).skus.startswith("c0a")

    run(api, kind, tmp_path, check)


def test_a_part_that_is_defined_again_as_retired_is_refused(notebook, tmp_path):
    notebook.run(RETIRED)

    async def check(store):
        await store.append([bought()])
        notebook.run("""
            class Placed(Event, name="again.placed", retired=True):
                pass
        """)
        with pytest.raises(UpcastError, match="becomes a Placed, which was retired since"):
            await gathered(store.read())
        (raw,) = await gathered(store.read(raw=True))
        assert raw.data == {"one": "a", "two": "b"}

    run("sync", "memory", tmp_path, check)


@each_store
def test_a_retired_class_that_is_defined_again_counts_alone(kind, api, notebook, tmp_path):
    notebook.run(RETIRED)

    async def check(store):
        await store.append([bought()])
        assert len(await gathered(store.read(Query(event_types=[notebook.Placed])))) == 2
        notebook.run("""
            class Billed(Event, name="again.billed"):
                pass

            class Bought(Event, name="again.bought", retired=True):
                @upcast(1, into=Billed)
                @staticmethod
                def billed(data):
                    return ({},)
        """)
        assert await gathered(store.read()) == [notebook.Billed()]
        assert await gathered(store.read(Query(event_types=[notebook.Billed]))) == [
            notebook.Billed()
        ]
        assert await gathered(store.read(Query(event_types=[notebook.Placed]))) == []

    run(api, kind, tmp_path, check)
