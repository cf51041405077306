"""Following the log. How to wait is left to the two subscriptions, which differ only in that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic

from eventuali._engine.arguments import query_items
from eventuali._engine.checkpoint import flushed
from eventuali._engine.checkpoints import Start, checked_start
from eventuali._engine.decode import Decoders, Raw
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import Operation
from eventuali._engine.parts import row_of
from eventuali._engine.read import PAGE
from eventuali._eventuali import Checkpoint, Page, Pending, Row, Store, Subscription
from eventuali.errors import StreamingError
from eventuali.event import _registry
from eventuali.event._names import check_name
from eventuali.expected import checked_position
from eventuali.query import E_co, Query


class Following(Generic[E_co]):
    """The state of a subscription: the current page, and at most one more that is requested.

    Pages are requested by position. If an answer is lost, no event is lost with it: events that
    were not returned are read again.
    """

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        query: Query[E_co],
        *,
        after: int,
        name: str | None,
        raw: Raw,
        start: Start = "beginning",
    ) -> None:
        """Don't call this directly; use `EventStore.subscribe`."""
        self._generation = _registry.generation
        self._items = items = query_items(query)
        self._query = query
        self._store = store
        self._decoders = Decoders(event_types, raw=raw, query=query)
        self._after = self._begun = checked_position(after, "after")
        self._name = name
        self._at_end = checked_start(start, "start") == "end"
        if self._at_end and after != 0:
            raise TypeError("give `after` or `start`, not both: a position is a start of its own")
        if name is not None:
            check_name("name", name)
            if after != 0:
                raise TypeError("give `after` or `name`, not both: a name has its own position")
        core = store.subscribe(items, PAGE)
        self._core: Subscription | None = core
        self._checkpoint: Checkpoint | None = None if name is None else core.checkpoint(name)
        self._started = self._checkpoint is None and not self._at_end
        self._live = False
        self._busy = False
        self._left: str | None = None  # why the task that takes events has stopped
        self._pending: Pending | None = None
        self._page: Iterator[Any] = iter(())
        self._looked_to, self._end = self._after, False
        self._row: Row | None = None  # of the event that was returned last, on this page
        self._is_last = True  # whether no part of that stored event follows
        self._unhandled = False  # whether that event is not handled yet

    @property
    def name(self) -> str | None:
        """The name of its checkpoint; None without one."""
        return self._name

    @property
    def position(self) -> int:
        """How far it has looked: every matching event up to here was returned."""
        if self._row is None:
            return self._after
        return self._row.position if self._is_last else self._row.position - 1

    @property
    def live(self) -> bool:
        """Whether it reached the end of the log once, and the next event was then requested."""
        return self._live

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._core is None

    def _held(self) -> E_co | None:
        """Returns the next event of the current page; None at its end."""
        try:
            held = next(self._page, None)
        except BaseException:
            # The next call reads the page again, from this event on.
            self._forget(self.position)
            raise
        if held is None:
            return None
        self._row, self._is_last = row_of(held)
        return held  # type: ignore[no-any-return]

    def _forget(self, after: int) -> None:
        self._page, self._pending = iter(()), None
        self._after, self._row = after, None
        self._looked_to, self._end = after, False

    def _advance(self) -> Operation[bool]:
        """Gets the next page with events; False once it is closed."""
        if self._core is None:
            return False  # the rest of its page was not returned: the position stays
        self._after, self._row = self._looked_to, None
        while self._core is not None:
            if not self._started:
                yield from self._start()
            if self._end and not self._live:
                self._live = True
                self._tell()
            page = yield from self._arrival()
            if page is not None and self._core is not None:
                self._check_types()
                self._take(page, self._core)
                if len(page):
                    return True
                self._after = page.looked_to
        return False

    def _start(self) -> Operation[None]:
        if self._started:
            return
        if self._checkpoint is not None:
            self._after = yield self._checkpoint.begin(self._at_end)
        else:
            self._after, _, _, _ = yield self._store.horizon()
        self._looked_to = self._begun = self._after
        self._started = True

    def _check_types(self) -> None:
        """Checks that it still asks for all events that the query does.

        Raises:
            StreamingError: A retired class that becomes one that is asked for was defined since.
        """
        generation = _registry.generation
        if self._generation is generation:
            return
        now = query_items(self._query)
        late = {
            name
            for old, new in zip(self._items, now, strict=True)
            for name in {*new[2]} - {*old[2]}
        }
        if late:
            again = f"subscribe again with after={self._begun}"
            if self._name is not None:
                again = f"call reset_checkpoint({self._name!r}, {self._begun})"
            raise StreamingError(
                f"the retired {', '.join(sorted(late))}, whose events become some that are asked "
                "for, was defined after this subscription began, which may have passed over such "
                f"events; define it in the module of what it becomes, and {again}"
            )
        self._generation = generation

    def _arrival(self) -> Operation[Page | None]:
        """Waits for the requested page; None if the wait was ended."""
        if self._checkpoint is not None and self._checkpoint.looked(self._after):
            yield from flushed(self._checkpoint)
        core, pending = self._core, self._pending
        if core is None:
            return None
        if pending is None:
            pending = core.next(self._after, self._live)
        self._pending = None
        try:
            page: Page | None = yield pending
        except BaseException:
            core.stop()
            raise
        return page

    def _take(self, page: Page, core: Subscription) -> None:
        """Makes a page the current one, and requests the one after it."""
        self._looked_to, self._end = page.looked_to, page.end
        columns = page.columns()
        self._page = self._decoders.events(columns)
        self._pending = core.next(page.looked_to, self._live or page.end)

    def _leave(self, why: str) -> None:
        """Notes why the task that takes events has stopped, and wakes callers of `caught_up`."""
        self._left = why
        self._tell()

    def _ended(self) -> StreamingError:
        """Returns the error that says why the catch-up does not end."""
        why = "was closed" if self.closed else self._left
        return StreamingError(f"the subscription {why} before it had caught up")

    def _tell(self) -> None:
        """Wakes the callers of `caught_up`: the catch-up has ended, or it will not."""
        raise NotImplementedError

    def _acknowledge(self) -> bool:
        """Notes that the event returned last is handled; returns whether it is time to flush."""
        unhandled, self._unhandled = self._unhandled, False
        if not self._is_last:
            return False  # the checkpoint passes a stored event with its last part
        if unhandled and self._row is not None and self._checkpoint is not None:
            return self._checkpoint.handled(self._row)
        return False

    def _stop(self) -> None:
        """Releases everything, and ends a wait for the next event."""
        core, self._core = self._core, None
        if core is not None:
            core.stop()
        self._page, self._pending = iter(()), None

    def __repr__(self) -> str:
        named = "" if self.name is None else f" {self.name!r}"
        state = "closed" if self.closed else "live" if self.live else "catching up"
        return f"<Subscription{named} at {self.position}, {state}>"
