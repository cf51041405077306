"""How long it takes until others handle what a member had that left, or was killed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Event, Thread
from time import monotonic, monotonic_ns, sleep

from reliability.consuming import Duty, Judge
from reliability.course import Nursery
from reliability.crew import Crew, Member, Source, Watch, on_postgres, place
from reliability.processes import HangError
from reliability.scenario import Job, Scenario

_LEASE_S = 1.0
_LEAVE_MS, _KILL_MS = 200, 1000 * (_LEASE_S + 1)
"""Half of the members who leave, and of those who are killed, are followed sooner."""
_MEMBERS, _PARTITIONS = 3, 8
_STREAMS = tuple(f"s-{number}" for number in range(64))
_EVERY_S = 0.02
"""How often each partition gets an event."""
_PATIENCE_S = 60


def run(job: Job, postgres: bool) -> None:
    """Has members leave and kills others, in turn, and looks when each partition goes on."""
    report, chance = job.report, job.chance("members")
    took: dict[str, list[float]] = {"leave": [], "kill": []}
    taken: dict[str, list[float]] = {"leave": [], "kill": []}
    with (
        Nursery(job, child="consumer") as nursery,
        place(job, "handover", postgres=postgres) as (url, records),
        Source(url, job.chance("source")) as source,
        Crew(job, nursery) as crew,
        Watch(job, records) as watch,
    ):
        duty = Duty(url, lease=_LEASE_S, pause=0.001)
        for _ in range(_MEMBERS):
            crew.join(duty, wait=True)
        watch.settle(_MEMBERS)
        with _Trickle(source, _one_a_partition(source, crew)):
            while report.done < job.cycles:
                how = "kill" if report.done % 2 else "leave"
                watch.settle(_MEMBERS)
                sleep(chance.uniform(0.1, 0.4))
                member = chance.choice(crew.alive("joined"))
                went_on, until_taken = _hand_over(crew, watch, member, how)
                took[how].append(went_on)
                taken[how].append(until_taken)
                crew.join(duty, wait=True)
                crew.gone()
                report.cycle()
        crew.finish(source.acked)
        crew.dismiss()
        log = source.check(job)
    judge = Judge(report.verdict, log, [member.lines for member in crew.members])
    judge.judge()
    report.extras["again"] = judge.again[0]
    for how, limit in (("leave", _LEAVE_MS), ("kill", _KILL_MS)):
        found = sorted(took[how])
        if found:
            report.extras[f"{how}_ms"] = _shown(found)
            report.extras[f"{how}_until_taken_ms"] = _shown(sorted(taken[how]))
            report.extras[f"{how}_above_{limit:.0f}_ms"] = sum(each > limit for each in found)
            half = found[len(found) // 2]
            report.expect(half <= limit, f"{how}: {half:.0f} ms")


def _shown(found: Sequence[float]) -> list[int]:
    """Returns median, 99 % and the longest."""
    return [
        round(each) for each in (found[len(found) // 2], found[len(found) * 99 // 100], found[-1])
    ]


def _one_a_partition(source: Source, crew: Crew) -> list[str]:
    """Returns a stream of each partition."""
    streams = dict(zip(source.append_each(_STREAMS), _STREAMS, strict=True))
    crew.finish(source.acked)
    found: dict[int, str] = {}
    for member in crew.members:
        for line in member.lines.lines:
            if line.value in streams:
                found[line.partition] = streams[line.value]
    assert len(found) == _PARTITIONS, found
    return list(found.values())


def _hand_over(crew: Crew, watch: Watch, member: Member, how: str) -> tuple[float, float]:
    """Ends a member; returns after how many ms the last of its partitions went on, and was taken.

    The second says what a group does; the first waits for an event, too.
    """
    crew.read()
    owned: dict[int, int] = {}
    for each in crew.members:
        for line in each.lines.lines[-2_000:]:
            if line.what == "began":
                owned[line.partition] = max(owned.get(line.partition, 0), line.generation)
    last = {(line.partition, line.generation) for line in member.lines.lines[-2_000:]}
    owned = {number: of for number, of in owned.items() if (number, of) in last}
    began, marks = monotonic_ns(), {each.lines.file: len(each.lines.lines) for each in crew.members}
    if how == "leave":
        crew.leave(member)
    else:
        crew.kill(member)
    limit, went_on = monotonic() + _PATIENCE_S, dict.fromkeys(owned, 0)
    by: dict[int, int] = {}
    while not all(went_on.values()):
        if monotonic() > limit:
            raise HangError(f"partitions that nobody handles: {owned}, {went_on}")
        sleep(0.01)
        crew.read()
        for each in crew.members:
            for line in each.lines.lines[marks[each.lines.file] :]:
                number = line.partition
                if line.what == "began" and line.generation > owned.get(number, line.generation):
                    went_on[number] = min(went_on[number] or line.at, line.at)
                    by[number] = min(by.get(number, line.generation), line.generation)
    sleep(0.05)  # so that it has been seen
    taken = [at for at, number, generation in watch.changes if by.get(number) == generation]
    return (
        (max(went_on.values(), default=began) - began) / 1e6,
        (max(taken, default=began) - began) / 1e6,
    )


class _Trickle:
    """Appends an event for each partition, all the while."""

    def __init__(self, source: Source, streams: Sequence[str]) -> None:
        self._source = source
        self._streams = streams
        self._stop = Event()
        self._thread = Thread(target=self._work)

    def _work(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._source.append_each(self._streams)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


SCENARIO = Scenario(
    name="handover",
    about="how long until others handle what a member had that left or was killed",
    run=lambda job: run(job, False),
    cycles=100,
    quick=0,
)
ON_POSTGRES = Scenario(
    name="handover-postgres",
    about="the same on PostgreSQL",
    run=partial(on_postgres, run=run),
    cycles=SCENARIO.cycles,
    quick=0,
)
