"""Pairs of an old and a new class of one event type, each with what `schema check` says of it."""

from __future__ import annotations

import dataclasses
import enum
import types
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, create_model
from pydantic.functional_validators import PlainValidator

from eventuali import Event, upcast
from eventuali.schema import Verdict

OK = Verdict.OK


class Pair(NamedTuple):
    """A change.

    Attributes:
        change: What was changed, for people.
        old: The class as it was.
        new: The class as it is.
        verdict: What is said, the worst of it.
    """

    change: str
    old: type[Event]
    new: type[Event]
    verdict: Verdict


def event(version: int = 1, wire: str = "schema.sold", /, **fields: Any) -> type[Event]:
    """Makes a class of events; a field that is only a type is required."""
    declared = {
        field: given if isinstance(given, tuple) else (given, ...)
        for field, given in fields.items()
    }
    keywords = {"name": wire, "version": version}
    return create_model("Sold", __base__=Event, __cls_kwargs__=keywords, **declared)


def with_steps(
    cls: type[Event],
    steps: dict[int, Any],
    *,
    into: tuple[type[Event], ...] | None = None,
    **keywords: Any,
) -> type[Event]:
    """Makes a class with the fields of one, steps, and more in its class line.

    Args:
        cls: The class.
        steps: Functions by the version whose events they take.
        into: What the last step says.
        keywords: `readable_by=`, `formerly=` or `retired=`.
    """
    fields = cls.__pydantic_fields__
    last = cls.__event_version__
    body: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {name: field.annotation for name, field in fields.items()},
        **{name: field.default for name, field in fields.items() if not field.is_required()},
    }
    for start, step in steps.items():
        says = upcast(start, into=into if start == last else None)
        body[f"from_{start}"] = says(staticmethod(step))
    given = {"name": cls.__event_type__, "version": last, **keywords}
    return types.new_class(cls.__name__, (Event,), given, lambda made: made.update(body))


class Three(enum.Enum):
    RED = "r"
    GREEN = "g"
    BLUE = "b"


class Two(enum.Enum):
    RED = "r"
    GREEN = "g"


class RenamedMember(enum.Enum):
    CRIMSON = "r"
    GREEN = "g"


class RenamedValue(enum.Enum):
    RED = "red"
    GREEN = "g"


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    till: int


Tagged = Annotated[Card | Cash, Field(discriminator="kind")]


class Metre(BaseModel):
    value: int


class Yard(BaseModel):
    value: int


def model(name: str, **fields: Any) -> type[BaseModel]:
    """Makes a nested class; a field that is only a type is required."""
    declared = {
        field: given if isinstance(given, tuple) else (given, ...)
        for field, given in fields.items()
    }
    return create_model(name, **declared)


Line = model("Line", sku=str)
LineWithCount = model("Line", sku=str, count=int)
LineWithDefault = model("Line", sku=str, count=(int, 1))
LineOfNumber = model("Line", sku=int)


@dataclasses.dataclass
class Point:
    x: int


@dataclasses.dataclass
class Point3:
    x: int
    z: int


def even(value: int) -> int:
    if value % 2:
        raise ValueError("it is odd")
    return value


def small(value: int) -> int:
    if value > 100:
        raise ValueError("it is large")
    return value


def phone(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("+"):
        raise ValueError("it begins with no +")
    return value


def euros(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"currency": "EUR"}


def same(data: dict[str, Any]) -> dict[str, Any]:
    return data


def split(data: dict[str, Any]) -> dict[str, Any]:
    first, _, last = data["name"].partition(" ")
    return {"first": first, "last": last}


def forgetful(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "total"}


def raising(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"total": data["sum"]}


def nothing(data: dict[str, Any]) -> None:
    """Returns nothing."""


def mutating(data: dict[str, Any]) -> dict[str, Any]:
    data["total"] = 1
    return data


def mutating_within(data: dict[str, Any]) -> dict[str, Any]:
    data["totals"].append(1)
    return data


def several(data: dict[str, Any]) -> Any:
    return [data]


def no_json(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"total": object()}


def halves(data: dict[str, Any]) -> Any:
    return {"total": data["total"]}, {"to": data["to"]}


def first_half(data: dict[str, Any]) -> Any:
    return {"total": data["total"]}, None


def swapped_halves(data: dict[str, Any]) -> Any:
    return {"total": data["to"]}, {"to": data["to"]}


def one_half(data: dict[str, Any]) -> Any:
    return {"total": data["total"]}


Done = event(1, "schema.done", total=int, to=str)
Done2 = event(2, "schema.done", total=int, to=str)
HALVES = (event(1, "schema.paid", total=int), event(1, "schema.sent", to=str))


PAIRS = [
    # --- fields ---
    Pair("nothing", event(a=int), event(a=int), OK),
    Pair("the order of the fields", event(a=int, b=str), event(b=str, a=int), OK),
    Pair("an optional field added", event(a=int), event(a=int, b=(str, "")), OK),
    Pair("a nullable field added, with a default", event(a=int),
         event(a=int, b=(str | None, None)), OK),
    Pair("a required field added", event(a=int), event(a=int, b=str), Verdict.UPCASTER),
    Pair("a nullable field added, without a default", event(a=int),
         event(a=int, b=str | None), Verdict.UPCASTER),
    Pair("a field with a default removed", event(a=int, b=(str, "")), event(a=int), OK),
    Pair("a required field removed", event(a=int, b=str), event(a=int), Verdict.OLD_READERS),
    Pair("a default changed", event(a=(int, 1)), event(a=(int, 2)), OK),
    Pair("a default added", event(a=int), event(a=(int, 2)), OK),
    Pair("a default removed", event(a=(int, 1)), event(a=int), Verdict.UPCASTER),
    Pair("a field renamed, with the old name as its alias", event(total=int),
         event(sum=(int, Field(alias="total"))), Verdict.OLD_READERS),
    Pair("a field renamed, without an alias", event(total=int), event(sum=int),
         Verdict.UPCASTER),
    Pair("a field renamed, without an alias, with a default", event(total=(int, 0)),
         event(sum=(int, 0)), Verdict.RENAMED),
    Pair("an alias removed that stored events never had", event(a=(int, Field(alias="A"))),
         event(a=int), OK),
    Pair("a field excluded from what is stored", event(a=int, b=(int, 0)),
         event(a=int, b=(int, Field(0, exclude=True))), OK),
    # --- types ---
    Pair("widened: int to int | str", event(a=int), event(a=int | str), Verdict.OLD_READERS),
    Pair("widened: int to float, which large numbers do not survive", event(a=int),
         event(a=float), Verdict.DIFFERENT),
    Pair("widened: a small int to float", event(a=Annotated[int, Field(ge=0, le=9)]),
         event(a=float), Verdict.OLD_READERS),
    Pair("widened: int to Decimal", event(a=int), event(a=Decimal), Verdict.OLD_READERS),
    Pair("widened: UUID to str", event(a=UUID), event(a=str), Verdict.OLD_READERS),
    Pair("narrowed: int | str to int", event(a=int | str), event(a=int), Verdict.UPCASTER),
    Pair("narrowed: float to int", event(a=float), event(a=int), Verdict.UPCASTER),
    Pair("narrowed: str to UUID", event(a=str), event(a=UUID), Verdict.UPCASTER),
    Pair("narrowed: str to datetime", event(a=str), event(a=datetime), Verdict.UPCASTER),
    Pair("narrowed: anything to int", event(a=Any), event(a=int), Verdict.UPCASTER),
    Pair("changed: int to str", event(a=int), event(a=str), Verdict.UPCASTER),
    Pair("changed: int to bool", event(a=int), event(a=bool), Verdict.UPCASTER),
    Pair("changed: Decimal to float, which drops zeros", event(a=Decimal), event(a=float),
         Verdict.OLD_READERS),
    Pair("changed: date to datetime", event(a=date), event(a=datetime), Verdict.DIFFERENT),
    Pair("changed: datetime to date", event(a=datetime), event(a=date), Verdict.UPCASTER),
    Pair("changed: bytes to str", event(a=bytes), event(a=str), Verdict.OLD_READERS),
    Pair("Optional added", event(a=str), event(a=str | None), Verdict.OLD_READERS),
    Pair("Optional removed", event(a=str | None), event(a=str), Verdict.UPCASTER),
    Pair("datetimes must have a zone now", event(a=datetime), event(a=AwareDatetime),
         Verdict.CHECKS),
    # --- limits and validators ---
    Pair("a limit added", event(a=int), event(a=Annotated[int, Field(ge=0)]), Verdict.CHECKS),
    Pair("a limit tightened", event(a=Annotated[int, Field(le=9)]),
         event(a=Annotated[int, Field(le=8)]), Verdict.CHECKS),
    Pair("a limit loosened", event(a=Annotated[int, Field(ge=1)]),
         event(a=Annotated[int, Field(ge=0)]), OK),
    Pair("a limit said in another way", event(a=Annotated[int, Field(gt=0)]),
         event(a=Annotated[int, Field(ge=0)]), OK),
    Pair("a pattern added", event(a=str), event(a=Annotated[str, Field(pattern="^[a-z]+$")]),
         Verdict.CHECKS),
    Pair("a text shortened", event(a=str), event(a=Annotated[str, Field(max_length=3)]),
         Verdict.CHECKS),
    Pair("a validator added", event(a=int), event(a=Annotated[int, AfterValidator(even)]),
         Verdict.CHECKS),
    Pair("a validator tightened", event(a=Annotated[int, AfterValidator(small)]),
         event(a=Annotated[int, AfterValidator(even)]), Verdict.CHECKS),
    Pair("a validator that alone says what is read, added", event(a=str),
         event(a=Annotated[str, PlainValidator(phone)]), Verdict.CHECKS),
    Pair("the same validators", event(a=Annotated[int, AfterValidator(even)]),
         event(a=Annotated[int, AfterValidator(even)]), OK),
    # --- enums and literals ---
    Pair("an enum's member added", event(a=Two), event(a=Three), Verdict.OLD_READERS),
    Pair("an enum's member removed", event(a=Three), event(a=Two), Verdict.UPCASTER),
    Pair("an enum's member renamed, with the same value", event(a=Two), event(a=RenamedMember),
         OK),
    Pair("an enum's value renamed", event(a=Two), event(a=RenamedValue), Verdict.UPCASTER),
    Pair("an enum to str", event(a=Two), event(a=str), Verdict.OLD_READERS),
    Pair("a literal's value added", event(a=Literal["x"]), event(a=Literal["x", "y"]),
         Verdict.OLD_READERS),
    Pair("a literal's value removed", event(a=Literal["x", "y"]), event(a=Literal["x"]),
         Verdict.UPCASTER),
    # --- lists, tuples, dicts ---
    Pair("a list's type widened", event(a=list[int]), event(a=list[int | None]),
         Verdict.OLD_READERS),
    Pair("a list's type narrowed", event(a=list[int | None]), event(a=list[int]),
         Verdict.UPCASTER),
    Pair("a list became a set", event(a=list[int]), event(a=set[int]), Verdict.DIFFERENT),
    Pair("a set became a list", event(a=set[int]), event(a=list[int]), OK),
    Pair("a single value became a list", event(a=int), event(a=list[int]), Verdict.UPCASTER),
    Pair("a tuple grew", event(a=tuple[int, int]), event(a=tuple[int, int, int]),
         Verdict.UPCASTER),
    Pair("a dict's keys narrowed", event(a=dict[str, int]), event(a=dict[int, int]),
         Verdict.UPCASTER),
    Pair("a dict's values narrowed", event(a=dict[str, float]), event(a=dict[str, int]),
         Verdict.UPCASTER),
    Pair("a dict became a model", event(a=dict[str, str]), event(a=Line), Verdict.UPCASTER),
    # --- nested models and unions ---
    Pair("a nested model: an optional field added", event(a=Line), event(a=LineWithDefault), OK),
    Pair("a nested model: a required field added", event(a=list[Line]),
         event(a=list[LineWithCount]), Verdict.UPCASTER),
    Pair("a nested model: a type changed", event(a=Line), event(a=LineOfNumber),
         Verdict.UPCASTER),
    Pair("a nested model: renamed, with the same fields", event(a=Metre), event(a=Yard), OK),
    Pair("a dataclass: a required field added", event(a=Point), event(a=Point3),
         Verdict.UPCASTER),
    Pair("a union: reordered, of plain types", event(a=int | str), event(a=str | int), OK),
    Pair("a union: reordered, of models with the same fields", event(a=Metre | Yard),
         event(a=Yard | Metre), Verdict.UPCASTER),
    Pair("a union with a discriminator: reordered", event(a=Tagged),
         event(a=Annotated[Cash | Card, Field(discriminator="kind")]), OK),
    Pair("a union with a discriminator: a choice removed", event(a=Tagged), event(a=Card),
         Verdict.UPCASTER),
    Pair("a union with a discriminator: a choice added", event(a=Card), event(a=Tagged),
         Verdict.OLD_READERS),
    # --- versions and steps ---
    Pair("the version raised, without a step", event(a=int), event(2, a=int), Verdict.UPCASTER),
    Pair("the version raised, a required field added, with its step", event(total=int),
         with_steps(event(2, total=int, currency=str), {1: euros}), OK),
    Pair("a field split in two, with its step", event(name=str),
         with_steps(event(2, first=str, last=str), {1: split}), OK),
    Pair("two versions on, and the chain begins late", event(total=int),
         with_steps(event(3, total=int, currency=str), {2: euros}), Verdict.UPCASTER),
    Pair("two versions on, with both steps", event(total=int),
         with_steps(event(3, total=int, currency=str), {1: euros, 2: same}), OK),
    Pair("a step that loses a required field", event(total=int),
         with_steps(event(2, total=int), {1: forgetful}), Verdict.STEP),
    Pair("a step that raises", event(total=int), with_steps(event(2, total=int), {1: raising}),
         Verdict.STEP),
    Pair("a step that returns None", event(total=int),
         with_steps(event(2, total=int), {1: nothing}), Verdict.STEP),
    Pair("a step that returns a list", event(total=int),
         with_steps(event(2, total=int), {1: several}), Verdict.STEP),
    Pair("a step that gives what is not JSON", event(total=int),
         with_steps(event(2, total=int), {1: no_json}), Verdict.STEP),
    Pair("a step that changes what it is given", event(total=int),
         with_steps(event(2, total=int), {1: mutating}), Verdict.STEP),
    Pair("a step that changes a list within what it is given", event(totals=list[int]),
         with_steps(event(2, totals=list[int]), {1: mutating_within}), Verdict.STEP),
    Pair("a step, but a type narrowed that it leaves as it is", event(a=int | str),
         with_steps(event(2, a=int), {1: same}), Verdict.STEP),
    Pair("the version lowered", event(2, a=int), event(1, a=int), Verdict.VERSION),
    Pair("readable_by, and old code can read it", event(a=int),
         with_steps(event(2, a=int, b=(int, 0)), {1: same}, readable_by=1), OK),
    Pair("readable_by, and old code can't", event(a=int),
         with_steps(event(2, a=int | str), {1: same}, readable_by=1), Verdict.PROMISE),
    Pair("the code is older than the file, and readable_by= lets it read",
         with_steps(event(2, a=int, b=str), {1: same}, readable_by=1), event(1, a=int), OK),
    Pair("the code is older than the file, and readable_by= promised too much",
         with_steps(event(2, a=int | str), {1: same}, readable_by=1), event(1, a=int),
         Verdict.PROMISE),
    Pair("the code is older than readable_by= says",
         with_steps(event(3, a=int), {1: same, 2: same}, readable_by=2), event(1, a=int),
         Verdict.VERSION),
    # --- names and retired types ---
    Pair("the type renamed, with formerly=", event(1, "schema.bought", a=int),
         with_steps(event(1, "schema.sold", a=int), {}, formerly=("schema.bought",)), OK),
    Pair("the type renamed, without formerly=", event(1, "schema.bought", a=int),
         event(1, "schema.sold", a=int), Verdict.REMOVED),
    Pair("the type renamed, with formerly= and a step", event(1, "schema.bought", total=int),
         with_steps(event(2, "schema.sold", total=int, currency=str), {1: euros},
                    formerly="schema.bought"), OK),
    Pair("the type renamed, with formerly=, the version raised, without a step",
         event(1, "schema.bought", a=int),
         with_steps(event(2, "schema.sold", a=int), {}, formerly="schema.bought"),
         Verdict.UPCASTER),
    Pair("retired: it becomes nothing", Done, with_steps(Done, {}, retired=True), OK),
    Pair("retired, without the fields it had", Done,
         with_steps(event(1, "schema.done"), {}, retired=True), OK),
    Pair("retired: it becomes nothing, in any version", Done,
         with_steps(Done2, {}, retired=True), OK),
    Pair("retired: it becomes two others", Done,
         with_steps(Done, {1: halves}, into=HALVES, retired=True), OK),
    Pair("retired: it becomes two others, after a step", Done,
         with_steps(Done2, {1: same, 2: halves}, into=HALVES, retired=True), OK),
    Pair("retired: it becomes two others, and an older version has no step", Done,
         with_steps(Done2, {2: halves}, into=HALVES, retired=True), Verdict.UPCASTER),
    Pair("retired: one of the two is not made", Done,
         with_steps(Done, {1: first_half}, into=HALVES, retired=True), OK),
    Pair("retired: what one becomes does not fit", Done,
         with_steps(Done, {1: swapped_halves}, into=HALVES, retired=True), Verdict.STEP),
    Pair("retired: one dict for two classes", Done,
         with_steps(Done, {1: one_half}, into=HALVES, retired=True), Verdict.STEP),
    Pair("retired: the last step raises", Done,
         with_steps(Done, {1: raising}, into=HALVES, retired=True), Verdict.STEP),
]  # fmt: skip
