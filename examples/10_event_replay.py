"""A year of a savings account, replayed: as it was, when it was, and as it would be.

    uv run python examples/10_event_replay.py

The clock of the test kit is set by hand, so that the year takes a moment.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from eventuali import Aggregate, Event, SnapshotPolicy
from eventuali.sync import EventStore
from eventuali.testing import Clock, assert_replays

CENT = Decimal("0.01")


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: Decimal


class Withdrawn(Event):
    amount: Decimal


class InterestPaid(Event):
    percent: Decimal


class Savings(Aggregate, name="Savings"):
    owner: str = ""
    balance: Decimal = Decimal(0)
    interest: Decimal = Decimal(0)

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def apply_withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount

    def apply_interest_paid(self, event: InterestPaid) -> None:
        paid = (self.balance * event.percent / 100).quantize(CENT)
        self.balance += paid
        self.interest += paid


class Generous(Savings, name="Savings"):
    """The same, as it would be if a deposit above 100 earned a bonus of 1 %."""

    def apply_deposited(self, event: Deposited) -> None:
        bonus = event.amount / 100 if event.amount > 100 else Decimal(0)
        self.balance += event.amount + bonus.quantize(CENT)


class Checkpoint(NamedTuple):
    """What somebody noted while it happened."""

    name: str
    time: datetime
    version: int
    balance: Decimal


YEAR: dict[int, Callable[[], list[Event]]] = {
    1: lambda: [Opened(owner="Ada"), Deposited(amount=Decimal(100))],
    2: lambda: [Deposited(amount=Decimal("250.50"))],
    3: lambda: [Withdrawn(amount=Decimal(30)), InterestPaid(percent=Decimal("0.5"))],
    4: lambda: [Deposited(amount=Decimal(80))],
    5: lambda: [Deposited(amount=Decimal(1000)), Withdrawn(amount=Decimal("12.34"))],
    7: lambda: [InterestPaid(percent=Decimal("0.5")), Deposited(amount=Decimal(100))],
    8: lambda: [Withdrawn(amount=Decimal(400))],
    9: lambda: [Deposited(amount=Decimal("0.01"))],
    10: lambda: [Deposited(amount=Decimal(99)), Withdrawn(amount=Decimal(50))],
    12: lambda: [InterestPaid(percent=Decimal("0.75")), Withdrawn(amount=Decimal(7))],
}
NOTED = {3: "first quarter", 7: "summer", 12: "year's end"}


def live(store: EventStore, clock: Clock) -> tuple[list[Decimal], list[Checkpoint]]:
    """Lets the year happen. Returns the balance after each event, and what was noted."""
    account = Savings(id="ada")
    balances: list[Decimal] = []
    noted: list[Checkpoint] = []
    for month, happening in YEAR.items():
        clock.set(datetime(2025, month, 28, 12, tzinfo=UTC))
        for event in happening():
            account.apply(event)
            balances.append(account.balance)
        store.save(account)
        if month in NOTED:
            noted.append(Checkpoint(NOTED[month], clock.now, account.version, account.balance))
    return balances, noted


def main(file: Path) -> None:
    clock = Clock(datetime(2025, 1, 1, tzinfo=UTC))
    policy = SnapshotPolicy(every=5, keep=3)
    with clock, EventStore.create(file, clock=clock, snapshots=policy) as store:
        balances, noted = live(store, clock)
        assert len(balances) == 16
        assert len(noted) == 3

    with EventStore.create(file, clock=clock, snapshots=policy) as store:
        print("Checkpoints, noted while it happened, and replayed from the log")
        for name, time, version, balance in noted:
            by_version = store.load_one(Savings, "ada", at_version=version)
            by_time = store.load_one(Savings, "ada", at_time=time)
            assert by_version.balance == by_time.balance == balance
            assert by_time.version == version
            print(f"  {name:13}  version {version:2}  {balance:8}")

        for version, balance in enumerate(balances, start=1):
            assert store.load_one(Savings, "ada", at_version=version).balance == balance
        before = store.load_one(Savings, "ada", at_time=noted[0].time - timedelta(days=1))
        print(f"The day before the first of them: version {before.version}, {before.balance}")

        assert store.stats().snapshots["Savings"].used > 0
        print("Some of these loads began at a snapshot: it makes no difference but time")

        print("\nWhich events have changed the interest?")
        for step in store.history(Savings, "ada"):
            if change := step.changes.get("interest"):
                when = step.event.timestamp.strftime("%B")
                print(f"  {step.state.version:2}  {when:8}  {change.before} → {change.after}")

        print("\nWhat if a deposit above 100 earned a bonus?")
        steps = zip(store.history(Savings, "ada"), store.history(Generous, "ada"), strict=True)
        gains = [would.state.balance - was.state.balance for was, would in steps]
        for version, (earlier, gain) in enumerate(pairwise([Decimal(0), *gains]), start=1):
            if gain != earlier:
                print(f"  version {version:2}: {gain - earlier:+} more")
        print(f"  at the end {gains[-1]:+}, and no stored event has changed")

        try:
            assert_replays(Generous, store, before=Savings)
        except AssertionError as difference:
            print("\nA test that the code of today gives the states of before would say")
            print("  " + str(difference).replace("\n", "\n  ").rstrip())
        else:
            raise SystemExit("the changed code went unnoticed")
        assert assert_replays(Savings, store, before=Savings).streams == 1
        assert store.load_one(Savings, "ada").balance == balances[-1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory) / "savings.db")
