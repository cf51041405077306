"""An application as its author would type it: `mypy --strict` must find nothing here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid4

from pydantic import BaseModel, Field

from eventuali import (
    NO_STREAM,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    Committed,
    DomainEvent,
    Event,
    EventStore,
    EventStoreConfig,
    OptimisticConcurrencyError,
    Query,
    StreamInfo,
    Subscription,
    sync,
)
from eventuali.command import Answered, Command, CommandBus, Handled, UnitOfWork, answers, handles
from eventuali.context import carry, caused_by, current_metadata, metadata


class Line(BaseModel):
    product: str
    quantity: int
    price: Decimal


class OrderPlaced(DomainEvent, name="order.placed", version=2):
    customer_id: str
    lines: list[Line]


class OrderPaid(DomainEvent):
    amount: Decimal
    user_id: int = Field(default=...)  # of its own type, where the metadata has a str


class OrderPacked(DomainEvent):
    """The forms that pass mypy and pyright."""

    order: str
    user_id: str = Field(default=...)

    @property
    def tags(self) -> list[str]:
        return [f"order:{self.order}"]


class OrderShipped(DomainEvent, title="Shipped"):
    pass


class OrderReturned(DomainEvent):
    reason: str | None = None


class Noted(Event):
    text: str


class Status(StrEnum):
    NEW = "new"
    PLACED = "placed"
    PAID = "paid"
    GONE = "gone"


class Order(Aggregate, name="order"):
    ignores = (Noted, "order.viewed")

    status: Status = Status.NEW
    total: Decimal = Decimal(0)

    def place(self, customer_id: str, lines: list[Line], *, request: UUID) -> None:
        if self.status is not Status.NEW:
            raise ValueError(f"order {self.id} is {self.status}")
        self.apply(OrderPlaced(customer_id=customer_id, lines=lines, correlation_id=request))

    def apply_order_placed(self, event: OrderPlaced) -> None:
        self.status = Status.PLACED
        self.total = sum((line.price * line.quantity for line in event.lines), Decimal(0))

    def apply_order_paid(self, event: OrderPaid) -> None:
        self.status = Status.PAID

    def apply_order_gone(self, event: OrderShipped | OrderReturned) -> None:
        self.status = Status.GONE


@dataclass
class Turnover:
    """A read model of one process."""

    position: int = 0
    by_customer: dict[str, Decimal] = field(default_factory=dict)

    async def follow(self, store: EventStore) -> None:
        async for event in store.read(Query(event_types=[OrderPlaced]), after=self.position):
            if isinstance(event, OrderPlaced):
                total = sum((line.price * line.quantity for line in event.lines), Decimal(0))
                before = self.by_customer.get(event.customer_id, Decimal(0))
                self.by_customer[event.customer_id] = before + total
            self.position = event.meta.position or self.position


async def pay(store: EventStore, order_id: str, by: int) -> Order:
    while True:
        order = await store.load_one(Order, order_id)
        order.apply(OrderPaid(amount=order.total, user_id=by, timestamp=datetime.now(UTC)))
        try:
            committed: Committed = await store.save(order)
        except OptimisticConcurrencyError as conflict:
            print(conflict.stream, conflict.expected_version, conflict.actual_version)
            continue
        assert committed.versions == (order.version,)
        return order


async def reserve(store: EventStore, name: str) -> bool:
    tag = f"name:{name}"
    try:
        await store.append(
            [Noted(text=name, tags=[tag], headers={"from": "typing_app"}, user_id="u-1")],
            condition=AppendCondition(Query(tags=[tag])),
        )
    except AppendConditionError as conflict:
        position: int | None = conflict.position
        return position is None
    return True


async def note(store: EventStore, text: str) -> Committed:
    return await store.append([Noted(text=text)], stream=("notes", "1"), expected=NO_STREAM)


async def ids(streams: AsyncIterator[StreamInfo]) -> list[str]:
    return [stream.aggregate_id async for stream in streams]


async def main() -> None:
    async with EventStore.create("memory://") as store:
        order = Order(id="o-1")
        line = Line(product="lamp", quantity=2, price=Decimal("35.05"))
        order.place("c-1", [line], request=uuid4())
        await store.save(order)

        paid = await pay(store, order.id, by=7)
        missing: Order | None = await store.load(Order, "o-2")
        if missing is not None:
            raise AssertionError(missing.status)
        early = await store.load_one(Order, "o-1", at_version=1)
        turnover = Turnover()
        await turnover.follow(store)
        events: list[Event] = await store.load_events("o-1", Order)

        assert (paid.status, early.status) == (Status.PAID, Status.PLACED)
        assert turnover.by_customer == {"c-1": Decimal("70.10")}
        assert [event.event_type for event in events] == ["order.placed", "OrderPaid"]
        assert await ids(store.streams(Order)) == ["o-1"]
        assert await reserve(store, "ada")
        assert not await reserve(store, "ada")
        assert (await note(store, "checked")).versions == (1,)
        assert await store.get_aggregate_version("o-1") == 2
        assert await followed(store) == "order.placed"


async def first_by_name(store: EventStore) -> tuple[Event, int]:
    events: Subscription = store.subscribe(Query(tags=["audit"]), name="typing")
    async with events as following:
        event: Event = await anext(following)
        async for later in following:
            raise AssertionError(later.meta.event_id, following.live)
    return event, events.position


async def followed(store: EventStore) -> str:
    following: Subscription = store.subscribe(Query(aggregate_type=Order), name="typing")
    async with following as events:
        async for event in events:
            known: Event = event
            assert events.position == known.meta.position
            return known.meta.event_type
    return ""


class Note(Command[str]):
    order_id: str
    text: str


class Written(Event):
    text: str


class Notebook(Aggregate):
    last: str = ""

    @handles(Note, id="order_id", creates=True)
    def note(self, command: Note) -> str:
        self.apply(Written(text=command.text))
        return self.last

    def apply_written(self, event: Written) -> None:
        self.last = event.text


@dataclass
class LastOf(Answered[str]):
    order_id: str


@dataclass
class Clear:
    order_id: str


@handles(Clear)
async def clear(command: Clear, work: UnitOfWork) -> None:
    notebook: Notebook = await work.load_or_new(Notebook, command.order_id)
    assert notebook.id == command.order_id
    work.append([Written(text="")], stream=("Notebook", "all"), expected=NO_STREAM)


@answers(LastOf)
async def last_of(query: LastOf, store: EventStore) -> str:
    return (await store.load_one(Notebook, query.order_id)).last


@answers(LastOf)
def last_of_blocking(query: LastOf, store: sync.EventStore) -> str:
    return store.load_one(Notebook, query.order_id).last


async def commanding(store: EventStore) -> None:
    bus = CommandBus(store, Notebook, clear, last_of)
    with store.metadata(correlation_id="request"), metadata(user_id="ada", headers={"a": "b"}):
        handled: Handled[str] = await bus.send(Note(order_id="o-1", text="x"), command_id=uuid4())
        user: str | None = await asyncio.to_thread(carry(lambda: current_metadata().user_id))
        assert (handled.answer, user) == ("x", "ada")
    last: str = await bus.ask(LastOf("o-1"))
    assert last.removeprefix("x") == ""
    cleared: Handled = await bus.send(Clear("o-1"))
    assert cleared.answer is None
    async for event in store.read():
        with caused_by(event), store.caused_by(event):
            Notebook.from_events([event]).handle(Note(order_id="o-1", text="y"))
    swept: int = await bus.sweep()
    assert swept == 0


def commanding_blocking(store: sync.EventStore) -> None:
    bus = sync.CommandBus(store, Notebook, last_of_blocking)
    position: int | None = bus.send(Note(order_id="o-2", text="x")).position
    assert isinstance(position, int)
    assert bus.ask(LastOf("o-2")).removeprefix("x") == ""
    text: str = bus.send(Note(order_id="o-2", text="y")).answer
    assert text == "y"


def server(url: str) -> EventStoreConfig:
    config: EventStoreConfig = (
        EventStoreConfig.postgres(url)
        .with_schema("shop")
        .with_table_name("orders")
        .with_max_connections(20)
        .with_connect_timeout(2)
        .with_statement_timeout(0.5)
        .with_migrations(False)
    )
    sql: str = config.schema_sql()
    assert '"shop"."orders_log"' in sql
    return config


async def serving() -> None:
    async with EventStore.create(server("postgresql://app@db/shop"), tenant="acme") as store:
        await store.save(Order(id="o-1"))


def blocking() -> None:
    assert server("postgresql://app:secret@db/shop").url == "postgresql://app@db/shop"
    with sync.EventStore.create("memory://", durability="relaxed") as store:
        commanding_blocking(store)
        order = Order.from_events([OrderShipped()], id="o-3")
        store.append([OrderPacked(order="o-3", user_id="u-1")])
        order.apply(OrderReturned())
        loaded: Order | None = store.load(Order, order.id)
        assert loaded is None
        for event in store.read(Query(aggregate_type=Order) | Query(tags=["audit"])):
            raise AssertionError(event.meta.event_id)
        with store.subscribe(Query(tags=["audit"]), name="typing") as events:
            assert (events.live, events.position) == (False, 0)
            with suppress(TimeoutError):
                events.caught_up(0.0)


async def commands() -> None:
    async with EventStore.create("memory://") as store:
        await commanding(store)


if __name__ == "__main__":
    asyncio.run(main())
    asyncio.run(commands())
    blocking()
