"""A follower that is slow only lags: its memory stays bounded, and others are on time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from eventuali import sync
from reliability import server
from reliability.processes import Child
from reliability.scenario import Job, Scenario

_SLEEP_MS = 5
_GROWN_BYTES = 64 << 20
_LAG_S = 2.0
_FAST = 2


def run(job: Job, url: str) -> None:
    """Appends as many events as there are cycles, beside one slow follower and some fast ones."""
    report, stop = job.report, job.folder / "stop"
    sync.EventStore.create(url).close()
    words = ("-m", "reliability.children.laggard", url)
    followers = [
        Child(*words, "follow", ms, stop, package=job.package, env=job.env)
        for ms in (_SLEEP_MS, *[0] * _FAST)
    ]
    try:
        for child in followers:
            report.expect(child.line() == "ready\n", child.stderr)
        ended = Child(*words, "append", job.cycles, package=job.package, env=job.env).end(900)
        report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        slow, *fast = followers
        told = [_told(job, child) for child in fast]
        stop.touch()
        asleep = _told(job, slow)
    finally:
        for child in followers:
            if child.process.poll() is None:
                child.kill()
    report.done = job.cycles
    report.extras |= {
        "slow_saw": asleep["seen"],
        "slow_grew_mib": round(asleep["grown"] / 2**20, 1),
        "fast_grew_mib": [round(each["grown"] / 2**20, 1) for each in told],
        "fast_lagged_s": [round(each["lag_s"], 2) for each in told],
    }
    report.expect(asleep["grown"] <= _GROWN_BYTES, f"the slow one grew by {asleep['grown']} bytes")
    for each in told:
        report.expect(each["seen"] == job.cycles, f"a fast one saw {each['seen']}")
        report.expect(each["lag_s"] < _LAG_S, f"a fast one lagged by {each['lag_s']:.2f} s")


def _told(job: Job, child: Child) -> dict[str, Any]:
    ended = child.end(60)
    job.report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def on_sqlite(job: Job) -> None:
    """On one file."""
    run(job, str(job.folder / "events.db"))


def on_postgres(job: Job) -> None:
    """On one database."""
    job.report.backend = "postgres"
    try:
        with server.database(job.folder) as url:
            run(job, url)
    except server.NoServerError as error:
        job.report.not_run = str(error)


def _scenario(name: str, about: str, run: Callable[[Job], None]) -> Scenario:
    return Scenario(name=name, about=about, run=run, cycles=200_000, quick=4_000)


SCENARIO = _scenario(
    "lag", "a follower that sleeps 5 ms an event of 4 KiB, beside two fast ones", on_sqlite
)
ON_POSTGRES = _scenario("lag-postgres", "the same on PostgreSQL", on_postgres)
