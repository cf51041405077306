"""Four read models of a shop with 100,000 events: killed, resumed and rebuilt.

    uv run python examples/08_projections.py

One process keeps four projections up to date and is killed. Another one resumes. The documents are
compared, by hash, with a fold of the log in plain Python, and with a rebuild.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from time import perf_counter
from typing import Any

from eventuali import Event, EventStore, Projection, ReadModel

EVENTS = 100_000


class Step(Event):
    user: str
    session: str


class Visited(Step): ...


class Viewed(Step): ...


class CartFilled(Step): ...


class Ordered(Step):
    category: str
    cents: int


FUNNEL = (Visited, CartFilled, Ordered)


class User(ReadModel, index=("events",)):
    events: int = 0


class Activity(Projection[User]):
    def key(self, event: Step) -> str:
        return event.user

    def on_step(self, event: Visited | Viewed | CartFilled | Ordered, doc: User | None) -> User:
        return User(events=doc.events + 1 if doc else 1)


class Category(ReadModel):
    orders: int = 0
    cents: int = 0


class Sales(Projection[Category]):
    def key(self, event: Ordered) -> str:
        return event.category

    def on_ordered(self, event: Ordered, doc: Category | None) -> Category:
        doc = doc or Category()
        return Category(orders=doc.orders + 1, cents=doc.cents + event.cents)


class Session(ReadModel, index=("furthest",)):
    furthest: int = 0


class Funnel(Projection[Session]):
    def key(self, event: Step) -> str:
        return event.session

    def on_step(self, event: Visited | CartFilled | Ordered, doc: Session | None) -> Session:
        return Session(furthest=FUNNEL.index(type(event)))  # nobody goes back


class Totals(ReadModel):
    visits: int = 0
    cents: int = 0


class Dashboard(Projection[Totals]):
    def key(self, event: Step) -> str:
        return "totals"

    def on_visited(self, event: Visited, doc: Totals | None) -> Totals:
        return Totals(visits=doc.visits + 1, cents=doc.cents) if doc else Totals(visits=1)

    def on_ordered(self, event: Ordered, doc: Totals) -> Totals:
        return Totals(visits=doc.visits, cents=doc.cents + event.cents)


PROJECTIONS: tuple[Projection[Any], ...] = (Activity(), Sales(), Funnel(), Dashboard())
MODELS: tuple[type[ReadModel], ...] = (User, Category, Session, Totals)


def steps() -> Iterator[Step]:
    """Yields what visitors do, one after the other."""
    chance = random.Random(8)  # noqa: S311
    for number in count():
        who: Any = {"user": f"user-{chance.randrange(1000)}", "session": f"session-{number}"}
        yield Visited(**who)
        while chance.random() < 0.93:
            yield Viewed(**who)
            if chance.random() < 0.07:
                yield CartFilled(**who)
                if chance.random() < 0.5:
                    category = chance.choice(("books", "garden", "lamps", "toys"))
                    yield Ordered(category=category, cents=chance.randrange(9999), **who)
                    break


def digest(documents: dict[str, Any]) -> str:
    return sha256(repr(sorted(documents.items())).encode()).hexdigest()


async def in_plain_python(store: EventStore) -> list[str]:
    """Returns the hashes of what the log says, without a projection."""
    users, orders, cents = Counter[str](), Counter[str](), Counter[str]()
    furthest: dict[str, int] = {}
    async for event in store.read():
        assert isinstance(event, Step)
        users[event.user] += 1
        if type(event) in FUNNEL:
            furthest[event.session] = FUNNEL.index(type(event))
        if isinstance(event, Ordered):
            orders[event.category] += 1
            cents[event.category] += event.cents
    return [
        digest({user: [events] for user, events in users.items()}),
        digest({category: [orders[category], cents[category]] for category in orders}),
        digest({session: [step] for session, step in furthest.items()}),
        digest({"totals": [len(furthest), cents.total()]}),
    ]


async def stored(store: EventStore, model: type[ReadModel]) -> str:
    found = await store.find(model, limit=EVENTS)
    return digest({document.key: [*document.model_dump().values()] for document in found})


async def work(file: str) -> None:
    async with EventStore.create(file) as store, store.run(*PROJECTIONS) as running:
        while running.status()[2].position < EVENTS // 4:  # of the funnel
            await asyncio.sleep(0.005)
        print("in the middle", flush=True)
        await asyncio.sleep(100)


async def main(file: str) -> None:
    async with EventStore.create(file) as store:
        source = steps()
        for _ in range(EVENTS // 5000):
            await store.append(list(islice(source, 5000)))
        worker = subprocess.Popen([sys.executable, __file__, file], stdout=subprocess.PIPE)  # noqa: S603
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == b"in the middle"
        worker.kill()  # SIGKILL
        worker.communicate()
        print(f"{EVENTS:,} events; a process with four projections was killed in the middle")
        began = perf_counter()
        async with store.run(*PROJECTIONS) as running:
            await running.wait_for(EVENTS, timeout=100)
        rest = [status.handled for status in running.status()]
        rate = sum(rest) / (perf_counter() - began)
        print(f"Another one resumed, and handled what was left, at {rate:,.0f} events/s\n")

        print("             events  sha256 of the documents  resumed with       rebuilt at")
        hashes = await in_plain_python(store)
        for projection, model, left, hashed in zip(PROJECTIONS, MODELS, rest, hashes, strict=True):
            assert await stored(store, model) == hashed, f"{model.__name__} is not the log's"
            began = perf_counter()
            status = await store.rebuild(projection)
            rate = status.handled / (perf_counter() - began)
            assert await stored(store, model) == hashed, f"{model.__name__} was built differently"
            print(f"{status.name:10} {status.handled:8,}  {hashed[:23]}", end="")
            print(f"  {left:12,}  {rate:8,.0f} events/s")
        assert 0 < rest[0] < EVENTS, "it was not killed in the middle"

        came = [len(await store.find(Session, furthest__ge=n, limit=EVENTS)) for n in range(3)]
        print(f"\nOf {came[0]:,} sessions, {came[1]:,} filled a cart and {came[2]:,} ordered.")
        print("Killed, resumed or rebuilt: the documents are what the log says.")


if __name__ == "__main__":
    if len(sys.argv) == 2:  # the process that is killed
        asyncio.run(work(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(main(str(Path(directory) / "shop.db")))
