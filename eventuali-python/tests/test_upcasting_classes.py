"""What a class says about its earlier versions is checked when it is made."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from eventuali import (
    Aggregate,
    DomainEvent,
    Event,
    InvalidEventError,
    Projection,
    UnknownEvent,
    upcast,
)
from eventuali.event import SystemEvent


def same(data: dict[str, Any]) -> dict[str, Any]:
    return data


def made(version: int, *steps: Any, **options: Any) -> type[Event]:
    """Makes a class with steps, each a version or an attribute."""
    body = {
        f"step_{at}": upcast(step)(staticmethod(same)) if isinstance(step, int) else step
        for at, step in enumerate(steps)
    }
    made: type[Event] = type(
        "Made", (Event,), {"__module__": __name__, **body}, version=version, **options
    )
    return made


@pytest.mark.parametrize(
    ("version", "steps", "says"),
    [
        (3, (1, 2, 2), "Made: same and same are both steps from version 2"),
        (2, (2,), "from version 2, and the class has version 2"),
        (2, (1, 7), "from version 7, and the class has version 2"),
        (1, (1,), "from version 1, and the class has version 1"),
        (4, (1, 3), "no step from version 2 to 3; write one with @upcast(2)"),
        (4, (1, 2), "no step from version 3 to 4"),
    ],
)
def test_a_chain_with_a_fault_is_refused(version, steps, says):
    with pytest.raises(TypeError, match=f"Made.*{re.escape(says)[-40:]}") as caught:
        made(version, *steps)
    assert says in str(caught.value)


def test_the_oldest_versions_may_be_left_out():
    assert list(made(5, 3, 4).__upcasters__) == [3, 4]
    assert list(made(5).__upcasters__) == []


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0, None, same])
def test_a_step_is_from_a_version(version):
    with pytest.raises(TypeError, match="write @upcast"):
        upcast(version)


async def waits(data):
    return data


def yields(data):
    yield data


def takes_two(data, more):
    return data


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (waits, "coroutine function"),
        (yields, "generator"),
        (takes_two, "one argument"),
        (classmethod(takes_two), "static method"),
        (7, "static method"),
        (upcast(1)(staticmethod(same)), "a step already"),
    ],
)
def test_a_step_is_a_plain_function_of_one_argument(function, says):
    with pytest.raises(TypeError, match=says):
        upcast(2)(function)


def test_the_decorators_may_stand_in_either_order_or_one_alone():
    assert list(made(2, staticmethod(upcast(1)(same))).__upcasters__) == [1]
    assert list(made(2, upcast(1)(same)).__upcasters__) == [1]


def with_value(data: dict[str, Any], name: str, value: int) -> dict[str, Any]:
    return data | {name: value}


def test_steps_may_be_made_of_one_function_with_partial():
    """Which has no name of its own."""
    first, second = (partial(with_value, name=name, value=1) for name in ("one", "two"))
    cls = made(3, upcast(1)(first), upcast(2)(staticmethod(second)))
    assert cls.__upcasters__[2](cls.__upcasters__[1]({})) == {"one": 1, "two": 1}
    says = "with_value and with_value are both steps from version 1"
    with pytest.raises(TypeError, match=says):
        made(2, upcast(1)(first), upcast(1)(second))
    with pytest.raises(TypeError, match="the step with_value is from version 7"):
        made(2, upcast(1)(first), upcast(7)(second))
    with pytest.raises(TypeError, match="the step with_value says into=, which is for"):
        made(1, upcast(1, into=Part)(first))


@pytest.mark.parametrize("given", [0, 4, True, "2", 1.5])
def test_readable_by_is_a_version_of_the_class(given):
    with pytest.raises(InvalidEventError, match=r"Made: readable_by .* from 1 to its version 3"):
        made(3, readable_by=given)
    assert [made(3, readable_by=each).__readable_by__ for each in (None, 1, 3)] == [None, 1, 3]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("Made", InvalidEventError),
        (("up.was", "up.was"), InvalidEventError),
        ("", InvalidEventError),
        ("$x", InvalidEventError),
        (("up.was", 7), TypeError),
        (7, TypeError),
    ],
)
def test_earlier_names_are_wire_names(given, error):
    with pytest.raises(error):
        made(1, formerly=given)


def test_earlier_names_are_one_or_several():
    assert made(1, formerly="up.was").__formerly__ == ("up.was",)
    assert made(1, formerly=["up.was", "up.were"]).__formerly__ == ("up.was", "up.were")


class Part(Event, name="up.part"):
    number: int


class Gone(Event, name="up.gone", retired=True):
    pass


@pytest.mark.parametrize(
    ("version", "into", "options", "says"),
    [
        (1, (Part,), {}, "for a class with retired=True"),
        (2, (Part,), {"retired": True}, "must be the last: @upcast(2, into="),
        (1, (Gone,), {"retired": True}, "Gone is retired, too"),
        (1, (Event,), {"retired": True}, "a class of yours that derives from Event, not Event"),
        (1, (Part, DomainEvent), {"retired": True}, "from Event, not DomainEvent"),
        (1, (SystemEvent,), {"retired": True}, "from Event, not SystemEvent"),
        (1, UnknownEvent, {"retired": True}, "from Event, not UnknownEvent"),
        (1, (int,), {"retired": True}, "takes classes of events"),
        (1, (), {"retired": True}, "into is empty"),
    ],
)
def test_only_the_last_step_of_a_retired_class_says_what_it_becomes(version, into, options, says):
    with pytest.raises(TypeError, match=re.escape(says)):
        made(version, upcast(1, into=into)(same), **options)


def test_what_a_retired_class_becomes():
    assert Gone.__becomes__ == ()
    assert made(1, upcast(1, into=Part)(same), retired=True).__becomes__ == (Part,)
    with pytest.raises(TypeError, match="retired must be a bool"):
        made(1, retired="yes")
    with pytest.raises(TypeError, match="never stored: leave out readable_by"):
        made(1, retired=True, readable_by=1)


def test_a_handler_of_a_retired_class_would_never_be_called():
    with pytest.raises(TypeError, match=r"apply_gone takes Gone, which is retired"):

        class Thing(Aggregate):
            def apply_gone(self, event: Gone) -> None: ...

    with pytest.raises(TypeError, match=r"on_gone takes Gone, which is retired"):

        class Things(Projection):
            def on_gone(self, event: Gone, docs: Any) -> None: ...


def test_no_event_of_a_retired_class_is_applied():
    class Other(Aggregate):
        pass

    with pytest.raises(InvalidEventError, match="Gone is retired"):
        Other(id="o").apply(Gone())
