"""A file with a bit flipped, or cut short: the answers of before, or an error, never fewer."""

from __future__ import annotations

import json

from reliability.processes import Child
from reliability.scenario import Fault, Job, Scenario


def run(job: Job) -> None:
    """Damages as many copies as there are cycles."""
    words = (job.folder, f"{job.seed}/damage", job.cycles)
    child = Child("-m", "reliability.children.damager", *words, package=job.package, env=job.env)
    while (line := child.line(120)) is not None:
        _judge(job, json.loads(line))
        job.report.cycle()
    ended = child.end()
    job.report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
    job.report.expect(job.report.done == job.cycles, f"{job.report.done} copies")


def _judge(job: Job, copy: dict[str, object]) -> None:
    report, short, told = job.report, copy["short"], copy["told"]
    assert isinstance(short, list)
    assert isinstance(told, dict)
    for name, count in told.items():
        report.count(f"told_{name}", count)
    for about in short:
        report.count(f"short_{about}")
        report.verdict.find("lost", f"{about}: {copy['what']}")
    report.count("short" if short else "told" if told else "same")


SCENARIO = Scenario(
    name="damage",
    about="a bit of the file is flipped, or its end cut off; everything is asked",
    run=run,
    cycles=2500,
    quick=100,
    faults=(Fault("unchecked", 100),),
)
