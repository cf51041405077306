"""Events as JSON, exact or refused.

A class is analysed once. Where its JSON is exact by construction, `Codec.encode` is pydantic's own
serializer behind a check of the types; everywhere else the JSON is decoded and compared with the
event. Fields are written under their Python names, bytes as base64, and computed fields not at all.

A datetime or time that pydantic's JSON would change is written in the form of `_second_form`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from traceback import walk_tb
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import (
    ErrorDetails,
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    from_json,
)

from eventuali.codec.json._analysis import Analysis
from eventuali.codec.json._compare import DEFAULT, MAX_DEPTH, Difference, difference, unwritable
from eventuali.codec.json._fast_path import encoder, panicked, private_test
from eventuali.codec.json._path import Include, first_place, refused_place
from eventuali.codec.json._pydantic_schema import Forms

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
            private = private_test(cls)
            self.encode_all = encoder(guards, analysis.kinds, to_json, self._verified, private)

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
                class doesn't know are kept in ``model_extra``, in nested models too. What its
                checks refuse is read without them: they were asked when the event was made.

        Raises:
            pydantic.ValidationError: The payload isn't an event of this class.
            Exception: One of its validators raised it, and what it would give can't be told.
        """
        try:
            return self._as_declared(payload)
        except Exception:
            event = self._without_checks(payload)
            if event is None:
                raise
            return event

    def accepts(self, payload: bytes) -> bool:
        """Whether the class takes a payload with all its checks."""
        try:
            self._as_declared(payload)
        except Exception:
            return False
        return True

    def written(self, event: E) -> bytes:
        """Gives an event's JSON in the base form, exact or not."""
        return self._serializer.to_json(event, round_trip=True, warnings=False)

    def _as_declared(self, payload: bytes) -> E:
        try:
            return self.validate_json(payload)
        except ValidationError as first:
            error = first
        validate: Callable[..., E] = self._second_validator.validate_json
        if self._forms.temporal:
            try:
                return validate(payload)
            except ValidationError as second:
                error = second
        if _names_unknown_field(error):
            return validate(payload, extra="allow")
        raise error

    def _without_checks(self, payload: bytes) -> E | None:
        """Reads what a check of the class refuses; None where that leaves open what it was."""
        forms = self._unchecked_validators
        for validators in forms:
            read = _keeping_unknown if validators is forms[-1] else SchemaValidator.validate_json
            try:
                event, *others = (read(each, payload) for each in validators)
                if self._says(event, payload) and not any(difference(event, o) for o in others):
                    found: E = event
                    return found
            except Exception:  # noqa: S112 - then what the class says of it is raised
                continue
        return None

    def _says(self, event: E, payload: bytes) -> bool:
        """Whether an event that was read, written in one of the forms, says what is stored."""
        serializers = [self._serializer]
        if self._forms.temporal:
            serializers.append(self._second_serializer)
        again = (each.to_json(event, round_trip=True, warnings="error") for each in serializers)
        stored = from_json(payload)
        return any(_same_json(stored, from_json(each)) for each in again)

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
            raise Inexact(self._place(event, levels=1), reason) from error
        try:
            twin = self._as_declared(payload)
        except ValidationError as error:
            path, reason = unwritable(event) or _refusal(event, error)
            raise Inexact(path, reason) from error
        except Exception as error:
            raise Inexact("", f"would not be read back: {error!r:.200}") from error
        found = difference(event, twin)
        if found is None and _mentions_non_finite(payload) and _isnt_standard_json(payload):
            where = self._place(event, _isnt_standard_json)
            found = unwritable(event, non_finite=True) or Difference(where, "NaN isn't JSON")
        if found is not None:
            raise Inexact(found.path, found.reason)
        return payload

    def _cannot_write(self, event: E, serializer: SchemaSerializer, error: Exception) -> NoReturn:
        """Raises what one of the event's own serializers raised, else `Inexact`."""
        place = self._place(event)
        own = _raised_by(event, serializer)
        if own is not None and _is_users(own):
            own.add_note(f"raised while {type(event).__name__}.{place} was written")
            raise own from own.__cause__
        reason = str(error) if own is None else f"pydantic can't write it: {own!r}"
        path, reason = unwritable(event) or Difference(place, reason)
        raise Inexact(path, reason) from own or error

    def _place(
        self,
        event: E,
        wrong: Callable[[bytes], bool] = lambda payload: False,
        levels: int = MAX_DEPTH,
    ) -> str:
        """The first part that can't be written, or that alone gives a payload that is wrong."""

        def fails(include: Include) -> bool:
            try:
                return wrong(self._serializer.to_json(event, include=include, warnings=False))
            except Exception:
                return True
            except BaseException as error:
                if not panicked(error):
                    raise
                return True

        return first_place(event, fails, levels)

    @cached_property
    def _second_serializer(self) -> SchemaSerializer:
        return self._forms.serializer(second=True)

    @cached_property
    def _second_validator(self) -> SchemaValidator:
        return self._forms.validator(second=True)

    @cached_property
    def _unchecked_validators(self) -> list[list[SchemaValidator]]:
        """For each form of datetimes, one for each order of what a union may hold."""
        seconds = (False, True) if self._forms.temporal else (False,)
        orders = (False, True) if self._forms.unions else (False,)
        return [
            [self._forms.unchecked(second=second, reverse=reverse) for reverse in orders]
            for second in seconds
        ]


_UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def _names_unknown_field(error: ValidationError) -> bool:
    return any(problem["type"] in _UNKNOWN_FIELD for problem in _problems(error))


def _keeping_unknown(validator: SchemaValidator, payload: bytes) -> Any:
    try:
        return validator.validate_json(payload)
    except ValidationError as error:
        if not _names_unknown_field(error):
            raise
    return validator.validate_json(payload, extra="allow")


def _same_json(stored: Any, again: Any) -> bool:
    """Whether JSON that was written again says what was stored, fields aside that only one has."""
    if isinstance(stored, dict) and isinstance(again, dict):
        return all(_same_json(stored[name], again[name]) for name in stored.keys() & again.keys())
    if isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        return all(map(_same_json, stored, again)) or sorted(map(repr, stored)) == sorted(
            map(repr, again)  # a set has no order
        )
    return type(stored) is type(again) and bool(stored == again)


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


def _is_users(error: BaseException) -> bool:
    """Whether code of the user took part in raising it, so that it is to come through."""
    if not isinstance(error, Exception):
        return True
    if isinstance(error, StopIteration):
        return False  # no generator lets it through
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    packages = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames}
    return not packages <= {"eventuali", "pydantic"}


def _problems(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _refusal(event: BaseModel, error: ValidationError) -> Difference:
    path, default = refused_place(event, error)
    reason = f"would not be read back: {_problems(error)[0]['msg']}"
    return Difference(path, reason + DEFAULT if default else reason)


def _mentions_non_finite(payload: bytes) -> bool:
    return b"NaN" in payload or b"Infinity" in payload


def _isnt_standard_json(payload: bytes) -> bool:
    try:
        from_json(payload, allow_inf_nan=False)
    except ValueError:
        return True
    return False
