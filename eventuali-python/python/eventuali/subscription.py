"""Subscriptions: the events that are stored, and then those that come, for ever."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from eventuali._engine.checkpoint import flushed
from eventuali._engine.follow import Following
from eventuali._engine.operation import Operation
from eventuali.errors import EventStoreError

if TYPE_CHECKING:
    import asyncio

    from eventuali._engine.asyncio_driver import AsyncioDriver
    from eventuali.event import Event

__all__ = ["Subscription"]

T = TypeVar("T")


class Subscription(Following):
    """Yields matching events in the order of their positions, and waits for more at the end.

        async with store.subscribe(Query(tags=["audit"]), name="auditor") as events:
            async for event in events:
                ...

    One task at a time takes events; any may look at `position` and `live`, wait for `caught_up`, or
    close it. It holds the page in hand and at most one more, 4 MiB each, however slow its handler.

    With a name it goes on where it was, at least once: see `EventStore.subscribe`.
    """

    def __init__(self, driver: AsyncioDriver, *arguments: Any, **options: Any) -> None:
        """Is not called directly: use `EventStore.subscribe`."""
        super().__init__(*arguments, **options)
        self._driver = driver
        self._waiting: set[asyncio.Future[None]] = set()
        self._holder: asyncio.Task[Any] | None = None  # the task that takes events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Returns the next event; waits where there is none yet.

        Cancelling it loses nothing: the next call returns that event.

        Raises:
            CheckpointMismatchError: The event of the checkpoint is gone or another one, or
                somebody else follows under this name.
            StoreClosedError: The store was closed.
            UnknownEventTypeError: No class, or several, claim the type of the next event.
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
        """Tells who waits for the end of the catch-up that nobody takes events any more."""
        if task is self._holder and task.cancelled():
            self._leave("was cancelled")

    async def caught_up(self) -> None:
        """Waits until what was stored is handled: until the event after that is asked for.

        Somebody else has to take the events meanwhile.

        Raises:
            StreamingError: Before, it was closed, or raised an error, or the task that takes them
                was cancelled.
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
        """Ends it; whoever waits for an event hears of the end. Twice is fine.

        A named one writes its checkpoint. The event in hand counts as handled where the task that
        took it closes, unless an exception is on its way; where another task does, once the one
        that took it asks for the next event.

        Raises:
            CheckpointMismatchError: Somebody else follows under this name.
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
