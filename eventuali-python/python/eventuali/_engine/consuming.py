"""A partition of a group at work, without a word about how to wait: the two members differ in that.

Its events are handled one after the other. The core keeps the lease and says before each event
whether it may be handled; how far they are handled is written on condition of the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from inspect import iscoroutine
from os import getpid
from random import uniform
from socket import gethostname
from time import monotonic
from traceback import format_exception
from typing import Any, Protocol, TypeAlias

from eventuali._engine.dead_letters import (
    Columns,
    all_letters,
    begun_again,
    begun_before,
    failed_again,
    letter_of,
    not_again,
    position_of,
    stream_of,
    with_payload,
)
from eventuali._engine.decode import Decoders
from eventuali._engine.event_types import EventTypes
from eventuali._engine.limit import Limit, followed
from eventuali._engine.parts import PartRow, row_of
from eventuali._engine.places import Call, Pause, Work
from eventuali._engine.projecting import CRASHES
from eventuali._engine.turn import LONGEST, Turn
from eventuali._eventuali import Held, Page, Pending, Row, Store
from eventuali.errors import (
    CheckpointMismatchError,
    ConsumerGroupError,
    EventStoreError,
    OptimisticConcurrencyError,
    StorageCorruptedError,
    StoreClosedError,
)
from eventuali.event import Event
from eventuali.event._context import Caused, current, enter, enter_caused, leave
from eventuali.event._slot import content
from eventuali.group import (
    Delivery,
    Group,
    PartitionState,
    PartitionStatus,
    Reason,
    _delivery,
)

_OWNED, _LOST = 0, 2
_CAREFUL = 1000
"""How many events are tried one by one after a crash: as many as can be handled and not written."""
_LONGEST_PAUSE = 30.0
"""The longest pause before an event is tried again, in seconds."""
_UNREACHED = 5.0
"""The longest pause before an error of the database is retried, in seconds."""
_DOUBLED = 20
"""How often a pause is doubled: after days of failures it is still a number."""
_LOOK = 0.1
"""How often a partition that stands still looks whether it is wanted elsewhere, in seconds."""
_TURN = 0.02
"""How often an event looks whether it may be tried, in seconds."""
_LETTERS = 100
"""How many dead letters are looked up at a time."""

Step: TypeAlias = Generator[Any, Any, bool]
"""A part of the work; whether to go on with the next event."""


class Watched(Protocol):
    """Goes on with coroutines of handlers that wait for something: the core knows when they run."""

    def __call__(self, coroutine: Any, waits_for: Any, held: Held) -> Any:
        """Returns what is left of a coroutine, to be awaited."""

    def as_failure(self, error: BaseException) -> BaseException:
        """Returns the error of a handler; a failure, if it says that it was cancelled by itself."""


class Consuming:
    """The work on one partition that a member owns.

    Attributes:
        number: The number of the partition.
        state: What is done with it.
    """

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        group: Group[Any],
        held: Held,
        turn: Turn,
        tell: Callable[[], None],
        watched: Watched | None,
    ) -> None:
        """Is not called directly: use `EventStore.join`.

        Args:
            store: The store.
            event_types: Its classes of events.
            group: The group.
            held: The partition.
            turn: Whose event is tried that may end the process.
            tell: Is called when something has changed that others wait for.
            watched: Goes on with a coroutine that waits for something, so that the core knows when
                it runs; None where each partition has a thread of its own.
        """
        self._store = store
        self._group = group
        self._held: Held | None = held
        self.number = held.number
        self._generation = held.generation
        self._decoders = Decoders(event_types, raw=False, query=group.query)
        self._turn = turn
        self._gives: Callable[[], None] | None = None  # gives the turn away that it has
        self._tell = tell
        self._watched = watched
        self._stopped = False
        self._idle = False  # whether everything is handled that it was given
        self._careful = _CAREFUL if held.careful else 0
        self._begun = False
        self._after = 0  # what is looked at lies up to here
        self._position = 0  # what is handled
        self._handled = 0
        self._parked = 0
        self._failures = 0  # of the database, one after the other
        self._error: BaseException | None = None
        self._failed_at: int | None = None
        self._given_up = 0  # the position of the event that was given up last
        self._streams: set[tuple[str, str]] | None = None  # of which letters may be left
        self.state: PartitionState = "catching up"

    # --- what others see --------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Everything that concerns it is handled up to here."""
        held = self._held
        return max(self._position, held.seen()) if self._idle and held else self._position

    @property
    def error(self) -> BaseException | None:
        """What stopped it, or is being retried."""
        return self._error

    @property
    def failed_at(self) -> int | None:
        """The position of the event at which it stands."""
        return self._failed_at

    def status(self) -> PartitionStatus:
        """Returns where it stands."""
        return PartitionStatus(
            number=self.number,
            generation=self._generation,
            state=self.state,
            position=self.position,
            handled=self._handled,
            parked=self._parked,
            error=self._error,
            failed_at=self._failed_at,
        )

    def stop(self) -> None:
        """Ends the work after the event in hand."""
        self._stopped = True

    # --- the work ---------------------------------------------------------------------------------

    def work(self) -> Work:
        """Handles events until the partition is wanted elsewhere, or lost; then releases it."""
        held = self._held
        if held is None:
            raise RuntimeError("a partition is worked through once")
        _delivery.set(Delivery(self._group.name, self.number, self._generation))
        try:
            yield from self._until_wanted(held)
            lost = held.status == _LOST
            yield from self._released(held)
            self._become("lost" if lost else "stopped" if self.state != "faulted" else "faulted")
        except Exception as error:
            yield from self._stands(held, error)
        except BaseException:
            held.abandon()
            self._become("lost" if held.status == _LOST else "stopped")
            raise
        finally:
            self._give_turn()
            self._held = None  # what holds it releases it in the end
            self._tell()

    def _stands(self, held: Held, error: Exception) -> Work:
        """Stands where it is until the partition is wanted elsewhere: here it would fail again."""
        held.put_back()
        self._give_turn()
        self._fault(error, self._failed_at)
        while held.status == _OWNED and not self._stopped:
            yield Pause(Limit(_LOOK))
        with suppress(EventStoreError):  # nobody can do more: the lease ends by itself
            yield held.release(self._careful > 0)

    def is_lost(self) -> bool:
        """Whether the partition is another member's, or may be."""
        held = self._held
        return held is not None and held.status == _LOST

    def _until_wanted(self, held: Held) -> Work:
        while True:
            try:
                if not self._begun:
                    self._after = self._position = yield held.begin()
                    self._begun = True
                self._after = max(self._after, self._position)
                if not (yield from self._follow(held)):
                    return
            except (StoreClosedError, StorageCorruptedError):
                raise
            except CheckpointMismatchError:
                if held.status == _LOST:
                    return
                raise
            except OptimisticConcurrencyError:
                self._give_turn()
                if held.status == _OWNED:  # it is lost, and this one does not know it yet
                    yield Pause(Limit(_LOOK))
                if held.status != _OWNED:
                    return
            except EventStoreError as error:
                held.put_back()
                self._give_turn()  # there may be no event with which it would be given
                pause = self._pause(0.05, self._failures, _UNREACHED)
                self._error = error
                self._become("retrying")
                yield pause
                self._failures += 1
                if held.status != _OWNED:
                    return

    def _follow(self, held: Held) -> Step:
        """Handles page after page; False once it is to be released."""
        if self._group.hold_back and self._streams is None:
            self._streams = yield from self._letters_of_streams(held)
        yield from self._replay(held)
        pending: Pending = held.next(self._after, False)
        waits = False
        while True:
            self._idle = waits
            page: Page | None = yield pending
            self._idle = False
            if held.is_asked():
                yield from self._replay(held)
            if held.status != _OWNED:
                return False
            if page is None:
                waits = False
                pending = held.next(self._after, False)
                continue
            self._failures = 0
            waits = page.end
            pending = held.next(page.looked_to, waits)
            if not len(page):
                yield from self._looked(held, page.looked_to)
            else:
                self._become("catching up")
                columns = page.columns()
                going = yield from self._events(held, columns)
                if going is None:  # an event could not be read: what follows it is asked for again
                    pending = held.next(self._after, False)
                    continue
                if not going:
                    return False
                yield from self._looked(held, page.looked_to)
            if waits:
                self._error = None
                self._become("live")

    def _looked(self, held: Held, position: int) -> Work:
        self._after = position
        self._position = max(self._position, position)
        if held.looked(position):
            yield held.flush()
        self._tell()

    def _events(self, held: Held, columns: Columns) -> Generator[Any, Any, bool | None]:
        """Handles the events of a page; None where one could not be read, and is given up."""
        events, last = self._decoders.events(columns), self._after
        in_hand = 0  # the position of an event of which parts were handled
        shares = self._watched is not None  # whether its handlers share a thread with others
        around, block = current(), None
        try:
            while True:
                try:
                    event = next(events, None)
                except Exception as error:
                    row = self._unreadable_of(columns, last)
                    if row is not None:
                        if not (yield from self._unreadable(held, row, error)):
                            return False
                        self._position = row.position
                    self._after = max(self._after, self._position)
                    return None
                if event is None:
                    return True
                row = content(event)
                is_last = type(row) is not PartRow
                if not is_last:
                    row, is_last = row_of(event)
                position, begins = row.position, not in_hand
                slow = self._careful or self._streams
                if begins:
                    if not held.take(shares and not slow):
                        return False
                elif held.status == _LOST:
                    return False
                elif shares and not slow:
                    held.steps_in()
                in_hand = 0 if is_last else position
                if position == self._given_up:
                    pass  # another part of it
                elif slow:
                    if not (yield from self._one(held, event, row, begins=begins)):
                        return False
                else:  # as `_call`, in half the time; what it stores follows from the event
                    failed: Exception | None = None
                    entered = enter(Caused(event, around))
                    block = block or entered
                    try:
                        if (waits := self._started(held, event)) is not None:
                            yield waits
                    except Exception as error:
                        failed = error
                    if failed is not None and not (yield from self._one(held, event, row, failed)):
                        return False
                if is_last:
                    last = self._position = position
                    self._handled += position != self._given_up
                    if held.handled(row) or self._careful:
                        self._careful = max(self._careful - 1, 0)
                        yield held.flush()
                        self._give_turn()
        finally:
            if block is not None:
                with suppress(ValueError):  # given up by whoever is in another context
                    leave(block)

    def _one(
        self,
        held: Held,
        event: Event,
        row: Row,
        failed: Exception | None = None,
        *,
        begins: bool = False,
    ) -> Step:
        """Handles an event, or gives it up; False where it is not handled.

        Args:
            held: The partition.
            event: The event.
            row: What is stored of it.
            failed: What its handler has raised; None before it was called.
            begins: Whether it is the first of the events that the stored one has become.
        """
        stream = (row.aggregate_type or "", row.aggregate_id or "")
        known = bool(self._streams) and stream in (self._streams or ())
        if begins and (known or self._careful):
            # Whoever gave it up may have ended before that was passed.
            if (yield self._store.dead_letter(self._group.name, row.position)):
                self._given_up = row.position
                return True
            if known and (yield from self._is_behind(held, stream)):
                yield from self._park(held, row, "held back", None, 0)
                return True
        tries, careful, suspected = 0, begins and self._careful > 0, False
        if careful:
            # Of several events in hand, one may have ended the process; then each is tried alone.
            suspected = (yield held.tried(row.position)) > 0
            if not (yield from self._in_turn(held, alone=suspected)):
                return False
            tries = (yield held.attempt(row.position)) - 1
            if tries >= CRASHES:
                error = ConsumerGroupError(
                    f"{tries} times, a process ended or the deadline passed while it handled the "
                    f"{row.event_type} at position {row.position}"
                )
                return (yield from self._give_up(held, row, "crashed", error, tries))
        attempt = 0
        while True:
            if failed is None:
                failed = yield from self._call(held, event)
            if failed is None:
                if self._failed_at is not None:
                    self._error = self._failed_at = None
                return True
            attempt += 1
            policy = self._group.on_error
            if attempt > policy.times:
                return (yield from self._give_up(held, row, "failed", failed, tries + attempt))
            held.put_back()
            self._give_turn()
            pause = self._pause(policy.backoff, attempt - 1, _LONGEST_PAUSE)
            self._error, self._failed_at = failed, row.position
            self._become("retrying")
            while pause.limit.left() and held.status == _OWNED and not self._stopped:
                yield Pause(Limit(min(pause.limit.left(), _LOOK), followed(self._store)))
            if not held.take():
                return False
            if careful and not (yield from self._in_turn(held, alone=suspected)):
                return False
            failed = None

    def _in_turn(self, held: Held, *, alone: bool) -> Step:
        """Waits until no other event here is tried that may end the process, or hangs.

        Args:
            held: The partition.
            alone: Whether this one may do so: then no other one is to be begun meanwhile.
        """
        turn, limit = self._turn, monotonic() + LONGEST
        while self._gives is None and monotonic() < limit:
            if turn.take() if alone else turn.begin():
                self._gives = turn.give if alone else turn.end
            else:
                held.put_back()
                yield Pause(Limit(_TURN))
                if not held.take():
                    return False
        return True

    def _give_turn(self) -> None:
        """Lets another event be tried."""
        gives, self._gives = self._gives, None
        if gives is not None:
            gives()

    def _call(self, held: Held, event: Event) -> Generator[Any, Any, Exception | None]:
        """Calls the handler; returns what it raised."""
        block = enter_caused(event)  # what it stores follows from the event
        if self._watched is not None:
            held.steps_in()
        try:
            if (waits := self._started(held, event)) is not None:
                yield waits
        except Exception as error:
            return error
        finally:
            held.steps_out()
            with suppress(ValueError):  # given up by whoever is in another context
                leave(block)
        return None

    def _started(self, held: Held, event: Event) -> Call | None:
        """Calls the handler; returns what is left of it where it waits for something.

        Whoever shares its thread has stepped in. It steps out where the handler fails or waits;
        where the handler has ended, the caller does.
        """
        watched = self._watched
        if watched is None:  # its thread is its own
            answer: Any = self._group.handler(event)
            if answer is not None:
                raise self._answered(answer)
            return None
        try:
            answer = self._group.handler(event)
            if answer is None:
                return None
            if not iscoroutine(answer):
                raise self._answered(answer)
            try:
                waits_for = answer.send(None)
            except StopIteration:  # what does not wait ends without a turn through the task
                return None
            except BaseException as error:
                if (failure := watched.as_failure(error)) is not error:
                    raise failure from error
                raise
        except BaseException:
            held.steps_out()
            raise
        held.steps_out()
        return Call(watched(answer, waits_for, held))

    def _answered(self, answer: Any) -> TypeError:
        """Returns the error for what a handler returned."""
        if iscoroutine(answer):
            answer.close()
        return TypeError(
            f"the handler of {self._group.name!r} returned {answer!r:.60}; a handler returns "
            "nothing, and in a blocking store it is no coroutine function"
        )

    # --- what can't be handled --------------------------------------------------------------------

    def _give_up(
        self, held: Held, row: Row, reason: Reason, error: BaseException, tries: int
    ) -> Step:
        """Parks an event, or stands at it until the partition is wanted elsewhere."""
        if self._group.on_error.otherwise == "park":
            yield from self._park(held, row, reason, error, tries)
            return True
        held.put_back()
        self._give_turn()
        self._fault(error, row.position)
        yield held.flush()
        while held.status == _OWNED and not self._stopped:
            yield Pause(Limit(_LOOK))
        return False

    def _park(
        self, held: Held, row: Row, reason: Reason, error: BaseException | None, tries: int
    ) -> Work:
        """Writes a dead letter, before the checkpoint passes the event."""
        trace = "" if error is None else "".join(format_exception(error))
        text = "" if error is None else f"{type(error).__name__}: {error}"
        key = held.key_of(row)
        letter = letter_of(
            self._store, row, self.number, key, reason, text, trace, handled_by(), tries
        )
        yield held.park(letter)
        self._parked += 1
        self._given_up = row.position
        self._error = self._failed_at = None
        if self._streams is not None and row.aggregate_id is not None:
            self._streams.add((row.aggregate_type or "", row.aggregate_id))

    def _unreadable_of(self, columns: Columns, last: int) -> Row | None:
        """Returns the first row behind a position that can't be read; None if all can be by now.

        Some before it may become nothing, and are not to blame.
        """
        kinds, payloads, rows = columns
        for kind, payload, row in zip(kinds, payloads, rows, strict=True):
            if row.position > last:
                try:
                    list(self._decoders.events(([kind], [payload], [row])))
                except Exception:
                    return row
        return None

    def _unreadable(self, held: Held, row: Row, error: Exception) -> Step:
        """Gives up an event that can't be read as one of its class."""
        if not held.take():
            return False
        if not (yield from self._give_up(held, row, "unreadable", error, 0)):
            return False
        if held.handled(row):
            yield held.flush()
        return True

    def _is_behind(self, held: Held, stream: tuple[str, str]) -> Step:
        """Whether an event of a stream is still parked."""
        left: bool = yield held.holds(*stream)
        if not left and self._streams is not None:
            self._streams.discard(stream)
        return left

    def _letters_of_streams(self, held: Held) -> Generator[Any, Any, set[tuple[str, str]]]:
        """Returns the streams of which letters are left."""
        letters = yield from all_letters(self._store, self._group.name)
        return {
            (each.aggregate_type, each.aggregate_id)
            for each in letters
            if each.aggregate_type is not None and each.aggregate_id is not None
        }

    # --- dead letters, once more ------------------------------------------------------------------

    def _replay(self, held: Held) -> Work:
        """Handles the dead letters again that somebody wants to be, in the order of the log."""
        failed: set[tuple[str, str] | None] = set()  # streams that stay in order
        while held.status == _OWNED:
            found = yield held.wanted(_LETTERS)
            if not found:
                return
            for json, version in found:
                if not held.take():
                    return
                stream = stream_of(json)
                if stream is not None and stream in failed:
                    yield held.park(not_again(json), version)
                elif not (yield from self._again(held, json, version)) and self._group.hold_back:
                    failed.add(stream)
                held.put_back()

    def _again(self, held: Held, json: bytes, version: int) -> Step:
        """Handles the event of a dead letter; it goes if that succeeds, else it says why not."""
        if (begun := begun_before(json)) >= CRASHES:
            text = f"{begun} times, a process ended or the deadline passed while it was replayed"
            given_up = failed_again(json, "crashed", text, "", handled_by())
            yield held.park(given_up, version)
            return False
        if begun and not (yield from self._in_turn(held, alone=True)):
            return False
        json = begun_again(json)
        version = yield held.park(json, version)
        position = position_of(json)
        page: Page = yield self._store.read([], after=position - 1, until=position, limit=1)
        failed: Exception | None = None
        reason: Reason = "failed"
        events: list[Event] = []
        if not len(page):
            failed = ConsumerGroupError(f"there is no event at position {position} any more")
        else:
            try:
                events = list(self._decoders.events(with_payload(json, page.columns())))
            except Exception as error:
                failed, reason = error, "unreadable"
        for event in events:
            failed = failed or (yield from self._call(held, event))
        if failed is None:
            yield held.settle(position, version)
            self._give_turn()
            self._handled += 1
            return True
        text = f"{type(failed).__name__}: {failed}"
        trace = "".join(format_exception(failed))
        yield held.park(failed_again(json, reason, text, trace, handled_by()), version)
        self._give_turn()
        return False

    # --- small things -----------------------------------------------------------------------------

    def _released(self, held: Held) -> Work:
        """Gives the partition away, behind what is handled."""
        try:
            yield held.release(self._careful > 0)
        except CheckpointMismatchError:
            if held.status != _LOST:
                raise

    def _pause(self, seconds: float, times: int, longest: float) -> Pause:
        """Returns a pause that doubles, a little longer or shorter by chance."""
        seconds = min(seconds * 2 ** min(times, _DOUBLED), longest)
        seconds *= uniform(0.75, 1.25)  # noqa: S311 (chance keeps members apart, not secrets)
        return Pause(Limit(seconds, followed(self._store)))

    def _fault(self, error: BaseException, position: int | None) -> None:
        self._error, self._failed_at = error, position
        self._become("faulted")

    def _become(self, state: PartitionState) -> None:
        if self.state != state:
            self.state = state
            self._tell()


def handled_by() -> str:
    """Returns who handles events here, for people."""
    return f"{gethostname()}, process {getpid()}"
