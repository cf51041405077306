"""Values that come back exactly (RELIABILITY F47-F49, bad inputs 13-23)."""

from collections import deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from exactness import (
    BERLIN,
    FOLD,
    GAP,
    LOCAL_MEAN_TIME,
    Cat,
    Colour,
    Dog,
    Event,
    Keys,
    Level,
    Mixed,
    Nested,
    Odd,
    Pair,
    Pet,
    Point,
    Right,
    Tree,
    assert_exact,
    assert_refused,
    event_of,
    fingerprint,
)
from labels import label
from pydantic import (
    BaseModel,
    Field,
    Json,
    PositiveInt,
    SecretStr,
    ValidationError,
    create_model,
)
from pydantic_core import TzInfo

from eventuali.codec.json import Codec

KEPT = [
    (int, 0), (int, -1), (int, 2**53 + 1), (int, 2**63), (int, 2**64), (int, 2**70),
    (int, -(10**400)), (int, 10**4298), (bool, True), (float, 0.0), (float, -0.0), (float, 5e-324),
    (float, 1.7976931348623157e308), (float, 0.1 + 0.2), (float, 1e2), (float, 1e16), (float, 1e22),
    (str, ""), (str, "\x00"), (str, "a\x00b\u202e\U0001f600e\u0301é"), (str, "NaN Infinity"),
    (str, "\\ud800"), (bytes, b""), (bytes, b"\xff\x00"), (bytes, bytes(range(256))),
    (Decimal, Decimal("0.10")), (Decimal, Decimal("1E+400")), (Decimal, Decimal("-0")),
    (Decimal, Decimal("1E-999999")), (UUID, uuid4()), (date, date.min), (date, date.max),
    (timedelta, timedelta.min), (timedelta, timedelta.max), (timedelta, timedelta(microseconds=-1)),
    (timedelta, timedelta(days=-1, seconds=1, microseconds=999999)), (time, time(1, 2, 3, 4)),
    (time, time(1, 2, tzinfo=UTC)), (time, time(1, 2, tzinfo=timezone(timedelta(hours=-5)))),
    (time, time(1, 2, tzinfo=timezone(timedelta(seconds=3208)))), (time, time(1, tzinfo=BERLIN)),
    (time, time(1, fold=1)), (datetime, datetime.min), (datetime, datetime.max),
    (datetime, datetime(2020, 1, 1, 0, 0, 0, 7)), (datetime, datetime(1969, 1, 1, tzinfo=UTC)),
    (datetime, datetime.max.replace(tzinfo=timezone(timedelta(hours=-23, minutes=-59)))),
    (datetime, datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59)))),
    (datetime, datetime(2020, 1, 1, tzinfo=timezone(timedelta(microseconds=1)))),
    (datetime, datetime(2020, 7, 1, tzinfo=BERLIN)), (datetime, LOCAL_MEAN_TIME),
    (datetime, FOLD), (datetime, FOLD.replace(fold=1)), (datetime, GAP),
    (datetime, GAP.replace(fold=1)), (datetime, datetime(2020, 10, 25, 2, 30, fold=1)),
    (datetime, datetime(2020, 1, 1, tzinfo=TzInfo(3208))), (datetime | None, None),
    (datetime | None, FOLD), (list[datetime], [FOLD, GAP]), (dict[datetime, int], {GAP: 1}),
    (dict[str, datetime], {"k": FOLD}), (int | datetime, FOLD), (Colour, Colour.RED),
    (Level, Level.HIGH), (Right, Right.READ), (Mixed, Mixed.TEXT),
    (Literal["a", "b"], "b"), (Literal[1, "1"], 1), (None, None), (int | None, None),
    (list[int], [1, 2]), (list[list[str]], [["a"], []]), (set[str], {"a", "b"}),
    (frozenset[int], frozenset({1})), (tuple[int, ...], (1, 2)), (tuple[int, str], (1, "a")),
    (tuple[()], ()), (dict[str, int], {"": 1, "\x00": 2}), (dict[int, str], {-1: "a", 2**70: "b"}),
    (dict[Colour, int], {Colour.RED: 1}), (dict[UUID, int], {uuid4(): 1}),
    (Nested, Nested(raw=b"\xff")),
    (Nested, Nested(price=-0.0, at=FOLD)), (list[Nested], [Nested(price=5e-324)]),
    (Tree, Tree(children=[Tree(value=2)])), (Pet, Dog(name="x")), (list[Pet], [Cat(), Dog()]),
    (Nested | Tree, Tree(value=3)), (int | str, "1"), (int | str, 1), (int | float, 1.0),
    (float | int, 1), (str | None, "x"), (Point, Point(-0.0, b"\xff")), (Pair, Pair(1, "a")),
    (Keys, {"raw": b"\xff"}), (deque[int], deque([1])), (Json[list[int]], "[1, 2]"),
    (Any, None), (Any, True), (Any, 1), (Any, 1.0), (Any, -0.0), (Any, "x"), (Any, []), (Any, {}),
    (Any, [1, 1.0, True, None, "x", {"k": [2**70, 1e16]}]), (Any, {"a\x00": {"NaN": "Infinity"}}),
    (dict[str, Any], {"k": [1]}), (complex, complex(1, 2.5)), (Annotated[int, Field(gt=3)], 4),
    (PositiveInt, 1),
    (Annotated[str, Field(min_length=1, max_length=3)], "abc"),
    (Annotated[list[int], Field(max_length=2)], [1]), (Annotated[str, Field(pattern="^a")], "ab"),
    (Annotated[Decimal, Field(gt=0, max_digits=4)], Decimal("1.50")),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "value"), KEPT, ids=label)
def test_kept(annotation, value):
    assert_exact(event_of(annotation, value))


@pytest.mark.parametrize(("annotation", "value"), KEPT, ids=label)
def test_kept_by_a_strict_class(annotation, value):
    cls = create_model("Strict", __base__=Event, value=(annotation, ...))
    strict = create_model(
        "Strict", __base__=Event, value=(annotation, ...), __cls_kwargs__={"strict": True}
    )
    assert_exact(strict.model_construct(value=cls(value=value).value))


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, True), (str | None, True), (datetime | None, True), (time, True), (list[str], True),
        (dict[int, bytes], True), (tuple[int, Decimal], True), (Colour, True), (Level, True),
        (Nested, True), (list[Nested], True), (dict[str, list[Cat]], True), (PositiveInt, True),
        (Literal["a"], True), (Tree, False), (Any, False), (int | str, False), (Pet, False),
        (Right, False), (Mixed, False), (Odd, False), (Point, False), (Keys, False),
        (dict[Colour, int], False), (list, False), (Literal[1], False), (SecretStr, False),
    ],
)  # fmt: skip
def test_by_construction(annotation, expected):
    cls = create_model("Made", __base__=Event, value=(annotation, ...))
    assert Codec(cls).by_construction is expected


def test_event_without_fields():
    class Empty(Event):
        pass

    assert assert_exact(Empty()) == b"{}"


def test_datetimes_of_the_second_form_are_readable():
    event = event_of(list[datetime], [FOLD, FOLD.replace(fold=1), LOCAL_MEAN_TIME])
    assert assert_exact(event) == (
        b'{"value":["2020-10-25T02:30:00+02:00[Europe/Berlin]",'
        b'"2020-10-25T02:30:00+01:00[Europe/Berlin]","1850-01-01T00:00:00+00:53:28[Europe/Berlin]"]}'
    )


@pytest.mark.parametrize("value", [FOLD, GAP, LOCAL_MEAN_TIME, datetime(2020, 1, 1, fold=1)])
def test_the_fast_validator_refuses_the_second_form(value):
    event = event_of(datetime, value)
    codec = Codec(type(event))
    with pytest.raises(ValidationError):
        codec.validate_json(codec.encode(event))


def test_a_zone_that_is_gone_keeps_instant_and_offset():
    cls = type(event_of(datetime, FOLD))
    back = Codec(cls).decode(b'{"value":"2020-10-25T02:30:00+02:00[Nowhere/Land]"}')
    assert back.value == datetime(2020, 10, 25, 0, 30, tzinfo=UTC)
    assert back.value.utcoffset() == timedelta(hours=2)


def test_a_zone_whose_rules_changed_keeps_instant_and_offset():
    cls = type(event_of(datetime, FOLD))
    back = Codec(cls).decode(b'{"value":"2020-07-01T02:30:00+07:00[Europe/Berlin]"}')
    assert back.value.utcoffset() == timedelta(hours=7)


def test_a_zone_that_is_not_cached_compares_by_its_key():
    lonely = ZoneInfo.no_cache("Europe/Berlin")
    event = event_of(datetime, GAP.replace(tzinfo=lonely))
    codec = Codec(type(event))
    assert fingerprint(codec.decode(codec.encode(event))) == fingerprint(event)


def test_unknown_fields_are_kept_on_every_level_and_written_again():
    event = event_of(list[Nested], [Nested()])
    codec = Codec(type(event))
    back = codec.decode(
        b'{"value":[{"price":1.0,"raw":"","at":null,"new":[1]}],"newer":{"k":null}}'
    )
    assert back.model_extra == {"newer": {"k": None}}
    assert back.value[0].model_extra == {"new": [1]}
    assert fingerprint(codec.decode(codec.encode(back))) == fingerprint(back)


def test_unknown_fields_beside_a_datetime_of_the_second_form():
    event = event_of(datetime, FOLD)
    codec = Codec(type(event))
    back = codec.decode(codec.encode(event)[:-1] + b',"newer":1}')
    assert back.model_extra == {"newer": 1}
    assert fingerprint(back.value) == fingerprint(FOLD)


def test_extra_values_are_compared_like_any():
    cls = create_model(
        "Open", __base__=BaseModel, __cls_kwargs__={"extra": "allow"}, value=(int, ...)
    )
    assert_exact(cls(value=1, more={"k": [1.5]}))
    assert_refused(cls(value=1, more=(1,)), "more", "tuple")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"value":"x"}',
        b'{"value":1',
        b"\xff",
        b'{"value":1,"b":NaN,}',
    ],
)
def test_bad_payloads_are_refused(payload):
    cls = create_model("Made", __base__=Event, value=(int, ...))
    with pytest.raises(ValidationError):
        Codec(cls).decode(payload)
