"""Classes of every kind that pydantic knows, made at random: their events are exact or refused.

`EVENTUALI_TEST_CLASSES=8000` makes that many classes; the number of one that failed makes it again.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from exactness import Event, fingerprint
from generated import Maker
from pydantic import BaseModel, PydanticUserError, ValidationError

from eventuali.codec import json as _exact
from eventuali.codec.json import Codec, Inexact

CLASSES = int(os.environ.get("EVENTUALI_TEST_CLASSES", "160"))
EVENTS = 4
BATCH = 40

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def events_of(number: int) -> Iterator[BaseModel]:
    """Gives events of one class; none where pydantic refuses what was drawn."""
    maker = Maker(number)
    try:
        _, make = maker.event(Event)
    except (TypeError, RuntimeError, PydanticUserError, ValidationError):
        return
    for _ in range(EVENTS):
        for _ in range(6):
            try:
                yield make()
                break
            except (TypeError, ValidationError, RecursionError):
                continue


def violation(codec: Codec[Any], event: BaseModel) -> str:
    """What the codec does to the event that it must not; empty where it is right."""
    try:
        payload = codec.encode(event)
    except Inexact:
        return ""
    back = codec.decode(payload)
    if fingerprint(back) != fingerprint(event):
        return f"changed to {back!r}"
    unchecked = codec._without_checks(payload)
    if unchecked is not None and fingerprint(unchecked) != fingerprint(event):
        return f"without its checks changed to {unchecked!r}"
    return ""


def violations(numbers: range) -> list[str]:
    found = []
    for number in numbers:
        codec = None
        for event in events_of(number):
            codec = codec or Codec(type(event))
            if text := violation(codec, event):
                found.append(f"class {number}: {event!r} {text}")
    return found


@pytest.mark.parametrize("first", range(0, CLASSES, BATCH))
def test_every_event_is_exact_or_refused(first):
    assert violations(range(first, first + BATCH)) == []


def test_many_events_are_kept_and_some_classes_need_no_comparison():
    kept = direct = 0
    for number in range(BATCH):
        for event in events_of(number):
            codec = Codec(type(event))
            direct += codec.by_construction
            with suppress(Inexact):
                kept += bool(codec.encode(event))
    assert kept > BATCH
    assert direct > 0


def test_control_a_codec_without_its_comparison_is_caught(monkeypatch):
    monkeypatch.setattr(_exact, "difference", lambda _left, _right: None)
    assert violations(range(BATCH))
