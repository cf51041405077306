"""Followers that start before, during and after the writers: each sees all that is for it, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from time import monotonic, sleep

from eventuali import sync
from reliability import server
from reliability.checker import check
from reliability.following import END, RARE, STREAMS, events_with_tags, filters, judge
from reliability.history import History, Recorder, Write
from reliability.processes import Child
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import log_of, recorded, stream_of, writes_from

_PROCESSES, _TASKS = 2, 4
_BEFORE, _DURING, _AFTER = 3, 3, 2
_BETWEEN_RESTARTS_S = 0.5
"""On average; each time another one is killed."""
_SLOWLY, _BETWEEN_COMMITS_S = 12, 0.4
"""So many commits come last, one by one, so long apart at most: to followers that are live."""


class _Follower:
    """A name, its filter, and the process that follows under it now."""

    def __init__(self, job: Job, url: str, number: int, chance: Random) -> None:
        self.name = f"follower-{number}"
        # Each run has some that look at everything, and some that almost nothing is for.
        some = [["all"], RARE, filters(), filters()][number % 4]
        self.which = chance.choice(some)
        self.file = job.folder / self.name
        self.file.touch()
        self.lives = 0
        self._job = job
        self._url = url
        self.begin()

    def begin(self) -> None:
        """Starts the next life."""
        self.lives += 1
        self._ready = False
        seed = f"{self._job.seed}/{self.name}/{self.lives}"
        words = (self._url, self.name, self.which, seed, self.file)
        self.child = Child(
            *("-m", "reliability.children.follower", *words),
            package=self._job.package,
            env=self._job.env,
        )

    def ready(self) -> None:
        """Waits until it is about to follow."""
        if not self._ready:
            self.child.line()
            self._ready = True

    def restart(self) -> None:
        """Kills it, and starts the next life, unless it has seen the end."""
        if self.child.process.poll() is None:
            self.child.kill()
            self._job.report.expect(not self.child.stderr, self.child.stderr)
            self.begin()


def run(job: Job, url: str) -> None:
    """Lets as many events be appended as there are cycles, while followers come and go."""
    report, chance, history = job.report, job.chance("followers"), History()
    sync.EventStore.create(url).close()
    followers: list[_Follower] = []

    def more(count: int) -> None:
        for _ in range(count):
            followers.append(_Follower(job, url, len(followers), chance))

    more(_BEFORE)
    for follower in followers:
        follower.ready()  # so that some are live when the first events come
    each = job.cycles // _PROCESSES
    words = ("-m", "reliability.children.producer", url, job.seed)
    writers = [Child(*words, number, _TASKS, each) for number in range(_PROCESSES)]
    try:
        appended = _take(history, writers)
        restart = monotonic()
        while any(writer.process.poll() is None for writer in writers):
            sleep(0.02)
            appended += _take(history, writers)
            if len(followers) == _BEFORE and appended * 3 >= job.cycles:
                more(_DURING)
            if appended and monotonic() > restart:
                restart = monotonic() + chance.expovariate(1 / _BETWEEN_RESTARTS_S)
                chance.choice(followers).restart()
        more(_BEFORE + _DURING + _AFTER - len(followers))
        for writer in writers:
            ended = writer.end()
            report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        _finish(job, url, history, followers)
    finally:
        for child in [*writers, *(follower.child for follower in followers)]:
            if child.process.poll() is None:
                child.kill()


def _take(history: History, writers: list[Child]) -> int:
    """Takes what writers have said up to now; returns how many events were acknowledged."""
    acked = 0
    for number, writer in enumerate(writers):
        for line in writer.waiting():
            if history.feed(line, number)["is"] == "acked":
                acked += history.appends[-1].size
    return acked


def _finish(job: Job, url: str, history: History, followers: list[_Follower]) -> None:
    """Appends the last events, waits until everybody has seen them, and judges."""
    report, chance = job.report, job.chance("last")
    recorder = Recorder(lambda line: history.feed(line, "last"))
    make = writes_from(_PROCESSES * _TASKS, chance)
    for follower in followers:
        follower.ready()
    with sync.EventStore.create(url) as store:

        def append(write: Write) -> None:
            with recorded(recorder, write) as told:
                given = events_with_tags(write.values)
                told(store.append(given, stream=stream_of(write.stream)))

        for _ in range(_SLOWLY):
            sleep(chance.uniform(0, _BETWEEN_COMMITS_S))
            append(make(chance.choice(STREAMS), 50))
        for number, stream in enumerate(STREAMS):
            append(Write(stream, END + number, 1))
        log = log_of(store)
    report.verdict.add(check(history, log))
    again, limit = 0, monotonic() + 15
    ways: Counter[str] = Counter()
    for follower in followers:
        if job.fault:
            _give_up(follower, limit)  # one that has lost the last events would wait for ever
        else:
            ended = follower.child.end(120)
            report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        lines = follower.file.read_bytes().splitlines(keepends=True)
        again += judge(report.verdict, follower.name, follower.which, log, lines)
        report.count("seen", sum(line[:1].isdigit() for line in lines))
        ways.update(" ".join(line.decode().split()[:2]) for line in lines if line[:1] in b"lrck")
    report.extras |= {
        "filters": [follower.which for follower in followers],
        "lives": [follower.lives for follower in followers],
        "ways": dict(sorted(ways.items())),
        "again_after_a_crash": again,
    }
    report.done = len(log) - len(STREAMS)


def _give_up(follower: _Follower, limit: float) -> None:
    while follower.child.process.poll() is None and monotonic() < limit:
        sleep(0.05)
    follower.child.kill()


def on_sqlite(job: Job) -> None:
    """Two processes write one file."""
    run(job, str(job.folder / "events.db"))


def on_postgres(job: Job) -> None:
    """Two processes write one database."""
    job.report.backend = "postgres"
    try:
        with server.database(job.folder) as url:
            run(job, url)
    except server.NoServerError as error:
        job.report.not_run = str(error)


def _scenario(name: str, about: str, run: Callable[[Job], None]) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        run=run,
        cycles=200_000,
        quick=4_000,
        faults=(
            Fault("live-from-signal", 4_000, "skipped"),
            Fault("ack-when-handed-out", 4_000, "skipped", built=False),
        ),
    )


SCENARIO = _scenario(
    "follow",
    "followers by name, leaving in every way or killed, beside 8 writers on one file",
    on_sqlite,
)
ON_POSTGRES = _scenario("follow-postgres", "the same on PostgreSQL", on_postgres)
