"""A disk is full while a command is handled."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest
from stores import each_api, gathered, opened
from test_command_locked import Fill, send

from eventuali.errors import StorageFullError


@contextmanager
def small_disk(folder):
    """Mounts 8 MiB; where that is not allowed, the test does not run."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(ballast):
    """Takes all the room that is left."""
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


@each_api
def test_a_command_is_not_done_while_the_disk_is_full_and_is_then(api, tmp_path):
    async def test(disk):
        async with opened(api, f"sqlite:///{disk / 'events.db'}") as store:
            await send(api, store, Fill(tank="a", litres=1))
            done, refused = 1, None
            fill(disk / "ballast")
            # The log of the file may have room for some more.
            while refused is None:
                command = Fill(command_id=uuid4(), tank="a", litres=1)
                try:
                    await send(api, store, command)
                except StorageFullError:
                    refused = command
                else:
                    done += 1
            with pytest.raises(StorageFullError):
                await send(api, store, refused)
            assert len(await gathered(store.read())) == done, "reads go on"
            (disk / "ballast").unlink()
            handled = await send(api, store, refused)
            assert (handled.repeated, handled.answer) == (False, done + 1)
            again = await send(api, store, refused)
            assert (again.repeated, again.answer, again.position) == (
                True,
                done + 1,
                handled.position,
            )
            assert len(await gathered(store.read())) == done + 1
            assert (await store.verify()).ok

    disk = tmp_path / "disk"
    with small_disk(disk):
        asyncio.run(test(disk))
