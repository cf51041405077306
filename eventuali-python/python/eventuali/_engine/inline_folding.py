"""The documents of an inline projection, as its runner brings them up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventuali._engine.folding import FULL, Stored, refuse_too_large
from eventuali._engine.inline import InlineFold, State, Steps, Stream
from eventuali._engine.places import Cursor, Failed, Taken, Work
from eventuali._eventuali import Row, Store
from eventuali.projection import Projection


class InlineFolding(Stored):
    """Documents of an inline projection, as its runner brings them up to date.

    Others may change them at any time: they are read for each page, and none is written that is no
    longer what was read.
    """

    kind = "inline"
    may_wait = True

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        """Is not called directly: use `EventStore.run`."""
        self._fold = InlineFold(store, projection)
        super().__init__(store, projection, [self._fold.model.__model_name__])
        self._states: dict[str, State] = {}
        self._changed: dict[str, Row] = {}
        self._whole: set[Stream] = set()  # those that had no document, and were folded as a whole

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Reads the documents of a page, and applies the events that they don't have."""
        fold, states = self._fold, self._states
        unknown: dict[str, Stream] = {}
        for event, _, row in taken:
            if row.aggregate_id is None:
                raise Failed(row, fold.without_stream(event))
            if row.aggregate_id not in states:
                unknown.setdefault(row.aggregate_id, _stream(row))
        states |= yield from fold.known(self.number, list(unknown.values()))
        applied: Row | None = None  # of which more parts may follow
        for event, handler, row in taken:
            kind, key = stream = _stream(row)
            state = states[key]
            if state.kind != kind:
                if state.document is not None:
                    raise Failed(row, fold.of_two_types(key, state.kind, kind))
                # The aggregate of that type has none any more.
                state = states[key] = State(kind, None, state.record)
            if not state.version:
                state = states[key] = yield from self._missing(stream, row, state.record)
                self._changed[key] = row
            if row.version > state.version or row is applied:
                applied = row
                try:
                    fold.apply(state, handler, event)
                except Exception as error:
                    raise Failed(row, error) from error
                state.version = row.version
                self._changed[key] = row

    def _missing(self, stream: Stream, row: Row, record: int) -> Steps[State]:
        """Returns the document of a stream that has none: it may have been deleted later on.

        Only the whole stream tells. Where that can't be folded, nobody else has done so either.

        Raises:
            Failed: The stream can't be folded up to this event.
        """
        state = State(stream[0], None, record)
        try:
            yield from self._fold.catch_up(state, stream)
            self._whole.add(stream)
        except Failed:
            state = State(stream[0], None, record)
            try:
                yield from self._fold.catch_up(state, stream, row.version - 1)
            except Failed as failed:
                raise Failed(row, failed.cause) from failed.cause
        return state

    def is_full(self) -> bool:
        """Whether many documents were changed."""
        return len(self._changed) >= FULL

    def write(self, to: Cursor) -> Work:
        """Sends the documents that were changed."""
        changes, streams = [], []
        for key, row in self._changed.items():
            state, stream = self._states[key], _stream(row)
            assert state.kind == stream[0]  # noqa: S101
            if state.document is None and not state.record:
                continue
            try:
                changes.append(self._fold.change(self.number, key, state, stream))
            except Exception as error:
                raise Failed(row, error) from error
            if stream in self._whole:
                # Where there is none, others delete it without a trace; their event shows.
                streams.append((*stream, state.version))
        self._drop()
        refuse_too_large((json, words) for *_, json, _, words in changes)
        self._sent = self._core.advance_inline(self.number, self.cursor, to, changes, streams)
        yield from ()

    def forget(self) -> None:
        """Drops the documents that are known."""
        super().forget()
        self._drop()

    def _drop(self) -> None:
        self._states, self._changed, self._whole = {}, {}, set()


def _stream(row: Row) -> Stream:
    assert row.aggregate_type is not None and row.aggregate_id is not None  # noqa: S101, PT018
    return row.aggregate_type, row.aggregate_id
