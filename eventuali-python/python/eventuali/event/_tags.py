"""Tags that the class of an event adds: by a field `tags`, a property, or a class variable.

They are read once, when the metadata is first read or the event is saved, and come before the tags
that were given at creation.
"""

from __future__ import annotations

from functools import cached_property
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from eventuali.event._envelope import checked_tags

if TYPE_CHECKING:
    from eventuali.event import Event

_SEVERAL = (list, tuple, set, frozenset)


def says_tags(cls: type[Event]) -> bool:
    """Tells whether a class of events adds tags."""
    if "tags" in cls.__pydantic_fields__:
        return True
    said = getattr_static(cls, "tags", None)
    return isinstance(said, (property, cached_property, *_SEVERAL))


def own_tags(event: Event) -> tuple[str, ...]:
    """Returns the tags that the class of an event adds.

    A field of another type than a collection of texts is a field and nothing more.

    Raises:
        InvalidEventError: One is not a valid name, or a property returns something else.
    """
    said: Any = event.tags
    is_field = "tags" in type(event).__pydantic_fields__
    if is_field and not (isinstance(said, _SEVERAL) and all(isinstance(t, str) for t in said)):
        return ()
    if isinstance(said, set | frozenset):
        said = sorted(said)
    return tuple(dict.fromkeys(checked_tags("tags", said)))
