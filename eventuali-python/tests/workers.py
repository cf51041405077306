"""Workers in processes of their own, and what they run."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from pots import Poured, Total, Writer, check_pots, check_sums
from stores import opened
from support import TESTS

from eventuali import sync

LIMIT = 60
"""After so many seconds a worker has failed; no test passes or fails by it otherwise."""

SHOP = """
import asyncio, os, pickle, signal, sys, time
from typing import Any
from eventuali import EventStore, Projection, Retry
from eventuali.worker import Worker
from pots import Pot, PotBroken, PotFilled, PotMade, Pots, Poured, Sums, Total

PLACE = pickle.loads(bytes.fromhex(os.environ["PLACE"]))
HOW = os.environ.get("HOW", "")

class Steps:
    count = 0

    def step(self):
        if HOW == "slow":
            self.count += 1
            if self.count == 500:
                print("in the middle", file=sys.stderr, flush=True)
            if self.count >= 500:
                time.sleep(0.001)

class SlowPots(Steps, Pots, name="Pots"):
    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        self.step()
        return super().on_filled(event, doc)

class SlowSums(Steps, Sums, name="Sums"):
    async def on_filled(self, event: PotFilled, docs: Any) -> None:
        self.step()
        await super().on_filled(event, docs)

class Poison(Projection[Total], name="Poison"):
    def key(self, event):
        return "all"

    def on_any(self, event: Poured, doc: Total | None) -> Total:
        if event.amount == 13:
            match HOW:
                case "exit":
                    sys.exit(3)
                case "interrupt":
                    raise KeyboardInterrupt
                case "raise":
                    raise ValueError("thirteen")
                case "hang":
                    print("hanging", file=sys.stderr, flush=True)
                    while True:
                        time.sleep(0.01)
        return Total(events=(doc.events if doc else 0) + 1)

pots = Worker(PLACE, SlowPots(), SlowSums())
poison = Worker(PLACE, Poison())
both = Worker(PLACE, Poison(), Pots(), on_error=Retry(2, backoff=0.001))
"""

RUN = """
import sys
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""


class Process:
    """A worker in a process of its own, and what it has printed to stderr."""

    def __init__(self, place: object, name: str, folder: Path, how: str, code: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        environment = {"PYTHONPATH": str(TESTS), "PLACE": pickle.dumps(place).hex(), "HOW": how}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, f"shop:{name}"],
            cwd=folder,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()

    def has(self, *texts: str) -> bool:
        return all(any(text in line for line in self.lines) for text in texts)

    def wait_for(self, *texts: str) -> None:
        """Waits until each text was printed."""
        with self._more:
            assert self._more.wait_for(lambda: self.has(*texts), LIMIT), self.lines

    def wait_for_any(self, *texts: str) -> None:
        """Waits until one of the texts was printed."""
        with self._more:
            found = self._more.wait_for(lambda: any(map(self.has, texts)), LIMIT)
            assert found, self.lines

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Waits for the end; returns the exit code."""
        try:
            return self.process.wait(LIMIT)
        finally:
            self._reader.join(LIMIT)

    def stop(self) -> int:
        self.tell(signal.SIGTERM)
        return self.ended()


@contextmanager
def process(place: object, name: str, folder: Path, how: str = "", code: str = RUN):
    found = Process(place, name, folder, how, code)
    try:
        yield found
    finally:
        found.process.kill()
        found.ended()
        found.process.stderr.close()


def filled(place: object, *amounts: int) -> int:
    """Stores events; returns the position of the last."""
    with sync.EventStore.create(place) as store:
        return store.append([Poured(amount=amount) for amount in amounts]).positions[-1]


def written(place: object, seed: object, count: int) -> None:
    async def write():
        async with opened("async", place) as store:
            await Writer(seed).write(store, count)

    asyncio.run(write())


async def checked(place: object) -> None:
    async with opened("async", place) as store:
        await check_pots(store)
        await check_sums(store)


def total(place: object) -> int:
    with sync.EventStore.create(place) as store:
        return found.events if (found := store.get(Total, "all")) else 0
