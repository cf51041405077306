"""What goes wrong around a bank account, and what a program does about each.

    uv run python examples/03_error_handling.py

A rule says no; another writer was faster; the storage vanishes while a save is on its way; a mail
can't be sent; the store is closed; its file is damaged. Nothing is half done at the end of any.
`docs/reference/errors.md` lists every error and what to do about it.
"""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from pydantic import Field, ValidationError

from eventuali import Aggregate, DomainEvent, EventStore, errors


class Deposited(DomainEvent):
    amount: Decimal = Field(gt=0, decimal_places=2)


class Withdrawn(DomainEvent):
    amount: Decimal = Field(gt=0, decimal_places=2)


class InsufficientFunds(Exception):
    """A rule of the bank says no: an error of the domain, not one of Eventuali's."""


class Account(Aggregate):
    balance: Decimal = Decimal("0.00")

    def deposit(self, amount: str) -> None:
        self.apply(Deposited(amount=Decimal(amount)))

    def withdraw(self, amount: str) -> None:
        if Decimal(amount) > self.balance:
            raise InsufficientFunds(f"{amount} is more than the balance of {self.balance}")
        self.apply(Withdrawn(amount=Decimal(amount)))

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def apply_withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount


async def refused(store: EventStore) -> None:
    print("1. What is not valid is refused before there is an event")
    ada = Account(id="ada")
    ada.deposit("100.00")
    await store.save(ada)
    acts: dict[str, Callable[[], object]] = {
        "withdraw 500.00": lambda: ada.withdraw("500.00"),
        "deposit -5.00": lambda: ada.deposit("-5.00"),
        "the tag 'rent '": lambda: Deposited(amount=Decimal("5.00"), tags=["rent "]),
    }
    for wish, act in acts.items():
        try:
            act()
        except ValidationError as error:  # pydantic's: a field of an event
            print(f"   {wish:16} ValidationError: {error.errors()[0]['msg']}")
        except (InsufficientFunds, errors.InvalidEventError) as error:
            print(f"   {wish:16} {type(error).__name__}: {error}")
        else:
            raise AssertionError(f"{wish} was not refused")
    await store.save(ada)  # saves nothing: there is no new event
    assert store.stats().last_position == 1


RETRYABLE = (
    errors.OptimisticConcurrencyError,
    errors.StorageBusyError,
    errors.StorageUnavailableError,
)
"""After each of these nothing was written. An `OutcomeUnknownError` is settled as in section 3."""


async def retry(act: Callable[[], Awaitable[None]], attempts: int = 8) -> None:
    """Acts again after longer and longer random pauses. `act` loads what it decides on."""
    for attempt in range(1, attempts):
        try:
            return await act()
        except RETRYABLE:
            await asyncio.sleep(min(0.01 * 2**attempt, 1) * random.uniform(0.5, 1))  # noqa: S311
    return await act()


async def conflict(store: EventStore) -> None:
    print("\n2. Another writer was faster: load again, decide again")
    mine, theirs = [await store.load_one(Account, "ada") for _ in range(2)]
    theirs.withdraw("80.00")
    await store.save(theirs)
    mine.withdraw("20.00")
    bob = Account(id="bob")
    bob.deposit("20.00")
    try:
        await store.save(mine, bob)  # all or nothing
    except errors.OptimisticConcurrencyError as error:
        versions = (error.expected_version, error.actual_version)
        print(f"   {error.stream}: version {versions[0]} was expected, {versions[1]} was found")
        assert versions == (1, 2)
    else:
        raise AssertionError("a save over another one was accepted")
    assert await store.load(Account, "bob") is None, "half of a transfer was stored"

    async def transfer() -> None:
        ada = await store.load_one(Account, "ada")
        bob = await store.load(Account, "bob") or Account(id="bob")
        ada.withdraw("5.00")
        bob.deposit("5.00")
        await store.save(ada, bob)

    await asyncio.gather(*(retry(transfer) for _ in range(4)))
    ada, bob = [await store.load_one(Account, name) for name in ("ada", "bob")]
    assert (ada.balance, bob.balance) == (Decimal("0.00"), Decimal("20.00"))
    print(f"   → four transfers of 5.00 at once, each counts: Ada {ada.balance}, Bob {bob.balance}")


async def unknown(folder: Path) -> None:
    print("\n3. The storage vanishes while a save is on its way: was it stored?")
    volume, away = folder / "volume", folder / "away"
    volume.mkdir()
    eve = Account(id="eve")
    eve.deposit("10.00")
    async with EventStore.create(volume / "bank.db") as store:
        volume.rename(away)
        try:
            await store.save(eve)
        except errors.OutcomeUnknownError as error:
            print(f"   OutcomeUnknownError: {len(error.event_ids)} event is in doubt")
    away.rename(volume)
    async with EventStore.create(volume / "bank.db") as store:
        # The same aggregate has the same event ids, so that nothing is stored twice. A save that is
        # cancelled, by a timeout for instance, is settled in the same way.
        await store.save(eve)
        events = await store.load_events("eve", Account)
    assert len(events) == 1
    print("   → it is back, opened again, and Eve saved again: the deposit is there, once")


async def mail(store: EventStore, sent: list[int | None], down_at: int | None = None) -> None:
    async with store.subscribe(name="mailer") as events:
        async for event in events:
            if event.position == down_at:
                raise ConnectionError(f"no mail server, at event {event.position}")
            sent.append(event.position)
            if event.position == store.stats().last_position:
                return


async def handler(store: EventStore) -> None:
    print("\n4. A handler raises: the event in hand comes again")
    sent: list[int | None] = []
    try:
        await mail(store, sent, down_at=4)
    except ConnectionError as error:
        print(f"   ConnectionError: {error}; {len(sent)} mails are sent")
    assert sent == [1, 2, 3]
    await mail(store, sent)  # under its name it goes on behind the last event that was handled
    assert sent == [event.position async for event in store.read()]
    print(f"   → followed again by the same name: {len(sent)} events, {len(sent)} mails")


async def closed_and_damaged(store: EventStore, file: Path) -> None:
    print("\n5. The store is closed, and somebody edits its file")
    await store.close()
    try:
        await store.load(Account, "ada")
    except errors.StoreClosedError as error:
        print(f"   StoreClosedError: {error}")
    backup = file.read_bytes()  # a copy of the file is whole only while no store is open
    file.write_bytes(backup.replace(b"80.00", b"08.00"))
    async with EventStore.create(file) as store:
        try:
            await store.load(Account, "ada")
        except errors.StorageCorruptedError as error:
            print(f"   StorageCorruptedError: the event at position {error.position} is damaged")
        found = await store.verify()
    assert [damage.position for damage in found.damage] == [2]
    file.write_bytes(backup)
    async with EventStore.create(file) as store:
        assert (await store.verify()).ok
    print("   → restored from a backup: every event is as it was written")


async def main(folder: Path) -> None:
    file = folder / "bank.db"
    async with EventStore.create(file) as store:
        await refused(store)
        await conflict(store)
        await unknown(folder)
        await handler(store)
        await closed_and_damaged(store, file)


with tempfile.TemporaryDirectory() as directory:
    asyncio.run(main(Path(directory)))
