"""The commit of a save, together with the documents of inline projections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

from eventuali._engine.commit_builder import CommitBuilder, Part, Write
from eventuali._engine.inline import Change, InlineFold, State, Stream, version_of
from eventuali._engine.operation import Operation
from eventuali._engine.parts import as_part
from eventuali._engine.pending_commit import Answer, Besides, PendingCommit
from eventuali._engine.places import Failed
from eventuali._eventuali import Projection as Core
from eventuali._eventuali import Store
from eventuali.errors import AppendConditionError, OptimisticConcurrencyError, ProjectionError
from eventuali.event import UnknownEvent
from eventuali.event._slot import place
from eventuali.projection import Projection

ATTEMPTS = 500
"""How often a commit is tried whose documents others change: each time, one of them has gone on."""

Changes: TypeAlias = tuple[Core, int, list[Change]]
"""(projection, version of the record of its generations, changes)"""
AtWork: TypeAlias = tuple[list[int], int]
"""(numbers of generations, version of the record that says so)"""
_NEVER = 2**63 - 1
"""A version that no stream is at."""


class _NotFoldedError(Exception):
    """A stream's document can't be made of the events."""

    def __init__(self, name: str, stream: Stream, base: int, error: Exception) -> None:
        super().__init__(name, stream)
        self.stream, self.base = stream, base
        at = ""
        self.cause: BaseException = error
        if isinstance(error, Failed):
            at, self.cause = f" at position {error.position}", error.cause
        self.told = ProjectionError(
            f"nothing was saved: the inline projection {name} failed for the {stream[0]} "
            f"{stream[1]!r:.260}{at}: {str(self.cause) or repr(self.cause)}"
        )


class Inline:
    """The inline projections of a store: what they make of a commit is a part of it."""

    def __init__(self, store: Store, projections: Sequence[Projection[Any]]) -> None:
        self._store = store
        self.projections = tuple(projections)
        self._all = [_Saving(store, each) for each in projections]

    def of(self, store: Store) -> Inline:
        """Returns the same projections for a view of the store."""
        return Inline(store, self.projections)

    def commit(self, commit: PendingCommit) -> Operation[Answer]:
        """Sends a commit, together with the documents that its events change.

        Raises:
            ProjectionError: A handler failed, or an event belongs to no aggregate.
        """
        builder, besides = commit.builder, commit.besides
        concerned = [each for each in self._all if each.takes(builder.events)]
        for _ in range(ATTEMPTS):
            try:
                bases = (yield from self._bases(builder.writes)) if concerned else []
                changes = yield from self._changes(concerned, builder, bases)
            except _NotFoldedError as failed:
                return (yield from self._refused(commit, failed))
            except BaseException:
                commit.drop()
                raise
            if not changes:
                return (yield from commit.send(partial(commit.commit, self._store)))
            writes = list(map(_settled, builder.writes, bases))
            sending = partial(self._store.commit_with, writes, besides.conditions, changes)
            found = yield from commit.send_unless(
                partial(sending, besides.records, tracking=besides.tracking),
                partial(_is_stale, builder.writes, writes),
            )
            if found is not None:
                return found
            for each in concerned:
                each.forget()
        commit.drop()
        raise ProjectionError(
            f"nothing was saved: a stream or document of this commit changed {ATTEMPTS} times "
            "while it was made; give the version that you expect, or try again"
        )

    def _changes(
        self, concerned: Sequence[_Saving], builder: CommitBuilder, bases: Sequence[int]
    ) -> Operation[list[Changes]]:
        changes = []
        for each in concerned:
            made = yield from each.changes(builder.writes, bases, builder.events)
            changes += [] if made is None else [made]
        return changes

    def _refused(self, commit: PendingCommit, failed: _NotFoldedError) -> Operation[Answer]:
        """Settles a commit whose documents can't be made.

        What is stored already is answered, and what would be refused anyway is refused for that.

        Raises:
            ProjectionError: It is neither.
        """
        given, besides = commit.builder.writes, commit.besides
        never = [
            (kind, key, _NEVER if kind else expected, runs) for kind, key, expected, runs in given
        ]
        try:
            answer: Answer = yield Besides(tracking=besides.tracking).commit(self._store, never)
        except OptimisticConcurrencyError:
            try:
                version = yield from version_of(self._store, failed.stream)
                if version == failed.base:
                    expectations: list[Write] = [(*write[:3], []) for write in given]
                    yield Besides(besides.conditions).commit(self._store, expectations)
            except BaseException:
                commit.drop()
                raise
            if version == failed.base:
                commit.drop()
                raise failed.told from failed.cause
            return (yield from commit.send(partial(commit.commit, self._store)))
        except BaseException:
            commit.drop()
            raise
        commit.begin()
        return answer

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


def _is_stale(
    given: Sequence[Write], sent: Sequence[Write], error: OptimisticConcurrencyError
) -> bool:
    """Whether a stream is not at the version that was looked up for it."""
    if isinstance(error, AppendConditionError) or error.stream is None:
        return False
    looked_up = {write[:2] for write, own in zip(sent, given, strict=True) if write[2] != own[2]}
    return error.stream in looked_up


class _Saving:
    """One inline projection, for those who save."""

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        self._store = store
        self._fold = InlineFold(store, projection)
        self._at: AtWork | None = None

    def takes(self, events: Sequence[Sequence[Part]]) -> bool:
        """Whether it handles any of the events."""
        takes = self._fold.takes
        return any(
            any(map(takes, part.events))
            if issubclass(type(part.events[0]), UnknownEvent)
            else takes(part.events[0])
            for parts in events
            for part in parts
        )

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
        at = self._at  # another thread may forget it
        if at is None:
            at = self._at = yield fold.core.at_work(fold.model.__model_name__)
        if at is None:
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
        numbers, version = at
        made = []
        for number in numbers:
            states = yield from fold.known(number, streams)
            for stream, base, parts in concerned:
                key, state = stream[1], states[stream[1]]
                if state.document is not None and state.kind != stream[0]:
                    raise fold.of_two_types(key, state.kind, stream[0])
                if state.version > base:
                    continue  # it is refused for that, or was committed before
                try:
                    if state.version < base:
                        yield from fold.catch_up(state, stream, base)
                except Failed as failed:
                    raise _NotFoldedError(fold.name, stream, base, failed) from failed
                if state.version < base:
                    continue  # the stream is shorter, and it is refused for that
                try:
                    self._apply(state, stream, base, parts)
                    # Where there is no document, a runner may be about to make one.
                    made.append(fold.change(number, key, state, stream))
                except Exception as error:
                    raise _NotFoldedError(fold.name, stream, base, error) from error
        return fold.core, version, made

    def _apply(self, state: State, stream: Stream, base: int, parts: Sequence[Part]) -> None:
        """Applies events as they will be read: a handler that changes one changes no other."""
        fold, version = self._fold, base
        for part in parts:
            for event, payload in zip(part.events, part.payloads, strict=True):
                version += 1
                for twin, handler, number in fold.taking.decoded(event, payload):
                    place(twin, event, *stream, version)
                    if isinstance(event, UnknownEvent):
                        as_part(twin, event, number)
                    fold.apply(state, handler, twin)
        state.version = version
