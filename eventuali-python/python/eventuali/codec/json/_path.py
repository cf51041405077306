"""Where in an event something is: paths such as ``items[2].price``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from eventuali.codec.json._compare import key_step

Include = dict[Any, Any]


def first_place(event: BaseModel, fails: Callable[[Include], bool], levels: int) -> str:
    """Finds the first part that fails where the event is written without the others.

    Args:
        event: The event.
        fails: Whether it fails where only the parts that pydantic's `include` names are written.
        levels: How many steps to go at the most.
    """
    value: Any = event
    path, steps = "", list[Any]()
    for _ in range(levels):
        for step, name, part in _parts(value):
            if fails(_include([*steps, step], True)):
                path, value, steps = path + name, part, [*steps, step]
                break
        else:
            break
        if fails(_include(steps, {})):
            break  # its parts aren't asked for one by one
    return path.removeprefix(".")


def _include(steps: list[Any], last: Any) -> Include:
    include: Include = last
    for step in reversed(steps):
        include = {step: include}
    return include


def _parts(value: Any) -> Iterable[tuple[Any, str, Any]]:
    if isinstance(value, BaseModel):
        fields = {name: value.__dict__.get(name) for name in type(value).__pydantic_fields__}
        for name, part in {**fields, **(value.__pydantic_extra__ or {})}.items():
            yield name, f".{name}", part
    elif isinstance(value, dict):
        for key, part in list(value.items()):
            yield key, key_step(key), part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield index, f"[{index}]", part


def refused_place(event: BaseModel, error: ValidationError) -> tuple[str, bool]:
    """Follows a validation error through the event; steps that aren't data are left out.

    Returns:
        The path, and whether it leads to a default, which pydantic did not validate.
    """
    value: Any = event
    path, default = "", False
    for step in _location(error):
        if isinstance(value, BaseModel) and hasattr(value, str(step)):
            default = step not in value.__pydantic_fields_set__
            value, path = getattr(value, str(step)), f"{path}.{step}"
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value, path = value[step], f"{path}[{step}]"
        elif isinstance(value, dict) and step in value:
            value, path = value[step], f"{path}[{step!r}]"
        elif value is event and step in type(event).__pydantic_fields__:
            return str(step), False  # a field that isn't set
    return path.removeprefix("."), default


def stored_place(error: Exception) -> str:
    """Returns where in the stored JSON a validation failed; empty where that isn't known."""
    steps = _location(error) if isinstance(error, ValidationError) else ()
    path = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return "".join(path).removeprefix(".")


def _location(error: ValidationError) -> tuple[int | str, ...]:
    (first, *_) = error.errors(include_url=False, include_context=False, include_input=False)
    return first["loc"]
