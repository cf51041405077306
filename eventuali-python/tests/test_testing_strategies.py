"""Strategies for events: what they make is kept exactly, and is of every sort."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    PositiveInt,
    StringConstraints,
    field_validator,
)

from eventuali import Aggregate, Event, SerializationError, UnknownEvent, sync
from eventuali.testing import strategies

usual = settings()
"""As long as properties are searched; `find` would try 2,000 examples of what there isn't."""
few = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
Sku = NewType("Sku", str)


class Color(Enum):
    RED = "r"
    GREEN = "g"


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=5)]
    price: Annotated[Decimal, Field(gt=0, max_digits=8, decimal_places=2)]
    weight: float


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


class Wide(Event, name="kit_wide"):
    number: Annotated[int, Field(gt=0, lt=100)]
    lines: list[Line]
    at: datetime
    aware: AwareDatetime
    day: date
    clock: time
    long: timedelta
    color: Color
    email: str = Field(pattern=r"^[a-z]+@[a-z]+\.com$")
    ratio: float = Field(default=1.0, ge=0, le=1)
    id: UUID | None = None
    counts: dict[str, PositiveInt] = Field(default_factory=dict)
    raw: bytes = b""
    word: Literal["a", "b"] = "a"
    numbers: frozenset[int] = frozenset()
    pair: tuple[int, str] = (1, "")
    many: tuple[bool, ...] = ()
    code: Annotated[str, StringConstraints(min_length=2, max_length=3)] = "ab"
    sku: Sku = Sku("x")
    tree: Tree | None = None
    alias: int = Field(default=0, alias="other name")


class Free(Event, name="kit_free"):
    number: float
    text: str


class Even(Event, name="kit_even"):
    number: int

    @field_validator("number")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it is odd")
        return value


class Anything(Event, name="kit_anything"):
    value: Any


class Sums(Aggregate, name="KitSums"):
    total: int = 0

    def apply_even(self, event: Even) -> None:
        self.total += event.number

    def apply_free(self, event: Free) -> None: ...


@few
@given(st.lists(strategies.events(Wide), max_size=3))
def test_what_is_made_is_stored_exactly(events):
    with sync.EventStore.create("memory://") as store:
        store.append(events)
        found = list(store.read())
    assert found == events
    assert [event.to_dict() for event in found] == [event.to_dict() for event in events]
    for event in events:
        assert 0 < event.number < 100
        assert 0 <= event.ratio <= 1
        assert 2 <= len(event.code) <= 3
        assert event.aware.tzinfo is not None
        assert all(line.price > 0 for line in event.lines)


SORTS = [
    lambda event: len(event.lines) > 1 and event.lines[0] != event.lines[1],
    lambda event: event.at.tzinfo is None and event.at.microsecond,
    lambda event: event.at.tzinfo is UTC,
    lambda event: event.id is not None,
    lambda event: event.counts,
    lambda event: event.raw,
    lambda event: event.color is Color.GREEN,
    lambda event: event.word == "b",
    lambda event: event.tree is not None and event.tree.children,
    lambda event: event.ratio not in (0, 1),
    lambda event: event.alias,
    lambda event: len(event.email) > 7,
    lambda event: event.sku != "x",
]


def test_every_sort_of_value_is_made():
    made = []

    @settings(max_examples=400, derandomize=True, phases=[Phase.generate])
    @given(strategies.events(Wide))
    def make(event):
        made.append(event)

    make()
    missing = [index for index, found in enumerate(SORTS) if not any(map(found, made))]
    assert not missing


def test_values_that_a_store_refuses_are_not_made():
    """The control: the type allows them, and the store refuses them."""
    nan = Free(number=float("nan"), text="")
    with sync.EventStore.create("memory://") as store, pytest.raises(SerializationError):
        store.append([nan])
    with pytest.raises(NoSuchExample):
        find(strategies.events(Free), lambda event: event.number != event.number, settings=usual)
    own = strategies.events(Free, number=st.just(float("nan")) | st.just(1.5))

    @few
    @given(own)
    def made(event):
        assert event.number == 1.5

    made()


@few
@given(strategies.events(Even), strategies.events(Even, number=st.just(4)))
def test_validators_are_obeyed(event, four):
    assert event.number % 2 == 0
    assert four.number == 4


@few
@given(strategies.events(Anything, value=st.none() | st.integers()))
def test_a_field_of_any_type_takes_a_strategy(event):
    assert event.value is None or isinstance(event.value, int)


@few
@given(strategies.streams(Sums, min_size=1), strategies.streams(Even, strategies.events(Free)))
def test_streams_have_events_of_the_classes(events, others):
    assert Sums.from_events(events).version == len(events)
    assert {type(event) for event in (*events, *others)} <= {Even, Free}


def test_streams_are_as_long_as_asked():
    found = find(strategies.streams(Sums, max_size=3), lambda events: len(events) == 3)
    assert len(found) == 3
    with pytest.raises(NoSuchExample):
        find(strategies.streams(Sums, max_size=3), lambda events: len(events) > 3, settings=usual)
    assert (
        len(
            {
                type(event)
                for event in find(strategies.streams(Sums), lambda e: len({*map(type, e)}) > 1)
            }
        )
        == 2
    )


def test_mistakes_are_named():
    for wrong in (Line, Event(), "x", UnknownEvent):
        with pytest.raises(TypeError, match="takes a class of events"):
            strategies.events(wrong)
    with pytest.raises(TypeError, match="Free has no field 'nmber'"):
        strategies.events(Free, nmber=st.integers())
    with pytest.raises(TypeError, match="at least one"):
        strategies.streams()


def test_without_hypothesis_it_says_what_to_install():
    script = """
import sys
sys.modules["hypothesis"] = None
from eventuali.testing import given
try:
    from eventuali.testing import strategies
except ImportError as error:
    assert str(error) == "eventuali.testing.strategies needs Hypothesis: pip install hypothesis"
else:
    raise AssertionError("it came without Hypothesis")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
