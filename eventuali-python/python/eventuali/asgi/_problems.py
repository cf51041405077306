"""Errors as problem details: RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from eventuali import errors
from eventuali.asgi._types import Receive, Scope, Send

TYPES = "urn:problem-type:eventuali:"
RETRY = 1
"""Seconds after which a client may try again."""


class Problem(BaseModel):
    """Why a request failed, for its client (RFC 9457). It is an ASGI application, too: it answers.

    Members besides these are allowed.

    Attributes:
        type: What identifies the kind of the problem: a URI.
        title: The kind in words.
        status: The HTTP status.
        detail: What happened this time.
        stream: Type and id of the stream, in a conflict.
        expected: The version that the writer of a conflict expected.
        actual: The version that it found.
        retry_after: Seconds after which to try again: the header `Retry-After`, no member.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={"description": "Why the request failed (RFC 9457)."},
    )
    media_type: ClassVar[str] = "application/problem+json"

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    stream: list[str] | None = None
    expected: int | str | None = None
    actual: int | None = None
    retry_after: int | None = Field(default=None, exclude=True)

    @property
    def body(self) -> bytes:
        """The problem as JSON, without the members that are None."""
        return self.model_dump_json(exclude_none=True).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response, besides those of its content."""
        retry = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {"Cache-Control": "no-store"} | retry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it as the response to an HTTP request."""
        body = self.body
        given = {
            "Content-Type": self.media_type,
            "Content-Length": str(len(body)),
            **self.headers,
        }
        headers = [(name.lower().encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class ProblemError(Exception):
    """Ends a request with a problem; `add_problem_handlers` has it sent.

    Attributes:
        problem: What to answer.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem,)


def problem(name: str, title: str, status: int, detail: str, **members: Any) -> Problem:
    """Makes a problem of a kind of this library; members that are None are left out."""
    given = {key: value for key, value in members.items() if value is not None}
    kind = {"type": TYPES + name, "title": title, "status": status, "detail": detail}
    return Problem.model_validate(kind | given)


def _conflict(error: errors.OptimisticConcurrencyError, **members: Any) -> Problem:
    return problem(
        "conflict",
        "Somebody else changed this",
        409,
        "Somebody else changed this in the meantime; nothing was stored. Read it again.",
        stream=error.stream and list(error.stream),
        expected=error.expected_version,
        actual=error.actual_version,
        **members,
    )


def _condition(error: errors.AppendConditionError) -> Problem:
    return _conflict(error, after=error.after, position=error.position)


def _stored_already(error: errors.IdempotencyConflictError) -> Problem:
    return problem(
        "stored-already",
        "An event with this id is stored already",
        409,
        "An event with this id is stored, with other content; nothing was stored now.",
        event_ids=[str(one) for one in error.event_ids],
    )


def _not_found(error: errors.AggregateNotFoundError) -> Problem:
    named = [error.aggregate_type, error.aggregate_id]
    return problem(
        "not-found",
        "Not found",
        404,
        "Nothing is stored of what the request names.",
        stream=None if None in named else named,
    )


def _reused(error: errors.CommandIdConflictError) -> Problem:
    return problem(
        "command-id-reused",
        "This id was used for another request",
        422,
        "The Idempotency-Key was used for a request with other content. Use a new one.",
    )


def _invalid(error: errors.InvalidEventError) -> Problem:
    return problem("invalid", "A value is not acceptable", 422, str(error), field=error.field)


def _too_large(error: errors.PayloadTooLargeError) -> Problem:
    return problem(
        "too-large",
        "Too large",
        413,
        "The request needs more than the store takes; nothing was stored.",
        what=error.what,
        size=error.size,
        limit=error.limit,
    )


def _unavailable(error: errors.EventStoreError) -> Problem:
    text = "Nothing was stored. Try again later."  # what the storage said is not for clients
    return problem("unavailable", "The storage is not available", 503, text, retry_after=RETRY)


def _outcome_unknown(error: errors.OutcomeUnknownError) -> Problem:
    return problem(
        "outcome-unknown",
        "The outcome is unknown",
        503,
        "It may be stored or not. Repeat the same request with the same Idempotency-Key.",
        retry_after=RETRY,
    )


PROBLEMS: Mapping[type[Exception], Callable[[Any], Problem]] = {
    ProblemError: lambda error: error.problem,
    errors.OptimisticConcurrencyError: _conflict,
    errors.AppendConditionError: _condition,
    errors.IdempotencyConflictError: _stored_already,
    errors.AggregateNotFoundError: _not_found,
    errors.CommandIdConflictError: _reused,
    errors.InvalidEventError: _invalid,
    errors.PayloadTooLargeError: _too_large,
    errors.StorageUnavailableError: _unavailable,
    errors.StorageBusyError: _unavailable,
    errors.StorageFullError: _unavailable,
    errors.StoreClosedError: _unavailable,
    errors.OutcomeUnknownError: _outcome_unknown,
}


def problem_of(
    error: Exception, statuses: Mapping[type[Exception], int] | None = None
) -> Problem | None:
    """Returns what to tell the client of an error; None for one that is a fault of the server.

    Args:
        error: The error.
        statuses: The statuses of your own errors, by class; such an error's text is the `detail`.
    """
    statuses = statuses or {}
    for cls in type(error).__mro__:
        if cls in statuses:
            status = HTTPStatus(statuses[cls])
            return Problem(title=status.phrase, status=status, detail=str(error) or None)
        if (found := PROBLEMS.get(cls)) is not None:
            return found(error)
    return None


class Handling(Protocol):
    """An application that takes handlers of exceptions, such as one of Starlette or FastAPI."""

    def add_exception_handler(self, exc_class_or_status_code: Any, handler: Any) -> None:
        """Takes the handler of a class of exceptions."""


def add_problem_handlers(
    app: Handling, statuses: Mapping[type[Exception], int] | None = None
) -> None:
    """Has an application of Starlette or FastAPI answer errors as `problem_of` says.

    Every other error remains a 500, and what FastAPI answers to a request that does not fit its
    models remains as it is.

    Args:
        app: The application.
        statuses: The statuses of your own errors, by class; such an error's text is the `detail`.

    Raises:
        ValueError: There is no such status of an error.
    """
    statuses = dict(statuses or {})
    for status in statuses.values():
        if not 400 <= HTTPStatus(status) <= 599:
            raise ValueError(f"{status} is not the status of an error")

    async def answer(request: object, error: Exception) -> Problem:
        found = problem_of(error, statuses)
        assert found is not None  # noqa: S101
        return found

    for cls in {**PROBLEMS, **statuses}:
        app.add_exception_handler(cls, answer)
