"""An order goes its way, and only that way: created, processing, shipped, delivered.

    uv run python examples/02_aggregate_lifecycle.py

A rule that says no raises an error of the domain before there is an event: nothing is stored.
"""

import asyncio
import tempfile
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel

from eventuali import Aggregate, DomainEvent, EventStore


class Status(StrEnum):
    NEW = "new"
    CREATED = "created"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"


class Item(BaseModel):
    product: str
    quantity: int
    price: Decimal


class OrderCreated(DomainEvent):
    customer: str
    items: list[Item]


class OrderProcessing(DomainEvent):
    by: str


class OrderShipped(DomainEvent):
    tracking_number: str


class OrderDelivered(DomainEvent):
    signed_by: str


class OrderError(Exception):
    """A rule of the business says no."""


class Order(Aggregate):
    status: Status = Status.NEW
    total: Decimal = Decimal(0)

    # What may happen: each method checks the rules, then states the fact.

    def create(self, customer: str, items: list[Item]) -> None:
        self._must_be(Status.NEW, "created")
        if not items:
            raise OrderError("an order without items can't be created")
        self.apply(OrderCreated(customer=customer, items=items))

    def process(self, by: str) -> None:
        self._must_be(Status.CREATED, "processed")
        self.apply(OrderProcessing(by=by))

    def ship(self, tracking_number: str) -> None:
        self._must_be(Status.PROCESSING, "shipped")
        self.apply(OrderShipped(tracking_number=tracking_number))

    def deliver(self, signed_by: str) -> None:
        self._must_be(Status.SHIPPED, "delivered")
        self.apply(OrderDelivered(signed_by=signed_by))

    def _must_be(self, status: Status, wish: str) -> None:
        if self.status is not status:
            raise OrderError(f"an order that is {self.status} can't be {wish}")

    # What has happened: each handler takes over a fact and never says no.

    def apply_order_created(self, event: OrderCreated) -> None:
        self.status = Status.CREATED
        self.total = sum((item.price * item.quantity for item in event.items), Decimal(0))

    def apply_order_processing(self, event: OrderProcessing) -> None:
        self.status = Status.PROCESSING

    def apply_order_shipped(self, event: OrderShipped) -> None:
        self.status = Status.SHIPPED

    def apply_order_delivered(self, event: OrderDelivered) -> None:
        self.status = Status.DELIVERED


async def attempt(store: EventStore, order_id: str, act: Callable[[Order], None]) -> bool:
    """Loads the order, acts, saves. Returns whether the rules allowed it."""
    order = await store.load(Order, order_id) or Order(id=order_id)
    before = await store.get_aggregate_version(order_id, Order)
    try:
        act(order)
    except OrderError as refusal:
        await store.save(order)  # saves nothing: there is no new event
        assert await store.get_aggregate_version(order_id, Order) == before
        print(f"  refused  {refusal}; still version {before or 0}")
        return False
    await store.save(order)
    print(f"  version {order.version}  {order.status}")
    return True


async def main(file: Path) -> None:
    lamps = Item(product="lamp", quantity=2, price=Decimal("35.05"))

    async with EventStore.create(file) as store:
        print("The life of order-1")
        answers = [
            await attempt(store, "order-1", lambda order: order.create("Ada", [])),
            await attempt(store, "order-1", lambda order: order.create("Ada", [lamps])),
            await attempt(store, "order-1", lambda order: order.ship("TRACK-1")),
            await attempt(store, "order-1", lambda order: order.process("Charles")),
            await attempt(store, "order-1", lambda order: order.deliver("Ada")),
            await attempt(store, "order-1", lambda order: order.ship("TRACK-1")),
            await attempt(store, "order-1", lambda order: order.ship("TRACK-2")),
            await attempt(store, "order-1", lambda order: order.deliver("Ada")),
        ]

        print("\nWhat the store holds")
        events = await store.load_events("order-1", Order)
        for event in events:
            print(f"  {event.aggregate_version}  {event.event_type:15}  {event.model_dump_json()}")
        order = await store.load_one(Order, "order-1")
        print(f"\n{order.id} is {order.status}, total {order.total}")

    assert answers == [False, True, False, True, False, True, False, True]
    types = [event.event_type for event in events]
    assert types == ["OrderCreated", "OrderProcessing", "OrderShipped", "OrderDelivered"]
    assert [event.aggregate_version for event in events] == [1, 2, 3, 4]
    assert (order.status, order.total, order.version) == (Status.DELIVERED, Decimal("70.10"), 4)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory) / "orders.db"))
