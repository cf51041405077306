"""What a class stores as a schema, its fingerprint, and classes of every kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, NotRequired, TypeVar

import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    computed_field,
    create_model,
)
from pydantic_core import to_json
from schema_pairs import euros, event, model, with_steps
from typing_extensions import TypedDict

from eventuali import Event
from eventuali._engine.encode import wire
from eventuali.errors import ConfigurationError
from eventuali.schema import Entry, Registry, Verdict, check, snapshot
from eventuali.schema._described import checks_of, described, fingerprint
from eventuali.schema._samples import samples

T = TypeVar("T")


class Tree(BaseModel):
    children: list[Tree] = []
    name: str = ""


class Chain(BaseModel):
    next: Chain | None = None
    others: list[Chain | Tree] = []


class Endless(BaseModel):
    next: Endless


class Forest(Event, name="schema.forest"):
    trees: list[Tree]
    parent: Forest | None = None


class Wrapped(Event, Generic[T], name="schema.wrapped"):
    value: T


class Keys(TypedDict):
    a: int
    b: NotRequired[int]


def nested(name: str, module: str, **fields: Any) -> type[BaseModel]:
    made = create_model(name, __module__=module, **{k: (v, ...) for k, v in fields.items()})
    return made


def test_what_is_described_is_what_is_stored() -> None:
    class Stored(Event, name="schema.stored"):
        at: AwareDatetime
        lasts: timedelta
        price: Decimal
        raw: bytes
        named: int = Field(alias="other")
        gone: int = Field(0, exclude=True)
        by_number: dict[int, str]

        @computed_field
        def double(self) -> int:
            return 2 * self.named

    schema = described(Stored)
    assert schema["properties"] == {
        "at": {"type": "string", "format": "date-time", "x-timezone": "aware"},
        "lasts": {"type": "string", "format": "duration"},
        "price": {"type": "string", "format": "decimal"},
        "raw": {"type": "string", "format": "base64"},
        "named": {"type": "integer"},
        "by_number": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "x-keys": {"type": "integer"},
        },
    }
    event = Stored(at=datetime.now().astimezone(), lasts=timedelta(1), price=Decimal(1), raw=b"a",
                   other=1, by_number={1: "a"})  # fmt: skip
    stored = wire(Stored).codec.encode(event)
    assert all(f'"{name}":'.encode() in stored for name in schema["properties"])
    assert b"double" not in stored
    assert b"gone" not in stored


@pytest.mark.parametrize(
    "cls",
    [
        Forest,
        Wrapped[int],
        Wrapped[list[Tree]],
        event(a=Keys),
        event(a=nested("Same", "one", x=int), b=nested("Same", "two", y=str)),
        event(a=Annotated[int, Field(gt=3, lt=9, multiple_of=2)]),
        event(a=Annotated[Decimal, Field(max_digits=3, decimal_places=1, ge=0)]),
        event(a=Annotated[list[int], Field(min_length=2, max_length=3)]),
        event(a=Annotated[set[bool], Field(max_length=1)]),
        event(a=Annotated[str, Field(min_length=3, max_length=5)]),
        event(a=Annotated[str, Field(pattern=r"^[A-Z]{3}$")]),
        event(a=Annotated[str, Field(pattern=r"^ab\d$", examples=["ab1"])]),
        event(a=(Any, None)),
        event(),
    ],
    ids=str,
)
def test_a_class_reads_the_samples_of_its_schema(cls) -> None:
    registry = Registry.of(cls)
    (entry,) = registry.values()
    found = samples(entry.schema)
    assert found
    for sample in found:
        assert wire(cls).codec.accepts(to_json(sample)), sample
    assert check(registry, registry) == []


def test_a_file_gives_back_what_was_noted(tmp_path) -> None:
    path = tmp_path / "schema.json"
    names = 'odd|`x` "y" <z> #1 \\ ü 😀'
    made = Registry.of(event(3, names, a=(float, float("nan"))), Forest, Wrapped[int])
    made.write(path)
    read = Registry.read(path)
    assert read == made
    assert read.classes == ()
    assert read.types() == sorted([names, "schema.forest", "schema.wrapped[int]"])
    assert [entry.version for entry in read.versions(names)] == [3]
    assert "NaN" not in path.read_text("utf-8").replace('"NaN"', "")
    before = path.read_bytes()
    read.write(path)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "schema.json"
    Registry.of(event(a=int)).write(path)
    before = path.read_bytes()
    monkeypatch.setattr("eventuali.schema._registry.os.replace", _full)
    with pytest.raises(OSError, match="full"):
        Registry.of(event(a=str)).write(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["schema.json"]


def _full(*_: object) -> None:
    raise OSError("full")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (event(a=int, b=str), event(b=str, a=int), True),
        (event(a=int), event(a=(int, Field(description="more", title="A"))), True),
        (event(a=model("One", x=int)), event(a=model("Two", x=int)), True),
        (event(a=int), event(a=str), False),
        (event(a=int), event(a=(int, 0)), False),
        (event(a=(int, 0)), event(a=(int, 1)), False),
        (event(title=int), event(), False),
        (event(a=model("One", x=int)), event(a=model("One", x=str)), False),
    ],
)
def test_a_fingerprint_is_that_of_what_is_stored(one, other, same) -> None:
    assert (fingerprint(described(one)) == fingerprint(described(other))) is same


def test_the_fingerprint_of_a_validator_is_that_of_its_source() -> None:
    def twice(value):
        # a comment
        return value   * 2  # fmt: skip

    first = checks_of(event(a=Annotated[int, BeforeValidator(twice)]))

    def twice(value):
        return value * 2

    assert first == checks_of(event(a=Annotated[int, BeforeValidator(twice)]))

    def twice(value):
        return value * 3

    assert first != checks_of(event(a=Annotated[int, BeforeValidator(twice)]))
    assert checks_of(event(a=Annotated[int, BeforeValidator(int)])) is not None
    assert checks_of(event(a=int, b=AwareDatetime)) is None


def test_a_class_that_needs_examples_says_so_or_has_them() -> None:
    def phone(value: Any) -> str:
        if not str(value).startswith("+"):
            raise ValueError("no phone")
        return str(value)

    kind = Annotated[str, PlainValidator(phone)]
    old, new = event(phone=kind), event(phone=kind, more=(int, 0))
    found = check(Registry.of(old), Registry.of(new))
    assert Verdict.UNPROVEN in {each.verdict for each in found}
    told = Annotated[str, PlainValidator(phone), Field(examples=["+49123"])]
    found = check(Registry.of(event(phone=told)), Registry.of(event(phone=told, more=(int, 0))))
    assert Verdict.UNPROVEN not in {each.verdict for each in found}
    narrowed = Registry.of(event(phone=list[int]))
    assert "error" in {each.level for each in check(Registry.of(event(phone=told)), narrowed)}


def test_a_name_does_not_come_back_with_another_type() -> None:
    """Each change of the three is fine by itself; together they are not."""

    def same(data):
        return data

    first = snapshot(None, Registry.of(event(1, a=int, b=int)))
    second = with_steps(event(2, b=int), {1: lambda data: {"b": data["b"]}})
    third = with_steps(event(3, b=int, a=(list[str], [])), {1: same, 2: same})
    noted = snapshot(first.registry, Registry.of(second))
    assert [f for f in check(first.registry, Registry.of(second)) if f.level == "error"] == []
    only_second = Registry([noted.registry["schema.sold", 2]])
    assert [f for f in check(only_second, Registry.of(third)) if f.level == "error"] == []
    (finding,) = (f for f in check(noted.registry, Registry.of(third)) if f.level == "error")
    assert (finding.verdict, finding.version) == (Verdict.STEP, 1)
    assert "a: Input should be a valid list" in finding.became.replace("array", "list")


def test_what_does_not_fit_one_choice_of_a_union_is_told_elsewhere() -> None:
    """In `a` it is read as another choice; in `b` there is none."""
    inner, outer = model("Inner", x=int), model("Inner", x=int | str)

    def made(part: type[BaseModel]) -> tuple[type[BaseModel], type[BaseModel]]:
        return model("Left", part=part), model("Right", part=part | None, y=(int, 0))

    (left, right), (left_now, right_now) = made(inner), made(outer)
    old, new = event(a=left | right, b=inner), event(a=left_now | right_now, b=outer)
    found = {each.verdict: each.text for each in check(Registry.of(old), Registry.of(new))}
    assert "b.x: string does not fit integer" in found[Verdict.OLD_READERS]


@pytest.mark.parametrize(
    "holds", [list[Chain], Chain | None, dict[str, Chain], Chain | Tree | None]
)
def test_classes_that_hold_themselves_are_compared(holds) -> None:
    old, new = event(a=holds, b=int), event(a=holds, b=int | None)
    verdicts = {each.verdict for each in check(Registry.of(old), Registry.of(new))}
    assert Verdict.OLD_READERS in verdicts
    assert Verdict.UPCASTER not in verdicts
    back = {each.verdict for each in check(Registry.of(new), Registry.of(old))}
    assert Verdict.UPCASTER in back


def test_each_version_is_told_what_it_lacks() -> None:
    noted = snapshot(None, Registry.of(event(1, a=int))).registry
    noted = snapshot(noted, Registry.of(event(2, a=int))).registry
    new = with_steps(event(3, a=int), {2: lambda data: {}})
    found = [f for f in check(noted, Registry.of(new)) if f.level == "error"]
    assert [(f.version, f.text) for f in found] == [
        (1, "Sold 1 → 2: @upcast(1) is missing, so a store refuses the event with UpcastError"),
        (2, "Sold: what its steps give does not fit a of Sold"),
    ]


def test_a_class_that_holds_itself_without_end_has_no_events() -> None:
    cls = event(a=Endless)
    assert samples(described(cls)) == []
    (finding, *_) = check(Registry.of(cls), Registry.of(event(a=Endless, b=(int, 0))))
    assert finding.verdict is Verdict.UNPROVEN


def test_a_retired_type_is_read_through_its_last_step() -> None:
    paid, sent = event(1, "schema.paid", total=int), event(1, "schema.sent", to=str)
    old = Registry.of(event(1, "schema.done", total=int, to=str))

    def retired(step) -> type[Event]:
        done = event(1, "schema.done", total=int, to=str)
        return with_steps(done, {1: step}, into=(paid, sent), retired=True)

    def halves(data):
        return {"total": data["total"]}, {"to": data["to"]}

    def wrong(data):
        return {"total": data["to"]}, None

    good = Registry.of(retired(halves), paid, sent)
    assert [f for f in check(old, good) if f.level == "error"] == []
    (finding,) = (f for f in check(old, Registry.of(retired(wrong), paid, sent)) if f.sample)
    assert finding.verdict is Verdict.STEP
    gone = with_steps(event(1, "schema.done"), {}, retired=True)
    (finding,) = check(old, Registry.of(gone))
    assert (finding.level, finding.text) == ("ok", "Sold is retired: its events become nothing")


def test_what_a_retired_type_stored_stays_in_the_file() -> None:
    paid = event(1, "schema.paid", total=int)
    noted = snapshot(None, Registry.of(event(1, "schema.done", total=int))).registry

    def whole(data):
        return ({"total": data["total"]},)

    done = with_steps(event(1, "schema.done"), {1: whole}, into=(paid,), retired=True)
    made = snapshot(noted, Registry.of(done, paid))
    assert (made.added, made.changed, made.refused) == ((("schema.paid", 1),), (), ())
    assert made.registry["schema.done", 1] == noted["schema.done", 1]
    assert {f.level for f in check(made.registry, Registry.of(done, paid))} == {"ok"}


def test_the_file_says_by_whom_all_events_of_a_version_can_be_read(tmp_path) -> None:
    path = tmp_path / "events.json"

    def of(readable_by: int | None) -> Registry:
        steps = {1: euros, 2: euros}
        return Registry.of(with_steps(event(3, a=int, b=(int, 0)), steps, readable_by=readable_by))

    noted = Registry([])
    for said, held in ((1, 1), (2, 2), (1, 2), (None, None), (1, None)):
        noted = snapshot(noted, of(said)).registry
        noted.write(path)
        noted = Registry.read(path)
        assert noted["schema.sold", 3].readable_by == held
        assert check(noted, of(said)) == []
    assert [f.verdict for f in check(of(1), of(2))] == [Verdict.NOT_RECORDED]
    path.write_text(path.read_text().replace('"schema": {', '"readable_by": "1", "schema": {', 1))
    with pytest.raises(ConfigurationError, match="a readable_by that is no version"):
        Registry.read(path)


def test_a_snapshot_in_a_program() -> None:
    first = snapshot(None, Registry.of(event(a=int)))
    assert (first.added, first.refused) == ((("schema.sold", 1),), ())
    second = snapshot(first.registry, Registry.of(event(a=int, b=(int, 0))))
    assert (second.changed, second.refused) == ((("schema.sold", 1),), ())
    assert len(second.registry["schema.sold", 1].earlier) == 1
    third = snapshot(second.registry, Registry.of(event(a=str)))
    assert [each.verdict for each in third.refused] == [Verdict.UPCASTER]
    forced = snapshot(second.registry, Registry.of(event(a=str)), replace=True)
    assert (forced.replaced, forced.refused) == ((("schema.sold", 1),), ())
    assert forced.registry["schema.sold", 1].earlier == ()
    later = snapshot(second.registry, Registry.of(event(2, a=str)))
    assert list(later.registry) == [("schema.sold", 1), ("schema.sold", 2)]


def test_what_is_no_class_of_events_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a class of events"):
        Registry.of(BaseModel)
    with pytest.raises(ConfigurationError, match="can't be described"):
        Entry.of(create_model("Open", __base__=Event, a=("Nowhere", ...)))
