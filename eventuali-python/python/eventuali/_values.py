"""The values of a model as `to_dict` gives them: by the names of fields, and not as they are shown.

What a model shows, `model_dump`, may lack excluded fields and have computed ones, and custom
serializers may give something that its fields don't take back.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, RootModel


def values(model: BaseModel) -> dict[str, Any]:
    """Returns the fields of a model by name, with what came beside them; models in it as dicts."""
    names = type(model).__pydantic_fields__
    held = {name: plain(value) for name, value in model.__dict__.items() if name in names}
    return held | {name: plain(value) for name, value in (model.__pydantic_extra__ or {}).items()}


def plain(value: Any) -> Any:
    """Returns a value in which models and dataclasses are dicts; its collections are copies."""
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
