"""What the golden stores hold, and what is seen of it: the same code writes and checks them.

A class here never changes in what it makes of stored events: the hashes of all versions depend on
that. A new kind of content comes with a new class, and is seen only where `expected.json` has it.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from stores import Blocking, gathered

from eventuali import (
    NO_STREAM,
    Aggregate,
    AppendCondition,
    Event,
    EventMeta,
    Projection,
    Query,
    ReadModel,
    SnapshotPolicy,
    StreamEvents,
    Tracking,
    sync,
    upcast,
)
from eventuali.command import Command, CommandBus, handles

START = datetime(2025, 3, 1, tzinfo=UTC)
SNAPSHOTS = SnapshotPolicy(every=3, keep=2)
SPACE = UUID("7e1c0b0e-5d0c-4c59-8d57-0c5f2b0a9d11")
NAMES = [
    "Ada",
    "Zoë",
    "Zoe\u0308",
    "Ωmega 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    'quoted "\\" and / \u0000 \u2028',
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 family",
    "ﷺ right to left",
    "x" * 300,
]
AMOUNTS = [
    Decimal("0.10"),
    Decimal("1E+3"),
    Decimal("-0.00"),
    Decimal("12345678901234567890.123456789"),
]


class Opened(Event, name="golden.opened"):
    owner: str
    at: datetime
    tags: tuple[str, ...] = ()


class Paid(Event, name="golden.paid", version=3):
    amount: Decimal
    by: UUID | None = None


class Filled(Event, name="golden.filled"):
    items: dict[str, list[int]]
    weight: float
    count: int
    note: str | None = None


class Visited(Event, name="golden.visited"):
    page: str


class Moved(Event, name="golden.moved", version=3, readable_by=2, formerly="golden.relocated"):
    """Stored since there are steps."""

    to: str
    floor: int

    @upcast(1)
    @staticmethod
    def ground(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"floor": 0}

    @upcast(2)
    @staticmethod
    def unchanged(data: dict[str, Any]) -> dict[str, Any]:
        return dict(data)


class GoldenPay(Command):
    account: str
    amount: Decimal
    number: int


class Account(Aggregate, name="GoldenAccount"):
    owner: str = ""
    opened_at: datetime | None = None
    balance: Decimal = Decimal(0)
    payers: set[UUID] = set()  # noqa: RUF012

    def apply_opened(self, event: Opened) -> None:
        self.owner, self.opened_at = event.owner, event.at

    def apply_paid(self, event: Paid) -> None:
        self.balance += event.amount
        if event.by is not None:
            self.payers.add(event.by)

    @handles(GoldenPay, id="account", creates=True)
    def pay(self, command: GoldenPay) -> Decimal:
        self.apply(Paid(amount=command.amount, **known(command.number)))
        return self.balance


class Basket(Aggregate, name="GoldenBasket"):
    items: dict[str, list[int]] = {}  # noqa: RUF012
    weight: float = 0.0
    notes: list[str | None] = []  # noqa: RUF012

    def apply_filled(self, event: Filled) -> None:
        self.items.update(event.items)
        self.weight += event.weight
        self.notes.append(event.note)


class Balance(ReadModel, name="golden_balance", index=("owner",)):
    owner: str = ""
    balance: Decimal = Decimal(0)


class Balances(Projection[Balance], name="golden_balances"):
    def on_opened(self, event: Opened, doc: Balance | None) -> Balance:
        return Balance(owner=event.owner)

    def on_paid(self, event: Paid, doc: Balance | None) -> Balance:
        found = doc or Balance()
        found.balance += event.amount
        return found


# --- what is written ------------------------------------------------------------------------------


def known(number: int) -> dict[str, Any]:
    """Returns the metadata of an event: everything that is random elsewhere."""
    at = START + timedelta(seconds=number // 10 * 10, microseconds=number)
    milliseconds = int(at.timestamp() * 1000)
    found: dict[str, Any] = {
        # Mostly one after the other, as a save makes them.
        "event_id": uuid5(SPACE, str(number))
        if number % 7 == 0
        else UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | number),
        "timestamp": at,
    }
    if number % 3 == 0:
        found["user_id"] = f"user-{number % 5} é"
    if number % 4 == 0:
        found["headers"] = {"trace": f"{number:04x}", "Überschrift": "ja"}
    if number % 5 == 0:
        found["correlation_id"] = uuid5(SPACE, "request")
        found["causation_id"] = f"cause {number} \U0001f600"
    return found


async def fill(store: Any, clock: Any) -> None:
    """Writes everything into an empty store, in commits that are always the same."""
    numbers = iter(range(1, 10_000))

    def meta(**more: Any) -> dict[str, Any]:
        return known(next(numbers)) | more

    for index, name in enumerate(NAMES):
        zone = timezone(timedelta(hours=index - 4, minutes=30))
        account = Account(id=f"account {index} {name}"[:60].replace("\0", "").split("/")[0].strip())
        opened_at = datetime(2025, 1, 1 + index, 12, 30, 15, 123_456, tzinfo=zone)
        own = ("vip",) if index % 2 else ()
        account.apply(Opened(owner=name, at=opened_at, tags=own, **meta()))
        for amount in AMOUNTS[: 1 + index % 4]:
            by = uuid5(SPACE, name) if amount > 0 else None
            account.apply(Paid(amount=amount, by=by, **meta()))
        await store.save(account)
        clock.advance(timedelta(seconds=7))
    baskets = []
    for index in range(4):
        basket = Basket(id=f"b-{index}")
        for times in range(9):
            basket.apply(
                Filled(
                    items={f"item {times}": [times, -times, 2**40 + times], "": []},
                    weight=[0.1, 1e300, -0.0, 2.5e-10][times % 4],
                    count=10**20 + times,
                    note=None if times % 2 else NAMES[times % len(NAMES)],
                    **meta(),
                )
            )
        baskets.append(basket)
    await store.save(*baskets)
    clock.advance(timedelta(days=1))
    await rest(store, clock, meta)


async def rest(store: Any, clock: Any, meta: Any) -> None:
    """Writes what is of no aggregate, of another tenant, or no event."""
    pages = [Visited(page=f"/{n}", **meta(tags=["web", f"page-{n % 3}"])) for n in range(40)]
    await store.append(pages)
    clock.advance(timedelta(hours=1))
    unseen = AppendCondition(Query(tags=["never"]), after=0)
    await store.append(
        [Visited(page="/once", **meta(tags=["never"]))],
        condition=unseen,
        tracking=Tracking("golden upstream", 77),
    )
    await store.append(
        [
            StreamEvents(("Golden page", f"p-{n}"), [Visited(page=f"/p/{n}", **meta())], NO_STREAM)
            for n in range(5)
        ]
    )
    await store.append([Moved(to=f"№ {n}", floor=n, **meta()) for n in range(3)])
    other = store.for_tenant("acme")
    for index in range(3):
        account = Account(id=f"a-{index}")
        account.apply(Opened(owner=f"tenant {index}", at=START, **meta()))
        account.apply(Paid(amount=Decimal(index), **meta()))
        await other.save(account)
    for number in range(9_001, 9_011):
        clock.advance(timedelta(minutes=1))
        await send(store, number)
    await show(store)
    await follow(store)


async def send(store: Any, number: int) -> Any:
    """Sends a command, always with the same id."""
    command = GoldenPay(
        command_id=uuid5(SPACE, f"command {number}"),
        account=f"paid-{number % 3}",
        amount=Decimal(number) / 100,
        number=number,
    )
    if isinstance(store, Blocking):
        return await asyncio.to_thread(sync.CommandBus(store.store, Account).send, command)
    return await CommandBus(store, Account).send(command)


async def show(store: Any) -> None:
    """Brings the documents up to date."""
    if isinstance(store, Blocking):
        with store.store.run(Balances()) as running:
            await asyncio.to_thread(running.caught_up)
        return
    async with store.run(Balances()) as running:
        await running.caught_up()


async def follow(store: Any) -> None:
    """Writes the checkpoint of a subscription that has handled some events."""

    def handle() -> None:
        with store.store.subscribe(name="golden follower") as events:
            for event in events:
                if event.position == 20:
                    return

    await asyncio.to_thread(handle)


# --- what is seen ---------------------------------------------------------------------------------


def hashed(value: Any) -> str:
    """Returns the hash of anything made of text, numbers, lists and dicts."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


async def raw(store: Any) -> list[list[Any]]:
    """Returns everything that is stored of each event, which no class has read."""
    core = (store.store if isinstance(store, Blocking) else store)._store
    found: list[list[Any]] = []
    after, end = 0, False
    while not end:
        page = await asyncio.to_thread(core.read([], after=after).wait)
        _, payloads, rows = page.columns()
        found += [
            [row.meta().event_type, payload.decode(), *described(row.meta())]
            for payload, row in zip(payloads, rows, strict=True)
        ]
        after, end = page.looked_to, page.end
    return found


def described(meta: EventMeta) -> list[Any]:
    return [
        meta.position,
        str(meta.event_id),
        meta.event_version,
        meta.aggregate_type,
        meta.aggregate_id,
        meta.aggregate_version,
        meta.timestamp.isoformat(),
        meta.recorded_at and meta.recorded_at.isoformat(),
        repr(meta.correlation_id),
        repr(meta.causation_id),
        meta.user_id,
        dict(meta.headers),
        list(meta.tags),
    ]


def folded(aggregate: Aggregate) -> str:
    """Returns the hash of the state of an aggregate."""
    state = {name: plain(value) for name, value in aggregate.__dict__.items() if name[0] != "_"}
    return hashed([aggregate.version, state])


def plain(value: Any) -> Any:
    """Returns a value as JSON has it, with its type where JSON has none."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, str) else repr(value)


async def picture(store: Any) -> dict[str, Any]:
    """Returns what a store shows; what must be the same for ever."""
    seen: dict[str, Any] = {"folds": {}, "events": {}}
    for tenant in ("", "acme"):
        here = store.for_tenant(tenant) if tenant else store
        events = await raw(here)
        seen["events"][tenant] = [len(events), hashed(events)]
        typed = await gathered(here.read())
        seen["events"][f"{tenant} typed"] = hashed(
            [[type(event).__name__, plain(event.model_dump())] for event in typed]
        )
        for cls in (Account, Basket):
            async for stream in here.streams(cls):
                aggregate = await here.load(cls, stream.aggregate_id)
                seen["folds"][f"{tenant}/{cls.__name__}/{stream.aggregate_id}"] = folded(aggregate)
    queries = {
        "tags": Query(tags=["web", "page-1"]),
        "user": Query(user_id="user-0 é"),
        "type": Query(event_types=[Paid]),
        "correlation": Query(correlation_id=uuid5(SPACE, "request")),
    }
    seen["queries"] = {
        name: hashed([event.position for event in await gathered(store.read(query))])
        for name, query in queries.items()
    }
    await records(store, seen)
    return seen


async def records(store: Any, seen: dict[str, Any]) -> None:
    """Adds what is stored besides events."""
    seen["tracked"] = await store.tracked("golden upstream")
    seen["checkpoints"] = [[each.name, each.position] for each in await store.checkpoints()]
    found = await store.find(Balance, order_by="owner", limit=100)
    seen["documents"] = hashed([plain(each.model_dump()) for each in found])
    again = [await send(store, number) for number in range(9_001, 9_011)]
    seen["answers"] = [[each.repeated, plain(each.answer), each.position] for each in again]
