"""The grammar of names, the same as in the core (`name.rs`), and handler names."""

from __future__ import annotations

import re
import sys
from inspect import getattr_static
from unicodedata import category

from eventuali.errors import InvalidEventError

MAX_NAME_BYTES = 255

# Characters that people cannot see and that make two names look alike. Joiners (U+200C, U+200D)
# are allowed: several scripts and emoji need them.
_HIDDEN = re.compile("[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[\W_]+")


def check_name(field: str, name: str) -> None:
    """Checks a wire name: 1-255 bytes of UTF-8 that people can see and tell apart.

    Raises:
        TypeError: The name is no string.
        InvalidEventError: The name breaks the grammar; `field` is in the attribute `field`.
    """
    if type(name) is not str:
        raise TypeError(f"{field} must be a str, not {type(name).__name__}")
    fault = _fault(name)
    if fault:
        raise InvalidEventError(f"{field} {name[:40]!r} {fault}", field=field)


def _fault(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "has a lone surrogate"
    if not name:
        return "is empty"
    if size > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    if name.startswith("$"):
        return "begins with '$', which is reserved"
    if name != name.strip():
        return "begins or ends with white space"
    if _HIDDEN.search(name) or any(category(c) == "Cc" for c in name):
        return "has a control or invisible character"
    return None


def check_event_type(name: str) -> None:
    """Checks an event type: a name, no `__dunder__`, and not the path of anything loaded.

    Nothing is imported and no attribute is computed to find out.

    Raises:
        TypeError: The name is no string.
        InvalidEventError: The name is not acceptable; `field` is `"event_type"`.
    """
    check_name("event_type", name)
    if name.startswith("__") and name.endswith("__"):
        raise InvalidEventError(f"event_type {name!r} is reserved", field="event_type")
    if "." in name and _is_python_path(name):
        raise InvalidEventError(
            f"event_type {name!r} is the path of a Python object; "
            "a wire name must outlive the code, choose another",
            field="event_type",
        )


def _is_python_path(name: str) -> bool:
    parts = name.split(".")
    for end in range(1, len(parts)):
        found: object = sys.modules.get(".".join(parts[:end]))
        if found is None:
            continue
        try:
            for part in parts[end:]:
                found = getattr_static(found, part)
        except AttributeError:
            continue
        return True
    return False


def snake_case(name: str) -> str:
    """Turns a class or wire name into a handler's: `HTTPRequestMade` → `http_request_made`."""
    return _NOT_WORD.sub("_", _WORD_START.sub("_", name)).strip("_").lower()
