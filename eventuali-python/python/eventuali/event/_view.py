"""An event with its metadata, as clients of an API see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Self, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import wrap_serializer_function_ser_schema
from typing_extensions import TypeVar

from eventuali.event._envelope import EventMeta

if TYPE_CHECKING:
    from eventuali.event import Event

D = TypeVar("D", default=Any)


class EventView(BaseModel, Generic[D]):
    """An event as a response model: its metadata, and its fields below `data`.

        @app.get("/events")
        async def events() -> list[EventView]: ...

    `EventView[Deposited]` also says in the schema of the API which fields `data` has. A union of
    event classes is possible, too.

    Attributes:
        data: The event; in JSON, its fields. Of an `UnknownEvent`, its decoded payload.
    """

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"description": "An event: its metadata, and its fields below `data`."},
    )

    event_id: UUID
    event_type: str
    event_version: int
    timestamp: datetime
    aggregate_id: str | None = None
    aggregate_type: str | None = None
    aggregate_version: int | None = None
    correlation_id: UUID | str | None = None
    causation_id: UUID | str | None = None
    user_id: str | None = None
    headers: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    position: int | None = None
    recorded_at: datetime | None = None
    data: D

    @classmethod
    def of(cls, event: D) -> Self:
        """Makes the view of an event.

        Raises:
            pydantic.ValidationError: It is of another class than `data` may be.
        """
        from eventuali.event import UnknownEvent

        meta = cast("Event", event).meta
        shown = {name: getattr(meta, name) for name in _NAMES}
        return cls(**shown, data=event.data if isinstance(event, UnknownEvent) else event)


_NAMES = tuple(field.name for field in fields(EventMeta))


def by_view(cls: type[Event], schema: CoreSchema) -> CoreSchema:
    """Has what is declared as `cls` and is of a subclass serialized as an `EventView`."""

    def serialize(event: Any, own: Any) -> Any:
        return own(event) if type(event) is cls else EventView.of(event)

    def described(schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if handler.mode == "serialization":
            return handler(EventView.__pydantic_core_schema__)
        return handler(schema)

    metadata = dict(schema.get("metadata", {}))
    functions = metadata.get("pydantic_js_functions", [])
    serialization = wrap_serializer_function_ser_schema(serialize)
    return cast(
        "CoreSchema",
        {
            **schema,
            "serialization": serialization,
            "metadata": metadata | {"pydantic_js_functions": [*functions, described]},
        },
    )
