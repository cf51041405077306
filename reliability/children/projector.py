"""Runs the projections of the scenarios, and says how they do.

    python -m reliability.children.projector MOMENTS [MODULE …]

It imports the modules, and waits for a line on its stdin, since to begin takes Python longer than
most of them live:

    URL TABLES VERSION HOW SEED [NAME NUMBER KIND]

TABLES is the address of a database with tables of the user's, or `-` where documents are in the
store. What each projection does is in the file MOMENTS, which outlives the process.

HOW is `run`, until somebody kills it; `rebuild`, which builds one of them anew meanwhile, again
and again; or a position, at which it ends once both are live there, or one is faulted and the other
has come so far. It has an event loop or none, as SEED says. The projection NAME can't handle the
event NUMBER: its handler raises, or ends the process where KIND is `deadly`.

    ready                       it begins
    rebuilding NAME             the documents are being built anew
    worked EVENTS               so much was handled by each of those that run, or by the rebuild
    swapping NAME               what was built is about to be
    rebuilt NAME                what was built is live
    live                        both projections are live
    faulted NAME AT ERROR       one has stopped
    refused WHAT                a call failed
    {…}                         where they stand in the end
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from random import Random
from threading import Thread
from time import sleep

from eventuali import EventStore, Retry, sync
from eventuali._engine import projecting
from eventuali._engine.lifecycle import Durability
from eventuali._engine.progress import Progress
from eventuali.projection import ProjectionStatus, Runnable, projection_of
from reliability import moments
from reliability.broken import break_projections
from reliability.projecting import IN_THE_STORE, Poison, versions_of
from reliability.variant import VARIABLE

_LOOKS_S = 0.01
_ABANDONED_S = 0.2
_SWEPT_S = 5 * _ABANDONED_S
"""After so long the last process takes a rebuild that stands still for one that was killed."""
_STEP = 200
"""Events after which a process says that it works."""
_RETRY = Retry(times=1, backoff=0.01)


class Teller:
    """Says what changes."""

    def __init__(self, how: str) -> None:
        """Ends at a position, if that is how."""
        self._until = int(how) if how.isdigit() else None
        self._runs = how == "run"
        self._next = _STEP
        self._live = False
        self.faulted: set[str] = set()

    def look(self, ask: Callable[[], Sequence[ProjectionStatus]]) -> bool:
        """Tells how projections do; whether that is the end."""
        try:
            statuses = ask()
        except Exception as error:
            say(f"refused status: {error!r}")
            return False
        for status in statuses:
            if status.state == "faulted" and status.name not in self.faulted:
                self.faulted.add(status.name)
                say(f"faulted {status.name} {status.failed_at} {status.error!r}")
        least = min(status.handled for status in statuses)
        if self._runs and least >= self._next:
            self._next = least + _STEP
            say(f"worked {least}")
        live = all(status.state == "live" and not status.rebuilding for status in statuses)
        if live and not self._live:
            say("live")
        self._live = live
        until = self._until
        if until is None or not all(
            status.name in self.faulted or (status.state == "live" and status.position >= until)
            for status in statuses
        ):
            return False
        keys = ("name", "state", "position", "failed_at", "handled", "rebuilding")
        say(json.dumps([{key: getattr(status, key) for key in keys} for status in statuses]))
        return True


def durability_of(seed: str) -> Durability:
    """Returns what is drawn: flushing is slow, and what a process hands over outlives it."""
    return "full" if Random(f"durability/{seed}").random() < 0.25 else "relaxed"


def say(text: str) -> None:
    """Writes a line in one call."""
    os.write(1, f"{text}\n".encode())


def main() -> None:
    """Runs them."""
    moments_file, *modules = sys.argv[1:]
    for module in modules:
        import_module(module)
    words = sys.stdin.readline().split()
    if not words:
        return  # nobody needs it
    url, place, version, how, seed, *poison = words
    break_projections(os.environ.get(VARIABLE, ""))
    moments.watch(Path(moments_file), lambda name: say(f"swapping {name}"))
    if how.isdigit():
        projecting.ABANDONED = _ABANDONED_S
    chance = Random(seed)
    blocking = chance.random() < 0.5
    whose, number, deadly = poison or ("", "0", "")
    sick = {whose: Poison(int(number), deadly=deadly == "deadly")}
    made, anew = made_in(place, int(version), sick, chance, blocking=blocking)
    if blocking:
        without_a_loop(url, durability_of(seed), made, anew, how)
    else:
        asyncio.run(in_a_loop(url, durability_of(seed), made, anew, how))


def made_in(
    place: str, version: int, sick: dict[str, Poison], chance: Random, *, blocking: bool
) -> tuple[list[Runnable], Runnable]:
    """Returns the projections, and the one that is built anew."""
    if place != IN_THE_STORE:
        from reliability import tables  # it takes a while

        made = tables.placed(place, version, sick, blocking=blocking)
        return list(made), chance.choice(tables.placed(place, version, {}, blocking=blocking))
    classes = versions_of(version, blocking=blocking)
    anew = chance.choice(classes)()
    return [each(sick.get(each.__projection_name__)) for each in classes], anew


async def in_a_loop(
    url: str,
    durability: Durability,
    projections: Sequence[Runnable],
    anew: Runnable,
    how: str,
) -> None:
    """Runs them as tasks."""
    teller = Teller(how)
    async with EventStore.create(url, durability=durability) as store:
        say("ready")
        async with store.run(*projections, on_error=_RETRY) as running:
            building = asyncio.create_task(rebuild(store, anew)) if how == "rebuild" else None
            while not teller.look(running.status):
                await asyncio.sleep(_LOOKS_S)
            if building is not None:
                building.cancel()
            if how.isdigit() and not teller.faulted:
                await running.wait_for(int(how), timeout=10)
                await asyncio.sleep(_SWEPT_S)  # what was killed is removed


async def rebuild(store: EventStore, projection: Runnable) -> None:
    """Builds it anew, again and again."""
    name = projection_of(projection).__projection_name__
    while True:
        told = _told(name)
        try:
            await store.rebuild(projection, progress=told)
            say(f"rebuilt {name}")
        except Exception as error:
            say(f"refused rebuild of {name}: {error!r} because of {error.__cause__!r}")
            await asyncio.sleep(_LOOKS_S)


def without_a_loop(
    url: str,
    durability: Durability,
    projections: Sequence[Runnable],
    anew: Runnable,
    how: str,
) -> None:
    """Runs them in threads."""
    teller = Teller(how)
    with sync.EventStore.create(url, durability=durability) as store:
        say("ready")
        with store.run(*projections, on_error=_RETRY) as running:
            if how == "rebuild":
                Thread(target=rebuild_without_a_loop, args=(store, anew), daemon=True).start()
            while not teller.look(running.status):
                sleep(_LOOKS_S)
            if how.isdigit() and not teller.faulted:
                running.wait_for(int(how), timeout=10)
                sleep(_SWEPT_S)  # what was killed is removed


def rebuild_without_a_loop(store: sync.EventStore, projection: Runnable) -> None:
    """Builds it anew, again and again."""
    name = projection_of(projection).__projection_name__
    while True:
        told = _told(name)
        try:
            store.rebuild(projection, progress=told)
            say(f"rebuilt {name}")
        except Exception as error:
            say(f"refused rebuild of {name}: {error!r} because of {error.__cause__!r}")
            sleep(_LOOKS_S)


def _told(name: str) -> Progress:
    said = -_STEP

    def tell(position: int, end: int) -> None:
        nonlocal said
        if said < 0:
            say(f"rebuilding {name}")
        if position >= said + _STEP:
            said = position
            say(f"worked {position}")

    return tell


if __name__ == "__main__":
    main()
