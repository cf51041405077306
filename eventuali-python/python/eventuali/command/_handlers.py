"""Who handles which command and answers which query, and the answers as they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any, TypeAlias, get_origin

from pydantic import PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from eventuali.aggregate import Aggregate
from eventuali.aggregate._commands import MARK, Mark, Method, methods_of, refuse_generator
from eventuali.command._command import Command, answer_of
from eventuali.command._marks import members
from eventuali.errors import ConfigurationError, SerializationError
from eventuali.event._registry import where

Handling: TypeAlias = Callable[..., Any] | type[Aggregate]
"""What a bus is made of: functions that are marked, and classes with methods that are."""


class Handler:
    """What handles one class of messages.

    Attributes:
        name: Its name, for messages.
        mark: What is noted at it.
        function: The function, or the method as a function.
        aggregate: The class of a method; None for a function.
        is_async: Whether it is a coroutine function.
    """

    def __init__(
        self, name: str, mark: Mark, function: Callable[..., Any], aggregate: type[Aggregate] | None
    ) -> None:
        self.name = name
        self.mark = mark
        self.function = function
        self.aggregate = aggregate
        self.is_async = iscoroutinefunction(function)
        self._told = answer_of(mark.message)
        self._check_answer()
        if issubclass(mark.message, Command):  # its answer is always recorded
            _ = self._adapter

    def _check_answer(self) -> None:
        """Refuses a handler that is annotated with another answer than its message names."""
        if self._told is Any or "return" not in getattr(self.function, "__annotations__", {}):
            return
        try:
            annotation = _answer_type(self.name, self.mark, self.function)
        except TypeError:
            return  # what it can't resolve says nothing
        if not all(_is_among(each, members(self._told)) for each in members(annotation)):
            raise TypeError(
                f"{self.name} is annotated to return {_shown(annotation)}, and "
                f"{self.mark.message.__name__} says that it is answered with "
                f"{_shown(self._told)}; name the same type in both"
            )

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        """Writes and reads answers.

        Raises:
            TypeError: The annotation can't be resolved, or pydantic does not know the type.
        """
        try:
            annotation = _answer_type(self.name, self.mark, self.function)
            return TypeAdapter(self._told if annotation is Any else annotation)
        except (PydanticUserError, PydanticUndefinedAnnotation) as error:
            raise TypeError(
                f"{self.name}: what it returns can't be recorded as the answer of a command with "
                "an id: annotate it with a type that pydantic can write as JSON, such as a model, "
                f"imported at run time and not under TYPE_CHECKING ({error})"
            ) from error

    def key(self, command: object) -> str:
        """Returns the id of the aggregate that a command names."""
        return str(getattr(command, str(self.mark.id)))

    def encoded(self, answer: Any) -> str:
        """Returns an answer as JSON.

        Raises:
            SerializationError: It would not come back as it is.
        """
        try:
            text = self._adapter.dump_json(answer, warnings="error").decode()
            same = self._adapter.validate_json(text)
        except (PydanticSerializationError, ValidationError, ValueError) as error:
            raise self._inexact(answer, str(error)) from error
        if type(same) is not type(answer) or same != answer:
            raise self._inexact(answer, f"it would come back as {same!r:.60}")
        return text

    def decoded(self, text: str) -> Any:
        """Returns a recorded answer.

        Raises:
            SerializationError: It does not fit what the handler is annotated with now.
        """
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise SerializationError(
                f"the recorded answer of {self.name} does not fit its annotation: {error}"
            ) from error

    def _inexact(self, answer: Any, why: str) -> SerializationError:
        return SerializationError(
            f"{self.name} answered {answer!r:.60}, which can't be recorded exactly: {why}; "
            "annotate what it returns"
        )


def table_of(handlers: Iterable[Handling]) -> Mapping[type, Handler]:
    """Returns the handlers by the class of their message.

    Raises:
        TypeError: One is not marked, or does not take what a handler takes.
        ConfigurationError: Two take the same class, or a method does not say which aggregate.
    """
    table: dict[type, Handler] = {}
    for each in handlers:
        for handler in _handlers(each):
            other = table.setdefault(handler.mark.message, handler)
            if other is not handler:
                raise _both_take(other, handler)
    return table


def _both_take(one: Handler, other: Handler) -> ConfigurationError:
    taken = one.mark.message.__name__
    if (one.function, one.aggregate) == (other.function, other.aggregate):
        name = one.name if one.aggregate is None else one.aggregate.__name__
        return ConfigurationError(f"{name} is given to the bus twice, and takes {taken}")
    places = [f"{each.name} ({where(each.function)})" for each in (one, other)]
    return ConfigurationError(f"{' and '.join(places)} both take {taken}; give the bus one of them")


def _handlers(each: Handling) -> list[Handler]:
    if isinstance(each, type):
        if not issubclass(each, Aggregate):
            raise TypeError(f"{each.__name__} is neither an aggregate nor a function")
        methods = methods_of(each)
        if not methods:
            raise TypeError(f"no method of {each.__name__} is marked with @handles(…)")
        return [_of_method(each, method) for method in methods.values()]
    mark: Mark | None = getattr(each, MARK, None)
    if mark is None or not callable(each):
        raise TypeError(f"{each!r:.60} is not marked with @handles(…) or @answers(…)")
    name = getattr(each, "__qualname__", repr(each))
    if mark.id is not None or mark.creates:
        raise TypeError(f"{name} is a function: `id` and `creates` are for methods of aggregates")
    if not mark.is_query:
        refuse_generator(each, name)
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in signature(each).parameters.values() if p.default is Parameter.empty]
    if len(required) != 2 or any(p.kind not in positional for p in required):
        takes = "query, store" if mark.is_query else "command, work"
        raise TypeError(f"{name} must take two arguments: ({takes})")
    return [Handler(name, mark, each, None)]


def _of_method(cls: type[Aggregate], method: Method) -> Handler:
    name = f"{cls.__name__}.{method.name}"
    mark = method.mark
    if mark.id is None:
        raise ConfigurationError(
            f"{name} does not say which {cls.__name__} it is about: write "
            f'@handles({mark.message.__name__}, id="…") with the field that holds the id'
        )
    fields: Mapping[str, Any] = getattr(mark.message, "model_fields", None) or getattr(
        mark.message, "__dataclass_fields__", {}
    )
    if fields and mark.id not in fields and not hasattr(mark.message, mark.id):
        raise ConfigurationError(f"{name}: {mark.message.__name__} has no field {mark.id!r}")
    return Handler(name, mark, method.function, cls)


def _answer_type(name: str, mark: Mark, function: Callable[..., Any]) -> Any:
    annotation = getattr(function, "__annotations__", {}).get("return", Any)
    if not isinstance(annotation, str):
        return annotation
    inner = getattr(function, "__func__", function)
    try:
        return eval(annotation, getattr(inner, "__globals__", {}), dict(mark.local))  # noqa: S307
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise TypeError(
            f"{name}: what it returns can't be resolved: {error}; import it at run time, not "
            "under TYPE_CHECKING"
        ) from error


def _is_among(annotation: Any, told: tuple[Any, ...]) -> bool:
    """Whether a type may be one of others; what is no class is not looked into."""
    one = get_origin(annotation) or annotation
    others = [get_origin(each) or each for each in told]
    if annotation in told or not all(isinstance(each, type) for each in (one, *others)):
        return True
    return one is Any or any(other is Any or issubclass(one, other) for other in others)


def _shown(annotation: Any) -> str:
    plain = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation.__name__ if plain else str(annotation)
