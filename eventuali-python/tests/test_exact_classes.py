"""Classes with their own ideas about JSON."""

import dataclasses
import functools
import math
import threading
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pytest
from exactness import (
    FOLD,
    Event,
    Nested,
    assert_exact,
    assert_refused,
    event_of,
    fingerprint,
    kept_or_refused,
)
from labels import label
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import to_json
from typing_extensions import TypedDict

from eventuali.codec.json import Codec

T = TypeVar("T")


def test_config_of_nested_models_is_overruled():
    class Inner(BaseModel):
        model_config = ConfigDict(
            ser_json_bytes="hex",
            val_json_bytes="utf8",
            ser_json_timedelta="float",
            ser_json_inf_nan="null",
        )
        raw: bytes
        lasts: timedelta

    inner = Inner(raw=b"\xff", lasts=timedelta.max)
    assert_exact(event_of(Inner, inner))


def test_nan_is_kept_where_the_class_declares_it():
    class Declared(Event):
        model_config = ConfigDict(ser_json_inf_nan="strings")
        value: float

    codec = Codec(Declared)
    for value in (math.nan, -math.inf):
        event = Declared(value=value)
        assert fingerprint(codec.decode(codec.encode(event))) == fingerprint(event)


def test_lossy_field_serializer_is_refused():
    class Rounded(Event):
        value: float
        other: int = 0

        @field_serializer("value")
        def _round(self, value: float) -> float:
            return round(value)

    assert_refused(Rounded(value=1.5), "value")
    assert_exact(Rounded(value=2.0))


def test_lossless_field_serializer_is_kept():
    class Hex(Event):
        value: int

        @field_serializer("value")
        def _write(self, value: int) -> str:
            return hex(value)

        @field_validator("value", mode="before")
        @classmethod
        def _read(cls, value: Any) -> Any:
            return int(value, 16) if isinstance(value, str) else value

    assert assert_exact(Hex(value=255)) == b'{"value":"0xff"}'


def test_lossy_model_serializer_is_refused():
    class Partial(Event):
        value: int
        other: int = 0

        @model_serializer
        def _write(self) -> dict[str, Any]:
            return {"value": self.value}

    assert_exact(Partial(value=1))
    assert_refused(Partial(value=1, other=2), "other")


def test_what_a_serializer_raises_comes_through():
    class Broken(Event):
        fine: int = 0
        value: int

        @field_serializer("value")
        def _write(self, value: int) -> int:
            raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        Codec(Broken).encode(Broken(value=1))


def test_validator_that_is_not_idempotent_is_refused():
    class Growing(Event):
        value: int

        @field_validator("value")
        @classmethod
        def _more(cls, value: int) -> int:
            return value + 1

    assert_refused(Growing(value=1), "value")


def test_model_validator_that_is_idempotent_is_kept():
    class Sorted(Event):
        value: list[int]

        @model_validator(mode="after")
        def _sort(self) -> "Sorted":
            self.value.sort()
            return self

    assert_exact(Sorted(value=[2, 1]))


def test_text_config_is_compared():
    class Stripped(Event):
        model_config = ConfigDict(str_strip_whitespace=True)
        value: str

    assert_exact(Stripped(value=" a "))
    assert_refused(Stripped(value="a").model_copy(update={"value": " a"}), "value")


def test_excluded_field_is_kept_only_at_its_default():
    class Secret(Event):
        value: int = 0
        password: str = Field(default="", exclude=True)

    assert_exact(Secret(value=1))
    assert_refused(Secret(password="x"), "password")


def test_computed_field_is_not_written():
    class Computed(Event):
        value: int

        @computed_field
        @property
        def double(self) -> int:
            return 2 * self.value

    assert assert_exact(Computed(value=1)) == b'{"value":1}'


def test_cached_property_is_not_data():
    class Cached(Event):
        value: int

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.value

    event = Cached(value=1)
    assert event.double == 2
    assert fingerprint(Codec(Cached).decode(Codec(Cached).encode(event))) == fingerprint(event)


def test_a_private_attribute_that_would_change_is_refused():
    class Private(Event):
        value: int
        _count: int = PrivateAttr(default=0)

    event = Private(value=1)
    assert Codec(Private).by_construction
    assert assert_exact(event) == b'{"value":1}'
    event._count = 5
    assert_refused(event, "_count", "private attribute")


class Inner(BaseModel):
    a: int = 1
    _p: Any = PrivateAttr(default=0)


class Late(BaseModel):
    """Its private attribute is what it was made of."""

    a: int
    _p: int = PrivateAttr()

    def model_post_init(self, _context: Any) -> None:
        self._p = self.a


class Numbered(BaseModel):
    a: int = 1
    _id: object = PrivateAttr(default_factory=object)


def with_private(model: BaseModel, value: Any) -> BaseModel:
    model._p = value
    return model


@dataclasses.dataclass
class Holder:
    inner: Inner


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Inner, with_private(Inner(), 7), "value._p"),
        (Inner, with_private(Inner(), False), "value._p"),
        (list[Inner], [Inner(), with_private(Inner(), 7)], "value[1]._p"),
        (Late, with_private(Late(a=1), 2), "value._p"),
        (dict[str, Inner], {"k": with_private(Inner(), [1])}, "value['k']._p"),
        (Inner | None, with_private(Inner(), None), "value._p"),
        (Numbered, Numbered(), "value._id"),
        (Holder, Holder(with_private(Inner(), 7)), "value.inner._p"),
        (tuple[Inner, ...], (Inner(), with_private(Inner(), 7)), "value[1]._p"),
        (RootModel[Inner], RootModel[Inner](with_private(Inner(), 7)), "value.root._p"),
    ],
    ids=label,
)  # fmt: skip
def test_a_private_attribute_of_a_nested_model_is_kept_or_refused(annotation, value, path):
    assert_refused(event_of(annotation, value), path, "private attribute")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Inner, Inner()), (list[Inner], [with_private(Inner(), 0)]), (Late, Late(a=3)),
        (Holder, Holder(Inner())),
    ],
    ids=label,
)  # fmt: skip
def test_a_private_attribute_that_comes_back_is_no_hindrance(annotation, value):
    assert_exact(event_of(annotation, value))


def test_private_attributes_with_plain_defaults_need_no_comparison():
    assert Codec(type(event_of(Inner, Inner()))).by_construction
    assert not Codec(type(event_of(Late, Late(a=1)))).by_construction
    assert not Codec(type(event_of(Numbered, Numbered()))).by_construction


@pytest.mark.parametrize(
    "field",
    [
        Field(alias="other"), Field(serialization_alias="other"), Field(validation_alias="other"),
        Field(validation_alias="x", serialization_alias="y"), Field(validation_alias=AliasPath("a",
        0)),
    ],
)  # fmt: skip
def test_fields_are_written_by_name(field):
    class Inner(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        value: Annotated[int, field]

    class Aliased(Event):
        model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
        value: Annotated[int, field]
        inner: Inner

    event = Aliased(value=1, inner=Inner(value=2))
    assert assert_exact(event) == b'{"value":1,"inner":{"value":2}}'


def test_fields_are_read_by_alias_too():
    class Aliased(Event):
        value: int = Field(default=0, alias="other")

    assert Codec(Aliased).decode(b'{"other":7}').value == 7


RENAMED = AliasChoices("email", "mail", AliasPath("contact", 0))


def renamed_classes(extra: str) -> list[type[BaseModel]]:
    """A field `email` that was called `mail`, in every kind of class, as the field `value`."""
    config = ConfigDict(extra=extra)
    field = Field("", validation_alias=RENAMED)
    model = create_model("Model", __config__=config, email=(str, field))
    generic = create_model("Box", __base__=(BaseModel, Generic[T]), v=(T, Field(None, alias="w")))
    rich = dataclasses.make_dataclass("Rich", [("email", str, field)])
    keys = TypedDict("Keys", {"email": Annotated[str, field]}, total=False)  # noqa: UP013
    keys.__pydantic_config__ = config
    kinds = [
        model, list[model], dict[str, model], tuple[model, int], generic[model], model | None,
        model | int, pydantic_dataclass(rich, config=config), keys,
    ]  # fmt: skip
    return [create_model("Made", __config__=config, value=(kind, ...)) for kind in kinds]


def in_kind(number: int, inner: dict[str, Any]) -> dict[str, Any]:
    values = {1: [inner], 2: {"k": inner}, 3: [inner, 1], 4: {"w": inner}}
    return {"value": values.get(number, inner)}


@pytest.mark.parametrize("extra", ["allow", "ignore", "forbid"])
@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("stored", [{"mail": "x"}, {"email": "x"}, {"contact": ["x"]}])
def test_a_renamed_field_is_read_as_pydantic_reads_it(extra, number, stored):
    cls = renamed_classes(extra)[number]
    payload = to_json(in_kind(number, stored))
    back = Codec(cls).decode(payload)
    assert fingerprint(back) == fingerprint(cls.model_validate_json(payload))
    assert b'"email":"x"' in assert_exact(back)


def test_what_is_unknown_beside_a_renamed_field_is_kept():
    cls = create_model(
        "Open",
        __config__=ConfigDict(extra="allow"),
        email=(str, Field("", validation_alias=RENAMED)),
    )
    back = Codec(cls).decode(b'{"mail":"x","more":1}')
    assert (back.email, back.model_extra) == ("x", {"more": 1})
    both = cls(email="x", mail="another")
    assert both.model_extra == {"mail": "another"}
    assert_exact(both)


def test_an_alias_that_is_the_name_of_another_field():
    class Split(BaseModel):
        model_config = ConfigDict(extra="allow")
        first: str = Field("", alias="name")
        name: str = ""

    payload = b'{"name":"x"}'
    back = Codec(Split).decode(payload)
    assert fingerprint(back) == fingerprint(Split.model_validate_json(payload))
    assert_exact(Split.model_validate({"first": "a", "name": "b"}, by_name=True, by_alias=False))


def test_an_excluded_field_is_not_what_has_the_name_of_its_alias():
    class Hidden(Event):
        model_config = ConfigDict(populate_by_name=True)
        secret: int = Field(0, alias="value", exclude=True)
        value: int = 1

    assert_exact(Hidden.model_validate({"value": 7}, by_name=True, by_alias=False))


def test_swapped_aliases_are_exact():
    class Swapped(Event):
        a: int = Field(alias="b")
        b: int = Field(alias="a")

    assert_exact(Swapped(a=1, b=2))


def test_a_discriminator_with_an_alias_is_kept_or_refused():
    class A(BaseModel):
        kind: Literal["a"] = Field("a", alias="type")

    class B(BaseModel):
        kind: Literal["b"] = Field("b", alias="type")

    kept_or_refused(event_of(Annotated[A | B, Field(discriminator="kind")], {"type": "b"}), "value")


def test_root_models_are_kept():
    class Names(RootModel[list[str]]):
        pass

    assert assert_exact(event_of(Names, Names(["a"]))) == b'{"value":["a"]}'


def test_pydantic_dataclasses_are_kept():
    assert_exact(event_of(Account, Account(b"\xff", [FOLD])))


@pydantic_dataclass
class Account:
    raw: bytes
    seen: list[datetime]


def test_custom_init_of_the_event_is_not_run_by_decode():
    calls = []

    class Counted(Event):
        value: int

        def __init__(self, /, **data: Any) -> None:
            calls.append(data)
            super().__init__(**data)

    assert Codec(Counted).by_construction
    assert_exact(Counted(value=1))
    assert len(calls) == 1


def test_forward_reference_that_was_open():
    class Late(Event):
        value: "Later | None" = None

    class Later(BaseModel):
        raw: bytes

    assert not Late.__pydantic_complete__
    Late.model_rebuild(_types_namespace={"Later": Later, "Optional": Optional})
    assert_exact(Late(value=Later(raw=b"\xff")))


def test_deferred_build():
    class Deferred(Event):
        model_config = ConfigDict(defer_build=True)
        value: int

    assert_exact(Deferred(value=1), Codec(Deferred))


def test_recursive_event():
    class Step(Event):
        value: bytes
        before: Optional["Step"] = None

    Step.model_rebuild(_types_namespace={"Step": Step, "Optional": Optional})
    assert_exact(Step(value=b"\xff", before=Step(value=b"\xfe")))


def test_field_and_choice_names_that_look_like_a_schema():
    cls = create_model(
        "Odd", __base__=Event,
        type=(Nested, ...), default=(Nested, ...), config=(bytes, ...), metadata=(list[bytes], ...),
        cls=(Nested, Nested()),
    )  # fmt: skip
    raw = Nested(raw=b"\xff")
    assert_exact(cls(type=raw, default=raw, config=b"\xff", metadata=[b"\xff"], cls=raw))


def test_nested_classes_are_left_as_they_were():
    Codec(type(event_of(list[Nested], [])))
    assert Nested.__pydantic_complete__
    with pytest.raises(ValueError, match="utf-8"):
        Nested(raw=b"\xff").model_dump_json()


def test_codecs_can_be_built_by_many_threads():
    failures = []

    def build():
        try:
            assert_exact(event_of(list[Nested], [Nested(raw=b"\xff")]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
