"""Reading events of earlier versions of a class: its steps, and what retired events become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import lru_cache
from inspect import isawaitable
from typing import Any, NamedTuple, Never

from pydantic_core import SchemaSerializer, core_schema, from_json

from eventuali._engine.encode import JSON, READABLE_BY, wire
from eventuali.codec.json import Codec
from eventuali.codec.json._path import stored_place
from eventuali.errors import SerializationError, UnknownEventTypeError, UpcastError
from eventuali.event import Event, _registry
from eventuali.event._steps import Upcaster


class StoredKind(NamedTuple):
    """What a stored event says of its form.

    Attributes:
        name: The event type.
        version: The version of its schema.
        readable_by: The lowest version of its class that can read it; None if it does not say.
    """

    name: str
    version: int
    readable_by: int | None = None


def stored_kind(key: str, position: int) -> StoredKind:
    """Returns the kind of a stored event, as a page of events gives it.

    Raises:
        SerializationError: The event is stored by a codec that this release does not know.
    """
    found = _known_kind(key)
    if found is None:
        name, _, codec = key.split("\0")
        text = (
            f"the {name} at position {position} is stored with the codec {codec!r}, which this "
            "release can't read: a newer release wrote it"
        )
        raise SerializationError(text, event_type=name)
    return found


@lru_cache(maxsize=1024)  # each load asks for the same few
def _known_kind(key: str) -> StoredKind | None:
    name, *rest = key.split("\0")
    if not rest:
        return StoredKind(name, 1)
    version, codec = rest
    if codec == JSON:
        return StoredKind(name, int(version))
    readable_by = codec.removeprefix(JSON + READABLE_BY)
    if readable_by != codec and readable_by.isascii() and readable_by.isdigit():
        return StoredKind(name, int(version), int(readable_by))
    return None


# --- what a step is given -------------------------------------------------------------------------


def _refuse(*_: object, **__: object) -> Never:
    raise TypeError("a step must not change what it is given; return a new dict, as data | {…}")


class Given(dict[str, Any]):
    """The fields of a stored event, which can't be changed; a copy of it can."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: deepcopy(value, memo) for key, value in self.items()}


class GivenList(list[Any]):
    """A list among them, which can't be changed, either."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [deepcopy(value, memo) for value in self]


def given(data: dict[str, Any]) -> Given:
    """Returns fields so that nothing in them can be changed."""
    if type(data) is Given:
        return data
    fixed = Given(data)
    for key, value in data.items():
        if type(value) is dict or type(value) is list:
            dict.__setitem__(fixed, key, _fixed(value))
    return fixed


def _fixed(value: Any) -> Any:
    if type(value) is dict:
        return given(value)
    return GivenList(map(_fixed, value)) if type(value) is list else value


# --- steps ----------------------------------------------------------------------------------------


class StepError(Exception):
    """A step failed, or its result can't be read; the cause is chained.

    Attributes:
        path: The place in the event; empty if it is the event as a whole.
    """

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path


class Older:
    """Decodes events that an earlier version of a class has stored.

    Attributes:
        validate: The fast half of `decode`. What it raises says nothing, unless it is a
            `StepError`, after which `decode` must not call the steps again.
    """

    def __init__(self, cls: type[Event], version: int) -> None:
        """Takes the steps from a version, which must be there."""
        current = cls.__event_version__
        self._cls = cls
        self._codec = wire(cls).codec
        self._steps = [(start, cls.__upcasters__[start]) for start in range(version, current)]
        self.validate = _fast(self._steps, self._codec, cls)

    def decode(self, payload: bytes) -> Event:
        """Returns the event of a payload.

        Raises:
            StepError: A step failed, or what it returned does not fit the class.
        """
        return as_event(self._cls, self._codec, self.fields(payload))

    def fields(self, payload: bytes) -> dict[str, Any]:
        """Returns what the steps make of a payload.

        Raises:
            StepError: A step failed.
        """
        return stepped(self._steps, payload)


_are_flat: Callable[[Iterable[type]], bool] = frozenset({dict, list}).isdisjoint
written: Callable[[Any], bytes] = SchemaSerializer(
    core_schema.any_schema(),
    core_schema.CoreConfig(ser_json_bytes="base64", ser_json_inf_nan="constants"),
).to_json
"""Writes what has no type as the class of an event does."""


def _fast(
    steps: list[tuple[int, Upcaster]], codec: Codec[Any], cls: type[Event]
) -> Callable[[bytes], Event]:
    read, are_flat, takes_more = codec.validate_json, _are_flat, _takes_more(cls)

    def validate(payload: bytes) -> Event:
        data = from_json(payload)
        for start, step in steps:
            if are_flat(map(type, data.values())):
                # To compare is faster than to prevent; where it differs, `decode` prevents it.
                before = data.copy()
                made = step(data)
                if isinstance(made, dict) and data != before:
                    raise TypeError(data)
            else:
                made = step(given(data))
            if not isinstance(made, dict):
                raise not_a_dict(made, start)
            data = made
        event: Event = read(written(data))
        if event.__pydantic_extra__ and not takes_more:
            raise TypeError(data)
        return event

    return validate


def _takes_more(cls: type[Event]) -> bool:
    """Whether a class itself says that it has fields that it does not name."""
    return cls.model_config.get("extra") == "allow"


def stepped(steps: list[tuple[int, Upcaster]], payload: bytes) -> dict[str, Any]:
    """Returns the fields of a stored event after steps.

    Raises:
        StepError: A step failed.
    """
    try:
        data = from_json(payload)
    except ValueError as error:
        raise StepError(f"it is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise StepError("it is not an object")
    for start, step in steps:
        made = called(step, start, data)
        if not isinstance(made, dict):
            raise not_a_dict(made, start)
        data = made
    return data


def called(step: Upcaster, start: int, data: dict[str, Any]) -> Any:
    """Calls a step.

    Raises:
        StepError: It raised.
    """
    try:
        return step(given(data))
    except Exception as error:
        raise StepError(
            f"the step from version {start} failed: {str(error) or repr(error)}"
        ) from error


def not_a_dict(made: object, start: int, wanted: str = "a dict", place: str = "") -> StepError:
    """Returns the error for what a step has returned.

    Args:
        made: What it has returned; it is closed if it has to be awaited.
        start: The version that the step begins with.
        wanted: What it must return.
        place: Where in what it has returned this is.
    """
    text = f"the step from version {start} returned {made!r:.60}{place}, not {wanted}"
    if isawaitable(made):
        close = getattr(made, "close", None)
        if callable(close):
            close()  # or Python warns that it was never awaited
        text += "; a step is a plain function, which must not wait"
    return StepError(text)


def as_event(cls: type[Event], codec: Codec[Any], data: dict[str, Any]) -> Event:
    """Returns the event of a class that fields stand for.

    Raises:
        StepError: They are not JSON, don't fit the class, or it doesn't know one of them.
    """
    event = decoded(cls, codec, as_json(data))
    check_known(event)
    return event


def as_json(data: dict[str, Any]) -> bytes:
    """Returns the payload of fields that steps gave.

    Raises:
        StepError: They are not JSON.
    """
    try:
        return written(data)
    except Exception as error:
        raise StepError(f"its steps give what is not JSON: {str(error) or repr(error)}") from error


def decoded(cls: type[Event], codec: Codec[Any], payload: bytes) -> Event:
    """Returns the event of a payload that steps gave.

    Raises:
        StepError: It does not fit the class.
    """
    try:
        event: Event = codec.decode(payload)
    except Exception as error:
        path = stored_place(error)
        where = f"{path} of {cls.__name__}" if path else f"the class {cls.__name__}"
        text = f"what its steps give does not fit {where}: {str(error) or repr(error)}"
        raise StepError(text, path) from error
    return event


def check_known(event: Event) -> None:
    """Checks that the class of an event knows all that steps have given.

    Raises:
        StepError: It does not know one of its fields.
    """
    cls = type(event)
    if event.__pydantic_extra__ and not _takes_more(cls):
        unknown = ", ".join(map(repr, event.__pydantic_extra__))
        text = f"its steps give {unknown:.260}, which {cls.__name__} does not know"
        raise StepError(text, next(iter(event.__pydantic_extra__)))


class Becoming:
    """Decodes events of a retired class, as what they become.

    Attributes:
        retired: The class.
        into: The classes of what its events become.
    """

    def __init__(self, cls: type[Event], version: int) -> None:
        """Takes the steps from a version, which must be there."""
        current = cls.__event_version__
        self.retired = cls
        self.into = tuple(map(_registry.current, cls.__becomes__ or ()))
        self._steps = [(start, cls.__upcasters__[start]) for start in range(version, current)]
        self._last = current, cls.__upcasters__[current]

    def decode(self, payload: bytes) -> list[tuple[int, Event]]:
        """Returns what a stored event becomes: each with its place among the classes.

        Raises:
            StepError: A step failed, or what it returned does not fit a class.
        """
        return [
            (place, as_event(cls, wire(cls).codec, data))
            for place, cls, data in self.fields(payload)
        ]

    def fields(self, payload: bytes) -> list[tuple[int, type[Event], dict[str, Any]]]:
        """Returns what the steps make of a payload: place, class and fields of each event.

        Raises:
            StepError: A step failed.
        """
        start, step = self._last
        made = called(step, start, stepped(self._steps, payload))
        if not isinstance(made, list | tuple) or len(made) != len(self.into):
            raise not_a_dict(made, start, f"a tuple of {len(self.into)}")
        wrong = [
            not_a_dict(data, start, "a dict or None", f" for {cls.__name__}")
            for cls, data in zip(self.into, made, strict=True)
            if not (data is None or isinstance(data, dict))
        ]
        if wrong:
            raise wrong[0]
        return [
            (place, cls, data)
            for place, (cls, data) in enumerate(zip(self.into, made, strict=True))
            if data is not None
        ]


class Nothing:
    """Stands for events of a retired class that become nothing."""

    into: tuple[type[Event], ...] = ()

    def decode(self, payload: bytes) -> list[tuple[int, Event]]:
        """Returns no event."""
        return []


NOTHING = Nothing()


# --- which way a stored event is read -------------------------------------------------------------


def reader(cls: type[Event], kind: StoredKind, position: int) -> Codec[Any] | Older:
    """Returns what decodes the events of a kind as those of a class that is not retired.

    Raises:
        UpcastError: The class has no step from their version.
        UnknownEventTypeError: A newer version of the class wrote them, for newer readers.
    """
    current = cls.__event_version__
    if kind.version == current:
        return wire(cls).codec
    if kind.version < current:
        _check_step(cls, kind, position)
        return Older(cls, kind.version)
    _check_readable(cls, kind, position)
    return wire(cls).codec


def becoming(cls: type[Event], kind: StoredKind, position: int) -> Becoming | Nothing:
    """Returns what decodes the events of a kind as what a retired class says.

    Raises:
        UpcastError: The class has no step from their version, or a part is retired, too.
        UnknownEventTypeError: A newer version of the class wrote them.
    """
    if kind.version > cls.__event_version__:
        _check_readable(cls, kind, position)
    if not cls.__becomes__:
        return NOTHING
    _check_parts(cls, kind, position)
    version = min(kind.version, cls.__event_version__)
    if version < cls.__event_version__:
        _check_step(cls, kind, position)
    return Becoming(cls, version)


def _check_parts(cls: type[Event], kind: StoredKind, position: int) -> None:
    """Checks that what the events of a retired class become was not defined again as retired."""
    for part in map(_registry.current, cls.__becomes__ or ()):
        if part.__becomes__ is not None:
            text = (
                f"the {kind.name} at position {position} becomes a {part.__name__}, which was "
                f"retired since; say in {cls.__name__} what that becomes, or read with raw=True"
            )
            raise UpcastError(
                text, event_type=kind.name, event_version=kind.version, position=position
            )


def _check_step(cls: type[Event], kind: StoredKind, position: int) -> None:
    if kind.version not in cls.__upcasters__:
        text = (
            f"the {kind.name} at position {position} is stored in version {kind.version}, and "
            f"{cls.__name__} of version {cls.__event_version__} has no step from that; write one "
            f"with @upcast({kind.version}), or read with raw=True"
        )
        raise UpcastError(text, event_type=kind.name, event_version=kind.version, position=position)


def _check_readable(cls: type[Event], kind: StoredKind, position: int) -> None:
    if kind.readable_by is None or kind.readable_by > cls.__event_version__:
        least = kind.version if kind.readable_by is None else kind.readable_by
        text = (
            f"the {kind.name} at position {position} is stored in version {kind.version}, which "
            f"classes from version {least} on can read, and {cls.__name__} has version "
            f"{cls.__event_version__}; deploy the newer class, or read with raw=True"
        )
        raise UnknownEventTypeError(text, event_type=kind.name)
