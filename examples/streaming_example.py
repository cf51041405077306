"""Payments are followed as they are stored: by this process, and from another one.

    uv run python examples/streaming_example.py

A ledger that is kept by a subscription: it catches up with what is stored, then waits for more. It
goes by a name, so that after a restart it goes on behind the last payment that it has booked.
"""

import asyncio
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from eventuali import Event, EventStore, Query

PAYMENTS = Query(tags=["payment"])


class Paid(Event):
    customer: str
    amount: Decimal


class Greeted(Event):
    """An event that is none of the ledger's business."""

    customer: str


async def pay(store: EventStore, customer: str, *amounts: str) -> None:
    for amount in amounts:
        await store.append([
            Greeted(customer=customer),
            Paid(customer=customer, amount=Decimal(amount), tags=["payment"]),
        ])  # fmt: skip


async def pay_from_another_process(file: str, customer: str, *amounts: str) -> None:
    command = [sys.executable, __file__, file, customer, *amounts]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, "the other process failed"


class Ledger:
    """What customers have paid, and the position of each payment."""

    def __init__(self) -> None:
        self.paid: dict[str, Decimal] = {}
        self.positions: list[int] = []

    async def book(self, store: EventStore, count: int) -> None:
        """Books so many payments, going on behind the last one that was booked."""
        async with store.subscribe(PAYMENTS, name="ledger") as payments:
            async for payment in payments:
                assert isinstance(payment, Paid)
                assert payment.position is not None
                total = self.paid.get(payment.customer, Decimal(0)) + payment.amount
                self.paid[payment.customer] = total
                self.positions.append(payment.position)
                kind = "live  " if payments.live else "stored"
                print(f"  {kind}  {payment.position:2}  {payment.customer:8} {payment.amount:>6}")
                count -= 1
                if count == 0:
                    break


async def main(file: str) -> None:
    async with EventStore.create(file) as store:
        await pay(store, "Ada", "10.00", "5.50")

        print("The ledger catches up, and is there when payments come:")
        ledger = Ledger()
        booking = asyncio.create_task(ledger.book(store, 6))
        while len(ledger.positions) < 2:
            await asyncio.sleep(0.01)
        await pay(store, "Charles", "7.25", "1.00")
        await pay_from_another_process(file, "Grace", "99.99", "0.01")
        await booking

    async with EventStore.create(file) as store:
        await pay(store, "Ada", "4.50")
        print("Opened again, it goes on where it was:")
        await ledger.book(store, 1)

        stored = [event.position async for event in store.read(PAYMENTS)]

    for customer, total in ledger.paid.items():
        print(f"{customer} has paid {total}")
    assert ledger.positions == stored, "a payment was skipped, or booked twice"
    assert ledger.paid == {
        "Ada": Decimal("20.00"),
        "Charles": Decimal("8.25"),
        "Grace": Decimal("100.00"),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:  # the other process

        async def other(file: str, customer: str, *amounts: str) -> None:
            async with EventStore.create(file) as store:
                await pay(store, customer, *amounts)

        asyncio.run(other(*sys.argv[1:]))
    else:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(main(str(Path(directory) / "payments.db")))
