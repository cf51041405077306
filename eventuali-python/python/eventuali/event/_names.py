"""The grammar of names, the same as in the core (`name.rs`), and names derived from others."""

from __future__ import annotations

import re
import sys
from inspect import getattr_static
from typing import TYPE_CHECKING
from unicodedata import category

from pydantic import AliasChoices, AliasPath

from eventuali.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

MAX_NAME_BYTES = 255

# Characters that people cannot see and that make two names look alike: those of Unicode's general
# category Cf and those that are ignored by default, fillers for instance. Joiners (U+200C, U+200D)
# and variation selectors are allowed: several scripts and emoji need them.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5"
    "\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000110bd"
    "\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[\W_]+")


def check_name(field: str, name: object) -> str:
    """Returns a wire name: 1-255 bytes of UTF-8 that people can see and tell apart.

    For a subclass of `str`, such as a `StrEnum`, it is the plain text.

    Raises:
        TypeError: The name is not a str.
        InvalidEventError: The name breaks the grammar; `field` is in the attribute `field`.
    """
    if not isinstance(name, str):
        raise TypeError(f"{field} must be a str, not {type(name).__name__}")
    plain = str.__str__(name)  # whatever a subclass says
    fault = _fault(plain)
    if fault:
        raise InvalidEventError(f"{field} {plain[:40]!r} {fault}", field=field)
    return plain


def checked_text(field: str, given: object) -> str:
    """Returns a plain string that can be encoded; the core checks the rest.

    Raises:
        TypeError: It is not a str.
        InvalidEventError: It has a lone surrogate.
    """
    if not isinstance(given, str):
        raise TypeError(f"{field} must be a str, not {given!r:.60}")
    if not encodable(given):
        raise InvalidEventError(f"{field} has a lone surrogate", field=field)
    return str.__str__(given)  # whatever a subclass says


def encodable(given: str) -> bool:
    """Tells whether a string has no lone surrogate."""
    try:
        str.encode(given)
    except UnicodeEncodeError:
        return False
    return True


def _fault(name: str) -> str | None:
    plain = name.isascii() and name.isprintable()
    if plain and 0 < len(name) <= MAX_NAME_BYTES and name[0] not in "$ " and name[-1] != " ":
        return None  # nearly all are such; what is looked for below is not among them
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


def check_event_type(name: str, own_path: str | None = None) -> str:
    """Returns an event type: a name, no `__dunder__`, and not the path of anything loaded.

    Nothing is imported and no attribute is computed to find out. `own_path` is the path of the
    event class itself, which can't be found yet while the class is being made.

    Raises:
        TypeError: The name is not a str.
        InvalidEventError: The name is not acceptable; `field` is `"event_type"`.
    """
    name = check_name("event_type", name)
    if name.startswith("__") and name.endswith("__"):
        raise InvalidEventError(f"event_type {name!r} is reserved", field="event_type")
    if "." in name and (name == own_path or _is_python_path(name)):
        raise InvalidEventError(
            f"event_type {name!r} is the path of a Python object; "
            "a wire name must outlive the code, choose another",
            field="event_type",
        )
    return name


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


def keywords(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Returns the keywords that the constructor of a model takes: names and aliases of fields."""
    words = set(fields)
    for field in fields.values():
        alias = field.validation_alias or field.alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for choice in choices:
            word = choice.path[0] if isinstance(choice, AliasPath) else choice
            if isinstance(word, str):
                words.add(word)
    return frozenset(words)


def snake_case(name: str) -> str:
    """Turns a class or wire name into a handler's: `HTTPRequestMade` → `http_request_made`."""
    return _NOT_WORD.sub("_", _WORD_START.sub("_", name)).strip("_").lower()
