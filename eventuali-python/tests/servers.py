"""Uvicorn with two workers, and what reads its answers."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
from stores import url_of
from support import TESTS

LIMIT = 60
"""After so many seconds a test has failed; none passes or fails by it otherwise."""


class Server:
    """Uvicorn with its workers in processes of their own."""

    def __init__(self, place: object, folder: Path, how: str, app: str) -> None:
        self.log = folder / "uvicorn.log"
        environment = {
            "PYTHONPATH": f"{TESTS}{os.pathsep}{folder}",
            "PLACE": pickle.dumps(place).hex(),
            "HOW": how,
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", app, f"--port={port}", "--workers=2"],
                cwd=folder,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that a Ctrl-C concerns it alone
            )

    def said(self) -> str:
        return self.log.read_text()

    def workers(self) -> list[httpx.Client]:
        """Returns a client of each worker: a connection stays with the one that accepted it."""
        found: dict[int, httpx.Client] = {}
        spare = []
        end = monotonic() + LIMIT
        while len(found) < 2:
            assert monotonic() < end, self.said()
            client = httpx.Client(base_url=self.url, timeout=LIMIT)
            try:
                pid = client.get("/who").json()["pid"]
            except httpx.TransportError:
                client.close()
                assert self.process.poll() is None, self.said()
                sleep(0.05)
                continue
            if found.setdefault(pid, client) is not client:
                spare.append(client)  # stays open, so that the other one has less to do
        for client in spare:
            client.close()
        return list(found.values())

    def client(self) -> httpx.Client:
        """Returns a client, once the server answers; each connection goes to any worker."""
        client = httpx.Client(base_url=self.url, timeout=LIMIT)
        end = monotonic() + LIMIT
        while True:
            try:
                client.get("/")
            except httpx.TransportError:
                assert self.process.poll() is None, self.said()
                assert monotonic() < end, self.said()
                sleep(0.05)
            else:
                return client

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tells it to stop as a terminal or a supervisor does, and waits for it."""
        if self.process.poll() is None:
            if number == signal.SIGINT:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        self.process.wait(LIMIT)


@contextmanager
def served(
    kind: str, folder: Path, how: str = "", app: str = "web_app:app"
) -> Iterator[tuple[Server, list[httpx.Client]]]:
    """Serves an application; yields a client of each worker, or one if it is not `web_app`."""
    server = Server(url_of(kind, folder), folder, how, app)
    clients: list[httpx.Client] = []
    try:
        clients = server.workers() if app == "web_app:app" else [server.client()]
        yield server, clients
        for client in clients:
            client.close()
        server.stop()
        assert "Traceback" not in server.said(), server.said()
    finally:
        for client in clients:
            client.close()
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(LIMIT)


def at_once(calls):
    """Calls functions in threads of their own, and returns their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result(LIMIT) for one in [pool.submit(call) for call in calls]]


def messages(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Reads server-sent events; comments are left out."""
    message: dict[str, str] = {}
    for line in lines:
        if not line:
            if message:
                yield message
            message = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            message[name] = value
