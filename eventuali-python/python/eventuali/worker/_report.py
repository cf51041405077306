"""What a worker writes to its log."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from eventuali._engine.progress import Pace
from eventuali._engine.projecting import Projecting
from eventuali.errors import EventualiError
from eventuali.projection import ProjectionState
from eventuali.running import Running
from eventuali.store import EventStore

LOG = logging.getLogger("eventuali.worker")
PROGRESS = 5.0
"""How long there is nothing new of a projection that catches up, in seconds."""


@contextmanager
def printed() -> Iterator[None]:
    """Prints the log to stderr meanwhile, if nobody has configured where it goes."""
    if LOG.hasHandlers():
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    # A handler of events may call `logging.info`, which configures the root logger.
    handler.addFilter(lambda _: not logging.root.handlers)
    level = LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)


def opening_failed(error: Exception, pause: float) -> None:
    """Says that the store can't be opened yet."""
    LOG.warning("the store can't be opened, next attempt in %.1f s: %s", pause, error)


class _Seen:
    """A projection, what was seen of it, and what was said."""

    def __init__(self, projecting: Projecting) -> None:
        self.projecting = projecting
        self.name = projecting.name
        self.state: ProjectionState = "catching up"
        self.error: BaseException | None = None
        self.said_live = False
        self.said_error: str | None = None
        self.behind_since: float | None = monotonic()  # None while it is live
        self.pace = Pace()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.projecting.state in ("faulted", "stopped")


class Report:
    """Follows projections, and says what changes."""

    def __init__(self, store: EventStore, running: Running, told: Callable[[], None]) -> None:
        """`told` is called when there are news."""
        self._store = store
        self._all = [_Seen(each) for each in running._all]
        self._told = told
        self._news: deque[tuple[_Seen, ProjectionState, BaseException | None]] = deque()
        self._next = monotonic() + PROGRESS
        self._asked = False
        self._failed = False

    def look(self) -> None:
        """Notes what has changed. It is called for each page, and says nothing itself."""
        for seen in self._all:
            state, error = seen.projecting.state, seen.projecting.error
            if state != seen.state or error is not seen.error:
                seen.state, seen.error = state, error
                self._news.append((seen, state, error))
                self._told()

    def is_at_work(self) -> bool:
        """Whether a projection is left that has not ended."""
        return not all(each.has_ended for each in self._all)

    def has_failed(self) -> bool:
        """Whether a projection was faulted, or ended without being told to."""
        return self._failed

    def silence(self) -> float:
        """Returns how long there is nothing to be said without news, in seconds."""
        return max(self._next - monotonic(), 0.0)

    # --- what is said -----------------------------------------------------------------------------

    def begins(self) -> None:
        """Says what runs where."""
        stats = self._store.stats()
        status = (each.projecting.status() for each in self._all)
        LOG.info(
            "process %d starts on %s%s: %s",
            os.getpid(),
            stats.url,
            f", tenant {stats.tenant}" if stats.tenant else "",
            ", ".join(f"{each.name} version {each.version}" for each in status),
        )

    async def news(self) -> None:
        """Says what has changed, and how far everything is, if it is time for that."""
        while self._news:
            seen, state, error = self._news.popleft()
            if state == "faulted":
                await self._faulted(seen, error)
            elif state == "stopped":
                self._stopped(seen)
            elif state == "elsewhere":
                seen.said_live, seen.behind_since = False, None
                LOG.info("%s: another process works on it", seen.name)
            else:
                self._works(seen, state, error)
        if monotonic() >= self._next:
            self._next = monotonic() + PROGRESS
            for seen in self._all:
                self._progress(seen)

    def stops(self, reason: str) -> None:
        """Says why it stops."""
        self._asked = bool(reason)
        if not reason:
            LOG.error("no projection is left to run")
        elif reason.startswith("SIG"):
            LOG.info("stopping by %s; a second signal ends the process at once", reason)
        else:
            LOG.info("stopping by %s", reason)

    def ends(self) -> None:
        """Says where everything has ended."""
        for each in self._all:
            if isinstance(error := each.projecting.error, SystemExit | KeyboardInterrupt):
                at = each.projecting.position
                LOG.error("%s: a handler raised %r after position %d", each.name, error, at)
        ends = (f"{each.name} at position {each.projecting.position}" for each in self._all)
        LOG.info("stopped: %s", ", ".join(ends))

    def _works(self, seen: _Seen, state: ProjectionState, error: BaseException | None) -> None:
        if error is not None:
            if seen.projecting.state == "faulted" and seen.projecting.error is error:
                return  # it is not tried again: that is the next news
            if seen.said_error != (text := repr(error)):
                seen.said_error = text
                LOG.warning(
                    "%s: failed after position %d, trying again: %s",
                    seen.name,
                    seen.projecting.position,
                    text,
                )
        elif seen.said_error is not None:
            seen.said_error = None
            LOG.info("%s: works again, at position %d", seen.name, seen.projecting.position)
        if state != "live":
            seen.behind_since = seen.behind_since or monotonic()
        else:
            seen.behind_since, seen.pace = None, Pace()
            if not seen.said_live:
                seen.said_live = True
                LOG.info("%s: live at position %d", seen.name, seen.projecting.position)

    def _progress(self, seen: _Seen) -> None:
        status = seen.projecting.status()
        # Where many events come at once, one that is live is behind for a moment time and again.
        long = seen.behind_since is not None and monotonic() - seen.behind_since >= PROGRESS
        if status.state != "catching up" or not long:
            return
        seen.said_live = False
        left = seen.pace.left(status.position, status.position + status.lag)
        LOG.info(
            "%s: catching up%s, at position %d, %d behind, %.0f events/s%s%s",
            seen.name,
            " beside the live documents" if status.rebuilding else "",
            status.position,
            status.lag,
            status.rate,
            "" if left is None else f", {left:.0f} s left",
            "" if status.error is None else f"; trying again: {status.error!r}",
        )

    async def _faulted(self, seen: _Seen, error: BaseException | None) -> None:
        self._failed = True
        status = seen.projecting.status()
        at = f"position {status.position}"
        if status.failed_at is not None:
            at = f"position {status.failed_at}, {await self._event(status.failed_at)}"
        LOG.error("%s: faulted at %s: %r", seen.name, at, error, exc_info=error)

    async def _event(self, position: int) -> str:
        """Describes the event at a position."""
        reader = self._store.read(after=position - 1, before=position + 1, limit=1, raw=True)
        try:
            async for event in reader:
                meta = event.meta
                stream = f" of {meta.aggregate_type} {meta.aggregate_id}"
                return f"{meta.event_type}{stream if meta.aggregate_id else ''}"
        except EventualiError as error:
            return f"an event that can't be read: {error!r}"
        return "an event that is gone"

    def _stopped(self, seen: _Seen) -> None:
        if not self._asked:
            self._failed = True
            LOG.error("%s: ended without being told to; a handler was cancelled", seen.name)
