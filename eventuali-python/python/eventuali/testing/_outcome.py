"""What an action did, to be compared with what a test expects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import isasyncgen, isawaitable, iscoroutine, isgenerator
from typing import Any, ClassVar, Generic, NoReturn, Protocol, Self, TypeAlias, TypeVar

from pydantic import BaseModel

from eventuali.aggregate import Aggregate, answered
from eventuali.aggregate._commands import methods_of
from eventuali.event import Event
from eventuali.event._envelope import FIELDS
from eventuali.testing import _differences as differences

A = TypeVar("A", bound=Aggregate)
R = TypeVar("R")

Action: TypeAlias = Callable[[A], object]
"""What a test does with an aggregate."""


class Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Message: TypeAlias = BaseModel | Dataclass
"""What a type checker takes for a command. With `object` it would not look into a lambda."""


class Unchecked(Protocol):
    """Something at which a test has to look."""

    @property
    def unchecked(self) -> str:
        """What is wrong if nobody looks at it."""


unchecked: list[Unchecked] = []
"""What was done and not looked at so far; the plugin fails a test that leaves something here."""


def checked(what: Unchecked) -> None:
    """Notes that a test has looked at something."""
    unchecked[:] = [each for each in unchecked if each is not what]


class Outcome:
    """What an action did: the events that it made, what it returned, or what it raised."""

    _title = ""

    def __init__(self) -> None:
        self._new: Sequence[Event] = []
        self._returned: Any = None
        self._raised: Exception | None = None
        unchecked.append(self)

    @property
    def unchecked(self) -> str:
        """What is wrong if nobody looks at it."""
        return f"{self._title}: when(…) is not followed by a then…(…), so nothing is checked"

    def _checked(self) -> None:
        checked(self)

    def _given(self) -> list[str]:
        """Returns what was given, for a failure."""
        raise NotImplementedError

    def then(self, *events: Event, meta: Iterable[str] = (), ignore: Iterable[str] = ()) -> Self:
        """Checks that exactly these events are new, in this order.

        Args:
            events: The events that are expected; ids, times and other metadata don't count.
            meta: Names of metadata that does count, such as `"correlation_id"` or `"tags"`.
            ignore: Names of fields that don't count, such as an id that was made.

        Raises:
            AssertionError: The events are others, or the action raised.
            TypeError: An argument is not an event, or no metadata or no field has the name.
        """
        __tracebackhide__ = True
        self._checked()
        for event in events:
            if not isinstance(event, Event):
                raise TypeError(f"then takes events, not {event!r:.60}")
        counted, ignored = self._counted(events, meta, ignore)
        if found := differences.of_events(events, self._new, counted, ignored):
            self._fail("the new events are not those that were expected", found)
        return self

    def _counted(
        self, expected: Sequence[Event], meta: Iterable[str], ignore: Iterable[str]
    ) -> tuple[list[str], list[str]]:
        """Returns the metadata that counts and the fields that don't.

        Raises:
            AssertionError: The action raised.
            TypeError: No metadata or no field has one of the names.
        """
        __tracebackhide__ = True
        counted, ignored = _names(meta, "meta"), _names(ignore, "ignore")
        if unknown := set(counted) - FIELDS:
            raise TypeError(f"events have no metadata {min(unknown)!r}")
        self._refuse_raised()
        events = (*expected, *self._new)
        fields = {name for event in events for name in type(event).__pydantic_fields__}
        if events and (unknown := set(ignored) - fields):
            raise TypeError(f"none of the events has a field {min(unknown)!r}")
        return counted, ignored

    def then_nothing(self) -> Self:
        """Checks that no event is new. After `then_raises`, that none was made before the raise.

        Raises:
            AssertionError: There are new events, or the action raised.
        """
        __tracebackhide__ = True
        return self.then()

    def then_raises(self, error: type[BaseException], match: str | None = None) -> Self:
        """Checks that the action raised an error.

        Args:
            error: The class of the error.
            match: A regular expression that is found in its text.

        Raises:
            AssertionError: It raised nothing, or something else.
        """
        __tracebackhide__ = True
        self._checked()
        name = error.__name__
        raised = self._raised
        if raised is None:
            got = differences.listed("got", self._new)
            self._fail(f"{name} was expected, but nothing was raised", got)
        if not isinstance(raised, error):
            text = f"{name} was expected, but {_told(raised)} was raised"
            self._fail(text, [], cause=raised)
        if match is not None and re.search(match, str(raised)) is None:
            lines = [f"pattern {match!r}", f"text    {str(raised)!r}"]
            self._fail(f"the text of {name} does not match", lines, cause=raised)
        self._raised = None
        return self

    def then_returns(self, value: object) -> Self:
        """Checks what the action returned.

        Raises:
            AssertionError: It returned something else, or raised.
        """
        __tracebackhide__ = True
        self._refuse_raised()
        if found := differences.of_values(differences.differences(value, self._returned)):
            self._fail("something else was returned", found)
        return self

    def _check_state(self, aggregate: Aggregate, title: str, fields: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        if not fields:
            raise TypeError("then_state() checks nothing; name fields: then_state(balance=6)")
        found: list[str] = []
        for name, value in fields.items():
            if not hasattr(aggregate, name):
                raise TypeError(f"{title} has no attribute {name!r}")
            got = getattr(aggregate, name)
            found += differences.of_values(differences.differences(value, got, name))
        if found:
            self._fail("the state is not the one that was expected", found)

    def _refuse_raised(self) -> None:
        """Fails if the action raised, and `then_raises` has not said so."""
        __tracebackhide__ = True
        self._checked()
        if self._raised is not None:
            self._fail(f"the action raised {_told(self._raised)}", [], cause=self._raised)

    def _fail(self, what: str, lines: list[str], cause: BaseException | None = None) -> NoReturn:
        __tracebackhide__ = True
        self._checked()
        parts = [f"{self._title}: {what}", "", *self._given()]
        parts += ["", *lines] if lines else []
        raise AssertionError("\n".join(parts)) from cause


class Acted(Outcome, Generic[A]):
    """What an action did with an aggregate."""

    def __init__(self, aggregate: A, given: Sequence[Event], what: Action[A] | Message) -> None:
        """Acts at once; is made by `when`."""
        action = _action(aggregate, what)
        super().__init__()
        self.aggregate = aggregate
        self._title = type(aggregate).__name__
        self._events = given
        self._returned, self._raised = attempt(lambda: finished(action(aggregate)))
        if isgenerator(self._returned) or isasyncgen(self._returned):
            self._checked()
            raise TypeError(
                f"the action returned {self._returned!r:.60}, which nobody runs: it must do all by "
                "itself; take the yield out, or write list(…) around the call"
            )
        self._new = aggregate.get_uncommitted_events()

    def then_state(self, **fields: Any) -> Self:
        """Checks fields or properties of the aggregate: `then_state(balance=6, owner="Ada")`.

        Raises:
            AssertionError: One has another value, or the action raised.
            TypeError: The aggregate has no such attribute, or none is named.
        """
        __tracebackhide__ = True
        self._refuse_raised()
        self._check_state(self.aggregate, self._title, fields)
        return self

    def _given(self) -> list[str]:
        lines = differences.listed("given", self._events)
        return lines + (differences.listed("new", self._new) if self._new else [])


def _action(aggregate: A, what: Any) -> Action[A]:
    """Returns what a test does: a function of its own, or the handling of a command.

    Raises:
        TypeError: It is neither.
    """
    if callable(what):
        action: Action[A] = what
        return action
    cls = type(aggregate)
    commands = methods_of(cls)
    if type(what) in commands:
        return lambda aggregate: answered(aggregate, what)[0]
    known = ", ".join(sorted(each.__name__ for each in commands)) or "nothing"
    raise TypeError(
        f"when takes a function of the aggregate, or a command that {cls.__name__} handles "
        f"({known}), not {what!r:.60}"
    )


def attempt(work: Callable[[], R]) -> tuple[R | None, Exception | None]:
    """Returns what some work returns, or what it raises."""
    try:
        return work(), None
    except Exception as error:
        return None, error


def finished(result: Any) -> Any:
    """Returns a result; of a coroutine, what it returns.

    Raises:
        TypeError: It waits for something, in a test that is itself a coroutine.
    """
    if not isawaitable(result):
        return result
    if not iscoroutine(result):
        raise TypeError(f"{result!r:.60} is not a coroutine, and nobody here awaits it")
    import asyncio  # of which a test without coroutines has no need

    if asyncio._get_running_loop() is None:
        return asyncio.run(result)
    try:
        result.send(None)
    except StopIteration as end:
        return end.value
    result.close()
    raise TypeError(
        f"{result.__qualname__} waits for something, which it can't within an async test; write a "
        "plain test, or give it something in its place that does not wait"
    )


def _told(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _names(given: Iterable[str], what: str) -> list[str]:
    if isinstance(given, str):
        raise TypeError(f"{what} takes several names: {what}=[{given!r}]")
    return list(given)
