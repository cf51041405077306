"""The documents of a projection, in the store or in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from inspect import iscoroutine
from typing import Any, ClassVar, Literal

from eventuali._engine.documents import (
    KEYS,
    Changes,
    Document,
    decoded,
    encoded,
    encoded_all,
)
from eventuali._engine.places import Call, Cursor, Failed, Place, Taken, TooLarge, Work
from eventuali._eventuali import Pending, Row, Store, Words
from eventuali._eventuali import Projection as Core
from eventuali.event._context import enter_caused, leave
from eventuali.event._names import check_name
from eventuali.projection import (
    MemoryView,
    Projection,
    refuse_unless_none,
    without_document,
    without_key,
)

__all__ = ["ByHand", "Core", "Folding", "InMemory", "Store"]

CACHE = 10_000
"""How many documents are kept from page to page."""
FULL = 2_000
"""How many documents are changed before they are written, though more events follow at once."""
MOST_DOCUMENTS = 9_999
MOST_BYTES = 16 << 20


class _Fold:
    """Documents by their keys, to which events are applied."""

    def __init__(self, projection: Projection[Any]) -> None:
        cls = type(projection)
        assert cls.__model__ is not None  # noqa: S101
        self.projection = projection
        self.model = cls.__model__
        self.documents: dict[str, Any] = {}  # None where there is none
        self._own_key = cls.key is not Projection.key

    def keys(self, taken: Sequence[Taken]) -> list[str | None]:
        """Returns the key that each event concerns; None passes it over."""
        projection, documents = self.projection, self.documents
        keys: list[str | None] = []
        for event, _, row in taken:
            if self._own_key:
                try:
                    key = projection.key(event)
                    if key is not None and key not in documents:
                        check_name("key", key)
                except Exception as error:
                    raise Failed(row, error) from error
                keys.append(key)
            elif row.aggregate_id is None:
                raise Failed(row, without_key(projection, event))
            else:
                keys.append(row.aggregate_id)
        return keys

    def apply(
        self, taken: Sequence[Taken], keys: Sequence[str | None], changed: dict[str, Row]
    ) -> None:
        """Applies events to documents that are known; notes the last event of each key."""
        model, projection, documents = self.model, self.projection, self.documents
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
            raise Failed(at, error) from error


class InMemory(Place):
    """Documents that only this process has; they are made anew whenever it starts.

    Handlers get copies: people read while they work, and one that fails may have changed half.
    """

    def __init__(self, view: MemoryView[Any]) -> None:
        """Fills a view."""
        super().__init__(view.projection)
        self.is_live = True
        self._fold = _Fold(view.projection)
        self._view = view
        self._changed: dict[str, Row] = {}

    def begin(self, *, rebuild: bool) -> Work:
        """Begins with nothing."""
        if not self.number:
            self.number = 1
            self._view._begin(self)
        yield from ()

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Applies events to copies of the documents."""
        keys = self._fold.keys(taken)
        documents, view = self._fold.documents, self._view
        for key in keys:
            if key is not None and key not in documents:
                documents[key] = view.get(key)
        self._fold.apply(taken, keys, self._changed)
        yield from ()

    def is_full(self) -> bool:
        """Shows each page at once."""
        return True

    def write(self, to: Cursor) -> Work:
        """Shows the documents that were changed, all at once."""
        documents = self._fold.documents
        changed = {key: documents[key] for key in self._changed}
        self.forget()
        self._view._show(self, changed, to[0])
        self.cursor = (*to[:3], self.cursor[3] + 1)
        yield from ()

    def forget(self) -> None:
        """Drops the copies."""
        self._fold.documents.clear()
        self._changed = {}


class Stored(Place):
    """Documents in the store, committed together with the cursor."""

    kind: ClassVar[Literal["documents", "inline", "sql"]] = "documents"

    def __init__(self, store: Store, projection: Projection[Any], models: list[str]) -> None:
        super().__init__(projection)
        cls = type(projection)
        self._core = store.projection(
            cls.__projection_name__, cls.__projection_version__, self.kind
        )
        self._begin_with = models
        self._models: set[str] = set()
        self._sent: Pending | None = None

    def begin(self, *, rebuild: bool) -> Work:
        """Finds the generation to continue with, or makes one."""
        begun = yield self._core.begin(rebuild, self._begin_with)
        self.number, self.is_live, self.cursor = begun
        self._models = set(self._begin_with)
        self.forget()

    def settle(self) -> Work:
        """Waits until what was sent is stored."""
        pending, self._sent = self._sent, None
        if pending is not None:
            self.cursor = yield pending

    def forget(self) -> None:
        """Drops what was sent."""
        self._sent = None

    def written(self) -> Generator[Any, Any, Cursor]:
        """Returns how far the generation has come."""
        cursor: Cursor = yield self._core.cursor(self.number)
        return cursor

    def swap(self, *, behind: bool) -> Generator[Any, Any, bool]:
        """Puts the generation in the place of the live one, unless it has not come as far."""
        cursor: Cursor | None = yield self._core.swap(self.number, self.cursor, behind)
        if cursor is None:
            return False
        self.cursor = cursor
        self.is_live = True
        return True

    def rebuilt(self) -> Pending | None:
        """Asks for the number of a generation that is rebuilt beside."""
        return self._core.rebuilt()

    def progress_of(self, number: int) -> Pending:
        """Asks how far a generation has come."""
        return self._core.cursor(number)

    def discard(self, number: int) -> Pending | None:
        """Gives up a generation that is being filled."""
        return self._core.discard(number)

    def take_back(self) -> Pending | None:
        """Takes back that an event is tried."""
        position, last, attempts, _ = self.cursor
        if not attempts:
            return None
        return self._core.advance(self.number, self.cursor, (position, last, 0, 0), [], [])


def refuse_too_large(documents: Iterable[tuple[bytes | None, Words | None]]) -> None:
    """Refuses documents that don't go in one commit: JSON and words of each.

    Raises:
        TooLarge: They are too many, or too large.
    """
    sizes = [len(json or b"") + (len(words) if words else 0) for json, words in documents]
    if len(sizes) > MOST_DOCUMENTS or sum(sizes) > MOST_BYTES - 1024:
        raise TooLarge


class Owned(Stored):
    """Documents that nobody else changes."""

    @abstractmethod
    def _changes(self) -> list[Document]:
        """Returns what is to be written."""

    def write(self, to: Cursor) -> Work:
        """Sends the documents that were changed."""
        changes = self._changes()
        refuse_too_large((json, words) for _, _, json, _, words in changes)
        self._sent = self._core.advance(self.number, self.cursor, to, changes, [])
        yield from ()


class Folding(Owned):
    """Documents in the store that a fold changes: read in one go, where they are not known."""

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        """Is not called directly: use `EventStore.run`."""
        self._fold = _Fold(projection)
        super().__init__(store, projection, [self._fold.model.__model_name__])
        self._changed: dict[str, Row] = {}

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Reads the documents of a page, and applies its events."""
        model, documents = self._fold.model, self._fold.documents
        keys = self._fold.keys(taken)
        unknown = [key for key in dict.fromkeys(keys) if key is not None and key not in documents]
        for first in range(0, len(unknown), KEYS):
            part = unknown[first : first + KEYS]
            found, _ = yield self._core.documents(self.number, model.__model_name__, part)
            documents |= dict.fromkeys(part)
            documents |= {key: decoded(model, key, json) for key, json in found}
        self._fold.apply(taken, keys, self._changed)

    def is_full(self) -> bool:
        """Whether many documents were changed."""
        return len(self._changed) >= FULL

    def _changes(self) -> list[Document]:
        """Returns what is stored of the documents that were changed.

        Raises:
            Failed: One can't be stored; it is the last event's that changed it.
        """
        model, documents, changed = self._fold.model, self._fold.documents, self._changed
        self._changed = {}
        for key in changed:  # the ones that were used last are kept
            documents[key] = documents.pop(key)
        there = {key: documents[key] for key in changed if documents[key] is not None}
        try:
            found = encoded_all(model, there)
        except Exception:
            for key, document in there.items():
                try:
                    encoded(model, key, document)
                except Exception as error:
                    raise Failed(changed[key], error) from error
            raise
        found += [encoded(model, key, None) for key in changed if key not in there]
        if len(documents) > CACHE:
            for key in list(documents)[: len(documents) - CACHE]:
                del documents[key]
        return found

    def forget(self) -> None:
        """Drops the documents that are known."""
        super().forget()
        self._fold.documents.clear()
        self._changed = {}


class ByHand(Owned):
    """Documents in the store that the handlers of the free form read and write themselves."""

    may_wait = True

    def __init__(
        self,
        store: Store,
        projection: Projection[Any],
        changes: Callable[[Core, int], Changes],
    ) -> None:
        """Is not called directly: use `EventStore.run`."""
        super().__init__(store, projection, [])
        self._changes_of = changes
        self._docs: Changes | None = None
        self._begun = False  # whether something was handled that is not written

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Calls the handlers with the documents."""
        docs = self._docs = self._docs or self._changes_of(self._core, self.number)
        if not self._begun:
            docs._begin_page(CACHE)
            self._begun = True
        yield from call(self.projection, taken, docs, "use docs.put and docs.delete")
        for model in docs._models - self._models:
            yield self._core.add_model(self.number, model)
            self._models.add(model)

    def is_full(self) -> bool:
        """Whether many documents were changed."""
        return self._docs is not None and len(self._docs._changed) >= FULL

    def _changes(self) -> list[Document]:
        """Returns what is stored of the documents that were changed."""
        begun, self._begun = self._begun, False
        return self._docs._changed_documents() if begun and self._docs is not None else []

    def forget(self) -> None:
        """Drops the documents that are known."""
        super().forget()
        self._docs = None
        self._begun = False


def call(projection: Projection[Any], taken: Sequence[Taken], third: Any, instead: str) -> Work:
    """Calls handlers of the free form, one after the other.

    Raises:
        Failed: One raised, or returned something.
    """
    for event, handler, row in taken:
        block = enter_caused(event)  # what it stores follows from the event
        try:
            answer = handler.function(projection, event, third)
            if handler.is_async:
                answer = yield Call(answer)
            if answer is not None:
                if iscoroutine(answer):
                    answer.close()
                name = f"{type(projection).__name__}.{handler.name}"
                raise TypeError(f"{name} returned {answer!r:.60}; in the free form, {instead}")
        except Exception as error:
            raise Failed(row, error) from error
        finally:
            with suppress(ValueError):  # given up by whoever is in another context
                leave(block)
