"""What goes in comes back, equal in type and value, or is refused by name when it is saved."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections import OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntFlag
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    create_model,
    field_serializer,
)
from samples import Leaf, Level, Node, Plain, Sample, Word, leaf, nested, nodes
from stores import (
    BACKENDS,
    each_api,
    each_backend,
    each_kind,
    each_shared,
    each_store,
    gathered,
    opened,
    url_of,
)
from support import fields_of, output_of, tree

from eventuali import Aggregate, Event, EventStore, Query, SerializationError, sync


@pytest.fixture(scope="module", params=BACKENDS)
def log(request, tmp_path_factory):
    """One store for many tests: each must leave it usable for the next."""
    folder = tmp_path_factory.mktemp(request.param)
    url = url_of(request.param, folder)
    with sync.EventStore.create(url, durability="relaxed") as store:
        yield store


READER = """
import sys, samples
from eventuali import sync
from support import fields_of
with sync.EventStore.create(sys.argv[1]) as store:
    stored = list(store.read())
for event in stored:
    print(ascii((type(event).__name__, fields_of(event))))
"""


@each_shared
@each_api
def test_every_type_comes_back_in_another_process(api, kind, tmp_path):
    events = samples.events()
    url = url_of(kind, tmp_path)

    async def save():
        async with opened(api, url) as store:
            for event in events:
                await store.append([event])

    asyncio.run(save())
    lines = output_of(READER, url).splitlines()
    assert len(lines) == len(events)
    for event, line in zip(events, lines, strict=True):
        assert line == ascii((type(event).__name__, fields_of(event)))


@each_store
def test_every_type_comes_back(kind, api, tmp_path):
    events = samples.events()

    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.append(events)
            return await gathered(store.read())

    stored = asyncio.run(main())
    assert [fields_of(event) for event in stored] == [fields_of(event) for event in events]
    assert stored == events


def test_the_comparison_of_these_tests_is_strict():
    differing = [
        (1, 1.0), (1, True), (0.0, -0.0), (Decimal("0.1"), Decimal("0.10")), ((1,), [1]),
        ({1}, frozenset({1})), ("a", Word.YES), (Level.LOW, 1), ({"a": 1}, {"a": 1.0}),
        (datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)), ("é", "e\u0301"),
        (leaf(), leaf(rate=1.0)), (date(2024, 1, 1), datetime(2024, 1, 1)), (None, False),
        ({1: 1}, {"1": 1}), (b"a", "a"),
    ]  # fmt: skip
    for one, other in differing:
        assert tree(one) != tree(other)
        assert tree(one) == tree(one)


# --- refusals -------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("nan", {"number": float("nan")}, "number"),
    ("inf", {"number": float("inf")}, "number"),
    ("minus-inf", {"number": float("-inf")}, "number"),
    ("nan-in-dict", {"by_word": {"a": 1.0, "b": float("nan")}}, "by_word.b"),
    ("nan-in-model", {"leaf": leaf(rate=float("nan"))}, "leaf.rate"),
    (
        "nan-deep",
        {"branch": samples.Branch(leaves=[leaf(), leaf(rate=float("inf"))], by_number={})},
        "branch.leaves.1.rate",
    ),
    ("nan-under-any", {"anything": {"x": [1.0, float("nan")]}}, "anything.x.1"),
    ("surrogate", {"text": "\ud800"}, "text"),
    ("surrogate-under-any", {"anything": {"k": "a\udfff"}}, "anything.k"),
    ("surrogate-key", {"anything": {"\ud800": 1}}, "anything"),
    ("surrogate-in-set", {"words": frozenset({"\ud800"})}, "words"),
    ("tuple-under-any", {"anything": (1, 2)}, "anything"),
    ("tuple-deep-under-any", {"anything": {"a": [(1,)]}}, "anything.a.0"),
    ("uuid-under-any", {"anything": UUID(int=1)}, "anything"),
    ("uuid-deep-under-any", {"anything": [1, UUID(int=1)]}, "anything.1"),
    ("decimal-under-any", {"anything": Decimal("1.0")}, "anything"),
    ("date-under-any", {"anything": date(2024, 1, 1)}, "anything"),
    ("datetime-under-any", {"anything": [datetime(2024, 1, 1)]}, "anything.0"),
    ("timedelta-under-any", {"anything": timedelta(1)}, "anything"),
    ("set-under-any", {"anything": {1}}, "anything"),
    ("bytes-under-any", {"anything": b"\xff"}, "anything"),
    ("text-bytes-under-any", {"anything": b"abc"}, "anything"),
    ("bytearray-under-any", {"anything": bytearray(b"abc")}, "anything"),
    ("enum-under-any", {"anything": Plain.A}, "anything"),
    ("str-enum-under-any", {"anything": Word.YES}, "anything"),
    ("int-enum-under-any", {"anything": Level.LOW}, "anything"),
    ("model-under-any", {"anything": Node()}, "anything"),
    ("int-keys-under-any", {"anything": {1: "a"}}, "anything"),
    ("none-key-under-any", {"anything": {None: "a"}}, "anything"),
    ("colliding-keys-under-any", {"anything": {1: "a", "1": "b"}}, "anything"),
    ("ordered-dict-under-any", {"anything": OrderedDict(a=1)}, "anything"),
    ("complex-under-any", {"anything": 1j}, "anything"),
    ("fraction-under-any", {"anything": Fraction(1, 3)}, "anything"),
    ("object-under-any", {"anything": object()}, "anything"),
    ("class-under-any", {"anything": int}, "anything"),
    ("too-deep", {"anything": nested(65)}, "anything"),
    ("too-deep-models", {"node": nodes(65)}, "node"),
    ("far-too-deep", {"anything": nested(10_000)}, "anything"),
    ("decimal-nan", {"decimal": Decimal("NaN")}, "decimal"),
]


@pytest.mark.parametrize("alone", [False, True], ids=["among-others", "alone"])
@pytest.mark.parametrize(("what", "values", "path"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_come_back_is_refused_by_name(what, values, path, alone, log):
    cls = samples.alone(next(iter(values))) if alone else Sample
    event = cls.model_construct(**values) if what == "decimal-nan" else cls(**values)
    stream = ("Doc", f"{what}-{alone}")
    before = log.stats().last_position
    with pytest.raises(SerializationError) as caught:
        log.append([Sample(text="good"), event], stream=stream)
    check_refusal(caught.value, event, path)
    assert list(log.read(after=before)) == []
    assert log.get_aggregate_version(stream[1], "Doc") is None
    log.append([Sample(text="after")], stream=stream)
    (stored,) = log.read(after=before)
    assert stored.text == "after"


@each_api
@each_backend
def test_a_refused_save_leaves_the_aggregate_as_it_was(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            doc = Doc(id="1")
            doc.apply(Sample(text="good"))
            doc.apply(Sample(leaf=leaf(rate=float("nan"))))
            waiting = doc.get_uncommitted_events()
            with pytest.raises(SerializationError) as caught:
                await store.save(doc)
            check_refusal(caught.value, waiting[1], "leaf.rate")
            assert (doc.version, doc.get_uncommitted_events()) == (2, waiting)
            assert await gathered(store.read()) == []
            assert await store.load(Doc, "1") is None
            other = Doc(id="1")
            other.apply(Sample(text="after"))
            await store.save(other)
            assert await store.get_aggregate_version("1") == 1

    asyncio.run(main())


class Doc(Aggregate):
    def apply_sample(self, event: Sample) -> None:
        pass


def steps(path: str | None) -> list[str]:
    """Splits a path in either notation: `items.0.price` or `items[0].price`, `by_word['b']`."""
    return [step.strip("'") for step in re.findall(r"[^.\[\]]+", path or "")]


def check_refusal(error: SerializationError, event: Event, path: str) -> None:
    wanted = steps(path)
    assert isinstance(error, ValueError)
    assert steps(error.path)[: len(wanted)] == wanted, error.path
    assert error.event_type == type(event).__event_type__


def test_the_path_of_a_refusal_is_written_as_documented(log):
    """`errors.SerializationError`: "path: Where in the event, like `items[0].price`"."""
    with pytest.raises(SerializationError) as caught:
        log.append([Sample(anything={"x": [1.0, float("nan")]})])
    assert caught.value.path == "anything['x'][1]"


@each_backend
def test_a_cycle_is_refused(kind, tmp_path):
    cycle: list = []
    cycle.append(cycle)
    loop: dict = {}
    loop["self"] = loop
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        for value in (cycle, loop):
            with pytest.raises(SerializationError) as caught:
                store.append([Sample.model_construct(anything=value)])
            assert steps(caught.value.path)[0] == "anything"
        assert list(store.read()) == []
        store.append([Sample()])


@each_backend
@pytest.mark.parametrize("depth", [62, 63, 64])
def test_nesting_to_64_comes_back(kind, depth, tmp_path):
    events = [Sample(anything=nested(depth)), Sample(node=nodes(depth)), Sample(anything="after")]
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append(events)
        assert [fields_of(event) for event in store.read()] == [fields_of(e) for e in events]


# --- exact or refused: whatever pydantic would quietly change -------------------------------------


class Animal(BaseModel):
    name: str


class Dog(Animal):
    tricks: int


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Hidden(BaseModel):
    shown: int
    hidden: int = Field(default=0, exclude=True)


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(alias="b")


class OnlySerialized(BaseModel):
    a: int = Field(serialization_alias="other")


class Rounded(BaseModel):
    a: float

    @field_serializer("a")
    def short(self, value: float) -> str:
        return f"{value:.1f}"


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: float
    y: bytes


class Coordinates(NamedTuple):
    x: int
    y: float


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Odd(Event):
    animal: Animal | None = None
    animals: list[Animal] | None = None
    loose: Loose | None = None
    hidden: Hidden | None = None
    aliased: Aliased | None = None
    only: OnlySerialized | None = None
    rounded: Rounded | None = None
    secret: SecretStr | None = None
    number: int | float | None = None
    text_or_id: str | UUID | None = None
    id_or_text: UUID | str | None = None
    money: Decimal | float | None = None
    text_or_bytes: str | bytes | None = None
    when: datetime | str | None = None
    day: date | datetime | None = None
    models: Node | Hidden | None = None
    lists: list[int] | list[str] | None = None
    tuples: tuple[int, ...] | list[int] | None = None
    keys: dict[tuple[int, int], str] | None = None
    byte_keys: dict[bytes, int] | None = None
    float_keys: dict[float, int] | None = None
    enum_keys: dict[Level, int] | None = None
    none_keys: dict[int | None, str] | None = None
    mixed_keys: dict[int | str, str] | None = None
    color: samples.Color | None = None
    point: Point | None = None
    coordinates: Coordinates | None = None
    rights: Rights | None = None
    queue: deque[int] | None = None
    ordered: OrderedDict[str, int] | None = None
    counting: defaultdict[str, int] | None = None
    address: IPv4Address | None = None
    place: PurePosixPath | None = None
    imaginary: complex | None = None
    text: str | None = None
    plain: bool | None = None
    renamed: int | None = Field(default=None, alias="re-named")
    dropped: int | None = Field(default=None, exclude=True)
    clock: time | None = None
    moment: datetime | None = None
    some: list | None = None
    obj: object = None


# A class whose other fields need the slow, checked way must not hide what the fast way does.
ODD_ALONE = {
    name: create_model(f"Odd.{name}", __base__=Event, **{name: (field.annotation, field)})
    for name, field in Odd.model_fields.items()
}


ODD: list[tuple[str, Any]] = [
    ("animal", Dog(name="Rex", tricks=3)),
    ("animals", [Animal(name="a"), Dog(name="Rex", tricks=3)]),
    ("loose", Loose(a=1, b=2, c=[UUID(int=1)])),
    ("loose", Loose(a=1, b=2, c="plain")),
    ("hidden", Hidden(shown=1, hidden=2)),
    ("aliased", Aliased(b=3)),
    ("only", OnlySerialized(a=3)),
    ("rounded", Rounded(a=0.123)),
    ("rounded", Rounded(a=0.5)),
    ("secret", SecretStr("hush")),
    ("number", 1),
    ("number", 1.0),
    ("number", True),
    ("text_or_id", UUID(int=1)),
    ("text_or_id", str(UUID(int=1))),
    ("id_or_text", UUID(int=1)),
    ("id_or_text", str(UUID(int=1))),
    ("money", 1.0),
    ("money", Decimal("1.0")),
    ("text_or_bytes", "YWJj"),
    ("text_or_bytes", b"abc"),
    ("text_or_bytes", b"\xff"),
    ("when", datetime(2024, 1, 1)),
    ("when", "2024-01-01T00:00:00"),
    ("day", date(2024, 1, 1)),
    ("day", datetime(2024, 1, 1)),
    ("models", Node()),
    ("models", Hidden(shown=1)),
    ("lists", ["1", "2"]),
    ("lists", [1, 2]),
    ("lists", []),
    ("tuples", (1, 2)),
    ("tuples", [1, 2]),
    ("keys", {(1, 2): "a"}),
    ("byte_keys", {b"a": 1, b"\xff": 2}),
    ("float_keys", {1.0: 1, -0.5: 2, 5e-324: 3}),
    ("float_keys", {float("inf"): 1}),
    ("enum_keys", {Level.LOW: 1}),
    ("none_keys", {None: "a", 1: "b"}),
    ("mixed_keys", {1: "a", "1": "b"}),
    ("mixed_keys", {1: "a"}),
    ("mixed_keys", {"1": "a"}),
    ("color", samples.Color.RED),
    ("color", samples.Color.GREEN),
    ("color", samples.Color.BOTH),
    ("point", Point(-0.0, b"\xff")),
    ("point", Point(float("nan"), b"")),
    ("coordinates", Coordinates(1, -0.0)),
    ("rights", Rights.READ | Rights.WRITE),
    ("queue", deque([1, 2])),
    ("queue", deque([1, 2], maxlen=2)),
    ("ordered", OrderedDict(b=1, a=2)),
    ("counting", defaultdict(int, a=1)),
    ("address", IPv4Address("127.0.0.1")),
    ("place", PurePosixPath("/a/../b")),
    ("imaginary", complex(-0.0, 5e-324)),
    ("text", Text("sub")),
    ("text", Word.YES),
    ("dropped", 5),
    ("clock", time(2, 30, fold=1)),
    ("moment", datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=1)))),
    ("moment", datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=1)))),
    ("moment", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ("moment", datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14)))),
    ("some", [1, "a", None]),
    ("some", [(1,)]),
    ("obj", "text"),
    ("obj", UUID(int=1)),
]


@pytest.mark.parametrize("alone", [False, True], ids=["among-others", "alone"])
@pytest.mark.parametrize(
    ("name", "value"), ODD, ids=[f"{i}-{name}" for i, (name, _) in enumerate(ODD)]
)
def test_nothing_is_changed_or_dropped(name, value, alone, log):
    cls = ODD_ALONE[name] if alone else Odd
    check_exact_or_refused(cls(**{name: value}), name, log)


@pytest.mark.parametrize("alone", [False, True], ids=["among-others", "alone"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "text"), ("text", 5), ("plain", 1), ("address", "127.0.0.1"), ("moment", 5),
        ("hidden", {"shown": 1}), ("queue", [1]), ("rights", 1), ("color", "red"),
    ],
)  # fmt: skip
def test_values_that_were_never_validated_are_not_changed(name, value, alone, log):
    cls = ODD_ALONE[name] if alone else Odd
    check_exact_or_refused(cls.model_construct(**{name: value}), name, log)


def check_exact_or_refused(event: Event, name: str, log: sync.EventStore) -> None:
    before = log.stats().last_position
    try:
        log.append([event])
    except SerializationError as error:
        check_refusal(error, event, name)
        assert list(log.read(after=before)) == []
    else:
        (stored,) = log.read(after=before)
        assert fields_of(stored) == fields_of(event)


def test_a_field_with_an_alias_comes_back(tmp_path):
    with sync.EventStore.create(url_of("sqlite", tmp_path)) as store:
        store.append([Odd(**{"re-named": 5})])
        (stored,) = store.read()
        assert stored.renamed == 5


@each_backend
def test_the_users_own_exception_comes_through(kind, tmp_path):
    class Refusing(BaseModel):
        a: int

        @field_serializer("a")
        def refuse(self, value: int) -> int:
            raise ZeroDivisionError("mine")

    Refuses = create_model("Refuses", __base__=Event, inner=(Refusing, ...))
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        with pytest.raises((ZeroDivisionError, SerializationError)) as caught:
            store.append([Refuses(inner=Refusing(a=1))])
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert "mine" in " ".join(map(str, chain))
        assert list(store.read()) == []
        store.append([Sample()])


# --- properties -----------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
zones = st.none() | st.just(UTC) | offsets
naive = st.datetimes()
aware = st.datetimes(timezones=st.just(UTC) | offsets)
clocks = st.times(timezones=st.none() | st.just(UTC) | offsets)
spans = st.timedeltas()
leaves = st.builds(
    Leaf,
    amount=decimals,
    rate=finite,
    raw=st.binary(max_size=20),
    when=naive | aware,
    tags=st.frozensets(words, max_size=3),
    pair=st.tuples(st.integers(), words),
    kind=st.sampled_from(Plain),
)
cards = st.builds(samples.Card, number=words, limit=decimals)
cashes = st.builds(samples.Cash, coins=st.dictionaries(st.integers(), st.integers(), max_size=3))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)
VALUES_OF: dict[str, st.SearchStrategy] = {
    "decimal": decimals,
    "naive": naive,
    "aware": aware,
    "day": st.dates(),
    "clock": clocks,
    "span": spans,
    "uid": st.uuids(),
    "plain": st.sampled_from(Plain),
    "level": st.sampled_from(Level),
    "word": st.sampled_from(Word),
    "raw": st.binary(max_size=50),
    "text": words,
    "whole": st.integers() | st.integers(-(2**200), 2**200),
    "number": finite,
    "flag": st.booleans(),
    "numbers": st.sets(st.integers(), max_size=4),
    "words": st.frozensets(words, max_size=4),
    "ids": st.sets(st.uuids(), max_size=3),
    "days": st.frozensets(st.dates(), max_size=3),
    "pair": st.tuples(st.integers(), words, decimals),
    "many": st.lists(decimals, max_size=4).map(tuple),
    "blobs": st.lists(st.binary(max_size=10), max_size=4),
    "by_number": st.dictionaries(st.integers(), words, max_size=4),
    "by_id": st.dictionaries(st.uuids(), decimals, max_size=3),
    "by_day": st.dictionaries(st.dates(), spans, max_size=3),
    "by_word": st.dictionaries(words, finite, max_size=4),
    "leaf": leaves,
    "branch": st.builds(
        samples.Branch,
        leaves=st.lists(leaves, max_size=2),
        by_number=st.dictionaries(st.integers(), leaves, max_size=2),
        best=st.none() | leaves,
    ),
    "payment": cards | cashes,
    "payments": st.lists(cards | cashes, max_size=3),
    "either": st.integers() | words,
    "anything": json_values,
}


@st.composite
def one_sample(draw: st.DrawFn) -> Sample:
    names = draw(st.lists(st.sampled_from(sorted(VALUES_OF)), min_size=1, max_size=5, unique=True))
    return Sample(**{name: draw(VALUES_OF[name]) for name in names})


@given(events=st.lists(one_sample(), min_size=1, max_size=3))
def test_any_sample_comes_back(log, events):
    committed = log.append(events)
    stored = list(log.read(after=committed.positions[0] - 1, limit=len(events) + 1))
    assert [fields_of(event) for event in stored] == [fields_of(event) for event in events]


messy = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.uuids()
    | st.binary(max_size=5) | decimals | st.dates() | st.sampled_from([*Plain, *Word, *Level]),
    lambda inner: st.lists(inner, max_size=3)
    | st.tuples(inner)
    | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(value=messy)
def test_under_any_it_is_exact_or_refused(log, value):
    before = log.stats().last_position
    event = Sample(anything=value)
    try:
        committed = log.append([event])
    except SerializationError as error:
        check_refusal(error, event, "anything")
        assert not is_json(value), error  # noqa: PT017
        assert list(log.read(after=before)) == []
    else:
        (stored,) = log.read(after=committed.positions[0] - 1)
        assert fields_of(stored) == fields_of(event)


def is_json(value: object) -> bool:
    """Whether it is made of what JSON says exactly, which must not be refused."""
    if type(value) in (type(None), bool, int):
        return True
    if type(value) is float:
        return value - value == 0
    if type(value) is str:
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if type(value) is list:
        return all(map(is_json, value))
    if type(value) is dict:
        return all(type(key) is str and is_json(key) and is_json(v) for key, v in value.items())
    return False


# A random annotation, with values that pydantic takes for it as they are.
atoms: list[tuple[Any, st.SearchStrategy]] = [
    (int, st.integers()), (str, words), (bytes, st.binary(max_size=8)), (float, finite),
    (Decimal, decimals), (UUID, st.uuids()), (date, st.dates()), (timedelta, spans),
    (datetime, aware), (Plain, st.sampled_from(Plain)), (Level, st.sampled_from(Level)),
    (bool, st.booleans()), (Leaf, leaves), (time, clocks),
]  # fmt: skip
keys: list[tuple[Any, st.SearchStrategy]] = [
    (kind, values) for kind, values in atoms if kind in (int, str, UUID, date, Plain, Level)
]


@st.composite
def annotations(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy]:
    shape = draw(st.sampled_from(["atom", "list", "set", "dict", "tuple", "optional", "model"]))
    if depth == 0 or shape == "atom":
        return draw(st.sampled_from(atoms))
    if shape == "set":
        kind, values = draw(st.sampled_from(keys))
        return set[kind], st.sets(values, max_size=3)
    kind, values = draw(annotations(depth - 1))
    if shape == "list":
        return list[kind], st.lists(values, max_size=3)
    if shape == "dict":
        key, key_values = draw(st.sampled_from(keys))
        return dict[key, kind], st.dictionaries(key_values, values, max_size=3)
    if shape == "tuple":
        other, others = draw(annotations(depth - 1))
        return tuple[kind, other], st.tuples(values, others)
    if shape == "optional":
        return kind | None, st.none() | values
    model = create_model("Inner", x=(kind, ...))
    return model, st.builds(model, x=values)


@given(data=st.data())
def test_any_annotation_comes_back(log, data):
    kind, values = data.draw(annotations())
    Shaped = create_model("Shaped", __base__=Event, __module__=__name__, x=(kind, ...))
    event = Shaped(x=data.draw(values))
    log.register_event_class("Shaped", Shaped)
    committed = log.append([event])
    (stored,) = log.read(after=committed.positions[0] - 1)
    assert type(stored) is Shaped
    assert fields_of(stored) == fields_of(event)


# --- metadata -------------------------------------------------------------------------------------


class UserCreated(Event):
    user_id: str
    email: str


GIVEN = {
    "event_id": UUID("0190a5b0-0000-7000-8000-00000000abcd"),
    "timestamp": datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC),
    "correlation_id": "order-\u00e9-1",
    "causation_id": UUID("0190a5b0-0000-7000-8000-00000000abce"),
    "user_id": "ada",
    "headers": {"trace": "00-abc", "": "empty key?", "z": "\x00\U0001f600", "a": ""},
    "tags": ("region:eu", "vip"),
}

META_READER = """
import sys, test_round_trip
from eventuali import sync
with sync.EventStore.create(sys.argv[1]) as store:
    for event in store.read():
        m = event.meta
        print(ascii((m.event_id, m.timestamp, m.correlation_id, m.causation_id, m.user_id,
                     dict(m.headers), sorted(m.tags), m.event_type, m.event_version)))
"""


def given_meta(**changes: Any) -> dict[str, Any]:
    meta = GIVEN | changes
    meta["headers"] = {key: value for key, value in meta["headers"].items() if key}
    return meta


@each_store
def test_metadata_comes_back_as_given(kind, api, tmp_path):
    event = Sample(text="x", **given_meta())

    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            committed = await store.append([event], stream=("Doc", "1"))
            (stored,) = await gathered(store.read())
            return committed, stored

    committed, stored = asyncio.run(main())
    for name, value in given_meta().items():
        for meta in (stored.meta, event.meta):
            got = getattr(meta, name)
            if name == "tags":
                assert sorted(got) == sorted(value)
            elif name == "headers":
                assert dict(got) == value
            else:
                assert (type(got), got) == (type(value), value), name
    assert stored.correlation_id == "order-\u00e9-1"
    for meta in (stored.meta, event.meta):
        assert (meta.aggregate_type, meta.aggregate_id, meta.aggregate_version) == ("Doc", "1", 1)
        assert meta.position == committed.positions[0]
        assert meta.recorded_at == committed.recorded_at
    assert stored.meta.recorded_at.utcoffset() == timedelta(0)


@each_shared
def test_metadata_comes_back_in_another_process(kind, tmp_path):
    url = url_of(kind, tmp_path)
    events = [
        Sample(**given_meta()),
        Sample(**given_meta(event_id=UUID(int=GIVEN["event_id"].int + 1), user_id="other")),
        Sample(),
    ]
    with sync.EventStore.create(url) as store:
        store.append(events)
    expected = [
        ascii((m.event_id, m.timestamp, m.correlation_id, m.causation_id, m.user_id,
               dict(m.headers), sorted(m.tags), m.event_type, m.event_version))
        for m in (event.meta for event in events)
    ]  # fmt: skip
    assert output_of(META_READER, url).splitlines() == expected


@each_kind
@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_timestamps_keep_their_microseconds(moment, kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Sample(timestamp=moment)])
        (stored,) = store.read()
        assert stored.meta.timestamp == moment
        assert stored.meta.timestamp.tzinfo is not None


@each_api
@each_backend
def test_a_field_wins_over_the_metadata_of_that_name(kind, api, tmp_path):
    event = UserCreated(user_id="u-1", email="ada@example.org")
    assert event.user_id == "u-1"
    assert event.meta.user_id is None

    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.append([event])
            return await gathered(store.read(Query(event_types=[UserCreated])))

    (stored,) = asyncio.run(main())
    assert type(stored) is UserCreated
    assert (stored.user_id, stored.email, stored.meta.user_id) == ("u-1", "ada@example.org", None)


def test_an_event_is_immutable_and_refuses_a_misspelt_field():
    event = UserCreated(user_id="u-1", email="e")
    with pytest.raises(ValueError, match="frozen"):
        event.email = "other"
    with pytest.raises(ValueError, match="emial"):
        UserCreated(user_id="u-1", email="e", emial="typo")


def test_an_unknown_field_is_kept_when_an_event_is_loaded(tmp_path):
    Wide = create_model("Widening", __base__=Event, __module__=__name__, a=(int, ...), b=(str, ""))
    Narrow = create_model("Narrower", __base__=Event, __module__=__name__, a=(int, ...))
    with sync.EventStore.create(url_of("sqlite", tmp_path)) as store:
        store.append([Wide(a=1, b="kept")])
        store.register_event_class("Widening", Narrow)
        (stored,) = store.read()
    assert type(stored) is Narrow
    assert stored.a == 1
    assert stored.__pydantic_extra__ == {"b": "kept"}


@each_shared
def test_an_async_store_reads_what_a_blocking_one_wrote(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url) as store:
        store.append([Sample(text="from sync")])

    async def main():
        async with EventStore.create(url) as other:
            return await gathered(other.read())

    assert [event.text for event in asyncio.run(main())] == ["from sync"]
