"""Projections at work in an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from eventuali._engine.documents import Changes
from eventuali._engine.limit import Limit, followed
from eventuali._engine.progress import Progress
from eventuali._engine.projecting import (
    Call,
    Core,
    Pause,
    Projecting,
    Rebuilding,
    Store,
    Work,
)
from eventuali._engine.turn import Turn
from eventuali._engine.waiting import (
    ELSEWHERE,
    UNSETTLED,
    Positioned,
    Supervised,
    ended,
    is_shown,
    late,
    remaining,
    target_of,
)
from eventuali.errors import EventStoreError
from eventuali.expected import duration
from eventuali.group import LEASE
from eventuali.projection import (
    MemoryView,
    Projection,
    ProjectionStatus,
    ReadModel,
    Retry,
    Runnable,
    check_projections,
)

if TYPE_CHECKING:
    import asyncio

    from eventuali._engine.asyncio_driver import AsyncioDriver

__all__ = ["Documents", "Running"]

M = TypeVar("M", bound=ReadModel)


class Documents(Changes):
    """What a handler of the free form reads and writes; each event finds what those before wrote.

    All changes of a page are committed together, with the place in the log.
    """

    def __init__(self, driver: AsyncioDriver, core: Core, number: int) -> None:
        """Is given to handlers; don't make one."""
        super().__init__(core, number)
        self._driver = driver

    async def get(self, model: type[M], key: str) -> M | None:
        """Returns a copy of the document of a key; None if there is none."""
        return await self._driver.run(self._get(model, key))

    async def get_many(self, model: type[M], keys: Iterable[str]) -> dict[str, M]:
        """Returns copies of the documents of several keys, by their keys, read at once."""
        return await self._driver.run(self._get_many(model, keys))


class Running(Supervised):
    """Projections that are kept up to date; see `EventStore.run`.

    Each has its state: one that is faulted stops no other.
    """

    _watch: Callable[[], None] | None = None
    """Called whenever a state may have changed, in the loop."""

    def __init__(
        self,
        store: Store,
        driver: AsyncioDriver,
        projections: Sequence[Runnable],
        on_error: Retry,
        group: str | None = None,
        lease: float = LEASE,
    ) -> None:
        """Don't call this directly; use `EventStore.run`."""
        import asyncio

        super().__init__(store)
        self._driver = driver
        self._changed = asyncio.Event()
        check_projections(projections)
        turn = Turn()
        self._all = [
            Projecting(
                store,
                each,
                on_error=on_error,
                changes=self._documents,
                tell=self._tell,
                offload=asyncio.to_thread,
                turn=turn,
                shared=group is not None and not isinstance(each, MemoryView),
            )
            for each in projections
        ]
        self._share(group, lease)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def _documents(self, core: Core, number: int) -> Documents:
        return Documents(self._driver, core, number)

    def _tell(self) -> None:
        import asyncio

        self._changed.set()
        self._changed = asyncio.Event()
        if self._watch is not None:
            self._watch()

    async def __aenter__(self) -> Self:
        import asyncio

        self._begin()
        works = [(each.name, work) for each in self._all for work in each.works()]
        if self._sharing is not None:
            await drive(self._driver, self._sharing.join(), self._stopping)
            works.append(("leases", self._sharing.take()))
        self._tasks = [
            asyncio.create_task(
                drive(self._driver, work, self._stopping), name=f"projection {name}"
            )
            for name, work in works
        ]
        return self

    def _stop(self) -> None:
        """Ends the work after the pages in hand; to leave the block waits for that."""
        self._stopping.set()
        for each in self._all:
            each.stop()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import asyncio

        self._stop()
        leave = None if self._sharing is None else self._sharing.leave()
        leaving = [] if leave is None else [self._driver.answer(leave)]
        try:
            await asyncio.gather(*self._tasks, *leaving, return_exceptions=True)
        finally:
            # All writes begin here, whoever is cancelled while they are waited for.
            for written in [
                asyncio.ensure_future(_answer(self._driver, step, self._stopping))
                for step in [each.take_back() for each in self._all]
                if step is not None
            ]:
                with suppress(EventStoreError):  # whoever begins next handles single events
                    await asyncio.shield(written)

    async def wait_for(
        self,
        committed: Positioned | int | None,
        *projections: type[Projection[Any]],
        timeout: float = 5.0,
    ) -> None:
        """Waits until projections show a commit, so that its author reads the result.

        Args:
            committed: What `save`, `append` or the `send` of a bus returned, or its position;
                without events there is nothing to wait for.
            projections: The classes to wait for; without any, all that run here.
            timeout: The longest wait, in seconds.

        Raises:
            ProjectionError: One of them is faulted, or was stopped.
            TimeoutError: It took longer.
            ValueError: One of the classes does not run here.
        """
        await self._wait_for(target_of(committed), projections, duration(timeout, "timeout"))

    async def _wait_for(
        self,
        target: int,
        projections: Sequence[type[Projection[Any]]],
        seconds: float,
        *,
        live: bool = False,
    ) -> None:
        from eventuali._engine.asyncio_limit import within

        each = None
        try:
            async with within(Limit(seconds, followed(self._store))) as limit:
                for each in self._chosen(projections):
                    await self._wait(each, target, live=live)
        except TimeoutError:
            if each is None or not limit.expired():
                raise
            raise late(each, target) from None

    async def caught_up(
        self, *projections: type[Projection[Any]], timeout: float | None = None
    ) -> None:
        """Waits until projections show everything that is stored when this is called.

        Args:
            projections: The classes to wait for; without any, all that run here.
            timeout: The longest wait, in seconds; None for any.

        Raises:
            ProjectionError: One of them is faulted, or was stopped.
            TimeoutError: It took longer.
            ValueError: One of the classes does not run here.
        """
        end: int = (await self._driver.answer(self._store.horizon()))[1]
        seconds = duration(inf if timeout is None else timeout, "timeout")
        await self._wait_for(end, projections, seconds, live=True)

    async def _wait(self, each: Projecting, target: int, *, live: bool) -> None:
        import asyncio

        last: int | None = None
        while True:
            changed = self._changed
            elsewhere = each.state == "elsewhere"
            if elsewhere:
                await drive(self._driver, each.look(), self._stopping)
            if last is None or elsewhere:
                last = await self._driver.run(remaining(self._store, each, target))
            if is_shown(each, last, live=live):
                return
            if (error := ended(each, target)) is not None:
                raise error
            if elsewhere or last is None:
                await asyncio.sleep(ELSEWHERE if elsewhere else UNSETTLED)
            else:
                await changed.wait()


async def drive(driver: AsyncioDriver, work: Work, stopping: asyncio.Event) -> None:
    """Runs the work of a projection; its pauses end when it is to stop."""
    try:
        step = work.send(None)
        while True:
            try:
                value = await _answer(driver, step, stopping)
            except BaseException as error:
                step = work.throw(error)
            else:
                step = work.send(value)
    except StopIteration:
        return


async def _answer(driver: AsyncioDriver, step: Any, stopping: asyncio.Event) -> Any:
    if isinstance(step, Pause):
        from eventuali._engine.asyncio_limit import within

        with suppress(TimeoutError):
            async with within(step.limit):
                await stopping.wait()
        return None
    if isinstance(step, Call):
        return await step.coroutine
    return await driver.answer(step)


async def rebuild(
    store: Store,
    driver: AsyncioDriver,
    projection: Runnable,
    on_error: Retry,
    progress: Progress | None,
) -> ProjectionStatus:
    """Fills documents beside the live ones, and puts them in their place."""
    import asyncio

    end = (await driver.answer(store.horizon()))[1]
    working = Rebuilding(
        store,
        projection,
        end,
        progress,
        on_error=on_error,
        changes=lambda core, number: Documents(driver, core, number),
        offload=asyncio.to_thread,
    )
    try:
        await drive(driver, working.work(), asyncio.Event())
    finally:
        pending = working.discard()
        if pending is not None:
            await asyncio.shield(driver.answer(pending))
    return working.outcome()
