"""Projections in a process of their own, which runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from inspect import isawaitable
from threading import current_thread, main_thread
from typing import TypeAlias

from eventuali._engine.asyncio_limit import pause
from eventuali._engine.limit import Limit, followed
from eventuali.config import EventStoreConfig
from eventuali.errors import StorageBusyError, StorageUnavailableError
from eventuali.event._names import check_name
from eventuali.group import LEASE, check_lease
from eventuali.projection import (
    MemoryView,
    ProjectionStatus,
    Retry,
    Runnable,
    check_projections,
    check_stops,
    projection_of,
)
from eventuali.running import Running
from eventuali.store import EventStore, Opening
from eventuali.worker._load import load_worker
from eventuali.worker._report import Report, opening_failed, printed
from eventuali.worker._signals import caught

__all__ = ["Worker", "load"]

Source: TypeAlias = (
    str | os.PathLike[str] | EventStoreConfig | Opening | Callable[[], Awaitable[EventStore]]
)
"""Where a worker gets its store from."""

_SOON, _LATER = 0.2, 5.0
"""The first and the longest pause before it is tried again to open a store, in seconds."""


class Worker:
    """Runs projections until it is told to stop.

        app = Worker("postgresql://app@db/shop", Accounts(), Funnel(), on_error=Retry(3))

        if __name__ == "__main__":
            raise SystemExit(app.run())

    A worker runs once. It writes to the log `eventuali.worker`.
    """

    def __init__(
        self,
        store: Source,
        *projections: Runnable,
        on_error: Retry = Retry(),  # noqa: B008
        group: str | None = None,
        lease: float = LEASE,
    ) -> None:
        """Describes a worker; nothing is opened yet.

        Args:
            store: A URL, a path or an `EventStoreConfig`; for options, what `EventStore.create`
                returns, without `await`; or a coroutine function that opens a store. The worker
                closes it.
            projections: The projections, at least one; with tables of yours, what `into` returns.
            on_error: What to do if a handler raises, as for `EventStore.run`.
            group: The name under which workers share the projections, as for `EventStore.run`.
            lease: How long the others wait for one that says nothing, in seconds.

        Raises:
            TypeError: An argument is something else, such as an open store or a view in memory.
            ValueError: Two projections have the same name.
        """
        if not isinstance(store, str | os.PathLike | EventStoreConfig | Opening | Callable):
            # Only its type: what is wrong may hold a password.
            raise TypeError(
                "a worker opens its store itself: give it a URL, a path, an EventStoreConfig, "
                f"EventStore.create(...) or a function, not {type(store).__name__}"
            )
        check_projections(projections)
        for each in projections:
            if isinstance(each, MemoryView):
                raise TypeError(
                    f"{each!r:.60} could not be read by anybody but the worker; use "
                    "`EventStore.run` where it is read"
                )
        if not isinstance(on_error, Retry):
            raise TypeError(f"on_error must be a Retry, not {on_error!r:.60}")
        check_stops(on_error)
        self._source = store
        self._projections = projections
        self._on_error = on_error
        self._group = None if group is None else check_name("group", group)
        self._lease = check_lease(lease)
        self._begun = False
        self._asked = False  # to stop
        self._reason = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._opening: asyncio.Timeout | None = None
        self._running: Running | None = None

    def run(self) -> int:
        """Runs the projections in an event loop of its own, and blocks until they have ended.

        In the main thread, SIGTERM and SIGINT stop it: the events in hand are handled and stored,
        and the store is closed. A second signal does what it does without a worker. In another
        thread, `stop` ends it. If nobody has configured `logging`, its log goes to stderr.

        Returns:
            The exit code: 0 if it was told to stop; 1 if a projection was faulted by then, or if
            none was left that was not.

        Raises:
            ConfigurationError: The store can't be opened as it is configured.
            DatabaseError: It can't be opened for another reason than that it can't be reached.
            RuntimeError: The worker has run before, or an event loop is running here.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("an event loop is running here; use `await worker.serve()`")
        with printed(), asyncio.Runner() as runner:
            if current_thread() is not main_thread():
                return runner.run(self.serve())
            with caught(self._stop_by):
                return runner.run(self.serve())

    async def serve(self) -> int:
        """Runs the projections in the event loop of the caller, until `stop`; see `run`.

        Signals are left alone. If the task is cancelled, the events in hand are handled, too.
        While the database can't be reached, opening the store is repeated, with pauses.
        """
        if self._begun:
            raise RuntimeError("a worker runs once; make another one")
        self._begun = True
        self._loop = asyncio.get_running_loop()
        store = await self._opened()
        if store is None:
            return 0
        async with store:
            return await self._run(store)

    def stop(self) -> None:
        """Tells the worker to stop, from any thread; before it runs, it then ends at once."""
        self._stop_by("stop()")

    def status(self) -> list[ProjectionStatus]:
        """Returns where each projection stands; nothing before the store is open."""
        return [] if self._running is None else self._running.status()

    def __repr__(self) -> str:
        names = (type(projection_of(each)).__projection_name__ for each in self._projections)
        return f"<Worker {', '.join(names)}>"

    # --- the store --------------------------------------------------------------------------------

    async def _opened(self) -> EventStore | None:
        """Opens the store, as soon as it can be reached; None if it was told to stop before."""
        try:
            async with asyncio.timeout(None) as timeout:
                self._opening = timeout
                if self._asked:
                    return None
                source = self._source
                read = followed(clock=source._clock if isinstance(source, Opening) else None)
                seconds = _SOON
                while True:
                    try:
                        return await self._open()
                    except (StorageBusyError, StorageUnavailableError) as error:
                        limit = Limit(seconds, read)  # before anybody hears of the error
                        opening_failed(error, seconds)
                    await pause(limit)
                    seconds = min(2 * seconds, _LATER)
        except TimeoutError:
            if not timeout.expired():
                raise
            return None
        finally:
            self._opening = None

    async def _open(self) -> EventStore:
        source = self._source
        if isinstance(source, str | os.PathLike | EventStoreConfig):
            return await EventStore.create(source)
        opening = source if isinstance(source, Opening) else source()
        store = await opening if isawaitable(opening) else opening
        if not isinstance(store, EventStore):
            kind = type(store)
            raise TypeError(
                "the function that opens the store must be a coroutine function that returns an "
                f"eventuali.EventStore, not {kind.__module__}.{kind.__qualname__}"
            )
        return store

    # --- the work ---------------------------------------------------------------------------------

    async def _run(self, store: EventStore) -> int:
        running = store.run(
            *self._projections, on_error=self._on_error, group=self._group, lease=self._lease
        )
        report = Report(store, running, self._news.set)
        running._watch = report.look
        self._running = running
        report.begins()
        try:
            async with running:
                while not self._asked and report.is_at_work():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(report.silence()):
                            await self._news.wait()
                    self._news.clear()
                    if not self._asked:
                        await report.news()
                report.stops(self._reason)
            await report.news()
        finally:
            report.ends()
        return int(report.has_failed())

    def _stop_by(self, reason: str) -> None:
        """Notes that it is to stop; is also called by signals, in the middle of anything."""
        self._reason = self._reason or reason
        self._asked = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._news.set()
        if self._running is not None:
            self._running._stop()  # before any of them takes its next page
        limit, self._opening = self._opening, None
        if limit is not None:
            limit.reschedule(0)


def load(text: str) -> Worker:
    """Imports a worker: `load("shop.projections:app")`.

    The current directory is on the path, as for `python -m`. An error that the module raises is
    passed on.

    Args:
        text: The module, a colon, and the name of a worker, or of a function that returns one.

    Raises:
        ConfigurationError: It is not such a text, or there is no such module or name, or it is no
            worker.
    """
    return load_worker(text, Worker)
