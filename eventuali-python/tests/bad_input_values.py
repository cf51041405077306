"""Rows 13-28, 54: values of fields, sizes, and objects that fail while they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from bad_input_case import (
    Case,
    Place,
    append,
    bad,
    comes_back,
    either,
    good,
    plant,
    refused_value,
)
from ledger import Counted, counted
from pydantic import BaseModel, field_serializer, model_serializer
from support import script

from eventuali import Event, InvalidEventError, SerializationError, UnknownEvent
from eventuali.errors import PayloadTooLargeError


class Colour(Enum):
    RED = "r"


class Word(StrEnum):
    YES = "y"


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: float


class Deep(Event):
    value: Any = None


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def cyclic_list() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def cyclic_dict() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = [{"b": value}]
    return value


ODD_ZONE = timezone(timedelta(hours=1, minutes=2, seconds=3))
Values = list[tuple[int, Any, Any]]
KEPT: Values = [
    *((14, *pair) for pair in [
        (str, "\x00"), (str, "a\x00b"), (dict[str, str], {"\x00": "\x00"}),
        (Any, {"a\x00": ["\x00"]}), (str, "\ufffe\uffff\U0010ffff"),
    ]),
    *((16, kind, number) for kind in (float, Any) for number in [
        -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e2, 1e22, -1e-7,
    ]),
    *((17, kind, n) for kind in (int, Any) for n in [2**53 + 1, 2**63, 2**64, -(2**63) - 1]),
    *((18, Decimal, Decimal(text)) for text in ["0.10", "1E+400", "-0", "1.000", "1E-400"]),
    (20, bytes, b"\xff\x00"), (20, set[int], {1, 2}), (20, tuple[int, str], (1, "a")),
    (20, Colour, Colour.RED), (20, Word, Word.YES), (20, Level, Level.LOW),
    (20, Point, Point(1, 2.0)), (20, UUID, UUID(int=1)), (20, frozenset[str], frozenset({"a"})),
    (21, dict[int, str], {1: "a", -1: "b"}), (23, Any, nested(64)),
]  # fmt: skip
EITHER: Values = [
    *((17, kind, n) for kind in (int, Any) for n in [10**400, -(10**400), 10**5000]),
    (18, complex, 1 + 2j), (18, Fraction, Fraction(1, 3)),
    *((19, datetime, moment) for moment in [
        datetime(2024, 1, 1), datetime.max, datetime.min, datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC), datetime(2024, 1, 1, tzinfo=ODD_ZONE),
        datetime(2024, 10, 27, 2, 30, fold=1),
    ]),
    (21, dict[int | str, str], {1: "a", "1": "b"}),
    (21, dict[str | None, str], {None: "a", "None": "b"}),
    (21, dict[tuple[int, int], str], {(1, 2): "a"}),
]  # fmt: skip
REFUSED: Values = [
    (13, str, "\ud800"), (13, Any, {"k": "a\udfff"}), (13, Any, {"\ud800": 1}),
    (13, dict[str, str], {"\ud800": "x"}), (13, frozenset[str], frozenset({"\ud800"})),
    (13, list[str], ["a", "\udc00"]),
    *((15, kind, n) for kind in (float, Any) for n in [
        float("nan"), float("inf"), float("-inf"),
    ]),
    (15, dict[str, float], {"a": float("nan")}), (15, Decimal, Decimal("NaN")),
    (18, Any, Decimal("0.10")), (18, Any, Fraction(1, 3)), (18, Any, 1j),
    (19, Any, datetime(2024, 1, 1)), (19, Any, datetime.max.replace(tzinfo=UTC)),
    *((20, Any, value) for value in [
        b"\xff", b"abc", bytearray(b"abc"), memoryview(b"abc"), {1}, frozenset({1}), (1, 2),
        Colour.RED, Word.YES, Level.LOW, Point(1, 2.0), UUID(int=1), object(), int, [(1,)],
    ]),
    (21, Any, {1: "a"}), (21, Any, {None: "a"}), (21, Any, {(1, 2): "a"}),
    (21, Any, {1: "a", "1": "b"}), (21, Any, {True: "a"}),
    (22, Any, cyclic_list()), (22, Any, cyclic_dict()), (22, list[Any], cyclic_list()),
    (22, dict[str, Any], cyclic_dict()),
    (23, Any, nested(65)), (23, Any, nested(10_000)), (23, list[Any], nested(10_000)),
]  # fmt: skip


def value_cases() -> Iterator[Case]:
    for row, annotation, value in KEPT:
        yield good(row, named(annotation, value), comes_back(annotation, value))
    for row, annotation, value in EITHER:
        name = named(annotation, value)
        yield either(row, name, comes_back(annotation, value), SerializationError)
    for row, annotation, value in REFUSED:
        name = named(annotation, value)
        yield Case(row, name, path_is_named(annotation, value), (SerializationError,))


def named(annotation: Any, value: Any) -> str:
    kind = getattr(annotation, "__name__", str(annotation))
    if isinstance(value, int) and abs(value) > 10**100:
        return f"{value.bit_length()} bits as {kind}"
    try:
        return f"{value!r:.40} as {kind}"
    except RecursionError:
        return f"very deep as {kind}"


def path_is_named(annotation: Any, value: Any) -> Callable[[Place], object]:
    call = refused_value(annotation, value)

    def act(at: Place) -> None:
        with pytest.raises(SerializationError) as caught:
            call(at)
        assert (caught.value.path or "").startswith("value"), caught.value.path
        raise caught.value

    return act


def depth_in_the_store(at: Place) -> None:
    with at.fresh() as store:
        for name in ("Deep", "NobodyKnowsIt"):
            plant(store, name, b'{"value":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
        for event in store.read(after=1, raw=True):
            assert isinstance(event, UnknownEvent)
            with pytest.raises(SerializationError, match="NobodyKnowsIt"):
                _ = event.data
        try:
            list(store.read(limit=1))
        except SerializationError:
            store.append([Counted(number=1)])
            raise


def text_in_the_store(payload: bytes) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        with at.fresh() as store:
            plant(store, "Deep", payload)
            list(store.read())

    return act


# --- sizes ----------------------------------------------------------------------------------------


class Big(Event):
    text: str = ""
    data: dict[str, str] = {}  # noqa: RUF012
    raw: bytes = b""


LIMIT = 1 << 20
OVERHEAD = len('{"text":"","data":{},"raw":""}')


def largest(at: Place) -> None:
    text = "x" * (LIMIT - OVERHEAD)
    at.store.append([Big(text=text)])
    (stored,) = at.new()
    assert stored.text == text


def largest_in_utf8(at: Place) -> None:
    text = "ü" * ((LIMIT - OVERHEAD) // 2)
    at.store.append([Big(text=text)])
    (stored,) = at.new()
    assert stored.text == text


HUGE = """
import os, sys
from bad_input_values import Big
from eventuali import sync
from eventuali.errors import PayloadTooLargeError
field, count, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

with sync.EventStore.create(url) as store:
    try:
        store.append([Big(text="x" * (1 << 21))])
    except PayloadTooLargeError:
        pass
    value = {"text": "x" * count} if field == "text" else {"raw": os.urandom(1) * count}
    event = Big(**value)
    before = peak()
    files = lambda: {path: os.stat(path).st_size for path in sys.argv[4:] if os.path.exists(path)}
    sizes = files()
    try:
        store.append([event])
    except PayloadTooLargeError as error:
        assert error.limit == 1 << 20 and error.size > count, error.size
        assert files() == sizes, "something was written"
        assert store.stats().last_position == 0
        store.append([Big(text="x")])
        print((peak() - before) / error.size)
"""


def huge(field: str, count: int) -> Callable[[Place], None]:
    """Refused before I/O, with less than twice its size in memory."""

    def act(at: Place) -> None:
        url = at.url()
        file = url.removeprefix("sqlite:///") if isinstance(url, str) else "none"
        done = script(HUGE, field, count, url, file, f"{file}-wal", timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        # Pydantic's buffer and the bytes that it makes of it; a copy of ours would be a third.
        assert float(done.stdout) < 2.5, f"it took {done.stdout.strip()} times the payload"

    return act


def headers(**given: Any) -> Callable[[Place], object]:
    return lambda at: at.store.append([Counted(number=1, **given)])


def nothing(at: Place) -> None:
    ledger = counted("nothing")
    for committed in (
        at.store.append([]),
        at.store.append(iter(())),
        at.store.append([], stream=("Ledger", "nothing"), expected=0),
        at.store.save(),
        at.store.save(ledger),
    ):
        assert (committed.positions, committed.versions, committed.position) == ((), (), None)
        assert committed.recorded_at is None
    assert at.new() == []
    assert at.store.get_aggregate_version("nothing") is None


def most(at: Place) -> None:
    with at.fresh() as store:
        events = [Counted(number=n) for n in range(10_000)]
        assert store.append(events, stream=("Ledger", "most")).versions == (10_000,)
        events = [Big(text="x" * 1_000_000) for _ in range(16)]
        assert len(store.append(events).positions) == 16


def many(count: int, **options: Any) -> Callable[[Place], object]:
    return lambda at: at.store.append([Counted(number=n) for n in range(count)], **options)


# --- objects that fail ----------------------------------------------------------------------------


class Mine(Exception):
    """The user's own exception."""


class Failing(Event):
    before: int = 0
    value: Any = Mine

    @field_serializer("value")
    def write(self, value: Any) -> int:
        raise value


class Lazy(BaseModel):
    @model_serializer
    def write(self) -> dict[str, Any]:
        raise Mine


class HoldsLazy(Event):
    value: Lazy


class Unwilling(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        raise Mine

    def __iter__(self) -> Iterator[str]:
        raise Mine

    def __len__(self) -> int:
        return 1


class Grows(BaseModel):
    """Adds to the dict that holds it while that is written."""

    model_config = {"arbitrary_types_allowed": True}

    @model_serializer
    def write(self) -> dict[str, int]:
        GROWING[str(len(GROWING))] = Grows()
        return {}


GROWING: dict[str, Grows] = {}


class HoldsGrowing(Event):
    value: dict[str, Grows]


def grows(at: Place) -> None:
    GROWING.clear()
    GROWING["a"] = Grows()
    at.store.append([Counted(number=1), HoldsGrowing.model_construct(value=GROWING)])


def dying(kind: type[BaseException]) -> Iterator[Event]:
    yield Counted(number=1)
    raise kind


def saved_with(event: Event) -> Callable[[Place], object]:
    return append(Counted(number=1), event, stream=("Holder", "failing"))


HOSTILE = [
    {"__proto__": "x"}, {"py/object": "os.system"}, {"": "!!python/object/apply:os.system"},
    {"\x00": "\x00"}, {"__class__": "X", "meta": "y", "event_id": "z"}, {"a": "cposix\nsystem"},
    {"$ref": "#/$defs/Big", "$type": "System.Diagnostics.Process"}, {"a": "<!DOCTYPE x>&x;"},
]  # fmt: skip
PICKLE = b"cposix\nsystem\n(S'touch /tmp/x'\ntR."

CASES = [
    *value_cases(),
    bad(23, "10,000 levels in the store", depth_in_the_store, SerializationError),
    *(
        bad(23, f"{payload[:30]!r} in the store", text_in_the_store(payload), SerializationError)
        for payload in [b"", b"\xff", b"{", b"[]", b'{"value":NaN}{', b'{"value":"\\ud800"}']
    ),
    good(24, "1 MiB", largest),
    good(24, "1 MiB of two-byte characters", largest_in_utf8),
    *(
        bad(24, f"{size:,} bytes", append(Big(text="x" * (size - OVERHEAD))), PayloadTooLargeError,
            what="payload", size=size, limit=LIMIT)
        for size in (LIMIT + 1, 10 * LIMIT)
    ),
    bad(24, "1 MiB of bytes, as base64", append(Big(raw=b"x" * LIMIT)), PayloadTooLargeError,
        limit=LIMIT),
    good(24, "100 MiB of text", huge("text", 100 << 20)),
    good(24, "100 MiB of bytes", huge("raw", 100 << 20)),
    bad(25, "a value of 64 KiB", headers(headers={"k": "x" * (64 << 10)}), PayloadTooLargeError,
        what="headers", size=(64 << 10) + 1, limit=64 << 10),
    good(25, "64 KiB exactly", headers(headers={"k": "x" * ((64 << 10) - 1)})),
    bad(25, "10 MB", headers(headers={"k": "x" * 10_000_000}), PayloadTooLargeError),
    bad(25, "a name of 64 KiB", headers(headers={"k" * (64 << 10): "x"}), PayloadTooLargeError),
    bad(25, "100,000 keys", headers(headers=dict.fromkeys(map(str, range(10**5)), "")),
        PayloadTooLargeError),
    bad(25, "1,000,000 keys", headers(headers=dict.fromkeys(map(str, range(10**6)), "")),
        PayloadTooLargeError),
    bad(25, "65 tags", headers(tags=[f"t{n}" for n in range(65)]), PayloadTooLargeError,
        what="tags", size=65, limit=64),
    bad(25, "a user of 10 MB", headers(user_id="x" * 10_000_000), PayloadTooLargeError,
        what="user_id"),
    bad(25, "a reference of 10 kB", headers(correlation_id="x" * 10_000), InvalidEventError),
    bad(25, "a tag of 10 kB", headers(tags=["x" * 10_000]), InvalidEventError),
    good(26, "no events", nothing),
    bad(27, "10,001 events", many(10_001), PayloadTooLargeError, size=10_001, limit=10_000),
    bad(27, "70,000 events", many(70_000, stream=("Ledger", "many")), PayloadTooLargeError,
        what="events", size=70_000, limit=10_000),
    bad(27, "70,000 events of an aggregate",
        lambda at: at.store.save(counted("many", *range(70_000))), PayloadTooLargeError),
    bad(27, "17 MB", lambda at: at.store.append([Big(text="x" * 1_000_000) for _ in range(17)]),
        PayloadTooLargeError, what="commit", limit=16 << 20),
    good(27, "10,000 events, 16 MB", most),
    bad(28, "a serializer that raises", saved_with(Failing()), Mine),
    bad(28, "a serializer that is interrupted", saved_with(Failing(value=KeyboardInterrupt)),
        KeyboardInterrupt),
    bad(28, "a model that raises", saved_with(HoldsLazy(value=Lazy())), Mine),
    bad(28, "a mapping that raises", refused_value(Any, Unwilling()), SerializationError, Mine),
    bad(28, "a dict that grows", grows, SerializationError, path="value"),
    *(
        bad(28, f"a generator that raises {kind.__name__}",
            lambda at, kind=kind: at.store.append(dying(kind)), kind)
        for kind in (Mine, ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit)
    ),
    *(good(54, json.dumps(data), comes_back(dict[str, str], data)) for data in HOSTILE),
    *(good(54, f"{json.dumps(data)} as Any", comes_back(Any, data)) for data in HOSTILE),
    good(54, "pickle", comes_back(bytes, PICKLE)),
    good(54, "yaml", comes_back(str, "!!python/object/apply:os.system ['touch /tmp/x']")),
]  # fmt: skip
