"""The identity of a command: its id, and a digest of what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from eventuali.errors import InvalidEventError, SerializationError
from eventuali.event._names import check_name

FIELD = "command_id"

_HEX = "[0-9a-fA-F]"
_HYPHENATED = f"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"
_UUID = re.compile(
    rf"{_HEX}{{32}}|{_HYPHENATED}|urn:uuid:{_HYPHENATED}|\{{{_HYPHENATED}\}}", re.ASCII
)
"""What pydantic reads as a UUID; `UUID` takes more, such as underscores between digits."""


def id_of(command: object, given: object) -> str | None:
    """Returns the id of a command, as it is recorded; None if it has none.

    A UUID has several spellings, and JSON changes them; it is recorded in the canonical one.

    Raises:
        InvalidEventError: It is not acceptable.
    """
    found = getattr(command, FIELD, None) if given is None else given
    if found is None:
        return None
    try:
        text = check_name(FIELD, str(found))
    except TypeError as error:
        raise InvalidEventError(f"{FIELD} {found!r:.60} is not acceptable", field=FIELD) from error
    return str(UUID(text)) if _UUID.fullmatch(text) else text


def digest_of(command: object) -> str:
    """Returns a digest of the class and the fields of a command, without its id.

    Raises:
        SerializationError: The command can't be written as JSON.
    """
    name = type(command).__name__
    try:
        content = {key: part for key, part in _fields(command).items() if key != FIELD}
        text = _text([name, _sorted(content)])
    except (PydanticSerializationError, TypeError, ValueError) as error:
        raise SerializationError(
            f"{name} has an id, and can't be told from another one: {error}; use fields that "
            "pydantic can write as JSON"
        ) from error
    return sha256(text.encode()).hexdigest()


def _fields(value: object) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return value.__dict__ | (value.__pydantic_extra__ or {})
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return vars(value)


def _sorted(value: Any) -> Any:
    """Returns a value as JSON has it; sets in an order that every process gives them."""
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        value = _fields(value)
    if isinstance(value, Mapping):
        return {_text(_sorted(key)): _sorted(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_sorted, value), key=_text)
    if isinstance(value, list | tuple):
        return list(map(_sorted, value))
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="constants")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
