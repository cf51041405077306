"""The identity of a command: its id, and a digest of what it says."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from hashlib import sha256
from inspect import getattr_static
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from eventuali.command._command import Command
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


def digest_of(command: object, command_id: str) -> str:
    """Returns a digest of a command under an id: of its class, and of what it says.

    What a `default_factory` made is another value each time that the same request becomes a
    command, and the same value if the command goes through a queue. So there are two digests, with
    and without it, where they differ.

    Raises:
        SerializationError: The command can't be written as JSON.
    """
    cls = type(command)
    # The module of a program has another name in the processes that it spawns.
    name = [cls.__module__.replace("__mp_main__", "__main__"), cls.__qualname__]
    digests = []
    try:
        for made in (True, False):
            content = {key: part for key, part in _fields(command, made).items() if key != FIELD}
            text = _text([command_id, name, _plain(content, made)])
            digests.append(sha256(text.encode()).hexdigest())
    except (PydanticSerializationError, TypeError, ValueError) as error:
        raise SerializationError(
            f"{cls.__name__} has an id, and can't be told from another one: {error}; use fields "
            "that pydantic can write as JSON"
        ) from error
    return " ".join(dict.fromkeys(digests))


def are_same(first: str, second: str) -> bool:
    """Whether two digests are of the same command."""
    return not set(first.split()).isdisjoint(second.split())


def _fields(value: Any, made: bool) -> dict[str, Any]:
    """Returns what an object says; `made` is whether that includes what factories made."""
    cls = type(value)
    if isinstance(value, BaseModel):
        said = value.model_fields_set
        found = {
            name: value.__dict__[name]
            for name, field in cls.__pydantic_fields__.items()
            if name in value.__dict__ and (made or name in said or field.default_factory is None)
        }
        return found | (value.__pydantic_extra__ or {})
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return {
        name: part
        for name, part in vars(value).items()
        if not isinstance(getattr_static(cls, name, None), cached_property)
    }


def _plain(value: Any, made: bool) -> Any:
    """Returns a value as JSON has it; sets in an order that every process gives them."""
    if isinstance(value, SecretStr | SecretBytes | Secret):
        return _plain(value.get_secret_value(), made)
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        nested = isinstance(value, Command)
        found = _fields(value, made)
        value = {key: part for key, part in found.items() if not (nested and key == FIELD)}
    if isinstance(value, Mapping):
        return {_text(_plain(key, made)): _plain(part, made) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(part, made) for part in value), key=_text)
    if isinstance(value, list | tuple | deque):
        return [_plain(part, made) for part in value]
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="constants")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
