"""What was valid when it was stored is read, whatever the validators of its class say now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import pydantic.dataclasses
import pytest
from exactness import Event as Plain
from exactness import assert_exact, event_of, fingerprint
from labels import label
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    FutureDate,
    FutureDatetime,
    Json,
    NaiveDatetime,
    NewPath,
    PastDate,
    PastDatetime,
    PlainValidator,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    create_model,
    field_validator,
    model_validator,
)
from stores import each_api, each_backend, gathered, run
from typing_extensions import TypedDict

from eventuali import Aggregate, Event, SerializationError, UnknownEvent
from eventuali.codec.json import Codec


class World:
    """What the validators look at."""

    refusal: Exception | None = None


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    World.refusal = None
    yield
    World.refusal = None


def judge(value: Any) -> Any:
    if World.refusal is not None:
        raise World.refusal
    return value


def upper(value: str) -> str:
    return judge(value.upper())


def around(value: Any, handler: Any) -> Any:
    judge(value)
    return handler(value)


def emptied(value: Any) -> Any:
    """Changes what it was given before it refuses it."""
    if isinstance(value, dict):
        value = value if World.refusal is None else [value.pop("v"), value][1]
    return judge(value)


Judged = Annotated[int, AfterValidator(judge)]


class Inner(BaseModel):
    word: Annotated[str, AfterValidator(upper)]
    at: datetime | None = None

    @model_validator(mode="after")
    def rule(self) -> Inner:
        return judge(self)


class Initialised(BaseModel):
    x: int

    def model_post_init(self, _context: Any) -> None:
        judge(self)


class Remembered(BaseModel):
    """Remembers what its rule has seen, which no JSON holds."""

    x: int
    _seen: int = PrivateAttr(default=0)

    @model_validator(mode="after")
    def rule(self) -> Remembered:
        self._seen = judge(self.x)
        return self


class Checked(BaseModel):
    v: Judged

    @model_validator(mode="before")
    @classmethod
    def before(cls, data: Any) -> Any:
        return emptied(data)

    @model_validator(mode="wrap")
    @classmethod
    def wrap(cls, data: Any, handler: Any) -> Any:
        return around(data, handler)

    @field_validator("v", mode="before")
    @classmethod
    def field(cls, value: Any) -> Any:
        return judge(value)


@pydantic.dataclasses.dataclass
class Rich:
    x: int
    raw: Annotated[bytes, AfterValidator(judge)] = b""

    def __post_init__(self) -> None:
        judge(self)


@dataclasses.dataclass
class Bare:
    x: Judged


class Keys(TypedDict):
    x: Judged


class Pair(NamedTuple):
    x: Judged


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    a: Judged


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    b: Judged


class Twin(BaseModel):
    a: Judged


class OtherTwin(BaseModel):
    a: Judged


class Tree(BaseModel):
    v: Judged
    children: list[Tree | Cat] = []


MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
JUDGED = [
    (Judged, 1), (Annotated[bytes, BeforeValidator(judge)], b"\xff"), (list[Judged], [1, 2]),
    (Annotated[datetime, WrapValidator(around)], MOMENT), (dict[str, Judged], {"k": 1}),
    (Annotated[str, AfterValidator(upper)], "a"), (Json[Judged], "1"),
    (set[Annotated[str, AfterValidator(upper)]], {"a"}),
    (Annotated[frozenset[str], AfterValidator(judge)], frozenset("abcdef")), (Judged | None, 1),
    (Inner, Inner(word="a", at=MOMENT)), (Initialised, Initialised(x=1)), (Checked, Checked(v=1)),
    (Rich, Rich(1, b"\xff")), (Bare, Bare(1)), (Keys, {"x": 1}), (Pair, Pair(1)),
    (Cat | Dog, Cat(a=1)), (list[Cat | Dog], [Dog(b=1), Cat(a=2)]), (Judged | str, 1),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(b=1)),
    (Tree, Tree(v=1, children=[Tree(v=2), Cat(a=3)])),
]  # fmt: skip


@pytest.mark.parametrize("refusal", [ValueError("no"), KeyError("no"), OSError("gone")], ids=label)
@pytest.mark.parametrize(("annotation", "value"), JUDGED, ids=label)
def test_what_validators_refuse_now(annotation, value, refusal):
    event = event_of(annotation, value)
    codec = Codec(type(event))
    payload = codec.encode(event)
    World.refusal = refusal
    assert fingerprint(codec.decode(payload)) == fingerprint(event)


def test_what_a_rule_of_the_whole_event_refuses_now():
    class Ruled(Plain):
        value: int
        at: datetime = MOMENT

        @model_validator(mode="before")
        @classmethod
        def before(cls, data: Any) -> Any:
            return judge(data)

        @model_validator(mode="after")
        def after(self) -> Ruled:
            return judge(self)

    event = Ruled(value=1)
    codec = Codec(Ruled)
    payload = codec.encode(event)
    World.refusal = ValueError("no")
    assert fingerprint(codec.decode(payload)) == fingerprint(event)
    assert codec.decode(payload[:-1] + b',"newer":1}').model_extra == {"newer": 1}


@pytest.mark.parametrize(
    ("annotation", "payload"),
    [
        (FutureDatetime, b'"2020-01-01T00:00:00Z"'), (PastDatetime, b'"9999-01-01T00:00:00"'),
        (FutureDate, b'"2020-01-01"'), (PastDate, b'"9999-01-01"'),
        (AwareDatetime, b'"2020-01-01T00:00:00"'), (NaiveDatetime, b'"2020-01-01T00:00:00Z"'),
        (FutureDatetime | None, b'"2020-01-01T00:00:00Z"'),
        (FilePath, b'"/not/there"'), (DirectoryPath, b'"/not/there"'), (NewPath, b'"/"'),
        (list[FilePath], b'["/not/there"]'), (FilePath | DirectoryPath, b'"/not/there"'),
    ],
)  # fmt: skip
def test_the_clock_and_the_disk_have_moved_on(annotation, payload):
    cls = create_model("Made", __base__=Plain, value=(annotation, ...))
    with pytest.raises(ValidationError):
        cls.model_validate_json(b'{"value":' + payload + b"}")
    event = Codec(cls).decode(b'{"value":' + payload + b"}")
    assert TypeAdapter(type(event.value)).dump_json(event.value) == payload


def test_a_date_that_must_lie_ahead_is_written_without_a_comparison():
    codec = Codec(create_model("Made", __base__=Plain, value=(FutureDatetime, ...)))
    assert codec.by_construction


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (int, Annotated[int, Field(le=5)], 6), (str, Annotated[str, Field(max_length=1)], "ab"),
        (str, Annotated[str, Field(pattern="^a")], "b"),
        (list[int], Annotated[list[int], Field(max_length=0)], [1]),
        (float, Annotated[float, Field(multiple_of=2)], 1.5),
        (datetime, Annotated[datetime, Field(ge=datetime(2021, 1, 1, tzinfo=UTC))], MOMENT),
    ],
)  # fmt: skip
def test_bounds_that_have_become_narrower(before, after, value):
    event = event_of(before, value)
    narrower = create_model("Made", __base__=Plain, value=(after, ...))
    back = Codec(narrower).decode(Codec(type(event)).encode(event))
    assert fingerprint(back.value) == fingerprint(value)


def test_lengths_that_the_configuration_narrows():
    class Short(Plain):
        model_config = ConfigDict(str_max_length=1)
        value: str

    assert Codec(Short).decode(b'{"value":"long"}').value == "long"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[int, PlainValidator(judge)], 1),  # nothing else knows what it makes of its JSON
        (Twin | OtherTwin, OtherTwin(a=1)),  # it could be either, as far as the JSON says
        (Remembered, Remembered(x=1)),  # its private attribute would be another
    ],
    ids=["plain", "union", "private"],
)
def test_what_only_a_validator_knows_is_not_guessed(annotation, value):
    event = event_of(annotation, value)
    payload = (
        b'{"value":{"a":1}}' if annotation == Twin | OtherTwin else Codec(type(event)).encode(event)
    )
    World.refusal = ValueError("no")
    with pytest.raises(ValidationError, match="no"):
        Codec(type(event)).decode(payload)


def test_a_validator_that_reads_what_a_serializer_wrote_is_not_passed_over():
    def turned(value: Any) -> Any:
        return judge(value[::-1]) if isinstance(value, str) else value

    class Turned(Plain):
        value: Annotated[str, BeforeValidator(turned)]

        @pydantic.field_serializer("value")
        def write(self, value: str) -> str:
            return value[::-1]

    event = Turned.model_construct(value="ab")
    payload = Codec(Turned).encode(event)
    World.refusal = ValueError("no")
    with pytest.raises(ValidationError):
        Codec(Turned).decode(payload)


@pytest.mark.parametrize("payload", [b"{}", b'{"value":"x"}', b'{"value":null}', b"[]", b"{"])
def test_another_type_is_still_refused(payload):
    World.refusal = ValueError("no")
    with pytest.raises(ValidationError):
        Codec(create_model("Made", __base__=Plain, value=(Judged, ...))).decode(payload)


def test_a_check_is_still_asked_at_the_save():
    event = event_of(Annotated[int, Field(gt=0)], 1)
    assert_exact(event)
    with pytest.raises(Exception, match="greater than 0"):
        Codec(type(event)).encode(event.model_copy(update={"value": 0}))


# --- in a store ---------------------------------------------------------------------------------


class Booked(Event):
    room: Judged
    at: FutureDatetime | None = None


class Booking(Aggregate):
    rooms: list[int] = []  # noqa: RUF012

    def apply_booked(self, event: Booked) -> None:
        self.rooms.append(event.room)


async def following(store: Any, count: int, **options: Any) -> list[Event]:
    async with store.subscribe(**options) as events:
        return [await anext(events) for _ in range(count)]


@each_api
@each_backend
def test_history_stays_readable(api, kind, tmp_path):
    async def test(store: Any) -> None:
        booking = Booking(id="b-1")
        booking.apply(Booked.model_construct(room=7, at=MOMENT))
        booking.apply(Booked(room=8))
        await store.save(booking)
        World.refusal = ValueError("no such room")
        loaded = await store.load(Booking, "b-1")
        assert loaded.rooms == [7, 8]
        events = await gathered(store.read())
        assert [type(event) for event in events] == [Booked, Booked]
        assert events[0].at == MOMENT
        assert [event.room for event in await gathered(store.read(raw=True))] == [7, 8]
        assert [event.room for event in await store.load_events("b-1")] == [7, 8]
        steps = [step async for step in store.history(Booking, "b-1")]
        assert steps[-1].state.rooms == [7, 8]

    run(api, kind, tmp_path, test)


def class_of(name: str, annotation: Any) -> type[Event]:
    return create_model("Reading", __base__=Event, __cls_kwargs__={"name": name}, value=annotation)


@each_api
@each_backend
def test_what_fits_no_more_names_its_place_and_comes_raw(api, kind, tmp_path):
    async def test(store: Any) -> None:
        written = class_of(f"reading.{kind}.{api}", (list[str], ...))
        await store.append([written(value=["1", "x"]), Booked(room=1), written(value=["2"])])
        now = class_of(f"reading.{kind}.{api}", (list[int], ...))
        store.register_event_class(now.__event_type__, now)
        with pytest.raises(SerializationError, match=r"position 1 .* raw=True") as caught:
            await gathered(store.read())
        assert caught.value.path == "value[1]"
        assert caught.value.event_type == now.__event_type__
        first, second, third = await gathered(store.read(raw=True))
        assert type(first) is UnknownEvent
        assert first.data == {"value": ["1", "x"]}
        assert (first.meta.position, first.meta.event_type) == (1, now.__event_type__)
        assert second == Booked(room=1)
        assert third.value == [2]

    run(api, kind, tmp_path, test)


def test_a_raw_subscription_steps_over_what_fits_no_more(tmp_path):
    async def test(store: Any) -> None:
        written = class_of("reading.followed", (str, ...))
        await store.append([written(value="x"), written(value="1")])
        now = class_of("reading.followed", (int, ...))
        store.register_event_class("reading.followed", now)
        with pytest.raises(SerializationError, match="position 1"):
            await following(store, 1)
        first, second = await following(store, 2, raw=True)
        assert (type(first), second.value) == (UnknownEvent, 1)

    run("async", "memory", tmp_path, test)


def test_a_class_that_cannot_be_built_is_named_and_its_events_come_raw(tmp_path):
    class Unfinished(Event, name="is.unfinished"):
        value: Nowhere  # noqa: F821

    async def test(store: Any) -> None:
        await store.append([class_of("is.finished", (int, ...))(value=1)])
        store.register_event_class("is.finished", Unfinished)
        with pytest.raises(SerializationError, match="Unfinished"):
            await gathered(store.read())
        (event,) = await gathered(store.read(raw=True))
        assert event.data == {"value": 1}

    run("async", "memory", tmp_path, test)
