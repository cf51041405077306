"""Pots that are filled and broken: events, read models, projections, and a fold apart from them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from apis import Blocking, gathered

from eventuali import Event, EventStore, Projection, ReadModel
from eventuali.running import Documents

SAFETY = 10
"""Nobody waits longer; no test passes or fails by it."""


class PotMade(Event):
    owner: str


class PotFilled(Event):
    amount: int


class PotBroken(Event):
    pass


class PotSeen(Event):
    """Concerns no projection."""


class Pot(ReadModel, index=("owner", "content")):
    owner: str
    content: int = 0
    events: int = 1


class Pots(Projection[Pot]):
    def key(self, event: Event) -> str | None:
        return event.meta.aggregate_id  # None passes events over that belong to no stream

    def on_made(self, event: PotMade, doc: None) -> Pot:
        return Pot(owner=event.owner)

    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        doc.content += event.amount
        doc.events += 1
        return doc

    def on_broken(self, event: PotBroken, doc: Pot) -> None:
        return None


class Owner(ReadModel):
    pots: int = 0
    content: int = 0
    events: int = 0


class Total(ReadModel):
    events: int = 0


class Sums(Projection):
    """The free form: a document of what everybody has, and one for each pot that is there."""

    async def on_made(self, event: PotMade, docs: Documents) -> None:
        await self._count(docs)
        docs.put(event.meta.aggregate_id or "nowhere", Owner(pots=1))

    async def on_filled(self, event: PotFilled, docs: Documents) -> None:
        await self._count(docs)
        key = event.meta.aggregate_id or "nowhere"
        pot = await docs.get(Owner, key) or Owner()
        pot.content += event.amount
        docs.put(key, pot)

    async def on_broken(self, event: PotBroken, docs: Documents) -> None:
        await self._count(docs)
        docs.delete(Owner, event.meta.aggregate_id or "nowhere")

    async def _count(self, docs: Documents) -> None:
        total = await docs.get(Total, "all") or Total()
        total.events += 1
        docs.put("all", total)


class SumsInThreads(Projection, name="Sums"):
    """The same for a store that blocks."""

    def on_made(self, event: PotMade, docs: Any) -> None:
        self._count(docs)
        docs.put(event.meta.aggregate_id or "nowhere", Owner(pots=1))

    def on_filled(self, event: PotFilled, docs: Any) -> None:
        self._count(docs)
        key = event.meta.aggregate_id or "nowhere"
        pot = docs.get(Owner, key) or Owner()
        pot.content += event.amount
        docs.put(key, pot)

    def on_broken(self, event: PotBroken, docs: Any) -> None:
        self._count(docs)
        docs.delete(Owner, event.meta.aggregate_id or "nowhere")

    def _count(self, docs: Any) -> None:
        total = docs.get(Total, "all") or Total()
        total.events += 1
        docs.put("all", total)


def sums(store: EventStore | Blocking) -> Projection:
    return SumsInThreads() if isinstance(store, Blocking) else Sums()


class BlockingRunning:
    """A `sync.Running` for tests that were written for the other one."""

    def __init__(self, running) -> None:
        self.running = running

    def status(self):
        return self.running.status()

    async def wait_for(self, *args, **options):
        await asyncio.to_thread(self.running.wait_for, *args, **options)

    async def caught_up(self, *args, **options):
        await asyncio.to_thread(self.running.caught_up, *args, **options)


@asynccontextmanager
async def running(store, *projections, waits: bool = True, **options):
    """Keeps projections up to date by either API.

    Leaves when they wait for events, since to leave before may hang; or at once.
    """
    if isinstance(store, Blocking):
        blocking = store.store.run(*projections, **options)
        await asyncio.to_thread(blocking.__enter__)
        try:
            yield BlockingRunning(blocking)
        finally:
            await asyncio.to_thread(blocking.__exit__, None, None, None)
    else:
        async with store.run(*projections, **options) as found:
            yield found
            if waits:
                await until(lambda: all(each.state != "catching up" for each in found.status()))


async def caught_up(store, *projections, **options) -> list:
    """Runs projections until they show all that is stored; returns where they stand."""
    async with running(store, *projections, **options) as found:
        await found.wait_for(await end_of(store), timeout=SAFETY)
        # It shows all before it says that it does.
        await until(lambda: all(each.state != "catching up" for each in found.status()))
        return found.status()


async def end_of(store) -> int:
    last = await gathered(store.read(backwards=True, limit=1))
    return last[0].meta.position if last else 0


async def until(condition) -> None:
    """Waits until something holds that nobody announces."""
    while not condition():
        await asyncio.sleep(0.002)


async def until_status(found, wanted: str, number: int = 0) -> Any:
    """Waits for a state; returns the status."""
    async with asyncio.timeout(SAFETY):
        await until(lambda: found.status()[number].state == wanted)
    return found.status()[number]


async def put(store, stream: str | None, *events: Event):
    """Appends events, to the stream of a pot if one is given."""
    return await store.append(list(events), stream=None if stream is None else ("Pot", stream))


async def make(store, stream: str, owner: str, *amounts: int):
    return await put(store, stream, PotMade(owner=owner), *map(filled, amounts))


def filled(amount: int) -> PotFilled:
    return PotFilled(amount=amount)


async def everything(store, model: type[ReadModel]) -> dict[str, dict]:
    """Returns all documents of a model by key, page by page."""
    found, after = {}, None
    while True:
        page = await store.find(model, order_by="key", after=after, limit=97)
        for document in page:
            assert document.key not in found
            found[document.key] = document.model_dump()
        if page.next is None:
            return found
        after = page.next


def pots_of(events: Iterable[Event]) -> dict[str, dict]:
    """The fold apart: plain dicts, and nothing of a projection."""
    found: dict[str, dict] = {}
    for event in events:
        key = event.meta.aggregate_id
        match event:
            case _ if key is None:
                pass
            case PotMade():
                found[key] = {"owner": event.owner, "content": 0, "events": 1}
            case PotFilled():
                found[key]["content"] += event.amount
                found[key]["events"] += 1
            case PotBroken():
                del found[key]
    return found


def owners_of(events: Iterable[Event]) -> tuple[dict[str, dict], int]:
    """What `Sums` should have, worked out apart: its documents, and how many events there were."""
    found: dict[str, dict] = {}
    count = 0
    for event in events:
        key = event.meta.aggregate_id or "nowhere"
        match event:
            case PotMade():
                found[key] = {"pots": 1, "content": 0, "events": 0}
            case PotFilled():
                found.setdefault(key, {"pots": 0, "content": 0, "events": 0})
                found[key]["content"] += event.amount
            case PotBroken():
                found.pop(key, None)
            case _:
                continue
        count += 1
    return found, count


async def check_pots(store) -> None:
    wanted = pots_of(await gathered(store.read()))
    assert await everything(store, Pot) == wanted


async def check_sums(store) -> None:
    wanted, count = owners_of(await gathered(store.read()))
    assert await everything(store, Owner) == wanted
    total = await store.get(Total, "all")
    assert (total.events if total else 0) == count


class Writer:
    """Writes a log of pots by chance, each event of which has a document to go to."""

    def __init__(self, seed: object, streams: int = 30) -> None:
        print(f"seed {seed!r}")
        self.chance = Random(str(seed))
        self.there: set[int] = set()
        self.streams = streams
        self.number = self.left = 0

    def next(self) -> tuple[str | None, Event]:
        """Returns the next event, and the pot that it concerns."""
        if self.chance.random() < 0.05:
            return None, self.chance.choice([PotSeen(), filled(1), PotMade(owner="nobody")])
        if self.left == 0:
            self.number, self.left = self.chance.randrange(self.streams), self.chance.randrange(20)
        else:
            self.left -= 1
        number = self.number
        stream = f"p{number}"
        if number not in self.there:
            self.there.add(number)
            return stream, PotMade(owner=f"owner {self.chance.randrange(5)}")
        dice = self.chance.random()
        if dice < 0.15:
            self.there.discard(number)
            return stream, PotBroken()
        if dice < 0.25:
            return stream, PotSeen()
        return stream, filled(self.chance.randrange(-50, 100))

    async def write(self, store, count: int) -> Any:
        """Appends that many events, in commits of a few; returns the last commit."""
        committed, run, stream = None, [], None
        for _ in range(count):
            place, event = self.next()
            if run and (place != stream or len(run) > 20):
                committed, run = await put(store, stream, *run), []
            stream = place
            run.append(event)
        return await put(store, stream, *run) if run else committed


async def rows_of(store, name: str, models: Iterable[str], keys: list[str]) -> dict[int, int]:
    """Counts what is kept of each generation of a projection: its documents and its cursor."""
    inner = store.store if isinstance(store, Blocking) else store
    core = inner._store.projection(name, 1)

    async def answer(pending):
        if isinstance(store, Blocking):
            return await asyncio.to_thread(pending.wait)
        return await inner._driver.answer(pending)

    found = {}
    for number in range(1, 12):
        count = int((await answer(core.cursor(number)))[3] > 0)
        for model in models:
            count += len((await answer(core.documents(number, model, keys)))[0])
        if count:
            found[number] = count
    return found


class Poured(Event):
    amount: int


class Awaited:
    """The documents of the blocking API, for a handler that was written for the other one."""

    def __init__(self, docs) -> None:
        self.docs = docs

    async def get(self, model, key):
        return self.docs.get(model, key)

    async def get_many(self, model, keys):
        return self.docs.get_many(model, keys)

    def __getattr__(self, name):
        return getattr(self.docs, name)


def finish(coroutine) -> None:
    """Runs a coroutine that never waits for an event loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for an event loop")


def free(store, handler, name: str = "Free", version: int = 1) -> Projection:
    """Makes a projection of the free form, by either API, of `async def handler(event, docs)`."""
    if isinstance(store, Blocking):

        class Threads(Projection, name=name, version=version):
            def on_poured(self, event: Poured, docs: Any) -> None:
                finish(handler(event, Awaited(docs)))

        return Threads()

    class Loop(Projection, name=name, version=version):
        async def on_poured(self, event: Poured, docs: Documents) -> None:
            await handler(event, docs)

    return Loop()


class Gate:
    """Where a handler waits until the test lets it go on."""

    def __init__(self) -> None:
        self._reached, self._open = threading.Event(), threading.Event()

    async def passed(self) -> None:
        """Is called by the handler."""
        self._reached.set()
        await wait(self._open)

    async def reached(self) -> None:
        """Waits until a handler is there."""
        await wait(self._reached)

    def open(self) -> None:
        self._open.set()


async def wait(event: threading.Event) -> None:
    """Waits in an event loop, or blocks where there is none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        assert event.wait(SAFETY)
    else:
        async with asyncio.timeout(SAFETY):
            await until(event.is_set)


async def pour(store, *amounts: int, stream: str | None = None):
    return await put(store, stream, *(Poured(amount=each) for each in amounts))
