"""Stores of each format, as the code of then wrote them: everything in them is as it was."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from postgres_server import server_url
from stores import administrator, each_api, each_shared, opened, schema_of, url_of

GOLDEN = Path(__file__).parent / "golden"
sys.path.append(str(GOLDEN))

from shop import SNAPSHOTS, Account, Paid, picture  # noqa: E402

from eventuali import EventStoreConfig  # noqa: E402
from eventuali.errors import StorageCorruptedError  # noqa: E402

FORMATS = sorted(each.parent for each in GOLDEN.glob("*/expected.json"))
SCHEMA = "golden_schema"

each_format = pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)


def placed(folder: Path, kind: str, beside: Path) -> str | EventStoreConfig:
    """Puts a golden store where a test may change it, and says what opens it."""
    if kind == "sqlite":
        shutil.copy(folder / "events.db", beside / "events.db")
        return url_of(kind, beside)
    schema = schema_of(beside)
    statements = (folder / "events.sql").read_text().replace(SCHEMA, schema)
    with administrator() as connection:
        connection.execute(statements.encode())
    return EventStoreConfig.postgres(server_url()).with_schema(schema)


def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


def test_there_is_one_of_this_format():
    assert FORMATS


@each_format
@each_shared
@each_api
def test_a_store_of_then_is_read_and_goes_on(folder, kind, api, tmp_path):
    place = placed(folder, kind, tmp_path)

    async def main():
        async with opened(api, place, snapshots=SNAPSHOTS) as store:
            assert await picture(store) == expected(folder)
        async with opened(api, place) as store:
            assert await picture(store) == expected(folder)
            assert (await store.verify()).ok
            before = store.stats().last_position
            account = await store.load_one(Account, "paid-0")
            balance = account.balance
            account.apply(Paid(amount=Decimal("0.05")))
            assert (await store.save(account)).positions == (before + 1,)
        async with opened(api, place, snapshots=SNAPSHOTS) as store:
            again = await store.load_one(Account, "paid-0")
            assert (again.version, again.balance) == (account.version, balance + Decimal("0.05"))
            assert (await store.verify()).ok

    asyncio.run(main())


@each_format
def test_what_is_not_as_it_was_is_noticed(folder, tmp_path):
    """The control: an event more, and a byte that is another one."""
    place = placed(folder, "sqlite", tmp_path)

    async def main():
        async with opened("sync", place) as store:
            await store.append([Paid(amount=Decimal(1))])
            assert await picture(store) != expected(folder)
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("DROP TRIGGER event_log_stays")
            connection.execute("UPDATE event_log SET timestamp = timestamp + 1 WHERE position = 50")
        async with opened("sync", place) as store:
            with pytest.raises(StorageCorruptedError):
                await picture(store)

    asyncio.run(main())
