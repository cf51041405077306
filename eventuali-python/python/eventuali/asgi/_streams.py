"""Server-sent events over a subscription, which end with the process.

The format is that of the HTML standard, 9.2 "Server-sent events".
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, ClassVar, Literal, Self
from weakref import WeakSet

from pydantic_core import to_json

from eventuali._engine.asyncio_limit import within
from eventuali._engine.limit import Limit, followed
from eventuali._engine.parts import is_last
from eventuali.errors import InvalidEventError
from eventuali.event import Event, EventView, UnknownEvent
from eventuali.query import ALL, E, Query
from eventuali.store import EventStore
from eventuali.subscription import Subscription

COMMENT = b":\n\n"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MAX_POSITION = 2**63 - 1


class EventStream:
    """Events as server-sent events: pieces of bytes, as the body of a response takes them.

    A piece is a message, with the position as `id`, the type as `event` and JSON as `data`; or a
    comment, first and then whenever there was no event for a while, so that no proxy closes the
    connection and a client that is gone is noticed. The next event is read when the one before was
    sent, so a slow client holds up itself alone.

    It ends when its `EventStreams` ends. Give it to one response, with `headers`.

    Attributes:
        media_type: The content type.
        headers: Headers that keep caches and proxies from holding events back.
    """

    media_type: ClassVar[str] = "text/event-stream"
    headers: ClassVar[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    def __init__(
        self,
        events: Subscription[Any],
        view: Callable[[Any], object],
        keep_alive: float,
    ) -> None:
        """Don't call this directly; use `EventStreams.open`."""
        self._events = events
        self._view = view
        self._keep_alive = keep_alive
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Returns the next piece."""
        if self._events.closed:
            raise StopAsyncIteration
        if not self._begun:
            self._begun = True
            return COMMENT  # the response begins at once, and not with the first event
        try:
            async with within(Limit(self._keep_alive, followed(self._events._store))) as timeout:
                event = await self._events.__anext__()
        except TimeoutError:
            if timeout.expired():
                return COMMENT
            raise
        except asyncio.CancelledError:
            await self.aclose()  # the client is gone
            raise
        return message(event, self._view(event))

    async def aclose(self) -> None:
        """Ends the stream, also while another task waits for the next piece."""
        await self._events.aclose()


def message(event: Event, data: object) -> bytes:
    """Returns an event as a message. JSON has no line breaks, and the name of an event neither.

    Of a stored event that has become several, the last one has the id: whoever resumes before that
    gets all of them again.
    """
    unknown = isinstance(event, UnknownEvent)
    name = event.meta.event_type if unknown else event.__event_type__
    head = f"event: {name}\ndata: "
    if is_last(event):
        head = f"id: {event.meta.position}\n{head}"
    return head.encode() + to_json(data) + b"\n\n"


class EventStreams:
    """The open event streams of a process, which end as soon as it is told to stop.

        async with EventStore.create(url) as store, EventStreams() as streams:
            ...

    A server waits for its open connections before it tells the application that it ends. An event
    stream has no end, so the server would wait for ever. In its block, this therefore hears SIGINT
    and SIGTERM beside the server, ends all streams, and passes the signal on. It does so if the
    server has set a handler, and in the main thread, where alone Python allows it; in any case the
    streams end with the block.
    """

    def __init__(self, *, keep_alive: float = 15.0) -> None:
        """Prepares for streams.

        Args:
            keep_alive: Seconds without an event after which a comment is sent.

        Raises:
            ValueError: `keep_alive` is not above 0.
        """
        if not keep_alive > 0:
            raise ValueError(f"keep_alive must be seconds above 0, not {keep_alive!r:.60}")
        self._keep_alive = keep_alive
        self._open: WeakSet[EventStream] = WeakSet()
        self._ended = True
        self._ending: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def open(
        self,
        store: EventStore,
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        after: int | str | None = None,
        start: Literal["beginning", "end"] = "beginning",
        view: Callable[[E], object] | None = None,
    ) -> EventStream:
        """Opens the stream of one client: first the stored events, then new ones.

        Args:
            store: The store.
            query: The events to send.
            after: Only positions above this: the `Last-Event-ID` of the request, which a browser
                sends when it reconnects; None or an empty one for a client that has none.
            start: Where a client without one starts.
            view: Makes what is sent as JSON of an event: a model, or what pydantic can serialize.
                By default an `EventView`; then an event that no class fits is sent as it is stored.

        Raises:
            InvalidEventError: `after` is not a position.
            RuntimeError: The block of the streams was not entered.
        """
        if self._loop is None:
            raise RuntimeError("enter `async with EventStreams() as streams` first")
        last = _position(after)
        events = store.subscribe(
            query, after=last or 0, start=start if last is None else "beginning", raw=view is None
        )
        stream = EventStream(events, view or EventView.of, self._keep_alive)
        if self._ended:
            events._stop()
        self._open.add(stream)
        return stream

    def __len__(self) -> int:
        """How many streams are open."""
        return sum(not stream._events.closed for stream in list(self._open))

    async def aclose(self) -> None:
        """Ends all streams; those that are opened from now on end at once."""
        self._ended = True
        for stream in list(self._open):
            await stream.aclose()

    async def __aenter__(self) -> Self:
        self._loop, self._ended = asyncio.get_running_loop(), False
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before) and before != self._hear:
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        await self.aclose()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Ends the streams, and lets the server know of the signal."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)
        self._before[number](number, frame)

    def _end(self) -> None:
        self._ending = asyncio.ensure_future(self.aclose())


def _position(after: int | str | None) -> int | None:
    """Returns the position that a client saw last; None if it has none."""
    if after is None or after == "":
        return None
    if isinstance(after, str) and after.isascii() and after.isdecimal() and len(after) <= 19:
        after = int(after)
    if type(after) is not int or not 0 <= after <= MAX_POSITION:
        text = f"Last-Event-ID {after!r:.60} is not a position, as the stream sends it"
        raise InvalidEventError(text, field="after")
    return after
