"""Tables of the user's in the database of the store: a page's statements go in its commit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Sequence
from typing import Any

from eventuali._engine.folding import MOST_BYTES, Stored, call
from eventuali._engine.places import Cursor, Failed, Taken, TooLarge, Work
from eventuali._eventuali import Row, Store
from eventuali.errors import ProjectionError, StatementError
from eventuali.projection import Projection
from eventuali.projection._statements import Statements

FULL = 2_000
"""How many statements are taken before they are committed, though more events follow at once."""
FULL_BYTES = 4 << 20
MOST_STATEMENTS = 10_000


class InSqlTables(Stored):
    """What handlers say in SQL, committed together with the cursor.

    There is no generation beside: a rebuild and a newer version begin in the place of the live one,
    in the commit that carries out what `reset` says.
    """

    kind = "sql"

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        """Is not called directly: use `EventStore.run`.

        Raises:
            ProjectionError: The store takes no statements.
        """
        super().__init__(store, projection, [])
        name = type(projection).__projection_name__
        if not store.takes_sql():
            whose = "a tenant's store" if store.tenant else "a store in memory"
            raise ProjectionError(
                f"{name} writes tables with SQL, which {whose} does not take; use a store in "
                "SQLite or PostgreSQL that is no tenant's, or Projection.into"
            )
        self._version = type(projection).__projection_version__
        self._statements = Statements()
        self._ends: list[int] = []  # for each event, how many statements there are up to it
        self._rows: list[Row] = []

    def begin(self, *, rebuild: bool) -> Work:
        """Finds out how far the tables are; empties them for a rebuild or a newer version."""
        self.forget()
        found = yield self._core.live(rebuild)
        version, begun = found or (0, None)
        if begun is None or rebuild or version < self._version:
            number = None if begun is None else begun[0]
            statements = self._reset() if rebuild or begun is not None else []
            try:
                begun = yield self._core.restart(number, statements)
            except StatementError as error:
                text = f"{type(self.projection).__name__}.reset failed: {error}"
                raise ProjectionError(text) from error
        self.number, self.is_live, self.cursor = begun

    def _reset(self) -> list[Any]:
        statements = Statements()
        answer = self.projection.reset(statements)
        if answer is not None:
            name = type(self.projection).__name__
            raise TypeError(f"{name}.reset returned {answer!r:.60}; use sql.execute")
        return statements._taken

    def handle(self, taken: Sequence[Taken]) -> Work:
        """Calls the handlers, which say what to execute."""
        sql = self._statements
        for each in taken:
            yield from call(self.projection, [each], sql, "use sql.execute")
            self._ends.append(len(sql._taken))
            self._rows.append(each[2])

    def is_full(self) -> bool:
        """Whether there are many statements."""
        sql = self._statements
        return len(sql._taken) >= FULL or sql._size >= FULL_BYTES

    def write(self, to: Cursor) -> Work:
        """Commits the statements with the cursor, and waits for that: one of them may fail."""
        sql, ends, rows = self._statements, self._ends, self._rows
        self.forget()
        if len(sql._taken) > MOST_STATEMENTS or sql._size > MOST_BYTES - 1024:
            raise TooLarge
        try:
            self.cursor = yield self._core.advance(self.number, self.cursor, to, [], sql._taken)
        except StatementError as error:
            if error.index is not None:
                raise Failed(rows[bisect_right(ends, error.index)], error) from error
            # A constraint that is checked at the end. Whose that is shows in smaller pages.
            if rows[0] is not rows[-1]:
                raise TooLarge from error
            raise Failed(rows[0], error) from error

    def forget(self) -> None:
        """Drops the statements that are not committed."""
        super().forget()
        self._statements = Statements()
        self._ends, self._rows = [], []

    def swap(self, *, behind: bool) -> Generator[Any, Any, bool]:
        """Has nothing to swap."""
        yield from ()
        return True

    def rebuilt(self) -> None:
        """Knows of no generation beside."""
