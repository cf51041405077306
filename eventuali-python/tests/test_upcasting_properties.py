"""Any chain of renamed, added, dropped, merged and split fields gives what its parts say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from older_events import older

from eventuali import Event, sync, upcast
from eventuali._engine import upcast as engine
from eventuali._engine.upcast import Older
from eventuali.errors import SerializationError

NAME = "up.any"
Data: TypeAlias = dict[str, Any]
Change: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...]]
"""(kind, fields that it takes, fields that it gives)"""

NAMES = tuple("abcdefgh")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner,
                                                                max_size=2),
    max_leaves=4,
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> tuple[Data, list[Change]]:
    """Draws what version 1 has stored, and how the fields have changed since."""
    data = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4))
    there = set(data)
    changes: list[Change] = []
    for _ in range(draw(st.integers(1, 6))):
        free = [name for name in NAMES if name not in there]
        kinds = [
            *(["rename", "add"] if free else []),
            *(["drop", "merge"] if len(there) > 1 else []),
            *(["split"] if len(free) > 1 else []),
        ]
        kind = draw(st.sampled_from(kinds))
        old = draw(st.permutations(sorted(there)))
        new = draw(st.permutations(free)) if free else []
        takes = {"rename": 1, "add": 0, "drop": 1, "merge": 2, "split": 1}[kind]
        gives = {"rename": 1, "add": 1, "drop": 0, "merge": 0, "split": 2}[kind]
        taken, given_ = tuple(old[:takes]), tuple(new[:gives])
        if kind == "merge":
            given_ = taken[:1]
        changes.append((kind, taken, given_))
        there = there - set(taken) | set(given_)
    return data, changes


def step(change: Change) -> Callable[[Data], Data]:
    """Returns a change as a step, which makes a new dict."""
    kind, takes, gives = change

    def stepped(data: Data) -> Data:
        rest = {name: value for name, value in data.items() if name not in takes}
        match kind:
            case "rename":
                return rest | {gives[0]: data[takes[0]]}
            case "add":
                return rest | {gives[0]: "new"}
            case "merge":
                return rest | {gives[0]: [data[takes[0]], data[takes[1]]]}
            case "split":
                return rest | {gives[0]: data[takes[0]], gives[1]: {"of": data[takes[0]]}}
        return rest

    return stepped


def changed(data: Data, change: Change) -> None:
    """Does a change in place, written in another way: the reference."""
    kind, takes, gives = change
    values = [data.pop(name) for name in takes]
    if kind == "add":
        values = ["new"]
    elif kind == "merge":
        values = [values]
    elif kind == "split":
        values = [values[0], {"of": values[0]}]
    data.update(zip(gives, values, strict=False))


def check(history: tuple[Data, list[Change]]) -> None:
    """Stores the event as every version would have, and reads all of them."""
    data, changes = dict(history[0]), history[1]
    versions = [dict(data)]
    for change in changes:
        changed(data, change)
        versions.append(dict(data))
    body: dict[str, Any] = {"__module__": __name__, "__annotations__": dict.fromkeys(data, Any)}
    for start, change in enumerate(changes, 1):
        body[f"step_{start}"] = upcast(start)(staticmethod(step(change)))
    cls: Any = type("Any_", (Event,), body, name=NAME, version=len(versions))
    with sync.EventStore.create("memory://") as store:
        store.register_event_class(NAME, cls)
        store.append([cls(**data)])
        store.append([older(NAME, at, stored) for at, stored in enumerate(versions, 1)])
        native, *found = store.read()
        for event in found:
            assert event == native
            assert repr(sorted(event.model_dump().items())) == repr(sorted(data.items()))


@given(histories())
def test_every_version_gives_the_current_event(history):
    check(history)


@pytest.mark.parametrize("fault", ["left out", "twice", "turned round"])
def test_the_property_finds_a_fault(fault, monkeypatch):
    """The control: a chain that leaves a step out, takes one twice, or is turned round."""

    class Faulty(Older):
        def __init__(self, cls: type[Event], version: int) -> None:
            super().__init__(cls, version)
            steps = [function for _, function in self._steps]
            match fault:
                case "left out":
                    steps = steps[:-1]
                case "twice":
                    steps = [*steps, steps[-1]]
                case "turned round":
                    steps = steps[::-1]
            self._steps = list(enumerate(steps, version))
            self.validate = engine._fast(steps, self._codec)

    monkeypatch.setattr(engine, "Older", Faulty)

    @settings(database=None, phases=[Phase.generate], max_examples=100)
    @given(histories())
    def search(history: tuple[Data, list[Change]]) -> None:
        check(history)

    with pytest.raises((AssertionError, ExceptionGroup, SerializationError)):
        search()
