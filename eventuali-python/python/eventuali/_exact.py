"""Events as JSON, exact or refused.

A class is analysed once. Where its JSON is exact by construction, `Codec.encode` is pydantic's own
serializer behind a check of the types; everywhere else the JSON is decoded and compared with the
event. Fields are written under their Python names, bytes as base64, and computed fields not at all.

A datetime or time that pydantic's JSON would change is written in the form of `_second_form`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import (
    ErrorDetails,
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    from_json,
)

from eventuali._analysis import Analysis
from eventuali._difference import Difference, difference, unwritable
from eventuali._guards import encoder, panicked
from eventuali._schemas import Forms

E = TypeVar("E", bound=BaseModel)


class Inexact(Exception):
    """An event whose JSON would not give the same event back.

    Attributes:
        path: The field, such as ``items[2].price``; empty where it is the event as a whole that a
            validator or serializer of its class refuses.
        reason: What would change.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class Codec(Generic[E]):
    """Encodes and decodes the events of one class.

    Attributes:
        cls: The class; `encode` expects its instances, not those of a subclass.
        by_construction: Whether the class's JSON is exact without a comparison of each event.
        encode_all: Gives the JSON of each event or raises `Inexact`.
        validate_json: The fast half of `decode`: pydantic's bound method, which refuses unknown
            fields and the second form of datetimes.
    """

    encode_all: Callable[[Iterable[E]], list[bytes]]
    validate_json: Callable[[bytes], E]

    def __init__(self, cls: type[E]) -> None:
        """Analyses the class.

        Args:
            cls: A pydantic model; it is rebuilt if forward references were open.

        Raises:
            pydantic.errors.PydanticUndefinedAnnotation: A forward reference can't be resolved.
        """
        if not cls.__pydantic_complete__:
            cls.model_rebuild()
        self.cls = cls
        self._forms = forms = Forms(cls)
        self._serializer = forms.serializer()
        self.validate_json = forms.validator().validate_json
        analysis = Analysis(cls)
        guards = analysis.guards(cls.__pydantic_core_schema__)
        self.by_construction = guards is not None
        # Not `map`: what a serializer raises comes through, and StopIteration would end it.
        self.encode_all = lambda events: [self._verified(event) for event in events]
        if guards is not None:
            to_json = forms.serializer(extra="forbid").to_json
            self.encode_all = encoder(guards, analysis.kinds, to_json, self._verified)

    def encode(self, event: E) -> bytes:
        """Gives an event's JSON.

        Raises:
            Inexact: It would not give the same event back.
        """
        return self.encode_all((event,))[0]

    def decode(self, payload: bytes) -> E:
        """Gives the event back.

        Args:
            payload: What `encode` gave, now or with another version of the class. Fields that this
                class doesn't know are kept in ``model_extra``, in nested models too.

        Raises:
            pydantic.ValidationError: The payload isn't an event of this class.
        """
        try:
            return self.validate_json(payload)
        except ValidationError as error:
            return self._decode_leniently(payload, error)

    def _decode_leniently(self, payload: bytes, error: ValidationError) -> E:
        validate: Callable[..., E] = self._second_validator.validate_json
        if self._forms.temporal or self._forms.aliased:
            try:
                return validate(payload, by_alias=True, by_name=True)
            except ValidationError as second_error:
                error = second_error
        if any(problem["type"] in _UNKNOWN_FIELD for problem in _problems(error)):
            return validate(payload, extra="allow", by_alias=True, by_name=True)
        raise error

    def _verified(self, event: E) -> bytes:
        """Encodes, decodes and compares, in the base form and then in the second one."""
        try:
            return self._attempt(event, self._serializer)
        except Inexact:
            if not self._forms.temporal:
                raise
        return self._attempt(event, self._second_serializer)

    def _attempt(self, event: E, serializer: SchemaSerializer) -> bytes:
        try:
            payload = serializer.to_json(event, round_trip=True, warnings=False)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            self._cannot_write(event, serializer, error)
        except BaseException as error:
            if not panicked(error):
                raise
            reason = f"pydantic gave up on it: {error}"
            raise Inexact(self._field_of(event), reason) from error
        try:
            twin = self.decode(payload)
        except ValidationError as error:
            path, reason = unwritable(event) or Difference(_located(event, error), _text(error))
            raise Inexact(path, reason) from error
        found = difference(event, twin)
        if found is None and _mentions_non_finite(payload) and _isnt_standard_json(payload):
            where = self._field_of(event, _isnt_standard_json)
            found = unwritable(event, non_finite=True) or Difference(where, "NaN isn't JSON")
        if found is not None:
            raise Inexact(found.path, found.reason)
        return payload

    def _cannot_write(self, event: E, serializer: SchemaSerializer, error: Exception) -> NoReturn:
        """Raises what one of the event's own serializers raised, else `Inexact`."""
        field = self._field_of(event)
        own = _raised_by(event, serializer)
        if own is not None and not isinstance(own, StopIteration):  # no generator lets it through
            own.add_note(f"raised while {type(event).__name__}.{field} was written")
            raise own from own.__cause__
        path, reason = unwritable(event) or Difference(field, str(error))
        raise Inexact(path, reason) from own or error

    def _field_of(self, event: E, wrong: Callable[[bytes], bool] = lambda payload: False) -> str:
        """The first field that can't be written, or that alone gives a payload that is wrong."""
        names: list[str] = [*type(event).__pydantic_fields__, *(event.__pydantic_extra__ or ())]
        for name in names:
            try:
                if wrong(self._serializer.to_json(event, include={name}, warnings=False)):
                    return name
            except (PydanticSerializationError, UnicodeEncodeError):
                return name
            except BaseException as error:
                if not panicked(error):
                    raise
                return name
        return ""

    @cached_property
    def _second_serializer(self) -> SchemaSerializer:
        return self._forms.serializer(second=True)

    @cached_property
    def _second_validator(self) -> SchemaValidator:
        return self._forms.validator(second=True)


_UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def _raised_by(event: BaseModel, serializer: SchemaSerializer) -> BaseException | None:
    """Returns what a serializer of the event's class raises, which pydantic's JSON writer drops."""
    try:
        serializer.to_python(event, mode="json", round_trip=True, warnings=False)
    except PydanticSerializationError as error:
        own = error.__cause__
    except Exception:
        return None  # it can't be written in another way either
    except BaseException as error:
        own = error
    else:
        return None
    return None if own is None or panicked(own) else own


def _located(event: BaseModel, error: ValidationError) -> str:
    """Follows a validation error through the event; steps that aren't data are left out."""
    value: Any = event
    path = ""
    for step in _problems(error)[0]["loc"]:
        if isinstance(value, BaseModel) and hasattr(value, str(step)):
            value, path = getattr(value, str(step)), f"{path}.{step}"
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value, path = value[step], f"{path}[{step}]"
        elif isinstance(value, dict) and step in value:
            value, path = value[step], f"{path}[{step!r}]"
        elif value is event and step in type(event).__pydantic_fields__:
            return str(step)  # a field that isn't set
    return path.removeprefix(".")


def _problems(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _text(error: ValidationError) -> str:
    return f"would not be read back: {_problems(error)[0]['msg']}"


def _mentions_non_finite(payload: bytes) -> bool:
    return b"NaN" in payload or b"Infinity" in payload


def _isnt_standard_json(payload: bytes) -> bool:
    try:
        from_json(payload, allow_inf_nan=False)
    except ValueError:
        return True
    return False
