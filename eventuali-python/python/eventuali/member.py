"""Members of consumer groups, in asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from math import inf
from types import TracebackType
from typing import Any, Self

from eventuali._engine.asyncio_driver import AsyncioDriver
from eventuali._engine.asyncio_limit import within
from eventuali._engine.consuming import Consuming
from eventuali._engine.event_types import EventTypes
from eventuali._engine.limit import Limit, followed
from eventuali._engine.membership import Held, Key, Membership, Store
from eventuali.errors import ConsumerGroupError, EventStoreError
from eventuali.expected import duration
from eventuali.group import Group
from eventuali.running import drive

__all__ = ["Member"]

_LOOK = 0.1
"""How often it is looked for partitions that are lost, in seconds."""


class Member(Membership):
    """A member of a consumer group, while its block runs.

        async with store.join(mailer) as member:
            await member.caught_up()

    It has a task for each partition that it owns. To leave the block ends what is in hand, writes
    how far it has come, and gives the partitions to the other members.
    """

    def __init__(
        self, driver: AsyncioDriver, store: Store, event_types: EventTypes, group: Group[Any]
    ) -> None:
        """Don't call this directly; use `EventStore.join`."""
        super().__init__(store, event_types, group)
        self._driver = driver
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._taker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Joins the group.

        Raises:
            ConfigurationError: The group has other partitions.
        """
        self._core = await self._driver.answer(self._join())
        self._taker = asyncio.create_task(self._take(), name=f"group {self._group.name}")
        self._watcher = asyncio.create_task(self._watch(), name=f"group {self._group.name}, watch")
        return self

    async def _take(self) -> None:
        """Works through each partition that is assigned, in a task of its own."""
        core = self._core
        if core is None:
            return
        try:
            while (held := await self._driver.answer(core.next())) is not None:
                key = held.number, held.generation
                self._at_work[key] = Consuming(
                    self._store,
                    self._event_types,
                    self._group,
                    held,
                    self._turn,
                    self._tell,
                    _WATCHING,
                )
                self._tasks[key] = asyncio.create_task(
                    self._work(key, self._at_work[key]),
                    name=f"group {self._group.name}, {held.number}",
                )
                del held  # whoever works through it lets go of it
        except Exception as error:
            self._error = error
            self._tell()

    async def _work(self, key: Key, work: Consuming) -> None:
        try:
            await drive(self._driver, work.work(), self._stopping)
        finally:
            self._done(key)
            self._tasks.pop(key, None)

    async def _watch(self) -> None:
        """Cancels handlers whose partition is lost: nothing that they do counts any more."""
        late: set[Key] = set()
        while True:
            await asyncio.sleep(_LOOK)
            lost = {key for key, work in self._at_work.items() if work.is_lost()}
            for key in lost & late:  # those that don't wait end by themselves meanwhile
                if (task := self._tasks.get(key)) is not None:
                    task.cancel()
            late = lost

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def caught_up(self, *, timeout: float | None = None) -> None:
        """Waits until its partitions have handled everything that is stored when this is called.

        Those of other members are their concern.

        Args:
            timeout: The longest wait, in seconds; None for any.

        Raises:
            ConsumerGroupError: A partition stopped at an event, or the member has ended.
            TimeoutError: It took longer.
        """
        end: int = (await self._driver.answer(self._store.horizon()))[1]
        seconds = duration(inf if timeout is None else timeout, "timeout")
        try:
            async with within(Limit(seconds, followed(self._store))) as limit:
                while True:
                    changed = self._changed
                    if self._shows(end):
                        return
                    with suppress(TimeoutError):  # what it owns is not told
                        async with asyncio.timeout(0.05):
                            await changed.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{self!r} has not handled all up to position {end}") from None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        core, taker, watcher = self._core, self._taker, self._watcher
        if core is None or taker is None or watcher is None:
            return
        self._stopping.set()
        for work in self._at_work.values():
            work.stop()
        leaving = self._driver.answer(core.leave())
        try:
            await asyncio.wait([*self._tasks.values(), taker, leaving])
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        finally:
            for task in (taker, watcher, *self._tasks.values()):
                task.cancel()  # of whoever does not wait for them
        with suppress(EventStoreError):  # what could not be written comes again
            await leaving


class _Watching:
    """How coroutines of handlers go on that wait for something."""

    def __call__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, held: Held) -> _Watched:
        return _Watched(coroutine, waits_for, held)

    def as_failure(self, error: BaseException) -> BaseException:
        """Returns the error of a handler; a failure, if nobody has cancelled the task."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
            return ConsumerGroupError("the handler was cancelled by something that it waited for")
        return error


class _Watched:
    """A coroutine of a handler: the core knows when it runs, and so who keeps the event loop."""

    __slots__ = ("_coroutine", "_held", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, held: Held) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for  # what it yielded when it was begun
        self._held = held

    def __await__(self) -> Generator[Any, Any, None]:
        held, inner, waits_for = self._held, self._coroutine, self._waits_for
        while True:
            step: Callable[[], Any]
            try:
                value = yield waits_for
            except BaseException as error:
                step = partial(inner.throw, error)
            else:
                step = partial(inner.send, value)
            held.steps_in()
            try:
                waits_for = step()
            except StopIteration:
                return
            except asyncio.CancelledError as error:
                if (failure := _WATCHING.as_failure(error)) is not error:
                    raise failure from error
                raise
            finally:
                held.steps_out()


_WATCHING = _Watching()
