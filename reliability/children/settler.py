"""Saves on a server that is being troubled, and repeats what is left unknown until it is settled.

    python -m reliability.children.settler URL SEED NUMBER SAVERS EVENTS STOP HOW

Ends once so many events are acknowledged, or the file STOP is there; the last save of each saver
must succeed, on the store that was opened in the beginning. HOW is empty where an unknown save is
repeated as it is; `new-events` is the wrong way: its facts are saved as new events.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from eventuali import EventStore, OptimisticConcurrencyError, OutcomeUnknownError
from eventuali.errors import DatabaseError, EventualiError
from reliability.history import Recorder, Write
from reliability.workload import NUMBERS, Plan, events_of, recorded, stream_of

STREAMS = 12
"""That all processes share."""
MOST = 4
"""Events of a commit: each may keep it from becoming visible for as long as a trigger sleeps."""


class Saver:
    """One task of a process."""

    def __init__(self, store: EventStore, plan: Plan, recorder: Recorder, how: str) -> None:
        self.store = store
        self.plan = plan
        self.recorder = recorder
        self.how = how

    async def save(self) -> int:
        """Saves once; returns how many events were acknowledged."""
        writes, ask = self.plan.step("s")
        try:
            return await self._ask(writes, ask)
        except OutcomeUnknownError:
            return await self._settle(writes, ask)
        except OptimisticConcurrencyError:
            return 0
        except DatabaseError as error:
            self.recorder.line("error", error=type(error).__name__, text=str(error)[:200])
            await asyncio.sleep(0.01)
            return 0

    async def _ask(self, writes: tuple[Write, ...], ask: Callable[[Any], Any]) -> int:
        with recorded(self.recorder, *writes) as told:
            told(await ask(self.store))
        return sum(write.size for write in writes)

    async def _settle(self, writes: tuple[Write, ...], ask: Callable[[Any], Any]) -> int:
        self.recorder.line("doubt", events=sum(write.size for write in writes))
        while True:
            try:
                if self.how == "new-events":
                    saved = await self._ask(writes, lambda store: _again(store, writes))
                else:
                    saved = await self._ask(writes, ask)
            except OptimisticConcurrencyError:
                saved = 0
            except DatabaseError:
                await asyncio.sleep(0.05)
                continue
            self.recorder.line("settled", stored=saved > 0)
            return saved


async def _again(store: Any, writes: tuple[Write, ...]) -> Any:
    (write, *_) = writes
    return await store.append(events_of(write), stream=stream_of(write.stream))


async def work(
    url: str, seed: str, base: int, savers: int, events: int, stop: Path, how: str
) -> None:
    """Saves until it is over."""
    recorder = Recorder(lambda line: sys.stdout.buffer.write(line))
    saved = 0
    async with EventStore.create(url) as store:
        recorder.line("ready")
        sys.stdout.buffer.flush()

        async def save(number: int) -> None:
            nonlocal saved
            own = base * savers + number
            saver = Saver(store, Plan(Random(f"{seed}/{own}"), own, STREAMS, MOST), recorder, how)
            while saved < events and not stop.exists():
                saved += await saver.save()
            write = Write(f"last-{own}", (own + 1) * NUMBERS - 1, 1)
            with recorded(recorder, write) as told:
                told(await store.append(events_of(write), stream=stream_of(write.stream)))

        await asyncio.gather(*map(save, range(savers)))
    recorder.line("end")
    sys.stdout.buffer.flush()


def main() -> None:
    """Runs it; an error ends it, and with it the scenario."""
    url, seed, base, savers, events, stop, how = sys.argv[1:]
    try:
        asyncio.run(work(url, seed, int(base), int(savers), int(events), Path(stop), how))
    except EventualiError as error:
        sys.stdout.buffer.flush()
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
