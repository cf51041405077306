"""Eventuali, of whatever version this process imports; both of its APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.subjects import AUTHORS, SAVERS, note, timed
from eventuali import Aggregate, Event, EventStore
from eventuali.sync import EventStore as SyncEventStore

LARGEST = 10_000
"""Events a commit may have."""


class Added(Event):
    """An event of two fields."""

    amount: int
    note: str


class Account(Aggregate):
    """Adds up."""

    total: int = 0

    def apply_added(self, event: Added) -> None:
        """Adds."""
        self.total += event.amount


def add(account: Account, events: int) -> None:
    """Applies so many events."""
    for number in range(events):
        account.apply(Added(amount=number, note=note(number)))


class Ours:
    """The package."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._store: EventStore | None = None
        self._sync: SyncEventStore | None = None
        self._log_after: int | None = None

    def about(self) -> dict[str, str]:
        """Returns its version and pydantic's."""
        return {"eventuali": version("eventuali"), "pydantic": version("pydantic")}

    def fresh(self, folder: Path) -> None:
        """Opens a store for each API; full durability is the default."""
        self._let_go()
        self._store = self._run(_open(folder / "async.db"))
        self._sync = SyncEventStore.create(folder / "sync.db")
        self._log_after = None

    def close(self) -> None:
        """Closes the stores and the loop."""
        self._let_go()
        self._runner.close()

    def _let_go(self) -> None:
        if self._store is not None and self._sync is not None:
            self._run(self._store.close())
            self._sync.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def _stores(self) -> tuple[EventStore, SyncEventStore]:
        if self._store is None or self._sync is None:
            raise RuntimeError("there is no store yet")
        return self._store, self._sync

    def op_create(self, events: int, repeat: int) -> float:
        """Creates events."""

        def work() -> None:
            for number in range(repeat):
                Added(amount=number, note="account-00")

        return timed(work, repeat)

    def op_apply(self, events: int, repeat: int) -> float:
        """Creates events and applies them to an aggregate."""
        account = Account()

        def work() -> None:
            for number in range(repeat):
                account.apply(Added(amount=number, note="account-00"))

        return timed(work, repeat)

    def _prepared(self, save: Callable[..., object], events: int, repeat: int) -> list[Account]:
        """Returns accounts that are stored, each with events that are not."""
        accounts = [Account() for _ in range(repeat)]
        for first in range(0, repeat, LARGEST):
            for account in accounts[first : first + LARGEST]:
                add(account, 1)
            save(*accounts[first : first + LARGEST])
        for account in accounts:
            add(account, events)
        return accounts

    def _prepared_async(self, store: EventStore, events: int, repeat: int) -> list[Account]:
        return self._prepared(lambda *given: self._run(store.save(*given)), events, repeat)

    def op_save(self, events: int, repeat: int) -> float:
        """Saves aggregates one after another, from a coroutine."""
        store, _ = self._stores()
        accounts = self._prepared_async(store, events, repeat)

        async def work() -> None:
            for account in accounts:
                await store.save(account)

        return timed(lambda: self._run(work()), repeat)

    def op_save_sync(self, events: int, repeat: int) -> float:
        """Saves aggregates one after another."""
        _, store = self._stores()
        accounts = self._prepared(store.save, events, repeat)

        def work() -> None:
            for account in accounts:
                store.save(account)

        return timed(work, repeat)

    def op_savers(self, events: int, repeat: int) -> float:
        """Saves from 64 tasks, each one aggregate after another."""
        store, _ = self._stores()
        accounts = self._prepared_async(store, events, SAVERS * repeat)

        async def saver(mine: Sequence[Account]) -> None:
            for account in mine:
                await store.save(account)

        async def work() -> None:
            await asyncio.gather(*(saver(accounts[first::SAVERS]) for first in range(SAVERS)))

        return timed(lambda: self._run(work()), SAVERS * repeat)

    def _stored(self, save: Callable[..., object], events: int, repeat: int) -> list[str]:
        """Stores accounts and returns their ids."""
        accounts = [Account() for _ in range(repeat)]
        for account in accounts:
            add(account, events)
            save(account)
        return [account.id for account in accounts]

    def op_load(self, events: int, repeat: int) -> float:
        """Loads aggregates one after another, from a coroutine."""
        store, _ = self._stores()
        ids = self._stored(lambda *given: self._run(store.save(*given)), events, repeat)

        async def work() -> None:
            for key in ids:
                await store.load_one(Account, key)

        return timed(lambda: self._run(work()), repeat)

    def op_load_sync(self, events: int, repeat: int) -> float:
        """Loads aggregates one after another."""
        _, store = self._stores()
        ids = self._stored(store.save, events, repeat)

        def work() -> None:
            for key in ids:
                store.load_one(Account, key)

        return timed(work, repeat)

    def _log(self, events: int) -> tuple[EventStore, int]:
        """Returns a store and where its log begins: 100 accounts, 100 events of each at a time."""
        store, _ = self._stores()
        if self._log_after is None:
            self._log_after = store.stats().last_position
            accounts = [Account() for _ in range(AUTHORS)]
            for first in range(0, events, 100):
                account = accounts[first // 100 % AUTHORS]
                add(account, 100)
                self._run(store.save(account))
        return store, self._log_after

    def op_read(self, events: int, repeat: int) -> float:
        """Reads the log in order and sums up by a field."""
        store, after = self._log(events)
        totals: dict[str, int] = {}

        async def work() -> None:
            async for event in store.read(after=after):
                if isinstance(event, Added):
                    totals[event.note] = totals.get(event.note, 0) + event.amount

        return timed(lambda: self._run(work()), events)

    def op_read_by_id(self, events: int, repeat: int) -> float:
        """Reads the log in order and sums up by aggregate."""
        store, after = self._log(events)
        totals: dict[str | None, int] = {}

        async def work() -> None:
            async for event in store.read(after=after):
                if isinstance(event, Added):
                    key = event.aggregate_id
                    totals[key] = totals.get(key, 0) + event.amount

        return timed(lambda: self._run(work()), events)


async def _open(path: Path) -> EventStore:
    return await EventStore.create(path)


def make() -> Ours:
    """Returns the subject."""
    return Ours()
