"""Documents that people query."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from eventuali.event._names import check_name

if TYPE_CHECKING:
    from typing_extensions import Unpack

Scalar: TypeAlias = int | float | str
"""What an index holds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReadModel(BaseModel):
    """A document that a projection keeps up to date, with a key and indexed fields.

        class AccountView(ReadModel, index=("owner",)):
            owner: str
            balance: Decimal = Decimal(0)

    It is stored as JSON, exact or refused, as events are. The fields of `index` can be searched by
    `EventStore.find`; they hold str, int, bool, float, UUID, date, an aware datetime, an enum of
    these, or None, which is not found by the index.

    Class keywords: `name`, by default the class name; `index`, the searchable fields.
    """

    __slots__ = ("__weakref__", "_key")

    model_config = ConfigDict(validate_default=False)

    __model_name__: ClassVar[str] = ""
    __indexed__: ClassVar[tuple[str, ...]] = ()
    __codec__: ClassVar[Any] = None

    if TYPE_CHECKING:

        def __init_subclass__(
            cls, *, name: str | None = None, index: Iterable[str] = (), **kwargs: Unpack[ConfigDict]
        ) -> None: ...

    else:

        def __init_subclass__(cls, **keywords: object) -> None:
            keywords.pop("name", None)
            keywords.pop("index", None)
            super().__init_subclass__(**keywords)

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, name: str | None = None, index: Iterable[str] = (), **_: Any
    ) -> None:
        cls.__model_name__ = check_name("name", cls.__name__ if name is None else name)
        inherited = cls.__indexed__
        if isinstance(index, str):
            raise TypeError(f"{cls.__name__}: index must be a tuple of names: index=({index!r},)")
        cls.__indexed__ = tuple(dict.fromkeys((*inherited, *index)))
        cls.__codec__ = None
        for field in cls.__indexed__:
            if field not in cls.__pydantic_fields__:
                raise TypeError(f"{cls.__name__}: {field!r} in index is not a field")
        for taken in ("key",):
            if taken in cls.__pydantic_fields__:
                raise TypeError(
                    f"{cls.__name__}: {taken!r} can't be a field, because it is the document's key"
                )

    @property
    def key(self) -> str:
        """The key of a document that was read; for a new one, AttributeError."""
        try:
            key: str = _key.__get__(self)
        except AttributeError:
            text = f"this {type(self).__name__} has no key: it was not read from a store"
            raise AttributeError(text) from None
        return key


_key: Any = vars(ReadModel)["_key"]
set_key = _key.__set__


def entries(document: ReadModel) -> list[tuple[str, Scalar]]:
    """Returns the entries of a document in the index.

    Raises:
        TypeError: A field holds what can't be indexed.
    """
    found = []
    for field in type(document).__indexed__:
        value = scalar(getattr(document, field), field)
        if value is not None:
            found.append((field, value))
    return found


def scalar(value: object, field: str) -> Scalar | None:
    """Returns a value as the index holds it; None is not indexed.

    Raises:
        TypeError: It can't be indexed.
    """
    if isinstance(value, Enum):
        value = value.value
    match value:
        case None:
            return None
        case bool():
            return int(value)
        case int() | float() | str():
            return value
        case UUID():
            return str(value)
        case datetime() if value.tzinfo is not None:
            since = value - _EPOCH
            return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        case datetime():
            raise TypeError(f"{field}: a datetime in an index must have a time zone")
        case date():
            return value.isoformat()
        case _:
            raise TypeError(
                f"{field}: a {type(value).__name__} can't be indexed; use a str, int, float, UUID, "
                "date or aware datetime"
            )
