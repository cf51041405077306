"""What goes wrong around a bank account, and what a program does about each.

    uv run python examples/03_error_handling.py

A rule says no; another writer was faster; the storage is not there, is locked, or vanishes in the
middle of a write; the second half of a transfer fails; a PostgreSQL server crashes. Nothing is half
done at the end of any.
"""

import asyncio
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from eventuali import (
    Aggregate,
    ConfigurationError,
    DatabaseError,
    DomainEvent,
    EventStore,
    EventStoreConfig,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
)
from eventuali.errors import StorageBusyError, StorageUnavailableError

T = TypeVar("T")
Amount = Annotated[Decimal, Field(gt=0, decimal_places=2)]


class AccountOpened(DomainEvent):
    owner: str = Field(min_length=1)


class Deposited(DomainEvent):
    amount: Amount


class Withdrawn(DomainEvent):
    amount: Amount


class TransferReversed(DomainEvent):
    amount: Amount
    reason: str


class AccountClosed(DomainEvent):
    pass


# The errors of the domain are the domain's own: a tree with attributes, as Eventuali's are.


class BankError(Exception):
    """A rule of the bank says no."""


class AccountIsClosed(BankError):
    """The account takes part in nothing any more."""


class InsufficientFunds(BankError):
    def __init__(self, balance: Decimal, amount: Decimal) -> None:
        super().__init__(f"{amount} is more than the balance of {balance}")
        self.balance, self.amount = balance, amount


class Account(Aggregate):
    owner: str = ""
    balance: Decimal = Decimal("0.00")
    closed: bool = False

    def open(self, owner: str) -> None:
        self.apply(AccountOpened(owner=owner))

    def deposit(self, amount: Decimal) -> None:
        self._must_be_open()
        self.apply(Deposited(amount=amount))

    def withdraw(self, amount: Decimal) -> None:
        self._must_be_open()
        if amount > self.balance:
            raise InsufficientFunds(self.balance, amount)
        self.apply(Withdrawn(amount=amount))

    def reverse(self, amount: Decimal, reason: str) -> None:
        self.apply(TransferReversed(amount=amount, reason=reason))

    def close(self) -> None:
        self._must_be_open()
        self.apply(AccountClosed())

    def _must_be_open(self) -> None:
        if self.closed:
            raise AccountIsClosed(f"the account of {self.owner} is closed")

    def apply_account_opened(self, event: AccountOpened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def apply_withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount

    def apply_transfer_reversed(self, event: TransferReversed) -> None:
        self.balance += event.amount

    def apply_account_closed(self, event: AccountClosed) -> None:
        self.closed = True


RETRYABLE = (OptimisticConcurrencyError, StorageUnavailableError, StorageBusyError)
"""After each of these nothing was written, and later may be better."""


async def retry(act: Callable[[], Awaitable[T]], attempts: int = 8) -> T:
    """Acts again, at most so often, with longer and longer random pauses of up to a second.

    `act` loads what it decides on: each attempt decides anew. An `OutcomeUnknownError` is not for
    this: the decision may be stored already. Save the same aggregate again instead, as below.
    """
    for attempt in range(1, attempts):
        try:
            return await act()
        except RETRYABLE:
            await asyncio.sleep(min(0.01 * 2**attempt, 1) * random.uniform(0.5, 1))  # noqa: S311
    return await act()


async def deposit(store: EventStore, account_id: str, amount: Decimal) -> None:
    account = await store.load_one(Account, account_id)
    account.deposit(amount)
    await store.save(account)


async def rules(store: EventStore) -> None:
    print("1. A rule says no, and nothing is stored")
    for account_id, owner in (("ada", "Ada"), ("bob", "Bob"), ("eve", "Eve")):
        account = Account(id=account_id)
        account.open(owner)
        account.deposit(Decimal("100.00"))
        await store.save(account)
    eve = await store.load_one(Account, "eve")
    eve.close()
    before = (await store.save(eve)).position

    ada = await store.load_one(Account, "ada")
    wishes: dict[str, Callable[[], None]] = {
        "withdraw 500.00": lambda: ada.withdraw(Decimal("500.00")),
        "deposit -5.00": lambda: ada.deposit(Decimal("-5.00")),
        "deposit 0.001": lambda: ada.deposit(Decimal("0.001")),
        "deposit to Eve": lambda: eve.deposit(Decimal("5.00")),
    }
    refusals = []
    for wish, act in wishes.items():
        try:
            act()
        except BankError as refusal:
            refusals.append(type(refusal).__name__)
            print(f"   {wish:16} {type(refusal).__name__}: {refusal}")
        except ValidationError as refusal:
            refusals.append(type(refusal).__name__)
            print(f"   {wish:16} ValidationError: {refusal.errors()[0]['msg']}")
    await store.save(ada, eve)  # saves nothing: there is no new event

    assert refusals == ["InsufficientFunds", *["ValidationError"] * 2, "AccountIsClosed"]
    assert store.stats().last_position == before
    print("   → the store holds what it held before")


async def conflict(store: EventStore) -> None:
    print("\n2. Another writer was faster: load again, decide again")
    mine, theirs = [await store.load_one(Account, "ada") for _ in range(2)]
    theirs.withdraw(Decimal("80.00"))
    await store.save(theirs)
    mine.withdraw(Decimal("50.00"))
    try:
        await store.save(mine)
    except OptimisticConcurrencyError as error:
        print(f"   {error.stream}: version {error.expected_version} was expected,", end=" ")
        print(f"{error.actual_version} was found")
        versions = (error.expected_version, error.actual_version)
    assert versions == (2, 3)

    async def withdraw() -> None:
        ada = await store.load_one(Account, "ada")
        ada.withdraw(Decimal("50.00"))
        await store.save(ada)

    try:
        await retry(withdraw)
    except InsufficientFunds as refusal:
        print(f"   decided again: {refusal}")
        seen = refusal.balance
    assert seen == Decimal("20.00"), "the retry decided on what it had loaded before"

    tellers = [retry(lambda: deposit(store, "ada", Decimal("5.00"))) for _ in range(5)]
    await asyncio.gather(*tellers)
    ada = await store.load_one(Account, "ada")
    assert (ada.version, ada.balance) == (8, Decimal("45.00"))
    print(f"   → five tellers deposit 5.00 at once, each counts: {ada.balance}")


async def unreachable(folder: Path) -> None:
    print("\n3. The storage is not there: a typed error, at once")
    (folder / "notes.db").write_text("Buy milk.\n" * 100)
    (folder / "unmounted.db").symlink_to(folder / "volume" / "bank.db")
    places = {
        "a missing folder": folder / "missing" / "bank.db",
        "a folder": folder,
        "a text file": folder / "notes.db",
        "an unmounted volume": folder / "unmounted.db",
    }
    met = []
    for what, place in places.items():
        began = perf_counter()
        try:
            async with EventStore.create(place):
                pass
        except (ConfigurationError, DatabaseError) as error:
            met.append(type(error).__name__)
            print(f"   {what:20} {met[-1]:24} {1000 * (perf_counter() - began):.1f} ms")
    assert met == ["ConfigurationError"] * 2 + ["StorageCorruptedError", "StorageUnavailableError"]
    assert (folder / "notes.db").read_text() == "Buy milk.\n" * 100


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """Lets another process hold the write lock of a file."""
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
    code += "db.execute('BEGIN IMMEDIATE'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603
        assert process.stdout is not None
        process.stdout.readline()
        yield


async def busy(store: EventStore, file: Path) -> None:
    print("\n4. Another process holds the lock: the deadline is yours")
    bob = await store.load_one(Account, "bob")
    bob.deposit(Decimal("1.00"))
    # A save waits up to a minute for the lock, then raises StorageBusyError. A program that can't
    # wait gives up earlier; as after any cancellation the outcome is unknown until it saves again.
    async with locked(file):
        began = perf_counter()
        try:
            async with asyncio.timeout(0.3):
                await store.save(bob)
        except TimeoutError:
            print(f"   gave up after {1000 * (perf_counter() - began):.0f} ms")
    await store.save(bob)  # the same aggregate: the same event ids, so that nothing is stored twice
    assert [event.event_type for event in await store.load_events("bob", Account)] == [
        "AccountOpened",
        "Deposited",
        "Deposited",
    ]
    print("   → saved again: the deposit is there, once")


async def recovery(folder: Path) -> None:
    print("\n5. The volume vanishes in the middle, and comes back")
    volume, away = folder / "volume", folder / "away"
    file = volume / "bank.db"
    volume.mkdir()
    async with EventStore.create(file) as store:
        ada = Account(id="ada")
        ada.open("Ada")
        await store.save(ada)
        last_known = ada.balance
        volume.rename(away)
        ada.deposit(Decimal("10.00"))
        try:
            await store.save(ada)
        except OutcomeUnknownError as error:
            print(f"   in a save:     OutcomeUnknownError, {len(error.event_ids)} event in doubt")
            doubtful = error.event_ids
    assert doubtful == [event.event_id for event in ada.get_uncommitted_events()]

    async def visit() -> Account:
        # `unmounted.db` is a link into the volume.
        async with EventStore.create(folder / "unmounted.db") as store:
            await store.save(ada)  # settles what is in doubt
            return await store.load_one(Account, "ada")

    try:
        await visit()
    except StorageUnavailableError as error:
        print(f"   when opening:  {type(error).__name__}; until then a page shows {last_known}")
    asyncio.get_running_loop().call_later(0.2, away.rename, volume)
    found = await retry(visit)
    assert not away.exists()
    assert (found.version, found.balance) == (2, Decimal("10.00"))
    print(f"   → retried until it was back: version {found.version}, balance {found.balance}")


async def transfers(store: EventStore) -> None:
    print("\n6. A transfer whose second half fails")
    amount = Decimal("30.00")
    ada = await store.load_one(Account, "ada")
    ada.withdraw(amount)
    await store.save(ada)
    try:
        await deposit(store, "eve", amount)
    except AccountIsClosed as refusal:
        # What has happened stays; another event makes up for it.
        ada.reverse(amount, reason=str(refusal))
        await store.save(ada)
    history = [f"{event.event_type} {event}" for event in await store.load_events("ada", Account)]
    print("   two saves, so the first has to be compensated:")
    for line in history[-2:]:
        print(f"     {line}")
    assert [line.split()[0] for line in history[-2:]] == ["Withdrawn", "TransferReversed"]

    print("   one save of both, where there is no half to make up for:")
    before = store.stats().last_position
    ada, bob = await store.load_one(Account, "ada"), await store.load_one(Account, "bob")
    await deposit(store, "bob", Decimal("1.00"))  # somebody else is faster
    ada.withdraw(amount)
    bob.deposit(amount)
    try:
        await store.save(ada, bob)
    except OptimisticConcurrencyError as error:
        print(f"     conflict on {error.stream}, so nothing of ada is stored either")
    assert [event.aggregate_id async for event in store.read(after=before)] == ["bob"]

    async def transfer() -> None:
        ada, bob = await store.load_one(Account, "ada"), await store.load_one(Account, "bob")
        ada.withdraw(amount)
        bob.deposit(amount)
        await store.save(ada, bob)

    await retry(transfer)
    ada, bob = await store.load_one(Account, "ada"), await store.load_one(Account, "bob")
    assert (ada.balance, bob.balance) == (Decimal("15.00"), Decimal("132.00"))
    print(f"   → Ada has {ada.balance}, Bob has {bob.balance}")


def private_server() -> Any:
    """Starts a PostgreSQL of its own, as Eventuali's tests do; None where that can't be."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "eventuali-python" / "tests"))
    try:
        from postgres_server import Private

        server = Private()
        server.start()
    except (ImportError, OSError, RuntimeError) as reason:
        print(f"   left out, for none can be started here: {reason}")
        return None
    return server


async def outage(server: Any) -> None:
    config = EventStoreConfig.postgres(server.url).with_connect_timeout(1)
    async with EventStore.create(config) as store:
        ada = Account(id="ada")
        ada.open("Ada")
        await store.save(ada)
        await asyncio.to_thread(server.stop)
        ada.deposit(Decimal("10.00"))
        try:
            await store.save(ada)
        except (StorageUnavailableError, OutcomeUnknownError):
            # The second where a connection broke with the save on its way.
            print("   while it is down:  the save is not acknowledged")
        back = asyncio.create_task(asyncio.to_thread(server.start))
        await until_settled(store, ada)
        await back
        assert (await store.load_one(Account, "ada")).version == 2
        print("   → the same store, the same aggregate: saved once it was back, version 2")

        async def teller(number: int) -> None:
            account = Account(id=f"account-{number}")
            account.open("Bob")
            for _ in range(50):
                account.deposit(Decimal("1.00"))
                await until_settled(store, account)

        tellers = [asyncio.create_task(teller(number)) for number in range(8)]
        for _ in range(3):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)  # as in a crash
            await asyncio.to_thread(server.start)
        await asyncio.gather(*tellers)
        balances = {(await store.load_one(Account, f"account-{n}")).balance for n in range(8)}
    assert balances == {Decimal("50.00")}
    print("   → three crashes under 400 deposits: each counts, and each once")


async def until_settled(store: EventStore, account: Account) -> None:
    """Saves the same aggregate until the store says that it is there, which repeats nothing."""
    while True:
        try:
            await store.save(account)
        except (OutcomeUnknownError, StorageUnavailableError):
            await asyncio.sleep(0.05)
        else:
            return


async def main(folder: Path) -> None:
    file = folder / "bank.db"
    async with EventStore.create(file) as store:
        await rules(store)
        await conflict(store)
        await unreachable(folder)
        await busy(store, file)
        await recovery(folder)
        await transfers(store)


with tempfile.TemporaryDirectory() as directory:
    asyncio.run(main(Path(directory)))

print("\n7. A PostgreSQL server goes away and comes back")
if (mine := private_server()) is not None:
    with mine:
        asyncio.run(outage(mine))
