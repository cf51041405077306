"""The same command from many tasks and processes that are killed: one effect, one answer."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from time import monotonic, sleep

import pytest
from stores import each_shared, opened, url_of
from support import TESTS, UNPACK, packed

from eventuali import sync

LIMIT = 120
"""After so many seconds a test has failed; none passes or fails by it otherwise."""
PURSES = 3

SENDER = """
import asyncio, os, sys
from decimal import Decimal
from uuid import uuid4
from eventuali import EventStore
from eventuali._engine.proposal import Proposal
from eventuali.command import CommandBus
from test_command import Pay, Purse

def apart(self, store, *others):
    recording, self._recording = self._recording, None
    done = yield from as_it_is(self, store, *others)
    yield store.commit([], [], [recording(self._commit.builder.last_event())], uuid4())
    return done

as_it_is = Proposal.send
if os.environ["HOW"] == "apart":
    Proposal.send = apart

async def task(bus, commands):
    for n in range(commands):
        command = Pay(purse_id=f"p{n % 3}", amount=Decimal(1), command_id=f"c{n}")
        handled = await bus.send(command)
        print(n, handled.answer, handled.position, flush=True)

async def main(place, tasks, commands):
    async with EventStore.create(place) as store:
        bus = CommandBus(store, Purse, attempts=500)
        await asyncio.gather(*(task(bus, int(commands)) for _ in range(int(tasks))))

asyncio.run(main(*sys.argv[1:]))
"""


class Senders:
    """Processes that all send the same commands, and what they were answered."""

    def __init__(self, place: object, folder: Path, tasks: int, commands: int, how: str) -> None:
        self._arguments = [str(packed(place)), str(tasks), str(commands)]
        self._folder = folder
        self._how = how
        self._files: list[Path] = []
        self.commands = commands

    def start(self) -> tuple[subprocess.Popen[bytes], Path]:
        file = self._folder / f"answers-{len(self._files)}"
        self._files.append(file)
        with file.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", UNPACK + SENDER, *self._arguments],
                stdout=out,
                env=os.environ | {"PYTHONPATH": str(TESTS), "HOW": self._how},
            )
        return process, file

    def run(self, processes: int, kills: int, chance: random.Random) -> int:
        """Kills processes at random moments and starts others, until all ends; returns how many."""
        running = [self.start() for _ in range(processes)]
        end, killed = monotonic() + LIMIT, 0
        while running:
            assert monotonic() < end, "the commands are not all handled"
            process, file = running.pop(chance.randrange(len(running)))
            lines = self._count(file) + chance.randrange(1, 40)
            while killed < kills and process.poll() is None and self._count(file) < lines:
                sleep(0.001)
            sleep(chance.random() * 0.003)
            if killed < kills and process.poll() is None:
                process.kill()
                process.wait()
                killed += 1
                running.append(self.start())
            elif process.poll() is None:
                running.append((process, file))
                sleep(0.01)
            else:
                assert process.returncode == 0
        return killed

    @staticmethod
    def _count(file: Path) -> int:
        return file.read_bytes().count(b"\n")

    def answers(self) -> dict[int, set[tuple[str, str]]]:
        """Returns the answers of each command, without a line that was cut off."""
        found: dict[int, set[tuple[str, str]]] = defaultdict(set)
        for file in self._files:
            for line in file.read_text().split("\n")[:-1]:
                number, answer, position = line.split()
                found[int(number)].add((answer, position))
        return found


def prepare(place: object) -> None:
    from test_command import Open, Purse

    with sync.EventStore.create(place) as store:
        bus = sync.CommandBus(store, Purse)
        for number in range(PURSES):
            bus.send(Open(purse_id=f"p{number}", owner="Ada"))


def effects(place: object) -> tuple[dict[str, str], Counter[str]]:
    """Returns the balance after each payment, by its position, and how often each command paid."""

    async def main() -> tuple[dict[str, str], Counter[str]]:
        balances: Counter[str] = Counter()
        found, commands = {}, Counter[str]()
        async with opened("async", place) as store:
            async for event in store.read():
                if event.event_type == "command.paid":
                    balances[event.aggregate_id] += 1
                    found[str(event.position)] = str(balances[event.aggregate_id])
                    commands[event.causation_id] += 1
        return found, commands

    return asyncio.run(main())


@each_shared
def test_killed_processes_leave_one_effect_and_one_answer(kind, tmp_path) -> None:
    place = url_of(kind, tmp_path)
    prepare(place)
    senders = Senders(place, tmp_path, tasks=8, commands=60, how="")
    assert senders.run(4, 8, random.Random()) == 8
    answers, (effect, commands) = senders.answers(), effects(place)
    assert commands == {f"c{n}": 1 for n in range(senders.commands)}, "each has one effect"
    assert sorted(answers) == list(range(senders.commands))
    assert all(len(each) == 1 for each in answers.values()), "and one answer"
    told = {position: answer for each in answers.values() for answer, position in each}
    assert told == effect, "which is that of its event"


@pytest.mark.parametrize("kind", ["sqlite"])
def test_answers_that_are_recorded_apart_are_caught(kind, tmp_path) -> None:
    """The positive control: a process that dies between the two pays twice."""
    place = url_of(kind, tmp_path)
    prepare(place)
    senders = Senders(place, tmp_path, tasks=1, commands=2000, how="apart")
    chance = random.Random()
    done = 0
    for _ in range(100):
        process, file = senders.start()
        seen = done + chance.randrange(1, 5)
        while process.poll() is None and senders._count(file) < seen:
            sleep(0.0005)
        sleep(chance.random() * 0.003)
        process.kill()
        process.wait()
        if max(effects(place)[1].values(), default=0) > 1:
            return
        done = len(senders.answers())
    raise AssertionError("100 kills between two commits were not seen")
