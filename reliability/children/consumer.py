"""A member of a consumer group, until it is told to leave or ends otherwise.

    python -m reliability.children.consumer FILE

Is told a `reliability.consuming.Duty` on stdin, and writes what it handles into FILE. Events with
some values are special: their handler

    exits       ends the process
    aborts      ends it by a signal
    hoards      takes memory, and is killed as the kernel kills who has too much
    no-memory   finds none, and raises MemoryError
    raises      raises
    sleeps S    keeps the loop (or its thread) for so many seconds, the first time
    grips S     keeps the lock of the interpreter for so many seconds, the first time
    waits S     takes so many seconds, and keeps nothing
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from eventuali import Event, EventStore, Query, Retry, sync
from eventuali._engine.consuming import _LOST, Consuming
from eventuali._engine.membership import Held
from eventuali._engine.places import Work
from eventuali.errors import CheckpointMismatchError
from eventuali.group import Group, GroupStatus, delivery
from reliability.broken import break_groups
from reliability.consuming import GROUP, Duty
from reliability.variant import VARIABLE
from reliability.workload import Noted, text_of

_HOARD, _CHUNK = 256 << 20, 16 << 20
MENDED = "mended"
"""The text of an event that was edited."""


class Oops(Exception):
    """What a handler raises."""


class Handler:
    """Handles events, and says so."""

    def __init__(self, duty: Duty, out: int) -> None:
        """Has handled nothing yet."""
        self._duty = duty
        self._out = out
        self._chance = Random(f"{duty.url}/{os.getpid()}")

    def say(self, what: str, position: int, value: int) -> None:
        """Writes a line."""
        place = delivery()
        line = f"{what} {time.monotonic_ns()} {place.partition} {place.generation}"
        os.write(self._out, f"{line} {position} {value}\n".encode())

    def begin(self, event: Event) -> float:
        """Begins with an event; returns how long it takes from now on."""
        assert isinstance(event, Noted)
        self.say("began", event.meta.position or 0, event.value)
        mended = event.text == MENDED
        assert mended or event.text == text_of(event.value), f"the text of {event.value} changed"
        special = "" if mended else self._duty.special.get(str(event.value), "")
        what, *words = special.split() or [""]
        if what == "waits":
            return float(words[0])
        if what:
            getattr(self, f"_{what.replace('-', '_')}")(event, *map(float, words))
        return self._chance.uniform(0, self._duty.pause)

    def end(self, event: Event) -> None:
        """Ends it."""
        assert isinstance(event, Noted)
        what = "mended" if event.text == MENDED else "done"
        self.say(what, event.meta.position or 0, event.value)

    def blocking(self, event: Event) -> None:
        """Handles an event in a thread."""
        time.sleep(self.begin(event))
        self.end(event)

    async def awaited(self, event: Event) -> None:
        """Handles an event in a loop."""
        pause = self.begin(event)
        if self._duty.holds_loop:
            time.sleep(pause)
        else:
            await asyncio.sleep(pause)
        self.end(event)

    # --- what special events do -------------------------------------------------------------------

    def _exits(self, _: Event) -> None:
        os._exit(3)

    def _aborts(self, _: Event) -> None:
        faulthandler.disable()  # nobody is to read its stacks
        os.abort()

    def _hoards(self, _: Event) -> None:
        taken = [bytearray(os.urandom(1)) * _CHUNK for _ in range(_HOARD // _CHUNK)]
        assert taken
        os.kill(os.getpid(), signal.SIGKILL)

    def _no_memory(self, _: Event) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size, limits = pages * resource.getpagesize(), resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + _HOARD, limits[1]))
        try:
            bytearray(2 * _HOARD)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)

    def _raises(self, event: Event) -> None:
        raise Oops(event)

    def _sleeps(self, event: Event, seconds: float) -> None:
        if self._first(event):
            time.sleep(seconds)

    def _grips(self, event: Event, seconds: float) -> None:
        if self._first(event):
            ctypes.PyDLL(None).usleep(round(seconds * 1e6))

    def _first(self, event: Event) -> bool:
        assert isinstance(event, Noted)
        try:
            (Path(self._duty.folder) / f"kept-{event.value}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def watch_releases(handler: Handler) -> None:
    """Has it said whether a partition was given away, and what is lost is written once more."""
    original = Consuming._released

    def released(self: Consuming, held: Held) -> Work:
        gives = held.status != _LOST
        yield from original(self, held)
        try:
            yield held.flush()  # nothing is left of what was given away
        except CheckpointMismatchError:
            handler.say("refused", 0, 0)
        else:
            handler.say("gave" if gives else "lost", 0, 0)

    Consuming._released = released  # type: ignore[method-assign]


def main() -> None:
    """Joins."""
    out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    line = sys.stdin.readline()
    if not line:
        return  # it is not needed
    duty = Duty.of(line)
    handler = Handler(duty, out)
    watch_releases(handler)
    break_groups(os.environ.get(VARIABLE, ""))
    if duty.threads:
        in_threads(duty, handler)
    else:
        asyncio.run(in_a_loop(duty, handler))


def group(duty: Duty, handler: Callable[[Noted], Any]) -> Group[Noted]:
    """Returns the group."""
    policy = Retry(duty.retries, backoff=0.01)
    return Group(
        GROUP,
        handler,
        Query(event_types=[Noted]),
        partitions=duty.partitions,
        lease=duty.lease,
        deadline=duty.deadline,
        on_error=policy.then("park") if duty.parks else policy,
    )


async def in_a_loop(duty: Duty, handler: Handler) -> None:
    """Is a member whose handlers share a loop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EventStore.create(duty.url) as store:
        async with store.join(group(duty, handler.awaited)) as member:
            print("joined", flush=True)
            await stop.wait()
            status = member.status()
        left(status, member.status())


def in_threads(duty: Duty, handler: Handler) -> None:
    """Is a member with a thread for each partition."""
    told = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, told)  # in every thread that begins from now on
    with sync.EventStore.create(duty.url) as store:
        with store.join(group(duty, handler.blocking)) as member:
            print("joined", flush=True)
            signal.sigwait(told)
            status = member.status()
        left(status, member.status())


def left(before: GroupStatus, after: GroupStatus) -> None:
    """Says what became of it."""
    stands = [
        (each.number, each.failed_at, repr(each.error))
        for each in before.owned
        if each.state == "faulted"
    ]
    print(json.dumps({"lost": after.lost, "stands": stands}), flush=True)


if __name__ == "__main__":
    main()
