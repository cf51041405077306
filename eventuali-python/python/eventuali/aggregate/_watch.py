"""Who is told of the aggregates that get new events: the unit of work for which code runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

Watcher: TypeAlias = Callable[["Aggregate"], None]

_watcher: ContextVar[Watcher | None] = ContextVar("eventuali_watcher", default=None)
watcher = _watcher.get
"""Returns who is told here; None for nobody."""


@contextmanager
def watching(told: Watcher) -> Iterator[None]:
    """Tells somebody of each aggregate before its first event since its last save.

    It follows tasks and threads as the blocks of `eventuali.context` do.
    """
    token = _watcher.set(told)
    try:
        yield
    finally:
        _watcher.reset(token)
