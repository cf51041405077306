"""Middleware that gives every event the ids of its request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from time import time_ns
from typing import Any

from eventuali.asgi._types import App, Message, Receive, Scope, Send
from eventuali.context import metadata
from eventuali.event._envelope import uuid7

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")
# W3C Trace Context, level 1: version, trace id, parent id, flags; later versions may add more.
_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_STARTS = {"http.response.start", "websocket.accept"}


def correlation_id_of(headers: Mapping[str, str], header: str = "X-Correlation-ID") -> str:
    """Returns the correlation id of a request: from a header, its `traceparent`, or a new one.

    An id that is longer than 128 characters, or has others than letters, digits and `._:/+=@~-`, is
    not taken.

    Args:
        headers: The headers of the request; where case matters, with names in lower case.
        header: The name of the header, in any case.
    """
    given = headers.get(header.lower(), "")
    if _ID.fullmatch(given):
        return given
    trace = _TRACE.fullmatch(headers.get("traceparent", ""))
    return trace[1] if trace else str(uuid7(time_ns()))


class RequestContext:
    """ASGI middleware: every event that is made in a request gets its correlation id and user.

        app.add_middleware(RequestContext, user=lambda scope: scope["user"].id)

    The correlation id is that of `correlation_id_of`. The response has it in the same header,
    unless the application sets that one.

    The request is handled in the same task, so that the block of `eventuali.context.metadata`
    holds in all that it awaits. Bodies pass as they are, piece by piece.
    """

    def __init__(
        self,
        app: App,
        *,
        header: str = "X-Correlation-ID",
        user: Callable[[Scope], str | Awaitable[str | None] | None] | None = None,
    ) -> None:
        """Wraps an application.

        Args:
            app: The application.
            header: The header with the correlation id.
            user: Says from the ASGI scope who the user is; may be a coroutine function. Without it,
                the events have the user of the block around.

        Raises:
            ValueError: `header` is not the name of a header.
        """
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header):
            raise ValueError(f"{header!r:.60} is not the name of a header")
        self._app = app
        self._header = header.lower().encode("ascii")
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request, or a message of another kind as if this were not there."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        correlation_id = correlation_id_of(headers, self._header.decode())
        given: dict[str, Any] = {"correlation_id": correlation_id}
        if self._user is not None:
            user = self._user(scope)
            given["user_id"] = await user if isawaitable(user) else user

        async def send_with_id(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = [*message.get("headers", ())]
                if all(name.lower() != self._header for name, _ in headers):
                    headers.append((self._header, correlation_id.encode("ascii")))
                    message = {**message, "headers": headers}
            await send(message)

        with metadata(**given):
            await self._app(scope, receive, send_with_id)
