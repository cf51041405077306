"""Tables of the user's, in their database: a page is one transaction of theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, TypeAlias

from eventuali._engine.folding import call
from eventuali._engine.places import (
    START,
    Call,
    Cursor,
    Failed,
    Gone,
    Place,
    Taken,
    TooLarge,
    Unavailable,
    Work,
)
from eventuali._eventuali import Store
from eventuali.errors import CheckpointMismatchError, ProjectionError
from eventuali.projection import AsyncOwnTables, Checkpoint, OwnTables, Projection

Offload: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function in a thread."""


class InOwnTables(Place):
    """What handlers write in a transaction of the user's, which moves the checkpoint, too.

    The checkpoint comes first in it: whoever else runs the projection waits for that row, and then
    finds it moved.
    """

    def __init__(
        self,
        store: Store,
        projection: Projection[Any],
        tables: OwnTables[Any] | AsyncOwnTables[Any],
        offload: Offload | None,
    ) -> None:
        """Is not called directly: use `EventStore.run`.

        Args:
            store: The store.
            projection: The projection.
            tables: The user's database.
            offload: How to run what blocks; None runs it here.
        """
        super().__init__(projection)
        self.is_live = True
        self._store = store
        self._tables = tables
        self._offload = offload
        self._name = type(projection).__projection_name__
        self._version = type(projection).__projection_version__
        self._taken: list[Taken] = []

    def begin(self, *, rebuild: bool) -> Work:
        """Reads the checkpoint; starts anew for a rebuild, or for a version that is newer."""
        found: Checkpoint = yield from self._in_transaction(
            lambda session: self._begun(session, rebuild),
            lambda session: self._begun_async(session, rebuild),
        )
        self.cursor = (found.position, found.event, found.attempts, found.moves)
        self.number = 1
        yield from self._is_of_this_log()

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Keeps events for the transaction."""
        self._taken.extend(taken)
        yield from ()

    def is_full(self) -> bool:
        """Writes each page in a transaction of its own."""
        return True

    def write(self, to: Cursor) -> Work:
        """Moves the checkpoint and calls the handlers, in one transaction."""
        taken, self._taken = self._taken, []
        position, event, attempts, moves = *to[:3], self.cursor[3]
        after = Checkpoint(self._version, position, event, attempts, moves + 1)
        try:
            yield from self._in_transaction(
                lambda session: self._page(session, taken, after),
                lambda session: self._page_async(session, taken, after),
            )
        except (Failed, Gone, Unavailable):
            raise
        except Exception as error:
            if not taken:
                raise
            # The database refuses what handlers wrote. Whose that was shows in smaller pages.
            if len(taken) > 1:
                raise TooLarge from error
            raise Failed(taken[0][2], error) from error
        self.cursor = (position, event, attempts, moves + 1)

    def forget(self) -> None:
        """Drops the events that were kept for a transaction."""
        self._taken = []

    def written(self) -> Generator[Any, Any, Cursor]:
        """Returns how far the checkpoint is."""
        load = self._tables.load
        found: Checkpoint | None = yield from self._in_transaction(
            lambda session: load(session, self._name), lambda session: load(session, self._name)
        )
        if found is None:
            return START
        return found.position, found.event, found.attempts, found.moves

    # --- in a transaction -------------------------------------------------------------------------

    def _in_transaction(
        self, work: Callable[[Any], Any], work_async: Callable[[Any], Any]
    ) -> Generator[Any, Any, Any]:
        """Does something in a transaction of the user's database.

        Raises:
            Unavailable: The database says that it can't be reached.
        """
        tables = self._tables
        try:
            if isinstance(tables, AsyncOwnTables):
                return (yield Call(_within_async(tables, work_async)))
            if self._offload is None:
                return _within(tables, work)
            return (yield Call(self._offload(lambda: _within(tables, work))))
        except Failed as failed:
            if isinstance(failed.cause, Exception) and tables.is_unavailable(failed.cause):
                raise Unavailable from failed.cause
            raise
        except Exception as error:
            if tables.is_unavailable(error):
                raise Unavailable from error
            raise

    def _page(self, session: Any, taken: Sequence[Taken], after: Checkpoint) -> None:
        if not self._tables.move(session, self._name, after):
            raise Gone
        for _ in call(self.projection, taken, session, _INSTEAD):
            raise TypeError("a handler of tables that are written without await can't be async")

    async def _page_async(self, session: Any, taken: Sequence[Taken], after: Checkpoint) -> None:
        tables = self._tables
        assert isinstance(tables, AsyncOwnTables)  # noqa: S101
        if not await tables.move(session, self._name, after):
            raise Gone
        work = call(self.projection, taken, session, _INSTEAD)
        try:
            step = work.send(None)
            while True:
                try:
                    assert isinstance(step, Call)  # noqa: S101
                    value = await step.coroutine
                except BaseException as error:
                    step = work.throw(error)
                else:
                    step = work.send(value)
        except StopIteration:
            pass

    def _begun(self, session: Any, rebuild: bool) -> Checkpoint:
        tables = self._tables
        assert isinstance(tables, OwnTables)  # noqa: S101
        before = tables.load(session, self._name)
        if before is None:
            first = Checkpoint(self._version, 0, None, 0, 1)
            if not tables.create(session, self._name, first):
                raise Gone
            return first
        if not self._starts_anew(before, rebuild):
            return before
        anew = Checkpoint(self._version, 0, None, 0, before.moves + 1)
        if not tables.move(session, self._name, anew):
            raise Gone
        self.projection.reset(session)
        return anew

    async def _begun_async(self, session: Any, rebuild: bool) -> Checkpoint:
        tables = self._tables
        assert isinstance(tables, AsyncOwnTables)  # noqa: S101
        before = await tables.load(session, self._name)
        if before is None:
            first = Checkpoint(self._version, 0, None, 0, 1)
            if not await tables.create(session, self._name, first):
                raise Gone
            return first
        if not self._starts_anew(before, rebuild):
            return before
        anew = Checkpoint(self._version, 0, None, 0, before.moves + 1)
        if not await tables.move(session, self._name, anew):
            raise Gone
        answer = self.projection.reset(session)
        if answer is not None:
            await answer
        return anew

    def _starts_anew(self, before: Checkpoint, rebuild: bool) -> bool:
        if before.version > self._version and not rebuild:
            raise ProjectionError(
                f"the tables of {self._name} are those of version {before.version}, and this is "
                f"version {self._version}; run the newer code, or rebuild with this one"
            )
        return rebuild or before.version < self._version

    def _is_of_this_log(self) -> Work:
        """Refuses a log in which the last event that was projected is not there."""
        if self.cursor[1] is None:
            return
        position, event_id = self.cursor[1]
        everything = [(None, None, (), (), (), None)]
        page = yield self._store.read(everything, after=position - 1, until=position, limit=1)
        rows = page.columns()[2] if len(page) else []
        if not any(row.event_id == event_id for row in rows):
            raise CheckpointMismatchError(
                f"the projection {self._name!r} has handled event {event_id} at position "
                f"{position}, which is not there: this is another store, or it lost events; find "
                "out which, or rebuild",
                name=self._name,
                position=position,
                event_id=event_id,
            )


_INSTEAD = "write to the tables"


def _within(tables: OwnTables[Any], work: Callable[[Any], Any]) -> Any:
    with tables.transaction() as session:
        return work(session)


async def _within_async(tables: AsyncOwnTables[Any], work: Callable[[Any], Awaitable[Any]]) -> Any:
    async with tables.transaction() as session:
        return await work(session)
