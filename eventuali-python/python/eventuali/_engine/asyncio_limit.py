"""Waits of an event loop that a clock of a test can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from eventuali._engine.limit import Limit


def within(limit: Limit) -> AbstractAsyncContextManager[asyncio.Timeout]:
    """Cancels what its block awaits at a limit, and raises `TimeoutError`, as `asyncio.timeout`."""
    return _followed(limit) if limit.follows else asyncio.timeout(limit.left())


async def pause(limit: Limit) -> None:
    """Waits until a limit."""
    if not limit.follows:
        await asyncio.sleep(limit.left())
        return
    with suppress(TimeoutError):
        async with within(limit):
            await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def _followed(limit: Limit) -> AsyncIterator[asyncio.Timeout]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit.left()) as timeout:
        within = True

        def look() -> None:
            if within and not timeout.expired() and not limit.left():
                timeout.reschedule(loop.time())

        def wake() -> None:
            with suppress(RuntimeError):  # a closed loop waits for nothing
                loop.call_soon_threadsafe(look)

        try:
            with limit.telling(wake):
                look()  # it may have been moved since the limit was set
                yield timeout
        finally:
            within = False
