"""A PgBouncer before the server: session mode works, the others are refused before they do harm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit, urlunsplit

import psycopg

from eventuali import ConfigurationError, sync
from reliability import server
from reliability.crowd import Crowd
from reliability.scenario import Job, Scenario

_WRITERS = 3
_SAVERS = 8
_OPENINGS = 20
_SETTINGS = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
logfile = {folder}/log
pool_mode = {mode}
max_client_conn = 200
default_pool_size = 60
"""


def run(job: Job) -> None:
    """Lets as many events be saved as there are cycles, and opens stores in the other modes."""
    report = job.report
    report.backend = "postgres"
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        report.not_run = "pgbouncer is not installed"
        return
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    report.extras["pgbouncer"] = said.stdout.splitlines()[0]
    try:
        with server.database(job.folder) as url:
            with (
                _before(url, program, "session") as pooled,
                Crowd(job, pooled, (100, 1000)) as crowd,
            ):
                crowd.begin(_WRITERS, _SAVERS, job.cycles // _SAVERS)
                crowd.finish(120, passing=False)
                report.done = job.cycles
            refused = [_refused(job, url, program, mode) for mode in ("transaction", "statement")]
            report.extras["refused"] = refused
    except server.NoServerError as error:
        report.not_run = str(error)


def _refused(job: Job, url: str, program: str, mode: str) -> int:
    """Opens stores behind a bouncer that shares sessions; each is to be refused."""
    refused = 0
    with _before(url, program, mode) as pooled:
        for _ in range(_OPENINGS):
            try:
                sync.EventStore.create(pooled).close()
            except ConfigurationError:
                refused += 1
    job.report.expect(refused == _OPENINGS, f"{mode}: {refused} of {_OPENINGS} refused")
    return refused


@contextmanager
def _before(url: str, program: str, mode: str) -> Iterator[str]:
    """Yields the URL of the same database through a PgBouncer of that mode.

    Raises:
        NoServerError: It does not start, or does not get in.
    """
    parts = urlsplit(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    # It does not run as root.
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="fire-bouncer-") as place:
        folder = Path(place)
        folder.chmod(0o777)
        (folder / "users").write_text(
            f'"{parts.username or "postgres"}" "{parts.password or ""}"\n'
        )
        settings = folder / "settings"
        settings.write_text(
            _SETTINGS.format(
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 5432,
                listen=listen,
                folder=folder,
                mode=mode,
            )
        )
        bouncer = subprocess.Popen(
            [program, "-q", settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
        )
        try:
            place_of_server = f"{parts.username or 'postgres'}@127.0.0.1:{listen}"
            pooled = urlunsplit((parts.scheme, place_of_server, parts.path, "", ""))
            _wait(pooled, folder)
            yield pooled
        finally:
            bouncer.terminate()
            bouncer.wait(10)


def _wait(pooled: str, folder: Path) -> None:
    limit = monotonic() + 20
    while True:
        try:
            psycopg.connect(pooled, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if monotonic() > limit:
                log = folder / "log"
                said = log.read_text()[-1000:] if log.exists() else str(error)
                raise server.NoServerError(f"pgbouncer: {said}") from None
            sleep(0.05)
        else:
            return


SCENARIO = Scenario(
    name="bouncer",
    about="PgBouncer: session mode under load; transaction and statement mode are refused",
    run=run,
    cycles=20_000,
    quick=2_000,
)
