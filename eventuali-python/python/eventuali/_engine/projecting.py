"""A projection at work, without a word about how to wait: the two runners differ in that.

A page of events is folded into documents, which are committed together with the cursor, while the
next page is on its way. What fails is worked out again from the cursor, which alone says what was
handled: nothing in here has to survive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeAlias
from uuid import UUID

from eventuali._engine.decode import Columns, Decode, TypeKey, decode, decoder, readable
from eventuali._engine.documents import Changes, Document, decoded, encoded, encoded_all
from eventuali._engine.read import PAGE
from eventuali._eventuali import Page, Pending, Row, Store
from eventuali._eventuali import Projection as Core
from eventuali.codec.json import Codec
from eventuali.errors import (
    CheckpointMismatchError,
    EventStoreError,
    OptimisticConcurrencyError,
    ProjectionError,
    StorageCorruptedError,
    StoreClosedError,
)
from eventuali.event import Event
from eventuali.event._names import check_name
from eventuali.event._slot import set_stored
from eventuali.projection import (
    Projection,
    ProjectionState,
    ProjectionStatus,
    ReadModel,
    Retry,
    refuse_unless_none,
    without_document,
    without_key,
)
from eventuali.projection._handlers import Handler
from eventuali.query import Item

__all__ = ["Call", "Core", "Pause", "Projecting", "Store", "Work"]

Cursor: TypeAlias = tuple[int, tuple[int, UUID] | None, int, int]
"""(position, (position, id) of the last event that matched, attempts, version)"""

CACHE = 10_000
"""How many documents are kept from page to page."""
MOST_DOCUMENTS = 9_999
MOST_BYTES = 16 << 20
CRASHES = 5
"""How often an event is tried whose handler ends the process."""
ABANDONED = 60.0
"""How long a rebuild stands still before it is taken for one that was killed, in seconds."""
_AHEAD = 1000
"""How many positions without a match are passed before that is written down."""
_LONGEST = 5.0
"""The longest pause before an error of the store is retried, in seconds."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in an operation, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A coroutine of a handler, for the event loop to run."""

    coroutine: Awaitable[Any]


Work: TypeAlias = Generator[Pending | Pause | Call, Any, None]


class _Failed(Exception):
    """A handler failed at an event."""

    def __init__(self, row: Row, cause: BaseException) -> None:
        super().__init__(row, cause)
        self.position = row.position
        self.cause = cause


class _Smaller(Exception):
    """A page changes more than a commit holds."""

    def __init__(self, rows: Sequence[Row], position: int) -> None:
        super().__init__(rows, position)
        self.rows = rows
        self.position = position


class _Gone(Exception):
    """Another process has written the page, or has put another generation in the place of this."""


_Taken: TypeAlias = tuple[Event, Handler, Row]
"""An event, the handler that takes it, and its row."""


class Projecting:
    """One projection under a runner.

    Attributes:
        projection: The projection.
        name: Its name.
        rebuild: Whether it fills documents beside the live ones, and ends when they are live.
        items: What it asks the log for.
    """

    def __init__(
        self,
        store: Store,
        projection: Projection[Any],
        *,
        on_error: Retry,
        changes: Callable[[Core, int], Changes],
        tell: Callable[[], None],
        rebuild: bool = False,
    ) -> None:
        """Is not called directly: use `EventStore.run`."""
        cls = type(projection)
        self.projection = projection
        self.name = cls.__projection_name__
        self.rebuild = rebuild
        self._store = store
        self._model = cls.__model__
        self._core = store.projection(self.name, cls.__projection_version__)
        self._on_error = on_error
        self._changes_of = changes
        self._tell = tell
        self._handlers = cls.__handlers_of_all__()
        self._classes = {event.__event_type__: event for event in self._handlers}
        self.items: list[Item] = [(None, None, tuple(self._classes), (), (), None)]
        self._own_key = cls.key is not Projection.key
        self._table: dict[TypeKey, tuple[Decode, Codec[Any], Handler]] = {}
        self._log = store.subscribe(self.items, PAGE)
        self._stopped = False
        self._rebuilt: int | None = None  # a generation that was being rebuilt when this began
        self._fresh = True  # whether this process has not begun before
        self._number = 0
        self._live_generation = False
        self._cursor: Cursor = (0, None, 0, 0)
        self._docs: Changes | None = None  # of the free form
        self._documents: dict[str, Any] = {}  # of the pure form, None where there is none
        self._models: set[str] = set()
        self._sent: tuple[Pending, int] | None = None  # a page that is being written; its events
        self._state: ProjectionState = "catching up"
        self._error: BaseException | None = None
        self._failed_at: int | None = None
        self._handled = 0
        self._failures = 0  # of the store, since it did anything
        self._recent: deque[tuple[float, int]] = deque()
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
    def position(self) -> int:
        """The documents hold everything that concerns them up to here."""
        return self._cursor[0]

    @property
    def shown(self) -> int:
        """The documents that people read hold everything that concerns them up to here."""
        return self.position if self._live_generation else -1

    def status(self) -> ProjectionStatus:
        """Returns where it stands."""
        now = monotonic()
        # A copy: another thread may be at work.
        recent = [each for each in list(self._recent) if each[0] >= now - _WINDOW]
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
            rebuilding=not self._live_generation,
            position=self.position,
            lag=0 if behind is None and self._idle() else max(end - self.position, 0),
            lag_time=None if behind is None else _age(behind[1]),
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

    def work(self) -> Work:
        """Works until it is stopped or faulted; a rebuild, until its documents are live."""
        try:
            while not self._stopped:
                try:
                    yield from self._begin()
                    if (yield from self._follow()):
                        break
                except (_Gone, OptimisticConcurrencyError):
                    self._forget()
                except (StoreClosedError, CheckpointMismatchError, StorageCorruptedError):
                    raise
                except EventStoreError as error:
                    self._forget()
                    self._note(error)
                    yield Pause(min(0.05 * 2**self._failures, _LONGEST))
                    self._failures += 1
            if self._state != "faulted":
                self._become("stopped")
        except Exception as error:
            self._fault(error)
        except BaseException:
            self._become("stopped")
            raise

    def _begin(self) -> Work:
        models = [] if self._model is None else [self._model.__model_name__]
        if self.rebuild and self._number:
            yield from self._resume()
            return
        begun = yield self._core.begin(self.rebuild, models)
        self._number, self._live_generation, self._cursor, self._rebuilt = begun
        self._models = set(models)
        self._drop_documents()
        self._tell()

    def _resume(self) -> Work:
        """Continues a rebuild from where its cursor is."""
        before, self._cursor = self._cursor, (yield self._core.cursor(self._number))
        if self._cursor[3] < before[3]:
            self._number = 0  # there is nothing to give up
            raise ProjectionError(f"another rebuild of {self.name} has taken the place of this one")
        self._drop_documents()

    def _follow(self) -> Generator[Pending | Pause | Call, Any, bool]:
        """Handles page after page; whether there is nothing more to do."""
        # Another process that runs this projection may have begun just now: only a process that
        # starts looks whether one before it has ended in the middle.
        crashed = self._cursor[2] if self._fresh else 0
        waits = False  # whether the page that is requested comes only with new events
        noted = self.position
        pending = self._log.next(self.position, waits)
        while True:
            if waits or self._stopped:
                yield from self._settle()
            if self._stopped:
                return True
            if waits:
                if not self._live_generation:
                    yield from self._swap()
                if self.rebuild:
                    return True
                self._error = None
                self._become("live")
            page: Page | None = yield pending
            if page is None:
                yield from self._settle()
                return self._stopped
            if len(page) and self._fresh:
                self._fresh = False
                yield from self._settle()
                yield from self._mark(crashed)
                if crashed:  # then it begins anew from where it is
                    return (yield from self._carefully(page, crashed))
            waits = page.end or (waits and len(page) < PAGE)
            pending = self._log.next(page.looked_to, waits)
            try:
                if len(page):
                    columns = page.columns()
                    self._behind = columns[2][-1].position, columns[2][0]
                    if not waits:
                        self._become("catching up")
                    yield from self._page(columns, page.looked_to)
                    noted = page.looked_to
                elif page.looked_to > noted + _AHEAD:
                    yield from self._write([], self._reached(page.looked_to, None), 0)
                    noted = page.looked_to
                elif self._sent is None:
                    self._cursor = (page.looked_to, *self._cursor[1:])
                    self._tell()
            except _Smaller as smaller:
                try:
                    yield from self._in_parts(smaller)
                except _Failed as failed:
                    return (yield from self._recover(failed))
            except _Failed as failed:
                return (yield from self._recover(failed))

    def _swap(self) -> Work:
        """Puts what was built in the place of the live documents."""
        self._cursor = yield self._core.swap(self._number, self._cursor)
        self._live_generation = True
        self._tell()

    def _mark(self, crashed: int) -> Work:
        """Writes down that the next event is tried, for whoever comes if that ends the process."""
        position, last, _, _ = self._cursor
        yield from self._write([], (position, last, crashed + 1, 0), 0)
        yield from self._settle()

    def _carefully(self, page: Page, crashed: int) -> Generator[Any, Any, bool]:
        """Handles the events of a page one by one, since a process ended among them."""
        columns = page.columns()
        if crashed >= CRASHES:
            row = columns[2][0]
            yield from self._unmark()  # whoever starts it again has mended that
            self._fault(
                ProjectionError(
                    f"the process ended {crashed} times while {self.name} handled the "
                    f"{row.event_type} at position {row.position}"
                ),
                row.position,
            )
            return True
        for row in columns[2]:
            try:
                yield from self._until(row.position, attempts=1)
            except _Failed as failed:
                return (yield from self._recover(failed))
            if self._stopped:
                return True
        yield from self._unmark()
        return False

    def _unmark(self) -> Work:
        """Takes back what was written down when a process began."""
        position, last, attempts, _ = self._cursor
        if attempts:
            yield from self._write([], (position, last, 0, 0), 0)
            yield from self._settle()

    def _recover(self, failed: _Failed) -> Generator[Any, Any, bool]:
        """Handles what precedes the event that failed, and tries that again; whether to stop."""
        attempt = 0
        while True:
            yield from self._settle()
            yield from self._is_not_behind()
            self._drop_documents()
            try:
                yield from self._until(failed.position - 1)
                yield from self._unmark()
                if attempt == 0:
                    self._note(failed.cause)
                if attempt == self._on_error.times:
                    self._fault(failed.cause, failed.position)
                    return True
                yield Pause(self._on_error.backoff * 2**attempt)
                attempt += 1
                if self._stopped:
                    return True
                yield from self._until(failed.position)
            except _Failed as again:
                if again.position != failed.position:
                    attempt = 0
                failed = again
            else:
                self._error = None
                return False

    def _is_not_behind(self) -> Work:
        """Refuses to go on where another process is further, whose documents these are.

        Raises:
            _Gone: Another process has moved the cursor.
        """
        cursor: Cursor = yield self._core.cursor(self._number)
        if cursor[3] != self._cursor[3]:
            raise _Gone

    def _until(self, position: int, attempts: int = 0, limit: int = PAGE) -> Work:
        """Handles everything up to a position."""
        while self.position < position and not self._stopped:
            page: Page = yield self._store.read(
                self.items, after=self.position, until=position, limit=limit
            )
            try:
                yield from self._page(page.columns(), page.looked_to, attempts)
            except _Smaller as smaller:
                yield from self._in_parts(smaller, attempts)
            yield from self._settle()

    def _in_parts(self, large: _Smaller, attempts: int = 0) -> Work:
        """Handles a page that changes more than a commit holds, in commits of their own."""
        yield from self._settle()
        self._drop_documents()
        yield from self._until(large.position, attempts, max(len(large.rows) // 2, 1))

    def _page(self, columns: Columns, looked_to: int, attempts: int = 0) -> Work:
        """Folds a page, and sends what it gives."""
        rows = columns[2]
        taken = self._decoded(columns)
        if self._model is not None:
            changes = yield from self._folded(taken)
        else:
            changes = yield from self._handled_by_hand(taken)
        last = rows[-1] if rows else None
        if not _fits(changes):
            if len(rows) > 1:
                raise _Smaller(rows, looked_to)
            raise _Failed(
                rows[0],
                ProjectionError(
                    f"the {rows[0].event_type} changes more documents than a commit holds: at most "
                    f"{MOST_DOCUMENTS:,}, of {MOST_BYTES:,} bytes together"
                ),
            )
        yield from self._write(changes, self._reached(looked_to, last, attempts), len(rows))

    def _reached(self, position: int, row: Row | None, attempts: int = 0) -> Cursor:
        last = self._cursor[1] if row is None else (row.position, row.event_id)
        return position, last, attempts, 0

    def _decoded(self, columns: Columns) -> list[_Taken]:
        table = self._table
        taken = []
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table.get(name) or self._find(name, row)
                validate, codec, handler = found
                try:
                    event = validate(payload)
                except Exception:
                    event = decode(codec, payload, row)
            except Exception as error:
                raise _Failed(row, error) from error
            set_stored(event, row)
            taken.append((event, handler, row))
        return taken

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any], Handler]:
        cls = self._classes[readable(key, row)]
        found = *decoder(cls), self._handlers[cls]
        self._table[key] = found
        return found

    def _folded(self, taken: Sequence[_Taken]) -> Generator[Any, Any, list[Document]]:
        """Applies a page to the documents; they are read in one go, where they are not known."""
        model = self._model
        projection, documents = self.projection, self._documents
        assert model is not None  # noqa: S101
        keys: list[str | None] = []
        for event, _, row in taken:
            if self._own_key:
                try:
                    key = projection.key(event)
                    if key is not None and key not in documents:
                        check_name("key", key)
                except Exception as error:
                    raise _Failed(row, error) from error
                keys.append(key)
            elif row.aggregate_id is None:
                raise _Failed(row, without_key(projection, event))
            else:
                keys.append(row.aggregate_id)
        unknown = [key for key in dict.fromkeys(keys) if key is not None and key not in documents]
        for first in range(0, len(unknown), _KEYS):
            part = unknown[first : first + _KEYS]
            found, _ = yield self._core.documents(self._number, model.__model_name__, part)
            documents |= dict.fromkeys(part)
            documents |= {key: decoded(model, key, json) for key, json in found}
        changed: dict[str, Row] = {}
        at: Row | None = None
        try:
            for (event, handler, at), key in zip(taken, keys, strict=True):
                if key is None:
                    continue
                document = documents[key]
                if document is None and handler.needs_document:
                    raise without_document(projection, handler, event)
                document = handler.function(projection, event, document)
                if type(document) is not model:
                    refuse_unless_none(projection, handler, document)
                documents[key] = document
                changed[key] = at
        except Exception as error:
            assert at is not None  # noqa: S101
            raise _Failed(at, error) from error
        for key in changed:  # the ones that were used last are kept
            documents[key] = documents.pop(key)
        changes = _written(model, documents, changed)
        if len(documents) > CACHE:
            for key in list(documents)[: len(documents) - CACHE]:
                del documents[key]
        return changes

    def _handled_by_hand(self, taken: Sequence[_Taken]) -> Generator[Any, Any, list[Document]]:
        """Calls the handlers of the free form with the documents of a page."""
        yield from self._settle()  # these handlers may wait for long
        docs = self._docs = self._docs or self._changes_of(self._core, self._number)
        docs._begin_page(CACHE)
        for event, handler, row in taken:
            try:
                answer = handler.function(self.projection, event, docs)
                if handler.is_async:
                    answer = yield Call(answer)
                if answer is not None:
                    raise TypeError(
                        f"{type(self.projection).__name__}.{handler.name} returned {answer!r:.60}; "
                        "in the free form, use docs.put and docs.delete"
                    )
            except Exception as error:
                raise _Failed(row, error) from error
        for model in docs._models - self._models:
            yield self._core.add_model(self._number, model)
            self._models.add(model)
        return docs._changed_documents()

    def _write(self, changes: list[Document], to: Cursor, events: int) -> Work:
        """Sends a page of documents, once the one before it is written."""
        yield from self._settle()
        self._sent = self._core.advance(self._number, self._cursor, to, changes), events

    def _settle(self) -> Work:
        """Waits for the page that is being written."""
        if self._sent is None:
            return
        pending, events = self._sent
        self._sent = None
        self._cursor = yield pending
        self._handled += events
        self._failures = 0
        now = monotonic()
        self._recent.append((now, events))
        while self._recent[0][0] < now - _WINDOW:
            self._recent.popleft()
        self._error = None
        self._tell()

    def _forget(self) -> None:
        self._sent = None
        self._drop_documents()

    def _drop_documents(self) -> None:
        self._documents.clear()
        self._docs = None

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
        while self._state == "catching up" and not self._number and not self._stopped:
            yield Pause(0.1)
        number = self._rebuilt
        if number is None:
            return
        try:
            before: Cursor = yield self._core.cursor(number)
            yield Pause(ABANDONED)
            if not self._stopped and (yield self._core.cursor(number)) == before:
                yield self._core.discard(number)
        except EventStoreError:
            return  # whoever begins next looks again

    def take_back(self) -> Pending | None:
        """Takes back that an event is tried, for work that was cancelled; None if nothing is."""
        position, last, attempts, _ = self._cursor
        if not attempts or self._state == "faulted":
            return None
        return self._core.advance(self._number, self._cursor, (position, last, 0, 0), [])

    def discard(self) -> Pending | None:
        """Gives up what a rebuild has filled; None where there is nothing to give up."""
        if self._number and not self._live_generation:
            return self._core.discard(self._number)
        return None


_KEYS = 1000
_WINDOW = 5.0


def _fits(changes: list[Document]) -> bool:
    """Whether a commit holds these changes, and the cursor."""
    bytes_ = sum(len(json) for _, _, json, _ in changes if json is not None)
    return len(changes) <= MOST_DOCUMENTS and bytes_ <= MOST_BYTES - 1024


def _age(row: Row) -> timedelta | None:
    stored = row.meta().recorded_at
    return None if stored is None else max(datetime.now(UTC) - stored, timedelta())


def _written(
    model: type[ReadModel], documents: dict[str, Any], changed: dict[str, Row]
) -> list[Document]:
    """Returns what is stored of the documents that a page has changed.

    Raises:
        _Failed: One can't be stored; it is the last event's that changed it.
    """
    there = {key: documents[key] for key in changed if documents[key] is not None}
    try:
        found = encoded_all(model, there)
    except Exception:
        for key, document in there.items():
            try:
                encoded(model, key, document)
            except Exception as error:
                raise _Failed(changed[key], error) from error
        raise
    return found + [encoded(model, key, None) for key in changed if key not in there]
