"""Given, when, then: what passes, and what a failure says."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from textwrap import dedent

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from eventuali import Aggregate, Documents, Event, Projection, Query, ReadModel, sync
from eventuali.command import Command, handles
from eventuali.errors import InvalidEventError, ProjectionError
from eventuali.testing import given, stream


class Opened(Event, name="kit_opened"):
    owner: str


class Deposited(Event, name="kit_deposited"):
    amount: Decimal
    note: str = ""


class Withdrawn(Event, name="kit_withdrawn"):
    amount: Decimal


class NotEnough(Exception):
    pass


class Account(Aggregate, name="KitAccount"):
    owner: str = ""
    balance: Decimal = Decimal(0)

    def withdraw(self, amount) -> Decimal:
        if amount > self.balance:
            raise NotEnough(f"{amount} is more than {self.balance}")
        self.apply(Withdrawn(amount=amount))
        return self.balance

    @property
    def is_empty(self) -> bool:
        return not self.balance

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def apply_withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount


class NameTaken(Event, name="kit_name_taken"):
    name: str

    @property
    def tags(self):
        return [f"name:{self.name}"]


class Balance(ReadModel, name="kit_balance"):
    amount: Decimal = Decimal(0)


class Count(ReadModel, name="kit_count"):
    events: int = 0


class Balances(Projection[Balance], name="kit_balances"):
    def on_opened(self, event: Opened, doc: None) -> Balance:
        return Balance()

    def on_deposited(self, event: Deposited, doc: Balance) -> Balance:
        doc.amount += event.amount
        return doc


class Counts(Projection, name="kit_counts"):
    async def on_any(self, event: Opened | Deposited, docs: Documents) -> None:
        key = event.meta.event_type
        doc = await docs.get(Count, key) or Count()
        doc.events += 1
        docs.put(key, doc)


class Latest(Projection, name="kit_latest"):
    def on_opened(self, event: Opened, docs: sync.Documents) -> None:
        assert docs.get_many(Count, ["none"]) == {}
        docs.put(event.owner, Count(events=1))

    def on_withdrawn(self, event: Withdrawn, docs: sync.Documents) -> None:
        docs.delete(Count, "Ada")


def take(name):
    def decision(events):
        if events:
            raise ValueError(f"{name} is taken")
        return NameTaken(name=name)

    return decision


RICH = given(Account, Opened(owner="Ada"), Deposited(amount=10))


def said(check) -> str:
    with pytest.raises(AssertionError) as failed:
        check()
    return str(failed.value)


def text(expected: str) -> str:
    return dedent(expected).strip("\n")


# --- aggregates -----------------------------------------------------------------------------------


def test_what_is_as_expected_passes():
    acted = RICH.when(lambda account: account.withdraw(4))
    acted.then(Withdrawn(amount=4)).then_state(balance=6, owner="Ada", is_empty=False, version=3)
    acted.then_returns(Decimal(6))
    RICH.when(lambda account: account.withdraw(11)).then_raises(
        NotEnough, "more than"
    ).then_nothing()
    RICH.when(lambda account: account.withdraw(11)).then_raises(NotEnough).then_state(balance=10)
    RICH.when(lambda account: None).then_nothing().then_returns(None)
    RICH.then_state(balance=10)
    given(Account, [Opened(owner="Bob")], (), id="b").when(
        lambda account: account.apply(Opened(owner=account.id))
    ).then(Opened(owner="b"))


def test_a_failure_tells_the_event_the_field_and_both_values():
    acted = RICH.when(lambda account: account.withdraw(4))
    found = said(lambda: acted.then(Withdrawn(amount=5)))
    assert found == text("""
        Account: the new events are not those that were expected

        given   1 Opened(owner='Ada')
                2 Deposited(amount=Decimal('10'), note='')
        new     1 Withdrawn(amount=Decimal('4'))

        event 1, Withdrawn:
            amount: expected Decimal('5')
                    got      Decimal('4')
        """)


def test_a_failure_tells_which_events_are_too_many_and_which_too_few():
    acted = given(Account).when(
        lambda account: [
            account.apply(event)
            for event in (Opened(owner="Ada"), Deposited(amount=1), Deposited(amount=2, note="x"))
        ]
    )
    expected = Opened(owner="Ada"), Withdrawn(amount=1), Deposited(amount=1), Deposited(amount=2)
    assert said(lambda: acted.then(*expected)) == text("""
        Account: the new events are not those that were expected

        given   nothing
        new     1 Opened(owner='Ada')
                2 Deposited(amount=Decimal('1'), note='')
                3 Deposited(amount=Decimal('2'), note='x')

        event 2 is missing: expected Withdrawn(amount=Decimal('1'))
        event 4, Deposited:
            note: expected ''
                  got      'x'
        """)
    assert said(acted.then_nothing).splitlines()[-3:] == [
        "event 1 is extra: got Opened(owner='Ada')",
        "event 2 is extra: got Deposited(amount=Decimal('1'), note='')",
        "event 3 is extra: got Deposited(amount=Decimal('2'), note='x')",
    ]
    other = said(lambda: RICH.when(lambda a: a.withdraw(4)).then(Opened(owner="Ada")))
    assert other.splitlines()[-2:] == [
        "event 1 is another one: expected Opened(owner='Ada')",
        "                        got      Withdrawn(amount=Decimal('4'))",
    ]


def test_a_failure_tells_the_innermost_part_that_differs():
    @dataclass
    class Price:
        value: Decimal

    class Line(ReadModel, name="kit_line"):
        sku: str
        price: Price

    class Ordered(Event, name="kit_ordered"):
        lines: list[Line]
        notes: dict[str, str]
        total: float | int

    class Cart(Aggregate, name="KitCart"):
        def apply_ordered(self, event: Ordered) -> None: ...

    def ordered(price, notes, total, more=()):
        lines = [
            Line(sku="a", price=Price(Decimal(1))),
            Line(sku="b", price=Price(Decimal(price))),
            *more,
        ]
        return Ordered(lines=lines, notes=notes, total=total)

    acted = given(Cart).when(lambda cart: cart.apply(ordered(2, {"x": "1", "y": "2"}, 1)))
    acted.then(ordered(2, {"x": "1", "y": "2"}, 1.0))
    line = Line(sku="c", price=Price(Decimal(3)))
    found = said(lambda: acted.then(ordered(5, {"x": "1", "z": "2"}, 2, [line])))
    assert found[found.index("event 1") :] == text("""
        event 1, Ordered:
            lines[1].price.value: expected Decimal('5')
                                  got      Decimal('2')
            lines[2]: expected Line(sku='c', price=PRICE(value=Decimal('3')))
                      got      nothing
            notes['z']: expected '2'
                        got      nothing
            notes['y']: expected nothing
                        got      '2'
            total: expected 2
                   got      1
        """).replace("PRICE", Price.__qualname__)


def test_a_long_value_is_cut_short():
    found = said(lambda: RICH.when(lambda a: a.apply(Opened(owner="a" * 500))).then())
    assert found.endswith(f"got Opened(owner='{'a' * 186}… (516 characters)")
    many = given(Account, [Deposited(amount=n) for n in range(25)])
    lines = said(lambda: many.then_state(balance=0)).splitlines()
    assert lines[2] == "given   5 more"
    assert lines[3] == "        6 Deposited(amount=Decimal('5'), note='')"


def test_metadata_counts_if_it_is_asked_for():
    def act(account):
        account.apply(Deposited(amount=1, correlation_id="req-7", tags=["eu"]))

    expected = Deposited(amount=1, correlation_id="req-8")
    acted = RICH.when(act).then(expected)
    found = said(lambda: acted.then(expected, meta=["correlation_id", "tags"]))
    assert found[found.index("event 1") :] == text("""
        event 1, Deposited:
            meta.correlation_id: expected 'req-8'
                                 got      'req-7'
            meta.tags: expected ()
                       got      ('eu',)
        """)
    acted.then(Deposited(amount=1, correlation_id="req-7"), meta=["correlation_id"])
    acted.then(Deposited(amount=2), ignore=["amount"])
    with pytest.raises(TypeError, match="no metadata 'sender'"):
        acted.then(expected, meta=["sender"])
    with pytest.raises(TypeError, match="none of the events has a field 'amuont'"):
        acted.then(expected, ignore=["amuont"])
    with pytest.raises(TypeError, match="several names"):
        acted.then(expected, ignore="amount")


def test_what_was_raised_is_told_and_its_cause_kept():
    acted = RICH.when(lambda account: account.withdraw(11))
    with pytest.raises(AssertionError) as failed:
        acted.then(Withdrawn(amount=11))
    assert isinstance(failed.value.__cause__, NotEnough)
    assert str(failed.value).splitlines()[0] == (
        "Account: the action raised NotEnough: 11 is more than 10"
    )
    assert said(lambda: acted.then_raises(KeyError)).splitlines()[0] == (
        "Account: KeyError was expected, but NotEnough: 11 is more than 10 was raised"
    )
    assert said(lambda: acted.then_raises(NotEnough, "less")).splitlines()[-2:] == [
        "pattern 'less'",
        "text    '11 is more than 10'",
    ]
    fine = RICH.when(lambda account: account.withdraw(1))
    assert said(lambda: fine.then_raises(NotEnough)) == text("""
        Account: NotEnough was expected, but nothing was raised

        given   1 Opened(owner='Ada')
                2 Deposited(amount=Decimal('10'), note='')
        new     1 Withdrawn(amount=Decimal('1'))

        got     1 Withdrawn(amount=Decimal('1'))
        """)


def test_a_state_that_differs_is_told():
    acted = RICH.when(lambda account: account.withdraw(4))
    assert said(lambda: acted.then_state(balance=5, owner="Bob")).splitlines()[-4:] == [
        "balance: expected 5",
        "         got      Decimal('6')",
        "owner: expected 'Bob'",
        "       got      'Ada'",
    ]
    with pytest.raises(TypeError, match="no attribute 'blance'"):
        acted.then_state(blance=5)
    assert "something else was returned" in said(lambda: acted.then_returns(5))


def test_values_that_look_the_same_are_told_apart_by_their_types():
    class Twin(str):
        __slots__ = ()

        def __eq__(self, other):
            return False

        __hash__ = str.__hash__

    acted = RICH.when(lambda account: "x")
    assert said(lambda: acted.then_returns(Twin("x"))).splitlines()[-2:] == [
        "value: expected 'x' (Twin)",
        "       got      'x' (str)",
    ]


def test_equality_is_that_of_the_values():
    @dataclass
    class Never:
        value: int

        def __eq__(self, other):
            return False

    @dataclass
    class Folded:
        text: str

        def __eq__(self, other):
            return self.text.lower() == other.text.lower()

    @dataclass(eq=False)
    class Handle:
        value: int

    @dataclass
    class Cached:
        value: int
        hits: int = field(default=0, compare=False)

    class Loose(ReadModel, name="kit_loose"):
        text: str
        never: object = None

        def __eq__(self, other):
            return self.text.lower() == other.text.lower()

    def returned(value, got):
        RICH.when(lambda account: got).then_returns(value)

    returned(Folded("A"), Folded("a"))
    returned([Folded("A")], [Folded("a")])
    returned(Cached(1, 2), Cached(1, 3))
    returned(Loose(text="A"), Loose(text="a"))
    returned({"a": [Cached(1, 2)]}, {"a": [Cached(1, 3)]})
    found = said(lambda: returned(Never(1), Never(1)))
    assert found.splitlines()[-2:] == [
        f"value: expected {Never(1)!r} (Never)",
        f"       got      {Never(1)!r} (Never, which is not == to it)",
    ]
    said(lambda: returned(Handle(1), Handle(1)))
    assert said(lambda: returned(Cached(1, 2), Cached(2, 3))).splitlines()[-3:] == [
        "",
        "value: expected 1",
        "       got      2",
    ]
    assert "\n[0]: " in said(lambda: returned([Never(1), 5], [Never(1), 5]))


def test_a_bool_is_no_number():
    class Flag(ReadModel, name="kit_flag"):
        value: object

    def returned(value, got):
        RICH.when(lambda account: got).then_returns(value)

    for one, other in ((True, 1), (0, False), (1.0, True), (Decimal(0), False)):
        returned(one, one)
        said(lambda one=one, other=other: returned(one, other))
        for holder in (
            lambda value: [value],
            lambda value: {"a": (value,)},
            lambda value: {value: "a"},
            lambda value: Flag(value=value),
        ):
            returned(holder(one), holder(one))
            pair = holder(one), holder(other)
            said(lambda pair=pair: returned(*pair))
    returned(1, 1.0)
    returned([Decimal(1)], [1])
    acted = RICH.when(lambda account: None)
    assert said(lambda: acted.then_state(version=True, is_empty=0)).splitlines()[-4:] == [
        "version: expected True",
        "         got      2",
        "is_empty: expected 0",
        "          got      False",
    ]
    said(lambda: given(Account, Opened(owner="x")).then_state(version=True))


def test_a_check_of_the_state_names_a_field():
    with pytest.raises(TypeError, match=r"then_state\(\) checks nothing; name fields"):
        RICH.when(lambda account: None).then_state()
    with pytest.raises(TypeError, match="checks nothing"):
        RICH.then_state()


def test_a_coroutine_is_run():
    async def act():
        return 7

    async def wait():
        await asyncio.sleep(0)

    RICH.when(lambda account: act()).then_returns(7)
    RICH.when(lambda account: wait()).then_nothing()

    async def main():
        RICH.when(lambda account: act()).then_returns(7)
        RICH.when(lambda account: wait()).then_raises(TypeError, "within an async test")
        given(stream(Account, "a", Opened(owner="x"))).when(Counts()).then(
            {"kit_opened": Count(events=1)}
        )

    asyncio.run(main())


def test_an_action_that_is_a_generator_is_refused():
    def act(account):
        account.withdraw(4)
        yield

    async def act_later(account):
        account.withdraw(4)
        yield

    async def returns_one(account):
        return act(account)

    for action in (act, act_later, returns_one, lambda account: act(account)):
        with pytest.raises(TypeError, match=r"act.*, which nobody runs"):
            RICH.when(action)
    RICH.when(lambda account: list(act(account))).then(Withdrawn(amount=4))


def test_an_aggregate_handles_a_command():
    @dataclass
    class Pay:
        amount: int

    class Close(Command):
        account_id: str

    class Till(Account, name="KitTill"):
        @handles(Pay)
        def pay(self, command: Pay) -> Decimal:
            return self.withdraw(command.amount)

        @handles(Close, id="account_id")
        def close(self, command: Close) -> None:
            self.withdraw(self.balance)
            raise NotEnough("closed")

    till = given(Till, Opened(owner="Ada"), Deposited(amount=10))
    till.when(Pay(4)).then(Withdrawn(amount=4)).then_returns(Decimal(6)).then_state(balance=6)
    till.when(Pay(11)).then_raises(NotEnough, "11 is more than 10").then_nothing()
    # What is half done is taken back, as a bus does it.
    till.when(Close(account_id="a")).then_raises(NotEnough).then_nothing().then_state(balance=10)
    with pytest.raises(TypeError, match=r"a command that Till handles \(Close, Pay\), not 'pay'"):
        till.when("pay")
    with pytest.raises(TypeError, match=r"that Account handles \(nothing\), not .*Pay"):
        RICH.when(Pay(4))


def test_mistakes_in_a_test_are_named():
    with pytest.raises(TypeError, match="given takes events and lists of events, not 'x'"):
        given(Account, "x")
    with pytest.raises(TypeError, match="not Opened"):
        given(Opened)
    with pytest.raises(TypeError, match="name its class first"):
        given(Opened(owner="x"), id="a")
    with pytest.raises(TypeError, match="a function of the aggregate"):
        RICH.when("withdraw")
    with pytest.raises(TypeError, match="then takes events"):
        RICH.when(lambda account: None).then(Opened)
    with pytest.raises(InvalidEventError):
        given(Account, NameTaken(name="x")).when(lambda account: None)


# --- decisions ------------------------------------------------------------------------------------


def test_a_decision_sees_what_its_query_matches():
    names = given(NameTaken(name="ada"), NameTaken(name="bob"))
    ada = Query(tags=["name:ada"])
    names.when(take("ada"), ada).then_raises(ValueError, "ada is taken").then_nothing()
    decided = names.when(take("eve"), Query(tags=["name:eve"]))
    decided.then(NameTaken(name="eve")).then_sees()
    names.when(lambda events: None, ada).then_nothing().then_sees(NameTaken(name="ada"))
    names.when(lambda events: None).then_sees(NameTaken(name="ada"), NameTaken(name="bob"))

    async def decide(events):
        return [NameTaken(name=event.name + "2") for event in events]

    names.when(decide).then(NameTaken(name="ada2"), NameTaken(name="bob2"))
    names.when(lambda events: "eve").then_raises(TypeError, "must return events")


def test_a_failure_tells_which_events_a_decision_did_not_see():
    names = given(NameTaken(name="ada"), NameTaken(name="bob"))
    decided = names.when(take("ada"), Query(tags=["nam:ada"]))
    assert said(lambda: decided.then_raises(ValueError)) == text("""
        take.<locals>.decision: ValueError was expected, but nothing was raised

        given   1 NameTaken(name='ada')  (not seen: the query does not match it)
                2 NameTaken(name='bob')  (not seen: the query does not match it)
        new     1 NameTaken(name='ada')

        got     1 NameTaken(name='ada')
        """)
    assert said(lambda: decided.then_sees(NameTaken(name="ada"))).splitlines()[-1] == (
        "event 1 is missing: expected NameTaken(name='ada')"
    )


NAMES = st.sampled_from(["a", "b", "c"])
TAGS = st.lists(NAMES, max_size=2)
CORRELATIONS = st.sampled_from(["req-1", "0192f0c1-2345-7000-8000-000000000001", None])


@st.composite
def logs(draw):
    events = []
    for _ in range(draw(st.integers(1, 4))):
        keywords = {"tags": draw(TAGS), "correlation_id": draw(CORRELATIONS)}
        made = draw(
            st.sampled_from([Opened(owner="x", **keywords), Deposited(amount=1, **keywords)])
        )
        events.append(made)
    return [draw(st.sampled_from(["", "a", "b"])) for _ in events], events


@st.composite
def queries(draw):
    parts = {
        "aggregate_type": st.sampled_from([Account, "Other"]),
        "aggregate_id": NAMES,
        "event_types": st.lists(st.sampled_from([Opened, "kit_deposited"]), min_size=1, max_size=2),
        "tags": st.lists(NAMES, min_size=1, max_size=2),
        "correlation_id": CORRELATIONS.filter(bool),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), max_size=2, unique=True))
    return Query(**{name: draw(parts[name]) for name in chosen})


@examples(logs(), queries(), queries())
def test_a_query_means_what_it_means_to_a_store(log, one, other):
    ids, events = log
    with sync.EventStore.create("memory://") as store:
        for key, event in zip(ids, events, strict=True):
            store.append([event], stream=("KitAccount", key) if key else None)
        for query in (one, one | other):
            by_id = Query(event_ids=[events[0].event_id])
            for asked in (query, by_id):
                found = list(store.read(asked))
                given(*store.read()).when(lambda events: None, asked).then_nothing().then_sees(
                    *found
                )
                seen = []
                given(*store.read()).when(seen.extend, asked).then_nothing()
                assert [e.position for e in seen] == [e.position for e in found]


# --- projections ----------------------------------------------------------------------------------


def test_a_projection_makes_documents():
    history = given(
        stream(Account, "acc-1", Opened(owner="Ada"), Deposited(amount=10)),
        stream("KitAccount", "acc-2", Opened(owner="Bob")),
        stream(Account, "acc-1", Deposited(amount=5), Withdrawn(amount=1), after=2),
    )
    history.when(Balances()).then({"acc-1": Balance(amount=15), "acc-2": Balance()})
    history.when(Counts()).then(
        {"kit_opened": Count(events=2), "kit_deposited": Count(events=2)}
    ).then({}, model=Balance)
    history.when(Latest()).then({"Bob": Count(events=1)})
    given().when(Balances()).then_nothing()
    more = given(stream(Account, "a", Deposited(amount=1))).when(
        Balances(), documents={"a": Balance(amount=2)}
    )
    more.then({"a": Balance(amount=3)})


def test_stream_numbers_its_events():
    events = stream(Account, "acc-1", Opened(owner="Ada"), Deposited(amount=10), after=3)
    metas = [(e.aggregate_type, e.aggregate_id, e.aggregate_version) for e in events]
    assert metas == [("KitAccount", "acc-1", 4), ("KitAccount", "acc-1", 5)]
    with pytest.raises(InvalidEventError, match="applied or stored before"):
        stream(Account, "acc-2", events[0])


def test_a_failure_tells_the_document_and_the_field():
    made = given(stream(Account, "a", Opened(owner="Ada"), Deposited(amount=1))).when(Balances())
    expected = {"a": Balance(amount=2), "b": Balance()}
    assert said(lambda: made.then(expected)) == text("""
        Balances: the documents are not those that were expected

        given   1 Opened(owner='Ada')
                2 Deposited(amount=Decimal('1'), note='')

        document 'a', Balance:
            amount: expected Decimal('2')
                    got      Decimal('1')
        document 'b' is missing: expected Balance(amount=Decimal('0'))
        """)
    assert said(made.then_nothing).splitlines()[-1] == (
        "document 'a' is extra: got Balance(amount=Decimal('1'))"
    )
    with pytest.raises(TypeError, match="documents by key"):
        made.then(Balance())


def test_a_handler_that_raises_is_told():
    given(Opened(owner="Ada")).when(Balances()).then_raises(ProjectionError, "aggregate")
    given(stream(Account, "a", Deposited(amount=1))).when(Balances()).then_raises(ProjectionError)

    class Answers(Projection, name="kit_answers"):
        def on_opened(self, event: Opened, docs: sync.Documents):
            return Count()

    given(Opened(owner="x")).when(Answers()).then_raises(ProjectionError, "use docs.put")


def test_two_models_may_share_a_key():
    class Both(Projection, name="kit_both"):
        def on_opened(self, event: Opened, docs: sync.Documents) -> None:
            docs.put("k", Count())
            docs.put("k", Balance())

    made = given(Opened(owner="x")).when(Both())
    with pytest.raises(ValueError, match="two models have a document 'k'"):
        made.then({"k": Count()})
    made.then({"k": Count()}, model=Count).then({"k": Balance()}, model=Balance)


def test_a_projection_takes_no_query_and_a_decision_no_documents():
    with pytest.raises(TypeError, match="query is for a decision"):
        given().when(Balances(), Query(tags=["x"]))
    with pytest.raises(TypeError, match="those of a projection"):
        given().when(lambda events: None, documents={})
    with pytest.raises(TypeError, match="a decision or a projection"):
        given().when(3)
    with pytest.raises(TypeError, match="query must be a Query"):
        given().when(lambda events: None, "x")
