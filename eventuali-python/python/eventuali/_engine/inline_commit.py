"""The commit of a save, together with the documents of inline projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from eventuali._engine.commit_builder import Part, Write
from eventuali._engine.inline import Change, InlineFold, State, Stream, version_of
from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import Answer, PendingCommit
from eventuali._engine.places import Failed
from eventuali._eventuali import Projection as Core
from eventuali._eventuali import Store
from eventuali.errors import OptimisticConcurrencyError, ProjectionError
from eventuali.event._slot import in_stream
from eventuali.projection import Projection
from eventuali.query import Item

ATTEMPTS = 500
"""How often a commit is tried whose documents others change: each time, one of them has gone on."""

Changes: TypeAlias = tuple[Core, int, list[Change]]
"""(projection, version of the record of its generations, changes)"""
AtWork: TypeAlias = tuple[list[int], int]
"""(numbers of generations, version of the record that says so)"""


class Inline:
    """The inline projections of a store: what they make of a commit is a part of it."""

    def __init__(self, store: Store, projections: Sequence[Projection[Any]]) -> None:
        self._store = store
        self.projections = projections
        self._all = [_Saving(store, each) for each in projections]

    def of(self, store: Store) -> Inline:
        """Returns the same projections for a view of the store."""
        return Inline(store, self.projections)

    def commit(
        self, commit: PendingCommit, conditions: Sequence[tuple[list[Item], int]]
    ) -> Operation[Answer]:
        """Sends a commit, together with the documents that its events change.

        Raises:
            ProjectionError: A handler failed, or an event belongs to no aggregate.
        """
        builder = commit.builder
        concerned = [each for each in self._all if each.takes(builder.events)]
        for _ in range(ATTEMPTS):
            bases = (yield from self._bases(builder.writes)) if concerned else []
            changes: list[Changes] = []
            for each in concerned:
                made = yield from each.changes(builder.writes, bases, builder.events)
                changes += [] if made is None else [made]
            if not changes:
                answer: Answer = yield self._store.commit(builder.writes, conditions)
                return answer
            writes = list(map(_settled, builder.writes, bases))
            try:
                found: Answer | None = yield self._store.commit_with(writes, conditions, changes)
            except OptimisticConcurrencyError as error:
                if _is_given(error, builder.writes, writes):
                    raise
                continue
            if found is not None:
                return found
            for each in concerned:
                each.forget()
        raise ProjectionError(
            f"the documents that a commit changes were changed by others {ATTEMPTS} times meanwhile"
        )

    def _bases(self, writes: Sequence[Write]) -> Operation[list[int]]:
        """Returns the versions of streams before a commit, looked up where any is expected."""
        bases = []
        for aggregate_type, aggregate_id, expected, _ in writes:
            base = expected if isinstance(expected, int) else 0
            if expected in _ANY and aggregate_type:
                base = yield from version_of(self._store, (aggregate_type, aggregate_id))
                if expected == "stream_exists" and not base:
                    base = -1  # it is refused
            bases.append(base)
        return bases


_ANY = ("any", "stream_exists")


def _settled(write: Write, base: int) -> Write:
    """Returns a write that expects the version that its documents are made for."""
    aggregate_type, aggregate_id, expected, runs = write
    if expected not in _ANY or not aggregate_type or base < 0:
        return write
    return aggregate_type, aggregate_id, base, runs


def _is_given(
    error: OptimisticConcurrencyError, given: Sequence[Write], sent: Sequence[Write]
) -> bool:
    """Whether what is not met was given, and not looked up."""
    return any(
        error.stream == write[:2] and write[2] == other[2]
        for write, other in zip(given, sent, strict=True)
    )


class _Saving:
    """One inline projection, for those who save."""

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        self._store = store
        self._fold = InlineFold(store, projection)
        self._at: AtWork | None = None

    def takes(self, events: Sequence[Sequence[Part]]) -> bool:
        """Whether it handles any of the events."""
        handlers = self._fold.taking.handlers
        return any(type(part.events[0]) in handlers for parts in events for part in parts)

    def forget(self) -> None:
        """Looks again where its documents are."""
        self._at = None

    def changes(
        self, writes: Sequence[Write], bases: Sequence[int], events: Sequence[Sequence[Part]]
    ) -> Operation[Changes | None]:
        """Returns the documents as the events make them; None if others see to them.

        Raises:
            ProjectionError: A handler failed, or an event belongs to no aggregate.
        """
        fold = self._fold
        if self._at is None:
            self._at = yield fold.core.at_work(fold.model.__model_name__)
        if self._at is None:
            return None  # a newer version of the projection is at work, and its runner follows
        concerned = [
            (write[:2], base, parts)
            for write, base, parts in zip(writes, bases, events, strict=True)
            if self.takes([parts])
        ]
        types: dict[str, str] = {}
        for (aggregate_type, key), _, parts in concerned:
            if not aggregate_type:
                raise fold.without_stream(parts[0].events[0])
            if types.setdefault(key, aggregate_type) != aggregate_type:
                raise fold.of_two_types(key, types[key], aggregate_type)
        streams = [(kind, key) for key, kind in types.items()]
        numbers, version = self._at
        made = []
        for number in numbers:
            states = yield from fold.known(number, streams)
            for stream, base, parts in concerned:
                key, state = stream[1], states[stream[1]]
                if state.version > base:
                    continue  # it is refused for that, or was committed before
                try:
                    if state.version < base:
                        yield from fold.catch_up(state, stream, base)
                    self._apply(state, stream, base, parts)
                    change = fold.change(number, key, state, stream)
                except Exception as error:
                    if (yield from version_of(self._store, stream)) != base:
                        continue  # it is refused for that
                    cause = error.cause if isinstance(error, Failed) else error
                    raise self._failed(stream, cause) from cause
                made += [] if change is None else [change]
        return fold.core, version, made

    def _apply(self, state: State, stream: Stream, base: int, parts: Sequence[Part]) -> None:
        handlers = self._fold.taking.handlers
        version = base
        for event in (event for part in parts for event in part.events):
            version += 1
            handler = handlers.get(type(event))
            if handler is not None:
                self._fold.apply(state, handler, in_stream(event, *stream, version))
        state.version = version

    def _failed(self, stream: Stream, cause: BaseException) -> ProjectionError:
        kind, key = stream
        return ProjectionError(
            f"nothing was saved: the inline projection {self._fold.name} failed for the {kind} "
            f"{key!r:.260}: {cause or repr(cause)}"
        )
