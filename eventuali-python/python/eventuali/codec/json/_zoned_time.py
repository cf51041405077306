"""Datetimes and times that pydantic's JSON would change, in a form that keeps them.

These are the ones with seconds in the UTC offset, or in a fold or gap of a ``ZoneInfo``. The form
is RFC 9557 with seconds allowed in the offset: ``2020-10-25T02:30:00+02:00[Europe/Berlin]``.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

Clock = TypeVar("Clock", datetime, time)
Node = dict[str, Any]

_FORM = re.compile(
    r"(?P<clock>(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(?:\.\d{6})?)"
    r"(?P<offset>(?P<sign>[+-])\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)?"
    r"(?:\[(?P<zone>[^\[\]=]+)\])?"
    r"(?P<fold>\[fold=1\])?",
    re.ASCII,
)
# Bound while it is the real one: freezegun replaces the class in a module's namespace.
_read_clock = datetime.fromisoformat


def _text(value: Any) -> Any:
    if not isinstance(value, (datetime, time)):
        return value
    key = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    zone = f"[{key}]" if key else ""
    fold = "[fold=1]" if value.fold and value.utcoffset() is None else ""
    return f"{value.isoformat()}{zone}{fold}"


WRITING: Node = {
    "type": "function-plain",
    "function": _text,
    "when_used": "json",
}
"""How the core schema of a datetime or time says that this form is written."""


def reading(node: Node) -> Node:
    """Wraps the schema of a datetime or time to read this form too."""
    read = _read_datetime if node["type"] == "datetime" else _read_time
    outer: Node = {
        "type": "function-before",
        "function": {"type": "no-info", "function": read},
        "schema": node,
    }
    if "ref" in node:
        outer["ref"] = node.pop("ref")
    return outer


def _read_datetime(value: Any) -> Any:
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or "T" not in found["clock"]:
        return value
    read = _with_offset(_read_clock(found["clock"]), found)
    if found["zone"] is None or found["offset"] is None:
        return read
    return _in_zone(read, found["zone"])


def _with_offset(read: Clock, found: re.Match[str]) -> Clock:
    """Reads the offset by hand: ``fromisoformat`` takes one below a second for UTC."""
    fold = int(found["fold"] is not None)
    if found["offset"] is None:
        return read.replace(fold=fold)
    hours, minutes, *seconds = found["offset"][1:].split(":")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    for part in seconds:
        whole, _, fraction = part.partition(".")
        offset += timedelta(seconds=int(whole), microseconds=int(fraction or 0))
    return read.replace(fold=fold, tzinfo=timezone(-offset if found["sign"] == "-" else offset))


def _in_zone(read: datetime, key: str) -> datetime:
    """The same instant and offset in the zone, or as read where the zone now says otherwise."""
    try:
        zone = ZoneInfo(key)
    except (KeyError, ValueError, OSError):
        return read
    folds = (read.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return next((each for each in folds if each.utcoffset() == read.utcoffset()), read)


def _read_time(value: Any) -> Any:
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or "T" in found["clock"]:
        return value
    read = _with_offset(time.fromisoformat(found["clock"]), found)
    return read.replace(tzinfo=_known_zone(found["zone"])) if found["zone"] else read


def _known_zone(key: str) -> ZoneInfo:
    """Returns a zone without which a time says nothing.

    Raises:
        ValueError: It is not known here.
    """
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"the time zone {key!r} is not known here; install tzdata") from error
