"""Saves with an inline projection or without, runs it, or builds it anew, until it is killed.

    python -m reliability.children.inliner MOMENTS

It waits for a line on its stdin, since to begin takes Python longer than most of them live:

    URL HOW SEED BASE

HOW is `inline` or `plain` for three who save, with the projection or without; `run`; `rebuild`,
again and again; or `end`, which runs it until it has caught up and what was killed is swept away.
It has an event loop or none, as SEED says. BASE numbers the values of those who save.

Every line on stdout is a line of a `Recorder`. Beside commits these are:

    ready       it begins
    seen        documents that were read: when that began, and their states by their keys
    swapping    what was built is about to take the place of what was live
    rebuilt     it has
    refused     a rebuild failed, or a projection that runs is faulted
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Lock, Thread
from time import monotonic_ns, sleep

from eventuali import EventStore, OptimisticConcurrencyError, sync
from eventuali._engine import projecting
from eventuali.projection import ProjectionStatus
from reliability import moments
from reliability.broken import break_projections
from reliability.children.projector import durability_of
from reliability.history import Recorder, Write
from reliability.inlining import PAGE, Basket, Content, Contents, Plan, State, state_of
from reliability.variant import VARIABLE
from reliability.workload import recorded

SAVERS = 3
_LOOKS_S = 0.01
_ABANDONED_S = 0.2
_SWEPT_S = 5 * _ABANDONED_S
_CAUGHT_UP_S = 60
_FINDS = 0.3
"""After so many of the saves all documents are read."""
_PAUSES_S = (0.0, 0.03, 0.15)
"""The longest pause between saves. Where all are in haste, pages of a runner meet conflicts."""


class Client:
    """What the processes have in common, with a loop and without."""

    def __init__(self, how: str, seed: str, base: int) -> None:
        """Lines go to stdout, one at a time."""
        self.how = how
        self._lock = Lock()
        self.recorder = Recorder(self._sink)
        self.plans = [Plan(Random(f"{seed}/{n}"), base + n) for n in range(SAVERS)]
        self.inline = [Contents()] if how == "inline" else []
        self.pause_s = Random(f"pause/{seed}").choice(_PAUSES_S)

    def _sink(self, line: bytes) -> None:
        with self._lock:  # more than PIPE_BUF bytes of two threads could mingle
            os.write(1, line)

    def seen(self, begun: int, states: dict[str, State]) -> None:
        """Notes what was read."""
        self.recorder.line("seen", begun=begun, states=states)

    def all_seen(self, begun: int, found: Sequence[Content]) -> None:
        """Notes all documents."""
        self.seen(begun, {each.key: state_of(each) for each in found})

    def refused(self, error: BaseException) -> None:
        """Notes that a rebuild failed."""
        self.recorder.line("refused", error=f"{error!r} because of {error.__cause__!r}")

    def looked_at(self, statuses: Sequence[ProjectionStatus]) -> bool:
        """Notes a projection that is faulted; whether it is."""
        faulted = [repr(each.error) for each in statuses if each.state == "faulted"]
        if faulted:
            self.recorder.line("refused", error=f"faulted: {faulted}")
        return bool(faulted)


async def save(client: Client, store: EventStore, plan: Plan) -> None:
    """Saves on and on, and reads the documents of what it saved."""
    while True:
        names = plan.baskets()
        loaded = [await store.load(Basket, name) or Basket(id=name) for name in names]
        writes, ask = plan.apply(loaded) if loaded else plan.append()
        with suppress(OptimisticConcurrencyError), recorded(client.recorder, *writes) as told:
            answer = await ask(store)
            told(answer)
            plan.stored(writes, answer)
            await _read(client, store, plan, writes)
        await asyncio.sleep(plan.chance.uniform(0, client.pause_s))


async def _read(client: Client, store: EventStore, plan: Plan, writes: Sequence[Write]) -> None:
    for write in writes if client.inline else ():
        begun = monotonic_ns()
        document = await store.get(Content, write.stream)
        client.seen(begun, {write.stream: state_of(document)})
    if plan.chance.random() < _FINDS:
        begun = monotonic_ns()
        client.all_seen(begun, await store.find(Content, limit=PAGE))


async def in_a_loop(url: str, seed: str, client: Client) -> None:
    """Does it in tasks."""
    durability, recorder = durability_of(seed), client.recorder
    async with EventStore.create(url, durability=durability, inline=client.inline) as store:
        recorder.line("ready")
        match client.how:
            case "inline" | "plain":
                await asyncio.gather(*(save(client, store, plan) for plan in client.plans))
            case "rebuild":
                while True:
                    try:
                        await store.rebuild(Contents())
                        recorder.line("rebuilt")
                    except Exception as error:
                        client.refused(error)
                        await asyncio.sleep(_LOOKS_S)
            case _:
                async with store.run(Contents()) as running:
                    if client.how == "end":
                        await running.caught_up(timeout=_CAUGHT_UP_S)
                        await asyncio.sleep(_SWEPT_S)
                    while not client.looked_at(running.status()) and client.how == "run":
                        await asyncio.sleep(_LOOKS_S)


def save_without_a_loop(client: Client, store: sync.EventStore, plan: Plan) -> None:
    """Saves on and on, and reads the documents of what it saved."""
    while True:
        names = plan.baskets()
        loaded = [store.load(Basket, name) or Basket(id=name) for name in names]
        writes, ask = plan.apply(loaded) if loaded else plan.append()
        with suppress(OptimisticConcurrencyError), recorded(client.recorder, *writes) as told:
            answer = ask(store)
            told(answer)
            plan.stored(writes, answer)
            _read_without_a_loop(client, store, plan, writes)
        sleep(plan.chance.uniform(0, client.pause_s))


def _read_without_a_loop(
    client: Client, store: sync.EventStore, plan: Plan, writes: Sequence[Write]
) -> None:
    for write in writes if client.inline else ():
        begun = monotonic_ns()
        document = store.get(Content, write.stream)
        client.seen(begun, {write.stream: state_of(document)})
    if plan.chance.random() < _FINDS:
        begun = monotonic_ns()
        client.all_seen(begun, store.find(Content, limit=PAGE))


def without_a_loop(url: str, seed: str, client: Client) -> None:
    """Does it in threads."""
    durability, recorder = durability_of(seed), client.recorder
    with sync.EventStore.create(url, durability=durability, inline=client.inline) as store:
        recorder.line("ready")
        match client.how:
            case "inline" | "plain":
                savers = [
                    Thread(target=save_without_a_loop, args=(client, store, plan))
                    for plan in client.plans
                ]
                for saver in savers:
                    saver.start()
                for saver in savers:
                    saver.join()
            case "rebuild":
                while True:
                    try:
                        store.rebuild(Contents())
                        recorder.line("rebuilt")
                    except Exception as error:
                        client.refused(error)
                        sleep(_LOOKS_S)
            case _:
                with store.run(Contents()) as running:
                    if client.how == "end":
                        running.caught_up(timeout=_CAUGHT_UP_S)
                        sleep(_SWEPT_S)
                    while not client.looked_at(running.status()) and client.how == "run":
                        sleep(_LOOKS_S)


def main() -> None:
    """Does what it is told."""
    words = sys.stdin.readline().split()
    if not words:
        return  # nobody needs it
    url, how, seed, base = words
    break_projections(os.environ.get(VARIABLE, ""))
    client = Client(how, seed, int(base))
    if how in ("run", "rebuild"):
        moments.watch(Path(sys.argv[1]), lambda _: client.recorder.line("swapping"))
    if how == "end":
        projecting.ABANDONED = _ABANDONED_S
    if Random(seed).random() < 0.5:
        without_a_loop(url, seed, client)
    else:
        asyncio.run(in_a_loop(url, seed, client))


if __name__ == "__main__":
    main()
