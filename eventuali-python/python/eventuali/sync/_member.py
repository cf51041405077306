"""Members of consumer groups, in threads."""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import copy_context
from math import inf
from types import TracebackType
from typing import Any, Self

from eventuali._engine.consuming import Consuming
from eventuali._engine.event_types import EventTypes
from eventuali._engine.limit import Limit, followed
from eventuali._engine.membership import Key, Membership, Store
from eventuali.errors import EventStoreError
from eventuali.expected import duration
from eventuali.group import Group
from eventuali.sync._running import Stopping, drive

_LOOK = 0.1
"""How often it is looked whether a partition is lost, in seconds."""


class Member(Membership):
    """A member of a consumer group, a thread for each partition; see `eventuali.member.Member`."""

    def __init__(self, store: Store, event_types: EventTypes, group: Group[Any]) -> None:
        """Don't call this directly; use `EventStore.join`."""
        super().__init__(store, event_types, group)
        self._told = threading.Condition()
        self._stopping = Stopping()
        self._threads: dict[Key, threading.Thread] = {}
        self._taker: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Joins the group.

        Raises:
            ConfigurationError: The group has other partitions.
        """
        self._core = self._join().wait()
        self._taker = self._thread(self._take)
        return self

    def _thread(self, target: Any, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(
            target=copy_context().run,  # as a task has it
            args=(target, *arguments),
            name=f"group {self._group.name}",
            daemon=True,
        )
        thread.start()
        return thread

    def _take(self) -> None:
        """Works through each partition that is assigned, in a thread of its own."""
        core = self._core
        if core is None:
            return
        try:
            while (held := core.next().wait()) is not None:
                key = held.number, held.generation
                work = Consuming(
                    self._store, self._event_types, self._group, held, self._turn, self._tell, None
                )
                self._at_work[key] = work
                del held
                self._threads[key] = self._thread(self._work, key, work)
        except Exception as error:
            self._error = error
            self._tell()

    def _work(self, key: Key, work: Consuming) -> None:
        try:
            drive(work.work(), self._stopping)
        finally:
            self._done(key)
            self._threads.pop(key, None)

    def _tell(self) -> None:
        with self._told:
            self._told.notify_all()

    def caught_up(self, *, timeout: float | None = None) -> None:
        """Waits until all that is stored is handled; see `eventuali.member.Member.caught_up`."""
        end: int = self._store.horizon().wait()[1]
        seconds = duration(inf if timeout is None else timeout, "timeout")
        limit = Limit(seconds, followed(self._store))
        with limit.telling(self._tell):
            while not self._shows(end):
                if not (left := limit.left()):
                    raise TimeoutError(f"{self!r} has not handled all up to position {end}")
                with self._told:
                    self._told.wait(min(left, 0.05))  # what it owns is not told

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        core, taker = self._core, self._taker
        if core is None or taker is None:
            return
        self._stopping.set()
        for work in list(self._at_work.values()):
            work.stop()
        with suppress(EventStoreError):  # what could not be written comes again
            core.leave().wait()
        taker.join()
        for key, thread in list(self._threads.items()):
            left = self._at_work.get(key)
            while thread.is_alive() and not (left is not None and left.is_lost()):
                thread.join(_LOOK)  # a handler may hang whose partition is given away
