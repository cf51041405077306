"""Tables of the user's, in their database: a page is one transaction of theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
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

Inside: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]
"""What is done in a transaction: it takes the session, and yields what may have to be awaited."""


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

        Raises:
            InvalidEventError: The name of the projection is not acceptable.
        """
        super().__init__(projection)
        self.is_live = True
        self._store = store
        self._tables = tables
        self._offload = offload
        name = type(projection).__projection_name__
        self._version = type(projection).__projection_version__
        store.projection(name, self._version)  # the core knows what a name may be
        # Tenants may share a database, but none goes on where another one is.
        self._name = f"{store.tenant}/{name}" if store.tenant else name
        self._taken: list[Taken] = []
        self._handling = False  # whether handlers had their turn in the last transaction
        self._in_thread = False  # whether a thread is in a transaction

    def begin(self, *, rebuild: bool) -> Work:
        """Reads the checkpoint; starts anew for a rebuild, or for a version that is newer."""
        found: Checkpoint | None = yield from self._load()
        if found is not None and not rebuild:
            self._is_not_older(found)
            yield from self._is_of_this_log(found)
        if found is None or rebuild or found.version < self._version:
            found = yield from self._start(found, empties=rebuild or found is not None)
        self.cursor = _cursor(found)
        self.number = 1

    def _start(
        self, before: Checkpoint | None, *, empties: bool
    ) -> Generator[Any, Any, Checkpoint]:
        """Writes the first checkpoint, and empties the tables.

        Raises:
            Gone: Somebody else was faster.
        """
        tables = self._tables
        first = Checkpoint(self._version, 0, None, 0, 1 if before is None else before.moves + 1)

        def inside(session: Any) -> Generator[Any, Any, None]:
            if before is None:
                yield tables.create(session, self._name, first)
            elif not (yield tables.move(session, self._name, first)):
                raise Gone
            if empties:
                answer = self.projection.reset(session)
                if isinstance(tables, AsyncOwnTables):
                    yield answer
                elif answer is not None:
                    name = type(self.projection).__name__
                    raise TypeError(f"{name}.reset returned {answer!r:.60}; it must be done then")

        try:
            yield from self._in_transaction(inside)
        except (Gone, Unavailable):
            raise
        except Exception:
            if before is None and (yield from self._load()) is not None:
                raise Gone from None
            raise
        return first

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
        after = self._checkpoint(to)
        tables = self._tables
        self._handling = False

        def inside(session: Any) -> Generator[Any, Any, None]:
            if not (yield tables.move(session, self._name, after)):
                raise Gone
            self._handling = bool(taken)
            yield from call(self.projection, taken, session, "write to the tables")

        try:
            yield from self._in_transaction(inside)
        except (Failed, Gone, Unavailable):
            raise
        except Exception as error:
            if not self._handling:
                raise
            # The database refuses what handlers wrote. Whose that was shows in smaller pages.
            if taken[0][2] is not taken[-1][2]:
                raise TooLarge from error
            raise Failed(taken[0][2], error) from error
        self.cursor = _cursor(after)

    def forget(self) -> None:
        """Drops the events that were kept for a transaction."""
        self._taken = []

    def written(self) -> Generator[Any, Any, Cursor]:
        """Returns how far the checkpoint is.

        Raises:
            ProjectionError: It is that of another version, which has emptied the tables.
        """
        found: Checkpoint | None = yield from self._load()
        if found is None:
            return START
        if found.version != self._version:
            raise ProjectionError(
                f"version {found.version} of {self._name} has taken the tables, and this is "
                f"version {self._version}"
            )
        return _cursor(found)

    def take_back(self) -> Call | None:
        """Takes back that an event is tried; whoever begins next handles single events if not."""
        # A thread can't be cancelled: it ends its page, which takes that back, too.
        if not self.cursor[2] or self._in_thread:
            return None
        tables, after = self._tables, self._checkpoint((*self.cursor[:2], 0, 0))

        def inside(session: Any) -> Generator[Any, Any, None]:
            yield tables.move(session, self._name, after)

        if isinstance(tables, AsyncOwnTables):
            return Call(_quietly(_within_async(tables, inside)))
        if self._offload is not None:
            return Call(_quietly(self._offload(lambda: _within(tables, inside))))
        with suppress(Exception):
            _within(tables, inside)
        return None

    def _checkpoint(self, to: Cursor) -> Checkpoint:
        """Returns the checkpoint that follows the one that is known."""
        return Checkpoint(self._version, *to[:3], self.cursor[3] + 1)

    def _load(self) -> Generator[Any, Any, Checkpoint | None]:
        tables = self._tables

        def inside(session: Any) -> Generator[Any, Any, Checkpoint | None]:
            found: Checkpoint | None = yield tables.load(session, self._name)
            return found

        found: Checkpoint | None = yield from self._in_transaction(inside)
        return found

    def _in_transaction(self, inside: Inside) -> Generator[Any, Any, Any]:
        """Does something in a transaction of the user's database.

        Raises:
            Unavailable: The database says that it can't be reached.
        """
        tables = self._tables
        try:
            if isinstance(tables, AsyncOwnTables):
                return (yield Call(_within_async(tables, inside)))
            if self._offload is None:
                return _within(tables, inside)
            return (yield Call(self._offload(lambda: self._here(tables, inside))))
        except Failed as failed:
            if isinstance(failed.cause, Exception) and tables.is_unavailable(failed.cause):
                raise Unavailable from failed.cause
            raise
        except Exception as error:
            # No handler raises that: some drivers say so that nobody answers.
            if isinstance(error, OSError) or tables.is_unavailable(error):
                raise Unavailable from error
            raise

    def _here(self, tables: OwnTables[Any], inside: Inside) -> Any:
        self._in_thread = True
        try:
            return _within(tables, inside)
        finally:
            self._in_thread = False

    def _is_not_older(self, found: Checkpoint) -> None:
        if found.version > self._version:
            raise ProjectionError(
                f"the tables of {self._name} are those of version {found.version}, and this is "
                f"version {self._version}; run the newer code, or rebuild with this one"
            )

    def _is_of_this_log(self, found: Checkpoint) -> Work:
        """Refuses a log in which the last event that was projected is not there."""
        if found.event is None:
            return
        position, event_id = found.event
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


def _cursor(checkpoint: Checkpoint) -> Cursor:
    return checkpoint.position, checkpoint.event, checkpoint.attempts, checkpoint.moves


def _within(tables: OwnTables[Any], inside: Inside) -> Any:
    """Does something in a transaction; what is yielded is there already."""
    with tables.transaction() as session:
        work = inside(session)
        try:
            step = work.send(None)
            while True:
                step = work.send(step)
        except StopIteration as end:
            return end.value


async def _within_async(tables: AsyncOwnTables[Any], inside: Inside) -> Any:
    """Does something in a transaction; what is yielded is awaited."""
    async with tables.transaction() as session:
        work = inside(session)
        try:
            step = work.send(None)
            while True:
                try:
                    value = await (step.coroutine if isinstance(step, Call) else step)
                except BaseException as error:
                    step = work.throw(error)
                else:
                    step = work.send(value)
        except StopIteration as end:
            return end.value


async def _quietly(work: Awaitable[Any]) -> None:
    with suppress(Exception):
        await work
