"""How a process lets others have a stream that it writes again and again.

Whoever has stored something knows first that the stream has a new version, and is the first to
load it again. Another process, whose attempt has just failed, would always come too late, and
whoever stores would never notice. So a process that stores one commit after the other makes room in
between: seldom while nobody else stores anything, and each time once somebody does.
"""

from __future__ import annotations

import random
from threading import Lock
from time import monotonic
from typing import Any, TypeAlias

from eventuali.query import Query

Key: TypeAlias = tuple[Any, ...]
"""(tenant, aggregate type, aggregate id)"""


def query_line(tenant: str, query: Query) -> Key:
    """Returns what stands for the events of a query, in the same way."""
    return (tenant, repr(query))


_KEPT = 1000
"""Streams whose last commits are remembered."""
_SHARED = 1.0
"""Seconds for which a stream counts as shared after another process has stored something."""
_LONGEST = 0.1
"""Seconds of the longest pause."""
_FIRST_RUN = 4
_LONGEST_RUN = 64


class _Pace:
    """What is known of one stream.

    Attributes:
        version: Its version after our last commit.
        at: When that was, by the monotonic clock.
        taken: Seconds from loading to storing, if nobody is in the way.
        shared_until: Until when other processes are taken to store events there, too.
        run: Commits without a pause.
        left: How many of them are left.
    """

    __slots__ = ("at", "left", "run", "shared_until", "taken", "version")

    def __init__(self) -> None:
        self.version = 0
        self.at = 0.0
        self.taken = 0.0
        self.shared_until = 0.0
        self.run = self.left = _FIRST_RUN


class Paces:
    """The streams that an open store has written last."""

    def __init__(self) -> None:
        self._paces: dict[Key, _Pace] = {}
        self._lock = Lock()

    def pause(self, key: Key) -> float:
        """Returns the seconds to wait before the stream is loaded for a new transaction."""
        pace = self._paces.get(key)
        if pace is None:
            return 0.0
        now = monotonic()
        if now < pace.shared_until:
            wanted = pace.taken * random.uniform(1.5, 3.5)  # noqa: S311 - guards no secret
        elif pace.left <= 0:
            wanted = pace.taken * 2
        else:
            return 0.0
        return max(pace.at + min(wanted, _LONGEST) - now, 0.0)

    def loaded(self, key: Key, version: int) -> None:
        """Notes the version of a stream that is loaded for a new transaction."""
        pace = self._paces.get(key)
        if pace is None:
            return
        if version > pace.version:
            pace.shared_until = monotonic() + _SHARED
            pace.run = pace.left = _FIRST_RUN
        elif pace.left <= 0:
            pace.run = pace.left = min(pace.run * 2, _LONGEST_RUN)

    def stored(self, key: Key, version: int, seconds: float) -> None:
        """Notes a commit, and the seconds since the stream was loaded."""
        with self._lock:
            pace = self._paces.pop(key, None) or _Pace()
            self._paces[key] = pace  # the last to be forgotten
            if len(self._paces) > _KEPT:
                del self._paces[next(iter(self._paces))]
        now = monotonic()
        pace.left = pace.left - 1 if now - pace.at < 2 * seconds else pace.run
        # One that had to wait for others says little.
        pace.taken = min(seconds, pace.taken * 1.25) if pace.taken else seconds
        pace.version, pace.at = version, now

    def overtaken(self, key: Key) -> None:
        """Notes that another writer was faster."""
        pace = self._paces.get(key)
        if pace is not None:
            pace.shared_until = monotonic() + _SHARED
