"""Events that end processes, or whose handler always fails: parked, edited, and handled again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import monotonic, sleep

from eventuali.group import DeadLetter
from reliability.children.consumer import MENDED
from reliability.consuming import GROUP, Duty, Judge
from reliability.course import Nursery
from reliability.crew import Crew, Source, Watch, on_postgres, place
from reliability.history import Stored
from reliability.processes import HangError
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import Noted, log_of

_DEADLY = ("exits", "aborts", "hoards")
_GENTLE = ("raises", "no-memory")
_LEASE_S = 0.4
_LONG_LEASE_S = 10.0
"""Where no process ends: a busy machine must not cost a lease then, or events come again."""
_STREAMS, _EVENTS = 20, 8
_ALL = tuple(f"s-{number}" for number in range(_STREAMS))
_AT_ONCE = 3
"""So many events of a round can't be handled."""
_MEMBERS = 2
_RETRIES = 2
_CRASHES = 5
"""After so many ends of a process an event is parked."""
_DEATHS = 2 * _CRASHES
"""So many ends of a process an event may cost: some come before it is tried by itself."""
_KILLS = 3
_PATIENCE_S = 60
_SETTLE_FIRST = "settle-first"


@dataclass
class _Round:
    """One log with some events that can't be handled.

    Attributes:
        special: What happens to them, by value.
        rough: Whether processes end; else everything has to be handled once.
        held_back: The values of the events behind those in their streams.
        state: How many were handled, and how many processes had ended, at the last look.
    """

    job: Job
    chance: Random
    source: Source
    crew: Crew
    rough: bool
    special: dict[int, str] = field(default_factory=dict)
    held_back: set[int] = field(default_factory=set)
    state: tuple[int, int] = (0, 0)

    def fill(self, poisons: int) -> None:
        """Appends events, and chooses among them."""
        streams = _ALL
        values: dict[str, list[int]] = defaultdict(list)
        for _ in range(_EVENTS):
            for stream in self.chance.sample(streams, _STREAMS):
                values[stream] += self.source.append(stream, 1)
        fault = self.job.fault
        kinds: Sequence[str] = _DEADLY + _GENTLE if self.rough else _GENTLE
        kinds = _DEADLY if fault == "not-careful" else _GENTLE if fault else kinds
        for stream in self.chance.sample(streams, poisons):
            place = self.chance.randrange(_EVENTS - 1)
            poison, *behind = values[stream][place:]
            self.special[poison] = self.chance.choice(kinds)
            self.held_back.update(behind)
            self.job.report.count(self.special[poison])

    def duty(self, pause: float, *, parks: bool = True) -> Duty:
        """What members are told."""
        return Duty(
            self.source.url,
            lease=_LEASE_S if self.rough else _LONG_LEASE_S,
            pause=pause,
            threads=self.chance.random() < 0.4,
            retries=_RETRIES,
            parks=parks,
            special={str(value): kind for value, kind in self.special.items()},
        )

    def scout(self) -> dict[str, int]:
        """Returns the partition of each stream, of which one event is handled."""
        values = {self.source.append(stream, 1)[0]: stream for stream in _ALL}
        self.crew.join(self.duty(0.004))
        self.crew.finish(self.source.acked)
        self.crew.dismiss()
        lines = [line for member in self.crew.members for line in member.lines.lines]
        return {values[line.value]: line.partition for line in lines if line.value in values}

    def stand(self, partitions: dict[str, int]) -> None:
        """Lets members handle what they can who park nothing, and looks at what they say."""
        log = log_of(self.source.store)
        of = {event.value: partitions[event.stream] for event in log}
        at: dict[int, Stored] = {}  # where each partition stops
        for event in log:
            if event.value in self.special:
                at.setdefault(of[event.value], event)
        reached = {
            event.value
            for event in log
            if (stop := at.get(of[event.value])) is None or event.position < stop.position
        }
        for _ in range(_MEMBERS):
            self.crew.join(self.duty(0.004, parks=False))
        self.crew.finish(sorted(reached))
        limit = monotonic() + _PATIENCE_S
        while self._tries(at) < (_RETRIES + 1) * len(at):
            if monotonic() > limit:
                raise HangError(f"{self.special} are not tried {_RETRIES + 1} times")
            sleep(0.02)
            self.crew.read()
        sleep(1)  # the last one is about to fail
        self.crew.dismiss()
        stands = {(partition, position) for partition, position, _ in self.crew.stands}
        due = {(partition, event.position) for partition, event in at.items()}
        report = self.job.report
        report.expect(stands == due, f"{self.crew.stands}, not {due}")
        errors = [error for *_, error in self.crew.stands if "Oops" in error or "Memory" in error]
        report.expect(len(errors) == len(at), f"{self.crew.stands}: why?")
        beyond = self.crew.done - reached
        report.expect(not beyond, f"handled, though they come behind: {beyond}")
        report.count("stood", len(stands))

    def _tries(self, at: dict[int, Stored]) -> int:
        """How often those were begun at which partitions stop."""
        values = {event.value for event in at.values()}
        lines = [line for member in self.crew.members for line in member.lines.lines]
        return sum(line.what == "began" and line.value in values for line in lines)

    def park(self) -> bool:
        """Lets members handle everything else; whether they came to an end."""
        parked = self.special.keys() | self.held_back
        letters = self.source.store.dead_letters(GROUP)
        wanted, moved = set(self.source.acked) - parked, monotonic()
        most = _DEATHS * sum(kind in _DEADLY for kind in self.special.values())
        while not wanted <= self.crew.done or (
            len(letters.list(limit=1000)) + len(self.crew.done & self.held_back) < len(parked)
        ):
            self._replace(0.004)
            if self.crew.deaths > most:
                text = f"not parked after {self.crew.deaths} deaths: {self.special}"
                self.job.report.find("wrong", text)
                return False
            moved = self._progress(moved)
        if not self.rough:
            self.job.report.expect(
                not self.crew.deaths, f"{self.crew.deaths} deaths of {self.special}"
            )
        return True

    def _replace(self, pause: float) -> None:
        """Has others join for those who have ended."""
        while len(self.crew.alive("joining", "joined")) < _MEMBERS:
            self.crew.join(self.duty(pause))
        sleep(0.02)

    def _progress(self, moved: float) -> float:
        """Returns when something was handled last, or somebody died."""
        before, self.state = self.state, (self.crew.read(), self.crew.deaths)
        if self.state != before:
            return monotonic()
        if monotonic() - moved > _PATIENCE_S:
            raise HangError(f"nothing is handled, and nothing is parked: {self.special}")
        return moved

    def judge_letters(self, log: Sequence[Stored]) -> list[DeadLetter]:
        """Holds the letters against what was chosen."""
        letters = self.source.store.dead_letters(GROUP).list(limit=1000)
        values = {event.position: event.value for event in log}
        found = {values[letter.position]: letter for letter in letters}
        strange = found.keys() - self.special.keys() - self.held_back
        report = self.job.report
        report.expect(not strange, f"parked, though they are handled: {strange}")
        for value, letter in found.items():
            kind = self.special.get(value)
            reason, tries = "held back", 0
            if kind in _DEADLY:
                reason, tries = "crashed", _CRASHES
            elif kind is not None:
                reason, tries = "failed", _RETRIES + 1
            # A process may have ended between two tries, by what another one handled.
            more = self.rough and kind is not None and letter.tries > tries
            told = (letter.reason, tries if more else letter.tries)
            report.expect(told == (reason, tries), f"{value}, which {kind}: {letter}")
            if kind in _GENTLE:
                word = "Oops" if kind == "raises" else "MemoryError"
                where = word in letter.error and "consumer.py" in letter.trace
                report.expect(where, f"{value}, which {kind}: {letter}")
        return letters

    def mend(self, letters: Sequence[DeadLetter], log: Sequence[Stored]) -> None:
        """Edits what can't be handled, and has all of them replayed, in new processes."""
        desk = self.source.store.dead_letters(GROUP)
        values = {event.position: event.value for event in log}
        for letter in letters:
            if values[letter.position] in self.special:
                desk.edit(letter.position, Noted(value=values[letter.position], text=MENDED))
        asked = desk.replay_all()
        self.job.report.expect(asked == len(letters), f"{asked} of {len(letters)} replayed")
        kills, moved = _KILLS if self.rough or self.job.fault == _SETTLE_FIRST else 0, monotonic()
        while letters := desk.list(limit=1000):
            given_up = [letter for letter in letters if not letter.again]
            if given_up:
                self.job.report.find("wrong", f"given up again: {given_up}")
                return
            self._replace(0.1)
            moved = self._progress(moved)
            if kills and self._is_replaying(len(letters)):
                self.crew.kill(self.chance.choice(self.crew.alive("joined")))
                self.job.report.count("kills")
                kills -= 1

    def _is_replaying(self, letters: int) -> bool:
        """Waits for a moment to kill somebody who handles letters."""
        before = len(self.crew.done)
        sleep(self.chance.uniform(0, 0.3))
        self.crew.read()
        return bool(self.crew.alive("joined")) and len(self.crew.done) > before and letters > 0

    def judge(self, log: Sequence[Stored]) -> None:
        """Everything is handled in the order of its stream, and poison only as it was edited."""
        report, verdict = self.job.report, self.job.report.verdict
        judge = Judge(verdict, log, [member.lines for member in self.crew.members])
        judge.judge(replayed=self.special.keys() | self.held_back)
        lines = [line for member in self.crew.members for line in member.lines.lines]
        done = [line for line in lines if line.what in ("done", "mended")]
        done.sort(key=lambda line: line.at)
        for line in done:
            right = (line.what == "mended") == (line.value in self.special)
            report.expect(right, f"{self.special.get(line.value)}: {line}")
        first: dict[str, int] = defaultdict(int)
        streams = {event.value: (event.stream, event.version) for event in log}
        seen: set[int] = set()
        for line in done:
            stream, version = streams[line.value]
            if line.value not in seen and version != first[stream] + 1:
                text = f"{stream}: version {version} was handled behind {first[stream]}"
                verdict.find("reordered", text)
            first[stream] = max(first[stream], version)
            seen.add(line.value)
        twice = {value: n for value, n in Counter(line.value for line in done).items() if n > 1}
        report.count("again", sum(twice.values()) - len(twice))
        if twice and not self.rough:
            verdict.find("duplicated", f"handled more than once: {twice}", len(twice))


def run(job: Job, postgres: bool) -> None:
    """Chooses as many events that can't be handled as there are cycles, some in each round."""
    report = job.report
    with Nursery(job, child="consumer") as nursery:
        number = 0
        while report.done < job.cycles:
            poisons = min(_AT_ONCE, job.cycles - report.done)
            with (
                place(job, f"poison{number}", postgres=postgres) as (url, records),
                Source(url, job.chance("source", number)) as source,
                Crew(job, nursery) as crew,
                Watch(job, records),
            ):
                rough = (number % 3 != 2 and not job.fault) or job.fault == "not-careful"
                chance = job.chance("round", number)
                _live(_Round(job, chance, source, crew, rough), poisons)
            for _ in range(poisons):
                report.cycle()
            number += 1


def _live(round_: _Round, poisons: int) -> None:
    partitions = {} if round_.rough else round_.scout()
    round_.fill(poisons)
    if partitions:
        round_.stand(partitions)
    if not round_.park():
        return
    round_.crew.dismiss()
    log = round_.source.check(round_.job)
    letters = round_.judge_letters(log)
    round_.mend(letters, log)
    round_.crew.dismiss()
    round_.judge(log)
    round_.job.report.count("letters", len(letters))
    round_.job.report.count("deaths", round_.crew.deaths)


SCENARIO = Scenario(
    name="crash-poison",
    about="events that end processes or always fail: parked, edited, replayed across kills",
    run=lambda job: run(job, False),
    cycles=45,
    quick=1,
    faults=(
        Fault("not-careful", 1, "wrong", built=False),
        Fault("no-holding-back", 3, "reordered", built=False),
        Fault(_SETTLE_FIRST, 3, "lost", built=False),
    ),
)
ON_POSTGRES = Scenario(
    name="crash-poison-postgres",
    about="the same on PostgreSQL",
    run=partial(on_postgres, run=run),
    cycles=SCENARIO.cycles,
    quick=0,
    faults=SCENARIO.faults,
)
