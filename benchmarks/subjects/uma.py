"""UmaDB: its server in a process of its own, asked through its client for Python.

A stream is a tag. A save is an append on condition that no event with the tag came meanwhile,
which is what an expected version is to Eventuali.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from umadb import AppendCondition, Client, Event, Query, QueryItem, TransportError

from benchmarks.subjects import AUTHORS, SAVERS, in_threads, note, payload, timed

PATIENCE = 10.0
"""Seconds that the server has to start."""
Append = tuple[list[Event], AppendCondition | None]


def query(tag: str) -> Query:
    """Returns the events of a stream."""
    return Query(items=[QueryItem(tags=[tag])])


def written(tag: str, events: int) -> list[Event]:
    """Returns so many events of a stream."""
    return [Event("Added", payload(number), [tag]) for number in range(events)]


class Uma:
    """The server and a client that is shared by all threads."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None
        self._streams = 0

    def about(self) -> dict[str, str]:
        """Returns its version."""
        return {"umadb": version("umadb")}

    def fresh(self, folder: Path) -> None:
        """Starts a server with its default settings."""
        self.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        program = Path(sys.executable).parent / "umadb"
        self._server = subprocess.Popen(  # noqa: S603
            [program, "--listen", address, "--db-path", folder / "uma.db"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._client = _connect(f"http://{address}")

    def close(self) -> None:
        """Stops the server."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._server is not None:
            self._server.terminate()
            self._server.wait(PATIENCE)
            self._server = None

    @property
    def client(self) -> Client:
        """The client."""
        if self._client is None:
            raise RuntimeError("there is no server yet")
        return self._client

    def _tag(self) -> str:
        self._streams += 1
        return f"stream-{self._streams}"

    def _prepared(self, events: int, repeat: int) -> list[Append]:
        """Returns what to append to streams that have one event each."""
        tags = [self._tag() for _ in range(repeat)]
        self.client.append([event for tag in tags for event in written(tag, 1)])
        head = self.client.head()
        return [(written(tag, events), AppendCondition(query(tag), after=head)) for tag in tags]

    def _append(self, given: Sequence[Append]) -> None:
        append = self.client.append
        for events, condition in given:
            append(events, condition=condition)

    def op_save(self, events: int, repeat: int) -> float:
        """Appends to streams one after another."""
        given = self._prepared(events, repeat)
        return timed(lambda: self._append(given), repeat)

    def op_savers(self, events: int, repeat: int) -> float:
        """Appends from 64 threads."""
        given = self._prepared(events, SAVERS * repeat)
        return timed(lambda: in_threads(self._append, given), SAVERS * repeat)

    def op_savers_any(self, events: int, repeat: int) -> float:
        """Appends from 64 threads, on no condition."""
        given: list[Append] = [(e, None) for e, _ in self._prepared(events, SAVERS * repeat)]
        return timed(lambda: in_threads(self._append, given), SAVERS * repeat)

    def op_load(self, events: int, repeat: int) -> float:
        """Reads streams and sums them up."""
        tags = [self._tag() for _ in range(repeat)]
        for tag in tags:
            self.client.append(written(tag, events))

        def work() -> None:
            for tag in tags:
                total = 0
                for found in self.client.read(query(tag)):
                    total += json.loads(found.event.data)["amount"]

        return timed(work, repeat)

    def op_read(self, events: int, repeat: int) -> float:
        """Reads the log in order and sums up by a field."""
        for first in range(0, events, 1000):
            tag = note(first // 1000 % AUTHORS)
            self.client.append(written(tag, 1000))
        totals: dict[str, int] = {}
        start = (self.client.head() or 0) - events + 1

        def work() -> None:
            reading = self.client.read(start=start)
            while page := reading.next_batch():
                for found in page:
                    fields = json.loads(found.event.data)
                    key = fields["note"]
                    totals[key] = totals.get(key, 0) + fields["amount"]

        return timed(work, events)


def _connect(url: str) -> Client:
    begun = time.monotonic()
    while True:
        try:
            client = Client(url)
            client.head()
        except (TransportError, RuntimeError):
            if time.monotonic() - begun > PATIENCE:
                raise
            time.sleep(0.02)
        else:
            return client


def make() -> Uma:
    """Returns the subject."""
    return Uma()
