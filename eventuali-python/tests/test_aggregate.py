# ruff: noqa: RUF012  # a mutable default is what pydantic copies
"""Aggregates: handlers, what a failing handler leaves behind, and copies."""

import copy
import functools
import pickle
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, Optional, TypeVar, Union
from uuid import UUID

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Field,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    SecretStr,
    ValidationError,
    computed_field,
    field_serializer,
    model_serializer,
)

from eventuali.aggregate import Aggregate, User, UserRegistered, check_replayed, committed
from eventuali.errors import InvalidEventError, UnknownEventTypeError
from eventuali.event import (
    Event,
    EventMeta,
    SystemEvent,
    UserDeactivated,
    UserEmailChanged,
)
from eventuali.event._envelope import Envelope, IdRange
from eventuali.event._names import snake_case
from eventuali.event._slot import content, set_content

T = TypeVar("T")


class Opened(Event, name="account.opened"):
    owner: str


class Deposited(Event):
    amount: Decimal


class Tagged(Event):
    tag: str


class Noted(Event):
    text: str = ""


class Kind(Enum):
    PLAIN = 1


@dataclass
class Note:
    texts: list[str] = field(default_factory=list)


class Account(Aggregate, name="account"):
    owner: str = ""
    balance: Decimal = Decimal(0)
    tags: list[str] = []
    note: Note | None = None
    kind: Kind = Kind.PLAIN
    ignores = (Noted,)
    _count: int = PrivateAttr(default=0)
    _seen: list[str] = PrivateAttr(default_factory=list)

    def apply_account_opened(self, event: Opened) -> None:
        self.owner = event.owner
        self.note = Note()

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount
        self._count += 1
        if self.balance < 0:
            raise ValueError("overdrawn")

    def apply_tagged(self, event: Tagged) -> None:
        self.tags.append(event.tag)
        self._seen.append(event.tag)
        if self.note is not None:
            self.note.texts.append(event.tag)
        if event.tag == "bad":
            self.owner = "nobody"
            raise KeyboardInterrupt


def deposit(amount="1"):
    return Deposited(amount=Decimal(amount))


def opened():
    account = Account(id="a")
    account.apply(Opened(owner="Ada"))
    return account


def whole(account):
    return (
        copy.deepcopy(account.__dict__),
        set(account.model_fields_set),
        copy.deepcopy(account.__pydantic_private__),
        account.get_uncommitted_events(),
    )


# --- the life of an aggregate ---------------------------------------------------------------------


def test_apply_changes_state_counts_and_keeps_the_event():
    account = opened()
    event = deposit("2.50")
    account.apply(event)
    assert (account.owner, account.balance, account.version) == ("Ada", Decimal("2.50"), 2)
    assert account.get_uncommitted_events()[1] is event
    meta = event.meta
    assert (meta.aggregate_type, meta.aggregate_id, meta.aggregate_version) == ("account", "a", 2)


def test_an_applied_event_keeps_its_creation_time_in_a_tuple():
    event = deposit()
    created = content(event)
    Account(id="a").apply(event)
    *place, ids, index = content(event)
    assert (place, index) == ([created, "account", "a", 1], 0)
    assert (ids.first, ids.untouched) == (0, True)


def test_given_metadata_survives_apply():
    event = Deposited(amount=1, correlation_id="c", event_id=UUID(int=9))
    Account(id="a").apply(event)
    assert isinstance(content(event), Envelope)
    assert (event.correlation_id, event.event_id.int, event.aggregate_version) == ("c", 9, 1)


def test_an_event_that_pydantic_built_can_be_applied():
    event = Deposited.model_validate_json('{"amount": "3"}')
    before = datetime.now(UTC)
    Account(id="a").apply(event)
    assert abs((event.timestamp - before).total_seconds()) < 60
    assert event.aggregate_id == "a"


def test_committing_forgets_the_events_and_keeps_the_state():
    account = opened()
    assert account.is_new()
    assert account.has_uncommitted_events()
    account.mark_events_as_committed()
    assert account.get_uncommitted_events() == []
    assert not account.has_uncommitted_events()
    assert (account.version, account.owner, account.is_new()) == (1, "Ada", False)
    assert Account().is_new()


def test_the_list_of_waiting_events_is_a_copy():
    account = opened()
    account.get_uncommitted_events().clear()
    assert account.has_uncommitted_events()


def test_ids_are_texts_and_fixed():
    assert UUID(Account().id) != UUID(Account().id)
    for wrong in (b"a", 1, None, UUID(int=1)):
        with pytest.raises(ValidationError):
            Account(id=wrong)
    account = opened()
    for name, value in (("id", "b"), ("version", 9)):
        with pytest.raises(ValidationError):
            setattr(account, name, value)


@pytest.mark.parametrize("version", [-1, True, "1", 1.0])
def test_versions_are_counts(version):
    with pytest.raises(ValidationError):
        Account(version=version)


def test_misspelt_fields_are_refused():
    with pytest.raises(ValidationError):
        Account(ownre="x")
    with pytest.raises(ValueError, match="ownre"):
        Account().ownre = "x"


def test_to_dict_and_from_dict_are_inverse():
    account = opened()
    account.apply(deposit("0.10"))
    data = account.to_dict()
    assert data["id"] == "a"
    assert data["version"] == 2
    again = Account.from_dict(data)
    assert again.to_dict() == data
    assert not again.has_uncommitted_events()
    assert not again.is_new()
    with pytest.raises(ValidationError):
        Account.from_dict({**data, "ownre": 1})


class Inner(BaseModel, extra="forbid"):
    text: str = Field("", validation_alias=AliasPath("inner", "text"), serialization_alias="Text")
    secret: str = Field("", exclude=True)

    @computed_field
    @property
    def length(self) -> int:
        return len(self.text)

    @field_serializer("secret")
    def hide(self, value: str) -> str:
        return "***"


class Numbers(RootModel[list[int]]):
    pass


@dataclass
class Placed:
    inner: Inner
    seen: int = field(init=False, default=0)


class Computed(Aggregate):
    net: int = 1

    @computed_field
    @property
    def gross(self) -> int:
        return 2 * self.net


class Aliased(Aggregate):
    owner: str = Field("", alias="ownerName")
    other: str = Field("", validation_alias=AliasChoices("a", AliasPath("b", 0)))


class Hidden(Aggregate):
    pin: SecretStr = Field(SecretStr("0000"), exclude=True)


class Serialized(Aggregate):
    price: Annotated[Decimal, PlainSerializer(lambda d: f"{d} EUR")] = Decimal(0)
    kind: Kind = Kind.PLAIN
    model: Any = None

    @model_serializer
    def show(self) -> str:
        return "shown"


class Holding(Aggregate):
    inner: Inner = Inner()
    many: dict[str, tuple[Inner, ...]] = {}
    numbers: Numbers = Numbers([])
    placed: Placed | None = None


def inner(text):
    return Inner.model_construct(text=text, secret="s")


@pytest.mark.parametrize(
    "aggregate",
    [
        Computed(id="a", net=3),
        Aliased(id="a", ownerName="Ada", b=["x"]),
        Hidden(id="a", pin="1234"),
        Serialized(id="a", price=Decimal("1.50")),
        Holding(
            id="a",
            inner=inner("x"),
            many={"k": (inner("y"), inner("z"))},
            numbers=Numbers([1]),
            placed=Placed(inner("p")),
        ),
    ],
    ids=lambda aggregate: type(aggregate).__name__,
)
def test_from_dict_undoes_to_dict(aggregate):
    data = aggregate.to_dict()
    assert type(aggregate).from_dict(data) == aggregate
    assert type(aggregate).from_dict(copy.deepcopy(data)).to_dict() == data
    assert set(data) == set(type(aggregate).model_fields)


def test_from_dict_takes_what_model_dump_gave_and_shares_nothing_with_the_state():
    computed = Computed(id="a", net=3)
    assert Computed.from_dict(computed.model_dump()) == computed
    aliased = Aliased(id="a", ownerName="Ada")
    assert Aliased.from_dict(aliased.model_dump(by_alias=True)) == aliased
    account = opened()
    account.apply(Tagged(tag="x"))
    account.to_dict()["tags"].append("y")
    assert account.tags == ["x"]


# --- from_events ----------------------------------------------------------------------------------


class Row:
    def __init__(self, version, stream="a"):
        self.version, self.stream = version, stream

    def meta(self):
        at = datetime(2024, 1, 1, tzinfo=UTC)
        return EventMeta(UUID(int=self.version), "x", 1, at, self.stream, "account", self.version)


def stored(event, *args):
    set_content(event, Row(*args))
    return event


def test_from_events_replays_stored_events():
    events = [stored(Opened(owner="Ada"), 1), stored(deposit("5"), 2)]
    account = Account.from_events(events)
    assert (account.id, account.version, account.balance) == ("a", 2, Decimal(5))
    assert not account.has_uncommitted_events()


def test_from_events_takes_new_events_and_none():
    account = Account.from_events([deposit(), deposit()], id="b")
    assert (account.id, account.version, account.balance) == ("b", 2, Decimal(2))
    assert Account.from_events([]).version == 0
    assert Account.from_events(iter([]), id="b").id == "b"


@pytest.mark.parametrize(
    ("second", "fault"),
    [((3,), "aggregate_version"), ((1,), "aggregate_version"), ((2, "b"), "aggregate_id")],
)
def test_from_events_refuses_gaps_and_strangers(second, fault):
    with pytest.raises(InvalidEventError) as caught:
        Account.from_events([stored(deposit(), 1), stored(deposit(), *second)])
    assert caught.value.field == fault


# --- which handler --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("UserRegistered", "user_registered"),
        ("HTTPRequestMade", "http_request_made"),
        ("OrderV2Placed", "order_v2_placed"),
        ("order.placed", "order_placed"),
        ("Confirmation of receipt", "confirmation_of_receipt"),
        ("T02 Check confirmation of receipt", "t02_check_confirmation_of_receipt"),
        ("Änderung-Erfolgt", "änderung_erfolgt"),
    ],
)
def test_snake_case(name, snake):
    assert snake_case(name) == snake


def test_names_decide_where_nothing_is_annotated():
    class HTTPRequestMade(Event):
        pass

    class Check(Event, name="T02 Check confirmation of receipt"):
        pass

    class Log(Aggregate):
        seen: list[str] = []

        def apply_http_request_made(self, event):
            self.seen.append("http")

        def apply_t02_check_confirmation_of_receipt(self, event: Event):
            self.seen.append("t02")

    log = Log()
    log.apply(HTTPRequestMade())
    log.apply(Check())
    assert log.seen == ["http", "t02"]
    assert Log.__event_classes__()["T02 Check confirmation of receipt"] is Check
    assert Log.__event_classes__()["HTTPRequestMade"] is HTTPRequestMade


def test_annotations_decide_over_names_and_unions_take_several():
    class Several(Aggregate):
        seen: list[str] = []

        def apply_money(self, event: Deposited | Opened) -> None:
            self.seen.append("money")

        def apply_rest(self, event: Union[Tagged, "Noted"]) -> None:
            self.seen.append("rest")

        def apply_registered(self, event: Optional[UserRegistered] = None) -> None:  # noqa: UP045
            self.seen.append("registered")

    several = Several()
    for event in (deposit(), Opened(owner="x"), Tagged(tag="t"), Noted()):
        several.apply(event)
    assert several.seen == ["money", "money", "rest", "rest"]
    assert set(Several.__handlers__()) == {Deposited, Opened, Tagged, Noted}


def test_annotations_may_come_before_their_classes():
    class Early(Aggregate):
        seen: int = 0

        def apply_late_event(self, event: "LateEvent") -> None:  # noqa: F821
            self.seen += 1

    class Never(Aggregate):
        def apply_x(self, event: "NoSuchEvent") -> None: ...  # noqa: F821

    class Late(Event):
        pass

    globals()["LateEvent"] = Late
    early = Early()
    early.apply(Late())
    assert early.seen == 1
    assert Early.__event_classes__() == {"Late": Late}
    with pytest.raises(TypeError, match=r"Never\.apply_x.*NoSuchEvent"):
        Never.__handlers__()


def test_handlers_are_inherited_and_overridden():
    class Base(Account):
        pass

    class Double(Account):
        def apply_deposited(self, event: Deposited) -> None:
            self.balance += 2 * event.amount

    for cls, balance in ((Base, 1), (Double, 2)):
        account = cls()
        account.apply(deposit())
        account.apply(Noted())
        assert account.balance == balance


def test_a_subclass_of_an_event_goes_to_its_nearest_annotated_base():
    class Bonus(Deposited):
        pass

    class SpecialBonus(Bonus):
        pass

    class Bank(Account):
        def apply_bonus(self, event: Bonus) -> None:
            self.balance += 100

    class Loose(Aggregate):
        def apply_deposited(self, event): ...

    bank = Bank()
    bank.apply(SpecialBonus(amount=1))
    assert bank.balance == 100
    assert Bank.__event_classes__()["SpecialBonus"] is SpecialBonus
    with pytest.raises(InvalidEventError):
        Loose().apply(Bonus(amount=1))


def test_commands_that_look_like_handlers_are_none():
    class Shop(Aggregate):
        percent: int = 0

        def apply_discount(self, percent: int) -> None:
            self.percent = percent

        def apply_two(self, event: Deposited, other: int) -> None: ...

        def apply_nothing(self) -> None: ...

        @staticmethod
        def apply_static(event: Deposited) -> None: ...

        @classmethod
        def apply_class(cls, event: Deposited) -> None: ...

    assert Shop.__handlers__() == {}


def test_a_rule_whose_annotation_is_for_type_checkers_alone_is_left_alone():
    class Shop(Aggregate):
        total: Decimal = Decimal(0)
        ignores = (Noted,)

        def apply_deposited(self, event: Deposited) -> None:
            self.total += event.amount

        def apply_coupon(self, coupon: "Coupon") -> None: ...  # noqa: F821
        def apply_voucher(self, voucher: "pricing.Voucher | None") -> None: ...  # noqa: F821
        def apply_offer(self, offer: "copy.Offer") -> None: ...

    shop = Shop()
    shop.apply(deposit("2"))
    shop.apply(Noted())
    assert (shop.total, shop.version) == (2, 2)
    assert Shop.__ignored_names__() == {"Noted"}
    assert Shop.__event_classes__()["Deposited"] is Deposited
    with pytest.raises(InvalidEventError, match="no handler for Tagged"):
        shop.apply(Tagged(tag="x"))


def test_a_handler_whose_annotation_names_nothing_is_told_of_before_anything_is_saved():
    class Special(Tagged):
        pass

    class Blind(Aggregate):
        def apply_tagged(self, event: Tagged) -> None: ...
        def apply_deposited(self, event: "Deposited2") -> None: ...  # noqa: F821
        def apply_offers(self, event: "Special | Elsewhere") -> None: ...  # noqa: F821

    blind = Blind()
    blind.apply(Tagged(tag="x"))
    for event in (deposit(), Special(tag="y")):
        with pytest.raises(TypeError, match=r"Blind\.apply_.*TYPE_CHECKING"):
            blind.apply(event)
    assert blind.version == 1


def test_contradictions_are_refused_when_the_class_is_made():
    class Rival(Event, name="account.opened"):
        pass

    with pytest.raises(TypeError, match="apply_one and apply_two both take Deposited"):

        class Twice(Aggregate):
            def apply_one(self, event: Deposited) -> None: ...
            def apply_two(self, event: Deposited | Tagged) -> None: ...

    with pytest.raises(TypeError, match=r"both have the wire name 'account\.opened'"):

        class SameName(Aggregate):
            def apply_one(self, event: Opened) -> None: ...
            def apply_two(self, event: Rival) -> None: ...


def test_an_unhandled_event_names_the_method_to_write():
    account = opened()
    before = whole(account)
    with pytest.raises(
        InvalidEventError, match=r"apply_user_deactivated\(self, event: UserDeactivated\)"
    ) as e:
        account.apply(UserDeactivated())
    assert e.value.field == "event_type"
    assert whole(account) == before


@pytest.mark.parametrize("wrong", [None, "x", {"a": 1}, Deposited, object()])
def test_only_events_can_be_applied(wrong):
    with pytest.raises(TypeError, match="apply takes an Event"):
        Account().apply(wrong)


def test_ignored_events_count_and_change_nothing():
    class Audited(SystemEvent):
        pass

    class Quiet(Aggregate):
        ignores: ClassVar[Any] = (SystemEvent, "Noted", "never.seen")

    quiet = Quiet()
    quiet.apply(Audited())
    quiet.apply(Noted())
    assert quiet.version == 2
    assert Quiet.__ignored_names__() == {"SystemEvent", "Noted", "never.seen"}
    assert Account.__ignored_names__() == {"Noted"}
    assert Account.__event_classes__()["Noted"] is Noted


def test_a_handler_goes_before_ignoring_on_apply_and_on_load():
    class Both(Aggregate):
        n: int = 0
        ignores = (Noted, "Tagged", Deposited)

        def apply_noted(self, event):
            self.n += 1

        def apply_tagged(self, event):
            self.n += 1

        def apply_money(self, event: Deposited) -> None:
            self.n += 1

    both = Both()
    for event in (Noted(), Tagged(tag="t"), deposit()):
        both.apply(event)
    assert both.n == 3
    assert Both.__ignored_names__() == set()


def test_an_unknown_or_ambiguous_wire_name_is_an_error():
    class Loose(Aggregate):
        def apply_doubtful(self, event): ...

    class Doubtful(Event):
        pass

    class Other(Event, name="Doubtful"):
        pass

    with pytest.raises(UnknownEventTypeError, match="claimed by") as caught:
        Loose.__event_classes__()["Doubtful"]
    assert caught.value.event_type == "Doubtful"
    with pytest.raises(UnknownEventTypeError, match="no known"):
        Loose.__event_classes__()["Nobody"]


# --- handlers that do nothing when they are called ------------------------------------------------


async def coroutine(self, event: Tagged) -> None:
    self.tags = [event.tag]


def generator(self, event: Tagged):
    self.tags = [event.tag]
    yield


async def async_generator(self, event: Tagged):
    self.tags = [event.tag]
    yield


class Later:
    async def __call__(self, aggregate, event):
        aggregate.tags = [event.tag]


def passed_on(handler):
    @functools.wraps(handler)
    def wrapper(*args):
        return handler(*args)

    return wrapper


def tagged_by(handler) -> type[Aggregate]:
    body = {"tags": [], "apply_tagged": handler}
    annotations = {"tags": list[str], "apply_tagged": ClassVar[Any]}
    return type("Lazy", (Aggregate,), {
        "__module__": __name__, "__annotations__": annotations, **body
    })  # fmt: skip


@pytest.mark.parametrize("handler", [coroutine, generator, async_generator])
def test_a_handler_that_would_run_later_is_refused_when_the_class_is_made(handler):
    for lazy in (handler, functools.wraps(handler)(functools.partial(handler))):
        with pytest.raises(TypeError, match=r"Lazy\.apply_tagged is a coroutine function or a gen"):
            tagged_by(lazy)


@pytest.mark.parametrize(
    "handler",
    [
        *map(passed_on, (coroutine, generator, async_generator)),
        functools.partial(coroutine),
        Later(),
        lambda self, event: coroutine(self, event),
        lambda self, event: event.tag,
        lambda self, event: self,
        lambda self, event: False,
    ],
)
def test_a_handler_that_returns_something_is_refused_at_the_call(handler):
    lazy = tagged_by(handler)
    aggregate = lazy(id="a")
    with pytest.raises(TypeError, match=r"Lazy: the handler of Tagged returned .*; a handler chan"):
        aggregate.apply(Tagged(tag="x"))
    assert whole(aggregate) == whole(lazy(id="a"))
    with pytest.raises(TypeError, match="returned"):
        lazy.from_events([Tagged(tag="x")], "a")


def test_a_rule_may_be_a_coroutine_and_a_handler_may_be_wrapped():
    class Ruled(Aggregate):
        tags: list[str] = []

        async def apply_coupon(self, coupon: str) -> str:
            return coupon

        @passed_on
        def apply_tagged(self, event: Tagged) -> None:
            self.tags.append(event.tag)

    ruled = Ruled()
    ruled.apply(Tagged(tag="x"))
    assert ruled.tags == ["x"]


# --- one event, one stream ------------------------------------------------------------------------


def saved():
    event = deposit()
    set_content(event, (1, "", "", 0, IdRange(5), 0))
    return event


@pytest.mark.parametrize(
    "event",
    [
        lambda: opened().get_uncommitted_events()[0],
        lambda: stored(deposit(), 1),
        saved,
        lambda: copy.copy(saved()),
    ],
)
def test_an_event_can_be_applied_once(event):
    account = opened()
    before = whole(account)
    with pytest.raises(InvalidEventError) as caught:
        account.apply(event())
    assert caught.value.field == "event"
    assert whole(account) == before


def test_a_model_copy_can_be_applied_again():
    account = opened()
    account.apply(account.get_uncommitted_events()[0].model_copy())
    assert account.version == 2


# --- a handler that raises ------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", [lambda a: None, Account.mark_events_as_committed])
@pytest.mark.parametrize("twice", [False, True])
def test_a_failing_handler_leaves_everything_as_it_was(prepare, twice):
    account = opened()
    account.apply(Tagged(tag="good"))
    prepare(account)
    account.apply(Tagged(tag="fine"))
    before = whole(account)
    for _ in range(1 + twice):
        with pytest.raises(KeyboardInterrupt):
            account.apply(Tagged(tag="bad"))
        assert whole(account) == before
    with pytest.raises(ValueError, match="overdrawn"):
        account.apply(deposit("-9"))
    assert whole(account) == before
    account.apply(Tagged(tag="next"))
    assert account.tags == account._seen == account.note.texts == ["good", "fine", "next"]
    assert account.version == 4


def test_the_event_of_a_failing_handler_can_be_applied_elsewhere():
    event = deposit("-1")
    with pytest.raises(ValueError, match="overdrawn"):
        Account().apply(event)
    rich = Account(balance=Decimal(5))
    rich.apply(event)
    assert rich.balance == 4


def test_a_field_first_set_by_a_failing_handler_is_unset_again():
    account = Account(id="a")
    with pytest.raises(ValueError, match="overdrawn"):
        account.apply(deposit("-1"))
    assert account.model_fields_set == {"id"}


@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        lambda a: pickle.loads(pickle.dumps(a)),
        lambda a: a.model_copy(deep=True),
    ],
)
def test_a_copy_is_put_back_as_well(travel):
    account = opened()
    account.apply(Tagged(tag="good"))
    arrived = travel(account)
    before = whole(arrived)
    with pytest.raises(KeyboardInterrupt):
        arrived.apply(Tagged(tag="bad"))
    assert whole(arrived) == before


def test_the_first_part_of_a_batch_can_be_committed():
    account = opened()
    account.apply(Tagged(tag="one"))
    committed(account, 1)
    assert [type(e) for e in account.get_uncommitted_events()] == [Tagged]
    before = whole(account)
    with pytest.raises(KeyboardInterrupt):
        account.apply(Tagged(tag="bad"))
    assert whole(account) == before


def test_values_that_cannot_be_copied_do_not_stand_in_the_way():
    class Locked(Aggregate):
        lock: Any = None
        n: int = 0

        def apply_noted(self, event: Noted) -> None:
            self.n += 1
            raise ValueError(event.text)

    lock = threading.Lock()
    locked = Locked(lock=lock)
    with pytest.raises(ValueError, match="no"):
        locked.apply(Noted(text="no"))
    assert locked.lock is lock
    assert locked.n == 0


def test_a_replay_that_fails_is_noted_on_the_error():
    class Moody(Aggregate):
        tags: list[str] = []
        moody: ClassVar[bool] = False

        def apply_tagged(self, event: Tagged) -> None:
            self.tags.append(event.tag)
            if type(self).moody:
                raise ValueError("moody")

    moody = Moody()
    moody.apply(Tagged(tag="a"))
    Moody.moody = True
    with pytest.raises(ValueError, match="moody") as caught:
        moody.apply(Tagged(tag="b"))
    assert "not restored" in caught.value.__notes__[0]
    assert moody.version == 1


def test_a_handler_must_not_apply():
    class Nested(Aggregate):
        n: int = 0

        def apply_tagged(self, event: Tagged) -> None:
            self.n += 1
            self.apply(Noted())

        def apply_noted(self, event: Noted) -> None: ...

    nested = Nested()
    with pytest.raises(InvalidEventError, match="must not apply"):
        nested.apply(Tagged(tag="a"))
    assert (nested.n, nested.version, nested.get_uncommitted_events()) == (0, 0, [])


def test_a_handler_must_not_apply_in_a_replay_either():
    class Nested(Aggregate):
        def apply_tagged(self, event: Tagged) -> None:
            if event.tag == "apply":
                self.apply(Noted())

        def apply_noted(self, event: Noted) -> None: ...

    for events in ([Tagged(tag="apply")], [Tagged(tag="apply"), Noted()]):
        with pytest.raises(InvalidEventError, match="must not apply") as caught:
            Nested.from_events(events)
        assert caught.value.field == "event"
    nested = Nested.from_events([Tagged(tag="")])
    check_replayed(nested)
    Nested.__handlers__()[Tagged](nested, Tagged(tag="apply"))  # as the store does
    with pytest.raises(InvalidEventError, match=r"Nested.*must not apply"):
        check_replayed(nested)


# --- assignment -----------------------------------------------------------------------------------


class Guarded(Aggregate):
    fixed: int = Field(default=1, frozen=True)
    free: int = 0
    _hidden: int = 0


class GuardedWhole(Guarded, frozen=True):
    pass


@pytest.mark.parametrize("name", ["id", "version", "fixed"])
def test_a_frozen_field_cannot_be_assigned(name):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Guarded(), name, 2)


def test_what_is_declared_can_be_assigned_and_nothing_else():
    guarded = Guarded()
    guarded.free, guarded._hidden = 3, 4
    assert (guarded.free, guarded._hidden, guarded.model_fields_set) == (3, 4, {"free"})
    with pytest.raises(ValueError, match="fre"):
        guarded.fre = 5
    with pytest.raises(ValidationError, match="frozen"):
        GuardedWhole().free = 6


# --- validate_assignment --------------------------------------------------------------------------


class Strict(Aggregate, validate_assignment=True):
    n: int = 0
    tags: list[str] = []

    def apply_deposited(self, event: Deposited) -> None:
        self.n = self.n + int(event.amount)
        self.tags.append("x")
        self.n = "many" if event.amount < 0 else self.n


def test_versions_count_where_assignments_are_validated():
    strict = Strict(id="a")
    events = [deposit(), deposit("2")]
    for event in events:
        strict.apply(event)
    assert (strict.version, strict.n) == (2, 3)
    assert [event.aggregate_version for event in events] == [1, 2]
    assert Strict.from_events([deposit(), deposit()]).version == 2


def test_a_failing_handler_is_undone_where_assignments_are_validated():
    strict = Strict(id="a")
    for expected in (1, 2):
        strict.apply(deposit())
        before = whole(strict)
        with pytest.raises(ValidationError):
            strict.apply(deposit("-5"))
        assert whole(strict) == before
        assert (strict.version, strict.n, len(strict.tags)) == (expected,) * 3


# --- what the state and an event share ------------------------------------------------------------


class Item(BaseModel):
    name: str
    parts: list[str] = []


class Listed(Event):
    items: list[Item]
    tags: dict[str, list[str]] = {}
    other: Any = None
    stamps: tuple[Any, ...] = ()


class Fixed(Event):
    texts: tuple[str, ...]
    kind: Kind | None = None


class More(Event, extra="allow"):
    pass


class Keeper(Aggregate):
    items: list[Item] = []
    tags: dict[str, list[str]] = {}
    kept: list[Any] = []

    def apply_listed(self, event: Listed) -> None:
        self.items, self.tags = event.items, event.tags
        self.kept.append((event.other, event.stamps))

    def apply_fixed(self, event: Fixed) -> None:
        self.kept.append(event)

    def apply_more(self, event: More) -> None:
        self.kept.append(event.model_extra["more"])

    def apply_tagged(self, event: Tagged) -> None:
        for item in self.items:
            item.parts.append(event.tag)
        self.items.append(Item(name=event.tag))
        self.tags.setdefault("t", []).append(event.tag)
        for value in self.kept:
            if type(value) is list:
                value.append(event.tag)
            elif type(value) is tuple:
                value[0].append(event.tag)
                value[1][0].add(event.tag)
        if event.tag == "bad":
            raise ValueError("bad")


def listed():
    return Listed(items=[Item(name="i")], tags={"t": ["0"]}, other=["o"], stamps=({"s"},))


def test_an_event_says_what_it_said_whatever_becomes_of_the_state():
    keeper, event, more = Keeper(), listed(), More(more=["m"])
    keeper.apply(event)
    keeper.apply(more)
    keeper.apply(Tagged(tag="x"))
    assert keeper.items == [Item(name="i", parts=["x"]), Item(name="x")]
    assert keeper.tags == {"t": ["0", "x"]}
    assert keeper.kept == [(["o", "x"], ({"s", "x"},)), ["m", "x"]]
    assert event == listed()
    assert more == More(more=["m"])
    assert keeper.get_uncommitted_events()[:2] == [event, more]
    assert keeper.get_uncommitted_events()[0] is event


def test_values_of_every_kind_reach_the_handler_as_they_are():
    class Frozen(BaseModel, frozen=True):
        texts: tuple[str, ...] = ()

    class Loose(BaseModel, extra="allow"):
        _own: list[int] = PrivateAttr(default_factory=list)

    class Anything(Event):
        value: Any

    class Taker(Aggregate):
        taken: Any = None

        def apply_anything(self, event: Anything) -> None:
            self.taken = event

    loose = Loose(more=["m"])
    loose._own.append(1)
    same = [Frozen(texts=("a",)), Kind.PLAIN, ("a", (1, frozenset({2}))), "text", None]
    other = [[1], {1}, {"k": [1]}, ({"k"},), loose, Note(["n"]), Loose(), [Item(name="i")]]
    for value in (*same, *other, same, other):
        taker, event = Taker(), Anything(value=value)
        taker.apply(event)
        assert taker.taken == event
        assert type(taker.taken.value) is type(value)
        assert (taker.taken.value is value) == (value in same)
    assert taker.taken.value[4].more is not loose.more
    assert taker.taken.value[4]._own is not loose._own
    assert taker.taken.value[4].model_fields_set == loose.model_fields_set


def test_a_value_that_contains_itself_is_left_to_the_save():
    keeper, cycle = Keeper(), []
    cycle.append(cycle)
    keeper.apply(Listed(items=[], other=cycle))
    assert keeper.version == 1


def test_putting_back_leaves_the_events_as_they_are():
    keeper, event = Keeper(), listed()
    keeper.apply(event)
    keeper.apply(Tagged(tag="x"))
    before = whole(keeper)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            keeper.apply(Tagged(tag="bad"))
        assert whole(keeper) == before
    assert event == listed()


def test_replayed_events_are_not_shared_with_the_state():
    events = [listed(), Tagged(tag="x")]
    assert Keeper.from_events(events, "a") == Keeper.from_events(events, "a")
    assert events[0] == listed()


def test_an_event_that_cannot_change_reaches_the_handler_itself():
    keeper, event = Keeper(), Fixed(texts=("a", "b"), kind=Kind.PLAIN)
    keeper.apply(event)
    assert keeper.kept == [event]
    assert keeper.kept[0] is event


def test_the_metadata_that_a_handler_reads_is_that_of_the_stored_event():
    class Reader(Aggregate):
        seen: list[Any] = []

        def apply_any(self, event: Listed | Fixed) -> None:
            self.seen.append((event.event_id, event.timestamp))

        def apply_tagged(self, event: Tagged) -> None:
            self.seen.append(event)
            raise ValueError("no")

    built = Fixed.model_validate({"texts": ("a",)})
    events = [listed(), Fixed(texts=("a",)), Listed(items=[], correlation_id="c"), built]
    reader = Reader(id="a")
    for version, event in enumerate(events, 1):
        reader.apply(event)
        assert reader.seen[-1] == (event.event_id, event.timestamp)
        assert event.aggregate_version == version
    before = whole(reader)
    with pytest.raises(ValueError, match="no"):
        reader.apply(Tagged(tag="t"))
    assert whole(reader) == before


def test_an_event_kept_in_the_state_has_the_metadata_of_the_stored_one():
    class History(Aggregate):
        seen: list[Any] = []

        def apply_listed(self, event: Listed) -> None:
            self.seen.append(event)

    history, event = History(id="a"), listed()
    history.apply(event)
    assert history.seen == [event]
    assert history.seen[0].meta == event.meta
    assert event.aggregate_version == 1


class Appended(Event):
    n: int


def appended(aggregate_class, *numbers):
    """Applies numbers; a negative one fails, and so says the state before."""
    aggregate = aggregate_class(id="a")
    for number in numbers:
        if number >= 0:
            aggregate.apply(Appended(n=number))
            continue
        with pytest.raises(ValueError, match="negative"):
            aggregate.apply(Appended(n=number))
    return aggregate


def check(number):
    if number < 0:
        raise ValueError("negative")


class NoDefault(Aggregate):
    _seen: list[int] = PrivateAttr()

    def apply_appended(self, event: Appended) -> None:
        if "_seen" not in self.__pydantic_private__:
            self._seen = []
        self._seen.append(event.n)
        check(event.n)

    def seen(self):
        return self.__pydantic_private__.get("_seen", [])


class Undeclared(Aggregate):
    def apply_appended(self, event: Appended) -> None:
        self.__dict__.setdefault("seen_here", []).append(event.n)
        object.__setattr__(self, "_last", event.n)
        check(event.n)

    def seen(self):
        seen = self.__dict__.get("seen_here", [])
        assert self.__dict__.get("_last") == (seen[-1] if seen else None)
        return seen


class Slots(Aggregate):
    __slots__ = ("_mixed",)


class Slotted(Slots):
    __slots__ = ("_seen",)

    def apply_appended(self, event: Appended) -> None:
        if not hasattr(self, "_seen"):
            self._seen, self._mixed = [], {}
        self._seen.append(event.n)
        self._mixed[event.n] = event.n
        check(event.n)

    def seen(self):
        seen = getattr(self, "_seen", [])
        assert list(getattr(self, "_mixed", {})) == seen
        return seen


class Deleting(Aggregate):
    numbers: list[int] = []
    _seen: list[int] = PrivateAttr(default_factory=list)

    def apply_appended(self, event: Appended) -> None:
        seen = [*self._seen, event.n]
        del self._seen
        check(event.n)
        self._seen = seen

    def seen(self):
        return self._seen


class Shared(Aggregate):
    """Two places in the state hold the same list."""

    rows: dict[str, list[int]] = {}
    flat: list[int] = []
    _index: dict[int, list[int]] = PrivateAttr(default_factory=dict)
    _flat: Any = PrivateAttr(default=None)

    def apply_appended(self, event: Appended) -> None:
        self._index.setdefault(0, self.rows.setdefault("a", [])).append(event.n)
        self._flat = self._flat or self.flat
        self._flat.append(event.n)
        check(event.n)

    def seen(self):
        assert self.rows.get("a", []) == self._index.get(0, []) == self.flat
        return self.flat


class Nested(Aggregate):
    tree: dict[str, Any] = {}

    def apply_appended(self, event: Appended) -> None:
        self.tree.setdefault("a", ({},))[0].setdefault("b", Note()).texts.append(event.n)
        check(event.n)

    def seen(self):
        return self.tree["a"][0]["b"].texts if self.tree else []


KEEPERS = [NoDefault, Undeclared, Slotted, Deleting, Shared, Nested]


@pytest.mark.parametrize("keeper", KEEPERS)
def test_wherever_a_handler_keeps_its_state_a_failure_leaves_it_as_it_was(keeper):
    assert appended(keeper, -1).seen() == []
    assert appended(keeper, 1, -1).seen() == [1]
    assert appended(keeper, -1, 1, -1, 2).seen() == [1, 2]
    aggregate = appended(keeper, 1, 2)
    aggregate.mark_events_as_committed()
    for number in (-1, -2):
        with pytest.raises(ValueError, match="negative"):
            aggregate.apply(Appended(n=number))
    aggregate.apply(Appended(n=3))
    assert aggregate.seen() == [1, 2, 3]


class Cached(Aggregate):
    numbers: list[int] = []
    ignores = (Noted,)

    @functools.cached_property
    def total(self) -> int:
        return sum(self.numbers)

    @computed_field
    @functools.cached_property
    def shown(self) -> str:
        return f"{self.version}: {self.total}"

    def apply_appended(self, event: Appended) -> None:
        self.numbers.append(event.n)
        check(self.total)


def test_a_cached_property_is_computed_anew_after_each_event():
    cached = Cached(id="a")
    assert (cached.total, cached.shown) == (0, "0: 0")
    cached.apply(Appended(n=2))
    assert (cached.total, cached.shown) == (2, "1: 2")
    assert cached.total == 2
    with pytest.raises(ValueError, match="negative"):
        cached.apply(Appended(n=-5))
    assert (cached.total, cached.shown) == (2, "1: 2")
    cached.apply(Noted())
    assert cached.shown == "2: 2"
    again = Cached.from_events([Appended(n=2), Appended(n=3)], "a")
    assert (again.total, again.shown) == (5, "2: 5")


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "travel",
    [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a)), Account.model_copy],
)
def test_copies_keep_the_waiting_events_and_go_their_own_way(travel):
    account = opened()
    ids = [e.event_id for e in account.get_uncommitted_events()]
    arrived = travel(account)
    assert arrived == account
    assert [e.event_id for e in arrived.get_uncommitted_events()] == ids
    arrived.apply(deposit())
    assert account.version == 1
    assert len(account.get_uncommitted_events()) == 1


def test_aggregates_made_by_pydantic_have_nothing_waiting():
    for account in (
        Account.model_validate_json("{}"),
        Account.model_validate({}),
        Account.model_construct(),
    ):
        assert account.get_uncommitted_events() == []


# --- class creation -------------------------------------------------------------------------------


def test_every_field_needs_a_default():
    with pytest.raises(TypeError, match=r"Bad\.owner needs a default"):

        class Bad(Aggregate):
            owner: str


@pytest.mark.parametrize(
    ("name", "annotation", "value"),
    [
        ("id", str, "x"),
        ("id", UUID, UUID(int=1)),
        ("id", ClassVar[str], "x"),
        ("id", str, Field("x", frozen=True, strict=True)),
        ("version", int, 3),
        ("version", str, "1"),
        ("version", ClassVar[int], 3),
        ("version", None, property(lambda self: 3)),
        ("id", None, lambda self: "x"),
        ("version", None, functools.cached_property(lambda self: 3)),
    ],
)
def test_id_and_version_are_not_declared_anew(name, annotation, value):
    body = {"__module__": __name__, name: value}
    if annotation is not None:
        body["__annotations__"] = {name: annotation}
    with pytest.raises(TypeError, match=f"Own: '{name}' is a field of every|overridden"):
        type(Aggregate)("Own", (Aggregate,), body)


def test_undeclared_state_is_refused():
    with pytest.raises(TypeError, match="extra"):

        class Bad(Aggregate, extra="allow"):
            pass


def test_names_of_types():
    class Sub(Account):
        pass

    class Of(Aggregate, Generic[T], name="of"):
        value: T | None = None

    assert Account.__aggregate_type__ == opened().aggregate_type == "account"
    assert Sub().aggregate_type == "Sub"
    assert Of[int]().aggregate_type == "of[int]"
    for name in ("", "$a", "a\0", " a", "x" * 256):
        with pytest.raises(InvalidEventError) as caught:
            type(Aggregate)("Bad", (Aggregate,), {"__module__": __name__}, name=name)
        assert caught.value.field == "aggregate_type"


# --- the demo -------------------------------------------------------------------------------------


def test_the_demo_user():
    user = User(id="u")
    user.apply(UserRegistered(name="Ada", email="a@x"))
    user.change_email("b@x")
    user.deactivate("left")
    assert (user.name, user.email, user.is_active, user.version) == ("Ada", "b@x", False, 3)
    assert user.get_uncommitted_events()[1] == UserEmailChanged(old_email="a@x", new_email="b@x")
    for command in (user.deactivate, lambda: user.change_email("c@x")):
        with pytest.raises(ValueError, match="inactive"):
            command()
    assert user.version == 3
