"""Eventuali on PostgreSQL: the same operations, another URL."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path

from benchmarks.databases import Databases
from benchmarks.subjects.crew import Crew
from benchmarks.subjects.ours import Account, Ours
from eventuali import EventStore
from eventuali.sync import EventStore as SyncEventStore


class OursOnPostgres(Ours):
    """The package. Both of its APIs share one database."""

    def __init__(self, url: str, *, joined: bool) -> None:
        """Makes databases on the server at `url`, or joins the one that `url` names."""
        super().__init__()
        self._databases = Databases(url, "ours", joined=joined)
        self._crew = Crew("pg", self._databases.url)
        self._given: list[Account] = []

    def about(self) -> dict[str, str]:
        """Returns the version of the server as well."""
        return super().about() | {"PostgreSQL": self._databases.version}

    def fresh(self, folder: Path) -> None:
        """Opens a store for each API on an empty database."""
        self._let_go()
        url = self._databases.fresh()
        self._store = self._run(_open(url))
        self._sync = SyncEventStore.create(url)
        self._log_after = None

    def _let_go(self) -> None:
        super()._let_go()
        self._store = self._sync = None
        self._crew.close()

    def close(self) -> None:
        """Closes the stores and drops the database."""
        super().close()
        self._databases.close()

    def op_processes(self, events: int, repeat: int) -> float:
        """Saves from 8 processes, one saver each."""
        return self._crew.save(1, repeat)

    def op_processes_of_savers(self, events: int, repeat: int) -> float:
        """Saves from 8 processes, eight savers each."""
        return self._crew.save(8, repeat)

    def op_ready(self, savers: int, repeat: int) -> float:
        """Prepares what this process of a crew will save."""
        if self._store is None:
            self._store = self._run(_open(self._databases.url))
        self._given = self._prepared_async(self._store, 1, savers * repeat)
        gc.collect()
        return 0.0

    def op_go(self, savers: int, repeat: int) -> float:
        """Saves it; whoever asked takes the time."""
        store, given = self._store, self._given
        assert store is not None  # noqa: S101

        async def saver(mine: Sequence[Account]) -> None:
            for account in mine:
                await store.save(account)

        async def work() -> None:
            await asyncio.gather(*(saver(given[first::savers]) for first in range(savers)))

        self._run(work())
        return 0.0

    def op_done(self, savers: int, repeat: int) -> float:
        """Lets go of the connections."""
        if self._store is not None:
            self._run(self._store.close())
            self._store = None
        return 0.0


async def _open(url: str) -> EventStore:
    return await EventStore.create(url)


def make(url: str, joined: str = "") -> OursOnPostgres:
    """Returns the subject."""
    return OursOnPostgres(url, joined=bool(joined))
