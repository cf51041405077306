"""Which errors of a database say that it can't be reached or is busy, whatever library raises them.

A driver says so by the code that the database gave. Only an error without one is judged by its
class: `OperationalError` and `InterfaceError`, as PEP 249 names them.
"""

from __future__ import annotations

# https://www.sqlite.org/rescode.html: busy, locked, no memory, read only, interrupted, I/O error,
# full, can't be opened, lock protocol.
_SQLITE = {5, 6, 7, 8, 9, 10, 13, 14, 15}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, transactions that
# were rolled back, resources, an operator's intervention; a lock that was not available, a
# statement that was cancelled, a transaction that waited or took too long, a standby.
_CLASSES = ("08", "40", "53", "57")
_STATES = {"25006", "25P03", "25P04", "55P03"}
_NAMES = {"OperationalError", "InterfaceError"}


def says_unavailable(error: BaseException) -> bool:
    """Whether an error of a driver, or of a library around it, is not what a statement caused."""
    driver = getattr(error, "orig", None) or error  # as SQLAlchemy and Peewee keep it
    coded = driver if _code(driver) is not None else driver.__cause__
    code = None if coded is None else _code(coded)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE
    if isinstance(code, str):
        return code.startswith(_CLASSES) or code in _STATES
    return any(cls.__name__ in _NAMES for cls in type(driver).__mro__)


def _code(error: BaseException) -> int | str | None:
    """Returns the result code of SQLite, or the SQLSTATE; None if there is neither."""
    for name in ("sqlite_errorcode", "sqlstate", "pgcode"):
        code = getattr(error, name, None)
        if isinstance(code, int | str):
            return code
    return None
