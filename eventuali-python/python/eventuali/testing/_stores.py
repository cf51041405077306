"""Stores for tests, opened and closed without an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from eventuali import sync
from eventuali._engine.asyncio_driver import AsyncioDriver
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.lifecycle import Place, begin, opened
from eventuali.config import EventStoreConfig, options_of
from eventuali.projection import Projection, check_inline
from eventuali.store import EventStore
from eventuali.testing._clock import Clock

BACKENDS = ("memory", "sqlite", "postgres")


class Opened:
    """A store of one test, as both APIs see it: what one saves, the other loads."""

    def __init__(
        self, place: Place, inline: Sequence[Projection[Any]] = (), clock: Clock | None = None
    ) -> None:
        """Opens the store."""
        self._place = place
        given = check_inline(inline)
        core = opened(begin(place, "", "relaxed", clock).wait())
        here = core.blocking(True)
        types = EventTypes()
        self._core = core
        self._driver = AsyncioDriver()
        self.asynchronous = EventStore(
            core, types, self._driver, inline=Inline(core, given) if given else None
        )
        self.blocking = sync.EventStore(here, types, inline=Inline(here, given) if given else None)

    def close(self) -> None:
        """Closes the store, and removes what it leaves behind on PostgreSQL."""
        self._core.close().wait()
        self._driver.close()
        if isinstance(self._place, EventStoreConfig):
            options_of(self._place).drop_test_schema()


def postgres(url: str) -> EventStoreConfig:
    """Returns the place of a store in PostgreSQL, in a schema that is made for one test."""
    config = EventStoreConfig.postgres(url)
    return config.with_schema(f"eventuali_test_{uuid4().hex}").with_max_connections(4)
