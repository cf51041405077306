"""One event class with every type that must come back, and an example of each value."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, create_model

from eventuali import Event


class Color(Enum):
    RED = "red"
    GREEN = 2
    BOTH = ("red", 2)


class Plain(Enum):
    A = "a"
    B = "b"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"
    NO = "no"


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str
    limit: Decimal


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    coins: dict[int, int]


Payment = Annotated[Card | Cash, Field(discriminator="kind")]


class Leaf(BaseModel):
    amount: Decimal
    rate: float
    raw: bytes
    when: datetime
    tags: frozenset[str]
    pair: tuple[int, str]
    kind: Plain


class Branch(BaseModel):
    leaves: list[Leaf]
    by_number: dict[int, Leaf]
    best: Leaf | None = None


class Node(BaseModel):
    child: Node | None = None


class Sample(Event):
    """Everything optional, so that an example holds only what it is about."""

    decimal: Decimal | None = None
    naive: datetime | None = None
    aware: datetime | None = None
    day: date | None = None
    clock: time | None = None
    span: timedelta | None = None
    uid: UUID | None = None
    plain: Plain | None = None
    level: Level | None = None
    word: Word | None = None
    raw: bytes | None = None
    text: str | None = None
    whole: int | None = None
    number: float | None = None
    flag: bool | None = None
    numbers: set[int] | None = None
    words: frozenset[str] | None = None
    ids: set[UUID] | None = None
    days: frozenset[date] | None = None
    pair: tuple[int, str, Decimal] | None = None
    many: tuple[Decimal, ...] | None = None
    blobs: list[bytes] | None = None
    by_number: dict[int, str] | None = None
    by_id: dict[UUID, Decimal] | None = None
    by_day: dict[date, timedelta] | None = None
    by_word: dict[str, float] | None = None
    leaf: Leaf | None = None
    branch: Branch | None = None
    node: Node | None = None
    payment: Payment | None = None
    payments: list[Payment] | None = None
    either: int | str | None = None
    anything: Any = None


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def nodes(depth: int) -> Node:
    node = Node()
    for _ in range(depth - 1):
        node = Node(child=node)
    return node


def leaf(**changes: Any) -> Leaf:
    values: dict[str, Any] = {
        "amount": Decimal("-0.00"),
        "rate": 5e-324,
        "raw": b"\xff\x00\xfe",
        "when": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-3))),
        "tags": frozenset({"a", "ä", "a\u0308"}),
        "pair": (2**70, "\x00"),
        "kind": Plain.B,
    }
    return Leaf(**(values | changes))


VALUES: list[tuple[str, Any]] = [
    *(
        ("decimal", Decimal(text))
        for text in (
            "0",
            "-0",
            "0.10",
            "0.1",
            "1E+400",
            "1E-400",
            "-1.50",
            "100",
            "1E+2",
            "3.14159265358979323846264338327950288419716939937510",
            "9" * 100,
        )
    ),
    ("naive", datetime(2024, 2, 29, 12, 30, 45, 123456)),
    ("naive", datetime.min),
    ("naive", datetime.max),
    ("naive", datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("aware", datetime(2024, 2, 29, 12, 30, 45, 1, tzinfo=UTC)),
    ("aware", datetime(1, 1, 1, 12, tzinfo=UTC)),
    ("aware", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("aware", datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    ("aware", datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-12)))),
    ("day", date(2024, 2, 29)),
    ("day", date.min),
    ("day", date.max),
    ("clock", time(0, 0)),
    ("clock", time(23, 59, 59, 999999)),
    ("clock", time(12, 30, tzinfo=UTC)),
    ("clock", time(12, 30, 1, 5, tzinfo=timezone(timedelta(hours=2)))),
    ("span", timedelta(0)),
    ("span", timedelta(microseconds=1)),
    ("span", timedelta(microseconds=-1)),
    ("span", timedelta(days=-1, seconds=1)),
    ("span", timedelta(days=400, hours=5, microseconds=123456)),
    ("span", timedelta(days=-999999, microseconds=999999)),
    ("uid", UUID("00000000-0000-0000-0000-000000000000")),
    ("uid", UUID("ffffffff-ffff-ffff-ffff-ffffffffffff")),
    ("plain", Plain.A),
    ("level", Level.HIGH),
    ("word", Word.NO),
    ("raw", b""),
    ("raw", b"abc"),
    ("raw", bytes(range(256))),
    ("text", ""),
    ("text", "a\x00b"),
    ("text", "\x00"),
    ("text", "\U0001f600 \U00010000 \U0010ffff"),
    ("text", "\u00e9 e\u0301 \ufeff\u200b\u202e\u2028\u2029\x7f\x1b\r\n\t"),
    ("text", "\uffff\ufffe\ue000"),
    ("text", '"\\/\b\f</script>'),
    ("whole", 2**70),
    ("whole", -(2**70)),
    ("whole", 2**53 + 1),
    ("whole", 2**63),
    ("whole", 2**64),
    ("whole", -(2**63) - 1),
    ("whole", 0),
    *(
        ("number", number)
        for number in (
            0.0,
            -0.0,
            5e-324,
            -5e-324,
            1.7976931348623157e308,
            0.1 + 0.2,
            1e2,
            1.0,
            2.2250738585072014e-308,
            1e16,
            1e22,
            1e23,
            123456789012345680.0,
        )
    ),
    ("flag", True),
    ("flag", False),
    ("numbers", set()),
    ("numbers", {1, -1, 2**70}),
    ("words", frozenset({"", "\x00", "é", "e\u0301"})),
    ("ids", {UUID(int=1), UUID(int=2)}),
    ("days", frozenset({date.min, date.max})),
    ("pair", (1, "", Decimal("1.0"))),
    ("many", ()),
    ("many", (Decimal("0.10"), Decimal("0.1"))),
    ("blobs", [b"\xff", b"", b"\xc3\x28", b"text"]),
    ("by_number", {1: "a", -1: "b", 2**70: "c"}),
    ("by_id", {UUID(int=5): Decimal("1.00")}),
    ("by_day", {date(2024, 2, 29): timedelta(seconds=-1)}),
    ("by_word", {"": -0.0, "\x00": 5e-324, "z": 1.0, "a": 2.0}),
    ("leaf", leaf()),
    ("branch", Branch(leaves=[leaf(), leaf(rate=-0.0)], by_number={7: leaf()}, best=None)),
    ("branch", Branch(leaves=[], by_number={}, best=leaf(raw=b"\x80"))),
    ("payment", Card(number="1", limit=Decimal("1.0"))),
    ("payment", Cash(coins={5: 2, 100: 1})),
    ("payments", [Cash(coins={}), Card(number="\x00", limit=Decimal("-0"))]),
    ("either", 1),
    ("either", "1"),
    ("anything", None),
    ("anything", {"a": [1, 1.0, -0.0, True, None, "x\x00", 2**70, {"": {}}], "1": []}),
    ("anything", {"b": 1, "a": 2}),
    ("node", nodes(60)),
    ("anything", nested(60)),
    ("anything", "2024-01-01"),
    ("anything", [5e-324, 1.7976931348623157e308]),
]


# A class for each field: another field that needs the slow, checked way must not hide what the
# fast way does.
_ALONE = {
    name: create_model(f"Sample.{name}", __base__=Event, **{name: (field.annotation, field)})
    for name, field in Sample.model_fields.items()
}


def alone(name: str) -> type[Event]:
    return _ALONE[name]


def events() -> list[Event]:
    together: list[Event] = [Sample(**{name: value}) for name, value in VALUES]
    return together + [alone(name)(**{name: value}) for name, value in VALUES]
