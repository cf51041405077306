"""How fast Eventuali is, beside its peers and beside what bounds it.

make bench                                  five rounds, some minutes; writes docs/benchmarks.md
make bench ARGS="--rounds 9 --only load"    a part of it, more often; writes nothing
make bench ARGS="--only postgres"           PostgreSQL alone
make bench ARGS="--compare HEAD~5"          an earlier commit beside the working tree
make bench ARGS="--compare HEAD~5 HEAD~1"   two commits
make bench ARGS=--scale                     beside 10,000,000 stored events; writes a page, too
make bench ARGS=--following                 from a commit to a handler; writes a page, too
make bench ARGS=--queries                   among 1,000,000 events; writes a page, too
make bench ARGS=--read-models               folding, rebuilding, finding; writes a page, too
make bench ARGS=--contention                one hot aggregate; writes a page, too
make bench ARGS=--consumer-groups           a backlog and its members; writes a page, too
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from reliability.server import NoServerError, any_server

from benchmarks import comparison, consumer_groups, contention, page, queries, read_models, scale
from benchmarks.commits import environment
from benchmarks.machine import busy, machine
from benchmarks.rounds import Measurement, Results
from benchmarks.rows import FLUSH, GROUPS, NAMES, ON_POSTGRES, OURS, PG, WAKE, Group
from benchmarks.workers import ROOT, Refused, Worker, in_python, in_rust

DATA = ROOT / "target" / "bench"
"""Databases lie on the disk of the working tree, for /tmp is often none."""
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = PAGE.with_suffix(".svg")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Returns what was asked for."""
    assert __doc__ is not None  # noqa: S101
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose titles contain it")
    parser.add_argument("--compare", nargs="+", metavar="COMMIT", help="one commit, or two")
    parser.add_argument("--scale", action="store_true", help="what 10,000,000 stored events cost")
    parser.add_argument("--following", action="store_true", help="what following the log costs")
    parser.add_argument("--queries", action="store_true", help="what queries and conditions cost")
    parser.add_argument("--read-models", action="store_true", help="what read models cost")
    parser.add_argument("--contention", action="store_true", help="what one hot aggregate costs")
    parser.add_argument("--consumer-groups", action="store_true", help="what more members bring")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round, no page")
    given = parser.parse_args(words)
    if given.rounds < 1:
        parser.error("--rounds counts from 1")
    if given.compare and len(given.compare) > 2:
        parser.error("--compare takes one commit or two")
    return given


def chosen(word: str) -> list[Group]:
    """Returns the groups that have a row with `word` in its title, and the flush."""
    word = word.lower()
    found = [
        group
        for group in (*GROUPS, *ON_POSTGRES)
        if any(word in row.title.lower() for row in group.rows)
    ]
    if not found:
        raise SystemExit(f"no row has {word!r} in its title")
    return [FLUSH, *found]


def peers(
    stack: ExitStack, groups: Sequence[Group], folder: Path, *, smoke: bool
) -> tuple[list[Worker], list[str]]:
    """Starts whom `groups` ask for; returns them, and a sentence for each that is not to be had."""
    asked = {group.ours for group in groups if group.rows}
    asked |= {peer for group in groups for peer in group.peers}
    if smoke:
        asked &= {OURS, "plain", PG, "pg_raw"}
    workers: list[Worker] = []
    absent: list[str] = []

    def start(name: str, *words: str) -> None:
        try:
            workers.append(stack.enter_context(in_python(name, name, *words)))
        except Refused as refused:
            absent.append(
                f"{NAMES[name]} could not be had here, so it was not measured: {refused}."
            )

    for name in (name for name in (OURS, "s", "uma", "plain") if name in asked):
        start(name)
    if PG in asked:
        try:
            url = stack.enter_context(any_server(folder / "server"))
        except NoServerError as error:
            absent.append(f"PostgreSQL could not be had here, so it was not measured: {error}")
        else:
            for name in (name for name in (PG, "pg_s", "pg_raw") if name in asked):
                start(name, url)
            absent.append(WAKE)
    if asked & {"raw", "core"}:
        workers += [stack.enter_context(worker) for worker in in_rust()]
    return workers, absent


def beside_peers(given: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    """Measures us beside everybody else."""
    facts = machine(DATA)
    groups = chosen(given.only)
    workers, absent = peers(stack, groups, folder, smoke=given.smoke)
    there = {worker.name for worker in workers}
    groups = [group for group in groups if not group.rows or group.ours in there]
    measurement = Measurement(groups, workers, folder, smoke=given.smoke)
    before = busy()
    results = measurement.run(1 if given.smoke else given.rounds)
    facts["load average"] = f"{before} when it began, {busy()} when it ended; alone it is about 1"
    print(page.terminal(results, facts, absent))
    if not given.smoke and not given.only:
        write(results, facts, absent)


def write(results: Results, facts: dict[str, str], absent: Sequence[str]) -> None:
    """Writes the page and its plot."""
    from benchmarks.plot import draw  # needs matplotlib, which a smoke run does without

    draw(results, PLOT)
    PAGE.write_text(page.markdown(results, facts, absent, PLOT.name), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")


def beside_commits(given: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    """Measures commits of our own beside each other, or one beside the working tree."""
    workers = []
    for commit in given.compare:
        revision, python = environment(commit)
        workers.append(stack.enter_context(in_python(f"{OURS}@{revision}", OURS, python=python)))
    if len(workers) == 1:
        workers.append(stack.enter_context(in_python(f"{OURS}@tree", OURS)))
    if workers[0].name == workers[1].name:
        raise SystemExit("both are the same commit")
    groups = [group for group in chosen(given.only)[1:] if group.ours == OURS]
    if not groups:
        raise SystemExit("commits are compared on SQLite only")
    measurement = Measurement(groups, workers, folder, tolerant=True)
    results = measurement.run(given.rounds)
    print(comparison.table(results, workers[0].name, workers[1].name, machine(DATA)))


def main(words: Sequence[str] | None = None) -> None:
    """Measures and tells."""
    given = arguments(words)
    DATA.mkdir(parents=True, exist_ok=True)
    if given.scale:
        return scale.run(DATA)
    if given.queries:
        return queries.run(DATA)
    if given.read_models:
        return read_models.run(DATA)
    if given.contention:
        return contention.run(DATA)
    if given.consumer_groups:
        return consumer_groups.run(DATA)
    if given.following:
        from benchmarks import (
            following,
        )  # brings UmaDB, which only the environment of make bench has

        return following.run(DATA)
    folder = Path(tempfile.mkdtemp(prefix=f"data-{os.getpid()}-", dir=DATA))
    try:
        with ExitStack() as stack:
            (beside_commits if given.compare else beside_peers)(given, folder, stack)
    except Refused as refused:
        raise SystemExit(str(refused)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
