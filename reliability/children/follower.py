"""Follows a log by name, and leaves in every way there is.

    python -m reliability.children.follower URL NAME FILTER SEED FILE

Writes down each event before its handler returns, and after each life how it ended; see
`reliability.following`. Goes on by its name, and ends at the first of the last events.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from threading import Timer

from eventuali import Event, EventStore, Subscription, sync
from eventuali._engine.follow import Following
from reliability.following import END, RARE, query_for
from reliability.variant import VARIABLE
from reliability.workload import values_of

SHAPES = ("with", "finally", "dropped")
"""Who closes it: `async with`, `aclose()` while an exception may fly, or nobody."""


class Oops(Exception):
    """What a handler raises."""


@dataclass
class Life:
    """One subscription under the name: what is drawn for it, and what came of it."""

    chance: Random
    which: str
    out: int
    how: str = "closed"
    in_hand: bool = False
    over: bool = False
    ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Draws when it ends: by itself after so many events, and in any case after a time."""
        chance, rare = self.chance, self.which in RARE
        self.shape = chance.choice(SHAPES)
        self.raises = chance.random() < 0.6
        never = chance.random() < 0.3
        self.left = 0 if never else round((3 if rare else 3000) ** chance.random())
        self.cancels = chance.random() < 0.5
        self.seconds = 0.001 * 3000 ** chance.random()
        self.patience = 0.002 if chance.random() < 0.2 else None
        self._pauses = 0.5 if rare else 0.005

    def began(self, position: int) -> None:
        """Notes where it goes on."""
        os.write(self.out, f"from {position}\n".encode())

    def note(self, event: Event) -> bool:
        """Handles an event, but for the pause; whether to break.

        Raises:
            Oops: At random.
        """
        self.in_hand = True
        (value,) = values_of([event])
        os.write(self.out, f"{event.meta.position} {value}\n".encode())
        self.left -= 1
        if value >= END:
            self.ended = True
        elif self.left:
            return False
        elif self.raises:
            raise Oops
        self.how = "broke"
        return True

    def pause(self) -> float:
        """Returns how long the handler takes; 0 for most events."""
        return self.chance.uniform(0, 0.004) if self.chance.random() < self._pauses else 0

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Notes what ends the loop."""
        try:
            yield
        except Oops:
            self.how = "raised"
            raise
        except asyncio.CancelledError:
            self.how = "cancelled"
            raise
        finally:
            self.over = True

    def end(self, position: int) -> None:
        """Notes how it ended, and what must come of that."""
        what = "left"
        if self.how == "broken-off" or (self.shape == "dropped" and self.how != "closed"):
            what = "cut"
        elif self.in_hand and self.how != "broke":
            what = "raised"
        os.write(self.out, f"{what} {self.how}-{self.shape} {position}\n".encode())


def main() -> None:
    """Follows, in a loop or without one."""
    url, name, which, seed, file = sys.argv[1:]
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    chance = Random(seed)
    if os.environ.get(VARIABLE) == "ack-when-handed-out":
        acknowledge_when_handed_out()
    os.write(out, b"killed\n")
    if chance.random() < 0.5:
        asyncio.run(in_a_loop(url, name, which, chance, out))
    else:
        sys.setswitchinterval(chance.choice([0.005, 1e-6]))
        blocking(url, name, which, chance, out)


def acknowledge_when_handed_out() -> None:
    """Breaks subscriptions: an event counts as handled before its handler has it."""
    held = Following._held

    def hand_out(self: Following) -> Event | None:
        event = held(self)
        if self._row is not None and self._checkpoint is not None:
            self._checkpoint.handled(self._row)
        return event

    Following._held = hand_out  # type: ignore[method-assign, assignment]


async def in_a_loop(url: str, name: str, which: str, chance: Random, out: int) -> None:
    """Follows as a task, which another one closes or cancels."""
    async with EventStore.create(url) as store:
        print("ready", flush=True)
        while True:
            life = Life(chance, which, out)
            events = store.subscribe(query_for(which), name=name)
            task = asyncio.create_task(follow(events, life))
            await asyncio.wait([task], timeout=life.seconds)
            if life.cancels:
                task.cancel()
            elif not task.done():
                await events.aclose()
            with suppress(Oops, asyncio.CancelledError):
                await task
            life.end(events.position)
            if life.ended:
                return


async def follow(events: Subscription, life: Life) -> None:
    """Lives one life."""
    try:
        if life.shape == "with":
            async with events:
                life.began(events.position)
                await take(events, life)
        elif life.shape == "finally":
            async with aclosing(events):
                await take(events, life)
        else:
            await take(events, life)
    except asyncio.CancelledError:
        if life.over and life.how != "cancelled":
            life.how = "broken-off"
        raise


async def take(events: Subscription, life: Life) -> None:
    """Handles events, some of them slowly, and may lose patience with a wait."""
    with life.taking():
        while (event := await soon(events, life)) is not None:
            if life.note(event):
                break
            if pause := life.pause():
                await asyncio.sleep(pause)
            life.in_hand = False


async def soon(events: Subscription, life: Life) -> Event | None:
    """Returns the next event; waits for it again and again where it has no patience."""
    if life.patience is None:
        return await anext(events, None)
    while True:
        try:
            async with asyncio.timeout(life.patience):
                return await anext(events, None)
        except TimeoutError:
            life.patience *= 2  # a long search would never end


def blocking(url: str, name: str, which: str, chance: Random, out: int) -> None:
    """Follows without a loop; another thread may close it."""
    with sync.EventStore.create(url) as store:
        print("ready", flush=True)
        while True:
            life = Life(chance, which, out)
            events = store.subscribe(query_for(which), name=name)
            closer = Timer(life.seconds, events.close)
            closer.start()
            with suppress(Oops):
                if life.shape == "with":
                    with events:
                        life.began(events.position)
                        handle(events, life)
                elif life.shape == "finally":
                    with closing(events):
                        handle(events, life)
                else:
                    handle(events, life)
            closer.cancel()
            closer.join()
            life.end(events.position)
            if life.ended:
                return


def handle(events: sync.Subscription, life: Life) -> None:
    """Handles events, some of them slowly."""
    with life.taking():
        for event in events:
            if life.note(event):
                break
            if pause := life.pause():
                time.sleep(pause)
            life.in_hand = False


if __name__ == "__main__":
    main()
