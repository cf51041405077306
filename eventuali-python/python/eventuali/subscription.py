"""Subscriptions: the stored events, then new ones, without end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from eventuali._engine.checkpoint import flushed
from eventuali._engine.follow import Following
from eventuali._engine.operation import Operation
from eventuali._engine.parts import is_last
from eventuali.errors import EventStoreError
from eventuali.query import E, E_co

if TYPE_CHECKING:
    import asyncio

    from eventuali._engine.asyncio_driver import AsyncioDriver

__all__ = ["Subscription", "by_position"]

T = TypeVar("T")


class Subscription(Following[E_co], Generic[E_co]):
    """Yields matching events in the order of their positions, and waits for new ones at the end.

        async with store.subscribe(Query(tags=["audit"]), name="auditor") as events:
            async for event in events:
                ...

    One task at a time takes events. Any task may read `position` and `live`, wait for `caught_up`,
    or close it. It holds the current page and at most one more, 4 MiB each, however slow the
    handler.

    With a name it resumes at its checkpoint, at least once; see `EventStore.subscribe`.
    """

    def __init__(self, driver: AsyncioDriver, *arguments: Any, **options: Any) -> None:
        """Don't call this directly; use `EventStore.subscribe`."""
        super().__init__(*arguments, **options)
        self._driver = driver
        self._waiting: set[asyncio.Future[None]] = set()
        self._holder: asyncio.Task[Any] | None = None  # the task that takes events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E_co:
        """Returns the next event; waits if there is none yet.

        Cancelling the wait loses nothing: the next call returns that event.

        Raises:
            CheckpointMismatchError: The event at the checkpoint is gone or another one, or another
                subscriber uses this name.
            StoreClosedError: The store was closed.
            UnknownEventTypeError: No class, or more than one, claims the type of the next event.
        """
        if self._busy:
            raise RuntimeError("another task is waiting for the next event of this subscription")
        self._left = None
        try:
            if self._checkpoint is not None:
                self._take_over()
                if self._acknowledge() or self.closed:
                    await self._drive(flushed(self._checkpoint))
            event = self._held()
            if event is None:
                self._take_over()
            while event is None:
                if not await self._drive(self._advance()):
                    break
                event = self._held()
        except BaseException as error:
            self._leave("raised an error" if isinstance(error, Exception) else "was cancelled")
            raise
        if event is None:
            raise StopAsyncIteration
        self._unhandled = True
        return event

    def _take_over(self) -> None:
        """Notes which task takes events."""
        import asyncio

        task = asyncio.current_task()
        if self._waiting and task is not None and task is not self._holder:
            task.add_done_callback(self._done)
        self._holder = task

    def _done(self, task: asyncio.Task[Any]) -> None:
        """Wakes `caught_up` if the task that takes events was cancelled."""
        if task is self._holder and task.cancelled():
            self._leave("was cancelled")

    async def caught_up(self) -> None:
        """Waits until all stored events are handled and the event after them is requested.

        Another task has to take the events in the meantime.

        Raises:
            StreamingError: Before that, the subscription was closed or raised an error, or the task
                that takes the events was cancelled.
        """
        import asyncio

        taker = self._holder
        if taker is not None and taker.cancelled():
            self._left = "was cancelled"
        if not self._live and not self.closed and self._left is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            if taker is not None:
                taker.add_done_callback(self._done)
            try:
                await future
            finally:
                self._waiting.discard(future)
                if taker is not None and not self._waiting:
                    taker.remove_done_callback(self._done)
        if not self._live:
            raise self._ended()

    def _tell(self) -> None:
        for future in list(self._waiting):
            future.get_loop().call_soon_threadsafe(_wake, future)

    async def aclose(self) -> None:
        """Closes the subscription and ends a wait for an event; may be called twice.

        A named subscription writes its checkpoint. If the task that took the current event closes
        it, that event counts as handled, unless an exception is being handled. If another task
        closes it, the event counts once the task that took it asks for the next one.

        Raises:
            CheckpointMismatchError: Another subscriber uses this name.
        """
        await self._end_it(handled=sys.exception() is None)

    async def _end_it(self, *, handled: bool) -> None:
        import asyncio

        was_closed = self.closed
        self._stop()
        self._tell()
        if self._checkpoint is None or (was_closed and not self._unhandled):
            return
        if handled and self._holder is asyncio.current_task():
            self._acknowledge()
        if self._started:
            await self._driver.run(flushed(self._checkpoint))

    async def __aenter__(self) -> Self:
        await self._drive(self._start())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end_it(handled=error is None)
        except EventStoreError as failed:
            if error is None:
                raise
            error.add_note(f"the checkpoint of {self.name!r} was not written: {failed}")

    async def _drive(self, operation: Operation[T]) -> T:
        """Runs an operation for the one task that takes events."""
        self._busy = True
        try:
            return await self._driver.run(operation)
        finally:
            self._busy = False


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@overload
def by_position(events: AsyncIterable[E]) -> AsyncIterator[list[E]]: ...
@overload
def by_position(events: Iterable[E]) -> Iterator[list[E]]: ...
def by_position(events: Any) -> Any:
    """Yields the events of a read or a subscription as lists, one for each position.

    A list has several events where a stored event has become several, else one. Use it where the
    position is stored with what is made of the events: the position stands for all of them.

        async for events in by_position(store.subscribe(name="mailer")):
            ...

    A subscription with a name has handled the events of a list when the next one is requested.

    Args:
        events: What `read` or `subscribe` of either store has returned.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(events, AsyncIterable):
        return _AsyncByPosition(aiter(events))
    if isinstance(events, Iterable):
        return _ByPosition(iter(events))
    raise TypeError(f"by_position takes what read or subscribe returns, not {events!r:.60}")


class _ByPosition(Generic[E]):
    """The lists of a blocking iterator."""

    def __init__(self, events: Iterator[E]) -> None:
        self._events = events
        self._parts: list[E] = []  # if a wait is interrupted, the next call goes on

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[E]:
        while True:
            self._parts.append(next(self._events))
            if is_last(self._parts[-1]):
                found, self._parts = self._parts, []
                return found


class _AsyncByPosition(Generic[E]):
    """The lists of an asynchronous iterator."""

    def __init__(self, events: AsyncIterator[E]) -> None:
        self._events = events
        self._parts: list[E] = []  # if a wait is cancelled, the next call goes on

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[E]:
        while True:
            self._parts.append(await anext(self._events))
            if is_last(self._parts[-1]):
                found, self._parts = self._parts, []
                return found
