"""Metadata by context: events get the ids of the request that they are made in.

    with metadata(correlation_id=request_id, user_id="ada"):
        await place_order(...)  # every event that is made in here has both

One `contextvars` variable has the metadata of the block. It follows `await`, tasks
(`create_task`, `gather`, `TaskGroup`) and `asyncio.to_thread`, and the threads in which projections
of a blocking store run. Other threads and executors begin outside of every block: `carry` takes a
function along.

An event takes the metadata of the block in which it is made. If it is made outside of every block,
it takes that of the block in which it is applied or, failing that, stored. It takes it once, all
fields together: so an aggregate that is loaded in one request and saved in another has the ids of
the requests that made its events, and never a mixture.

This module does no I/O and imports no extension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token, copy_context
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from eventuali.event import Event
from eventuali.event._context import Caused, Metadata, current, enter, leave, shown, within

__all__ = ["Block", "Metadata", "carry", "caused_by", "current_metadata", "metadata"]

P = ParamSpec("P")
T = TypeVar("T")

# A pickle names it where no part of the path is private.
Metadata.__module__ = __name__


class Block:
    """A block whose events get metadata; made by `metadata` and `caused_by`, entered once."""

    def __init__(self, begin: Callable[[], Metadata | Caused]) -> None:
        """Don't call this directly."""
        self._begin = begin
        self._token: Token[Metadata | Caused | None] | None = None

    def __enter__(self) -> None:
        if self._token is not None:
            raise RuntimeError("this block was entered before; make a new one")
        self._token = enter(self._begin())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._token is not None  # noqa: S101
        try:
            leave(self._token)
        except ValueError as other:
            raise RuntimeError(
                "the block was entered in another task or thread, where alone it had an effect; "
                "enter and leave it in the task that makes the events"
            ) from other


class _Unchanged:
    """Stands for a field that a block leaves as it is."""

    def __repr__(self) -> str:
        return "..."


_UNCHANGED: Any = _Unchanged()


def metadata(
    *,
    correlation_id: UUID | str | None = _UNCHANGED,
    causation_id: UUID | str | None = _UNCHANGED,
    user_id: str | None = _UNCHANGED,
    headers: Mapping[str, str] | None = _UNCHANGED,
) -> Block:
    """Returns a block whose events get metadata that they have no value of their own for.

        with metadata(correlation_id="req-7", user_id="ada"):
            account.apply(Deposited(amount=5))

    In nested blocks, the inner one overrides what it names, and keeps the rest. It holds for every
    store: an event may be made for one and stored in another.

    Args:
        correlation_id: What the events belong to, such as a request; None for none.
        causation_id: What caused them; None for none.
        user_id: Who caused them; None for none.
        headers: Headers, which are added to those of the block around; None for none at all.

    Raises:
        InvalidEventError: A value is not acceptable; raised on entering the block.
    """
    given = {
        name: value
        for name, value in (
            ("correlation_id", correlation_id),
            ("causation_id", causation_id),
            ("user_id", user_id),
            ("headers", headers),
        )
        if value is not _UNCHANGED
    }
    return Block(lambda: within(given))


def caused_by(event: Event) -> Block:
    """Returns a block whose events follow from an event.

        async for event in subscription:
            with caused_by(event):
                await store.save(order)

    They get the id of the event as causation id and its correlation id, or its id if it has none,
    as correlation id. User and headers stay those of the block around.

    Raises:
        TypeError: `event` is not an event.
    """
    if not isinstance(event, Event):
        raise TypeError(f"caused_by takes an event, not {event!r:.60}")
    return Block(lambda: Caused(event, current()))


def current_metadata() -> Metadata:
    """Returns what events get here; all fields are None outside of every block."""
    return shown(current())


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """Takes the block of now along: returns the function for another thread or executor.

        executor.submit(carry(work), order)

    Each call has a copy of the whole `contextvars` context in which `carry` was called. A coroutine
    function needs no `carry`: a task takes the context of whoever creates it.
    """
    context = copy_context()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return carried
