"""A user registers, moves to another address, and leaves. Another process reads the story back.

    uv run python examples/01_basic_event_store_simple.py [users.db]

Without a file name the events are kept in a temporary directory, which is removed at the end.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from eventuali import EventStore
from eventuali.aggregate import User
from eventuali.event import UserRegistered

COLUMNS = ("position", "version", "type", "data", "time")


async def write(file: str) -> User:
    user = User()
    user.apply(UserRegistered(name="Ada Lovelace", email="ada@example.com"))
    user.change_email("ada@example.org")
    user.deactivate(reason="moved on")

    async with EventStore.create(file) as store:
        await store.save(user)
    return user


async def read(file: str, user_id: str) -> dict[str, Any]:
    """Returns all that the file knows of a user, as plain values."""
    async with EventStore.create(file) as store:
        user = await store.load_one(User, user_id)
        events = await store.load_events(user_id, User)
    return {
        "state": user.to_dict(),
        "ids": [str(event.event_id) for event in events],
        "times": [event.timestamp.isoformat() for event in events],
        "table": [
            [
                str(event.position),
                str(event.aggregate_version),
                event.event_type,
                str(event),
                event.timestamp.strftime("%H:%M:%S.%f"),
            ]
            for event in events
        ],
    }


def read_in_another_process(file: str, user_id: str) -> dict[str, Any]:
    command = [sys.executable, __file__, file, user_id]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603
    story: dict[str, Any] = json.loads(printed)
    return story


def show(table: list[list[str]]) -> None:
    rows = [list(COLUMNS), *table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["─" * width for width in widths])
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def main(file: str) -> None:
    user = asyncio.run(write(file))
    print(f"Saved {user.name}: {user.version} events in {Path(file).name}\n")

    here = asyncio.run(read(file, user.id))
    show(here["table"])

    there = read_in_another_process(file, user.id)
    print("\nAnother process opened the file and found")
    for name, value in there["state"].items():
        print(f"  {name:10} {value}")

    assert there == here, "two processes read two stories"
    assert there["state"] == user.to_dict(), "the state that was read is not the one that was saved"
    assert there["state"]["email"] == "ada@example.org"
    assert not there["state"]["is_active"]
    assert [row[1] for row in there["table"]] == ["1", "2", "3"]
    print("\nSame state, same event ids, same times, same versions.")


if __name__ == "__main__":
    if len(sys.argv) == 3:  # the other process
        print(json.dumps(asyncio.run(read(sys.argv[1], sys.argv[2]))))
    elif len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(str(Path(directory) / "users.db"))
