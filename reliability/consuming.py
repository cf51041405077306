"""What members of a group handle, and whether that is what they have to.

Each member writes lines into a file of its own, which outlives it; times are `time.monotonic_ns`:

    began TIME PARTITION GENERATION POSITION VALUE    the handler is called
    done TIME PARTITION GENERATION POSITION VALUE     it is about to return
    mended TIME PARTITION GENERATION POSITION VALUE   the same, of an event that was edited
    gave TIME PARTITION GENERATION 0 0                the partition was given away
    refused TIME PARTITION GENERATION 0 0             a write was refused: it was another one's
    lost TIME PARTITION GENERATION 0 0                it was, and there was nothing to write
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from reliability.checker import Verdict
from reliability.history import Stored

GROUP = "crew"
AGAIN = 1_001
"""Events that may come again after a crash: 1,000 that were handled, and the one in hand."""
ENDS = ("gave", "refused", "lost")


@dataclass(frozen=True, slots=True)
class Duty:
    """What a member is told.

    Attributes:
        url: The store.
        lease: How long the others wait for it, in seconds.
        pause: How long a handler takes at the most, in seconds.
        threads: Whether it has a thread for each partition; else they share a loop.
        holds_loop: Whether a handler keeps the loop meanwhile.
        retries: How often an event is tried again.
        parks: Whether it is parked then.
        special: What happens to events with some values; see `reliability.children.consumer`.
        folder: Where handlers leave files, to know what happened before.
    """

    url: str
    lease: float = 1.0
    deadline: float | None = None
    partitions: int = 8
    pause: float = 0.004
    threads: bool = False
    holds_loop: bool = False
    retries: int = 0
    parks: bool = False
    special: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""

    def text(self) -> str:
        """Returns it as a line."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Self:
        """Returns what a line says."""
        return cls(**json.loads(line))


class Handled(NamedTuple):
    """A line of a member."""

    what: str
    at: int
    partition: int
    generation: int
    position: int
    value: int


@dataclass(slots=True)
class Lines:
    """The file of a member, read as it grows."""

    file: Path
    offset: int = 0
    lines: list[Handled] = field(default_factory=list)

    def read(self) -> list[Handled]:
        """Returns what has come since it was read last."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]  # a line that was cut off says nothing
        self.offset += len(whole)
        new = []
        for line in whole.decode().splitlines():
            what, *numbers = line.split()
            new.append(Handled(what, *map(int, numbers)))
        self.lines += new
        return new


@dataclass(slots=True)
class Tenure:
    """A generation of a partition: what its owner handled."""

    owner: int
    began: list[Handled] = field(default_factory=list)
    done: list[Handled] = field(default_factory=list)
    end: str = ""


class Judge:
    """Holds what all members say against the log.

    Attributes:
        again: How many events came again, in all and at the most after one crash.
        zombies: Events that were in hand while a member was stopped, and handled afterwards.
    """

    def __init__(self, verdict: Verdict, log: Sequence[Stored], members: Sequence[Lines]) -> None:
        """Judges nothing yet."""
        self._verdict = verdict
        self._positions = {event.position: event for event in log}
        self._members = members
        self.tenures: dict[int, dict[int, Tenure]] = defaultdict(dict)
        self.again = [0, 0]
        self.zombies = 0

    def judge(self, *, parked: Iterable[int] = (), replayed: Iterable[int] = ()) -> None:
        """Judges.

        Args:
            parked: The values of events that need not be handled.
            replayed: The values of events that may come later than those behind them.
        """
        out_of_turn = {event.position for event in self._of(replayed)}
        of: dict[int, int] = {}  # the partition of each event
        done: set[int] = set()
        for number, member in enumerate(self._members):
            for line in member.lines:
                self._take(number, line, of, done, out_of_turn)
        need = self._positions.keys() - {event.position for event in self._of(parked)}
        missing = sorted(need - done)
        if missing:
            self._verdict.find("lost", f"not handled: {missing[:10]}", len(missing))
        for partition, tenures in sorted(self.tenures.items()):
            mine = sorted(at for at, whose in of.items() if whose == partition)
            mine = [at for at in mine if at not in out_of_turn]
            self._course(partition, mine, tenures)

    def _of(self, values: Iterable[int]) -> list[Stored]:
        wanted = set(values)
        return [event for event in self._positions.values() if event.value in wanted]

    def _take(
        self,
        member: int,
        line: Handled,
        of: dict[int, int],
        done: set[int],
        out_of_turn: set[int],
    ) -> None:
        tenures = self.tenures[line.partition]
        tenure = tenures.setdefault(line.generation, Tenure(member))
        if tenure.owner != member:
            text = f"generation {line.generation} of partition {line.partition} has two owners"
            self._verdict.find("strange", text)
        if line.what in ENDS:
            tenure.end = line.what
            return
        stored = self._positions.get(line.position)
        if stored is None or stored.value != line.value:
            self._verdict.find("strange", f"{line} is {stored} in the log")
            return
        if of.setdefault(line.position, line.partition) != line.partition:
            self._verdict.find("strange", f"{line} was one of partition {of[line.position]}")
        if line.what != "began":
            done.add(line.position)
        if line.position not in out_of_turn:
            (tenure.began if line.what == "began" else tenure.done).append(line)

    def _course(self, partition: int, mine: Sequence[int], tenures: Mapping[int, Tenure]) -> None:
        """Follows a partition from one owner to the next."""
        places = {position: place for place, position in enumerate(mine)}
        floor = reached = 0  # where the next one begins at the earliest, and at the latest
        for generation, tenure in sorted(tenures.items()):
            name = f"partition {partition} in generation {generation}"
            began = [places[line.position] for line in tenure.began]
            self._order(name, began)
            self._zombie(name, generation, tenure, tenures)
            if began:
                if began[0] > reached:
                    text = f"{name} begins at {mine[began[0]]}, behind {mine[reached]}"
                    self._verdict.find("skipped", text, began[0] - reached)
                if began[0] < floor:
                    text = f"{name} begins at {mine[began[0]]}, and {mine[floor - 1]} was written"
                    self._verdict.find("duplicated", text, floor - began[0])
                repeated = max(reached - began[0], 0)
                self.again = [self.again[0] + repeated, max(self.again[1], repeated)]
            done = [places[line.position] + 1 for line in tenure.done]
            reached = max([reached, *done])
            if tenure.end == "gave":
                floor = max([floor, *done[-1:]])
            floor = max(floor, reached - AGAIN)

    def _order(self, name: str, began: Sequence[int]) -> None:
        """A generation handles one event after the other, and leaves none out."""
        for before, after in pairwise(began):
            if after <= before:
                self._verdict.find("reordered", f"{name}: {after} after {before}")
            elif after > before + 1:
                text = f"{name}: {after} comes after {before}"
                self._verdict.find("skipped", text, after - before - 1)

    def _zombie(
        self, name: str, generation: int, tenure: Tenure, tenures: Mapping[int, Tenure]
    ) -> None:
        """Behind the first event of the next owner, at most the one in hand is handled."""
        following = [
            line.at
            for number, other in tenures.items()
            if number > generation
            for line in other.began[:1]
        ]
        if following:
            late = [line for line in tenure.began if line.at > min(following)]
            self.zombies += len(late[:1])
            if late[1:]:
                text = f"{name} goes on when another one has it: {late[:5]}"
                self._verdict.find("strange", text, len(late) - 1)

    @property
    def generations(self) -> int:
        """How often a partition was taken."""
        return sum(map(len, self.tenures.values()))
