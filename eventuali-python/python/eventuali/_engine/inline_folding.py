"""The documents of an inline projection, as its runner brings them up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventuali._engine.folding import FULL, Stored, refuse_too_large
from eventuali._engine.inline import InlineFold, State, Steps, Stream
from eventuali._engine.places import Cursor, Failed, Taken, Work
from eventuali._eventuali import Row, Store
from eventuali.errors import ProjectionError
from eventuali.projection import Projection


class InlineFolding(Stored):
    """Documents of an inline projection, as its runner brings them up to date.

    Others may change them at any time: they are read for each page, and none is written that is no
    longer what was read.
    """

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
        of: dict[str, Row] = {}
        for event, _, row in taken:
            if row.aggregate_id is None:
                raise Failed(row, fold.without_stream(event))
            first = of.setdefault(row.aggregate_id, row)
            if first.aggregate_type != row.aggregate_type:
                types = str(first.aggregate_type), str(row.aggregate_type)
                raise Failed(row, fold.of_two_types(row.aggregate_id, *types))
        unknown = [_stream(row) for key, row in of.items() if key not in states]
        try:
            states |= yield from fold.known(self.number, unknown)
        except ProjectionError as error:
            raise Failed(taken[0][2], error) from error
        for event, handler, row in taken:
            stream = _stream(row)
            state = states[stream[1]]
            if not state.version:
                state = states[stream[1]] = yield from self._missing(stream, row)
                self._changed[stream[1]] = row
            if row.version > state.version:
                try:
                    fold.apply(state, handler, event)
                except Exception as error:
                    raise Failed(row, error) from error
                state.version = row.version
                self._changed[stream[1]] = row

    def _missing(self, stream: Stream, row: Row) -> Steps[State]:
        """Returns the document of a stream that has none: it may have been deleted later on.

        Only the whole stream tells. Where that can't be folded, nobody else has done so either.
        """
        state = State()
        try:
            yield from self._fold.catch_up(state, stream)
            self._whole.add(stream)
        except Failed:
            state = State()
            yield from self._fold.catch_up(state, stream, row.version - 1)
        return state

    def is_full(self) -> bool:
        """Whether many documents were changed."""
        return len(self._changed) >= FULL

    def write(self, to: Cursor) -> Work:
        """Sends the documents that were changed."""
        changes, streams = [], []
        for key, row in self._changed.items():
            state, stream = self._states[key], _stream(row)
            try:
                change = self._fold.change(self.number, key, state, stream)
            except Exception as error:
                raise Failed(row, error) from error
            if change is None:
                continue
            changes.append(change)
            if stream in self._whole:
                # Where there is none, others delete it without a trace; their event shows.
                streams.append((*stream, state.version))
        self._drop()
        refuse_too_large(json for *_, json, _ in changes)
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
