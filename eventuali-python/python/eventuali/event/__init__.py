"""Events: immutable facts, with metadata separate from their fields.

    class OrderPlaced(Event, name="order.placed", version=2):
        order_id: str
        total: Decimal

    event = OrderPlaced(order_id="o-1", total=Decimal("9.90"), correlation_id="req-7")
    event.total, event.correlation_id, event.meta.timestamp

This module does no I/O and imports no extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib import import_module
from time import time_ns
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, from_json, to_json

from eventuali._values import values
from eventuali.errors import InvalidEventError, SerializationError
from eventuali.event import _registry
from eventuali.event._context import begun, current
from eventuali.event._envelope import (
    FIELDS,
    GIVEN,
    ROW_FIELDS,
    DetachedMeta,
    Envelope,
    EventMeta,
    Headers,
    IdRange,
    from_text,
    now,
    parse,
    parse_from,
)
from eventuali.event._names import check_event_type, keywords
from eventuali.event._registry import registered
from eventuali.event._slot import (
    Slotted,
    meta_of,
    portable,
    row_field,
    set_content,
    set_given,
    set_stored,
    set_time,
    successor,
    take_context,
)
from eventuali.event._steps import NO_STEPS, Upcaster, evolution_of, upcast
from eventuali.event._tags import says_tags
from eventuali.event._view import EventView, by_view

if TYPE_CHECKING:
    from pydantic import Field
    from typing_extensions import Unpack

    from eventuali.event._demo import UserDeactivated, UserEmailChanged, UserRegistered

__all__ = [
    "DomainEvent",
    "Event",
    "EventMeta",
    "EventView",
    "SystemEvent",
    "UnknownEvent",
    "UserDeactivated",
    "UserEmailChanged",
    "UserRegistered",
    "now",
    "registered",
    "upcast",
]

MAX_EVENT_VERSION = 2**32 - 1
_GENERAL = {"DomainEvent", "Event", "SystemEvent"}


if TYPE_CHECKING:
    MYPY = False  # mypy takes this for True

    class _Model(BaseModel):
        """What type checkers see of the metadata: keywords, and attributes to read."""

        event_id: UUID = UUID(int=0)
        timestamp: datetime = datetime.min
        correlation_id: UUID | str | None = None
        causation_id: UUID | str | None = None
        user_id: Any = (
            None  # `Any`, so that a class can declare it of any type; so are `tags` and `position`
        )
        headers: Mapping[str, str] = {}
        if MYPY:  # lets anything stand for a property, but no property for a field
            given_tags: Any = Field(default=(), alias="tags")

            @property
            def tags(self) -> Any: ...

        else:  # pyright lets anything stand for a field, but no field for a property
            tags: Any = ()

        @property
        def _envelope(self) -> Any: ...
        @property
        def event_type(self) -> str: ...
        @property
        def event_version(self) -> int: ...
        @property
        def aggregate_id(self) -> str | Any: ...
        @property
        def aggregate_type(self) -> str | Any: ...
        @property
        def aggregate_version(self) -> int | Any: ...
        @property
        def position(self) -> Any: ...
        @property
        def recorded_at(self) -> datetime | Any: ...

        def __init_subclass__(
            cls,
            *,
            name: str | None = None,
            version: int = 1,
            readable_by: int | None = None,
            formerly: str | Iterable[str] = (),
            retired: bool = False,
            **kwargs: Unpack[ConfigDict],
        ) -> None: ...
else:
    _Model = Slotted


class Event(_Model):
    """A fact: a pydantic model whose fields can't change, with separate metadata.

    A subclass declares the fields. `name=` sets the wire name (by default the class name),
    `version=` the version of the schema (by default 1). A field, property or class variable `tags`
    adds tags to those given at creation; queries find events by tags.

    Stored events of an earlier version are read by steps, see `upcast`. `readable_by=` is the
    lowest version of the class that can read its events without them, `formerly=` gives earlier
    wire names. A class with `retired=True` reads events that are no longer stored, as nothing or
    as what its last step says. No keyword of the class line is inherited.

    These keywords set metadata at creation: `event_id`, `timestamp`, `correlation_id`,
    `causation_id`, `user_id`, `headers` and `tags`. All metadata is at `meta`, and under its flat
    name (`event.event_id`) unless a field of the class has that name. The default time is that of
    creation. The default id is set when it is first read or saved.

    Two events are equal if they have the same class and equal fields. `copy`, `deepcopy` and
    pickling keep the metadata; `model_copy` makes a new event.

    Raises:
        pydantic.ValidationError: A field is missing, unknown or has a wrong value.
        InvalidEventError: Metadata is not acceptable.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="constants",  # so that the codec sees a NaN and can refuse it
    )
    __slots__ = ()

    __event_type__: ClassVar[str] = "Event"
    __event_version__: ClassVar[int] = 1
    __upcasters__: ClassVar[Mapping[int, Upcaster]] = NO_STEPS
    __readable_by__: ClassVar[int | None] = None
    __formerly__: ClassVar[tuple[str, ...]] = ()
    __becomes__: ClassVar[tuple[type[Event], ...] | None] = None
    __meta_keywords__: ClassVar[frozenset[str]] = FIELDS
    __says_tags__: ClassVar[bool] = False
    __codec__: ClassVar[Any] = None

    if not TYPE_CHECKING:  # type checkers make the constructor from the fields

        def __init__(self, /, **data: Any) -> None:
            __tracebackhide__ = True
            if _no_metadata(data) or self.__meta_keywords__.isdisjoint(data):
                self.__pydantic_validator__.validate_python(data, self_instance=self)
                set_time(self, time_ns())
            else:
                envelope = parse_from(data, self.__meta_keywords__)
                self.__pydantic_validator__.validate_python(data, self_instance=self)
                set_given(self, envelope)
            if begun and current() is not None:
                take_context(self)

        # Without this mark pydantic sends stored events through `__init__`, too.
        __init__.__pydantic_base_init__ = True

        def __init_subclass__(
            cls,
            *,
            name: str | None = None,
            version: int | None = None,
            readable_by: int | None = None,
            formerly: str | Iterable[str] = (),
            retired: bool | None = None,
            **kwargs: Any,
        ) -> None:
            own = vars(cls)
            if "meta" in own or "meta" in own.get("__annotations__", ()):
                raise TypeError(_META_RESERVED.format(cls.__name__))
            super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        name: str | None = None,
        version: int | None = None,
        readable_by: int | None = None,
        formerly: str | Iterable[str] = (),
        retired: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "meta" in cls.__pydantic_fields__:
            raise TypeError(_META_RESERVED.format(cls.__name__))
        cls.__event_type__, cls.__event_version__ = _wire_name(cls, name, version)
        found = evolution_of(cls, readable_by, formerly, retired)
        cls.__upcasters__, cls.__readable_by__, cls.__formerly__, cls.__becomes__ = found
        cls.__meta_keywords__ = FIELDS - keywords(cls.__pydantic_fields__)
        cls.__says_tags__ = says_tags(cls)
        cls.__codec__ = None
        if cls.__module__ != __name__ or cls.__name__ not in _ABSTRACT:
            _registry.register(cls)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        schema = handler(source)
        # Where a field or a response is declared as any event, its class says nothing.
        general = cls.__module__ == __name__ and cls.__name__ in _GENERAL
        return by_view(cls, schema) if general else schema

    @property
    def meta(self) -> EventMeta:
        """The metadata of the event; reading it fixes the id."""
        return meta_of(self)

    @classmethod
    def get_event_type(cls) -> str:
        """Returns the wire name."""
        return cls.__event_type__

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields by name, and the metadata that can be set at creation.

        `from_dict` makes an equal event from it, with the same id and time, but without a stream.
        """
        meta = self.meta
        given = {name: getattr(meta, name) for name in self.__meta_keywords__ & GIVEN}
        return values(self) | {name: value for name, value in given.items() if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Makes an event from the result of `to_dict`.

        Raises:
            pydantic.ValidationError: A field is missing, unknown or has a wrong value.
            InvalidEventError: Metadata is not acceptable.
        """
        fields = dict(data)
        envelope = parse_from(fields, cls.__meta_keywords__)
        event = cls.model_validate(fields, by_name=True, by_alias=True)
        set_given(event, envelope)
        return event

    def to_json(self) -> str:
        """Returns `to_dict` as JSON, for logs and messages; stores use a format of their own."""
        return to_json(self.to_dict(), bytes_mode="base64", inf_nan_mode="constants").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Makes an event from the result of `to_json`; raises the same errors as `from_dict`.

        A correlation or causation id in the form of a UUID becomes a UUID.
        """
        read = from_json(text)
        if not isinstance(read, dict):
            raise InvalidEventError("an event in JSON must be an object", field="event")
        given = {name: read.pop(name) for name in cls.__meta_keywords__ & read.keys()}
        envelope = parse(from_text(given))
        rest = to_json(read, inf_nan_mode="constants")
        event = cls.model_validate_json(rest, by_name=True, by_alias=True)
        set_given(event, envelope)
        return event

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Makes a new event from this one, with a new id and time and without a stream.

        Args:
            update: Fields to change, which pydantic does not validate, and metadata.
            deep: Whether to copy the values of the fields too.

        Raises:
            InvalidEventError: `update` has an unknown field or unacceptable metadata.
        """
        update = update or {}
        known = self.__pydantic_fields__.keys() | (self.__pydantic_extra__ or {}).keys()
        given = {key: value for key, value in update.items() if key in self.__meta_keywords__}
        fields = {key: value for key, value in update.items() if key not in given}
        if unknown := fields.keys() - known:
            field = min(unknown)
            raise InvalidEventError(f"{type(self).__name__} has no field {field!r}", field=field)
        new = successor(self, given)
        copied = super().model_copy(update=fields, deep=deep)
        set_content(copied, new)
        take_context(copied)
        return copied

    def __copy__(self) -> Self:
        copied = super().__copy__()
        set_content(copied, portable(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = super().__deepcopy__(memo)
        set_content(copied, portable(self))
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        return super().__getstate__() | {"_envelope": portable(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        set_content(self, state["_envelope"])


# A pickle names what metadata is made of where no part of the path is private.
for _class in (DetachedMeta, Envelope, EventMeta, Headers, IdRange):
    _class.__module__ = __name__

_no_metadata: Callable[[Mapping[str, Any]], bool] = FIELDS.isdisjoint  # bound once: 8 % of creation


class _Flat:
    """A piece of the metadata under its flat name, unless a field of the class has that name.

    It has no `__set__`, so that a field goes first, and it can't be seen on a class, where pydantic
    would take it for the default of a field.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._in_row = name in ROW_FIELDS

    def __get__(self, event: Event | None, cls: type[Event]) -> Any:
        name = self._name
        if event is None or name in cls.__pydantic_fields__:
            raise AttributeError(f"{cls.__name__!r} has no attribute {name!r}")
        if self._in_row and (found := row_field(event, name)) is not None:
            return found[0]
        return getattr(event.meta, name)


for _name in FIELDS:
    setattr(Event, _name, _Flat(_name))

_ABSTRACT = {"DomainEvent", "SystemEvent", "UnknownEvent"}
_META_RESERVED = "{}: 'meta' is reserved for the metadata of events; give the field another name"


def _wire_name(cls: type[Event], name: str | None, version: int | None) -> tuple[str, int]:
    """Returns the checked wire name and version of a new class."""
    origin = cls.__pydantic_generic_metadata__["origin"]
    if origin is not None:  # `Changed[int]` of a generic `Changed`
        generic = cast("type[Event]", origin)
        name = name or generic.__event_type__ + cls.__name__.removeprefix(generic.__name__)
        version = version or generic.__event_version__
    name = cls.__name__ if name is None else name
    version = 1 if version is None else version
    name = check_event_type(name, own_path=f"{cls.__module__}.{cls.__qualname__}")
    if type(version) is not int or not 1 <= version <= MAX_EVENT_VERSION:
        raise InvalidEventError(
            f"{cls.__name__}: version {version!r} is not an int from 1 to {MAX_EVENT_VERSION}",
            field="event_version",
        )
    return name, version


class DomainEvent(Event):
    """A fact of the business."""


class SystemEvent(Event):
    """A fact about the system itself, such as a migration."""


class UnknownEvent(Event):
    """A raw event: no class, or more than one, claims its type, or it does not fit its class.

    It has no fields: `payload` holds the stored bytes, `data` the decoded value. Appended to a
    store, it is stored again as it was.
    """

    __slots__ = ("_payload", "_readable_by")

    @classmethod
    def from_stored(cls, row: object, payload: bytes, readable_by: int | None = None) -> Self:
        """Makes the event from a payload and a stored row, which has a method `meta()`."""
        event = cls.model_construct()
        set_stored(event, row)
        _set_payload(event, payload)
        _set_readable_by(event, readable_by)
        return event

    @property
    def readable_by(self) -> int | None:
        """The lowest version of its class that can read it; None if none was stored with it."""
        return _get_readable_by(self)

    @property
    def payload(self) -> bytes:
        """The payload: JSON text in UTF-8."""
        return _get_payload(self)

    @property
    def data(self) -> Any:
        """The payload, decoded at each access.

        Raises:
            SerializationError: The payload is not JSON, or is nested too deeply.
        """
        try:
            return from_json(self.payload)
        except ValueError as error:
            name = self.meta.event_type
            text = f"the payload of this {name} can't be decoded: {error}"
            raise SerializationError(text, event_type=name) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnknownEvent):
            return NotImplemented
        mine, others = self.meta, other.meta
        return mine.event_type == others.event_type and self.payload == other.payload

    def __hash__(self) -> int:
        return hash(self.payload)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [("event_type", self.meta.event_type), ("payload", self.payload)]

    def __copy__(self) -> Self:
        return self.from_stored(portable(self), self.payload, self.readable_by)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.__copy__()

    def __getstate__(self) -> dict[Any, Any]:
        own = {"_payload": self.payload, "_readable_by": self.readable_by}
        return super().__getstate__() | own

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        _set_payload(self, state["_payload"])
        _set_readable_by(self, state.get("_readable_by"))  # a pickle of before has none


_payload: Any = vars(UnknownEvent)["_payload"]
_set_payload: Callable[[UnknownEvent, bytes], None] = _payload.__set__
_get_payload: Callable[[UnknownEvent], bytes] = _payload.__get__
_readable_by: Any = vars(UnknownEvent)["_readable_by"]
_set_readable_by: Callable[[UnknownEvent, int | None], None] = _readable_by.__set__
_get_readable_by: Callable[[UnknownEvent], int | None] = _readable_by.__get__


if not TYPE_CHECKING:  # which would take any name for one of this module

    def __getattr__(name: str) -> Any:
        """Imports the demo when it is asked for."""
        if name in _DEMO:
            return getattr(import_module("eventuali.event._demo"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_DEMO = {"UserDeactivated", "UserEmailChanged", "UserRegistered"}
