"""An application of FastAPI that the tests serve with several workers.

`PLACE` says which store it opens. `HOW` breaks it: the control of a test, which must then fail.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from eventuali import NO_STREAM, Aggregate, Event, EventStore, Projection, Query, ReadModel
from eventuali.asgi import EventStreams, RequestContext, add_problem_handlers, wait_until_shown
from eventuali.command import CommandBus, handles
from eventuali.context import current_metadata
from eventuali.event import EventView
from eventuali.fastapi import (
    PROBLEM_RESPONSES,
    EventStreamResponse,
    IdempotencyKey,
    LastEventId,
    WaitFor,
)

HOW = os.environ.get("HOW", "")


class Saved(Event, name="web.saved"):
    amount: int


class Noted(Event, name="web.noted"):
    number: int


class Save(BaseModel):
    jar: str
    amount: int


class Jar(Aggregate, name="web.jar"):
    total: int = 0

    @handles(Save, id="jar", creates=True)
    def save(self, command: Save) -> int:
        self.apply(Saved(amount=command.amount))
        return self.total

    def apply_saved(self, event: Saved) -> None:
        self.total += event.amount


class JarView(ReadModel, name="web.JarView"):
    total: int = 0


class Jars(Projection[JarView], name="web.Jars"):
    def on_saved(self, event: Saved, doc: JarView | None) -> JarView:
        return JarView(total=(doc.total if doc else 0) + event.amount)


class Refused(Exception):
    pass


class Answer(BaseModel):
    total: int
    position: int | None


class Mixed:
    """What a global in the place of a context variable does."""

    id: Any = None


class Deaf(EventStreams):
    """Streams that hear no signal."""

    async def __aenter__(self) -> Deaf:
        self._loop, self._ended = asyncio.get_running_loop(), False
        return self


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    place = pickle.loads(bytes.fromhex(os.environ["PLACE"]))
    streams = Deaf(keep_alive=0.2) if HOW == "deaf" else EventStreams(keep_alive=0.2)
    async with (
        EventStore.create(place) as app.state.store,
        app.state.store.run(Jars()) as app.state.running,
        streams as app.state.streams,
    ):
        app.state.bus = CommandBus(app.state.store, Jar, attempts=200)
        yield


app = FastAPI(lifespan=lifespan, responses=PROBLEM_RESPONSES)
add_problem_handlers(app, {Refused: 422})


def user(scope: Any) -> str | None:
    return dict(scope["headers"]).get(b"x-user", b"").decode() or None


app.add_middleware(RequestContext, user=user)


def store_of(request: Request) -> EventStore:
    Mixed.id = request.headers.get("X-Correlation-ID")
    store: EventStore = request.app.state.store
    return store


Store = Annotated[EventStore, Depends(store_of)]


@app.get("/who")
def who() -> dict[str, Any]:
    return {"pid": os.getpid(), "correlation": current_metadata().correlation_id}


@app.put("/jars/{id}")
async def put(id: str, expected: int, store: Store) -> Answer:
    committed = await store.append(
        [Saved(amount=1)], stream=("web.jar", id), expected=expected or NO_STREAM
    )
    return Answer(total=0, position=committed.position)


@app.get("/jars/{id}/now")
async def now(id: str, store: Store) -> Answer:
    return Answer(total=(await store.load_one(Jar, id)).total, position=None)


@app.post("/jars/{id}")
async def pay(request: Request, id: str, amount: int, key: IdempotencyKey) -> Answer:
    if amount < 0:
        raise Refused("less than nothing")
    handled = await request.app.state.bus.send(Save(jar=id, amount=amount), command_id=key)
    return Answer(total=handled.answer, position=handled.position)


@app.get("/jars/{id}")
async def show(request: Request, id: str, store: Store, wait_for: WaitFor = None) -> Answer:
    limit = float(request.headers.get("X-Limit", "2"))
    await wait_until_shown(request.app.state.running, wait_for, timeout=limit)
    found = await store.get(JarView, id)
    return Answer(total=found.total if found else 0, position=None)


@app.post("/notes/{number}")
async def note(number: int, store: Store) -> int:
    await store.horizon()  # others run meanwhile
    given: dict[str, Any] = {"correlation_id": Mixed.id} if HOW == "global" else {}
    event = await asyncio.create_task(noted(number, given))
    await store.append([event])
    return number


async def noted(number: int, given: dict[str, Any]) -> Noted:
    await asyncio.sleep(0)
    return Noted(number=number, **given)


@app.get("/events")
async def events(store: Store) -> list[Event]:
    return [event async for event in store.read()]


@app.get("/views")
async def views(store: Store) -> list[EventView[Saved | Noted]]:
    return [EventView[Saved | Noted].of(event) async for event in store.read()]


@app.get("/stream", response_class=EventStreamResponse)
async def stream(request: Request, store: Store, last: LastEventId = None) -> EventStreamResponse:
    query = Query(event_types=[Noted])
    return EventStreamResponse(request.app.state.streams.open(store, query, after=last))


@app.get("/streams")
async def streams(request: Request) -> int:
    return len(request.app.state.streams)
