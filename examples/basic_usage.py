"""The core ideas without a store: events are facts, and an aggregate is what follows from them.

    uv run python examples/basic_usage.py

Example 01 adds the store.
"""

from decimal import Decimal

from pydantic import ValidationError

from eventuali import Aggregate, Event


class AccountOpened(Event):
    owner: str


class Deposited(Event):
    amount: Decimal


class Withdrawn(Event):
    amount: Decimal


class Account(Aggregate):
    owner: str = ""
    balance: Decimal = Decimal(0)

    def withdraw(self, amount: Decimal) -> None:
        if amount > self.balance:
            raise ValueError(f"{amount} is more than the balance of {self.balance}")
        self.apply(Withdrawn(amount=amount))

    def apply_account_opened(self, event: AccountOpened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def apply_withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount


print("1. An event is a fact. Its fields can't change, and a misspelt one is refused.")
deposit = Deposited(amount=Decimal("100.00"), correlation_id="payday-7")
print(f"   {deposit.event_type}: {deposit}, correlation {deposit.correlation_id}")
try:
    deposit.amount = Decimal("1000000.00")
except ValidationError as error:
    print(f"   deposit.amount = 1000000.00 → {error.errors()[0]['msg']}")
try:
    Deposited(ammount=Decimal("1.00"))  # type: ignore[call-arg]
except ValidationError as error:
    print(f"   Deposited(ammount=1.00)     → {error.errors()[-1]['msg']}")

print("\n2. An aggregate changes by events, through its handlers, and keeps the new ones.")
account = Account(id="acc-1")
account.apply(AccountOpened(owner="Ada"))
account.apply(deposit)
account.withdraw(Decimal("30.00"))
waiting = account.get_uncommitted_events()
for event in waiting:
    print(f"   version {event.aggregate_version}: {event.event_type:13} {event}")
print(f"   → {account.owner} has {account.balance}; {len(waiting)} events wait to be saved")

print("\n3. A rule says no before there is an event.")
try:
    account.withdraw(Decimal("500.00"))
except ValueError as refusal:
    print(f"   refused: {refusal}; still version {account.version}")

print("\n4. The same events give the same state, as often as you like.")
rebuilt = Account.from_events(waiting)
print(f"   → {rebuilt.owner} has {rebuilt.balance} at version {rebuilt.version}")
early = Account.from_events(waiting[:2])
print(f"   → after the first two events: {early.balance}")

assert deposit.amount == Decimal("100.00")
assert [event.aggregate_version for event in waiting] == [1, 2, 3]
assert account.is_new()
assert account.has_uncommitted_events()
assert rebuilt.to_dict() == account.to_dict()
assert not rebuilt.has_uncommitted_events()
assert early.balance == Decimal("100.00")

account.mark_events_as_committed()  # a store does this once it has saved them
assert not account.has_uncommitted_events()
