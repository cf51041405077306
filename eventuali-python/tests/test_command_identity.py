"""Which command is the same one: its id in every spelling, and what of its content counts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, SecretBytes, SecretStr
from stores import each_store, gathered, run
from test_command import Bus

from eventuali import Event, sync
from eventuali.command import Command, handles
from eventuali.errors import CommandIdConflictError
from eventuali.testing import Clock

ticks = count()


class Done(Event, name="command-identity.done"):
    text: str


class Item(Command):
    sku: str


class Do(Command):
    text: str = ""


class Batch(Command):
    items: list[Item]
    later: deque[Item] = Field(default_factory=deque)


class Timed(Command):
    text: str = ""
    at: int = Field(default_factory=lambda: next(ticks))
    tags: list[str] = Field(default_factory=list)


class Login(Command):
    password: SecretStr
    key: SecretBytes = SecretBytes(b"")


class Sum(Command):
    parts: list[int]

    @cached_property
    def total(self) -> int:
        return sum(self.parts)


class Reference(BaseModel):
    """No command, so that its `command_id` is content."""

    command_id: str


class Undo(Command):
    what: Reference


class Orders:
    class Cancel(Command):
        key: str


class Billing:
    class Cancel(Command):
        key: str


class Plain:
    def __init__(self, parts: list[int]) -> None:
        self.parts = parts

    @cached_property
    def total(self) -> int:
        return sum(self.parts)


@dataclass
class Row:
    parts: list[int]

    @cached_property
    def total(self) -> int:
        return sum(self.parts)


def recorder(cls: type) -> Any:
    """Returns a handler that stores an event, and reads what the command computes."""

    @handles(cls)
    def record(command: Any, work: Any) -> str:
        work.append([Done(text=str(getattr(command, "total", "")))])
        return cls.__qualname__

    return record


HANDLERS = [
    recorder(cls)
    for cls in (
        Batch, Billing.Cancel, Do, Login, Orders.Cancel, Plain, Row, Sum, Timed, Undo,
    )
]  # fmt: skip


# --- the id ---------------------------------------------------------------------------------------


@each_store
def test_an_id_is_the_same_in_every_spelling_of_a_uuid(kind, api, tmp_path) -> None:
    number = UUID("7f9c24e5-2f31-4b6a-9a5d-0c1f1e6d2b11")
    first = Do(command_id=str(number).upper())
    assert first.command_id == str(number).upper()

    async def test(store) -> None:
        bus = Bus(store, *HANDLERS)
        assert not (await bus.send(first)).repeated
        for again in (
            first,
            Do.model_validate_json(first.model_dump_json()),
            Do(command_id=number.hex),
            Do(command_id=number.hex.upper()),
            Do(command_id=number),
            Do(command_id=number.urn),
            Do(command_id=f"{{{number}}}"),
        ):
            assert (await bus.send(again)).repeated, again
        for header in (str(number), str(number).upper(), number.hex, number):
            assert (await bus.send(Do(), command_id=header)).repeated, header
        (event,) = await gathered(store.read())
        assert (event.causation_id, event.correlation_id) == (number, number)

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize(
    "other",
    [
        "0" * 29 + "_12",  # `UUID` and `int` take underscores, signs, spaces and other digits
        "+" + "0" * 29 + "12",
        "0x" + "0" * 28 + "12",
        "٠" * 30 + "12",
        "0-0" + "0" * 28 + "12",
    ],
)
def test_a_text_that_is_no_uuid_stays_as_it_is(other: str) -> None:
    with sync.EventStore.create("memory://") as store:
        bus = sync.CommandBus(store, *HANDLERS)
        bus.send(Do(command_id=UUID(int=0x12)))
        assert not bus.send(Do(command_id=other)).repeated
        assert bus.send(Do(command_id=other)).repeated


def test_an_id_has_the_time_of_the_clock_that_events_go_by() -> None:
    with Clock() as clock:
        command = Do()
        assert isinstance(command.command_id, UUID)
        assert command.command_id.int >> 80 == int(clock.now.timestamp() * 1000)
    assert Do().command_id.int >> 80 > command.command_id.int >> 80


# --- the content ----------------------------------------------------------------------------------


def same(first: Any, second: Any) -> bool:
    """Whether a bus takes the second for the first, under the same id."""
    with sync.EventStore.create("memory://") as store:
        bus = sync.CommandBus(store, *HANDLERS)
        assert not bus.send(first, command_id="k").repeated
        try:
            assert bus.send(second, command_id="k").repeated
        except CommandIdConflictError:
            assert len(list(store.read())) == 1
            return False
        return True


def test_two_classes_of_one_name_are_two_commands() -> None:
    assert same(Orders.Cancel(key="7"), Orders.Cancel(key="7"))
    assert not same(Orders.Cancel(key="7"), Billing.Cancel(key="7"))


def test_a_secret_counts_by_what_it_hides() -> None:
    assert same(Login(password="a"), Login(password="a"))
    assert not same(Login(password="a"), Login(password="b"))
    assert same(Login(password="a", key=b"x"), Login(password="a", key=b"x"))
    assert not same(Login(password="a", key=b"x"), Login(password="a", key=b"y"))


@pytest.mark.parametrize("cls", [Sum, Plain, Row])
def test_what_a_command_computes_is_no_content(cls) -> None:
    command = cls(parts=[1, 2])
    assert same(command, command)
    assert same(command, cls(parts=[1, 2]))
    assert not same(command, cls(parts=[2, 1]))


def test_ids_of_commands_within_a_command_are_no_content() -> None:
    body = '{"items": [{"sku": "a"}], "later": [{"sku": "b"}]}'
    assert same(Batch.model_validate_json(body), Batch.model_validate_json(body))
    one = Batch(items=[Item(sku="a", command_id="1")])
    assert same(one, Batch(items=[Item(sku="a", command_id="2")]))
    assert not same(one, Batch(items=[Item(sku="b", command_id="1")]))
    assert not same(Undo(what=Reference(command_id="1")), Undo(what=Reference(command_id="2")))


def test_what_a_factory_made_counts_only_where_it_was_said() -> None:
    """A retry of the same HTTP body, and the same object through a queue."""
    first, retry = Timed.model_validate_json("{}"), Timed.model_validate_json("{}")
    assert first.at != retry.at
    assert same(first, retry)
    copied = Timed.model_validate_json(first.model_dump_json())
    assert same(first, copied)
    assert same(copied, first)
    assert not same(first, Timed(at=-1))
    assert not same(Timed(at=-1), first)
    assert not same(Timed(at=-1), Timed(at=-2))
    assert not same(Timed(), Timed(tags=["x"]))
    assert not same(Timed(text="a"), Timed(text="b"))
