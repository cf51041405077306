"""The values of a model as `to_dict` returns them: by the names of its fields, unconverted.

`model_dump` may lack excluded fields and have computed ones, and custom serializers may return
something that the fields don't accept.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, RootModel


def values(model: BaseModel) -> dict[str, Any]:
    """Returns the fields and extra values of a model by name; models among them become dicts."""
    names = type(model).__pydantic_fields__
    held = {name: plain(value) for name, value in model.__dict__.items() if name in names}
    return held | {name: plain(value) for name, value in (model.__pydantic_extra__ or {}).items()}


def plain(value: Any) -> Any:
    """Returns a value with models and dataclasses as dicts, and collections copied."""
    if isinstance(value, RootModel):
        return plain(value.root)
    if isinstance(value, BaseModel):
        return values(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.init}
    kind = type(value)
    if kind is dict:
        return {plain(key): plain(item) for key, item in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(map(plain, value))
    return value
