"""Damages copies of a file and asks each everything.

    python -m reliability.children.damager FOLDER SEED CYCLES

A line a copy: what was done to it, the errors that were told, and what came short.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from threading import Thread

from eventuali import ALL, Event, Query, sync
from eventuali.errors import EventualiError

_CUTS = 5
"""One copy in so many is cut, the others have a bit flipped."""
_STREAMS, _COMMITS, _TAGS = 7, 400, 5


class Common(Event):
    """Most of the events."""

    number: int


class Rare(Event):
    """A few."""

    number: int


Question = tuple[str, Callable[[sync.EventStore], object]]


def fill(path: Path, chance: Random) -> None:
    """Writes some two thousand events, so that every table has several pages."""
    with sync.EventStore.create(path) as store:
        number = 0
        for commit in range(_COMMITS):
            events: list[Event] = []
            for _ in range(chance.randint(1, 9)):
                number += 1
                made = Rare if number % 100 == 7 else Common
                tags = [f"tag-{number % _TAGS}"] if number % 3 == 0 else []
                correlation = f"request-{commit % 40}"
                events.append(made(number=number, tags=tags, correlation_id=correlation))
            store.append(events, stream=("Series", f"s-{commit % _STREAMS}"))


def questions() -> Iterator[Question]:
    """Everything that is asked of a copy: what it is about, and how the answer comes."""
    yield "log", lambda store: _told(store.read())
    yield "log backwards", lambda store: _told(store.read(backwards=True))
    yield "streams", lambda store: [(s.aggregate_id, s.version) for s in store.streams()]
    for number in range(_STREAMS):
        name = f"s-{number}"
        yield "stream", partial(_stream, name)
    yield "type", partial(_found, Query(event_types=[Rare]))
    for number in range(_TAGS):
        yield "tag", partial(_found, Query(tags=[f"tag-{number}"]))
    yield "correlation", partial(_found, Query(correlation_id="request-7"))
    yield "follower", partial(_followed, "all", ALL)
    yield "follower by type", partial(_followed, "typed", Query(event_types=[Common, Rare]))
    for about, query in (
        ("tag", Query(tags=["tag-3"])),
        ("correlation", Query(correlation_id="request-7")),
        ("aggregate type", Query(aggregate_type="Series")),
        ("rare type", Query(event_types=[Rare])),
    ):
        yield f"follower by {about}", partial(_followed, about, query)


def _stream(name: str, store: sync.EventStore) -> object:
    return _told(store.load_events(name, "Series"))


def _found(query: Query, store: sync.EventStore) -> object:
    return _told(store.read(query))


def _told(events: Iterable[Event]) -> list[tuple[int | None, int]]:
    return [(event.meta.position, event.number) for event in events]  # type: ignore[attr-defined]


def _followed(name: str, query: Query, store: sync.EventStore) -> list[tuple[int | None, int]]:
    """What a named subscription is handed before it says that it has caught up."""
    found: list[tuple[int | None, int]] = []
    errors: list[EventualiError] = []
    subscription = store.subscribe(query, name=name)

    def follow() -> None:
        try:
            for event in subscription:
                found.extend(_told([event]))
        except EventualiError as error:
            errors.append(error)

    with subscription:
        follower = Thread(target=follow)
        follower.start()
        subscription.caught_up()
    follower.join()
    if errors:
        raise errors[0]
    return found


def answers(path: Path) -> list[object]:
    """What a store answers to each question; an error is its class."""
    found: list[object] = []
    try:
        with sync.EventStore.create(path) as store:
            for _, ask in questions():
                try:
                    found.append(ask(store))
                except EventualiError as error:
                    found.append(type(error))
    except EventualiError as error:
        return [type(error)] * len(list(questions()))
    return found


def damage(raw: bytes, chance: Random, cut: bool) -> tuple[bytes, str]:
    """Returns a damaged copy, and what was done to it."""
    if cut:
        length = chance.randrange(len(raw))
        return raw[:length], f"cut to {length}"
    place, bit = chance.randrange(len(raw)), chance.randrange(8)
    damaged = bytearray(raw)
    damaged[place] ^= 1 << bit
    return bytes(damaged), f"bit {bit} of byte {place} (page {place // 4096 + 1})"


def main() -> None:
    """Damages one copy after the other."""
    folder, seed, cycles = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    chance, path, copy = Random(seed), folder / "whole.db", folder / "copy.db"
    fill(path, chance)
    raw = path.read_bytes()
    right = answers(path)  # a follower leaves its checkpoint
    for number in range(cycles):
        damaged, what = damage(raw, chance, cut=number % _CUTS == 0)
        for file in folder.glob("copy.db*"):
            file.unlink()
        copy.write_bytes(damaged)
        told, short = Counter[str](), set[str]()
        for (about, _), was, answer in zip(questions(), right, answers(copy), strict=True):
            if isinstance(answer, type):
                told[answer.__name__] += 1
            elif answer != was:
                short.add(about)
        line = {"what": what, "told": told, "short": sorted(short)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
