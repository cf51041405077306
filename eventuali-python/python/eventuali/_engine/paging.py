"""Pages of events: decoded, handled, and written to the place of a projection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from eventuali._engine.decode import Columns
from eventuali._engine.places import Cursor, Failed, Gone, Place, TooLarge, Work
from eventuali._engine.read import PAGE
from eventuali._engine.taking import Taking
from eventuali._eventuali import Page, Row, Store
from eventuali.errors import ProjectionError
from eventuali.event import Event
from eventuali.projection._handlers import Handler
from eventuali.query import Item

WINDOW = 5.0
"""Over how long a rate is taken, in seconds."""
_MOST = 10_000
"""How many events are handled before that is written, though more follow at once."""
_LONGEST = 0.2
"""How long events are handled before that is written, though more follow at once, in seconds."""


class Smaller(Exception):
    """Events must be written in smaller parts."""

    def __init__(self, count: int, position: int) -> None:
        super().__init__(count, position)
        self.count = count
        self.position = position


class Paging:
    """Takes pages of events to a place.

    While more events follow at once, several pages are written together: a document that many
    events change is then written once.

    Attributes:
        items: What the projection asks the log for.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        handlers: dict[type[Event], Handler],
        tell: Callable[[], None],
    ) -> None:
        self._store = store
        self._place = place
        self._taking = Taking(handlers)
        self._tell = tell
        self.items: list[Item] = [(None, None, self._taking.event_types, (), (), None)]
        self._sent: int | None = None  # events whose page is being written
        self._held = 0  # events that were handled, and are not sent
        self._held_since = 0.0
        self._held_to = 0
        self._last: Row | None = None  # the last of them
        self._holds = False  # whether pages are written together
        self._stopped = False
        self._handled = 0
        self._failures = 0  # of the database, since anything was written
        self._error: BaseException | None = None
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def position(self) -> int:
        """The documents hold everything that concerns them up to here."""
        return self._place.cursor[0]

    def _check_types(self) -> None:
        """Checks that it still asks for all events that concern it.

        Raises:
            ProjectionError: A retired class that becomes a handled one was defined since.
        """
        late = self._taking.late()
        if late is not None:
            raise ProjectionError(
                f"the retired {late.__qualname__}, whose events become some that are handled, was "
                "defined after this projection began, which may have passed over such events; "
                "define it in the module of what it becomes, start again, and rebuild"
            )

    def _page(
        self, columns: Columns, looked_to: int, attempts: int = 0, *, more: bool = False
    ) -> Work:
        """Handles a page, and sends what it gives; later, with others, where more follow."""
        rows = columns[2]
        if not self._held:
            self._held_since = monotonic()
        if rows:
            if self._place.may_wait:
                yield from self._settle()
            yield from self._place.handle(self._taking.taken(columns))
            self._held += len(rows)
            self._last = rows[-1]
        self._held_to = looked_to
        if (
            more
            and self._holds
            and not self._stopped
            and self._held < _MOST
            and not self._place.is_full()
            and monotonic() - self._held_since < _LONGEST
        ):
            return
        yield from self._send(attempts)

    def _send(self, attempts: int = 0) -> Work:
        """Sends what was handled, with how far that is."""
        count, row = self._held, self._last
        if not count:
            row = None
        last = self._place.cursor[1] if row is None else (row.position, row.event_id)
        self._held = 0
        try:
            yield from self._write((self._held_to, last, attempts, 0), count)
        except TooLarge as error:
            self._holds = False
            if count > 1 or row is None:
                raise Smaller(count, self._held_to) from error
            text = f"the {row.event_type} changes more than a commit holds"
            raise Failed(row, ProjectionError(text)) from error

    def _write(self, to: Cursor, events: int = 0) -> Work:
        """Sends a page, once the one before it is written."""
        yield from self._settle()
        yield from self._place.write(to)
        self._sent = events

    def _settle(self) -> Work:
        """Waits for the page that is being written."""
        if self._sent is None:
            return
        events, self._sent = self._sent, None
        yield from self._place.settle()
        self._handled += events
        self._failures = 0
        self._holds = self._holds or events > 0
        now = monotonic()
        self._recent.append((now, events))
        while self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
        self._error = None
        self._tell()

    def _forget(self) -> None:
        """Drops everything that is not written."""
        self._sent = None
        self._held = 0
        self._place.forget()

    def _mark(self, attempts: int) -> Work:
        """Writes down how often the next page was begun."""
        position, last, _, _ = self._place.cursor
        yield from self._write((position, last, attempts, 0))
        yield from self._settle()

    def _unmark(self) -> Work:
        """Takes back what was written down when a process began."""
        if self._place.cursor[2]:
            yield from self._mark(0)

    def _is_not_behind(self) -> Work:
        """Refuses to go on where another process is further, whose documents these are.

        Raises:
            Gone: Another process has moved the cursor.
        """
        cursor = yield from self._place.written()
        if cursor[3] != self._place.cursor[3]:
            raise Gone

    def _until(self, position: int, attempts: int = 0, limit: int = PAGE) -> Work:
        """Handles everything up to a position."""
        while self.position < position and not self._stopped:
            page: Page = yield self._store.read(
                self.items, after=self.position, until=position, limit=limit
            )
            try:
                yield from self._page(page.columns(), page.looked_to, attempts)
            except Smaller as smaller:
                yield from self._in_parts(smaller, attempts)
            yield from self._settle()

    def _in_parts(self, large: Smaller, attempts: int = 0) -> Work:
        """Handles what changes more than a commit holds, in commits of their own."""
        yield from self._settle()
        self._forget()
        yield from self._until(large.position, attempts, max(min(large.count, PAGE) // 2, 1))
