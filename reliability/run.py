"""The runner: `python -m reliability [SCENARIO …]`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from random import SystemRandom

from reliability import variant
from reliability.processes import HangError
from reliability.report import Report
from reliability.scenario import Fault, Job, Scenario
from reliability.scenarios import ALL


def main(words: list[str] | None = None) -> int:
    """Runs what is asked for; 0 where nothing is lost and every control is caught."""
    options = _options().parse_args(words)
    if options.list:
        for scenario in ALL:
            controls = ", ".join(fault.name for fault in scenario.faults)
            print(f"{scenario.name:14} {scenario.about}{f' [{controls}]' if controls else ''}")
        return 0
    chosen = [s for s in ALL if not options.scenarios or s.name in options.scenarios]
    if options.quick and not options.scenarios:
        chosen = [scenario for scenario in chosen if scenario.quick]
    strange = set(options.scenarios) - {scenario.name for scenario in ALL}
    if strange:
        print(f"no scenario {', '.join(sorted(strange))}; --list names them", file=sys.stderr)
        return 2
    seed = options.seed if options.seed is not None else SystemRandom().randrange(10**9)
    print(f"seed {seed}", file=sys.stderr)
    package: Path | None = options.variant
    good = True
    for scenario in chosen:
        if not options.controls_only:
            good &= _run(options, scenario, seed, None, None)
        # The others are for the long run: one is enough to see that somebody looks.
        faults = scenario.faults[: 1 if options.quick else None]
        for fault in faults if not options.no_controls else ():
            if fault.built and package is None:
                package = variant.build()
            good &= _run(options, scenario, seed, fault, package if fault.built else None)
    return 0 if good else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help="which; all of them without a word")
    add("--list", action="store_true", help="name the scenarios and their positive controls")
    add("--seed", type=int, help="repeat the choices of a run; else one is drawn")
    add("--cycles", type=int, help="how many, rather than the scenario's own number")
    add("--quick", action="store_true", help="few cycles, one control a scenario: make fire-quick")
    add("--json", type=Path, metavar="FILE", help="append the JSON lines to a file as well")
    add("--no-controls", action="store_true", help="leave the positive controls out")
    add("--controls-only", action="store_true", help="nothing but the positive controls")
    add("--variant", type=Path, metavar="DIR", help="a broken variant that is built already")
    add("--keep", action="store_true", help="keep the directories of runs that are good, too")
    return parser


def _run(
    options: argparse.Namespace,
    scenario: Scenario,
    seed: int,
    fault: Fault | None,
    package: Path | None,
) -> bool:
    """Runs one scenario in a directory of its own, which stays where something was found."""
    cycles = max(scenario.quick, 1) if options.quick else scenario.cycles
    if fault is not None:
        cycles = fault.cycles
    report = Report(scenario.name, seed, options.cycles or cycles)
    if fault is not None:
        report.fault, report.shows = fault.name, fault.shows
    folder = Path(tempfile.mkdtemp(prefix=f"fire-{scenario.name}-"))
    try:
        scenario.run(Job(report, folder, package, report.fault))
    except HangError as hang:
        report.find("hangs", str(hang))
    except Exception:  # a scenario that fails by itself has shown nothing
        report.find("wrong", traceback.format_exc())
        report.extras["broken"] = True
    line = report.line()
    print(file=sys.stderr)
    print(line, flush=True)
    if options.json is not None:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    good = report.good and "broken" not in report.extras
    if not good:
        for note in report.verdict.notes + report.notes:
            print(f"  {note[:4000]}", file=sys.stderr)
        print(f"  {_replay(report)}; files in {folder}", file=sys.stderr)
    if good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return good


def _replay(report: Report) -> str:
    if report.fault:
        return f"the fault {report.fault} was not caught"
    words = f"{report.test} --seed {report.seed} --cycles {report.cycles} --no-controls"
    return f"to replay: python -m reliability {words}"
