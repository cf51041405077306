"""Fifty orders for ten lamps, from two processes at once: ten are sold, forty are paid back.

    uv run python examples/05_multi_aggregate_simple.py

An order is an aggregate. The stock is what the log says of a product: whoever reserves a lamp
decides on the events of that product, and the reservation is stored only if none was added
meanwhile.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from eventuali import Aggregate, Event, EventStore, Query

UNITS = 10
ORDERS = 50
WORKERS = 2
LAMPS = Query(tags=["product:lamp"])


class Stocked(Event):
    product: str
    units: int

    @property
    def tags(self) -> list[str]:
        return [f"product:{self.product}"]


class Reserved(Event):
    product: str
    order: str

    @property
    def tags(self) -> list[str]:
        return [f"product:{self.product}"]


class OrderPlaced(Event):
    product: str


class PaymentTaken(Event):
    cents: int


class OrderConfirmed(Event):
    pass


class PaymentReturned(Event):
    cents: int


class OrderCancelled(Event):
    reason: str


class Order(Aggregate):
    status: str = "new"
    paid: int = 0

    def apply_order_placed(self, event: OrderPlaced) -> None:
        self.status = "placed"

    def apply_payment_taken(self, event: PaymentTaken) -> None:
        self.paid += event.cents

    def apply_order_confirmed(self, event: OrderConfirmed) -> None:
        self.status = "confirmed"

    def apply_payment_returned(self, event: PaymentReturned) -> None:
        self.paid -= event.cents

    def apply_order_cancelled(self, event: OrderCancelled) -> None:
        self.status = "cancelled"


class SoldOut(Exception):
    pass


def left(events: list[Event]) -> int:
    """Returns the units that are left after some events of a product."""
    units = 0
    for event in events:
        if isinstance(event, Stocked):
            units += event.units
        elif isinstance(event, Reserved):
            units -= 1
    return units


async def order_one(store: EventStore, order_id: str) -> None:
    order = Order(id=order_id)
    order.apply(OrderPlaced(product="lamp"))
    order.apply(PaymentTaken(cents=3505))
    await store.save(order)

    def reserve(events: list[Event]) -> Event:
        if left(events) == 0:
            raise SoldOut
        return Reserved(product="lamp", order=order_id)

    try:
        await store.decide(LAMPS, reserve, attempts=100)
    except SoldOut:  # what was done already is made up for
        order.apply(PaymentReturned(cents=order.paid))
        order.apply(OrderCancelled(reason="sold out"))
    else:
        order.apply(OrderConfirmed())
    await store.save(order)


async def work(file: str, worker: int) -> None:
    async with EventStore.create(file) as store:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        mine = range(worker, ORDERS, WORKERS)
        await asyncio.gather(*(order_one(store, f"order-{number}") for number in mine))


def in_processes(file: str) -> None:
    """Starts the workers, lets them go at the same time, and waits for them."""
    workers = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, __file__, file, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.communicate("go\n", timeout=100)
    assert [worker.returncode for worker in workers] == [0] * WORKERS


async def main(file: str) -> None:
    async with EventStore.create(file) as store:
        await store.append([Stocked(product="lamp", units=UNITS)])
        print(f"{UNITS} lamps in stock, {ORDERS} orders from {WORKERS} processes at once\n")
        in_processes(file)

        product = [event async for event in store.read(LAMPS)]
        stock = [left(product[:count]) for count in range(1, len(product) + 1)]
        print("lamps left after each event:", *stock)

        orders = [await store.load_one(Order, f"order-{number}") for number in range(ORDERS)]
        for status, count in sorted(Counter(order.status for order in orders).items()):
            print(f"{count:2} orders are {status}")
        cancelled = next(order for order in orders if order.status == "cancelled")
        print("\nA cancelled order, step by step")
        async for step in store.history(Order, cancelled.id):
            changes = ", ".join(
                f"{name} {old} → {new}" for name, (old, new) in step.changes.items()
            )
            print(f"  {step.event.event_type:15} {changes}")

        reserved = {event.order for event in product if isinstance(event, Reserved)}
        assert stock == list(range(UNITS, -1, -1)), "the stock is off"
        assert len(reserved) == UNITS
        assert reserved == {order.id for order in orders if order.status == "confirmed"}
        for order in orders:
            events = [event.event_type for event in await store.load_events(order.id, Order)]
            if order.id in reserved:
                assert order.paid == 3505
                assert events == ["OrderPlaced", "PaymentTaken", "OrderConfirmed"]
            else:
                assert (order.status, order.paid) == ("cancelled", 0)
                assert events[2:] == ["PaymentReturned", "OrderCancelled"]
        print(f"\n{UNITS} were sold, and {ORDERS - UNITS} customers have their money back.")


if __name__ == "__main__":
    if len(sys.argv) == 3:  # a worker
        asyncio.run(work(sys.argv[1], int(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(main(str(Path(directory) / "shop.db")))
