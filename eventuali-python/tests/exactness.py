"""What the tests of exact JSON share: a comparison of their own, and types to store.

`fingerprint` turns a value into plain comparable data in which anything that can be told apart
differs; it is independent of the codec's own comparison.
"""

import dataclasses
import enum
import struct
from collections import deque
from datetime import datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Optional
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    create_model,
)
from typing_extensions import TypedDict

from eventuali.codec.json import Codec, Inexact

BERLIN = ZoneInfo("Europe/Berlin")
FOLD = datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN)
GAP = datetime(2020, 3, 29, 2, 30, tzinfo=BERLIN)
LOCAL_MEAN_TIME = datetime(1850, 1, 1, tzinfo=BERLIN)


class Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def event_of(annotation: Any, value: Any, **more: Any) -> Event:
    return create_model("Made", __base__=Event, value=(annotation, ...), **more)(value=value)


def fingerprint(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, BaseModel):
        fields = {name: value.__dict__.get(name, ...) for name in kind.model_fields}
        extra = value.model_extra or {}
        return (
            kind,
            fingerprint(fields),
            fingerprint(extra),
            fingerprint(value.__pydantic_private__),
        )
    if isinstance(value, enum.Enum):
        return kind, value.name
    if dataclasses.is_dataclass(value):
        return kind, fingerprint(
            {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        )
    if isinstance(value, float):
        return kind, struct.pack(">d", value)
    if isinstance(value, Decimal):
        return kind, value.as_tuple()
    if isinstance(value, datetime | time):
        offset = value.utcoffset()
        naive = value.replace(tzinfo=None, fold=0).isoformat()
        nowhere = (value.fold, getattr(value.tzinfo, "key", None)) if offset is None else None
        return kind, naive, offset, nowhere
    if isinstance(value, dict):
        return kind, frozenset((fingerprint(k), fingerprint(v)) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(fingerprint, value))
    if isinstance(value, list | tuple | deque):
        return kind, tuple(map(fingerprint, value))
    return kind, value


def assert_exact(event: Event, codec: Codec[Any] | None = None) -> bytes:
    codec = codec or Codec(type(event))
    payload = codec.encode(event)
    back = codec.decode(payload)
    assert fingerprint(back) == fingerprint(event)
    assert back == event
    # A set that is made anew may have another order, so the bytes may differ and the values not.
    assert fingerprint(codec.decode(codec.encode(back))) == fingerprint(event)
    return payload


def assert_refused(event: Event, path: str, reason: str = "") -> None:
    codec = Codec(type(event))
    with pytest.raises(Inexact) as refused:
        codec.encode(event)
    assert refused.value.path == path
    assert reason in refused.value.reason
    assert len(str(refused.value)) < 1000


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TEXT = "1"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Odd(enum.Enum):
    PAIR = (1, 2)


class Nested(BaseModel):
    price: float = 0.0
    raw: bytes = b""
    at: datetime | None = None


class Special(Nested):
    more: str = ""


class Tree(BaseModel):
    value: int = 0
    children: list["Tree"] = []


class Chain(BaseModel):
    next: Optional["Chain"] = None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = ""


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@dataclasses.dataclass
class Point:
    x: float
    y: bytes = b""


class Pair(NamedTuple):
    left: int
    right: str


class Keys(TypedDict):
    raw: bytes


def kept_or_refused(event: Event, path: str) -> None:
    codec = Codec(type(event))
    try:
        payload = codec.encode(event)
    except Inexact as refusal:
        assert refusal.path == path  # noqa: PT017
    else:
        assert fingerprint(codec.decode(payload)) == fingerprint(event)


class Text(str):
    __slots__ = ()


def nested_lists(levels):
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value
