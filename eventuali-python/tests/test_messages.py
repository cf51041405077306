"""Mistakes are named where they are made, with what is wrong, where, and what to do."""

from __future__ import annotations

import asyncio
import pickle
from abc import ABC
from dataclasses import dataclass
from decimal import Decimal
from types import new_class
from typing import Any, Protocol, TypeVar

import pytest
from hotel import MoneyMoved, Purse
from stores import each_api, each_store, run
from units import inner

from eventuali import (
    Aggregate,
    ConfigurationError,
    Event,
    InvalidEventError,
    Projection,
    Query,
    ReadModel,
    StreamEvents,
    sync,
)
from eventuali.command import Answered, Command, CommandBus, answers, handles
from eventuali.command._command import answer_of
from eventuali.errors import UnknownCommandError
from eventuali.projection import Statements


class Pay(Command):
    key: str = "a"


class PayLater(Pay):
    pass


class Refund(Command):
    key: str = "a"


@dataclass
class BalanceOf:
    key: str


class Owed(ABC):  # noqa: B024 - what is registered with it counts as one
    pass


Owed.register(Pay)


class HasKey(Protocol):
    key: str


T = TypeVar("T")


def moved():
    return MoneyMoved(person="all", amount=1)


def bus_of(api, store, *handlers):
    return (CommandBus if api == "async" else sync.CommandBus)(inner(api, store), *handlers)


# --- a parameter that is annotated with another command ------------------------------------------


def test_a_method_of_an_aggregate_must_take_the_command_that_it_is_marked_with():
    with pytest.raises(TypeError, match=r"Till\.pay is marked with @handles\(Pay\).*Refund"):

        class Till(Aggregate, name="messages.till"):
            @handles(Pay, id="key")
            def pay(self, command: Refund) -> None: ...


def test_a_function_must_take_the_message_that_it_is_marked_with():
    class Till(Command):
        pass

    for wrong in (int, Refund, PayLater, Refund | None, Refund | BalanceOf, None):

        def pay(command: Any, work: Any) -> None: ...

        pay.__annotations__["command"] = wrong
        with pytest.raises(TypeError, match=r"pay is marked with @handles\(Pay\), and its command"):
            handles(Pay)(pay)

    with pytest.raises(
        TypeError, match=r"@answers\(BalanceOf\), and its query is annotated with Pay"
    ):

        @answers(BalanceOf)
        def balance(query: Pay, store: Any) -> int: ...

    with pytest.raises(TypeError, match="annotated with Till"):

        class Service:
            @staticmethod
            @handles(Pay)
            def pay(command: Till, work: Any) -> None: ...

    with pytest.raises(TypeError, match="annotated with Till"):

        class Other:
            @handles(Pay)
            def pay(self, command: Till, work: Any) -> None: ...


def test_what_a_message_belongs_to_may_stand_there():
    for right in (
        Pay, Command, object, Any, Owed, HasKey, T, Pay | Refund, Command | None, "Pay", "Missing",
        "no such | thing", list[Pay],
    ):  # fmt: skip

        def pay(command: Any, work: Any) -> None: ...

        pay.__annotations__["command"] = right
        assert handles(Pay)(pay) is pay
    handles(Pay)(lambda command, work: None)

    class Later(Aggregate, name="messages.later"):
        @staticmethod
        @handles(Pay)
        def one(command: Pay, work: Pay) -> None: ...

        @handles(PayLater, id="key")
        def pay(self, command: Pay) -> None: ...

        @handles(Refund, id="key")
        def refund(self, command) -> None: ...


# --- the two forms of a projection ----------------------------------------------------------------


class Poured(Event, name="messages.poured"):
    amount: int


class PotView(ReadModel, name="messages.pot"):
    amount: int = 0


BOTH = r"Projection\[Model\].*self, event, doc.*Projection alone.*self, event, docs"


def test_a_fold_without_a_model_is_refused_when_the_class_is_made():
    def annotated(self, event: Poured, pot: PotView | None) -> PotView: ...
    def of_none(self, event: Poured, pot: None): ...
    def by_name(self, event: Poured, doc): ...
    def by_answer(self, event: Poured, docs) -> PotView: ...

    for function in (annotated, of_none, by_name, by_answer):
        with pytest.raises(TypeError, match=rf"Pots\.on_poured takes a document.*{BOTH}"):
            type("Pots", (Projection,), {"on_poured": function})


def test_a_free_handler_with_a_model_is_refused_when_the_class_is_made():
    def by_docs(self, event: Poured, docs) -> None: ...
    def by_sql(self, event: Poured, sql): ...
    def annotated(self, event: Poured, documents: sync.Documents) -> None: ...
    def statements(self, event: Poured, doc: Statements) -> None: ...

    for function in (by_docs, by_sql, annotated, statements):
        with pytest.raises(TypeError, match=rf"on_poured.*{BOTH}"):
            _made(Projection[PotView], function)


def test_both_forms_and_generic_bases_are_taken():
    def free(self, event: Poured, docs): ...
    def with_documents(self, event: Poured, doc: sync.Documents) -> None: ...
    def with_any(self, event: Poured, doc: Any) -> Any: ...

    for function in (free, with_documents, with_any):
        assert type("Pots", (Projection,), {"on_poured": function})

    def fold(self, event: Poured, doc): ...
    def fold_docs(self, event: Poured, docs: PotView | None) -> PotView: ...

    for function in (fold, fold_docs):
        assert _made(Projection[PotView], function)

    M = TypeVar("M", bound=ReadModel)

    class Base(Projection[M]):
        def on_poured(self, event: Poured, doc: M | None) -> M: ...

    class Pots(Base[PotView]): ...

    assert Pots.__handlers__


def _made(base, function):
    return new_class("Pots", (base,), {}, lambda body: body.update(on_poured=function))


# --- messages -------------------------------------------------------------------------------------


@each_api
def test_a_message_of_the_other_kind_says_which_verb_it_is_for(api, tmp_path):
    @handles(Pay)
    def pay(command: Pay, work: Any) -> None: ...

    @answers(BalanceOf)
    def balance(query: BalanceOf, store: Any) -> int:
        return 0

    async def test(store):
        bus = bus_of(api, store, pay, balance)

        async def call(verb, message):
            if api == "async":
                return await verb(message)
            return await asyncio.to_thread(verb, message)

        with pytest.raises(UnknownCommandError, match=r"balance takes it as a query: use ask$"):
            await call(bus.send, BalanceOf("a"))
        with pytest.raises(UnknownCommandError, match=r"pay takes it as a command: use send$"):
            await call(bus.ask, Pay())
        with pytest.raises(UnknownCommandError, match=r"it knows Pay$"):
            await call(bus.send, Refund())

    run(api, "memory", tmp_path, test)


@each_api
def test_two_handlers_of_a_command_are_named_with_their_places(api, tmp_path):
    @handles(Pay)
    def one(command: Pay, work: Any) -> None: ...

    @handles(Pay)
    def two(command: Pay, work: Any) -> None: ...

    class Till(Aggregate, name="messages.other-till"):
        @handles(Pay, id="key")
        def pay(self, command: Pay) -> None: ...

    async def test(store):
        lines = [each.__code__.co_firstlineno for each in (one, two)]
        wanted = (
            rf"one \(test_messages, line {lines[0]}\) and .*two \(test_messages, line "
            rf"{lines[1]}\) both take Pay"
        )
        with pytest.raises(ConfigurationError, match=wanted):
            bus_of(api, store, one, two)
        with pytest.raises(ConfigurationError, match=r"one is given to the bus twice.*takes Pay"):
            bus_of(api, store, one, one)
        with pytest.raises(ConfigurationError, match=r"Till is given to the bus twice"):
            bus_of(api, store, Till, Till)

    run(api, "memory", tmp_path, test)


@each_store
def test_what_is_given_twice_is_named_with_both_places(kind, api, tmp_path):
    async def test(store):
        one, other, event = Purse(id="a"), Purse(id="b"), moved()
        one.apply(moved())
        with pytest.raises(
            InvalidEventError, match=r"Purse 'a' .*twice in one save, as aggregate 1 and as 3"
        ):
            await store.save(one, other, one)
        with pytest.raises(
            InvalidEventError, match=r"Purse 'a' .*twice in one commit, as aggregate 2 and as 3"
        ):
            await store.decide(Query(tags=["x"]), lambda events: [other, one, one])
        with pytest.raises(
            InvalidEventError,
            match=r"MoneyMoved .*twice in one commit, as event 2 of no stream and as event 1 of "
            r"the hotel\.purse 'a'; make two",
        ):
            await store.append([moved(), event, StreamEvents(("hotel.purse", "a"), [event])])

    run(api, kind, tmp_path, test)


# --- what a message is answered with --------------------------------------------------------------


class Deposit(Command[Decimal]):
    amount: Decimal


@dataclass
class Largest(Answered[Decimal | None]):
    key: str = "a"


@each_store
def test_a_command_that_says_its_answer_is_answered_exactly(kind, api, tmp_path):
    @handles(Deposit)
    def deposit(command: Deposit, work: Any):  # what it returns is not annotated here
        return command.amount

    @answers(Largest)
    def largest(query: Largest, store: Any) -> Decimal | None:
        return None

    async def test(store):
        bus = bus_of(api, store, deposit, largest)
        command = Deposit(amount=Decimal("1.50"))
        for repeated in (False, True):
            if api == "async":
                handled = await bus.send(command)
            else:
                handled = await asyncio.to_thread(bus.send, command)
            assert (str(handled.answer), handled.repeated) == ("1.50", repeated)
        assert pickle.loads(pickle.dumps(handled)) == handled
        assert pickle.loads(pickle.dumps(command)) == command

    run(api, kind, tmp_path, test)


def test_a_handler_of_another_answer_is_refused_when_a_bus_is_made():
    def bus(message, annotation):
        def handler(message: Any, around: Any) -> None: ...

        if annotation is not None:
            handler.__annotations__["return"] = annotation
        mark = answers if message is Largest else handles
        return CommandBus(None, mark(message)(handler))

    for wrong in (int, str, dict[str, int], Decimal | None, type(None)):
        with pytest.raises(TypeError, match=r"annotated to return .*, and Deposit .* Decimal"):
            bus(Deposit, wrong)
    with pytest.raises(TypeError, match=r"annotated to return int, and Largest"):
        bus(Largest, int)
    for right in (Decimal, Any, "Decimal"):
        assert bus(Deposit, right)
    for right in (Decimal, Decimal | None, type(None), "Nowhere", T):
        assert bus(Largest, right)
    assert bus(Pay, int)


def test_what_a_class_says_is_inherited_and_the_commands_are_the_same_otherwise():
    class Base(Deposit):
        pass

    assert (answer_of(Base), answer_of(Largest), answer_of(Pay)) == (
        Decimal,
        Decimal | None,
        Any,
    )
    assert issubclass(Base, Command)
    assert Base(amount=Decimal(1)).model_dump().keys() == {"command_id", "amount"}
