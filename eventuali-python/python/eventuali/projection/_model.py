"""Documents that people query."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import Enum
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NewType,
    Self,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from eventuali.errors import InvalidEventError
from eventuali.event._names import check_name

if TYPE_CHECKING:
    from typing_extensions import Unpack

Scalar: TypeAlias = int | float | str
"""What an index holds."""

LOOKUPS = ("in", "prefix", "ge", "gt", "le", "lt")
"""What may stand behind a field and `__` in a condition."""
TEXT_BYTES = 1024
"""The most bytes of a text in an index."""
MAX_INDEXED = 64
NAME_BYTES = 100
"""The most bytes of the name of a model or projection."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WORDS_BYTES = 256 << 10
"""The most bytes of the words of a document's texts."""
_TAKEN = ("self", "model", "order_by", "after", "limit")
"""The arguments of `find`."""


class ReadModel(BaseModel):
    """A document that a projection keeps up to date, with a key and indexed fields.

        class AccountView(ReadModel, index=("owner",)):
            owner: str
            balance: Decimal = Decimal(0)

    It is stored as JSON, exact or refused, as events are. The fields of `index` can be searched by
    `EventStore.find`; they hold str, int, bool, float, UUID, date, an aware datetime, an enum of
    these, or None, which is not found by the index. The words of the fields of `text` can be
    searched by `EventStore.search`; they hold str, or a list or tuple of str, or None.

    Class keywords: `name`, by default the class name; `index`, the searchable fields; `text`, the
    fields whose words are searched. A field can be in both.
    """

    __slots__ = ("__weakref__", "_key")

    __model_name__: ClassVar[str] = ""
    __indexed__: ClassVar[dict[str, bool]] = {}
    """The indexed fields, and whether each may hold a float."""
    __texts__: ClassVar[tuple[str, ...]] = ()
    """The fields whose words are searched."""
    __codec__: ClassVar[Any] = None

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            name: str | None = None,
            index: Iterable[str] = (),
            text: Iterable[str] = (),
            **kwargs: Unpack[ConfigDict],
        ) -> None: ...

    else:

        def __init_subclass__(cls, **keywords: object) -> None:
            keywords.pop("name", None)
            keywords.pop("index", None)
            keywords.pop("text", None)
            super().__init_subclass__(**keywords)

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        name: str | None = None,
        index: Iterable[str] = (),
        text: Iterable[str] = (),
        **_: Any,
    ) -> None:
        cls.__model_name__ = check_part(cls.__name__ if name is None else name)
        cls.__codec__ = None
        for keyword, names in (("index", index), ("text", text)):
            if isinstance(names, str):
                raise TypeError(
                    f"{cls.__name__}: {keyword} must be a tuple of names: {keyword}=({names!r},)"
                )
        if "key" in cls.__pydantic_fields__:
            raise TypeError(f"{cls.__name__}: a field can't be named key, the key of the document")
        indexed = {}
        for field in dict.fromkeys((*cls.__indexed__, *index)):
            if field not in cls.__pydantic_fields__:
                raise TypeError(f"{cls.__name__}: {field!r} in index is not a field")
            if field in _TAKEN or (field.rpartition("__")[2] in LOOKUPS and "__" in field):
                raise TypeError(
                    f"{cls.__name__}: {field!r} can't be indexed, because `find` uses this name; "
                    "name the field otherwise, and give it this alias"
                )
            annotation = cls.__pydantic_fields__[field].annotation
            for each in _members(annotation):
                if each in (Any, object) or isinstance(each, TypeVar):
                    continue  # each value is looked at
                if not isinstance(each, type):
                    raise TypeError(
                        f"{cls.__name__}: {field} can't be indexed as {each!r:.60}; annotate it "
                        "with the types that it holds"
                    )
                if not issubclass(each, _INDEXABLE):
                    raise TypeError(
                        f"{cls.__name__}: {field} is a {each.__name__}, which can't be indexed; "
                        "use a str, int, float, UUID, date or aware datetime"
                    )
            indexed[field] = any(map(_is_real, _members(annotation)))
        if len(indexed) > MAX_INDEXED:
            raise TypeError(f"{cls.__name__}: at most {MAX_INDEXED} fields can be indexed")
        cls.__indexed__ = indexed
        cls.__texts__ = tuple(dict.fromkeys((*cls.__texts__, *text)))
        for field in cls.__texts__:
            if field not in cls.__pydantic_fields__:
                raise TypeError(f"{cls.__name__}: {field!r} in text is not a field")
            annotation = cls.__pydantic_fields__[field].annotation
            if not all(map(_is_text, _members(annotation))):
                raise TypeError(
                    f"{cls.__name__}: {field} can't be searched as {annotation!r:.60}; use a str, "
                    "or a list or tuple of str"
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

    def __copy__(self) -> Self:
        return keyed(super().__copy__(), self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return keyed(super().__deepcopy__(memo), self)

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "__key__": key_of(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        state = dict(state)
        key = state.pop("__key__", None)
        super().__setstate__(state)
        if key is not None:
            set_key(self, key)


D = TypeVar("D", bound=ReadModel)
_key: Any = vars(ReadModel)["_key"]
set_key = _key.__set__


def key_of(document: ReadModel) -> str | None:
    """Returns the key of a document; None if it has none."""
    return getattr(document, "_key", None)


def keyed(copy: D, document: ReadModel) -> D:
    """Gives a copy the key of a document."""
    key = key_of(document)
    if key is not None:
        set_key(copy, key)
    return copy


_INDEXABLE = (str, int, float, UUID, date, Enum, type(None))


def check_part(name: object) -> str:
    """Returns the name of a model or projection, of which names in the store are made.

    Raises:
        TypeError: It is not a str.
        InvalidEventError: It is not acceptable.
    """
    found = check_name("name", name)
    if len(found.encode()) > NAME_BYTES or "/" in found or "@" in found:
        raise InvalidEventError(
            f"name {found[:40]!r} must have at most {NAME_BYTES} bytes, and no '/' or '@'",
            field="name",
        )
    return found


def _members(annotation: Any) -> list[Any]:
    if isinstance(annotation, NewType):
        return _members(annotation.__supertype__)
    if hasattr(annotation, "__value__"):  # `type X = …`
        return _members(annotation.__value__)
    if get_origin(annotation) is Literal:
        return [type(each) for each in get_args(annotation)]
    if get_origin(annotation) in (Union, UnionType):
        return [each for one in get_args(annotation) for each in _members(one)]
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    return [annotation]


def _is_text(annotation: Any) -> bool:
    """Whether a field of this type may hold texts; where anything goes, each value is looked at."""
    if annotation in (Any, object, type(None)) or isinstance(annotation, TypeVar):
        return True
    if get_origin(annotation) in (list, tuple):
        parts = [each for each in get_args(annotation) if each is not ...]
        return all(_is_text(each) for part in parts for each in _members(part))
    return isinstance(annotation, type) and issubclass(annotation, str)


def _is_real(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return any(type(each.value) is float for each in annotation)
    return annotation is float


def entries(document: ReadModel) -> list[tuple[str, Scalar]]:
    """Returns the entries of a document in the index.

    Raises:
        TypeError: A field holds what can't be indexed.
        ValueError: A number or text in one is too large.
    """
    found = []
    for field, real in type(document).__indexed__.items():
        value = scalar(getattr(document, field), field, real=real)
        if value is not None:
            found.append((field, value))
    return found


def texts(document: ReadModel) -> list[str]:
    """Returns the texts of a document whose words are searched.

    Raises:
        TypeError: A field holds something else.
    """
    found: list[str] = []
    for field in type(document).__texts__:
        value = getattr(document, field)
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str):
                found.append(str(each))
            elif each is not None:
                raise TypeError(
                    f"{field}: a {type(each).__name__} can't be searched; use a str, or a list or "
                    "tuple of str"
                )
    return found


def scalar(value: object, field: str, *, real: bool) -> Scalar | None:
    """Returns a value as the index holds it; None is not indexed.

    Args:
        value: The value.
        field: The name of its field.
        real: Whether the field may hold a float: then all of its numbers are such, to be in one
            order.

    Raises:
        TypeError: It can't be indexed.
        ValueError: It is too large.
    """
    if isinstance(value, Enum):
        value = value.value
    match value:
        case None:
            return None
        case bool():
            return int(value)
        case int() | float():
            return _number(value, field, real=real)
        case str():
            return _text(value, field)
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


def _number(value: float, field: str, *, real: bool) -> Scalar:
    if real:
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{field}: {value!r:.60} is beyond the range of a float") from None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{field}: {value!r:.60} is beyond the 64 bits of an index")
    return value


def _text(value: str, field: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{field}: {value!r:.60} is not valid Unicode: {error.reason}") from error
    if size > TEXT_BYTES:
        raise ValueError(
            f"{field}: a text of {size:,} bytes can't be indexed; at most {TEXT_BYTES:,} can"
        )
    return str(value)
