"""What `read` returns: an iterator over events that knows how far it has looked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Generic, cast

from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.read import Reading
from eventuali.event import Event
from eventuali.query import E_co

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver


class EventReader(AsyncIterator[E_co], Generic[E_co]):
    """An async iterator over matching events; reading begins when the first one is requested."""

    def __init__(self, reading: Reading, driver: AsyncioDriver) -> None:
        """Don't call this directly; use `EventStore.read`."""
        self._reading = reading
        self._events = cast("AsyncGenerator[E_co, None]", _awaited(reading, driver))

    @property
    def position(self) -> int:
        """How far it has looked, whether or not anything matched.

        Every matching event up to this position was returned; continue with
        `after=reader.position`. When reading backwards, it is every one down to this position;
        continue with `before=`.
        """
        return self._reading.position

    def __aiter__(self) -> AsyncGenerator[E_co, None]:
        return self._events

    async def __anext__(self) -> E_co:
        return await self._events.__anext__()

    async def aclose(self) -> None:
        """Stops reading; `position` stays."""
        await self._events.aclose()


class BlockingReader(Iterator[E_co], Generic[E_co]):
    """An iterator over matching events; reading begins when the first one is requested."""

    def __init__(self, reading: Reading) -> None:
        """Don't call this directly; use `EventStore.read`."""
        self._reading = reading
        self._events = cast("Generator[E_co, None, None]", _waited(reading))

    @property
    def position(self) -> int:
        """How far it has looked, whether or not anything matched; see `EventReader.position`."""
        return self._reading.position

    def __iter__(self) -> Generator[E_co, None, None]:
        return self._events

    def __next__(self) -> E_co:
        return next(self._events)

    def close(self) -> None:
        """Stops reading; `position` stays."""
        self._events.close()


async def _awaited(reading: Reading, driver: AsyncioDriver) -> AsyncGenerator[Event, None]:
    while (pending := reading.pending) is not None:
        for event in reading.take(await driver.answer(pending)):
            reading.last = event
            yield event
        reading.done()


def _waited(reading: Reading) -> Generator[Event, None, None]:
    while True:
        refuse_in_loop()
        if (pending := reading.pending) is None:
            return
        for event in reading.take(pending.wait()):
            reading.last = event
            yield event
        reading.done()
