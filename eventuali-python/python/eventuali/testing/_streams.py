"""Given these streams, when a handler of several aggregates is called, then those events follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, Self, TypeAlias, TypeVar, overload

from eventuali import sync
from eventuali._engine.commit_builder import CommitBuilder, encode
from eventuali._engine.transact import ATTEMPTS
from eventuali.aggregate import Aggregate
from eventuali.command import CommandBus
from eventuali.command._dispatch import Dispatch
from eventuali.command._handlers import Handling
from eventuali.context import carry
from eventuali.event import Event
from eventuali.testing import _differences as differences
from eventuali.testing._given import _events
from eventuali.testing._outcome import Message, Outcome, attempt
from eventuali.testing._stores import Opened
from eventuali.transaction import UnitOfWork

R = TypeVar("R")

StreamKey: TypeAlias = tuple[str | type[Aggregate], str] | None
"""A stream: the class of its aggregate or the wire name of its type, and its id; None for none."""
_Stream: TypeAlias = tuple[str, str]

NO_STREAM = ("", "")


def given_streams(*events: Event | Iterable[Event]) -> OfStreams:
    """Says what has happened in several streams, before a handler of several aggregates is called.

        given_streams(
            stream(Account, "a", Opened(owner="Ada"), Deposited(amount=10)),
            stream(Account, "b", Opened(owner="Bob")),
        ).when(Transfer(source="a", target="b", amount=4), transfer).then(
            {(Account, "a"): [Withdrawn(amount=4)], (Account, "b"): [Deposited(amount=4)]}
        )

    The handler is called with a store in memory that holds these events. What is returned can be
    used for any number of tests.

    Args:
        events: Streams, made by `stream`, and events of no stream.

    Raises:
        TypeError: Something is not an event.
    """
    return OfStreams(_events(events))


class OfStreams:
    """Streams of events that have happened."""

    def __init__(self, events: Sequence[Event]) -> None:
        """Is made by `given_streams`."""
        self._events = events

    @overload
    def when(self, what: Callable[[UnitOfWork], Awaitable[object]]) -> Transacted: ...
    @overload
    def when(self, what: Callable[[sync.UnitOfWork], object]) -> Transacted: ...
    @overload
    def when(self, what: Message, *handlers: Handling) -> Transacted: ...
    def when(self, what: Any, *handlers: Handling) -> Transacted:
        """Calls a function as `EventStore.transact` does, or sends a command as a bus does.

        Args:
            what: A function of a `UnitOfWork`, of the asynchronous store if it is a coroutine
                function, else of the blocking one; or a command.
            handlers: Who handles the command: what a `CommandBus` takes.

        Raises:
            TypeError: Handlers are given for a function.
            UnknownCommandError: None of the handlers takes the command.
            ConfigurationError: Two handlers take the same class.
        """
        return Transacted(self._events, what, handlers)


class Transacted(Outcome):
    """What a transaction or the handling of a command did."""

    def __init__(self, given: Sequence[Event], what: Any, handlers: Sequence[Handling]) -> None:
        """Acts at once; is made by `when`."""
        call, self._title = _call_of(what, handlers)
        self._events = given

        def act() -> tuple[Any, Exception | None, list[Event]]:
            opened = Opened("memory://")
            try:
                last = _fill(opened, given)
                returned, raised = attempt(lambda: call(opened))
                return returned, raised, list(opened.blocking.read(after=last))
            finally:
                opened.close()

        done = _apart(act)
        super().__init__()  # there is nothing to check where it was given wrongly
        self._returned, self._raised, self._new = done

    def then(  # type: ignore[override]
        self,
        events: Mapping[StreamKey, Sequence[Event]],
        *,
        meta: Iterable[str] = (),
        ignore: Iterable[str] = (),
    ) -> Self:
        """Checks that exactly these events are new, in this order within each stream.

        Args:
            events: The events that are expected, by stream, as `{(Account, "a"): [Paid(…)]}`.
            meta: Names of metadata that does count, such as `"correlation_id"` or `"tags"`.
            ignore: Names of fields that don't count, such as an id that was made.

        Raises:
            AssertionError: The events are others, or something was raised.
            TypeError: `events` is not a mapping of events by stream, or no metadata or no field
                has the name.
        """
        __tracebackhide__ = True
        self._checked()
        expected = _by_key(events)
        new = _by_stream(self._new)
        listed = [event for several in expected.values() for event in several]
        counted, ignored = self._counted(listed, meta, ignore)
        self._refuse_raised()
        lines: list[str] = []
        for stream in dict.fromkeys((*expected, *new)):
            found = differences.of_events(
                expected.get(stream, ()), new.get(stream, ()), counted, ignored
            )
            if found:
                lines += [f"{_shown(stream)}:", *(f"    {line}" for line in found)]
        if lines:
            self._fail("the new events are not those that were expected", lines)
        return self

    def then_nothing(self) -> Self:
        """Checks that no event is new. After `then_raises`, that none was stored before the raise.

        Raises:
            AssertionError: There are new events, or something was raised.
        """
        __tracebackhide__ = True
        return self.then({})

    def then_state(self, cls: type[Aggregate], id: str, /, **fields: Any) -> Self:
        """Checks fields or properties of an aggregate: `then_state(Account, "a", balance=6)`.

        Raises:
            AssertionError: One has another value, or something was raised.
            TypeError: The aggregate has no such attribute, or none is named.
        """
        __tracebackhide__ = True
        self._checked()
        self._refuse_raised()
        stream = (cls.__aggregate_type__, id)
        events = [event for event in (*self._events, *self._new) if _stream_of(event) == stream]
        self._check_state(cls.from_events(events, id=id), _shown(stream), fields)
        return self

    def _given(self) -> list[str]:
        lines = differences.listed("given", self._events, _mark(self._events))
        new = differences.listed("new", self._new, _mark(self._new)) if self._new else []
        return lines + new


def _call_of(what: Any, handlers: Sequence[Handling]) -> tuple[Callable[[Opened], Any], str]:
    """Returns what acts on a store, and its name."""
    if callable(what):
        if handlers:
            raise TypeError("handlers are those of a command; a function needs none")
        name = getattr(what, "__qualname__", type(what).__qualname__)
        return lambda opened: _transact(opened, what), name
    handler = Dispatch(handlers, (), None, ATTEMPTS).find(what, is_query=False)
    if handler.is_async:
        return lambda opened: _run(_sent(opened, what, handlers)), handler.name
    plain = [each for each in handlers if not iscoroutinefunction(each)]
    return lambda opened: sync.CommandBus(opened.blocking, *plain).send(what).answer, handler.name


class _Work:
    """The unit of work of a function of which it is not known yet whether it has to be awaited."""

    def __init__(self, work: sync.UnitOfWork | UnitOfWork) -> None:
        self._work = work
        self._used = False

    @property
    def __class__(self) -> Any:
        return type(self._work)

    @__class__.setter
    def __class__(self, cls: type) -> None:
        raise TypeError(f"a unit of work can't become a {cls.__name__}")

    def __getattr__(self, name: str) -> Any:
        self._used = True
        return getattr(self._work, name)


class _IsCoroutineError(Exception):
    """A function that looks plain returns a coroutine.

    Attributes:
        begun: The coroutine, and its unit of work; None if the function has used that already.
    """

    def __init__(self, begun: tuple[Any, _Work] | None) -> None:
        super().__init__()
        self.begun = begun


def _transact(opened: Opened, function: Callable[[Any], Any]) -> Any:
    def plain(work: sync.UnitOfWork) -> Any:
        given = function(either := _Work(work))
        if not isawaitable(given):
            return given
        if not iscoroutine(given):
            raise _IsCoroutineError(None)
        if either._used:
            given.close()  # what it was made with is of the other store
            raise _IsCoroutineError(None)
        raise _IsCoroutineError((given, either))

    def awaited(begun: tuple[Any, _Work] | None) -> Any:
        waiting = [] if begun is None else [begun]

        def go_on(work: UnitOfWork) -> Any:
            if not waiting:
                return function(work)
            given, either = waiting.pop()
            either._work = work
            return given

        async def transact() -> Any:
            return (await opened.asynchronous.transact(go_on)).value

        return _run(transact())

    if iscoroutinefunction(function):
        return awaited(None)
    try:
        return opened.blocking.transact(plain).value
    except _IsCoroutineError as found:
        return awaited(found.begun)


async def _sent(opened: Opened, command: object, handlers: Sequence[Handling]) -> Any:
    return (await CommandBus(opened.asynchronous, *handlers).send(command)).answer


def _run(coroutine: Any) -> Any:
    import asyncio  # of which a test without coroutines has no need

    return asyncio.run(coroutine)


def _apart(act: Callable[[], R]) -> R:
    """Calls what blocks; in an async test, in a thread with the context of the test."""
    import asyncio

    if asyncio._get_running_loop() is None:
        return act()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(carry(act)).result()


def _fill(opened: Opened, events: Sequence[Event]) -> int:
    """Stores what has happened, with all its metadata; returns the last position."""
    versions: dict[_Stream, int] = {}
    types, core = opened.blocking._event_types, opened.blocking._store
    for event in events:
        stream = _stream_of(event)  # its id is fixed from here on
        before = versions.get(stream, 0)
        if stream != NO_STREAM and event.meta.aggregate_version != before + 1:
            raise TypeError(
                f"{_shown(stream)}: version {event.meta.aggregate_version} is given, and version "
                f"{before + 1} is next; give each stream once and from its first event on"
            )
        versions[stream] = before + 1
        types.saves(stream[0], [event], applied=True)
        builder, parts = CommitBuilder(), encode([copy(event)])  # which is given again
        if stream == NO_STREAM:
            builder.add(stream, "any", None, parts)
        else:
            builder.add(stream, before, before, parts)
        core.commit(builder.writes, ()).wait()
    return len(events)


def _stream_of(event: Event) -> _Stream:
    meta = event.meta
    return meta.aggregate_type or "", meta.aggregate_id or ""


def _by_stream(events: Iterable[Event]) -> dict[_Stream, list[Event]]:
    found: dict[_Stream, list[Event]] = {}
    for event in events:
        found.setdefault(_stream_of(event), []).append(event)
    return found


def _by_key(given: Any) -> dict[_Stream, list[Event]]:
    """Returns expected events by stream.

    Raises:
        TypeError: They are something else.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"then takes events by stream: {{(Account, 'a'): […]}}, not {given!r:.60}")
    found: dict[_Stream, list[Event]] = {}
    for key, events in given.items():
        stream = _named(key)
        if isinstance(events, Event) or not all(isinstance(each, Event) for each in events):
            raise TypeError(f"{_shown(stream)}: then takes a list of events, not {events!r:.60}")
        found.setdefault(stream, []).extend(events)
    return found


def _named(key: Any) -> _Stream:
    if key is None:
        return NO_STREAM
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], str):
        kind = key[0]
        if isinstance(kind, type) and issubclass(kind, Aggregate):
            return kind.__aggregate_type__, key[1]
        if isinstance(kind, str):
            return kind, key[1]
    raise TypeError(f"a stream is (class or type, id), or None for no stream, not {key!r:.60}")


def _shown(stream: _Stream) -> str:
    return "no stream" if stream == NO_STREAM else f"{stream[0]} {stream[1]!r}"


def _mark(events: Sequence[Event]) -> Callable[[int], str]:
    return lambda index: f"  ({_shown(_stream_of(events[index]))})"
