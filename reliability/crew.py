"""A group whose members are processes, an eye on its records, and somebody who appends."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from threading import Event, Thread
from time import monotonic, monotonic_ns, sleep
from typing import Any, NamedTuple, Self

from eventuali import sync
from eventuali.errors import StorageBusyError
from eventuali.expected import StreamEvents
from reliability import server
from reliability.checker import check
from reliability.consuming import Duty, Lines
from reliability.course import Nursery
from reliability.history import History, Recorder, Stored
from reliability.processes import HangError
from reliability.scenario import Job
from reliability.workload import events_of, log_of, recorded, stream_of, writes_from

STREAMS = tuple(f"s-{number}" for number in range(40))
_LOOK_S = 0.005
_STALLED_S = 60
"""So long nothing is handled before that counts as a hang."""

_LEASES = "SELECT key, version, bytes FROM {} WHERE space = 'group lease'"
_FELL = "SELECT key, before, after FROM fell"
_ON_SQLITE = """
    CREATE TABLE fell (key TEXT, before INTEGER, after INTEGER);
    CREATE TRIGGER falls AFTER UPDATE ON records WHEN NEW.space = 'group checkpoint'
        AND json_extract(CAST(NEW.bytes AS TEXT), '$.position')
            < json_extract(CAST(OLD.bytes AS TEXT), '$.position')
    BEGIN
        INSERT INTO fell VALUES (
            NEW.key,
            json_extract(CAST(OLD.bytes AS TEXT), '$.position'),
            json_extract(CAST(NEW.bytes AS TEXT), '$.position')
        );
    END;
"""
_ON_POSTGRES = """
    CREATE TABLE fell (key TEXT, before BIGINT, after BIGINT);
    CREATE FUNCTION falls() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    DECLARE
        before BIGINT := convert_from(OLD.bytes, 'UTF8')::json ->> 'position';
        after BIGINT := convert_from(NEW.bytes, 'UTF8')::json ->> 'position';
    BEGIN
        IF after < before THEN
            INSERT INTO public.fell VALUES (NEW.key, before, after);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER falls AFTER UPDATE ON events_records FOR EACH ROW
        WHEN (NEW.space = 'group checkpoint') EXECUTE FUNCTION falls();
"""
"""The database itself writes down each checkpoint that falls: the next one comes soon."""


class Records(NamedTuple):
    """The records of a group, beside the store.

    Attributes:
        leases: Returns key, generation and bytes of each partition that was ever owned.
        fell: Returns key, position before and position after of each checkpoint that fell.
    """

    leases: Callable[[], list[Any]]
    fell: Callable[[], list[Any]]


@dataclass(slots=True)
class Member:
    """A member in a process of its own."""

    process: Any
    lines: Lines
    state: str = "joining"
    wakes: float = 0.0
    before: int = 0

    @property
    def handled(self) -> int:
        """How many lines it has written since it was stopped last."""
        return len(self.lines.lines) - self.before

    def is_joined(self) -> bool:
        """Whether it has joined by now."""
        if self.state == "joining" and any(line == "joined\n" for line in self.process.waiting()):
            self.state = "joined"
        return self.state == "joined"


class Crew:
    """The members, those who have gone included."""

    def __init__(self, job: Job, nursery: Nursery) -> None:
        """Nobody has joined."""
        self._job = job
        self._nursery = nursery
        self.members: list[Member] = []
        self.done: set[int] = set()
        self.lost = 0
        self.stands: list[tuple[int, int, str]] = []
        """Partition, position and error of each partition at which somebody stood who left."""

    def join(self, duty: Duty, *, wait: bool = False) -> Member:
        """Has a member join."""
        child, file = self._nursery.tell(duty.text())
        member = Member(child, Lines(file))
        self.members.append(member)
        if wait:
            self._job.report.expect(child.line() == "joined\n", child.stderr)
            member.state = "joined"
        return member

    def alive(self, *states: str) -> list[Member]:
        """Returns the members in some states; who has ended by itself is dead."""
        for member in self.members:
            if not member.is_joined() and member.state != "joining":
                continue
            if member.process.process.poll() is not None:
                member.state = "dead"
        return [member for member in self.members if member.state in states]

    def somebody(self, seconds: float = 60) -> list[Member]:
        """Returns those who have joined and go on, of whom there is one at the least.

        Raises:
            HangError: There is none in time.
        """
        limit = monotonic() + seconds
        while not (joined := self.alive("joined")):
            if monotonic() > limit:
                raise HangError("nobody has joined")
            self.wake()
            sleep(0.02)
        return joined

    def kill(self, member: Member) -> None:
        """Ends one as `kill -9` does."""
        member.process.kill()
        member.state = "killed"
        self._job.report.expect(not member.process.stderr, member.process.stderr)

    def stop(self, member: Member, seconds: float) -> None:
        """Stops one for so long."""
        member.process.process.send_signal(SIGSTOP)
        member.state, member.wakes = "stopped", monotonic() + seconds

    def wake(self, *, everybody: bool = False) -> None:
        """Has those go on whose time has come."""
        for member in self.members:
            if member.state == "stopped" and (everybody or monotonic() >= member.wakes):
                member.process.process.send_signal(SIGCONT)
                member.state, member.before = "joined", len(member.lines.lines)

    def leave(self, member: Member) -> None:
        """Tells one to leave."""
        member.process.process.send_signal(SIGTERM)
        member.state = "leaving"

    def gone(self, *, wait: bool = False) -> None:
        """Takes the last words of those who were told to leave."""
        for member in self.members:
            if member.state == "leaving" and (wait or member.process.process.poll() is not None):
                ended = member.process.end()
                member.state = "left"
                report = self._job.report
                report.expect((ended.code, ended.stderr) == (0, ""), ended)
                for line in ended.stdout.splitlines()[-1:]:
                    told = json.loads(line)
                    self.lost += told["lost"]
                    self.stands += map(tuple, told["stands"])

    @property
    def deaths(self) -> int:
        """How many ended by themselves."""
        return len(self.alive("dead"))

    def read(self) -> int:
        """Reads what was handled since; returns how many events were handled by now."""
        for member in self.members:
            told = member.lines.read()
            self.done |= {line.value for line in told if line.what in ("done", "mended")}
        return len(self.done)

    def finish(self, values: Sequence[int], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Waits until all of some events are handled.

        Raises:
            HangError: Nothing is handled any more.
        """
        wanted, before, moved = set(values), -1, monotonic()
        while not wanted <= self.done:
            meanwhile()
            sleep(0.02)
            count = self.read()
            if count != before:
                before, moved = count, monotonic()
            if monotonic() - moved > _STALLED_S:
                left = sorted(wanted - self.done)
                raise HangError(f"nothing is handled any more; {len(left)} are left: {left[:5]}")

    def dismiss(self) -> None:
        """Has everybody leave, and waits for that."""
        self.wake(everybody=True)
        for member in self.alive("joining"):
            self._job.report.expect(member.process.line() == "joined\n", member.process.stderr)
            member.state = "joined"  # before that, it would not know what it is told
        for member in self.alive("joined"):
            self.leave(member)
        self.gone(wait=True)
        self.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            if member.process.process.poll() is None:
                member.process.process.send_signal(SIGKILL)
                member.process.process.wait()


class Source:
    """Appends, in this thread or in one of its own, and knows what was acknowledged."""

    def __init__(self, url: str, chance: Random, streams: Sequence[str] = STREAMS) -> None:
        """Nothing is appended yet."""
        self.url = url
        self.store = sync.EventStore.create(url)
        self.acked: list[int] = []
        self._history = History()
        self._recorder = Recorder(lambda line: self._history.feed(line))
        self._chance = chance
        self._streams = streams
        self._make = writes_from(0, chance)
        self._stop = Event()
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    @property
    def next_value(self) -> int:
        """What the next event carries, where none was refused."""
        return len(self.acked) + 1

    def append(self, stream: str, most: int = 50) -> list[int]:
        """Appends 1 to so many events to a stream; returns their values, none where it failed."""
        write = self._make(stream, most)
        try:
            with recorded(self._recorder, write) as told:
                told(self.store.append(events_of(write), stream=stream_of(stream)))
        except StorageBusyError:
            return []  # somebody who was stopped has the lock of the file
        self.acked += write.values
        return list(write.values)

    def append_each(self, streams: Sequence[str]) -> list[int]:
        """Appends one event to each of some streams, in one commit; returns their values."""
        writes = [self._make(stream, 1) for stream in streams]
        given = [StreamEvents(stream_of(write.stream), events_of(write)) for write in writes]
        with recorded(self._recorder, *writes) as told:
            told(self.store.append(given))
        values = [write.first for write in writes]
        self.acked += values
        return values

    @contextmanager
    def beside(self, done: Callable[[], int], backlog: int, pause: float) -> Iterator[None]:
        """Appends all the while, for as long as fewer events than that wait to be handled.

        A commit comes so many seconds after the one before, at the most.
        """

        def work() -> None:
            try:
                while not self._stop.is_set():
                    if len(self.acked) - done() < backlog:
                        self.append(self._chance.choice(self._streams))
                    self._stop.wait(self._chance.uniform(0, pause))
            except BaseException as error:
                self._error = error

        self._thread = Thread(target=work)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def check(self, job: Job) -> list[Stored]:
        """Holds what was acknowledged against the log, and returns that."""
        log = log_of(self.store)
        job.report.verdict.add(check(self._history, log))
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


@dataclass
class Watch:
    """Looks at the leases of a group all the while, and in the end at what fell.

    Attributes:
        changes: When a partition was seen to have another generation: time, partition, generation.
        owners: Who owns each partition now; None where it is free.
    """

    job: Job
    records: Records
    changes: list[tuple[int, int, int]] = field(default_factory=list)
    owners: dict[int, str | None] = field(default_factory=dict)
    _known: dict[str, int] = field(default_factory=dict)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def look(self) -> None:
        """Looks once."""
        for key, generation, held in self.records.leases():
            before, number = self._known.get(key, 0), int(key.rpartition("/")[2])
            if generation < before:
                text = f"the generation of {key} fell from {before} to {generation}"
                self.job.report.verdict.find("reordered", text)
            if generation > before:
                self.changes.append((monotonic_ns(), number, generation))
            self._known[key] = generation
            self.owners[number] = json.loads(bytes(held))["owner"]

    def settled(self, members: int, partitions: int = 8) -> bool:
        """Whether so many members own their shares."""
        shares = Counter(owner for owner in self.owners.values() if owner is not None)
        total, counts = sum(shares.values()), shares.values()
        return (total, len(shares)) == (partitions, members) and max(counts) - min(counts) <= 1

    def settle(self, members: int, seconds: float = 60) -> None:
        """Waits until so many members own their shares.

        Raises:
            HangError: They don't in time.
        """
        limit = monotonic() + seconds
        while not self.settled(members):
            if monotonic() > limit:
                raise HangError(f"{members} members share no partitions: {self.owners}")
            sleep(_LOOK_S)

    def _work(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self.look()

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for key, before, after in self.records.fell():
            text = f"the checkpoint of {key} fell from {before} to {after}"
            self.job.report.verdict.find("reordered", text)


@contextmanager
def place(job: Job, name: str, *, postgres: bool) -> Iterator[tuple[str, Records]]:
    """Yields the address of a new store, and the records of its group.

    Raises:
        NoServerError: There is no server.
    """
    if postgres:
        with server.database(job.folder, f"_{name}") as url:
            sync.EventStore.create(url).close()
            with server.connect(url) as beside:
                beside.execute(_ON_POSTGRES.encode())

                def rows(statement: str) -> list[Any]:
                    return beside.execute(statement.encode()).fetchall()

                leases = _LEASES.format("events_records")
                yield url, Records(partial(rows, leases), partial(rows, _FELL))
    else:
        path = job.folder / f"{name}.db"
        sync.EventStore.create(path).close()
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with closing(connection) as opened:
            opened.executescript(_ON_SQLITE)

            def look(statement: str) -> list[Any]:
                return opened.execute(statement).fetchall()

            yield str(path), Records(partial(look, _LEASES.format("records")), partial(look, _FELL))


def on_postgres(job: Job, run: Callable[[Job, bool], None]) -> None:
    """Runs a scenario on PostgreSQL, where there is one."""
    job.report.backend = "postgres"
    try:
        run(job, True)
    except server.NoServerError as error:
        job.report.not_run = str(error)
