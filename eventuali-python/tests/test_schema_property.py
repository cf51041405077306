"""For random pairs of classes: if the check finds no error, every event of the old one is read."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from schema_pairs import Three, Two, event

from eventuali._engine.encode import wire
from eventuali.schema import Finding, Registry, check
from eventuali.schema._samples import samples
from eventuali.testing import strategies


class Small(BaseModel):
    x: int


class Large(BaseModel):
    x: int
    y: str = ""


class Other(BaseModel):
    y: str


class Word(Enum):
    RED = "r"
    ONE = 1


TYPES: list[Any] = [
    int, str, float, bool, Decimal, bytes, UUID, date, datetime, timedelta, Two, Three, Word,
    Literal["r", "g"], Literal["r", 1], Small, Large, Other, Small | Large, Small | Other,
    int | str, int | float, str | None, list[int], list[str], list[Small], set[int],
    tuple[int, str], tuple[int, ...], dict[str, int], dict[int, str], dict[str, float],
    Annotated[int, Field(ge=0, le=9)], Annotated[int, Field(gt=-5)],
    Annotated[str, Field(min_length=1, max_length=3)],
]  # fmt: skip
NAMES = ("a", "b", "c")
CHANGES = ("same", "type", "type", "optional", "default", "remove", "required")


@st.composite
def pairs(draw) -> tuple[type, type]:
    old = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TYPES), min_size=1))
    new: dict[str, Any] = {}
    for name, kind in old.items():
        change = draw(st.sampled_from(CHANGES))
        if change == "type":
            new[name] = draw(st.sampled_from(TYPES))
        elif change == "optional":
            new[name] = (kind | None, None)
        elif change == "default":
            new[name] = (kind, None)
        elif change != "remove":
            new[name] = kind
        if change == "required":
            new[f"{name}{name}"] = draw(st.sampled_from(TYPES))
    return event(**old), event(**new)


def errors(old: type, new: type) -> list[Finding]:
    return [each for each in check(Registry.of(old), Registry.of(new)) if each.level == "error"]


def without_required(old: type, new: type) -> list[Finding]:
    """The control: it does not see that a field is missing."""
    return [each for each in errors(old, new) if "Field required" not in each.became]


def property_of(found: Any, examples: int) -> Any:
    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a pair is small as it is
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(data=st.data(), pair=pairs())
    def prop(data, pair) -> None:
        old, new = pair
        if found(old, new):
            return
        for _ in range(3):
            payload = wire(old).codec.encode(data.draw(strategies.events(old)))
            wire(new).codec.decode(payload)

    return prop


def test_what_the_check_lets_pass_is_read() -> None:
    property_of(errors, settings.default.max_examples)()


def test_a_check_that_ignores_required_fields_is_caught() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        property_of(without_required, 2000)()


@given(kind=st.sampled_from(TYPES), default=st.booleans())
def test_a_class_accepts_the_samples_of_its_own_schema(kind, default) -> None:
    cls = event(a=kind, b=(int, 0)) if default else event(a=kind)
    (entry,) = Registry.of(cls).values()
    found = samples(entry.schema)
    assert found
    assert found == samples(entry.schema)
    for sample in found:
        wire(cls).codec.decode(to_json(sample))
