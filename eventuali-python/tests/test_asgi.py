"""What an HTTP API needs: problems, the ids of a request, event streams, views, bounded waits."""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from stores import each_shared, url_of

from eventuali import (
    AggregateNotFoundError,
    AppendConditionError,
    DomainEvent,
    Event,
    EventStore,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    Projection,
    Query,
    ReadModel,
    UnknownEvent,
)
from eventuali.asgi import (
    EventStreams,
    Problem,
    ProblemError,
    RequestContext,
    add_problem_handlers,
    problem_of,
    wait_until_shown,
)
from eventuali.context import current_metadata, metadata
from eventuali.errors import (
    CommandIdConflictError,
    PayloadTooLargeError,
    StorageBusyError,
    StorageCorruptedError,
    StorageFullError,
    StorageUnavailableError,
    StoreClosedError,
)
from eventuali.event import EventView
from eventuali.fastapi import EventStreamResponse


class Heard(Event, name="asgi.heard"):
    amount: Decimal


class Told(DomainEvent, name="asgi.told"):
    text: str


def run(test) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


# --- problems -------------------------------------------------------------------------------------

HIDDEN = "host=10.0.0.7 password=x"
CONFLICT = {"stream": ("Account", "a"), "expected_version": 3, "actual_version": 4}


@pytest.mark.parametrize(
    ("error", "status", "kind", "members"),
    [
        (
            OptimisticConcurrencyError(HIDDEN, **CONFLICT),
            409,
            "conflict",
            {"stream": ["Account", "a"], "expected": 3, "actual": 4},
        ),
        (OptimisticConcurrencyError(HIDDEN), 409, "conflict", {}),
        (
            AppendConditionError(HIDDEN, after=7, position=9),
            409,
            "conflict",
            {"after": 7, "position": 9},
        ),
        (
            IdempotencyConflictError(HIDDEN, event_ids=[UUID(int=1)]),
            409,
            "stored-already",
            {"event_ids": [str(UUID(int=1))]},
        ),
        (
            AggregateNotFoundError(HIDDEN, aggregate_type="Account", aggregate_id="a"),
            404,
            "not-found",
            {"stream": ["Account", "a"]},
        ),
        (AggregateNotFoundError(HIDDEN), 404, "not-found", {}),
        (CommandIdConflictError(HIDDEN, command_id="c"), 422, "command-id-reused", {}),
        (
            PayloadTooLargeError(HIDDEN, what="payload", size=9, limit=8),
            413,
            "too-large",
            {"what": "payload", "size": 9, "limit": 8},
        ),
        (StorageUnavailableError(HIDDEN), 503, "unavailable", {}),
        (StorageBusyError(HIDDEN), 503, "unavailable", {}),
        (StorageFullError(HIDDEN), 503, "unavailable", {}),
        (StoreClosedError(HIDDEN), 503, "unavailable", {}),
        (OutcomeUnknownError(HIDDEN), 503, "outcome-unknown", {}),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else None,
)
def test_an_error_is_a_problem(error, status, kind, members):
    problem = problem_of(error)
    shown = json.loads(problem.body)
    assert shown["type"] == f"urn:problem-type:eventuali:{kind}"
    assert shown["status"] == status
    assert {key: shown[key] for key in shown.keys() - {"type", "title", "status", "detail"}} == (
        members
    )
    assert HIDDEN not in problem.body.decode()  # what the storage says is not for clients
    assert problem.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_what_is_not_acceptable_is_said():
    problem = problem_of(InvalidEventError("tenant 'no such!' has a space", field="tenant"))
    assert (problem.status, problem.detail) == (422, "tenant 'no such!' has a space")
    assert json.loads(problem.body)["field"] == "tenant"


@pytest.mark.parametrize("error", [StorageCorruptedError("x"), KeyError("x"), ValueError("x")])
def test_a_fault_of_the_server_is_no_problem(error):
    assert problem_of(error) is None


class Refused(Exception):
    pass


class Poor(Refused):
    pass


def test_own_errors_have_statuses_by_class():
    problem = problem_of(Poor("not enough"), {Refused: 422})
    assert problem.type == "about:blank"
    assert problem.title.startswith("Unprocessable")  # its second word depends on Python
    assert (problem.status, problem.detail) == (422, "not enough")
    assert problem_of(Poor("x"), {Refused: 422, Poor: 402}).status == 402
    assert problem_of(
        OptimisticConcurrencyError("x"), {OptimisticConcurrencyError: 412}
    ).status == (412)
    assert problem_of(Poor("x")) is None


def test_a_problem_can_be_raised_and_pickled():
    problem = Problem(title="Gone", status=410, detail="closed", retry_after=9, **{"until": 7})
    copy = pickle.loads(pickle.dumps(ProblemError(problem)))
    assert str(copy) == "closed"
    assert problem_of(copy) == problem
    assert json.loads(problem.body) == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "closed",
        "until": 7,
    }
    assert problem.headers["Retry-After"] == "9"


def test_a_problem_answers_a_request():
    sent = []

    async def send(message):
        sent.append(message)

    problem = Problem(title="Gone", status=410)
    run(problem({"type": "http"}, None, send))
    start, body = sent
    headers = dict(start["headers"])
    assert start["status"] == 410
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert json.loads(body["body"])["title"] == "Gone"


class Handled:
    def __init__(self):
        self.handlers = {}

    def add_exception_handler(self, exc_class_or_status_code, handler):
        self.handlers[exc_class_or_status_code] = handler


def test_handlers_are_added_for_what_is_a_problem():
    app = Handled()
    add_problem_handlers(app, {Refused: 422})
    assert {Refused, OptimisticConcurrencyError, ProblemError} <= app.handlers.keys()
    assert Exception not in app.handlers
    answer = asyncio.run(app.handlers[Refused](None, Poor("no")))
    assert (answer.status, answer.detail) == (422, "no")


@pytest.mark.parametrize("status", [200, 299, 999])
def test_a_status_must_be_one_of_an_error(status):
    with pytest.raises(ValueError, match=str(status)):
        add_problem_handlers(Handled(), {Refused: status})


# --- the ids of a request -------------------------------------------------------------------------


def asked(headers=(), *, kind="http", sends=None, **options):
    """Sends a request through the middleware; returns what was seen inside and what was sent."""
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(current_metadata())
        await send(sends or {"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    async def main():
        scope = {"type": kind, "headers": [(k.encode(), v.encode()) for k, v in headers]}
        await RequestContext(app, **options)(scope, None, send)
        assert current_metadata().correlation_id is None

    run(main())
    return seen[0], sent[0]


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"x-correlation-id": "req-7"}, "req-7"),
        ({"X-Correlation-Id": "req-7", "traceparent": TRACE}, "req-7"),
        ({"traceparent": TRACE}, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ({"traceparent": TRACE.replace("00-", "01-", 1) + "-more"}, TRACE[3:35]),
        ({"traceparent": TRACE.replace("00-", "ff-", 1)}, None),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, None),
        ({"x-correlation-id": "a b"}, None),
        ({"x-correlation-id": "a\r\nSet-Cookie: b"}, None),
        ({"x-correlation-id": "x" * 129}, None),
        ({"x-correlation-id": "x" * 128}, "x" * 128),
        ({"x-correlation-id": ""}, None),
        ({"x-correlation-id": "ä"}, None),
        ({}, None),
    ],
)
def test_the_correlation_id_of_a_request(headers, wanted):
    inside, sent = asked(headers.items())
    if wanted is None:
        wanted = str(UUID(inside.correlation_id))  # a new one
    assert inside.correlation_id == wanted
    assert (b"x-correlation-id", wanted.encode()) in sent["headers"]


def test_the_header_has_another_name():
    inside, sent = asked({"X-Request-Id": "r"}.items(), header="X-Request-ID")
    assert inside.correlation_id == "r"
    assert sent["headers"] == [(b"x-request-id", b"r")]
    with pytest.raises(ValueError, match="not the name of a header"):
        asked(header="X Y")


def test_the_application_may_set_the_header():
    start = {"type": "http.response.start", "headers": [(b"X-Correlation-ID", b"own")]}
    _, sent = asked({"x-correlation-id": "r"}.items(), sends=start)
    assert sent["headers"] == [(b"X-Correlation-ID", b"own")]


def test_the_user_of_a_request():
    async def user(scope):
        await asyncio.sleep(0)
        return scope["type"]

    assert asked(user=lambda scope: "ada")[0].user_id == "ada"
    assert asked(user=user)[0].user_id == "http"
    assert asked(user=lambda scope: None)[0].user_id is None
    with metadata(user_id="eve"):
        assert current_metadata().user_id == "eve"


def test_what_is_no_request_passes():
    inside, sent = asked(kind="lifespan", sends={"type": "lifespan.startup.complete"})
    assert inside.correlation_id is None
    assert sent == {"type": "lifespan.startup.complete"}
    inside, sent = asked(kind="websocket", sends={"type": "websocket.accept"})
    assert sent["headers"] == [(b"x-correlation-id", inside.correlation_id.encode())]


# --- views ----------------------------------------------------------------------------------------


def test_a_view_has_the_metadata_and_the_fields():
    event = Heard(amount="1.50", correlation_id="r", tags=["a"], headers={"h": "1"})
    shown = json.loads(EventView.of(event).model_dump_json())
    assert shown == json.loads(EventView[Heard].of(event).model_dump_json())
    assert shown.pop("data") == {"amount": "1.50"}
    assert UUID(shown.pop("event_id")) == event.event_id
    assert datetime.fromisoformat(shown.pop("timestamp")) == event.timestamp
    assert shown.items() >= {"event_type": "asgi.heard", "correlation_id": "r"}.items()
    assert (shown["tags"], shown["headers"]) == (["a"], {"h": "1"})


def test_a_view_of_one_class_takes_no_other():
    EventView[Heard | Told].of(Told(text="x"))
    with pytest.raises(ValidationError):
        EventView[Heard].of(Told(text="x"))


@pytest.mark.parametrize("declared", [Event, DomainEvent])
def test_an_event_declared_as_any_is_serialized_as_its_view(declared):
    event = Told(text="x")
    (shown,) = json.loads(TypeAdapter(list[declared]).dump_json([event]))
    assert shown == json.loads(EventView.of(event).model_dump_json())
    schema = TypeAdapter(declared).json_schema(mode="serialization")
    assert schema["properties"].keys() == EventView.model_fields.keys()


def test_what_has_its_class_is_serialized_as_before():
    event = Told(text="x")
    assert event.model_dump() == {"text": "x"}
    assert TypeAdapter(Told).dump_python(event) == {"text": "x"}
    assert "serialization" not in Told.__pydantic_core_schema__  # so it costs nothing
    assert "serialization" in DomainEvent.__pydantic_core_schema__
    assert TypeAdapter(Event).dump_python(Event()) == {}
    assert Event().model_dump() == {}
    assert TypeAdapter(Event).json_schema()["properties"] == {}
    assert TypeAdapter(Told).json_schema(mode="serialization")["properties"].keys() == {"text"}

    class Around(BaseModel):
        event: Told

    assert Around(event=event).model_dump_json() == '{"event":{"text":"x"}}'


# --- event streams --------------------------------------------------------------------------------


def read(pieces: bytes) -> dict[str, str]:
    lines = pieces.decode().removesuffix("\n\n").split("\n")
    return dict(line.split(": ", 1) for line in lines)


@each_shared
def test_a_stream_sends_events_then_waits(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await store.append([Heard(amount=n) for n in range(3)])
            async with EventStreams(keep_alive=0.05) as streams:
                stream = streams.open(store, Query(event_types=[Heard]), after="1")
                assert await anext(stream) == b":\n\n"
                message = read(await anext(stream))
                assert (message["id"], message["event"]) == ("2", "asgi.heard")
                assert json.loads(message["data"])["data"] == {"amount": "1"}
                assert read(await anext(stream))["id"] == "3"
                assert await anext(stream) == b":\n\n"  # nothing for a while
                await store.append([Told(text="x"), Heard(amount=7)])
                while (piece := await anext(stream)) == b":\n\n":
                    pass
                assert read(piece)["id"] == "5"
                assert len(streams) == 1
                await stream.aclose()
                assert len(streams) == 0
                assert [piece async for piece in stream] == []

    run(main())


def test_where_a_stream_starts(tmp_path):
    async def first(store, streams, **options):
        stream = streams.open(store, **options)
        assert await anext(stream) == b":\n\n"
        return read(await anext(stream))["id"]

    async def main():
        async with EventStore.create("memory://") as store, EventStreams() as streams:
            await store.append([Heard(amount=n) for n in range(3)])
            assert await first(store, streams) == "1"
            assert await first(store, streams, after=2) == "3"
            assert await first(store, streams, after="2", start="end") == "3"
            assert await first(store, streams, after="") == "1"
            new = asyncio.create_task(first(store, streams, after=None, start="end"))
            await asyncio.sleep(0.05)
            await store.append([Heard(amount=4)])
            assert await new == "4"
            for wrong in ("x", "-1", -1, "1.5", "²", "9" * 30, 2**63, True):
                with pytest.raises(InvalidEventError, match="Last-Event-ID"):
                    streams.open(store, after=wrong)

    run(main())


def test_what_a_stream_shows():
    class Short(BaseModel):
        amount: Decimal

    async def main():
        async with EventStore.create("memory://") as store, EventStreams() as streams:
            await store.append([Heard(amount=5)])
            query = Query(event_types=[Heard])
            stream = streams.open(store, query, view=lambda event: Short(amount=event.amount))
            await anext(stream)
            assert json.loads(read(await anext(stream))["data"]) == {"amount": "5"}
            store.register_event_class("asgi.heard", Told)  # which it does not fit
            unknown = streams.open(store)
            await anext(unknown)
            assert json.loads(read(await anext(unknown))["data"])["data"] == {"amount": "5"}

    run(main())


def test_a_client_that_leaves_ends_its_stream():
    async def main():
        async with EventStore.create("memory://") as store, EventStreams() as streams:
            stream = streams.open(store)
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert len(streams) == 0

    run(main())


def test_streams_end_with_their_block_and_later_ones_at_once():
    async def main():
        async with EventStore.create("memory://") as store:
            async with EventStreams() as streams:
                stream = streams.open(store)
                await anext(stream)
                waiting = asyncio.ensure_future(anext(stream, None))
                await asyncio.sleep(0.05)
            assert await waiting is None
            assert [piece async for piece in streams.open(store)] == []

    run(main())


def test_streams_end_at_a_signal_which_passes_on():
    heard = []

    async def main():
        async with EventStore.create("memory://") as store, EventStreams() as streams:
            stream = streams.open(store)
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream, None))
            await asyncio.sleep(0.05)
            signal.raise_signal(signal.SIGTERM)
            assert heard == [signal.SIGTERM]
            assert await waiting is None

    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    mine = signal.getsignal(signal.SIGTERM)
    try:
        run(main())
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_passes_on_when_the_streams_have_ended():
    heard = []

    async def main():
        async with EventStreams():
            kept = signal.getsignal(signal.SIGTERM)  # as somebody else would who hears it, too
        kept(signal.SIGTERM, None)

    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        run(main())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_signal_that_nobody_handles_keeps_its_effect():
    async def main():
        async with EventStreams():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        run(main())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_streams_in_another_thread_hear_no_signal():
    async def main():
        async with EventStreams() as streams:
            return len(streams)

    async def outer():
        before = signal.getsignal(signal.SIGINT)
        assert await asyncio.to_thread(lambda: asyncio.run(main())) == 0
        assert signal.getsignal(signal.SIGINT) is before

    run(outer())


def test_the_response_of_fastapi_takes_the_stream():
    async def main():
        async with EventStore.create("memory://") as store, EventStreams() as streams:
            response = EventStreamResponse(streams.open(store), 203)
            assert response.status_code == 203
            assert response.headers["Content-Type"].startswith("text/event-stream")
            assert response.headers["Cache-Control"] == "no-store"

    run(main())


def test_a_stream_needs_the_block():
    async def main():
        async with EventStore.create("memory://") as store:
            with pytest.raises(RuntimeError, match="async with EventStreams"):
                EventStreams().open(store)

    run(main())
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="keep_alive"):
            EventStreams(keep_alive=wrong)


# --- waiting --------------------------------------------------------------------------------------


class HeardTotal(ReadModel, name="asgi.HeardTotal"):
    amount: Decimal = Decimal(0)


class HeardTotals(Projection[HeardTotal], name="asgi.HeardTotals"):
    def key(self, event: Event) -> str:
        return "all"

    def on_heard(self, event: Heard, doc: HeardTotal | None) -> HeardTotal:
        return HeardTotal(amount=(doc.amount if doc else Decimal(0)) + event.amount)


class Others(Projection[HeardTotal], name="asgi.Others"):
    def key(self, event: Event) -> str:
        return "all"

    def on_heard(self, event: Heard, doc: HeardTotal | None) -> HeardTotal:
        raise ZeroDivisionError


@each_shared
def test_a_wait_is_bounded(kind, tmp_path):
    async def main():
        async with (
            EventStore.create(url_of(kind, tmp_path)) as store,
            store.run(HeardTotals()) as running,
        ):
            done = await store.append([Heard(amount=5)])
            await wait_until_shown(running, done.position, timeout=30)
            assert (await store.get(HeardTotal, "all")).amount == 5
            await wait_until_shown(running, None)
            await wait_until_shown(running, done.position, HeardTotals)
            with pytest.raises(ValueError, match="Others"):
                await wait_until_shown(running, done.position, Others)
            with pytest.raises(ProblemError) as raised:
                await wait_until_shown(running, done.position + 99, timeout=0.05)
            problem = raised.value.problem
            assert (problem.status, problem.retry_after) == (503, 1)
            assert json.loads(problem.body)["position"] == done.position + 99

    run(main())


def test_an_unknown_event_is_shown_as_it_is_stored():
    async def main():
        async with EventStore.create("memory://") as store:
            await store.append([Heard(amount=5)])
            store.register_event_class("asgi.heard", Told)  # which it does not fit
            return [event async for event in store.read(raw=True)]

    (event,) = asyncio.run(main())
    assert isinstance(event, UnknownEvent)
    assert EventView.of(event).data == {"amount": "5"}
    assert json.loads(TypeAdapter(Event).dump_json(event))["data"] == {"amount": "5"}
