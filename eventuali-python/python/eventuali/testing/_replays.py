"""Stored streams, replayed by changed code: which states are no longer what they were."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

from pydantic_core import to_json

from eventuali import sync
from eventuali._engine.progress import Progress, shown
from eventuali.aggregate import Aggregate
from eventuali.errors import EventStoreError
from eventuali.expected import at_least
from eventuali.store import EventStore, StreamInfo
from eventuali.testing import _differences as differences
from eventuali.testing._outcome import checked, unchecked

T = TypeVar("T")
Asking: TypeAlias = Generator[Any, Any, T]
"""Yields what a store returned, which a loop may have to await, and gets what that stands for."""

_FORMAT = "eventuali states 1"
_MOST = 10
"""The most streams of which a failure tells."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was compared.

    Attributes:
        streams: How many streams.
        events: How many events they have.
    """

    streams: int
    events: int


@overload
def assert_replays(
    cls: type[Aggregate],
    store: sync.EventStore,
    *,
    before: type[Aggregate] | str | os.PathLike[str],
    sample: int | None = None,
    ignore: Iterable[str] = (),
    progress: Progress | bool | None = None,
) -> Replayed: ...
@overload
def assert_replays(
    cls: type[Aggregate],
    store: EventStore,
    *,
    before: type[Aggregate] | str | os.PathLike[str],
    sample: int | None = None,
    ignore: Iterable[str] = (),
    progress: Progress | bool | None = None,
) -> Coroutine[Any, Any, Replayed]: ...
def assert_replays(
    cls: type[Aggregate],
    store: Any,
    *,
    before: type[Aggregate] | str | os.PathLike[str],
    sample: int | None = None,
    ignore: Iterable[str] = (),
    progress: Progress | bool | None = None,
) -> Any:
    """Replays the stored streams of an aggregate, and compares the states with those of before.

        assert_replays(Account, store, before=AccountBefore)
        await assert_replays(Account, store, before="states.json")

    Args:
        cls: The class as it is now.
        store: The store, either one. That of `eventuali.EventStore` is to be awaited.
        before: The class as it was, of the same wire name (`class AccountBefore(Aggregate,
            name="Account")`); or a file that `record_states` has written. What was stored since
            then is left out.
        sample: How many streams to compare, chosen at random, and the same ones each time; by
            default all of them.
        ignore: Names of fields that don't count, such as a new one.
        progress: Called with the number of streams and the total; True draws a bar on stderr.

    Returns:
        How much was compared.

    Raises:
        AssertionError: A state is another one. The text names the stream, the first version at
            which it differs, and the field. Also if there is no stream to compare.
        ValueError: `before` is of another type of aggregate, or not a file of states.
    """
    __tracebackhide__ = True
    if isinstance(ignore, str):
        raise TypeError(f"ignore takes several names: ignore=[{ignore!r}]")
    told = shown(progress, f"replay {cls.__name__}", "streams")
    old = _before(cls, before)
    work = _comparison(cls, store, old, sample, frozenset(ignore), told)
    return _run(store, work, "assert_replays")


@overload
def record_states(
    cls: type[Aggregate],
    store: sync.EventStore,
    path: str | os.PathLike[str],
    *,
    sample: int | None = None,
    progress: Progress | bool | None = None,
) -> Replayed: ...
@overload
def record_states(
    cls: type[Aggregate],
    store: EventStore,
    path: str | os.PathLike[str],
    *,
    sample: int | None = None,
    progress: Progress | bool | None = None,
) -> Coroutine[Any, Any, Replayed]: ...
def record_states(
    cls: type[Aggregate],
    store: Any,
    path: str | os.PathLike[str],
    *,
    sample: int | None = None,
    progress: Progress | bool | None = None,
) -> Any:
    """Writes a file with the states of an aggregate's streams, for a later `assert_replays`.

    The file has ids, versions, names of fields, and a hash of each value: no data of the fields.

    Args:
        cls: The class.
        store: The store, either one. That of `eventuali.EventStore` is to be awaited.
        path: The file, which is replaced.
        sample: How many streams to record, chosen at random; by default all of them.
        progress: Called with the number of streams and the total; True draws a bar on stderr.

    Returns:
        How much was recorded.

    Raises:
        SerializationError: A stored event does not fit its class.
        TypeError: A value of a field has no JSON.
    """
    told = shown(progress, f"record {cls.__name__}", "streams")
    return _run(store, _recording(cls, store, Path(path), sample, told), "record_states")


@dataclass(frozen=True, slots=True)
class _ToAwait:
    """A coroutine that was made and does nothing before it is awaited."""

    name: str

    @property
    def unchecked(self) -> str:
        return f"{self.name}(…) with an EventStore does nothing without await: await {self.name}(…)"


def _run(store: object, work: Asking[T], name: str) -> Any:
    """Does work with a store; an awaitable for the asynchronous one."""
    __tracebackhide__ = True
    if isinstance(store, EventStore):
        waiting = _ToAwait(name)
        unchecked.append(waiting)
        return _awaited(work, waiting)
    if not isinstance(store, sync.EventStore):
        raise TypeError(f"store must be an EventStore, not {store!r:.60}")
    value: Any = None
    while True:
        try:
            asked = work.send(value)
        except StopIteration as end:
            return end.value
        value = list(asked) if isinstance(asked, Iterator) else asked


async def _awaited(work: Asking[T], waiting: _ToAwait) -> T:
    __tracebackhide__ = True
    checked(waiting)
    value: Any = None
    failed: Exception | None = None
    while True:
        try:
            asked = work.send(value) if failed is None else work.throw(failed)
        except StopIteration as end:
            result: T = end.value
            return result
        value = failed = None
        try:
            if isinstance(asked, AsyncIterator):
                value = [item async for item in asked]
            else:
                value = await asked
        except Exception as error:  # what the blocking store raises within the work
            failed = error


@dataclass(frozen=True, slots=True)
class _State:
    """What replaying a stream gave: the fields, or an error."""

    fields: dict[str, Any]
    error: str | None = None


@dataclass(slots=True)
class _Found:
    """The streams that differ; of the first ones, what does."""

    total: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, stream_id: str, what: str, lines: list[str]) -> None:
        self.total += 1
        if self.total <= _MOST:
            self.lines += ["", f"{stream_id!r} {what}:", *(f"    {line}" for line in lines)]


class _AsClass:
    """States as another class makes them."""

    def __init__(self, cls: type[Aggregate]) -> None:
        self._cls = cls
        self.name = cls.__qualname__

    def versions(self, streams: list[StreamInfo]) -> dict[str, int]:
        return {each.aggregate_id: each.version for each in streams}

    def compare(
        self, now: type[Aggregate], store: Any, at: tuple[str, int], ignore: frozenset[str]
    ) -> Asking[tuple[str, list[str]] | None]:
        """Returns since when the states of a stream differ, and in what."""

        def differ(version: int) -> Asking[list[str]]:
            old = yield from _state(self._cls, store, at[0], version)
            new = yield from _state(now, store, at[0], version)
            return _difference(old, new, ignore)

        high = at[1]
        found = yield from differ(high)
        if not found:
            return None
        # A version at which they differ, after one at which they don't.
        low = 0
        while high - low > 1:
            middle = (low + high) // 2
            lines = yield from differ(middle)
            if lines:
                high, found = middle, lines
            else:
                low = middle
        return f"differs from version {high} on", found


class _AsRecorded:
    """States as they were recorded in a file."""

    def __init__(self, cls: type[Aggregate], path: Path) -> None:
        self.name = path.name
        self._states: dict[str, tuple[int, dict[str, str]]] = {}
        with path.open(encoding="utf-8") as lines:
            try:
                head = json.loads(next(lines))
                kind = head["format"], head["aggregate_type"]
                for line in lines:
                    stream_id, version, hashes = json.loads(line)
                    self._states[stream_id] = version, hashes
            except (ValueError, LookupError, TypeError, StopIteration) as error:
                raise ValueError(f"{path} was not written by record_states") from error
        if kind != (_FORMAT, cls.__aggregate_type__):
            raise ValueError(
                f"{path} has states of {kind[1]!r} ({kind[0]}), not of {cls.__aggregate_type__!r}"
            )

    def versions(self, streams: list[StreamInfo]) -> dict[str, int]:
        there = {each.aggregate_id for each in streams}
        if gone := sorted(self._states.keys() - there):
            raise AssertionError(
                f"{len(gone):,} recorded streams are not in this store, among them {gone[0]!r}"
            )
        return {stream_id: version for stream_id, (version, _) in self._states.items()}

    def compare(
        self, now: type[Aggregate], store: Any, at: tuple[str, int], ignore: frozenset[str]
    ) -> Asking[tuple[str, list[str]] | None]:
        """Returns in what the states of a stream differ."""
        new = yield from _state(now, store, *at)
        hashes = self._states[at[0]][1]
        what = f"differs at version {at[1]}"
        if new.error is not None:
            return what, [f"now {new.error}"]
        lines = [
            f"{name}: another value was recorded; now {differences.shown(new.fields[name])}"
            if name in hashes and name in new.fields
            else f"{name}: {'recorded, and no field now' if name in hashes else 'not recorded'}"
            for name in dict.fromkeys((*hashes, *new.fields))
            if name not in ignore and hashes.get(name) != _hash_of(new.fields, name)
        ]
        return (what, lines) if lines else None


def _before(
    cls: type[Aggregate], before: type[Aggregate] | str | os.PathLike[str]
) -> _AsClass | _AsRecorded:
    if not isinstance(before, type):
        return _AsRecorded(cls, Path(before))
    if not issubclass(before, Aggregate):
        raise TypeError(f"before must be a class of aggregates, or a file, not {before!r:.60}")
    if before.__aggregate_type__ != cls.__aggregate_type__:
        raise ValueError(
            f"{before.__qualname__} has the type {before.__aggregate_type__!r}, and "
            f"{cls.__qualname__} has {cls.__aggregate_type__!r}: write "
            f"class {before.__name__}(Aggregate, name={cls.__aggregate_type__!r})"
        )
    return _AsClass(before)


def _comparison(
    cls: type[Aggregate],
    store: Any,
    before: _AsClass | _AsRecorded,
    sample: int | None,
    ignore: frozenset[str],
    progress: Progress | None,
) -> Asking[Replayed]:
    __tracebackhide__ = True
    streams: list[StreamInfo] = yield store.streams(cls)
    versions = _chosen(before.versions(streams), sample)
    if not versions:
        raise AssertionError(
            f"there is no stream of {cls.__aggregate_type__!r} in {store.url}: nothing is compared"
        )
    found = _Found()
    for done, at in enumerate(versions.items(), 1):
        difference = yield from before.compare(cls, store, at, ignore)
        if difference is not None:
            found.add(at[0], *difference)
        if progress is not None:
            progress(done, len(versions))
    if found.total:
        lines = [
            f"{found.total:,} of {len(versions):,} streams of {cls.__aggregate_type__!r} have "
            f"another state with {cls.__qualname__} than with {before.name}",
            *found.lines,
        ]
        if found.total > _MOST:
            lines += ["", f"and {found.total - _MOST:,} more"]
        raise AssertionError("\n".join(lines))
    return Replayed(len(versions), sum(versions.values()))


def _recording(
    cls: type[Aggregate], store: Any, path: Path, sample: int | None, progress: Progress | None
) -> Asking[Replayed]:
    streams: list[StreamInfo] = yield store.streams(cls)
    versions = _chosen({each.aggregate_id: each.version for each in streams}, sample)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            head = {"format": _FORMAT, "aggregate_type": cls.__aggregate_type__}
            file.write(f"{json.dumps(head)}\n")
            for done, (stream_id, version) in enumerate(versions.items(), 1):
                aggregate = yield store.load_one(cls, stream_id, at_version=version)
                fields = _fields(aggregate)
                hashes = {name: _hash_of(fields, name) for name in fields}
                file.write(f"{json.dumps([stream_id, version, hashes])}\n")
                if progress is not None:
                    progress(done, len(versions))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Replayed(len(versions), sum(versions.values()))


def _state(cls: type[Aggregate], store: Any, stream_id: str, version: int) -> Asking[_State]:
    """Returns the state of a stream at a version; an error of a class is a state like any other."""
    try:
        aggregate = yield store.load_one(cls, stream_id, at_version=version)
    except EventStoreError:  # the store itself
        raise
    except Exception as error:
        return _State({}, f"{type(error).__name__}: {error}")
    return _State(_fields(aggregate))


def _fields(aggregate: Aggregate) -> dict[str, Any]:
    return {
        name: value for name, value in aggregate.to_dict().items() if name not in ("id", "version")
    }


def _difference(old: _State, new: _State, ignore: frozenset[str]) -> list[str]:
    if old.error is not None or new.error is not None:
        if old.error == new.error:
            return []
        outcomes = (state.error or "a state" for state in (old, new))
        return [
            f"{when:6} {outcome}" for when, outcome in zip(("before", "now"), outcomes, strict=True)
        ]
    lines: list[str] = []
    for name in dict.fromkeys((*old.fields, *new.fields)):
        if name in ignore:
            continue
        one, other = (state.fields.get(name, differences.MISSING) for state in (old, new))
        for path, before, now in differences.differences(one, other, name):
            lines += [f"{path}: before {differences.shown(before)}"]
            lines += [f"{' ' * len(path)}  now    {differences.shown(now)}"]
    return lines


def _chosen(versions: dict[str, int], sample: int | None) -> dict[str, int]:
    """Returns all streams, or some that are chosen at random, and are the same ones each time."""
    if sample is None or at_least(1, sample, "sample") >= len(versions):
        return versions
    chosen = random.Random(0).sample(sorted(versions), sample)  # noqa: S311 - guards no secret
    return {stream_id: versions[stream_id] for stream_id in sorted(chosen)}


def _hash_of(fields: dict[str, Any], name: str) -> str | None:
    if name not in fields:
        return None
    text = json.dumps(_canonical(fields[name]), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """Returns a value as JSON that does not depend on the order of sets and dicts."""
    if isinstance(value, dict):
        pairs = ([json.dumps(_canonical(key)), _canonical(item)] for key, item in value.items())
        return sorted(pairs, key=lambda pair: pair[0])
    if isinstance(value, set | frozenset):
        return sorted((_canonical(item) for item in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return json.loads(to_json(value, bytes_mode="base64", inf_nan_mode="strings"))
