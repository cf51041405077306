"""S on PostgreSQL: the package `eventsourcing` with its PostgreSQL recorder and its own settings.

Only its pool is made larger where 8 threads of a process share it, so that none of them waits.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from psycopg.conninfo import conninfo_to_dict

from benchmarks.databases import Databases
from benchmarks.subjects import in_threads
from benchmarks.subjects.crew import Crew
from benchmarks.subjects.sourcing import Account, Sourcing


def environment(url: str) -> dict[str, str]:
    """Returns the settings of an application on PostgreSQL."""
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts.get("dbname", "")),
        "POSTGRES_HOST": str(parts.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(parts.get("port", "5432")),
        "POSTGRES_USER": str(parts.get("user", "")),
        "POSTGRES_PASSWORD": str(parts.get("password", "")),
    }


class SourcingOnPostgres(Sourcing):
    """The package."""

    def __init__(self, url: str, *, joined: bool) -> None:
        """Makes databases on the server at `url`, or joins the one that `url` names."""
        super().__init__()
        self._databases = Databases(url, "eventsourcing", joined=joined)
        self._crew = Crew("pg_s", self._databases.url)
        self._given: list[Account] = []

    def about(self) -> dict[str, str]:
        """Returns the versions."""
        return {
            "eventsourcing": version("eventsourcing"),
            "psycopg": version("psycopg"),
            "PostgreSQL": self._databases.version,
        }

    def fresh(self, folder: Path) -> None:
        """Makes the application on an empty database."""
        self._let_go()
        self._databases.fresh()
        self._log_start = None
        self._app = self._opened()

    def _opened(self, pool: int = 0) -> Application[UUID]:
        env = environment(self._databases.url)
        if pool:
            env |= {"POSTGRES_POOL_SIZE": str(pool), "POSTGRES_MAX_OVERFLOW": "0"}
        return Application(env=env)

    def _let_go(self) -> None:
        super().close()
        self._crew.close()

    def close(self) -> None:
        """Closes the application and drops the database."""
        self._let_go()
        self._databases.close()

    def op_processes(self, events: int, repeat: int) -> float:
        """Saves from 8 processes, one thread each."""
        return self._crew.save(1, repeat)

    def op_processes_of_savers(self, events: int, repeat: int) -> float:
        """Saves from 8 processes, eight threads each."""
        return self._crew.save(8, repeat)

    def op_ready(self, savers: int, repeat: int) -> float:
        """Prepares what this process of a crew will save."""
        if self._app is None:
            self._app = self._opened(savers)
        self._given = self._prepared(1, savers * repeat)
        gc.collect()
        return 0.0

    def op_go(self, savers: int, repeat: int) -> float:
        """Saves it; whoever asked takes the time."""
        app, given = self.app, self._given

        def saver(mine: Sequence[Account]) -> None:
            for account in mine:
                app.save(account)

        in_threads(saver, given, savers)
        return 0.0

    def op_done(self, savers: int, repeat: int) -> float:
        """Lets go of the connections."""
        super().close()
        return 0.0


def make(url: str, joined: str = "") -> SourcingOnPostgres:
    """Returns the subject."""
    return SourcingOnPostgres(url, joined=bool(joined))
