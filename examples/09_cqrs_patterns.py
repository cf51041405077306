"""A shop by commands and queries: validated, sent twice, and read from three read models.

    uv run python examples/09_cqrs_patterns.py

A bus records each answer in the commit of its events: the same command has one effect.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from eventuali import Aggregate, Event, EventStore, Projection, ReadModel
from eventuali.command import Command, CommandBus, Handled, UnitOfWork, answers, handles
from eventuali.context import metadata
from eventuali.errors import CommandIdConflictError, UnknownCommandError


class Quantity(Event):
    product: str
    quantity: int


class Stocked(Quantity): ...


class Reserved(Quantity): ...


class OrderPlaced(Quantity):
    customer: str
    total: Decimal


class Stock(Command):
    product: str
    quantity: int = Field(gt=0)  # or there is no command


class PlaceOrder(Stock):
    order_id: str
    customer: str
    price: Decimal


class Product(Aggregate):
    left: int = 0

    @handles(Stock, id="product", creates=True)
    def stock(self, command: Stock) -> int:
        self.apply(Stocked(product=self.id, quantity=command.quantity))
        return self.left

    def apply_stocked(self, event: Stocked) -> None:
        self.left += event.quantity

    def apply_reserved(self, event: Reserved) -> None:
        self.left -= event.quantity


class Order(Aggregate):
    def apply_order_placed(self, event: OrderPlaced) -> None: ...


@handles(PlaceOrder)
async def place_order(command: PlaceOrder, work: UnitOfWork) -> Decimal:
    product = await work.load_one(Product, command.product)
    if command.quantity > product.left:
        raise ValueError(f"{command.quantity} are wanted, and {product.left} are left")
    total = command.price * command.quantity
    item: Any = {"product": product.id, "quantity": command.quantity}
    product.apply(Reserved(**item))
    order = Order(id=command.order_id)
    order.apply(OrderPlaced(customer=command.customer, total=total, **item))
    work.add(order)  # both are one commit
    return total


class OrderView(ReadModel, index=("customer",)):
    customer: str


class Orders(Projection[OrderView]):
    def on_placed(self, event: OrderPlaced, doc: OrderView | None) -> OrderView:
        return OrderView(customer=event.customer)


class CustomerView(ReadModel):
    spent: Decimal


class Customers(Projection[CustomerView]):
    def key(self, event: OrderPlaced) -> str:
        return event.customer

    def on_placed(self, event: OrderPlaced, doc: CustomerView | None) -> CustomerView:
        return CustomerView(spent=event.total + (doc.spent if doc else 0))


class Shelf(ReadModel):
    left: int


class Shelves(Projection[Shelf]):
    def on_stocked(self, event: Stocked, doc: Shelf | None) -> Shelf:
        return Shelf(left=(doc.left if doc else 0) + event.quantity)

    def on_reserved(self, event: Reserved, doc: Shelf) -> Shelf:
        return Shelf(left=doc.left - event.quantity)


class SpentBy(BaseModel):
    customer: str


@answers(SpentBy)
async def spent_by(query: SpentBy, store: EventStore) -> Decimal:
    found = await store.get(CustomerView, query.customer)
    return found.spent if found else Decimal(0)


async def for_customers(message: Any, next: Callable[[Any], Awaitable[Any]]) -> Any:
    if isinstance(message, PlaceOrder) and message.quantity > 50:
        raise PermissionError("more than 50 are for resellers")
    with metadata(user_id=getattr(message, "customer", "shop")):
        return await next(message)


def bus_of(store: EventStore) -> CommandBus:
    return CommandBus(store, Product, place_order, spent_by, middleware=[for_customers])


def order(n: int, quantity: int = 2) -> PlaceOrder:
    who, what = ("ada", "bob", "eve")[n % 3], ("lamp", "rug")[n % 2]
    item: Any = {"customer": who, "product": what, "quantity": quantity, "price": Decimal("9.50")}
    return PlaceOrder(order_id=f"order-{n}", command_id=f"place-{n}", **item)


STOCK = [Stock(product=product, quantity=20) for product in ("lamp", "rug")]
COMMANDS: list[Command] = [*STOCK, *map(order, range(18))]


async def first(file: str) -> Handled:
    async with EventStore.create(file) as store:
        bus = bus_of(store)
        async with store.run(Orders(), Customers(), Shelves()) as running:
            for command in COMMANDS:
                handled = await bus.send(command)
                await running.wait_for(handled.position or 0)  # its author reads what it did
                if isinstance(command, PlaceOrder):
                    assert await store.get(OrderView, command.order_id) is not None
        print(f"{len(COMMANDS)} commands; each was in the read models when it returned")
        return await bus.send(order(0))


WRONG: tuple[tuple[type[Exception], Callable[[], object]], ...] = (
    (ValidationError, lambda: Stock(product="lamp", quantity=0)),
    (ValueError, lambda: order(18, 9)),
    (PermissionError, lambda: order(18, 51)),
    (CommandIdConflictError, lambda: order(0, 3)),
    (UnknownCommandError, lambda: SpentBy(customer="ada")),
)


async def main(file: str) -> None:
    told = await first(file)
    async with EventStore.create(file) as store:  # after a restart
        bus = bus_of(store)
        again = await bus.send(order(0))
        assert again == told
        print(f"place-0 again, after a restart: {again.answer}, and no second order\n\nRefused")
        refused = []
        for expected, wrong in WRONG:
            try:
                await bus.send(wrong())
            except expected as error:
                text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
                print(f"  {type(error).__name__:23} {text!s:.72}")
                refused.append(expected)
        assert len(refused) == len(WRONG)

        print("\nThe read models, without a projection that runs")
        for customer in ("ada", "bob", "eve"):
            orders = await store.count(OrderView, customer=customer)
            print(f"  {customer}  {orders} orders for {await bus.ask(SpentBy(customer=customer))}")
        for shelf in await store.find(Shelf, order_by="key"):
            print(f"  {shelf.key:4} {shelf.left} are left")
        events = [event async for event in store.read()]
        assert len(events) == 2 + 2 * 18
        assert {e.user_id for e in events if isinstance(e, OrderPlaced)} == {"ada", "bob", "eve"}
        assert [e.causation_id for e in events].count("place-0") == 2


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(str(Path(directory) / "shop.db")))
