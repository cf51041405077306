"""SQL that handlers write: statements for the store's database, in the commit of their page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

__all__ = ["Parameter", "Statements", "Text"]

Parameter: TypeAlias = bool | int | float | Decimal | str | bytes | datetime | date | UUID | None
"""What the value of a parameter may be."""

Text: TypeAlias = tuple[str, list[bool | int | float | str | bytes | None]]
"""A statement as the core takes it."""

_INT = range(-(2**63), 2**63)
_NUMBER = 8
"""How many bytes a value counts that is no text and no bytes."""


class Statements:
    """What handlers and `reset` get with `Projection.in_sql`: takes statements, reads nothing.

    The statements of a page are executed in their order, in the commit that moves the checkpoint.
    """

    def __init__(self) -> None:
        """Is not called directly: use `Projection.in_sql`."""
        self._taken: list[Text] = []
        self._size = 0  # in bytes, as the core counts them

    def execute(self, sql: str, *parameters: Parameter) -> None:
        """Adds a statement to the commit of the page.

            sql.execute("INSERT INTO invoices (number, total) VALUES ($1, $2)", "i-1", total)

        Its parameters are `$1`, `$2` and so on; SQLite also takes `?`. SQLite stores a `Decimal`,
        `datetime`, `date` or `UUID` as text; PostgreSQL as the type of the parameter. A `datetime`
        with a zone is converted to UTC.

        Args:
            sql: One statement: INSERT, UPDATE, DELETE, or one that changes tables of yours.
            parameters: The values.

        Raises:
            TypeError: `sql` is not a str, or a value has another type.
            ValueError: `sql` is empty or contains NUL; or a value is NaN, an int of more than 64
                bits, or a str with a lone surrogate.
        """
        if not isinstance(sql, str):
            raise TypeError(f"sql must be a str, not {sql!r:.60}")
        if not sql.strip() or "\0" in sql:
            raise ValueError(f"a statement must not be empty or contain NUL: {sql!r:.60}")
        size = len(sql.encode())
        values: list[bool | int | float | str | bytes | None] = []
        for number, given in enumerate(parameters, 1):
            value = _value(number, given)
            size += _size(value)
            values.append(value)
        self._taken.append((str.__str__(sql), values))
        self._size += size

    def __repr__(self) -> str:
        return f"<Statements, {len(self._taken)} of them>"


def _value(number: int, given: object) -> bool | int | float | str | bytes | None:
    """Returns a value as the core takes it."""
    match given:
        case None | bool():
            return given
        case str():
            return str.__str__(given)
        case int():
            if given not in _INT:
                raise ValueError(
                    f"parameter {number} has more than 64 bits: {given!r:.60}; pass a Decimal"
                )
            return int(given)
        case float():
            if given != given:
                raise ValueError(f"parameter {number} is NaN, which SQLite takes for NULL")
            return float(given)
        case bytes():
            return bytes(given)
        case Decimal() | UUID():
            return str(given)
        case datetime():
            in_utc = given if given.utcoffset() is None else given.astimezone(UTC)
            return in_utc.isoformat()
        case date():
            return given.isoformat()
    raise TypeError(
        f"parameter {number} must be None, bool, int, float, Decimal, str, bytes, datetime, date "
        f"or UUID, not {given!r:.60}"
    )


def _size(value: bool | float | str | bytes | None) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else _NUMBER
