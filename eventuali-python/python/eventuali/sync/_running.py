"""Projections at work in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import copy_context
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from eventuali._engine.documents import Changes
from eventuali._engine.limit import Limit, followed
from eventuali._engine.operation import run
from eventuali._engine.progress import Progress
from eventuali._engine.projecting import Call, Pause, Projecting, Rebuilding, Store, Work
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
    AsyncOwnTables,
    MemoryView,
    Placed,
    Projection,
    ProjectionStatus,
    ReadModel,
    Retry,
    Runnable,
    check_projections,
    projection_of,
)

if TYPE_CHECKING:
    pass

M = TypeVar("M", bound=ReadModel)


class Documents(Changes):
    """What a handler of the free form reads and writes; see `eventuali.running.Documents`."""

    def get(self, model: type[M], key: str) -> M | None:
        """Returns a copy of the document of a key; None if there is none."""
        return run(self._get(model, key))

    def get_many(self, model: type[M], keys: Iterable[str]) -> dict[str, M]:
        """Returns copies of the documents of several keys, by their keys, read at once."""
        return run(self._get_many(model, keys))


class Running(Supervised):
    """Projections that are kept up to date, a thread each; see `eventuali.running.Running`."""

    def __init__(
        self,
        store: Store,
        projections: Sequence[Runnable],
        on_error: Retry,
        group: str | None = None,
        lease: float = LEASE,
    ) -> None:
        """Don't call this directly; use `EventStore.run`."""
        super().__init__(store)
        self._told = threading.Condition()
        check_projections(projections)
        for projection in projections:
            refuse_coroutines(projection)
        self._stopping = Stopping()
        turn = Turn()
        self._all = [
            Projecting(
                store,
                each,
                on_error=on_error,
                changes=Documents,
                tell=self._tell,
                turn=turn,
                shared=group is not None and not isinstance(each, MemoryView),
            )
            for each in projections
        ]
        self._share(group, lease)
        self._threads: list[threading.Thread] = []

    def _tell(self) -> None:
        with self._told:
            self._told.notify_all()

    def __enter__(self) -> Self:
        self._begin()
        works = [(each.name, work) for each in self._all for work in each.works()]
        if self._sharing is not None:
            drive(self._sharing.join(), self._stopping)
            works.append(("leases", self._sharing.take()))
        for name, work in works:
            thread = threading.Thread(
                target=copy_context().run,  # as a task has it
                args=(drive, work, self._stopping),
                name=f"projection {name}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for each in self._all:
            each.stop()
        leaving = None if self._sharing is None else self._sharing.leave()
        for thread in self._threads:
            thread.join()
        if leaving is not None:
            with suppress(EventStoreError):  # its lease ends by itself
                leaving.wait()
        for each in self._all:
            if (step := each.take_back()) is not None:
                with suppress(EventStoreError):  # whoever begins next handles events one by one
                    _answer(step, self._stopping)

    def wait_for(
        self,
        committed: Positioned | int | None,
        *projections: type[Projection[Any]],
        timeout: float = 5.0,
    ) -> None:
        """Waits until projections show a commit; see `eventuali.running.Running.wait_for`."""
        self._wait_for(target_of(committed), projections, duration(timeout, "timeout"))

    def _wait_for(
        self,
        target: int,
        projections: Sequence[type[Projection[Any]]],
        seconds: float,
        *,
        live: bool = False,
    ) -> None:
        limit = Limit(seconds, followed(self._store))
        with limit.telling(self._tell):
            for each in self._chosen(projections):
                self._wait(each, target, limit, live=live)

    def caught_up(self, *projections: type[Projection[Any]], timeout: float | None = None) -> None:
        """Waits until all that is stored is shown; see `eventuali.running.Running.caught_up`."""
        end: int = self._store.horizon().wait()[1]
        seconds = duration(inf if timeout is None else timeout, "timeout")
        self._wait_for(end, projections, seconds, live=True)

    def _wait(self, each: Projecting, target: int, limit: Limit, *, live: bool) -> None:
        last: int | None = None
        while True:
            elsewhere = each.state == "elsewhere"
            if elsewhere:
                drive(each.look(), self._stopping)
            if last is None or elsewhere:
                last = run(remaining(self._store, each, target))
            with self._told:
                if is_shown(each, last, live=live):
                    return
                if (error := ended(each, target)) is not None:
                    raise error
                if not (left := limit.left()):
                    raise late(each, target)
                if elsewhere or last is None:
                    left = min(left, ELSEWHERE if elsewhere else UNSETTLED)
                self._told.wait(left)


class Stopping:
    """Whether projections are to stop; that ends their pauses."""

    def __init__(self) -> None:
        self._told = threading.Condition()
        self._is_set = False

    def set(self) -> None:
        """Tells them to stop."""
        self._is_set = True
        self._wake()

    def pause(self, limit: Limit) -> None:
        """Blocks until a limit, or until they are to stop."""
        with limit.telling(self._wake), self._told:
            while not self._is_set and (left := limit.left()):
                self._told.wait(min(left, threading.TIMEOUT_MAX))

    def _wake(self) -> None:
        with self._told:
            self._told.notify_all()


def drive(work: Work, stopping: Stopping) -> None:
    """Runs the work of a projection, blocking."""
    try:
        step = work.send(None)
        while True:
            try:
                value = _answer(step, stopping)
            except BaseException as error:
                step = work.throw(error)
            else:
                step = work.send(value)
    except StopIteration:
        return


def _answer(step: Any, stopping: Stopping) -> Any:
    if isinstance(step, Pause):
        return stopping.pause(step.limit)
    if isinstance(step, Call):
        raise TypeError("a blocking store can't run a coroutine")
    return step.wait()


def refuse_coroutines(runnable: Runnable) -> None:
    """Refuses a projection whose handlers or tables need an event loop.

    Raises:
        TypeError: It has such a handler, or such tables.
    """
    projection = projection_of(runnable)
    if isinstance(runnable, Placed) and isinstance(runnable.tables, AsyncOwnTables):
        raise TypeError(
            f"{runnable.tables!r:.60} needs an event loop; use eventuali.EventStore, or OwnTables"
        )
    for handler in type(projection).__handlers__.values():
        if handler.is_async:
            raise TypeError(
                f"{type(projection).__name__}.{handler.name} is a coroutine function, which needs "
                "an event loop; use eventuali.EventStore, or make it a plain `def`"
            )


def rebuild(
    store: Store,
    projection: Runnable,
    on_error: Retry,
    progress: Progress | None,
) -> ProjectionStatus:
    """Fills documents beside the live ones, and puts them in their place."""
    refuse_coroutines(projection)
    end = store.horizon().wait()[1]
    working = Rebuilding(store, projection, end, progress, on_error=on_error, changes=Documents)
    try:
        drive(working.work(), Stopping())
    finally:
        pending = working.discard()
        if pending is not None:
            pending.wait()
    return working.outcome()
