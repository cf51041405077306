"""A projection at work, without a word about how to wait: the two runners differ in that.

Pages of events are handled and written together with the cursor, while the next page is on its
way. What fails is worked out again from the cursor, which alone says what was handled: nothing in
here has to survive.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from eventuali._engine import clock
from eventuali._engine.documents import Changes
from eventuali._engine.folding import ByHand, Core, Folding, InMemory
from eventuali._engine.in_sql import InSqlTables
from eventuali._engine.inline_folding import InlineFolding
from eventuali._engine.limit import Limit, followed
from eventuali._engine.own_tables import InOwnTables, Offload
from eventuali._engine.paging import WINDOW, Paging, Smaller
from eventuali._engine.places import Call, Failed, Gone, Pause, Place, Unavailable, Work
from eventuali._engine.progress import Progress
from eventuali._engine.read import PAGE
from eventuali._engine.sharing import Lease, pause
from eventuali._engine.turn import LONGEST, Turn
from eventuali._eventuali import Held, Page, Pending, Row, Store
from eventuali.errors import (
    CheckpointMismatchError,
    EventStoreError,
    OptimisticConcurrencyError,
    ProjectionError,
    StorageCorruptedError,
    StoreClosedError,
)
from eventuali.projection import (
    InSql,
    MemoryView,
    Placed,
    ProjectionState,
    ProjectionStatus,
    Retry,
    Runnable,
    check_stops,
    projection_of,
)

__all__ = ["Call", "Core", "Offload", "Pause", "Projecting", "Store", "Work"]

CRASHES = 5
"""How often an event is tried whose handler ends the process."""
ABANDONED = 300.0
"""How long a rebuild stands still before it is taken for one that was killed, in seconds."""
_AHEAD = 1000
"""How many positions without a match are passed before that is written down."""
_SOON, _LATER = 0.2, 1.0
"""How long a page that somebody began must stand still before they count as ended, in seconds: a
first time, and when it was begun several times."""
_SWAPS = 20
"""How often it is tried to swap at a moment at which the live documents are not further."""
_CHUNK = 32
"""How many events are written together after one crash; after another one, each by itself."""
_LONGEST = 5.0
"""The longest pause before an error of the database is retried, in seconds."""
_DOUBLED = 20
"""How often a pause is doubled: after days of failures it is still a number."""


def place_of(
    store: Store,
    runnable: Runnable,
    changes: Callable[[Core, int], Changes],
    offload: Offload | None,
) -> Place:
    """Returns where a projection writes."""
    match runnable:
        case Placed(projection, tables):
            return InOwnTables(store, projection, tables, offload)
        case InSql(projection):
            return InSqlTables(store, projection)
        case MemoryView():
            return InMemory(runnable)
    if type(runnable).__inline__:
        return InlineFolding(store, runnable)
    if type(runnable).__model__ is not None:
        return Folding(store, runnable)
    return ByHand(store, runnable, changes)


class Projecting(Paging):
    """One projection under a runner.

    Attributes:
        projection: The projection.
        name: Its name.
        rebuild: Whether it fills documents beside the live ones, and ends when they are live.
    """

    def __init__(
        self,
        store: Store,
        runnable: Runnable,
        *,
        on_error: Retry,
        changes: Callable[[Core, int], Changes],
        tell: Callable[[], None],
        offload: Offload | None = None,
        rebuild: bool = False,
        turn: Turn | None = None,
        shared: bool = False,
    ) -> None:
        """Is not called directly: use `EventStore.run`."""
        check_stops(on_error)
        self.projection = projection_of(runnable)
        cls = type(self.projection)
        self._new_place = partial(place_of, store, runnable, changes, offload)
        super().__init__(store, self._new_place(), cls.__handlers_of_all__(), tell)
        self.name = cls.__projection_name__
        self.rebuild = rebuild
        self._on_error = on_error
        self._turn = turn or Turn()
        self._log = store.subscribe(self.items, PAGE)
        self._fresh = True  # whether this process has not begun before
        self._is_in_documents = not isinstance(runnable, Placed | InSql)
        self._state: ProjectionState = "elsewhere" if shared else "catching up"
        self._lease = Lease() if shared else None
        self._elsewhere: Place | None = None  # what another process fills, as it was seen last
        self._failed_at: int | None = None
        # Position of the last event of the page in hand, and the row of its first.
        self._behind: tuple[int, Row] | None = None

    # --- what others see --------------------------------------------------------------------------

    @property
    def state(self) -> ProjectionState:
        """What it does."""
        return self._state

    @property
    def error(self) -> BaseException | None:
        """What stopped it, or is being retried."""
        return self._error

    @property
    def shown(self) -> int:
        """The documents that people read hold everything that concerns them up to here."""
        if isinstance(self._error, CheckpointMismatchError):
            return -1  # it is another log
        return self.position if self._seen.is_live else -1

    @property
    def position(self) -> int:
        """The documents hold everything that concerns them up to here, as far as is known."""
        return self._seen.cursor[0]

    @property
    def _seen(self) -> Place:
        elsewhere = self._elsewhere if self._state == "elsewhere" else None
        return elsewhere or self._place

    def status(self) -> ProjectionStatus:
        """Returns where it stands."""
        now = monotonic()
        # A copy: another thread may be at work.
        recent = [each for each in list(self._recent) if each[0] >= now - WINDOW]
        events = sum(count for _, count in recent)
        since = now - recent[0][0] if recent else 0.0
        try:
            end = self._store.last_position()
        except StoreClosedError:
            end = self.position
        behind = self._behind if self._behind and self._behind[0] > self.position else None
        return ProjectionStatus(
            name=self.name,
            version=type(self.projection).__projection_version__,
            state=self._state,
            rebuilding=not self._seen.is_live,
            position=self.position,
            lag=0 if behind is None and self._idle() else max(end - self.position, 0),
            lag_time=None if behind is None else _age(self._store, behind[1]),
            rate=events / max(since, 1.0),
            handled=self._handled,
            error=self._error,
            failed_at=self._failed_at,
        )

    def _idle(self) -> bool:
        return self._state == "live" and self._sent is None

    def stop(self) -> None:
        """Ends the work after the page in hand."""
        self._stopped = True
        self._log.stop()

    # --- the work ---------------------------------------------------------------------------------

    def works(self) -> list[Work]:
        """Returns everything that is to be done side by side."""
        lease = self._lease
        return [self.work(), self.sweep()] + ([] if lease is None else [self._watch(lease)])

    def work(self) -> Work:
        """Works until it is stopped or faulted; a rebuild, until its documents are live.

        One that is shared works while it has its lease, again and again.
        """
        if self._lease is None:
            yield from self._work()
            return
        try:
            while not self._stopped:
                self._error = self._failed_at = None
                self._become("elsewhere")
                while self._is_wanted_elsewhere() and not self._stopped:
                    yield from self._lease.release()  # one that was wanted before it was seen
                    yield pause()
                if not self._stopped:
                    yield from self._work_here(self._lease)
        finally:
            self._lease.end()
        if self._state != "faulted":
            self._become("stopped")

    def _work_here(self, lease: Lease) -> Work:
        self._fresh = True
        self._forget()
        self._become("catching up")
        yield from self._work()
        faulted = self._state == "faulted"
        while faulted and not self._stopped and not self._is_wanted_elsewhere():
            yield pause()  # here it would fail again
        yield from lease.release()

    def _is_wanted_elsewhere(self) -> bool:
        return self._lease is not None and not self._lease.is_here()

    def _watch(self, lease: Lease) -> Work:
        """Ends the wait for new events once the projection is wanted elsewhere."""
        while not self._stopped:
            yield pause()
            if self._state != "elsewhere" and not lease.is_here():
                self._log.stop()

    def look(self) -> Work:
        """Finds out how far the documents are that another process fills."""
        place = self._new_place()
        yield from place.begin(rebuild=False)
        self._elsewhere = place

    @property
    def lease_name(self) -> str:
        """What its lease is called."""
        place = "" if self._is_in_documents else ", tables"
        return f"{self.name}/{type(self.projection).__projection_version__}{place}"

    def takes(self, held: Held) -> None:
        """Works from now on, or goes on."""
        if self._lease is not None:
            self._lease.give(held)

    def ends(self, error: BaseException) -> None:
        """Ends for good: there are no leases any more."""
        self._stopped = True
        self._fault(error)

    def _work(self) -> Work:
        try:
            while not self._stopped and not self._is_wanted_elsewhere():
                try:
                    yield from self._begin()
                    if (yield from self._follow()):
                        break
                except (Gone, OptimisticConcurrencyError):
                    self._forget()
                except (StoreClosedError, CheckpointMismatchError, StorageCorruptedError):
                    raise
                except (EventStoreError, Unavailable) as error:
                    self._forget()
                    cause = error.__cause__ if isinstance(error, Unavailable) else error
                    self._become("catching up")
                    seconds = min(0.05 * 2 ** min(self._failures, _DOUBLED), _LONGEST)
                    pause = self._pause(seconds)
                    self._note(cause or error)
                    yield pause
                    self._failures += 1
            if self._state != "faulted" and (self._stopped or self._lease is None):
                self._become("stopped")
        except Exception as error:
            self._fault(error)
        except BaseException as error:
            if isinstance(error, SystemExit | KeyboardInterrupt):
                self._error = error
            self._become("stopped")
            raise

    def _begin(self) -> Work:
        if self.rebuild and self._place.number:
            yield from self._resume()
            return
        yield from self._place.begin(rebuild=self.rebuild)
        self._tell()

    def _resume(self) -> Work:
        """Continues a rebuild from where its cursor is."""
        before = self._place.cursor
        self._place.cursor = yield from self._place.written()
        if self._place.cursor[3] < before[3]:
            self._place.number = 0  # there is nothing to give up
            raise ProjectionError(f"another rebuild of {self.name} has taken the place of this one")
        self._forget()

    def _follow(self) -> Generator[Any, Any, bool]:
        """Handles page after page; whether there is nothing more to do."""
        # Another process that runs this projection may have begun just now: only a process that
        # starts looks whether one before it has ended in the middle.
        crashed = self._place.cursor[2] if self._fresh else 0
        waits = False  # whether the page that is requested comes only with new events
        attempts = 0  # to put what was built in the place of the live documents
        noted = self.position
        pending = self._log.next(self.position, waits)
        while True:
            if waits or self._stopped:
                yield from self._settle()
            if self._stopped:
                return True
            if waits:
                if not self._place.is_live:
                    # Who reads the live documents is not taken back. But where these change all the
                    # time, the last events are handled behind the swap.
                    swapped = yield from self._place.swap(behind=attempts == _SWAPS)
                    self._tell()
                    attempts += 1
                    if not swapped or attempts > _SWAPS:
                        waits = False
                        pending = self._log.next(self.position, waits)
                        continue
                if self.rebuild:
                    return True
                self._error = None
                self._become("live")
            page: Page | None = yield pending
            if page is None:
                yield from self._settle()
                self._forget()  # what was handled and not sent
                return self._stopped
            self._check_types()
            if len(page) and self._fresh:
                self._fresh = False
                yield from self._settle()
                if crashed:  # then it begins anew from where it is
                    return (yield from self._in_turn(page, crashed))
                yield from self._mark(1)
            waits = page.end or (waits and len(page) < PAGE)
            pending = self._log.next(page.looked_to, waits)
            smaller: Smaller | None = None
            failed: Failed | None = None
            try:
                if len(page) or self._held:
                    columns = page.columns()
                    if len(page):
                        self._behind = columns[2][-1].position, columns[2][0]
                    if not waits:
                        self._become("catching up")
                    yield from self._page(columns, page.looked_to, more=not waits)
                    noted = page.looked_to
                elif page.looked_to > noted + _AHEAD:
                    self._held_to = noted = page.looked_to
                    yield from self._send()
                elif self._sent is None:
                    self._place.cursor = (page.looked_to, *self._place.cursor[1:])
                    self._tell()
            except Smaller as found:
                smaller = found
            except Failed as found:
                failed = found
            # Outside of `except`: what a handler raises when it is tried again has no context.
            if smaller is not None:
                try:
                    yield from self._in_parts(smaller)
                except Failed as found:
                    failed = found
            if failed is not None:
                return (yield from self._recover(failed))

    # --- what is left of a failure or a crash -----------------------------------------------------

    def _in_turn(self, page: Page, crashed: int) -> Generator[Any, Any, bool]:
        """Handles a page that a process ended in, while no other projection does that."""
        limit = monotonic() + LONGEST
        while not (taken := self._turn.take()) and not self._stopped and monotonic() < limit:
            yield Pause(Limit(0.02))
        try:
            yield from self._is_left_alone(_SOON if crashed == 1 else _LATER)
            if self._stopped:
                return True
            yield from self._mark(crashed + 1)
            return (yield from self._carefully(page, crashed))
        finally:
            if taken:
                self._turn.give()

    def _is_left_alone(self, seconds: float) -> Work:
        """Watches for a while whether whoever began the page before is at work on it.

        Raises:
            Gone: Somebody is: no process ended here.
        """
        limit = monotonic() + seconds
        while monotonic() < limit and not self._stopped:
            yield Pause(Limit(0.02))
            yield from self._is_not_behind()

    def _carefully(self, page: Page, crashed: int) -> Generator[Any, Any, bool]:
        """Handles the events of a page in small parts, since a process ended among them."""
        rows: Sequence[Row] = page.columns()[2]
        if crashed >= CRASHES:
            row = rows[0]
            yield from self._unmark()  # whoever starts it again has mended that
            self._fault(
                ProjectionError(
                    f"the process ended {crashed} times while {self.name} handled the "
                    f"{row.event_type} at position {row.position}"
                ),
                row.position,
            )
            return True
        # Most processes that end are killed from outside. Whoever ends again among these events is
        # found by single ones.
        attempts, size = (1, _CHUNK) if crashed == 1 else (2, 1)
        for last in [*rows[size - 1 : -1 : size], rows[-1]]:
            failed: Failed | None = None
            try:
                yield from self._until(last.position, attempts)
            except Failed as found:
                failed = found
            if failed is not None:
                return (yield from self._recover(failed))
            if self._stopped:
                return True
        yield from self._unmark()
        return False

    def _recover(self, failed: Failed) -> Generator[Any, Any, bool]:
        """Handles what precedes the event that failed, and tries that again; whether to stop."""
        attempt = 0
        while True:
            yield from self._settle()
            yield from self._is_not_behind()
            self._forget()
            try:
                yield from self._until(failed.position - 1)
                yield from self._unmark()
                pause = self._pause(self._on_error.backoff * 2 ** min(attempt, _DOUBLED))
                if attempt == 0:
                    self._note(failed.cause)
                if attempt == self._on_error.times:
                    self._fault(failed.cause, failed.position)
                    return True
                yield pause
                attempt += 1
                if self._stopped or self._is_wanted_elsewhere():
                    return True
                yield from self._until(failed.position)
            except Failed as again:
                if again.position != failed.position:
                    attempt = 0
                failed = again
            else:
                self._error = None
                return False

    def _pause(self, seconds: float) -> Pause:
        """Returns a pause before something is tried again.

        It is made before anybody hears of the error: who then moves a clock ends it.
        """
        return Pause(Limit(seconds, followed(self._store)))

    # --- what becomes of it -----------------------------------------------------------------------

    def _become(self, state: ProjectionState) -> None:
        if self._state != state:
            self._state = state
            self._tell()

    def _note(self, error: BaseException) -> None:
        self._error = error
        self._tell()

    def _fault(self, error: BaseException, position: int | None = None) -> None:
        self._error, self._failed_at, self._state = error, position, "faulted"
        self._log.stop()
        self._tell()

    def sweep(self) -> Work:
        """Removes what a rebuild has left that was killed: one that stands still for a while."""
        seen: tuple[int, Any] | None = None
        while not self._stopped:
            found = None
            try:
                pending = self._place.rebuilt()
                if pending is None:
                    return
                number: int | None = yield pending
                if number is not None:
                    found = number, (yield self._place.progress_of(number))
                    if found == seen and (given_up := self._place.discard(number)) is not None:
                        yield given_up
            except EventStoreError:
                pass  # it is looked again
            seen = found
            yield Pause(Limit(ABANDONED))

    def outcome(self) -> ProjectionStatus:
        """Returns how a rebuild ended.

        Raises:
            ProjectionError: It failed.
        """
        if self._state != "faulted":
            return self.status()
        left = (
            "its tables are filled up to there"
            if isinstance(self._place, InOwnTables | InSqlTables)
            else "the live documents are unchanged"
        )
        at = "" if self._failed_at is None else f" at position {self._failed_at}"
        raise ProjectionError(f"the rebuild of {self.name} failed{at}; {left}") from self._error

    def take_back(self) -> Pending | Call | None:
        """Takes back that an event is tried, for work that was cancelled; None if nothing is.

        A handler that calls `sys.exit` counts as one that ended the process.
        """
        failed = self._state == "faulted" or isinstance(self._error, SystemExit)
        return None if failed else self._place.take_back()

    def discard(self) -> Pending | None:
        """Gives up what a rebuild has filled; None where there is nothing to give up."""
        place = self._place
        return place.discard(place.number) if place.number and not place.is_live else None


class Rebuilding(Projecting):
    """A projection that fills documents beside the live ones, and tells how far it is."""

    def __init__(
        self,
        store: Store,
        runnable: Runnable,
        end: int,
        progress: Progress | None,
        *,
        on_error: Retry,
        changes: Callable[[Core, int], Changes],
        offload: Offload | None = None,
    ) -> None:
        """Is not called directly: use `EventStore.rebuild`."""
        super().__init__(
            store,
            runnable,
            on_error=on_error,
            changes=changes,
            tell=self._tell_progress,
            offload=offload,
            rebuild=True,
        )
        self._end = end
        self._progress = progress
        self._reached = -1
        self._interrupted: Exception | None = None

    def _tell_progress(self) -> None:
        position = min(self.position, self._end)
        if self._progress is None or position <= self._reached:
            return
        self._reached = position
        try:
            self._progress(position, self._end)
        except Exception as error:  # it is no failure of the projection
            self._interrupted = self._interrupted or error
            self.stop()

    def outcome(self) -> ProjectionStatus:
        """Returns how the rebuild ended.

        Raises:
            ProjectionError: It failed.
            Exception: What `progress` raised.
        """
        if self._interrupted is not None:
            raise self._interrupted
        return super().outcome()


def _age(store: Store, row: Row) -> timedelta | None:
    stored = row.meta().recorded_at
    return None if stored is None else max(clock.now(store) - stored, timedelta())
