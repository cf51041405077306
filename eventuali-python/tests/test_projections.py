"""Folding events into documents, and asking for them: `Projection`, `ReadModel`, `get`, `find`."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import pytest
from labels import label
from pots import (
    SAFETY,
    Owner,
    Pot,
    PotBroken,
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
    pour,
    put,
    running,
    sums,
    until_status,
)
from stores import each_store, gathered
from stores import run as run_on
from support import tree

from eventuali import (
    Documents,
    Event,
    Projection,
    ReadModel,
    Retry,
    SerializationError,
    sync,
)
from eventuali._engine import find as finding
from eventuali.errors import InvalidEventError, ProjectionError
from eventuali.projection import ProjectionStatus


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(6 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


# --- the pure fold --------------------------------------------------------------------------------


@each_store
def test_documents_are_the_fold(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 3, 4)
        await make(store, "b", "Bob")
        await put(store, "b", PotBroken())
        (status,) = await caught_up(store, Pots())
        assert status.name == "Pots"
        assert await everything(store, Pot) == {"a": {"owner": "Ada", "content": 7, "events": 3}}
        pot = await store.get(Pot, "a")
        assert (type(pot), pot.key, pot.owner, pot.content) == (Pot, "a", "Ada", 7)
        assert await store.get(Pot, "b") is None
        assert await store.get(Pot, "c") is None

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("seed", range(3))
def test_any_log_gives_the_fold(api, kind, seed, tmp_path):
    async def test(store):
        writer = Writer((kind, api, seed))
        for count in (700, 1, 0, 1500):  # pages of a thousand
            await writer.write(store, count)
            await caught_up(store, Pots(), sums(store))
            await check_pots(store)
            await check_sums(store)
        events = await gathered(store.read())
        folded = Pots().fold(events)
        assert {k: d.model_dump() for k, d in folded.items()} == await everything(store, Pot)

    run(api, kind, tmp_path, test)


@each_store
def test_nothing_is_stored_and_nothing_concerns_it(api, kind, tmp_path):
    async def test(store):
        assert await store.get(Pot, "a") is None
        found = await store.find(Pot)
        assert (list(found), found.next) == ([], None)
        assert list(await store.find(Pot, owner="Ada")) == []
        async with running(store, Pots(), sums(store)) as running_:
            await running_.wait_for(0, timeout=SAFETY)
            for number in (0, 1):
                status = await until_status(running_, "live", number)
                assert (status.position, status.lag, status.handled) == (0, 0, 0)
                assert (status.lag_time, status.error, status.failed_at) == (None, None, None)
            await running_.wait_for(await put(store, "a", PotSeen(), PotSeen()), timeout=SAFETY)
            await running_.wait_for(await put(store, None, PotSeen()), timeout=SAFETY)
            assert [s.handled for s in running_.status()] == [0, 0]
        assert await everything(store, Pot) == {}
        (status,) = await caught_up(store, Pots())
        assert status.handled == 0
        assert await everything(store, Pot) == {}

    run(api, kind, tmp_path, test)


class Shelf(ReadModel):
    made: int = 0
    filled: int = 0


class Shelves(Projection[Shelf]):
    """Has a key of its own, or none."""

    def key(self, event):
        owner = getattr(event, "owner", "nobody")
        return None if owner == "skipped" else owner

    def on_made(self, event: PotMade, doc: Shelf | None) -> Shelf:
        doc = doc or Shelf()
        doc.made += 1
        return doc

    def on_filled(self, event: PotFilled, doc: Shelf | None) -> Shelf:
        doc = doc or Shelf()
        doc.filled += event.amount
        return doc


@each_store
def test_an_event_without_a_stream_has_only_a_key_that_the_projection_gives(api, kind, tmp_path):
    async def test(store):
        await put(store, None, PotMade(owner="Ada"), filled(3), PotMade(owner="Ada"))
        await put(store, "a", PotMade(owner="skipped"))
        statuses = await caught_up(store, Pots(), Shelves(), sums(store))
        assert await everything(store, Pot) == {
            "a": {"owner": "skipped", "content": 0, "events": 1}
        }
        wanted = {"Ada": {"made": 2, "filled": 0}, "nobody": {"made": 0, "filled": 3}}
        assert await everything(store, Shelf) == wanted
        folded = Shelves().fold(await gathered(store.read()))
        assert {key: each.model_dump() for key, each in folded.items()} == wanted
        await check_sums(store)
        assert (await store.get(Owner, "nowhere")).pots == 1
        assert [each.handled for each in statuses] == [4, 4, 4]

    run(api, kind, tmp_path, test)


@each_store
def test_an_event_without_a_stream_has_no_key_by_itself(api, kind, tmp_path):
    async def test(store):
        await pour(store, 1, stream="s")
        astray = await put(store, None, Poured(amount=2))
        async with running(store, pouring(lambda: "x")) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        assert "key" in str(status.error)
        assert status.failed_at == astray.position
        with pytest.raises(ProjectionError, match="key"):
            pouring(lambda: "x").fold([Poured(amount=1)])

    run(api, kind, tmp_path, test)


@each_store
def test_deleted_and_made_again(api, kind, tmp_path):
    async def test(store):
        for owner in ("Ada", "Bob", "Cleo"):
            await make(store, "a", owner, 1)
            await put(store, "a", PotBroken())  # all in one page
        await make(store, "a", "Dora", 5)
        await caught_up(store, Pots(), sums(store))
        assert (await store.get(Pot, "a")).model_dump() == {
            "owner": "Dora",
            "content": 5,
            "events": 2,
        }
        for owner in ("Eve", "Fay"):
            await put(store, "a", PotBroken())
            await caught_up(store, Pots(), sums(store))  # each in a page of its own
            assert await store.get(Pot, "a") is None
            assert list(await store.find(Pot)) == []
            assert list(await store.find(Pot, owner__ge="")) == []
            await make(store, "a", owner)
            await caught_up(store, Pots(), sums(store))
            assert [pot.owner for pot in await store.find(Pot, owner__ge="")] == [owner]
        await check_sums(store)

    run(api, kind, tmp_path, test)


@each_store
def test_an_event_before_the_first_has_no_document_to_go_to(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        early = await put(store, "b", filled(2))
        await make(store, "c", "Cleo", 3)
        async with running(store, Pots()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        assert "on_filled" in str(status.error)
        assert status.failed_at == early.position
        assert list(await everything(store, Pot)) == ["a"]
        with pytest.raises(ProjectionError, match="on_filled"):
            Pots().fold(await gathered(store.read()))

    run(api, kind, tmp_path, test)


class LidMoved(Event):
    lid: int = 1


class LidOpened(LidMoved):
    pass


class LidClosed(LidMoved):
    pass


class LidLost(LidClosed):
    pass


@each_store
def test_a_handler_of_a_base_class_takes_its_subclasses(api, kind, tmp_path):
    """But for those that another handler is nearer to; a class may be made after the projection."""

    class Lids(Projection[Total]):
        def on_moved(self, event: LidMoved, doc: Total | None) -> Total:
            return Total(events=(doc.events if doc else 0) + 1)

        def on_closed(self, event: LidClosed, doc: Total | None) -> Total:
            return Total(events=(doc.events if doc else 0) + 100)

    class LidTurned(LidMoved):
        pass

    async def test(store):
        await put(store, "a", LidOpened(), LidMoved(), LidTurned())
        committed = await put(store, "a", LidClosed(), LidLost(), PotSeen())
        view = Lids().in_memory()
        async with running(store, Lids()) as stored, running(store, view) as shown:
            for each in (stored, shown):
                await each.wait_for(committed, timeout=SAFETY)
        assert (await store.get(Total, "a")).events == view["a"].events == 203
        assert Lids().fold(await gathered(store.read()))["a"].events == 203

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("answer", ["None", "another", "a subclass", "no document"])
def test_what_is_no_document_is_refused(api, kind, answer, tmp_path):
    class Special(Pot, name="SpecialPot"):
        pass

    answers: dict[str, Any] = {
        "None": None,
        "another": Owner(),
        "a subclass": Special(owner="x"),
        "no document": {"owner": "x"},
    }

    class Forgetful(Projection[Pot]):
        def on_made(self, event: PotMade, doc: Pot | None) -> Pot:
            return Pot(owner=event.owner)

        def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
            doc.content = 99
            return answers[answer]

    async def test(store):
        await make(store, "a", "Ada", 1)
        async with running(store, Forgetful()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, ProjectionError)
        assert "Forgetful.on_filled" in str(status.error)
        assert status.failed_at == await end_of(store)
        assert (await store.get(Pot, "a")).content == 0
        with pytest.raises(ProjectionError, match=r"Forgetful\.on_filled"):
            Forgetful().fold(await gathered(store.read()))

    run(api, kind, tmp_path, test)


def test_a_fold_goes_on_with_documents_and_needs_no_store(tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1, 2)
        await put(store, "b", PotSeen())
        events = await gathered(store.read())
        documents = Pots().fold(events[:2])
        assert documents["a"].content == 1
        assert Pots().fold(events[2:], documents) is documents
        assert documents["a"].content == 3
        assert Pots().fold([]) == {}
        with pytest.raises(TypeError, match="free form"):
            sums(store).fold(events)

    run("async", "memory", tmp_path, test)


def test_a_fold_takes_events_that_were_applied_and_not_saved():
    from ledger import Counted, counted

    class Sum(ReadModel):
        total: int = 0

    class Adding(Projection[Sum]):
        def on_counted(self, event: Counted, doc: Sum | None) -> Sum:
            doc = doc or Sum()
            doc.total += event.number
            return doc

    ledger = counted("a", 1, 2, 3)
    assert Adding().fold(ledger._uncommitted)["a"].total == 6


# --- what can't be stored -------------------------------------------------------------------------


class Loose(ReadModel, index=("label",)):
    value: Any = None
    label: Any = None


def pouring(poison: Callable[[], dict[str, Any]]) -> Projection:
    """Puts the amount, and where that is negative, what is given."""

    class Pouring(Projection[Loose]):
        def on_poured(self, event: Poured, doc: Loose | None) -> Loose:
            if event.amount >= 0:
                return Loose(value=event.amount, label=event.amount)
            return Loose.model_construct(**{"value": None, "label": None} | poison())

    return Pouring()


class NoJson:
    pass


class Colour(Enum):
    RED = (1, 2)


INEXACT = {
    "nan": {"value": float("nan")},
    "infinite": {"value": float("inf")},
    "a Decimal under Any": {"value": Decimal("1.0")},
    "a tuple under Any": {"value": (1, 2)},
    "an object": {"value": NoJson()},
    "a surrogate": {"value": "\ud800"},
}
UNINDEXED = {
    "a Decimal": {"label": Decimal("1.0")},
    "a naive datetime": {"label": datetime(2020, 1, 1)},
    "a list": {"label": [1]},
    "an enum of tuples": {"label": Colour.RED},
    "bytes": {"label": b"x"},
}
BEYOND = {
    "a text of 2,000 bytes": {"label": "x" * 2000},
    "an int of 400 digits": {"label": 10**400},
}


def poison_cases(cases: dict, **options):
    return pytest.mark.parametrize(
        "given", [pytest.param(given, id=name) for name, given in cases.items()], **options
    )


async def faulted_by(store, projection, good: str, bad: str) -> ProjectionStatus:
    """Stores a good event, a poison and a good one; returns what the projection says of it."""
    await put(store, good, Poured(amount=1))
    poison = await put(store, bad, Poured(amount=-1))
    await put(store, good, Poured(amount=2))
    async with running(store, projection) as found:
        status = await until_status(found, "faulted")
        with pytest.raises(ProjectionError) as told:
            await found.wait_for(poison, timeout=SAFETY)
        assert told.value.__cause__ is status.error
    assert status.failed_at == poison.position
    assert {key: each["value"] for key, each in (await everything(store, Loose)).items()} == {
        good: 1
    }
    return status


@each_store
@poison_cases(INEXACT)
def test_a_document_that_would_not_come_back_is_refused(api, kind, given, tmp_path):
    async def test(store):
        status = await faulted_by(store, pouring(lambda: given), "a", "b")
        assert isinstance(status.error, SerializationError)
        assert status.error.path == "value"
        assert "Loose.value" in str(status.error)

    run(api, kind, tmp_path, test)


@each_store
@poison_cases(UNINDEXED)
def test_a_value_that_has_no_order_is_refused(api, kind, given, tmp_path):
    async def test(store):
        status = await faulted_by(store, pouring(lambda: given), "a", "b")
        assert isinstance(status.error, TypeError | SerializationError)
        assert "label" in str(status.error)

    run(api, kind, tmp_path, test)


@each_store
@poison_cases(BEYOND)
def test_a_value_too_large_for_the_index_faults_the_projection_there(api, kind, given, tmp_path):
    async def test(store):
        await faulted_by(store, pouring(lambda: given), "a", "b")

    run(api, kind, tmp_path, test)


class Keyed(Projection[Loose]):
    keys: tuple[Any, Any] = ("good", "bad")

    def key(self, event):
        return self.keys[event.amount < 0]

    def on_poured(self, event: Poured, doc: Loose | None) -> Loose:
        return Loose(value=event.amount)


BAD_KEYS = {
    "too long": "x" * 256,
    "too long in UTF-8": "é" * 128,
    "empty": "",
    "a NUL": "a\0b",
    "a surrogate": "\ud800",
    "an int": 7,
    "bytes": b"a",
}


@each_store
@poison_cases(BAD_KEYS)
def test_a_key_that_no_document_can_have_faults_the_projection_there(api, kind, given, tmp_path):
    async def test(store):
        projection = Keyed()
        projection.keys = ("good", given)
        await faulted_by(store, projection, "good", "b")

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("key", ["x" * 255, "é" * 127, "a/b@c", "😀", "a b", "%_\\", "a\u0301"])
def test_any_other_key_is_taken_as_it_is(api, kind, key, tmp_path):
    async def test(store):
        projection = Keyed()
        projection.keys = (key, key)
        await put(store, None, Poured(amount=1), Poured(amount=-2))
        await caught_up(store, projection)
        found = await store.get(Loose, key)
        assert (found.key, found.value) == (key, -2)
        assert [each.key for each in await store.find(Loose)] == [key]

    run(api, kind, tmp_path, test)


# --- the free form --------------------------------------------------------------------------------


@each_store
def test_each_event_finds_what_those_before_it_wrote(api, kind, tmp_path):
    seen: list[tuple] = []

    async def handler(event, docs):
        one, other = await docs.get(Total, "n"), await docs.get(Shelf, "n")
        seen.append((one and one.events, other and other.filled))
        if one is not None:
            one.events = 1_000  # a copy, which nobody puts
        if event.amount == 3:
            docs.delete(Total, "n")
            docs.delete(Total, "never there")
        else:
            docs.put("n", Total(events=event.amount))
        shelf = Shelf(filled=event.amount)
        docs.put("n", shelf)
        shelf.filled = 1_000  # it was put before

    async def test(store):
        await pour(store, 1, 2)
        await caught_up(store, free(store, handler))
        await pour(store, 3, 4)
        await caught_up(store, free(store, handler))
        assert seen == [(None, None), (1, 1), (2, 2), (None, 3)]
        assert await everything(store, Total) == {"n": {"events": 4}}
        assert await everything(store, Shelf) == {"n": {"made": 0, "filled": 4}}

    run(api, kind, tmp_path, test)


@each_store
def test_a_document_that_a_handler_got_knows_its_key(api, kind, tmp_path):
    keys: list[str] = []

    async def handler(event, docs):
        if (found := await docs.get(Total, "n")) is not None:
            keys.append(found.key)
        docs.put("n", Total())

    async def test(store):
        await pour(store, 1, 2)
        await caught_up(store, free(store, handler))
        await pour(store, 3)
        await caught_up(store, free(store, handler))
        assert keys == ["n", "n"]

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("given", [*INEXACT.values(), *UNINDEXED.values()], ids=label)
def test_a_put_that_can_not_be_stored_raises_in_the_handler(api, kind, given, tmp_path):
    refused: list[Exception] = []

    async def handler(event, docs):
        docs.put("n", Loose(value=event.amount))
        with pytest.raises((SerializationError, TypeError)) as error:
            docs.put("n", Loose.model_construct(**{"value": None, "label": None} | given))
        refused.append(error.value)

    async def test(store):
        await pour(store, 1)
        await caught_up(store, free(store, handler))
        assert len(refused) == 1
        assert (await store.get(Loose, "n")).value == 1, "what was refused left no trace"

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_no_document_or_no_key_is_refused_in_the_handler(api, kind, tmp_path):
    async def handler(event, docs):
        for key, document in (("n", {}), ("n", Total), ("n", None), (7, Total()), (None, Total())):
            with pytest.raises(TypeError):
                docs.put(key, document)
        for model, key in ((Total, 7), (dict, "n"), (ReadModel, "n"), (Total(), "n")):
            with pytest.raises(TypeError):
                await docs.get(model, key)
            with pytest.raises(TypeError):
                docs.delete(model, key)
        streamless = event.meta.aggregate_id  # None, which type checkers do not see
        with pytest.raises(TypeError, match="belongs to no aggregate"):
            docs.put(streamless, Total())
        with pytest.raises(TypeError, match="belongs to no aggregate"):
            await docs.get(Total, streamless)
        with pytest.raises(TypeError, match="belongs to no aggregate"):
            docs.delete(Total, streamless)
        docs.put("n", Total())

    async def test(store):
        await pour(store, 1)
        await caught_up(store, free(store, handler))
        assert await everything(store, Total) == {"n": {"events": 0}}

    run(api, kind, tmp_path, test)


@each_store
@poison_cases({name: key for name, key in BAD_KEYS.items() if isinstance(key, str)})
def test_a_put_under_a_key_that_no_document_can_have_faults_there(api, kind, given, tmp_path):
    async def handler(event, docs):
        docs.put("good" if event.amount > 0 else given, Loose(value=event.amount))

    async def test(store):
        await faulted_by(store, free(store, handler), "good", "b")

    run(api, kind, tmp_path, test)


@each_store
def test_a_handler_of_the_free_form_that_returns_something_is_told(api, kind, tmp_path):
    class Returning(Projection):
        def on_poured(self, event: Poured, docs: Any) -> Any:
            docs.put("n", Total(events=event.amount))
            return Total() if event.amount == 2 else None

    async def test(store):
        await pour(store, 1, 2, 3)
        async with running(store, Returning()) as found:
            status = await until_status(found, "faulted")
        assert isinstance(status.error, TypeError)
        assert "docs.put" in str(status.error)
        assert (await store.get(Total, "n")).events == 1

    run(api, kind, tmp_path, test)


@each_store
def test_a_page_may_change_more_documents_than_one_commit_takes(api, kind, tmp_path):
    async def handler(event, docs):
        for number in range(11):
            docs.put(f"{event.amount}-{number}", Total(events=event.amount))

    async def test(store):
        await pour(store, *range(1000))
        (status,) = await caught_up(store, free(store, handler))
        assert status.handled == 1000
        assert len(await everything(store, Total)) == 11_000

    run(api, kind, tmp_path, test)


@each_store
def test_a_page_may_change_more_bytes_than_one_commit_takes(api, kind, tmp_path):
    class Large(Projection[Loose]):
        def on_poured(self, event: Poured, doc: Loose | None) -> Loose:
            return Loose(value="x" * 3_000_000)

    async def test(store):
        for number in range(7):
            await pour(store, number, stream=f"s{number}")
        await caught_up(store, Large())
        assert len(await everything(store, Loose)) == 7

    run(api, kind, tmp_path, test)


# --- asking ---------------------------------------------------------------------------------------


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Place(ReadModel, index=("city", "size", "score", "on", "at", "open", "level", "uid")):
    city: str | None
    size: int
    score: float
    on: date
    at: datetime
    open: bool
    level: Level
    uid: UUID
    note: str = "unindexed"


CITIES = ["", "a", "A", "ab", "abc", "b", "é", "e\u0301", "z", "😀", "\uffff", "%", "_", None]
START = datetime(2024, 1, 1, tzinfo=UTC)


def place(number: int) -> Place:
    """Makes one of many places; each value occurs several times."""
    chance = Random(number)
    return Place(
        city=chance.choice(CITIES),
        size=chance.choice([-(2**63), -1, 0, 1, 2, 3, 10, 2**53 + 1, 2**63 - 1]),
        score=chance.choice([-1e308, -1.5, 0.0, 0.5, 1.0, 2.0, 2.5, 1e300]),
        on=date(2024, 1, 1) + timedelta(days=chance.randrange(400)),
        at=START + timedelta(microseconds=chance.randrange(4), days=chance.randrange(3)),
        open=chance.random() < 0.5,
        level=chance.choice(list(Level)),
        uid=UUID(int=chance.randrange(5) << 100),
    )


class Places(Projection):
    def on_poured(self, event: Poured, docs: Any) -> None:
        if event.amount < 0:
            docs.delete(Place, f"k{-event.amount}")
        else:
            docs.put(f"k{event.amount}", place(event.amount))


@pytest.fixture(scope="module")
def every_place():
    return {f"k{number}": place(number) for number in range(150)}


@pytest.fixture(scope="module")
def ask(every_place, tmp_path_factory):
    """Runs a test that asks on a store that shows every place; one that lasts is filled once."""
    folder = tmp_path_factory.mktemp("places")

    def ask(api, kind, test):
        async def shown(store):
            if await end_of(store) == 0:
                await pour(store, *range(len(every_place)))
                await caught_up(store, Places())
            await test(store)

        run(api, kind, folder, shown)

    return ask


LOOKUPS: dict[str, Callable[[Any, Any], bool]] = {
    "": lambda value, given: value == given,
    "ge": lambda value, given: value >= given,
    "gt": lambda value, given: value > given,
    "le": lambda value, given: value <= given,
    "lt": lambda value, given: value < given,
    "in": lambda value, given: value in given,
    "prefix": lambda value, given: value.startswith(given),
}


def rank(value: Any) -> Any:
    """What a value is ordered by; texts by their UTF-8."""
    if isinstance(value, Level):
        value = value.value
    return (
        value.encode()
        if isinstance(value, str)
        else str(value)
        if isinstance(value, UUID)
        else value
    )


def matching(documents: dict[str, Place], conditions: list[tuple]) -> list[str]:
    """Which documents meet all conditions, worked out apart."""
    found = []
    for key, document in documents.items():
        values = [(getattr(document, field), lookup, given) for field, lookup, given in conditions]
        if all(
            value is not None
            and LOOKUPS[lookup](
                value if lookup == "prefix" else rank(value),
                given
                if lookup == "prefix"
                else [rank(each) for each in given]
                if lookup == "in"
                else rank(given),
            )
            for value, lookup, given in values
        ):
            found.append(key)
    return found


async def find_all(store, limit: int, **options) -> list[Place]:
    """Finds page by page; each is full but the last."""
    found: list[Place] = []
    page = await store.find(Place, limit=limit, **options)
    while True:
        found += page
        if page.next is None:
            return found
        assert len(page) == limit
        page = await store.find(Place, limit=limit, after=page.next, **options)


async def backwards_and_counted(store, found: list[Place], order_by: str, limit: int, **where):
    """The other direction is the same from the end, and a count is the number of all that match."""
    back = await find_all(store, limit, order_by=f"-{order_by}", **where)
    assert back == found[::-1], (order_by, where)
    assert [each.key for each in back] == [each.key for each in found[::-1]]
    if order_by == "key" or order_by in {name.partition("__")[0] for name in where}:
        assert await store.count(Place, **where) == len(found), where


def name_of(field: str, lookup: str) -> str:
    return f"{field}__{lookup}" if lookup else field


@each_store
@pytest.mark.parametrize("field", sorted(Place.__indexed__))
def test_every_lookup_finds_what_it_says(api, kind, field, every_place, ask):
    async def test(store):
        values = sorted(
            {
                rank(v): v for d in every_place.values() if (v := getattr(d, field)) is not None
            }.items()
        )
        values = [value for _, value in values]
        for lookup in ("", "ge", "gt", "le", "lt", "in"):
            for given in values[:: max(1, len(values) // 10)]:
                given = [given, values[0], given] if lookup == "in" else given
                where = {name_of(field, lookup): given}
                found = await find_all(store, 7, **where)
                wanted = matching(every_place, [(field, lookup, given)])
                assert sorted(each.key for each in found) == sorted(wanted), where
                assert all(each == every_place[each.key] for each in found)
                order = [(rank(getattr(each, field)), each.key) for each in found]
                assert order == sorted(order), where
                await backwards_and_counted(store, found, field, 7, **where)
        assert list(await store.find(Place, **{f"{field}__in": []})) == []
        by_it = await find_all(store, 11, order_by=field)
        order = [(rank(getattr(each, field)), each.key) for each in by_it]
        assert order == sorted(order)
        assert len(by_it) == sum(getattr(d, field) is not None for d in every_place.values())

    ask(api, kind, test)


@each_store
def test_a_prefix_is_a_text_s_beginning_and_no_pattern(api, kind, every_place, ask):
    async def test(store):
        for given in ["", "a", "ab", "A", "e", "é", "%", "_", "😀", "\uffff", "x", "abcd"]:
            found = await find_all(store, 7, city__prefix=given)
            wanted = matching(every_place, [("city", "prefix", given)])
            assert sorted(each.key for each in found) == sorted(wanted), given
            await backwards_and_counted(store, found, "city", 7, city__prefix=given)
        with pytest.raises(TypeError, match="city"):
            await store.find(Place, city__prefix=3)

    ask(api, kind, test)


@each_store
def test_whole_numbers_are_looked_for_among_others(api, kind, every_place, ask):
    """An int given for a field of floats, and the other way round, is the number that it is."""

    async def test(store):
        for field, given in (("score", 1), ("score", 2), ("size", 1.0), ("size", 2.5)):
            for lookup in ("", "ge", "gt", "le", "lt", "in"):
                value = [given] if lookup == "in" else given
                found = await find_all(store, 7, **{name_of(field, lookup): value})
                wanted = matching(every_place, [(field, lookup, value)])
                assert sorted(each.key for each in found) == sorted(wanted), (field, lookup)

    ask(api, kind, test)


@each_store
@pytest.mark.parametrize(
    "conditions",
    [
        [("size", "ge", 0), ("size", "lt", 3)],
        [("size", "gt", 0), ("size", "le", 10), ("open", "", True)],
        [("open", "", True), ("level", "", Level.HIGH), ("city", "in", ["a", "b", "ab"])],
        [("city", "in", ["a", "b", "ab"]), ("size", "ge", 1)],
        [("city", "in", ["a", "b", "ab"]), ("city", "ge", "ab")],
        [("city", "prefix", "a"), ("city", "lt", "abc")],
        [("city", "prefix", "a"), ("city", "ge", "ab")],
        [("city", "ge", "ab"), ("city", "prefix", "a")],
        [("size", "", 1), ("size", "ge", 0)],
        [("size", "", 1), ("size", "le", 10)],
        [("size", "ge", 2), ("size", "gt", 0)],
        [("size", "gt", 2), ("size", "ge", 0)],
        [("size", "gt", 0), ("size", "", 0)],
        [("size", "lt", 2), ("size", "le", 10)],
        [("size", "ge", 3), ("size", "le", 0)],
        [("at", "ge", START), ("at", "lt", START + timedelta(days=1))],
    ],
    ids=lambda conditions: "-".join(name_of(f, lookup) for f, lookup, _ in conditions),
)
def test_all_conditions_hold(api, kind, conditions, every_place, ask):
    async def test(store):
        where = {name_of(field, lookup): given for field, lookup, given in conditions}
        wanted = sorted(matching(every_place, conditions))
        for order_by in (None, "key", "score", conditions[0][0]):
            # A page of each document only where an index of several equal values orders them.
            for limit in (1, 7) if order_by == conditions[0][0] else (7, 1000):
                found = await find_all(store, limit, order_by=order_by, **where)
                assert sorted(each.key for each in found) == wanted, (order_by, limit)
                if order_by == "key":
                    assert [each.key for each in found] == wanted
                elif order_by:
                    order = [(rank(getattr(each, order_by)), each.key) for each in found]
                    assert order == sorted(order)
                if order_by and limit > 1:
                    await backwards_and_counted(store, found, order_by, limit, **where)

    ask(api, kind, test)


@each_store
def test_counting_what_is_not_there(api, kind, tmp_path):
    async def test(store):
        assert await store.count(Place) == 0
        await pour(store, *range(20))
        await caught_up(store, Places())
        everything_ = await find_all(store, 100)
        assert await store.count(Place) == len(everything_) > 0
        await backwards_and_counted(store, everything_, "key", 3)
        with pytest.raises(ValueError, match="name"):
            await store.count(Place, name="x")
        with pytest.raises(TypeError, match="ReadModel"):
            await store.count(Event)
        with pytest.raises(ValueError, match="--key"):
            await store.find(Place, order_by="--key")

    run(api, kind, tmp_path, test)


@each_store
def test_documents_of_several_keys_at_once(api, kind, tmp_path):
    seen: list[list[str]] = []

    async def handler(event, docs):
        found = await docs.get_many(Total, ["b", "none", "a", "b", str(event.amount)])
        seen.append(list(found))
        docs.put(str(event.amount), Total(events=event.amount))
        assert (await docs.get_many(Total, [str(event.amount)])) == {
            str(event.amount): Total(events=event.amount)
        }
        docs.put("a", Total(events=len(found)))
        docs.put("b", Total())
        if event.amount == 3:
            docs.delete(Total, "a")

    async def test(store):
        await pour(store, 1, 2, 3, 1)
        await caught_up(store, free(store, handler))
        assert seen == [[], ["b", "a"], ["b", "a"], ["b", "1"]]

    run(api, kind, tmp_path, test)


@each_store
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("order_by", ["key", "city", "size"])
def test_a_page_goes_on_whatever_was_inserted_or_deleted(api, kind, seed, order_by, tmp_path):
    """What stays through all of it is found once, in its order."""
    print(f"seed {seed}")
    chance = Random(seed)

    async def test(store):
        there = set(range(0, 300, 2))
        await pour(store, *there)
        found, page, touched = [], None, set()
        async with running(store, Places()) as running_:
            await running_.wait_for(await end_of(store), timeout=SAFETY)
            while page is None or page.next is not None:
                after = None if page is None else page.next
                page = await store.find(Place, order_by=order_by, after=after, limit=20)
                found += page
                changes = chance.sample(range(1, 300), 20)
                changes += [int(each.key[1:]) for each in page[-2:]]  # where it goes on
                changes = list(dict.fromkeys(each for each in changes if each))
                touched |= set(changes)
                committed = await pour(store, *(-n if n in there else n for n in changes))
                there ^= set(changes)
                await running_.wait_for(committed, timeout=SAFETY)
        keys = [each.key for each in found]
        assert len(keys) == len(set(keys)) or touched
        order = [
            each.key if order_by == "key" else (rank(getattr(each, order_by)), each.key)
            for each in found
        ]
        assert order == sorted(set(order)), "in order, and none twice"
        steady = {f"k{n}" for n in there - touched if place(n).city is not None}
        assert steady <= set(keys)

    run(api, kind, tmp_path, test)


@each_store
def test_what_can_not_be_asked_is_refused(api, kind, tmp_path):
    async def test(store):
        for where in (
            {"note": "x"},
            {"nothing": 1},
            {"city__like": "x"},
            {"city__": "x"},
            {"__ge": 1},
            {"key": "x"},
            {"city": None},
            {"order_by": "note"},
            {"order_by": "nothing"},
            {"order_by": ""},
            {"limit": 0},
            {"limit": -1},
            {"limit": True},
            {"limit": 1.5},
            {"size__ge": None},
        ):
            with pytest.raises(ValueError, match=r"\w"):
                await store.find(Place, **where)
        for where in ({"size": Decimal(1)}, {"at": datetime(2020, 1, 1)}, {"size__ge": [1]}):
            with pytest.raises(TypeError):
                await store.find(Place, **where)
        for model in (ReadModel, dict, "Place", None, place(1)):
            with pytest.raises(TypeError):
                await store.find(model)
            with pytest.raises(TypeError):
                await store.get(model, "k1")
        for key in (None, 1, b"k1"):
            with pytest.raises(TypeError):
                await store.get(Place, key)

    run(api, kind, tmp_path, test)


@each_store
def test_odd_texts_are_looked_for_without_harm(api, kind, tmp_path):
    """Nothing has such a key or value, so nothing is found, or the text is refused by its name."""

    async def test(store):
        await pour(store, *range(20))
        await caught_up(store, Places())
        for text in ("a\0b", "\ud800", "x" * 5000, "'; --"):
            for ask in (
                lambda text=text: store.get(Place, text),
                lambda text=text: store.find(Place, city=text),
                lambda text=text: store.find(Place, city__prefix=text),
                lambda text=text: store.find(Place, city__in=[text]),
            ):
                with suppress(ValueError):
                    assert not await ask()
        for given in (2**63, -(2**63) - 1, 10**400):
            for lookup in ("", "in"):
                value = [given] if lookup else given
                with suppress(ValueError):
                    assert not await store.find(Place, **{name_of("size", lookup): value})

    run(api, kind, tmp_path, test)


@each_store
def test_the_end_is_said(api, kind, tmp_path):
    async def test(store):
        await pour(store, *range(20))
        await caught_up(store, Places())
        for where in ({}, {"order_by": "key"}, {"order_by": "size"}, {"size__ge": -(2**63)}):
            page = await store.find(Place, limit=20, **where)
            assert (len(page), page.next) == (20, None)
            page = await store.find(Place, limit=19, **where)
            last = await store.find(Place, limit=19, after=page.next, **where)
            assert (len(last), last.next) == (1, None)

    run(api, kind, tmp_path, test)


@each_store
def test_the_end_is_said_behind_the_last_of_several_values(api, kind, tmp_path):
    async def test(store):
        await pour(store, *range(20))
        await caught_up(store, Places())
        sizes = [place(number).size for number in range(20)]
        page = await store.find(Place, limit=20, size__in=sizes)
        assert (len(page), page.next) == (20, None)

    run(api, kind, tmp_path, test)


@each_store
def test_a_limit_is_a_number_of_documents(api, kind, tmp_path):
    async def test(store):
        await pour(store, *range(2500))
        await caught_up(store, Places())
        for where in ({}, {"order_by": "size"}):
            assert len(await store.find(Place, **where)) == 100
            assert len(await store.find(Place, limit=2400, **where)) == 2400
            assert len(await store.find(Place, limit=10**9, **where)) == 2500

    run(api, kind, tmp_path, test)


class Numbered(ReadModel, index=("number",)):
    number: int | float


@each_store
def test_large_and_mixed_numbers_have_one_order(api, kind, tmp_path):
    numbers = [-(2**70), -1.5, 0, 0.5, 1, 1.5, 2, 2**53 + 1, 2**62 + 1]

    class Numbers(Projection):
        def on_poured(self, event: Poured, docs: Any) -> None:
            docs.put(f"{event.amount}", Numbered(number=numbers[event.amount]))

    async def test(store):
        await pour(store, *range(len(numbers)))
        await caught_up(store, Numbers())
        found = await store.find(Numbered, order_by="number")
        assert [each.number for each in found] == numbers
        found = await store.find(Numbered, number__ge=0, number__le=2)
        assert [each.number for each in found] == [0, 0.5, 1, 1.5, 2]

    run(api, kind, tmp_path, test)


@each_store
def test_a_document_that_no_longer_fits_its_class_is_told(api, kind, tmp_path):
    class Changed(ReadModel, name="Pot", index=("owner", "content")):
        owner: int
        content: int

    async def test(store):
        await make(store, "a", "Ada")
        await caught_up(store, Pots())
        with pytest.raises(SerializationError, match="raise the version") as told:
            await store.get(Changed, "a")
        assert "'a'" in str(told.value)
        with pytest.raises(SerializationError):
            await store.find(Changed)

    run(api, kind, tmp_path, test)


@each_store
def test_tenants_do_not_see_each_other(api, kind, tmp_path):
    async def test(store):
        one, other = store.for_tenant("one"), store.for_tenant("other")
        await make(one, "a", "Ada", 1)
        await make(other, "a", "Bob", 2)
        await make(other, "b", "Bob", 3)
        await caught_up(one, Pots())
        assert await everything(other, Pot) == {}
        await caught_up(other, Pots(), sums(other))
        for each in (one, other):
            await check_pots(each)
        assert (await one.get(Pot, "a")).owner == "Ada"
        assert [pot.content for pot in await other.find(Pot, owner="Bob")] == [2, 3]
        assert list(await one.find(Pot, owner="Bob")) == []
        assert await everything(store, Pot) == {}
        assert await everything(one, Owner) == {}
        await one.rebuild(Pots())
        for each in (one, other):
            await check_pots(each)

    run(api, kind, tmp_path, test)


# --- read models ----------------------------------------------------------------------------------


class Rich(ReadModel, index=("name",)):
    name: str
    amount: Decimal = Decimal("0.10")
    tags: list[str] = []  # noqa: RUF012
    at: datetime | None = None
    by: dict[str, Decimal] = {}  # noqa: RUF012


class Richer(Rich, index=("extra",)):
    extra: int = 0


@each_store
def test_a_document_comes_back_as_it_was(api, kind, tmp_path):
    given = Richer(
        name="é😀",
        amount=Decimal("1.50"),
        tags=["x", ""],
        at=START,
        by={"a": Decimal("1E+5")},
        extra=2**62,
    )

    async def handler(event, docs):
        docs.put("rich", Rich(name="Ada"))
        docs.put("richer", given)

    async def test(store):
        await pour(store, 1)
        await caught_up(store, free(store, handler))
        found = await store.get(Richer, "richer")
        assert found == given
        assert tree(found) == tree(given)
        assert await store.get(Rich, "richer") is None, "each class has its own documents"
        assert [each.key for each in await store.find(Richer, name="é😀")] == ["richer"]
        assert [each.key for each in await store.find(Richer, extra__gt=0)] == ["richer"]
        with pytest.raises(ValueError, match="extra"):
            await store.find(Rich, extra=1)

    run(api, kind, tmp_path, test)


@each_store
def test_documents_survive_copying(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        await caught_up(store, Pots())
        (pot,) = await store.find(Pot)
        for again in copies(pot):
            assert again == pot
        page = pickle.loads(pickle.dumps(await store.find(Pot, limit=1)))
        assert page == [pot]

    run(api, kind, tmp_path, test)


def copies(pot: Pot) -> list[Pot]:
    return [
        pickle.loads(pickle.dumps(pot)),
        copy.copy(pot),
        copy.deepcopy(pot),
        pot.model_copy(),
        pot.model_copy(deep=True),
    ]


@each_store
def test_copies_know_their_key(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        await caught_up(store, Pots())
        (pot,) = await store.find(Pot)
        assert [again.key for again in copies(pot)] == ["a"] * 5

    run(api, kind, tmp_path, test)


def test_a_new_document_has_no_key():
    pot = Pot(owner="Ada")
    with pytest.raises(AttributeError):
        _ = pot.key
    assert pickle.loads(pickle.dumps(pot)) == pot
    assert "key" not in pot.model_dump()


def test_statuses_and_retries_survive_pickling():
    status = ProjectionStatus(
        name="Pots",
        version=1,
        state="faulted",
        rebuilding=False,
        position=3,
        lag=4,
        lag_time=timedelta(seconds=1),
        rate=1.5,
        handled=3,
        error=None,
        failed_at=4,
    )
    for given in (status, Retry(3, backoff=0.5)):
        assert pickle.loads(pickle.dumps(given)) == given
    with pytest.raises(AttributeError):
        status.state = "live"


@pytest.mark.filterwarnings("ignore:Field name")
def test_read_models_that_can_not_be(tmp_path):
    with pytest.raises(TypeError, match="nothing"):

        class Missing(ReadModel, index=("nothing",)):
            owner: str

    with pytest.raises(TypeError, match="tuple"):

        class Text(ReadModel, index="owner"):
            owner: str

    with pytest.raises(TypeError, match="key"):

        class Key(ReadModel):
            key: str

    with pytest.raises(InvalidEventError):

        class Empty(ReadModel, name=""):
            owner: str

    with pytest.raises(InvalidEventError):

        class Control(ReadModel, name="a\nb"):
            owner: str


@pytest.mark.parametrize("field", ["order_by", "after", "limit", "model"])
def test_a_field_of_the_index_can_be_asked_for(field):
    """A name that `find` has for itself can't be searched, so the class must not promise it."""
    with pytest.raises(TypeError, match=field):
        type("Clash", (ReadModel,), {"__annotations__": {field: int}}, index=(field,))


@each_store
@pytest.mark.parametrize("name", ["a/b", "a@b", "x" * 200])
def test_a_name_with_a_mark_of_the_store_is_refused(api, kind, name, tmp_path):
    """By its class, or at the latest where it is run; nothing waits for what can't be."""

    def named() -> Projection:
        class Named(Projection[Loose], name=name):
            def on_poured(self, event: Poured, doc: Loose | None) -> Loose:
                return Loose()

        return Named()

    def of_named() -> Projection:
        class Model(ReadModel, name=name):
            value: int = 0

        class Plain(Projection[Model]):
            def on_poured(self, event: Poured, doc: Model | None) -> Model:
                return Model()

        return Plain()

    async def told(store, make_one) -> BaseException | None:
        try:
            async with running(store, make_one()) as found:
                return (await until_status(found, "faulted")).error
        except InvalidEventError as error:
            return error

    async def test(store):
        await pour(store, 1)
        assert isinstance(await told(store, named), InvalidEventError)
        assert isinstance(await told(store, of_named), InvalidEventError)

    run(api, kind, tmp_path, test)


# --- the class of a projection --------------------------------------------------------------------


def test_handlers_that_can_not_be():
    with pytest.raises(TypeError, match="on_made is a coroutine function"):

        class Async(Projection[Pot]):
            async def on_made(self, event: PotMade, doc: None) -> Pot: ...

    with pytest.raises(TypeError, match="on_made"):

        class Generator(Projection[Pot]):
            def on_made(self, event: PotMade, doc: None) -> Pot:
                yield Pot(owner="x")

    with pytest.raises(TypeError, match="on_made"):

        class AsyncGenerator(Projection):
            async def on_made(self, event: PotMade, docs: Documents) -> None:
                yield

    with pytest.raises(TypeError, match="on_made"):

        class Few(Projection[Pot]):
            def on_made(self, event: PotMade) -> Pot: ...

    with pytest.raises(TypeError, match="on_made"):

        class Many(Projection[Pot]):
            def on_made(self, event: PotMade, doc: None, more: int) -> Pot: ...

    with pytest.raises(TypeError, match="on_made"):

        class Static(Projection[Pot]):
            @staticmethod
            def on_made(event: PotMade, doc: None) -> Pot: ...

    with pytest.raises(TypeError, match="on_made"):

        class Attribute(Projection[Pot]):
            on_made = 3

    with pytest.raises(TypeError, match="on_made"):

        class Unannotated(Projection[Pot]):
            def on_made(self, event, doc): ...

    with pytest.raises(TypeError, match=r"on_made.*Missing"):

        class Unresolved(Projection[Pot]):
            def on_made(self, event: Missing, doc: None) -> Pot: ...  # noqa: F821

    with pytest.raises(TypeError, match="on_made"):

        class NoEvent(Projection[Pot]):
            def on_made(self, event: int, doc: None) -> Pot: ...

    with pytest.raises(TypeError, match="on_made and on_also_made"):

        class Twice(Projection[Pot]):
            def on_made(self, event: PotMade, doc: None) -> Pot: ...
            def on_also_made(self, event: PotMade, doc: None) -> Pot: ...

    other = type("Other", (Event,), {}, name="PotMade")
    with pytest.raises(TypeError, match="wire name 'PotMade'"):

        class SameName(Projection[Pot]):
            def on_made(self, event: PotMade, doc: None) -> Pot: ...
            def on_other(self, event: other, doc: None) -> Pot: ...

    with pytest.raises(TypeError, match="key"):

        class FreeWithKey(Projection):
            def key(self, event): ...
            async def on_made(self, event: PotMade, docs: Documents) -> None: ...

    with pytest.raises(TypeError, match="read models"):

        class NoModel(Projection[int]):  # type: ignore[type-var]
            def on_made(self, event: PotMade, doc: None) -> int: ...


def test_a_handler_that_wants_a_keyword_is_refused():
    with pytest.raises(TypeError, match="on_made"):

        class KeywordOnly(Projection[Pot]):
            def on_made(self, event: PotMade, doc: None, *, more: int) -> Pot: ...


def test_annotations_of_another_document_are_refused():
    """The document and the answer of a handler are checked as the event is."""
    with pytest.raises(TypeError, match="on_filled"):

        class Takes(Projection[Pot]):
            def on_filled(self, event: PotFilled, doc: Owner) -> Pot: ...

    with pytest.raises(TypeError, match="on_filled"):

        class Returns(Projection[Pot]):
            def on_filled(self, event: PotFilled, doc: Pot) -> Owner: ...


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", None, True, 2**32])
def test_versions_that_can_not_be(version):
    with pytest.raises(InvalidEventError, match="version"):

        class Versioned(Projection[Pot], version=version):
            def on_made(self, event: PotMade, doc: None) -> Pot: ...


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_names_that_can_not_be(name):
    with pytest.raises(InvalidEventError):

        class Named(Projection[Pot], name=name):
            def on_made(self, event: PotMade, doc: None) -> Pot: ...


@pytest.mark.parametrize(
    "options",
    [
        {"times": -1},
        {"times": 1.0},
        {"times": True},
        {"backoff": -1},
        {"backoff": float("nan")},
        {"backoff": float("inf")},
        {"otherwise": "skip"},
    ],
)
def test_retries_that_can_not_be(options):
    with pytest.raises(ValueError, match=r"\w"):
        Retry(**options)
    assert Retry(3, backoff=0.5).then("stop") == Retry(3, 0.5)


M = TypeVar("M", bound=ReadModel)


class Filling(Projection[Pot]):
    def on_made(self, event: PotMade, doc: None) -> Pot:
        return Pot(owner=event.owner)

    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        doc.content += event.amount
        return doc


class Doubling(Filling, version=2):
    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        return super().on_filled(filled(2 * event.amount), doc)

    def on_broken(self, event: PotBroken, doc: Pot) -> None:
        return None


@each_store
def test_a_projection_inherits_handlers_and_model(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 3)
        (status,) = await caught_up(store, Doubling())
        assert (status.name, status.version) == ("Doubling", 2)
        assert (await store.get(Pot, "a")).content == 6
        assert Filling().fold(await gathered(store.read()))["a"].content == 3
        await put(store, "a", PotBroken())
        await caught_up(store, Doubling())
        assert await store.get(Pot, "a") is None

    run(api, kind, tmp_path, test)


def test_a_generic_base_gives_its_handlers_the_model(tmp_path):
    class Counting(ReadModel):
        events: int = 0

    class Base(Projection[M], Generic[M]):
        pass

    class Counts(Base[Counting]):
        def on_seen(self, event: PotSeen, doc: Counting | None) -> Counting:
            doc = doc or Counting()
            doc.events += 1
            return doc

    async def test(store):
        await put(store, "a", PotSeen(), PotSeen())
        assert Counts().fold(await gathered(store.read()))["a"].events == 2
        await caught_up(store, Counts())
        assert (await store.get(Counting, "a")).events == 2

    run("async", "memory", tmp_path, test)


def test_one_handler_takes_several_classes(tmp_path):
    class Seen(Projection[Total]):
        def on_any(self, event: PotMade | PotFilled, doc: Total | None) -> Total:
            return Total(events=(doc.events if doc else 0) + 1)

    async def test(store):
        await make(store, "a", "Ada", 1, 2)
        await put(store, "a", PotBroken())
        assert Seen().fold(await gathered(store.read()))["a"].events == 3

    run("async", "memory", tmp_path, test)


def test_a_projection_without_handlers_and_no_projection_are_refused(tmp_path):
    class Nothing(Projection[Pot]):
        pass

    async def test(store):
        with pytest.raises(TypeError, match="handlers"):
            store.run(Nothing())
        with pytest.raises(TypeError, match="handlers"):
            await store.rebuild(Nothing())

    run("async", "memory", tmp_path, test)


@pytest.mark.parametrize(
    "given",
    [(), (Pots,), (object(),), (None,), (Pots(), Pots)],
    ids=["nothing", "a class", "an object", "None", "one and a class"],
)
def test_what_is_no_projection_is_refused(given, tmp_path):
    with sync.EventStore.create("memory://") as store, pytest.raises(TypeError):
        store.run(*given)

    async def test(store):
        with pytest.raises(TypeError):
            store.run(*given)

    run("async", "memory", tmp_path, test)


def test_a_blocking_store_refuses_coroutine_functions():
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(TypeError, match="event loop"):
            store.run(sums(None))
        with pytest.raises(TypeError, match="event loop"):
            store.rebuild(sums(None))


# --- what other eyes found ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("verb", ["find", "count"])
def test_one_call_reads_documents_of_one_moment(kind, verb, tmp_path):
    """Several values are looked for one after the other, and a rebuild swaps between them."""
    turn = [0]

    class Turned(ReadModel, index=("group",)):
        group: str
        turn: int

    class Turning(Projection[Turned]):
        def key(self, event: Poured) -> str:
            return str(event.amount)

        def on_poured(self, event: Poured, doc: Turned | None) -> Turned:
            return Turned(group="ab"[(event.amount + turn[0]) % 2], turn=turn[0])

    place = "memory://" if kind == "memory" else tmp_path / "turned.db"
    with sync.EventStore.create(place) as store:
        store.append([Poured(amount=amount) for amount in range(9)])
        store.rebuild(Turning())
        where = {"group__in": ["a", "b"]}
        if verb == "find":
            operation = finding.find(store._store, Turned, where, None, None, 100)
        else:
            operation = finding.count(store._store, Turned, where)

        def swap():
            turn[0] = 1
            store.rebuild(Turning())

        found = driven(operation, swap)
        if verb == "count":
            assert found == 9
        else:
            assert sorted(each.key for each in found) == [str(n) for n in range(9)]
            assert {each.turn for each in found} == {1}


def driven(operation, meanwhile):
    """Runs an operation, with something that happens after its first read."""
    answer = None
    try:
        while True:
            step = operation.send(answer)
            answer = step.wait()
            meanwhile()
            meanwhile = int
    except StopIteration as end:
        return end.value


@each_store
def test_a_value_of_another_type_matches_nothing(api, kind, every_place, tmp_path):
    async def test(store):
        await pour(store, *range(150))
        await caught_up(store, Places())
        for lookup in ("", "__ge", "__gt", "__le", "__lt"):
            for field, given in (("city", 5), ("size", "z"), ("score", ""), ("city", -1.5)):
                where = {f"{field}{lookup}": given}
                assert list(await store.find(Place, **where)) == [], where
                assert await store.count(Place, **where) == 0, where

    run(api, kind, tmp_path, test)


@each_store
def test_a_document_that_is_too_large_is_blamed_on_its_event(api, kind, tmp_path):
    class Long(ReadModel):
        text: str

    class Longs(Projection[Long]):
        def key(self, event: Poured) -> str:
            return str(event.amount)

        def on_poured(self, event: Poured, doc: None) -> Long:
            return Long(text="x" * (9 << 20 if event.amount == 50 else 1))

    async def test(store):
        positions = (await pour(store, *range(100))).positions
        async with running(store, Longs()) as found:
            with pytest.raises(ProjectionError) as told:
                await found.wait_for(positions[-1], timeout=SAFETY)
            assert "at most 8,388,608" in str(told.value.__cause__)
            assert found.status()[0].failed_at == positions[50]
        assert await store.count(Long) == 50

    run(api, kind, tmp_path, test)


@each_store
def test_a_forgotten_return_deletes_nothing(api, kind, tmp_path):
    class Sloppy(Projection[Total]):
        def key(self, event: Poured) -> str:
            return "all"

        def on_poured(self, event: Poured, doc):
            (doc or Total()).events += 1

    async def test(store):
        committed = await pour(store, 1)
        async with running(store, Sloppy()) as found:
            with pytest.raises(ProjectionError) as told:
                await found.wait_for(committed, timeout=SAFETY)
            assert "returned None, which deletes" in str(told.value.__cause__)
            with pytest.raises(TypeError, match="name the class: Sloppy"):
                await found.wait_for(committed, Sloppy())

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("name", ["a/b", "a@1", "x" * 101])
def test_names_that_no_space_has_are_refused_where_they_are_given(name):
    with pytest.raises(InvalidEventError, match="at most 100 bytes"):
        type("Named", (ReadModel,), {}, name=name)
    with pytest.raises(InvalidEventError, match="at most 100 bytes"):
        type("Named", (Projection,), {}, name=name)


def test_what_can_never_work_is_refused_with_the_class():
    with pytest.raises(TypeError, match="key is a coroutine function"):

        class Waiting(Projection[Total]):
            async def key(self, event: Event) -> str:
                return "k"

            def on_poured(self, event: Poured, doc: Total) -> Total:
                return doc

    fields = {f"f{number}": int for number in range(65)}
    with pytest.raises(TypeError, match="at most 64 fields"):
        type("Wide", (ReadModel,), {"__annotations__": fields}, index=tuple(fields))


def test_an_alias_of_a_type_is_indexed_as_what_it_stands_for():
    price = NewType("price", float)

    class Priced(ReadModel, index=("cost", "size")):
        cost: price
        size: Literal[1, 2]

    assert Priced.__indexed__ == {"cost": True, "size": False}
