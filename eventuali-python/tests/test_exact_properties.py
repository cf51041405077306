"""Everything at once: any event is exact or refused."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from exactness import (
    FOLD,
    GAP,
    Cat,
    Colour,
    Dog,
    Event,
    Level,
    Nested,
    Pet,
    Point,
    Text,
    Tree,
    assert_exact,
    event_of,
    fingerprint,
    nested_lists,
)
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from eventuali.codec import json as _exact
from eventuali.codec.json import Codec, Inexact
from eventuali.codec.json._compare import MAX_DEPTH


class Everything(Event):
    flag: bool
    number: int
    real: float
    text: str
    raw: bytes
    money: Decimal
    key: UUID
    day: date
    at: datetime
    maybe: datetime | None
    clock: time
    lasts: timedelta
    colour: Colour
    level: Level
    word: Literal["a", "b"]
    numbers: list[int]
    names: set[str]
    ids: frozenset[int]
    row: tuple[int, ...]
    pair: tuple[int, str]
    prices: dict[str, float]
    days: dict[int, datetime]
    moments: dict[datetime, time]
    nested: Nested
    lines: list[Nested]
    tree: Tree
    pet: Pet
    either: int | str
    point: Point
    anything: Any


class Simple(Event):
    number: int
    real: float | None
    text: str
    raw: bytes
    money: Decimal
    at: datetime
    clock: time | None
    names: dict[str, list[str]]
    lines: list[Nested]


def zones():
    offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59))
    return st.none() | st.just(UTC) | st.timezones() | st.builds(timezone, offsets)


def folded(strategy):
    return st.builds(lambda value, fold: value.replace(fold=fold), strategy, st.integers(0, 1))


def near_transitions():
    """Wall clocks around the changes of an hour, where folds and gaps are."""
    changes = st.sampled_from([FOLD, GAP, datetime(2011, 12, 30, tzinfo=ZoneInfo("Pacific/Apia"))])
    return st.builds(
        lambda at, by: at + by, changes, st.timedeltas(-timedelta(hours=2), timedelta(hours=2))
    )


DATETIMES = folded(st.datetimes(timezones=zones()) | near_transitions())
TIMES = folded(st.times(timezones=zones()))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
NESTED = st.builds(
    Nested, price=st.floats(allow_nan=False, allow_infinity=False) | st.floats(), raw=st.binary(),
    at=st.none() | DATETIMES,
)  # fmt: skip
TREES = st.recursive(
    st.builds(Tree, value=st.integers()),
    lambda inner: st.builds(Tree, value=st.integers(), children=st.lists(inner, max_size=3)),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NOT_JSON = st.sampled_from(
    [(1,), {1: 2}, {"s": {1}}, UUID(int=1), b"x", [FOLD], date(2020, 1, 1), "\ud800",
    {"\udfff": 1}, [math.nan],
     Colour.RED, Decimal(1), nested_lists(MAX_DEPTH + 1), Text("x")]
)  # fmt: skip
SAFE_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
EVERYTHING = st.fixed_dictionaries({
    "flag": st.booleans(), "number": st.integers(), "real": SAFE_FLOATS, "text": st.text(),
    "raw": st.binary(), "money": DECIMALS, "key": st.uuids(), "day": st.dates(), "at": DATETIMES,
    "maybe": st.none() | DATETIMES, "clock": TIMES, "lasts": st.timedeltas(),
    "colour": st.sampled_from(Colour), "level": st.sampled_from(Level),
    "word": st.sampled_from("ab"),
    "numbers": st.lists(st.integers()), "names": st.sets(st.text()),
    "ids": st.frozensets(st.integers()),
    "row": st.lists(st.integers()).map(tuple), "pair": st.tuples(st.integers(), st.text()),
    "prices": st.dictionaries(st.text(), SAFE_FLOATS), "days": st.dictionaries(st.integers(),
    DATETIMES, max_size=3),
    "moments": st.dictionaries(DATETIMES, TIMES, max_size=2), "nested": NESTED,
    "lines": st.lists(NESTED, max_size=3), "tree": TREES,
    "pet": st.builds(Cat, lives=st.integers()) | st.builds(Dog, name=st.text()),
    "either": st.integers() | st.text(), "point": st.builds(Point, SAFE_FLOATS, st.binary()),
    "anything": JSON | JSON | NOT_JSON,
}).map(lambda fields: Everything(**fields))  # fmt: skip
SIMPLE = st.builds(
    Simple, number=st.integers(), real=st.none() | st.floats(), text=st.text(), raw=st.binary(),
    money=DECIMALS,
    at=DATETIMES, clock=st.none() | TIMES, names=st.dictionaries(st.text(), st.lists(st.text())),
    lines=st.lists(NESTED, max_size=3),
)  # fmt: skip


def json_refuses(value: Any, depth: int = 0) -> bool:
    """Whether an untyped value has no exact JSON."""
    if type(value) in {list, dict} and depth >= MAX_DEPTH:
        return True
    if type(value) is list:
        return any(json_refuses(item, depth + 1) for item in value)
    if type(value) is dict:
        return any(type(k) is not str or json_refuses(k) for k in value) or any(
            json_refuses(item, depth + 1) for item in value.values()
        )
    if type(value) is str:
        return any("\ud800" <= letter <= "\udfff" for letter in value)
    if type(value) is float:
        return not math.isfinite(value)
    return value is not None and type(value) not in {bool, int}


def expect_refusal(event: Event) -> bool:
    prices = [line.price for line in event.lines]
    if isinstance(event, Everything):
        prices.append(event.nested.price)
        return json_refuses(event.anything) or not all(map(math.isfinite, prices))
    return not all(map(math.isfinite, [*prices, event.real or 0.0]))


def violation(codec: Codec[Any], event: Event) -> str:
    """What the codec does to the event that it must not; empty where it is right."""
    try:
        payload = codec.encode(event)
    except Inexact as refused:
        return "" if expect_refusal(event) else f"refused {refused}"
    if expect_refusal(event):
        return "not refused"
    back = codec.decode(payload)
    if fingerprint(back) != fingerprint(event):
        return f"changed to {back!r}"
    return "" if back == event else "not equal"


SLOW = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)
CODEC = Codec(Everything)
SIMPLE_CODEC = Codec(Simple)


@SLOW
@given(EVERYTHING)
def test_everything_is_exact_or_refused(event):
    assert violation(CODEC, event) == ""


@SLOW
@given(SIMPLE)
def test_what_is_exact_by_construction_is_exact_or_refused(event):
    assert SIMPLE_CODEC.by_construction
    assert violation(SIMPLE_CODEC, event) == ""


@SLOW
@given(JSON)
def test_untyped_json_is_exact(value):
    assert_exact(event_of(Any, value))


@pytest.mark.parametrize(("codec", "events"), [(CODEC, EVERYTHING), (SIMPLE_CODEC, SIMPLE)])
def test_control_a_codec_without_its_comparison_is_caught(monkeypatch, codec, events):
    monkeypatch.setattr(_exact, "difference", lambda _left, _right: None)
    quick = settings(SLOW, phases=(Phase.generate,), max_examples=1000, database=None)
    assert find(events, lambda event: violation(codec, event) != "", settings=quick)
