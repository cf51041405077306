"""The metadata that events get from the block in which they are made or stored.

One context variable has it, so that tasks and threads never see each other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from eventuali.event._envelope import NO_HEADERS, Envelope, Headers, parse

if TYPE_CHECKING:
    from eventuali.event import Event

FIELDS: Final = ("correlation_id", "causation_id", "user_id")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the events of a block get.

    Attributes:
        correlation_id: What they belong to, such as a request.
        causation_id: What caused them.
        user_id: Who caused them.
        headers: Other metadata.
    """

    correlation_id: UUID | str | None = None
    causation_id: UUID | str | None = None
    user_id: str | None = None
    headers: Mapping[str, str] = NO_HEADERS


class Caused:
    """What the events get that follow from an event, which is looked at when one is made."""

    __slots__ = ("_around", "_event", "_found")

    def __init__(self, event: Event, around: Metadata | Caused | None) -> None:
        self._event = event
        self._around = around
        self._found: Metadata | None = None

    def metadata(self) -> Metadata:
        """Returns the ids that follow from the event, and the rest of the block around."""
        if self._found is None:
            meta, around = self._event.meta, shown(self._around)
            correlation = meta.correlation_id or meta.event_id
            self._found = Metadata(correlation, meta.event_id, around.user_id, around.headers)
        return self._found


_NOTHING = Metadata()
_current: ContextVar[Metadata | Caused | None] = ContextVar("eventuali_metadata", default=None)
current = _current.get
"""Returns what the events of the innermost block get; None outside of every block."""

begun: list[bool] = []
"""Not empty once a block has begun in this process. A look at it takes a tenth of `current()`."""


def shown(context: Metadata | Caused | None) -> Metadata:
    """Returns the metadata of a block."""
    if context is None:
        return _NOTHING
    return context.metadata() if type(context) is Caused else context  # type: ignore[return-value]


def enter(context: Metadata | Caused) -> Token[Metadata | Caused | None]:
    """Begins a block; `leave` ends it."""
    if not begun:
        begun.append(True)
    return _current.set(context)


def enter_caused(event: Event) -> Token[Metadata | Caused | None]:
    """Begins a block whose events follow from an event."""
    return enter(Caused(event, _current.get()))


def leave(token: Token[Metadata | Caused | None]) -> None:
    """Ends a block.

    Raises:
        ValueError: It was begun in another context, in which it had no effect here.
    """
    _current.reset(token)


def within(given: Mapping[str, Any]) -> Metadata:
    """Returns the metadata of a block inside of the present one, of which it overrides fields.

    Raises:
        InvalidEventError: A value is not acceptable.
    """
    around, own = shown(_current.get()), parse(given)
    values = {
        name: getattr(own, name) if name in given else getattr(around, name) for name in FIELDS
    }
    headers = around.headers
    if "headers" in given:
        headers = Headers({**headers, **own.headers}) if given["headers"] else NO_HEADERS
    return Metadata(**values, headers=headers)


def complete(envelope: Envelope, context: Metadata | Caused) -> None:
    """Gives an event what it has no value of its own for. That happens once to each event."""
    found = shown(context)
    envelope.has_context = True
    if envelope.correlation_id is None:
        envelope.correlation_id = found.correlation_id
    if envelope.causation_id is None:
        envelope.causation_id = found.causation_id
    if envelope.user_id is None:
        envelope.user_id = found.user_id
    if found.headers:
        envelope.headers = Headers({**found.headers, **envelope.headers})
