"""Event classes of every kind that pydantic knows, made at random, and events of them.

The same seed makes the same classes and events. What a field may hold is drawn, not only what JSON
keeps: whoever encodes the events has to keep or refuse each.
"""

import dataclasses
import enum
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic.dataclasses
from exactness import FOLD, GAP, LOCAL_MEAN_TIME, Text
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    create_model,
    field_serializer,
    model_validator,
)
from typing_extensions import TypedDict

T = TypeVar("T")
Make = Callable[[], Any]


class Whole(int):
    pass


class Plain(enum.Enum):
    A = "a"
    B = "b"


class Word(enum.StrEnum):
    A = "a"
    B = "NaN"


class Size(enum.IntEnum):
    ONE = 1
    LARGE = 2**63 - 1


class Vast(enum.IntEnum):
    ONE = 1
    VAST = 2**63


class Abyss(enum.Enum):
    ONE = 1
    DEEP = -(2**70)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    READ = 1
    WRITE = 2


class Mixed(enum.Enum):
    ONE = 1
    TEXT = "1"
    REAL = 1.0e0 + 0.5
    NONE = None


class Truth(enum.Enum):
    YES = True
    NO = False


class Alike(enum.Enum):
    ONE = 1
    YES = "true"
    ALSO = 1


class Missing(enum.Enum):
    A = "a"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> "Missing":
        return cls.OTHER


class TextSize(str, enum.Enum):  # noqa: UP042
    SMALL = "1"
    BIG = "\ufffd"


class RealSize(float, enum.Enum):
    HALF = 0.5
    MANY = 1e300


ENUMS = [
    Plain, Word, Size, Vast, Abyss, Rights, Bits, Mixed, Truth, Alike, Missing, TextSize, RealSize,
]  # fmt: skip
INTS = [0, 1, -1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40, 10**4298]
FLOATS = [0.0, -0.0, 1.0, 0.1, 5e-324, 1.7976931348623157e308, 1e16, 1e22, -2.5]
TEXTS = ["", "a", "\0", "NaN", "1", "1.0", "true", "null", "é\U0001f600", "2020-01-01", "\ufffd",
         "Infinity", " a ", "[]", "00000000-0000-0000-0000-000000000007"]  # fmt: skip
MOMENTS = [
    FOLD, FOLD.replace(fold=1), GAP, LOCAL_MEAN_TIME, datetime.min, datetime.max,
    datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 0, 7),
    datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(seconds=3))),
    datetime(2020, 1, 1, 2, 3, 4, 5, ZoneInfo("America/New_York")),
]  # fmt: skip
TIMES = [time(), time(1, 2, 3, 4), time(1, tzinfo=UTC), time(1, fold=1), time.max,
         time(1, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))]  # fmt: skip
DECIMALS = ["0", "-0", "0.10", "1E+400", "1E-999999", "1.50", "123456789012345678901234567890.1"]
SPANS = [timedelta(), timedelta.min, timedelta.max, timedelta(microseconds=-1), timedelta(1, 2, 3)]
ODD = [(1,), {1: 2}, {1}, b"x", UUID(int=1), Decimal(1), 1j, Fraction(1, 3), Text("x"), Whole(3),
       "\ud800", float("nan"), object(), OrderedDict(a=1), date(2020, 1, 1), Plain.A]  # fmt: skip


_COMPARED = {"use_enum_values", "str_strip_whitespace", "alias_generator", "validate_assignment"}
"""What makes a comparison necessary."""


class Maker:
    """Makes classes and values from a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self._number = 0
        self._plain = self.draw.random() < 0.4  # a class that may need no comparison

    def event(self, base: type[BaseModel]) -> tuple[type[BaseModel], Make]:
        """A class of events, and what makes one of them; it may raise where pydantic refuses."""
        return self._model(3, base)

    # --- types ----------------------------------------------------------------------------------

    def kind(self, depth: int) -> tuple[Any, Make]:
        """An annotation, and what makes a value for it."""
        leaves = [self._leaf, self._leaf, self._enum, self._constrained, self._literal, self._own]
        nests = [self._list, self._set, self._tuple, self._dict, self._optional, self._union,
                 self._nested, self._nested, self._tagged, self._dataclass, self._typed_dict,
                 self._named_tuple, self._root, self._generic, self._any, self._other]  # fmt: skip
        if self._plain:
            leaves = [self._leaf, self._leaf, self._enum, self._constrained]
            nests = [self._list, self._set, self._tuple, self._dict, self._optional, self._nested]
        build = self.draw.choice(leaves if depth <= 0 else leaves + nests)
        return build(depth - 1)

    def _pick(self, values: Sequence[Any]) -> Make:
        return lambda: self.draw.choice(values)

    def _leaf(self, _depth: int) -> tuple[Any, Make]:
        kinds: list[tuple[Any, Make]] = [
            (int, self._pick(INTS)), (float, self._pick(FLOATS)), (str, self._pick(TEXTS)),
            (bool, self._pick([True, False])), (bytes, self._pick([b"", b"\xff\0", b"abc"])),
            (Decimal, lambda: Decimal(self.draw.choice(DECIMALS))), (date, self._pick([date.min])),
            (datetime, self._pick(MOMENTS)), (time, self._pick(TIMES)),
            (timedelta, self._pick(SPANS)), (UUID, self._pick([UUID(int=7), UUID(int=2**128 - 1)])),
            (None, lambda: None), (Path, self._pick([Path("a/b"), Path()])),
            (IPv4Address, lambda: IPv4Address("127.0.0.1")), (complex, self._pick([1j, 2.5j])),
            (SecretStr, lambda: SecretStr("x")), (object, self._pick([1, "x"])),
        ]  # fmt: skip
        return self.draw.choice(kinds[:11] if self._plain else kinds)

    def _enum(self, _depth: int) -> tuple[Any, Make]:
        chosen = self.draw.choice(ENUMS)
        members = list(chosen.__members__.values())
        if issubclass(chosen, enum.Flag):
            members.append(members[0] | members[1])
        return chosen, self._pick(members)

    def _constrained(self, _depth: int) -> tuple[Any, Make]:
        return self.draw.choice([
            (Annotated[int, Field(gt=0)], self._pick([1, 2**64])),
            (Annotated[int, Field(multiple_of=2)], self._pick([0, 2**70])),
            (Annotated[str, Field(max_length=3)], self._pick(["", "abc"])),
            (Annotated[str, Field(pattern="^a")], self._pick(["a", "ab"])),
            (Annotated[str, Field(strict=True)], self._pick(TEXTS)),
            (Annotated[float, Field(strict=True)], self._pick(FLOATS)),
            (Annotated[Decimal, Field(decimal_places=2)], lambda: Decimal("1.50")),
            (Annotated[float, Field(allow_inf_nan=False)], self._pick(FLOATS)),
        ])  # fmt: skip

    def _literal(self, _depth: int) -> tuple[Any, Make]:
        return self.draw.choice([
            (Literal["a", "b"], self._pick(["a", "b"])), (Literal[1, "1"], self._pick([1, "1"])),
            (Literal[True, 1], self._pick([True, 1])),
            (Literal[Plain.A, "a"], self._pick([Plain.A, "a"])),
            (Literal[Size.ONE, Size.LARGE], self._pick(list(Size))),
            (Literal[Vast.ONE, Vast.VAST], self._pick(list(Vast))),
            (Literal[2**63, 1], self._pick([2**63, 1])),
            (Literal[None, b"x"], self._pick([None, b"x"])),
        ])  # fmt: skip

    def _own(self, _depth: int) -> tuple[Any, Make]:
        return self.draw.choice([
            (Annotated[str, AfterValidator(str.lower)], self._pick(["a", "B"])),
            (Annotated[int, BeforeValidator(int)], self._pick([1, 2**70])),
            (Annotated[int, PlainSerializer(str)], self._pick([1, 2**70])),
            (Annotated[float, PlainSerializer(round)], self._pick(FLOATS)),
            (Annotated[str, AfterValidator(Text)], self._pick(TEXTS)),
        ])  # fmt: skip

    def _many(self, make: Make) -> list[Any]:
        return [make() for _ in range(self.draw.choice([0, 1, 1, 2, 3]))]

    def _list(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        kind, of = self.draw.choice([(list, list), (list, list), (deque, deque), (Sequence, list),
                                     (Sequence, tuple)])  # fmt: skip
        return kind[inner], lambda: of(self._many(make))

    def _set(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        kind = self.draw.choice([set, frozenset])
        return kind[inner], lambda: kind(self._many(make))

    def _tuple(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        if self.draw.random() < 0.5:
            return tuple[inner, ...], lambda: tuple(self._many(make))
        other, make_other = self.kind(depth)
        return tuple[inner, other], lambda: (make(), make_other())

    def _dict(self, depth: int) -> tuple[Any, Make]:
        if self._plain:
            keys, make_key = self.draw.choice([(str, self._pick(TEXTS)), (int, self._pick(INTS))])
            values, make = self.kind(depth)
            return dict[keys, values], lambda: {key: make() for key in self._many(make_key)}
        keys, make_key = self.kind(0) if self.draw.random() < 0.7 else self.kind(1)
        values, make = self.kind(depth)
        kind = self.draw.choice([dict, dict, Mapping, OrderedDict])
        of = OrderedDict if kind is OrderedDict else dict
        return kind[keys, values], lambda: of((key, make()) for key in self._many(make_key))

    def _optional(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        return inner | None, lambda: None if self.draw.random() < 0.3 else make()

    def _union(self, depth: int) -> tuple[Any, Make]:
        left, make_left = self.kind(depth)
        right, make_right = self.kind(depth)
        mode = self.draw.choice(["smart", "left_to_right"])
        union = Annotated[left | right if left or right else None, Field(union_mode=mode)]
        return union, lambda: self.draw.choice([make_left, make_right])()

    def _any(self, depth: int) -> tuple[Any, Make]:
        _, make = self.kind(depth)
        plain = [None, True, 1, 2**70, 1.5, -0.0, "x", [1, [2.5]], {"a": {"b": []}}]
        odd = self._pick(ODD) if self.draw.random() < 0.3 else make
        return Any, lambda: self.draw.choice([odd, self._pick(plain), self._pick(plain)])()

    def _other(self, depth: int) -> tuple[Any, Make]:
        """Now and then a value of another type than the field says."""
        inner, make = self.kind(depth)
        _, other = self.kind(depth)
        return inner, lambda: (other if self.draw.random() < 0.1 else make)()

    # --- classes --------------------------------------------------------------------------------

    def _name(self) -> str:
        self._number += 1
        return f"Made{self._number}"

    def _nested(self, depth: int) -> tuple[Any, Make]:
        return self._model(depth, BaseModel)

    def _model(self, depth: int, base: type[BaseModel]) -> tuple[Any, Make]:
        draw = self.draw
        names = ["a", "b", "class_", "type"][: draw.randint(1, 3 if base is BaseModel else 4)]
        fields = {name: self.kind(depth) for name in names}
        own: dict[str, Any] = {"__annotations__": {}}
        for name, (annotation, make) in fields.items():
            own["__annotations__"][name] = annotation
            own[name] = self._field(name, names, make)
        config: dict[str, Any] = {}
        if draw.random() < 0.3:
            config["extra"] = draw.choice(["allow", "ignore", "forbid"])
        for name, share, value in (
            ("populate_by_name", 0.2, True), ("alias_generator", 0.1, str.upper),
            ("serialize_by_alias", 0.1, True), ("frozen", 0.2, True), ("strict", 0.1, True),
            ("use_enum_values", 0.1, True), ("str_strip_whitespace", 0.1, True),
            ("ser_json_bytes", 0.1, "hex"), ("ser_json_timedelta", 0.1, "float"),
            ("validate_default", 1, True), ("ser_json_inf_nan", 0.05, "strings"),
            ("validate_assignment", 0.05, True),
        ):  # fmt: skip
            if draw.random() < share and not (self._plain and name in _COMPARED):
                config[name] = value
        own["model_config"] = ConfigDict(arbitrary_types_allowed=True, **config)
        private = self._private(own) if draw.random() < 0.3 else None
        if not self._plain:
            self._methods(own, names)
        cls = type(base)(self._name(), (base,), own, **{})
        return cls, lambda: self._instance(cls, fields, private)

    def _field(self, name: str, names: list[str], make: Make) -> Any:
        draw = self.draw
        more: dict[str, Any] = {}
        if draw.random() < 0.25:
            default = make()
            more["default_factory" if draw.random() < 0.3 else "default"] = default
            if "default_factory" in more:
                more["default_factory"] = lambda: default
        other = draw.choice([*names, "alias", "x"])
        choice = draw.random()
        if choice < 0.08:
            more["alias"] = other
        elif choice < 0.14:
            more["validation_alias"] = AliasChoices(other, AliasPath("deep", 0), "more")
        elif choice < 0.18:
            more["serialization_alias"] = other
        elif choice < 0.22:
            more["validation_alias"] = AliasPath(other, draw.choice([0, "k"]))
        if draw.random() < 0.05 and not self._plain:
            more["exclude"] = True
        return Field(**more)

    def _private(self, own: dict[str, Any]) -> Make:
        _, make = self.kind(1)
        default = make()
        own["__annotations__"]["_p"] = Any
        own["_p"] = self.draw.choice([
            PrivateAttr(default=default), PrivateAttr(default_factory=lambda: default),
            PrivateAttr(default=0), PrivateAttr(default_factory=object), PrivateAttr(),
        ])  # fmt: skip
        return self.draw.choice([make, lambda: default, lambda: 0, lambda: False])

    def _methods(self, own: dict[str, Any], names: list[str]) -> None:
        draw, name = self.draw, names[0]
        if draw.random() < 0.1:
            own["model_post_init"] = draw.choice([_remembers, _counts(name), _nothing])
        if draw.random() < 0.1:
            own["total"] = computed_field(return_type=float)(property(_half))
        if draw.random() < 0.05:
            own["_write"] = field_serializer(name)(draw.choice([_as_it_is, _as_text]))
        if draw.random() < 0.05:
            own["_whole"] = model_validator(mode="after")(_returns_itself)

    def _instance(
        self, cls: type[BaseModel], fields: dict[str, tuple[Any, Make]], private: Make | None
    ) -> BaseModel:
        draw = self.draw
        values = {name: make() for name, (_, make) in fields.items() if draw.random() < 0.85}
        if draw.random() < 0.15:
            extra = {} if cls.model_config.get("extra") != "allow" else {"more": 1}
            values = {name: make() for name, (_, make) in fields.items()}
            made = cls.model_construct(None, **values, **extra)
            made.__pydantic_fields_set__.update(fields)  # what has an alias is its default now
        else:
            extra = {draw.choice(["more", "alias", "b"]): draw.choice([1, "x", [1.5]])}
            more = extra if cls.model_config.get("extra") == "allow" else {}
            made = cls.model_validate(more | values, by_name=True, by_alias=draw.random() < 0.1)
        if private is not None and draw.random() < 0.5:
            made._p = private()
        return made

    def _tagged(self, depth: int) -> tuple[Any, Make]:
        left, make_left = self.kind(depth)
        right, make_right = self.kind(depth)
        alias = self.draw.choice([None, None, "type"])
        private = {"_p": (int, PrivateAttr(default=0))} if self.draw.random() < 0.2 else {}
        config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)
        one = create_model(self._name(), __config__=config, v=(left, ...), **private,
                           kind=(Literal["one"], Field("one", alias=alias)))  # fmt: skip
        two = create_model(self._name(), __config__=config, v=(right, ...),
                           kind=(Literal["two"], Field("two", alias=alias)))  # fmt: skip
        makes = [lambda: one(v=make_left()), lambda: two(v=make_right())]
        return Annotated[one | two, Field(discriminator="kind")], lambda: self.draw.choice(makes)()

    def _dataclass(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        draw = self.draw
        kind = draw.choice(["stdlib", "pydantic", "open"])
        default = make()
        more = [("z", inner, dataclasses.field(default_factory=lambda: default))]
        frozen = kind == "stdlib" and draw.random() < 0.3
        plain = dataclasses.make_dataclass(self._name(), [("v", inner), *more], frozen=frozen)
        if kind == "stdlib":
            return plain, lambda: plain(make())
        extra = "allow" if kind == "open" else "ignore"
        config = ConfigDict(arbitrary_types_allowed=True, extra=extra)
        rich = pydantic.dataclasses.dataclass(plain, config=config)
        return rich, lambda: rich(v=make(), **({"more": 1} if kind == "open" else {}))

    def _typed_dict(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        total = self.draw.random() < 0.5
        alias = self.draw.choice([None, "w", "b"])
        field = Annotated[inner, Field(alias=alias)] if alias else inner
        kind = TypedDict(self._name(), {"v": field, "w": int}, total=total)  # noqa: UP013
        if self.draw.random() < 0.3:
            extra = self.draw.choice(["allow", "forbid"])
            kind.__pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, extra=extra)
        return (
            kind,
            lambda: {"v": make(), "w": 1} if total or self.draw.random() < 0.5 else {"v": make()},
        )

    def _named_tuple(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        kind = NamedTuple(self._name(), [("v", inner), ("w", int)])  # noqa: UP014
        return kind, lambda: kind(make(), 2**63)

    def _root(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)
        config = ConfigDict(arbitrary_types_allowed=True)
        base = type(RootModel)(self._name(), (RootModel,), {
            "__annotations__": {"root": inner}, "model_config": config,
        })  # fmt: skip
        return base, lambda: base(make())

    def _generic(self, depth: int) -> tuple[Any, Make]:
        inner, make = self.kind(depth)

        class Box(BaseModel, Generic[T]):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            v: T
            w: Optional["Box[T]"] = None

        kind = Box[inner]
        return kind, lambda: kind(v=make(), w=kind(v=make()) if self.draw.random() < 0.3 else None)


def _remembers(self: Any, _context: Any) -> None:
    if "_p" in type(self).__private_attributes__:
        self._p = 7


def _counts(name: str) -> Callable[[Any, Any], None]:
    def post_init(self: Any, _context: Any) -> None:
        value = self.__dict__.get(name)
        if isinstance(value, int):
            self.__dict__[name] = value + 1

    return post_init


def _nothing(self: Any, _context: Any) -> None:
    pass


def _half(self: Any) -> float:
    return 0.5


def _as_it_is(self: Any, value: Any) -> Any:
    return value


def _as_text(self: Any, value: Any) -> Any:
    return str(value)


def _returns_itself(self: Any) -> Any:
    return self
