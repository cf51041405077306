"""What is stored: events that carry a number that is used once, and text that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from eventuali import ANY, NO_STREAM, Aggregate, Event, Query
from eventuali.errors import EventualiError, OutcomeUnknownError
from eventuali.store import Committed
from eventuali.sync import EventStore
from reliability.history import Recorder, Stored, Write

NUMBERS = 10**8
"""How many values one process may use."""


class Noted(Event):
    """A number, and text that shows whether the bytes are those that were written."""

    value: int
    text: str


class Notebook(Aggregate):
    """A stream of numbers."""

    last: int = 0

    def apply_noted(self, event: Noted) -> None:
        """Remembers the number."""
        self.last = event.value


LONG = 999
"""The process whose events are of 20 to 30 kB."""


def noted(value: int) -> Noted:
    """Returns the event that carries a value: 20 to 600 bytes."""
    return Noted(value=value, text=text_of(value))


def text_of(value: int) -> str:
    """Returns the text that belongs to a value."""
    if value // NUMBERS == LONG:
        return f"{value:x}é" * 2_500
    return f"{value:x}é" * (1 + value * 7919 % 40)


def events_of(write: Write) -> list[Noted]:
    """Returns the events of a write."""
    return [noted(value) for value in write.values]


def applied(write: Write) -> Notebook:
    """Returns a new aggregate with the events of a write."""
    notebook = Notebook(id=write.stream)
    for event in events_of(write):
        notebook.apply(event)
    return notebook


def values_of(events: Iterable[Event]) -> list[int]:
    """Returns what the events carry; refuses bytes that changed."""
    values = []
    for event in events:
        assert isinstance(event, Noted)
        assert event.text == text_of(event.value), f"the text of {event.value} changed"
        values.append(event.value)
    return values


def log_of(store: EventStore) -> list[Stored]:
    """Reads the whole log."""
    log: list[Stored] = []
    read_into(log, store)
    return log


def read_into(log: list[Stored], store: EventStore) -> None:
    """Adds the whole log, as far as it can be read."""
    for event in store.read():
        assert isinstance(event, Noted)
        assert event.text == text_of(event.value), f"the text of {event.value} changed"
        meta = event.meta
        assert meta.position
        assert meta.aggregate_id
        assert meta.aggregate_version
        log.append(Stored(meta.position, meta.aggregate_id, meta.aggregate_version, event.value))


def writes_from(base: int, chance: Random) -> Callable[[str, int], Write]:
    """Returns what makes writes of 1 to `most` events; process `base` has numbers of its own."""
    free = base * NUMBERS + 1

    def make(stream: str, most: int) -> Write:
        nonlocal free
        write = Write(stream, free, chance.randint(1, most))
        free += write.size
        return write

    return make


def stream_of(name: str) -> tuple[str, str]:
    """Returns a stream as the store names it."""
    return ("Notebook", name)


def query_of(name: str) -> Query:
    """Returns the query for a stream."""
    return Query(aggregate_type="Notebook", aggregate_id=name)


@contextmanager
def recorded(recorder: Recorder, *writes: Write) -> Iterator[Callable[[Committed], None]]:
    """Notes a commit and what came of it, errors included, which go on to the caller.

    What is yielded takes the answer.
    """
    token = recorder.begun(*writes)

    def told(answer: Committed) -> None:
        recorder.acked(token, answer.versions, answer.positions)

    try:
        yield told
    except OutcomeUnknownError as error:
        recorder.unknown(token, error)
        raise
    except EventualiError as error:
        recorder.failed(token, error)
        raise
    except BaseException as error:  # cancelled, interrupted
        recorder.unknown(token, error)
        raise


class Plan:
    """What one writer of a process does next, chosen by a seed."""

    def __init__(self, chance: Random, base: int, streams: int = 4, most: int = 50) -> None:
        """Process `base` has numbers and streams of its own."""
        self.chance = chance
        self._make = writes_from(base, chance)
        self._base = base
        self._streams = streams
        self._most = most
        self._count = 0

    def stream(self, group: object) -> str:
        """Returns one of the streams that the writers of a group share."""
        return f"{group}-{self.chance.randrange(self._streams)}"

    def step(self, group: object) -> tuple[tuple[Write, ...], Callable[[Any], Any]]:
        """Returns the writes of one commit, and what asks a store for it, or asks again."""
        kind, self._count = self.chance.random(), self._count + 1
        if kind < 0.2:  # two streams in one commit
            names = [f"{self._base}.{self._count}.{n}" for n in range(2)]
            writes = tuple(self._make(name, self._most // 2) for name in names)
            notebooks = [applied(write) for write in writes]
            return writes, lambda store: store.save(*notebooks)
        write = self._make(self.stream(group), self._most)
        stream = stream_of(write.stream)
        expected = NO_STREAM if kind > 0.9 else ANY  # refused, once the stream exists
        events = events_of(write)
        return (write,), lambda store: store.append(events, stream=stream, expected=expected)
