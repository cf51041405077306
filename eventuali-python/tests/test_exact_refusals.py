"""Values that JSON would change are refused, and the path says where."""

import dataclasses
import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from exactness import (
    FOLD,
    Cat,
    Chain,
    Colour,
    Event,
    Level,
    Nested,
    Odd,
    Point,
    Special,
    Text,
    Tree,
    assert_exact,
    assert_refused,
    event_of,
    fingerprint,
    kept_or_refused,
    nested_lists,
)
from labels import label
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretBytes,
    SecretStr,
    SerializeAsAny,
    ValidationError,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

import eventuali.event
from eventuali.codec.json import Codec, Inexact
from eventuali.codec.json._compare import MAX_DEPTH
from eventuali.codec.json._fast_path import encoder


class Moment(datetime):
    """A datetime that can hold more, as ``Moment(...).note = "x"``."""


class Labelled(date):
    """A date that can hold more in a slot."""

    __slots__ = ("label",)


class Fine(datetime):
    """A datetime as of pandas: its nanoseconds are in no dictionary and no slot."""

    nanosecond = property(lambda _self: 1)


class Unequal(timedelta):
    __slots__ = ()
    __hash__ = timedelta.__hash__

    def __eq__(self, other):
        return False


class Never(datetime):
    """A datetime as pandas' ``NaT``, whose methods fail."""

    def utcoffset(self):
        raise ValueError


def noted(moment):
    moment.note = "lost"
    return moment


class Blob(bytes):
    pass


class Secret(BaseModel):
    word: SecretStr


class Word(StrEnum):
    A = "a"


class Size(IntEnum):
    ONE = 1


class Vast(IntEnum):
    ONE = 1
    VAST = 2**63


class Abyss(IntEnum):
    ONE = 1
    DEEP = -(2**63) - 1


class OddZone(tzinfo):
    """A zone without a key whose offset depends on the fold."""

    def utcoffset(self, at):
        return timedelta(hours=2 - at.fold) if at else None

    def dst(self, at):
        return timedelta(0)


def cyclic_list():
    value: list = [1]
    value.append(value)
    return value


def cyclic_dict():
    value: dict = {}
    value["self"] = {"again": value}
    return value


def tree(levels):
    value = Tree()
    for _ in range(levels - 1):
        value = Tree(children=[value])
    return value


def chain(levels):
    value = Chain()
    for _ in range(levels - 1):
        value = Chain(next=value)
    return value


REFUSED = [
    (float, math.nan, "value", "NaN"), (float, math.inf, "value", "NaN"),
    (list[float], [1.0, -math.inf], "value[1]", "NaN"),
    (Any, {"k": [math.nan]}, "value['k'][0]", "NaN"),
    (dict[str, float], {"NaN": math.nan}, "value['NaN']", "NaN"),
    (list[Nested], [Nested(), Nested(price=math.inf)], "value[1].price", "NaN"),
    (float | None, math.nan, "value", "NaN"), (Point, Point(math.nan), "value.x", "NaN"),
    (Any, "\ud800", "value", "surrogate"),
    (Any, ["x", {"k": "\udfff"}], "value[1]['k']", "surrogate"),
    (Any, {"\ud800": 1}, "value['\\ud800']", "surrogate"), (int, 10**4300, "value", "digits"),
    (list[int], [1, -(10**4300)], "value[1]", "digits"), (Any, [10**5000], "value[0]", "digits"),
    (dict[int, int], {10**5000: 1}, "value[<int>]", "digits"), (Any, (1, 2), "value", "tuple"),
    (Any, [{"k": (1,)}], "value[0]['k']", "tuple"), (Any, {1: "a"}, "value[1]", "key"),
    (Any, {None: "a"}, "value[None]", "key"), (Any, {1: "a", "1": "b"}, "value[1]", ""),
    (Any, {"a": {(1, 2): 3}}, "value['a'][<tuple>]", ""), (Any, {1, 2}, "value", "set"),
    (Any, frozenset(), "value", "frozenset"), (Any, UUID(int=1), "value", "UUID"),
    (Any, b"x", "value", "bytes"), (Any, bytearray(b"x"), "value", "bytearray"),
    (Any, date(2020, 1, 1), "value", "date"), (Any, {"at": FOLD}, "value['at']", "datetime"),
    (Any, timedelta(1), "value", "timedelta"), (Any, Decimal(1), "value", "Decimal"),
    (Any, Colour.RED, "value", "Colour"), (Any, Level.LOW, "value", "Level"),
    (Any, Point(1.0), "value", "Point"), (Any, Nested(), "value", "Nested"),
    (Any, Text("x"), "value", "Text"), (Any, OrderedDict(a=1), "value", "OrderedDict"),
    (Any, defaultdict(int), "value", "defaultdict"), (Any, Fraction(1, 3), "value", ""),
    (Any, 1j, "value", ""), (Any, object(), "value", ""), (Any, cyclic_list(), "value[1]", "cycle"),
    (Any, cyclic_dict(), "value['self']['again']", "cycle"), (Any, memoryview(b"x"), "value", ""),
    (Any, nested_lists(10_000), "value" + "[0]" * 64, "depth"),
    (Any, nested_lists(MAX_DEPTH + 1), "value" + "[0]" * 64, "depth"),
    (Any, nested_lists(150), "value" + "[0]" * 64, "depth"),
    (Any, nested_lists(230), "value" + "[0]" * 64, "depth"),
    (Tree, tree(MAX_DEPTH // 2 + 1), "value" + ".children[0]" * 32, "depth"),
    (Chain, chain(MAX_DEPTH + 1), "value" + ".next" * 64, "depth"),
    (Chain, chain(5_000), "value" + ".next" * 64, "depth"),
    (Nested, Special(more="lost"), "value", "Special"),
    (list[Nested], [Special()], "value[0]", "Special"),
    (dict[str, Nested], {"k": Special()}, "value['k']", "Special"),
    (bytes, Blob(b"x"), "value", "Blob"),
    (datetime, noted(Moment(2020, 1, 1)), "value", "Moment"),
    (list[datetime], [noted(Moment(2020, 1, 1))], "value[0]", "Moment"),
    (date, Labelled(2020, 1, 1), "value", "Labelled"),
    (datetime, Fine(2020, 1, 1), "value", "Fine"),
    (timedelta, Unequal(1), "value", "Unequal"), (datetime, Never(2020, 1, 1), "value", "Never"),
    (Any, Moment(2020, 1, 1), "value", "Moment"), (Any, [Labelled(2020, 1, 1)], "value[0]", ""),
    (SecretStr, "x", "value", "value"),
    (str | datetime, FOLD, "value", "datetime"), (Odd, Odd.PAIR, "value", "read back"),
    (SerializeAsAny[Nested], Special(more="x"), "value", "Special"),
    (Vast, Vast.VAST, "value", "read back"), (Abyss, Abyss.DEEP, "value", "read back"),
    (set[Vast], {Vast.ONE, Vast.VAST}, "value", "read back"), (Vast | None, Vast.VAST, "value", ""),
    (list[Vast], [Vast.ONE, Vast.VAST], "value[1]", "read back"),
    (dict[str, Abyss], {"k": Abyss.DEEP}, "value['k']", "read back"),
    (frozenset[Abyss], frozenset(Abyss), "value", "read back"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value", "path", "reason"),
    REFUSED,
    ids=lambda x: str(type(x)) if isinstance(x, (list, dict, BaseModel, int)) else label(x),
)
def test_refused(annotation, value, path, reason):
    assert_refused(event_of(annotation, value), path, reason)


@pytest.mark.parametrize("value", [datetime(2020, 1, 1, tzinfo=OddZone()), datetime(2020, 1, 1)])
def test_a_union_of_text_and_datetime_is_kept_or_refused(value):
    kept_or_refused(event_of(str | datetime, value), "value")


@pytest.mark.parametrize("value", [nested_lists(MAX_DEPTH), {"k": nested_lists(MAX_DEPTH - 1)}])
def test_64_levels_in_any_are_kept(value):
    assert_exact(event_of(Any, value))


def nested_type(levels: int) -> Any:
    kind: Any = int
    for _ in range(levels):
        kind = list[kind]
    return kind


def test_levels_that_a_class_declares_count_as_well():
    deepest, deeper = nested_type(MAX_DEPTH), nested_type(MAX_DEPTH + 1)
    assert Codec(type(event_of(deepest, []))).by_construction
    assert_exact(event_of(deepest, nested_lists(MAX_DEPTH)))
    assert_refused(event_of(deeper, nested_lists(MAX_DEPTH + 1)), "value" + "[0]" * 64, "depth")


def test_64_levels_are_64_of_json():
    payload = assert_exact(event_of(Tree, tree(MAX_DEPTH // 2)))
    levels = accumulate((byte in b"[{") - (byte in b"]}") for byte in payload)
    assert max(levels) == 1 + MAX_DEPTH
    event = event_of(Tree, tree(MAX_DEPTH // 2 + 1))
    assert_refused(event, "value" + ".children[0]" * 32, "depth")


@pytest.mark.parametrize("value", [tree(MAX_DEPTH // 2), chain(MAX_DEPTH)], ids=["tree", "chain"])
def test_64_levels_of_models_are_kept(value):
    assert_exact(event_of(type(value), value))


def test_depth_10_000_in_a_stored_payload_is_refused():
    cls = type(event_of(Any, 1))
    with pytest.raises(ValidationError):
        Codec(cls).decode(b'{"value":' + b"[" * 10_000 + b"]" * 10_000 + b"}")


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "path"),
    [
        (int, 1, True, "value"), (int, 1, "1", "value"), (int, 1, 1.0, "value"),
        (float, 1.0, 1, "value"),
        (str, "a", Text("a"), "value"), (str, "a", None, "value"), (bool, True, 1, "value"),
        (Decimal, Decimal(1), 1, "value"), (Decimal, Decimal(1), Decimal("NaN"), "value"),
        (list[int], [1], [1, True], "value[1]"), (list[int], [1], (1,), "value"),
        (list[str], ["a"], [Text("a")], "value[0]"), (dict[str, int], {}, {"k": 1.0}, "value['k']"),
        (dict[int, int], {}, {True: 1}, "value"), (tuple[int, str], (1, "a"), (1, "a", 2), "value"),
        (set[int], {1}, {True}, "value"), (Colour, Colour.RED, "r", "value"),
        (Literal["a"], "a", "b", "value"), (PositiveInt, 1, -1, "value"),
        (datetime, FOLD, "x", "value"),
        (date, date(2020, 1, 1), Moment(2020, 1, 1), "value"),
        (Annotated[str, Field(max_length=2)], "a", "abc", "value"), (Nested, Nested(), {}, "value"),
        (Nested, Nested(), Nested.model_construct(price=1), "value.price"),
        (Nested, Nested(), Nested.model_construct(raw=None), "value.raw"),
        (Tree, Tree(), Tree.model_construct(children=[Tree(), None]), "value.children[1]"),
        (Tree, Tree(), Tree.model_construct(children=[Cat()]), "value.children[0]"),
    ],
)  # fmt: skip
def test_unvalidated_values_are_refused(annotation, good, bad, path):
    event = event_of(annotation, good).model_copy(update={"value": bad})
    with pytest.raises(Inexact) as refused:
        Codec(type(event)).encode(event)
    assert refused.value.path == path


def test_containers_changed_after_validation_are_refused():
    event = event_of(list[int], [1])
    event.value.append(True)
    assert_refused(event, "value[1]", "bool")


def test_a_model_changed_after_validation_is_refused():
    event = event_of(Nested, Nested())
    event.value.price = "1"
    assert_refused(event, "value.price")


NOT_VALIDATED = [
    (float, 0, 0.0), (float, True, 1.0), (Decimal, 0, Decimal(0)), (Decimal, 1.5, Decimal("1.5")),
    (int, True, 1), (int, 2.0, 2), (bool, 0, False), (float | None, 0, 0.0), (Size, 1, Size.ONE),
    (Word, "a", Word.A),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "default", "back"), NOT_VALIDATED, ids=label)
def test_a_default_that_pydantic_did_not_validate_comes_back_as_its_field_has_it(
    annotation, default, back
):
    line = create_model("Line", value=(annotation, default))
    cls = create_model(
        "Made", __base__=Event, value=(annotation, Field(default_factory=lambda: default)),
        lines=(list[line], ...),
    )  # fmt: skip
    event = cls(lines=[line()])
    assert event.value is default
    codec = Codec(cls)
    stored = codec.decode(codec.encode(event))
    assert fingerprint([stored.value, stored.lines[0].value]) == fingerprint([back, back])
    assert stored == event
    assert_exact(stored)


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (UUID, str(UUID(int=1))), (Colour, "r"), (Decimal, "1.5"), (date, "2020-01-01"), (str, 1),
        (int, None), (list[int], ()), (set[int], []), (tuple[int, ...], [1]), (Nested, {}),
        (timedelta, 5), (float, 2**53 + 1), (bytes, "x"), (str, Text("a")),
    ],
    ids=label,
)  # fmt: skip
def test_a_default_of_another_type_is_named_with_the_cure(annotation, default):
    line = create_model("Line", value=(annotation, default))
    cls = create_model("Made", __base__=Event, value=(annotation, default))
    assert_refused(cls(), "value", "it is the default, which is not of the field's type")
    assert_refused(event_of(list[line], [line()]), "value[0].value", "validate_default=True")
    try:
        cured = create_model(
            "Made", __base__=Event, __cls_kwargs__={"validate_default": True},
            value=(annotation, default),
        )()  # fmt: skip
    except ValidationError:
        return
    assert_exact(cured)


def test_a_part_of_a_default_that_is_of_another_type_is_named():
    cls = create_model("Made", __base__=Event, value=(list[float], [1.0, 0]))
    assert_refused(cls(), "value[1]", "it is the default")


def test_a_value_that_is_given_is_no_default():
    cls = create_model("Made", __base__=Event, value=(float, 0), other=(str, Text("a")))
    assert_refused(cls().model_copy(update={"value": 0}), "value", "int would come back as float")
    with pytest.raises(Inexact, match="Text would come back as str") as refused:
        Codec(cls).encode(cls(value=1).model_copy(update={"other": Text("a")}))
    assert "default" not in refused.value.reason


def test_the_default_of_a_dataclass():
    @dataclasses.dataclass
    class Line:
        price: float = 0
        name: str = Text("a")

    assert Codec(type(event := event_of(Line, Line(name="a")))).encode(event) == (
        b'{"value":{"price":0.0,"name":"a"}}'
    )
    assert_refused(event_of(Line, Line()), "value.name", "it is the default")


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Sequence[Any], [1, b"\xff"], "value[1]"), (Sequence[Any], (b"\xff",), "value[0]"),
        (dict[str, Sequence[Any]], {"k": [[b"\xff"]]}, "value['k'][0][0]"),
        (Sequence[Any], [{"k": b"\xff"}], "value[0]['k']"), (SecretBytes, "x", "value"),
        (list[Secret], [Secret(word="x"), Secret.model_construct(word="y")], "value[1].word"),
        (Path, 5, "value"), (Sequence[Any], [object()], "value[0]"),
    ],
    ids=label,
)  # fmt: skip
def test_what_a_serializer_of_pydantic_raises_is_a_refusal(annotation, value, path):
    event = create_model("Made", __base__=Event, value=(annotation, ...)).model_construct(
        value=value
    )
    with pytest.raises(Inexact) as refused:
        Codec(type(event)).encode(event)
    assert refused.value.path == path


@pytest.mark.parametrize("field", [Field(default=None), Field(default_factory=lambda: None)])
def test_an_invalid_default_is_refused(field):
    cls = create_model("Made", __base__=Event, value=(int, field))
    assert_refused(cls(), "value")


def test_a_default_beyond_its_bound_is_refused():
    cls = create_model("Made", __base__=Event, value=(int, Field(default=0, gt=3)))
    assert_refused(cls(), "value")


def test_a_missing_field_is_refused():
    cls = create_model("Made", __base__=Event, value=(int, ...), other=(str, "x"))
    event = cls.model_construct(other="y")
    with pytest.raises(Inexact) as refused:
        Codec(cls).encode(event)
    assert refused.value.path == "value"


def test_an_extra_field_that_cannot_be_written_is_named():
    cls = create_model("Made", __config__=ConfigDict(extra="allow"), value=(int, 1))
    assert_refused(cls(more=object()), "more")


def test_a_field_that_is_written_as_nan_is_named():
    class Written(Event):
        value: int = 1
        more: str = "x"

        @field_serializer("more", return_type=float)
        def write(self, more):
            return math.nan

        @field_validator("more", mode="before")
        @classmethod
        def read(cls, more):
            return "x"

    assert_refused(Written(), "more", "NaN")


def test_only_a_rule_about_the_whole_event_has_no_path():
    class Ruled(Event):
        value: int

        @model_validator(mode="after")
        def rule(self):
            if self.value < 0:
                raise ValueError("negative")
            return self

    assert_refused(Ruled.model_construct(value=-1), "", "negative")


class Fact(eventuali.event.Event):
    text: str = ""


class Holder(BaseModel):
    fact: Fact | None = None


@dataclasses.dataclass
class Held:
    fact: Fact


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Fact, Fact(), "value"), (Fact | None, Fact(), "value"), (Fact | int, Fact(), "value"),
        (list[Fact], [Fact()], "value[0]"), (tuple[Fact, ...], (Fact(), Fact()), "value[0]"),
        (dict[str, Fact], {"k": Fact()}, "value['k']"), (Holder, Holder(fact=Fact()), "value.fact"),
        (Held, Held(Fact()), "value.fact"), (list[Tree | Fact], [Tree(), Fact()], "value[1]"),
        (SerializeAsAny[BaseModel], Fact(), "value"), (Any, Fact(), "value"),
        (Any, [Fact()], "value[0]"),
    ],
    ids=label,
)  # fmt: skip
def test_an_event_inside_another_is_refused(annotation, value, path):
    assert_refused(event_of(annotation, value), path)
    declared = annotation not in (Any, SerializeAsAny[BaseModel])
    outer = create_model("Outer", __base__=eventuali.event.Event, value=(annotation, ...))
    assert_refused(outer(value=value), path, "metadata" if declared else "")


def test_a_model_that_could_hold_an_event_and_does_not_is_kept():
    assert_exact(event_of(Holder, Holder()))


class Own(Exception):
    """An exception of the user."""


class Serialised(Event):
    """Its serializer does what it is told, then lets pydantic go on."""

    first: int = 0
    act: Callable[[], object] = Field(default=int, exclude=True)
    value: dict[str, Any] = Field(default_factory=dict)

    @field_serializer("value", mode="wrap", when_used="json")
    def write(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        self.act()
        return handler(value)


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "error", [Own("mine"), ValueError("mine"), RuntimeError("mine")], ids=label
)
def test_what_a_serializer_raises_comes_through(error):
    error.__cause__ = before = KeyError("before")
    with pytest.raises(type(error), match="mine") as raised:
        Codec(Serialised).encode(Serialised(act=raising(error)))
    assert raised.value is error
    assert error.__cause__ is before
    assert error.__notes__ == ["raised while Serialised.value was written"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_more_than_a_save_goes_through_a_serializer(kind):
    with pytest.raises(kind):
        Codec(Serialised).encode(Serialised(act=raising(kind())))


class Growing(BaseModel):
    """Adds to the dict that holds it while that is written."""

    @model_serializer
    def write(self) -> dict[str, int]:
        GROWING[str(len(GROWING))] = self
        return {}


GROWING: dict[str, Any] = {}


@pytest.mark.parametrize("cls", [create_model("Plain", __base__=Event, value=dict), Serialised])
def test_a_dict_that_grows_while_it_is_written_is_refused(cls):
    GROWING.clear()
    GROWING["a"] = Growing()
    assert_refused(cls.model_construct(first=0, value=GROWING, act=int), "value", "changed size")


Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})


@pytest.mark.parametrize("error", [ValueError(), Panic()], ids=label)
def test_an_event_that_cannot_be_written_at_once_is_compared(error):
    encode = encoder({}, set(), lambda event: raising(error)(), lambda event: b"compared")
    assert encode([Special(), Special()]) == [b"compared", b"compared"]
    with pytest.raises(KeyboardInterrupt):
        encoder({}, set(), lambda event: raising(KeyboardInterrupt())(), bytes)([Special()])
