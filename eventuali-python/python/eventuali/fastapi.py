"""The pieces of `eventuali.asgi` for FastAPI: `pip install eventuali[fastapi]`.

app = FastAPI(lifespan=lifespan, responses=PROBLEM_RESPONSES)
add_problem_handlers(app, {NotEnough: 422})

@app.post("/accounts/{id}/payments")
async def pay(id: str, money: Money, key: IdempotencyKey) -> Paid: ...

@app.get("/accounts/{id}")
async def show(id: str, wait_for: WaitFor = None) -> AccountView: ...

@app.get("/events")
async def events(last: LastEventId = None) -> EventStreamResponse: ...
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from fastapi import Header, Query
from fastapi.responses import StreamingResponse

from eventuali.asgi import EventStream, Problem

__all__ = [
    "PROBLEM_RESPONSES",
    "EventStreamResponse",
    "IdempotencyKey",
    "LastEventId",
    "WaitFor",
]

IdempotencyKey: TypeAlias = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=16,
        max_length=128,
        description="An id of the request, such as a UUID. Whoever repeats the request with it "
        "changes nothing and gets the first answer.",
    ),
]
"""The header `Idempotency-Key`, for `bus.send(…, command_id=key)`; a request without it gets 422.

Put who the client is before it, `f"{client}:{key}"`, where clients share a tenant.
"""

LastEventId: TypeAlias = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        description="The position of the last event that the client saw; a browser sends it.",
    ),
]
"""The header `Last-Event-ID`, for `streams.open(…, after=last)`; give it the default None."""

WaitFor: TypeAlias = Annotated[
    int | None,
    Query(
        ge=0,
        description="A position that a write returned. The answer shows it, or is 503 after a "
        "short wait.",
    ),
]
"""The parameter `?wait_for=`, for `wait_until_shown(…, wait_for)`; give it the default None."""

_MEANINGS = {
    404: "Nothing is stored of what the request names.",
    409: "Somebody else changed it in the meantime: what was expected, and what was found.",
    503: "The storage is not available, or a read model is not as far yet: try again.",
}
_PROBLEM = {Problem.media_type: {"schema": Problem.model_json_schema(mode="serialization")}}
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": meaning, "content": _PROBLEM} for status, meaning in _MEANINGS.items()
}
"""The problems for the schema of the API: `FastAPI(responses=PROBLEM_RESPONSES)`."""


class EventStreamResponse(StreamingResponse):
    """The response with an event stream; it ends when the client leaves, or the stream does."""

    media_type = EventStream.media_type

    # FastAPI reads the default status for the schema of the API from this signature.
    def __init__(self, stream: EventStream, status_code: int = 200) -> None:
        """Takes the stream.

        Args:
            stream: What `EventStreams.open` returned.
            status_code: The HTTP status.
        """
        super().__init__(stream, status_code, stream.headers)
