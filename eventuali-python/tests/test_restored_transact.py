"""An older copy is put under a store whose callers hand each other what they have loaded."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from time import sleep

import pytest
from stores import administrator, each_api, each_shared, schema_of
from support import output_of
from test_golden import GOLDEN, SCHEMA, placed
from test_restored import COPY

from eventuali import EventStore, Query, sync
from eventuali._engine import tickets

FOLDER = GOLDEN / "v0.3.0-format5"
from shop import Account, Paid  # noqa: E402

LIMIT = 60


def restore(kind, folder):
    """Puts the golden store back, under whoever has it open."""
    if kind == "sqlite":
        output_of(COPY, FOLDER / "events.db", folder / "events.db")
        return
    schema = schema_of(folder)
    statements = (FOLDER / "events.sql").read_text().replace(SCHEMA, schema)
    with administrator() as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"BEGIN; DROP SCHEMA {schema} CASCADE; {statements} COMMIT")


def pay(place, *amounts):
    """Pays into an account, as somebody else."""
    with sync.EventStore.create(place) as other:
        account = other.load_one(Account, "paid-0")
        for amount in amounts:
            account.apply(Paid(amount=Decimal(amount)))
        other.save(account)
        return account.balance


@pytest.mark.parametrize("more", [(1, 2), (1, 2, 3), (1,)], ids=["same", "further", "behind"])
@each_shared
@each_api
def test_no_caller_goes_on_with_what_is_not_there_any_more(kind, api, more, tmp_path, monkeypatch):
    monkeypatch.setattr(tickets, "HOLD", 3600.0)  # nobody goes on because this takes long
    place = placed(FOLDER, kind, tmp_path)
    pay(place, 1000, 2000)
    waits = threading.Event()
    seen = []

    def put_back(account):
        restore(kind, tmp_path)
        seen.append(pay(place, *more))

    def second(account):
        seen.append(account.balance)
        account.apply(Paid(amount=Decimal(5)))

    if api == "sync":
        blocking(place, waits, put_back, second)
    else:
        asyncio.run(awaiting(place, waits, put_back, second))
    there, loaded = seen[0], seen[-1]
    assert loaded == there
    with sync.EventStore.create(place) as store:
        assert store.load_one(Account, "paid-0").balance == there + 5
        assert store.verify().ok
        assert len(list(store.read(Query(event_types=[Paid])))) > 0


def waiting(store):
    """Whether somebody waits in a line."""
    return any(line.waiting for line in list(store._tickets._lines.values()))


def blocking(place, waits, put_back, second):
    with sync.EventStore.create(place) as store:

        def loads(work):
            # The second waits when this one loads, so that it leaves a copy.
            work._unit._ticket.tickets.enter(
                work._unit._key(("GoldenAccount", "paid-0")), work._unit._ticket
            )
            waits.set()
            while not waiting(store):
                sleep(0.001)
            put_back(work.load_one(Account, "paid-0"))

        def goes_on(work):
            second(work.load_one(Account, "paid-0"))

        threads = [threading.Thread(target=store.transact, args=[loads])]
        threads[0].start()
        assert waits.wait(LIMIT)
        threads.append(threading.Thread(target=store.transact, args=[goes_on]))
        threads[1].start()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()


async def awaiting(place, waits, put_back, second):
    async with EventStore.create(place) as store:

        async def loads(work):
            work._unit._ticket.tickets.enter(
                work._unit._key(("GoldenAccount", "paid-0")), work._unit._ticket
            )
            waits.set()
            while not waiting(store):
                await asyncio.sleep(0.001)
            account = await work.load_one(Account, "paid-0")
            await asyncio.to_thread(put_back, account)

        async def goes_on(work):
            second(await work.load_one(Account, "paid-0"))

        one = asyncio.create_task(store.transact(loads))
        while not waits.is_set():
            await asyncio.sleep(0.001)
        async with asyncio.timeout(LIMIT):
            await store.transact(goes_on)
            await one
