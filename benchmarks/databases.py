"""The databases of a subject on a PostgreSQL server, one after another."""

from __future__ import annotations

import os

from psycopg.sql import SQL, Identifier
from reliability.server import connect, elsewhere


class Databases:
    """One database at a time; the last one goes in the end."""

    def __init__(self, url: str, name: str, *, joined: bool) -> None:
        """Is on the server at `url`; a joined one makes none, but uses that of `url`.

        Raises:
            RuntimeError: Commits are not flushed there before they are acknowledged.
        """
        self._server = url
        self._name = f"bench_{os.getpid()}_{name}"
        self._joined = joined
        self.url = url if joined else elsewhere(url, self._name)
        with connect(url) as beside:
            self.version = str(beside.info.server_version // 10_000)
            for setting in ("synchronous_commit", "fsync", "full_page_writes"):
                (value,) = beside.execute(f"SHOW {setting}").fetchone() or ("",)
                if value != "on":
                    raise RuntimeError(f"{setting} is {value}, not on")

    def fresh(self) -> str:
        """Makes an empty one in the place of the last one, and returns its URL."""
        self.close()
        with connect(self._server) as beside:
            make = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            beside.execute(make.format(Identifier(self._name)))
            beside.execute("CHECKPOINT")
        return self.url

    def close(self) -> None:
        """Drops it."""
        if not self._joined:
            with connect(self._server) as beside:
                drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                beside.execute(drop.format(Identifier(self._name)))
