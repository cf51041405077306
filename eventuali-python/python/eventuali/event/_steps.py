"""How a class of events reads what earlier versions of it have stored: its steps and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import (
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from eventuali.errors import InvalidEventError
from eventuali.event._names import check_event_type

if TYPE_CHECKING:
    from eventuali.event import Event

F = TypeVar("F", bound=Callable[..., Any])
Upcaster: TypeAlias = Callable[[dict[str, Any]], Any]
"""Takes what a version stored and returns what the next one stores; changes nothing."""


def upcast(
    version: int, *, into: type[Event] | tuple[type[Event], ...] | None = None
) -> Callable[[F], F]:
    """Makes a static method the step from a stored version of an event class to the next one.

        class OrderPlaced(Event, name="order.placed", version=2):
            order_id: str
            currency: str

            @upcast(1)
            @staticmethod
            def add_currency(data: dict[str, Any]) -> dict[str, Any]:
                return data | {"currency": "EUR"}

    A step takes the fields as they are in JSON, in a dict that can't be changed, and returns a new
    dict. It may run any number of times for an event, so it must only depend on what it is given.
    Steps are not inherited, as `name=` and `version=` are not.

    Args:
        version: The version whose stored events it takes.
        into: For the last step of a retired class: the classes that its events become. The step
            then returns a dict for each of them, or None for one that is not made.

    Raises:
        TypeError: `version` is not an int of 1 or more, or the method is not a plain function of
            one argument.
    """
    if type(version) is not int or version < 1:
        raise TypeError(
            f"upcast takes the version that a step begins with, an int of 1 or more, "
            f"not {version!r:.60}: write @upcast(1)"
        )
    classes = None if into is None else into if isinstance(into, tuple) else (into,)

    def mark(function: F) -> F:
        return Step(_checked(function), version, classes)  # type: ignore[return-value]

    return mark


class Step(staticmethod):  # type: ignore[type-arg] # its arguments say nothing here
    """A static method that is a step; pydantic passes over it, as over every static method.

    Attributes:
        version: The version whose stored events it takes.
        into: The classes that these become, after the last step of a retired class.
    """

    def __init__(
        self, function: Callable[..., Any], version: int, into: tuple[type[Event], ...] | None
    ) -> None:
        super().__init__(function)
        self.version = version
        self.into = into


def _checked(given: object) -> Callable[..., Any]:
    function = given.__func__ if isinstance(given, staticmethod) else given
    name = named(function)
    if isinstance(given, Step):
        raise TypeError(f"{name} is a step already; write a step for each version")
    if isinstance(given, classmethod) or not callable(function):
        raise TypeError(f"upcast is for a static method, not {given!r:.60}")
    if iscoroutinefunction(function):
        raise TypeError(f"the step {name} is a coroutine function; make it a plain `def`")
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(f"the step {name} is a generator; it must return a dict")
    try:
        takes = signature(function)
    except ValueError:  # of a function that is built in
        return function
    try:
        takes.bind({})
    except TypeError:
        text = f"the step {name} must take one argument, the stored fields: def {name}(data)"
        raise TypeError(text) from None
    return function


def named(function: Any) -> str:
    """Returns the name of a step; that of a `partial` is the one of its function."""
    while True:
        if isinstance(function, staticmethod):
            function = function.__func__
        elif isinstance(function, partial):
            function = function.func
        else:
            return str(getattr(function, "__name__", repr(function)[:60]))


class Evolution(NamedTuple):
    """What a class says about stored events that are not as it writes them.

    Attributes:
        upcasters: The steps by the version whose events they take.
        readable_by: The lowest version of the class that can read its events; None: only its own.
        formerly: Earlier wire names.
        becomes: What its events become if it is retired; None if it is not.
    """

    upcasters: Mapping[int, Upcaster]
    readable_by: int | None
    formerly: tuple[str, ...]
    becomes: tuple[type[Event], ...] | None


NO_STEPS: Mapping[int, Upcaster] = MappingProxyType({})


def evolution_of(
    cls: type[Event], readable_by: int | None, formerly: str | Iterable[str], retired: bool | None
) -> Evolution:
    """Returns what a new class says, checked; `Changed[int]` says what its generic `Changed` does.

    Raises:
        TypeError: A step is missing or too much, or an argument has the wrong type.
        InvalidEventError: `readable_by` or an earlier name is not acceptable.
    """
    origin: Any = cls.__pydantic_generic_metadata__["origin"]
    if origin is not None:
        suffix = cls.__name__.removeprefix(origin.__name__)
        names = tuple(name + suffix for name in origin.__formerly__)
        return Evolution(origin.__upcasters__, origin.__readable_by__, names, origin.__becomes__)
    if retired is not None and type(retired) is not bool:
        raise TypeError(f"{cls.__name__}: retired must be a bool, not {retired!r:.60}")
    steps = _steps(cls)
    becomes = _becomes(cls, steps, retired=bool(retired))
    _check_chain(cls, steps)
    if readable_by is not None:
        _check_readable_by(cls, readable_by, retired=bool(retired))
    functions: dict[int, Upcaster] = {step.version: step.__func__ for step in steps.values()}
    return Evolution(
        MappingProxyType(functions) if functions else NO_STEPS,
        readable_by,
        _names(cls, formerly),
        becomes,
    )


def _steps(cls: type[Event]) -> dict[int, Step]:
    """Returns the steps of a class by version.

    Raises:
        TypeError: Two begin with the same version.
    """
    found: dict[int, Step] = {}
    for value in vars(cls).values():
        step = getattr(value, "__func__", None) if type(value) is staticmethod else value
        if not isinstance(step, Step):
            continue
        other = found.setdefault(step.version, step)
        if other is not step:
            raise TypeError(
                f"{cls.__name__}: {named(other)} and {named(step)} are both steps from "
                f"version {step.version}"
            )
    return found


def _check_chain(cls: type[Event], steps: Mapping[int, Step]) -> None:
    """Checks that the steps lead to the version of the class.

    Raises:
        TypeError: One is missing, or begins with a version that the class has not come to.
    """
    version = cls.__event_version__
    for start, step in steps.items():
        if start > version or (start == version and step.into is None):
            raise TypeError(
                f"{cls.__name__}: the step {named(step)} is from version {start}, and the class "
                f"has version {version}; a step leads from a version below that to the next one"
            )
    for start in range(min(steps, default=version), version):
        if start not in steps:
            raise TypeError(
                f"{cls.__name__}: there is no step from version {start} to {start + 1}; write one "
                f"with @upcast({start}), since there is one from version {min(steps)}"
            )


def _becomes(
    cls: type[Event], steps: Mapping[int, Step], *, retired: bool
) -> tuple[type[Event], ...] | None:
    """Returns the classes that events of a retired class become; None for other classes.

    Raises:
        TypeError: A step says `into`, and is not the last one of a retired class.
    """
    from eventuali.event import Event

    becomes: tuple[type[Event], ...] = ()
    for start, step in steps.items():
        if step.into is None:
            continue
        at = f"{cls.__name__}: the step {named(step)}"
        if not retired:
            raise TypeError(f"{at} says into=, which is for a class with retired=True")
        if start != cls.__event_version__:
            raise TypeError(
                f"{at} says into=, so it must be the last: @upcast({cls.__event_version__}, into=…)"
            )
        becomes = step.into
        for each in becomes:
            is_event = isinstance(each, type) and issubclass(each, Event)
            if not is_event or each.__module__ == Event.__module__:
                shown = each.__name__ if is_event else f"{each!r:.60}"
                raise TypeError(
                    f"{at}: into takes classes of events, each with the fields of one kind of "
                    f"event: a class of yours that derives from Event, not {shown}"
                )
            if each.__becomes__ is not None:
                raise TypeError(f"{at}: {each.__name__} is retired, too; say what that becomes")
        if not becomes:
            raise TypeError(f"{at}: into is empty; a retired event without it becomes nothing")
    return becomes if retired else None


def _check_readable_by(cls: type[Event], readable_by: object, *, retired: bool) -> None:
    """Checks the lowest version that can read the events of a class.

    Raises:
        TypeError: The class is retired, so that no events of it are written.
        InvalidEventError: It is not a version of the class.
    """
    if retired:
        raise TypeError(f"{cls.__name__} is retired and never stored: leave out readable_by")
    if type(readable_by) is not int or not 1 <= readable_by <= cls.__event_version__:
        raise InvalidEventError(
            f"{cls.__name__}: readable_by {readable_by!r:.60} is not an int from 1 to its version "
            f"{cls.__event_version__}",
            field="readable_by",
        )


def _names(cls: type[Event], given: object) -> tuple[str, ...]:
    """Returns the earlier wire names of a class.

    Raises:
        TypeError: They are not str.
        InvalidEventError: One is not acceptable, or is given twice.
    """
    several = (given,) if isinstance(given, str) else given
    if not isinstance(several, Iterable):
        raise TypeError(f"{cls.__name__}: formerly takes wire names, not {given!r:.60}")
    names: list[str] = []
    for each in several:
        if not isinstance(each, str):
            raise TypeError(f"{cls.__name__}: formerly takes wire names, not {each!r:.60}")
        name = check_event_type(each)
        if name == cls.__event_type__ or name in names:
            text = f"{cls.__name__}: formerly names {name!r}, which is a wire name of it already"
            raise InvalidEventError(text, field="event_type")
        names.append(name)
    return tuple(names)
