"""A file with one bit flipped, or cut short: the same answers as before, or an error, never fewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from threading import Thread

from eventuali import Event, Query, sync
from eventuali.errors import EventualiError
from reliability.scenario import Fault, Job, Scenario

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
        yield "stream", lambda store, name=name: _told(store.load_events(name, "Series"))
    yield "type", lambda store: _told(store.read(Query(event_types=[Rare])))
    for number in range(_TAGS):
        query = Query(tags=[f"tag-{number}"])
        yield "tag", lambda store, query=query: _told(store.read(query))
    query = Query(correlation_id="request-7")
    yield "correlation", lambda store: _told(store.read(query))
    yield "follower", _followed


def _told(events: Iterable[Event]) -> list[tuple[int | None, int]]:
    return [(event.meta.position, event.number) for event in events]  # type: ignore[attr-defined]


def _followed(store: sync.EventStore) -> list[tuple[int | None, int]]:
    """What a named subscription is handed before it says that it has caught up."""
    found: list[tuple[int | None, int]] = []
    errors: list[EventualiError] = []
    subscription = store.subscribe(Query(event_types=[Common, Rare]), name="all")

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


def run(job: Job) -> None:
    """Damages copies, one after the other, and asks each everything."""
    # The fault is in the extension; the answers that are right come from the same program.
    os.environ.update(job.env)
    chance, path = job.chance("damage"), job.folder / "whole.db"
    fill(path, chance)
    raw = path.read_bytes()
    right = answers(path)  # a follower leaves its checkpoint
    copy = job.folder / "copy.db"
    for number in range(job.cycles):
        damaged, what = damage(raw, chance, cut=number % _CUTS == 0)
        for file in job.folder.glob("copy.db*"):
            file.unlink()
        copy.write_bytes(damaged)
        _judge(job, what, right, answers(copy))
        job.report.cycle()


def _judge(job: Job, what: str, right: list[object], found: list[object]) -> None:
    report, told, silent = job.report, False, False
    for (about, _), was, answer in zip(questions(), right, found, strict=True):
        if isinstance(answer, type):
            told = True
            report.count(f"told_{answer.__name__}")
        elif answer != was:
            silent = True
            report.verdict.find("lost", f"{about}: {what}")
            report.count(f"silent_{about}")
    report.count("silent" if silent else "told" if told else "same")


SCENARIO = Scenario(
    name="damage",
    about="a bit of the file is flipped, or its end cut off; everything is asked",
    run=run,
    cycles=2500,
    quick=150,
    faults=(Fault("unchecked", 150),),
)
