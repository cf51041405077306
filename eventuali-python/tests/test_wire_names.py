"""Two classes under one wire name: told apart by the stream, or told of at once."""

from __future__ import annotations

import asyncio
import gc
from itertools import islice
from typing import Generic, TypeVar

import pytest
from pydantic import BaseModel, create_model
from stores import Blocking, each_kind, each_shared, each_store, gathered, run, url_of
from support import output_of

from eventuali import (
    Aggregate,
    Event,
    InvalidEventError,
    Query,
    UnknownEvent,
    event,
    sync,
)
from eventuali.errors import UnknownEventTypeError

T = TypeVar("T")


class Order(Aggregate):
    class Placed(Event):
        by: str

    by: str = ""

    def apply_placed(self, event: Order.Placed) -> None:
        self.by = event.by


class Invoice(Aggregate):
    class Placed(Event):
        total: int

    total: int = 0

    def apply_placed(self, event: Invoice.Placed) -> None:
        self.total = event.total


class Changed(Event, Generic[T]):
    new: T


async def followed(store, count: int, **options) -> list[Event]:
    if isinstance(store, Blocking):
        following = store.store.subscribe(**options)
        return await asyncio.to_thread(lambda: list(islice(following, count)))
    following = store.subscribe(**options)
    return [await anext(following) for _ in range(count)]


def claiming(module: str, name: str = "ClaimedTwice") -> type[Event]:
    return create_model(name, __base__=Event, __module__=module, n=(int, ...))


def address(module: str) -> type[BaseModel]:
    return create_model("Address", __module__=module, street=(str, ...))


@each_store
def test_the_type_of_the_stream_says_which_class_an_event_is_of(kind, api, tmp_path):
    async def test(store):
        order, invoice = Order(id="1"), Invoice(id="1")
        order.apply(Order.Placed(by="Ada"))
        invoice.apply(Invoice.Placed(total=3))
        await store.save(order, invoice)
        both = [Order.Placed(by="Ada"), Invoice.Placed(total=3)]
        assert await gathered(store.read()) == both
        assert await gathered(store.read(raw=True)) == both
        assert await gathered(store.read(backwards=True)) == both[::-1]
        assert await store.load_events("1", "Invoice") == both[1:]
        assert await followed(store, 2) == both
        with pytest.raises(InvalidEventError, match="the same wire name 'Placed'") as caught:
            await store.append([Order.Placed(by="Eve")], stream=("Invoice", "1"))
        assert caught.value.field == "event_type"
        assert (await store.load(Invoice, "1")).version == 1

    run(api, kind, tmp_path, test)


@each_shared
def test_another_process_is_told_by_the_type_of_the_stream_as_well(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url) as store:
        order, invoice = Order(id="1"), Invoice(id="1")
        order.apply(Order.Placed(by="Ada"))
        invoice.apply(Invoice.Placed(total=3))
        store.save(order, invoice)
    code = """
import sys
import test_wire_names as those
with those.sync.EventStore.create(sys.argv[1]) as store:
    print(list(store.read()) == [those.Order.Placed(by="Ada"), those.Invoice.Placed(total=3)])
"""
    assert output_of(code, url).strip() == "True"


@each_store
def test_what_nobody_could_tell_apart_is_refused_at_the_first_save(kind, api, tmp_path):
    one, two = claiming("claims.one"), claiming("claims.two")

    async def test(store):
        for stream in (None, ("Thing", "t")):
            with pytest.raises(InvalidEventError, match=r"claims\.two.*claims\.one.*name=") as told:
                await store.append([one(n=1)], stream=stream)
            assert told.value.field == "event_type"
        assert await gathered(store.read()) == []
        store.register_event_class("ClaimedTwice", one)
        await store.append([one(n=1)])
        assert [type(each) for each in await gathered(store.read())] == [one]

    run(api, kind, tmp_path, test)
    assert two.__event_type__ == "ClaimedTwice"


@each_store
def test_what_is_stored_under_a_name_that_two_claim_comes_raw(kind, api, tmp_path):
    stored = claiming("claims.one", "ClaimedLater")

    async def test(store):
        await store.append([stored(n=1)])

    async def look(store):
        claims = [claiming("claims.one", "ClaimedLater"), claiming("claims.two", "ClaimedLater")]
        with pytest.raises(UnknownEventTypeError, match=r"claims\.one\.ClaimedLater and claims"):
            await gathered(store.read())
        with pytest.raises(UnknownEventTypeError):
            await followed(store, 1)
        (raw,) = await gathered(store.read(raw=True))
        assert type(raw) is UnknownEvent
        assert raw.data == {"n": 1}
        (raw,) = await followed(store, 1, raw=True)
        assert raw.data == {"n": 1}
        store.register_event_class("ClaimedLater", claims[0])
        assert await gathered(store.read()) == [claims[0](n=1)]

    if kind in ("sqlite", "postgres"):
        run(api, kind, tmp_path, test)
        run(api, kind, tmp_path, look)


@each_kind
def test_generic_events_of_models_of_one_name_are_not_taken_for_each_other(kind, tmp_path):
    billing, shipping = address("billing"), address("shipping")
    first, second = Changed[billing], Changed[shipping]
    assert first.__event_type__ == second.__event_type__ == "Changed[Address]"
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        for cls, model in ((first, billing), (second, shipping)):
            with pytest.raises(InvalidEventError, match=r"Changed\[billing\.Address\]"):
                store.append([cls(new=model(street="x"))])

        class Moved(Changed[billing], name="billing.changed"):
            pass

        store.append([Moved(new=billing(street="x"))])
        (stored,) = store.read()
        assert type(stored) is Moved
        assert type(stored.new) is billing


@each_kind
def test_classes_in_functions_are_read_alike_whatever_the_collector_does(kind, tmp_path):
    def local(owner):
        class LocallyOpened(Event):
            name: str

        with sync.EventStore.create(url_of(kind, tmp_path)) as store:
            store.append([LocallyOpened(name=owner)])
            (*_, last) = store.read(Query(event_types=[LocallyOpened]))
            assert type(last) is LocallyOpened
            gc.collect()
            (*_, last) = store.read()
            assert type(last) is LocallyOpened
            assert last.name == owner

    def another(owner):
        class LocallyOpened(Event):
            name: str
            more: int = 0

        with sync.EventStore.create(url_of(kind, tmp_path)) as store:
            store.append([LocallyOpened(name=owner)])
            assert {type(each) for each in store.read()} == {LocallyOpened}

    gc.disable()
    try:
        for test, owner in ((local, "Ada"), (another, "Bob"), (local, "Cy")):
            test(owner)
    finally:
        gc.enable()


@each_shared
def test_a_class_whose_function_has_ended_is_unknown(kind, tmp_path):
    def write():
        class EndedWithItsFunction(Event):
            pass

        with sync.EventStore.create(url_of(kind, tmp_path)) as store:
            store.append([EndedWithItsFunction()])

    gc.disable()
    try:
        write()
        with sync.EventStore.create(url_of(kind, tmp_path)) as store:
            with pytest.raises(UnknownEventTypeError):
                list(store.read())
            assert type(next(store.read(raw=True))) is UnknownEvent
    finally:
        gc.enable()


@each_kind
def test_two_classes_in_one_function_are_told_of_when_the_second_is_saved(kind, tmp_path):
    def make(total):
        class Sold(Event, name="test.sold"):
            n: int = total

        return Sold

    class Lent(Event, name="test.sold"):
        n: int = 0

    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([make(1)()])
        again = make(2)
        store.append([again()])  # the same class, made again
        with pytest.raises(InvalidEventError, match=r"Sold and .*Lent have the same wire name"):
            store.append([Lent()])
        assert [type(each) for each in store.read()] == [again, again]


DEMO = """
import sys
from eventuali.event import _registry
from eventuali import Aggregate, Event, sync
if sys.argv[1] == "asked":
    from eventuali import User
    from eventuali.aggregate import UserRegistered as Demo
class UserRegistered(Event):
    email: str
class Member(Aggregate):
    email: str = ""
    def apply_user_registered(self, event: UserRegistered) -> None:
        self.email = event.email
class Plain(Aggregate, name="User"):
    def apply_user_registered(self, event) -> None:
        self.ours = isinstance(event, UserRegistered)
    _ours: bool = False
with sync.EventStore.create("memory://") as store:
    member = Member(id="1")
    member.apply(UserRegistered(email="a@b"))
    store.save(member)
    store.append([UserRegistered(email="c@d")])
    assert store.load_one(Member, "1").email == "a@b"
    assert [type(each) for each in store.read()] == [UserRegistered] * 2
    assert store.load_events("1") == [UserRegistered(email="a@b")]
    assert type(next(store.subscribe())) is UserRegistered
if sys.argv[1] == "asked":
    with sync.EventStore.create("memory://") as store:
        user = User(id="1")
        user.apply(Demo(name="Ada", email="a@b"))
        store.save(user)
        assert store.load_one(User, "1").name == "Ada"
        assert [type(each) for each in store.read()] == [Demo]
print(len(_registry.registered("UserDeactivated")))
"""


@pytest.mark.parametrize("demo", ["asked", "not asked"])
def test_the_demo_claims_nothing(demo):
    assert output_of(DEMO, demo).strip() == ("1" if demo == "asked" else "0")


def test_the_demo_is_where_it_was():
    assert event.UserRegistered.__event_type__ == "UserRegistered"
    with pytest.raises(AttributeError, match="no attribute 'UserPromoted'"):
        event.UserPromoted  # noqa: B018
