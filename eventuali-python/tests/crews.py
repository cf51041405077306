"""Consumer groups for tests: events of many streams, and members of either API."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from stores import Blocking, gathered

from eventuali import Event, Query
from eventuali.errors import StorageBusyError
from eventuali.group import Group, GroupStatus

SAFETY = 60
"""After so many seconds a wait counts as one without end."""


class CrewNoted(Event, name="CrewNoted"):
    number: int


NOTED = Query(event_types=[CrewNoted])


async def fill(store, streams: int, times: int, first: int = 0, **options) -> int:
    """Appends an event to each of some streams, so many times; returns how many."""
    for turn in range(times):
        for stream in range(streams):
            event = CrewNoted(number=first + turn * streams + stream, **options)
            await _append(store, event, ("Crew", f"c-{stream}"))
    return streams * times


async def _append(store, event: CrewNoted, stream: tuple[str, str]) -> None:
    """Appends an event, and again while a process that was stopped keeps the lock of a file."""
    while True:
        try:
            await store.append([event], stream=stream)
        except StorageBusyError:
            continue
        return


class BlockingMember:
    """A member of a `sync.EventStore` for tests that are written for the other one."""

    def __init__(self, member) -> None:
        self.member = member

    def status(self) -> GroupStatus:
        return self.member.status()

    async def caught_up(self, **options):
        await asyncio.to_thread(self.member.caught_up, **options)


@asynccontextmanager
async def joined(store, group: Group):
    if isinstance(store, Blocking):
        member = await asyncio.to_thread(store.store.join, group)
        await asyncio.to_thread(member.__enter__)
        try:
            yield BlockingMember(member)
        finally:
            await asyncio.to_thread(member.__exit__, None, None, None)
    else:
        async with store.join(group) as found:
            yield found


class Letters:
    """The dead letters of a group, by either API."""

    def __init__(self, store, group: str) -> None:
        self.blocking = isinstance(store, Blocking)
        self.letters = (store.store if self.blocking else store).dead_letters(group)

    def __getattr__(self, name):
        verb = getattr(self.letters, name)

        async def call(*args, **options):
            if self.blocking:
                return await asyncio.to_thread(verb, *args, **options)
            return await verb(*args, **options)

        return call


async def until(holds) -> None:
    async with asyncio.timeout(SAFETY):
        while not holds():
            await asyncio.sleep(0.005)


async def numbers(store) -> list[int]:
    return [event.number for event in await gathered(store.read(NOTED))]


def handler(store, function):
    """A handler as the API of a store takes it: a coroutine function, or a plain one."""
    if isinstance(store, Blocking):
        return function

    async def handle(event: Event) -> None:
        function(event)

    return handle
