"""Real stored events, read with the code of today."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import from_json

from eventuali._engine.arguments import query_items
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import run
from eventuali._engine.probe import Probe, Probed
from eventuali._engine.upcast import StepError, StoredKind
from eventuali.errors import InvalidEventError, SerializationError
from eventuali.event import Event, _registry
from eventuali.query import Query
from eventuali.schema._reading import refusal, shown, upcast
from eventuali.schema._registry import Registry
from eventuali.sync import EventStore

Progress: TypeAlias = Callable[[int, int], object]
"""Called with what is read and the total."""

_SHOWN = 5
"""Failures of a type and version that are kept; the others are counted."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A stored event that the code can't read.

    Attributes:
        position: Its position.
        path: The field, where that is known.
        text: The reason.
        payload: What is stored.
        became: What the steps made of it; empty if there are none, or if one failed.
    """

    position: int
    path: str
    text: str
    payload: str
    became: str


@dataclass(slots=True)
class StoredType:
    """What was read of one type and version.

    Attributes:
        event_type: The wire name, as stored.
        version: The version, as stored.
        read: How many events were read.
        failed: How many of them can't be read.
        failures: The first of those.
    """

    event_type: str
    version: int
    read: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)


def check_stored(
    store: EventStore,
    new: Registry,
    *,
    sample: int | None = 100,
    progress: Progress | None = None,
) -> list[StoredType]:
    """Reads stored events with the classes of a registry, and writes nothing.

    A type with more events than `sample` is read at that many places, evenly spread over its part
    of the log from its first to its last event; so a version of which there are few may be missed.
    Without a sample, all events are read, also those of types that the registry does not know.

    Args:
        store: The store; of a tenant, what `for_tenant` returns.
        new: What the code has: `registry("shop")`.
        sample: The most events of a type; None for all events.
        progress: Called with the number of events that were read, and the total.

    Returns:
        A row for each type and version, sorted.

    Raises:
        InvalidEventError: `sample` is less than 2.
    """
    if sample is not None and sample < 2:
        raise InvalidEventError(f"sample must be 2 or more, not {sample}", field="sample")
    known = {name: cls for cls in new.classes for name in reversed(_registry.names(cls))}
    event_types = EventTypes()
    for name, cls in known.items():
        event_types.register(name, cls)
    rows: dict[tuple[str, int], StoredType] = {}
    checked = _sampled(store, event_types, known, sample, progress)
    for probed in checked:
        _note(rows, probed, known)
    return [rows[key] for key in sorted(rows)]


def _sampled(
    store: EventStore,
    event_types: EventTypes,
    known: dict[str, type[Event]],
    sample: int | None,
    progress: Progress | None,
) -> Iterator[Probed]:
    end = store.horizon().position
    tell = progress or _silent
    if sample is None:
        total = store.count(Query(), before=end + 1)
        yield from _all(
            Probe(store._store, event_types, query_items(Query()), until=end), tell, total
        )
        return
    of_type = {name: Query(event_types=[name]) for name in sorted(known)}
    counts = {name: store.count(query, before=end + 1) for name, query in of_type.items()}
    total = sum(min(count, sample) for count in counts.values())
    done = 0
    for name, count in counts.items():
        query = of_type[name]
        probe = Probe(store._store, event_types, query_items(query), until=end)
        for probed in _spread(store, probe, query, count, sample, end):
            yield probed
            done += 1
            tell(done, total)
    tell(total, total)


def _silent(done: int, total: int) -> None:
    """Tells nobody."""


def _all(probe: Probe, tell: Progress, total: int) -> Iterator[Probed]:
    done = 0
    while not probe.end:
        page = run(probe.page())
        yield from page
        done += len(page)
        tell(min(done, total), total)
    tell(total, total)


def _spread(
    store: EventStore, probe: Probe, query: Query, count: int, sample: int, end: int
) -> Iterator[Probed]:
    """Yields all events of a type if they are few, else some from the first to the last."""
    if count <= sample:
        while not probe.end:
            yield from run(probe.page())
        return
    (first,) = run(probe.page(limit=1))
    yield first
    (last,) = store.read(query, before=end + 1, backwards=True, limit=1, raw="all")
    begin, to = first.row.position, last.meta.position
    seen = begin
    for number in range(1, sample):
        wanted = begin + (to - begin) * number // (sample - 1)
        probe.seek(max(wanted - 1, seen))
        for probed in run(probe.page(limit=1)):
            seen = probed.row.position
            yield probed


def _note(
    rows: dict[tuple[str, int], StoredType], probed: Probed, known: dict[str, type[Event]]
) -> None:
    key = probed.row.event_type, probed.row.event_version
    row = rows.get(key)
    if row is None:
        row = rows[key] = StoredType(*key)
    row.read += 1
    if probed.error is None:
        return
    row.failed += 1
    if len(row.failures) < _SHOWN:
        row.failures.append(_failure(probed, known.get(row.event_type)))


def _failure(probed: Probed, cls: type[Event] | None) -> Failure:
    row = probed.row
    data = _data(probed.payload)
    return Failure(
        row.position,
        str(getattr(probed.error, "path", None) or ""),
        _reason(probed.error),
        shown(data),
        "" if cls is None else _became(cls, StoredKind(row.event_type, row.event_version), data),
    )


def _reason(error: Exception | None) -> str:
    """Returns what a class says of a payload; the rest of the message is known here."""
    cause = None if error is None else error.__cause__
    return refusal(cause) if isinstance(cause, ValidationError) else str(error)


def _data(payload: bytes) -> Any:
    try:
        return from_json(payload)
    except ValueError:  # it is no JSON
        return payload.decode(errors="replace")


def _became(cls: type[Event], kind: StoredKind, data: Any) -> str:
    try:
        parts = upcast(cls, kind, data)
    except (StepError, SerializationError):
        return ""
    return "; ".join(shown(part) for _, part in parts if part is not data)
