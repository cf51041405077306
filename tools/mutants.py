"""Changes the code in small ways, one at a time, and sees whether a test notices.

    make mutants                                     150 of them, an hour or two on two cores
    make mutants ARGS="--seed 7 --rust 20 --python 0"
    make mutants ARGS="--only sqlite/reader"
    make mutants ARGS="--list"                       what would be tried

cargo-mutants and Cosmic Ray say what can be changed; a sample is drawn by the seed, from one place
in the code at most one change. Each is made in a copy of the tree, `target/mutants/tree`, where the
tests run that stand nearest to it, each with a time limit. What was tried is noted in
`target/mutants/outcomes.jsonl`, and not tried again until the file changes that it was in.
`docs/mutants.md` says what the outcomes mean, and explains survivors.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from switches import SWITCH, VARIABLE, Change, Place, Program

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "target" / "mutants"
TREE = PLACE / "tree"
OUTCOMES = PLACE / "outcomes.jsonl"
CORE = "eventuali-core/src"
PACKAGE = "eventuali-python/python/eventuali"
TESTS = "eventuali-python/tests"

# What decides over what is stored and what is found again, and the tests that stand nearest.
RUST = {
    f"{CORE}/{{commit,query,span,event,checksum,record}}.rs": [
        "--lib", "--test contract -- memory:: sqlite::", "--test sqlite_file",
        "--test contract -- postgres::", "--test properties",
    ],
    f"{CORE}/backend/sqlite/{{append,candidates,chains,dictionary,ids,names,reader,records,rows,sift,writer}}.rs": [  # noqa: E501
        "--test contract -- sqlite::", "--test sqlite_file", "--lib -- sqlite",
        "--test contract -- sqlite_in_memory sqlite_on", "--test properties -- sqlite",
        "--test flipped",
    ],
    f"{CORE}/backend/sql/*.rs": [
        "--test contract -- sqlite::", "--test contract -- postgres::", "--lib -- sqlite",
    ],
    f"{CORE}/backend/postgres/{{append,batch,candidates,horizon,names,reader,recent,records,scan,sift,writer}}.rs": [  # noqa: E501
        "--test contract -- postgres::", "--lib -- postgres", "--test postgres",
        "--test contract -- postgres_that", "--test properties -- postgres",
    ],
}  # fmt: skip
PYTHON = {
    "codec/json/_analysis codec/json/_compare codec/json/__init__ codec/json/_fast_path "
    "codec/json/_pydantic_schema":
        "test_exact*.py test_round_trip.py test_validity.py",
    "_engine/encode _engine/decode _engine/event_types event/_envelope event/_slot":
        "test_round_trip.py test_event.py test_reads.py test_exact*.py",
    "_engine/commit_builder":
        "test_round_trip.py test_event.py test_import_logs.py test_reads.py test_saving.py",
    "_engine/pending_commit codec/json/_zoned_time _engine/operation":
        "test_saving.py test_decide.py test_cancellation.py",
    "_engine/write _engine/read _engine/load _engine/replay _engine/readers _engine/arguments":
        "test_reads.py test_reader.py test_history.py test_bounds.py test_saving.py "
        "test_conditions.py",
    "sync/_subscription": "test_subscription.py test_reads.py test_saving.py",
    "_engine/checkpoint _engine/follow": "test_subscription.py test_checkpoint.py",
    "aggregate/_copies aggregate/_rollback aggregate/_handlers":
        "test_aggregate.py test_history.py test_saving.py",
    "_engine/decide": "test_decide.py test_conditions.py test_bounds.py",
    "event/_registry event/_tags event/_names query":
        "test_event.py test_own_tags.py test_query.py test_wire_names.py test_validity.py",
}  # fmt: skip
# Between annotations, and inside texts, nothing runs.
TOO_MANY = re.compile(r"BinaryOperator_BitOr|RemoveDecorator|Variable(Insert|Replac)er")

CARGO_FAILED = re.compile(r"^test (\S+) (?:- .*)?\.\.\. FAILED", re.M)
PYTEST_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


@dataclass
class Mutant:
    """A change to a file: `make` gives the whole of its text after it."""

    path: str
    line: int
    what: str
    make: Callable[[], str]
    commands: tuple[tuple[str, ...], ...]
    function: tuple[Place, Place] | None = None

    @cached_property
    def text(self) -> str:
        """What the file says with the change."""
        return self.make()

    @property
    def key(self) -> str:
        """Names the change and what it was made to."""
        before = (ROOT / self.path).read_bytes()
        return hashlib.sha256(before + self.text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def rust_mutants(only: str) -> Iterator[Mutant]:
    """Lists what cargo-mutants would change."""
    cargo_mutants = PLACE / "root" / "bin" / "cargo-mutants"
    for files, tests in RUST.items():
        command = [str(cargo_mutants), "mutants", "--list", "--json", "--diff", "--file", files]
        listed = subprocess.run(  # noqa: S603
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
        commands = tuple(cargo_test(*test.split()) for test in tests)
        for one in json.loads(listed.stdout):
            path = one["file"]
            if only not in path:
                continue
            what = one.get("name", one.get("replacement", "")).split(": ", 1)[-1]
            make = partial(patched, (ROOT / path).read_text(), one["diff"])
            line = one["span"]["start"]["line"]
            yield Mutant(path, line, what, make, commands, span_of(one["function"]))


def span_of(function: Any) -> tuple[Place, Place] | None:
    """Returns where a function begins and ends, as cargo-mutants says it."""
    if not function:
        return None
    start, end = function["span"]["start"], function["span"]["end"]
    return (start["line"], start["column"]), (end["line"], end["column"])


def cargo_test(*arguments: str) -> tuple[str, ...]:
    """Returns the command that runs a part of the tests of the core."""
    return ("cargo", "test", "--locked", "-p", "eventuali-core", "--all-features",
            *arguments)  # fmt: skip


def patched(text: str, diff: str) -> str:
    """Applies a unified diff of one file."""
    before, after = text.split("\n"), list[str]()
    at = 0
    for line in diff.split("\n"):
        if found := re.match(r"@@ -(\d+)", line):
            start = int(found[1]) - 1
            after += before[at:start]
            at = start
        elif line.startswith(("---", "+++", "\\")) or not line:
            continue
        elif line.startswith("+"):
            after.append(line[1:])
        else:
            if line.startswith(" "):
                after.append(before[at])
            at += 1
    return "\n".join(after + before[at:])


def python_mutants(only: str) -> Iterator[Mutant]:
    """Lists what Cosmic Ray would change."""
    plugins = importlib.import_module("cosmic_ray.plugins")
    mutating = importlib.import_module("cosmic_ray.mutating")
    tree = importlib.import_module("cosmic_ray.ast")
    operators = [name for name in plugins.operator_names() if not TOO_MANY.search(name)]
    for names, tests in PYTHON.items():
        files = [str(file) for test in tests.split() for file in sorted((ROOT / TESTS).glob(test))]
        files = [str(Path(file).relative_to(ROOT)) for file in files]
        command = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                   "-k", "not postgres", *files)  # fmt: skip
        for name in names.split():
            path = f"{PACKAGE}/{name}.py"
            if only not in path:
                continue
            code = (ROOT / path).read_text()
            parsed = tree.get_ast(code)
            for operator_name in operators:
                operator: Any = plugins.get_operator(operator_name)()
                for occurrence, line in enumerate(positions(parsed, operator)):
                    if runs(code, line):
                        make = partial(mutating.mutate_code, code, operator, occurrence)
                        what = operator_name.partition("/")[2]
                        yield Mutant(path, line, what, make, (command,))


def positions(node: Any, operator: Any) -> list[int]:
    """Returns the lines on which an operator finds something, in its order."""
    found = [begin[0] for begin, _ in operator.mutation_positions(node)]
    for child in getattr(node, "children", ()):
        found += positions(child, operator)
    return found


def runs(code: str, line: int) -> bool:
    """Says whether a line is more than a declaration of types."""
    text = code.split("\n")[line - 1].strip()
    return not text.startswith(("def ", "async def ", "import ", "from ", "@", '"""'))


def sample(mutants: Iterator[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draws places in the code, and one change at each."""
    chance = random.Random(seed)  # noqa: S311
    places: dict[tuple[str, int], list[Mutant]] = {}
    for mutant in mutants:
        places.setdefault((mutant.path, mutant.line), []).append(mutant)
    drawn = chance.sample(sorted(places), min(count, len(places)))
    return [chance.choice(places[place]) for place in drawn]


def copy_tree() -> None:
    """Makes the copy like the tree; what is the same keeps its time, for cargo's sake."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    files = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    files += [file.relative_to(ROOT) for file in (ROOT / PACKAGE).glob("_eventuali.*.so")]
    for file in files:
        source, target = ROOT / file, TREE / file
        if source.exists() and not same(source, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def same(one: Path, other: Path) -> bool:
    """Says whether two files have the same content."""
    return other.exists() and one.read_bytes() == other.read_bytes()


def environment(switch: int | None = None) -> dict[str, str]:
    """Returns the environment of tests in the copy."""
    return {
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_PROFILE_TEST_DEBUG": "0",
        **os.environ,
        "CARGO_TARGET_DIR": str(PLACE / "rust"),
        VARIABLE: "" if switch is None else str(switch),
        "PYTHONPATH": os.pathsep.join([str(TREE / "eventuali-python/python"), *sys.path[1:]]),
    }


def passes(
    command: tuple[str, ...], seconds: float, switch: int | None = None
) -> tuple[bool | None, str]:
    """Runs tests in the copy until one fails; says None when they take too long, and the output."""
    with subprocess.Popen(  # noqa: S603
        command, cwd=TREE, env=environment(switch), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        late = threading.Event()
        clock = threading.Timer(seconds, stop, [running, late])
        clock.start()
        output = ""
        for line in running.stdout or ():
            output += line
            if CARGO_FAILED.match(line):
                stop(running)
        running.wait()
        clock.cancel()
    if command[0] == "cargo" and "could not compile" in output:
        raise ValueError("it does not compile")
    return (None if late.is_set() else running.returncode == 0), output


def stop(running: subprocess.Popen[str], late: threading.Event | None = None) -> None:
    """Ends tests and all that they started, and notes that they took too long."""
    if late is not None:
        late.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)


def judged(mutant: Mutant, seconds: float) -> tuple[str, str]:
    """Makes a change, runs the tests, and takes it back: the outcome, and which test failed."""
    path = TREE / mutant.path
    path.write_text(mutant.text)
    try:
        return tried(mutant, seconds)
    except ValueError:
        return "unviable", ""
    finally:
        path.write_text((ROOT / mutant.path).read_text())


def tried(mutant: Mutant, seconds: float, switch: int | None = None) -> tuple[str, str]:
    """Runs the tests of a change that is made."""
    for command in mutant.commands:
        passed, output = passes(command, seconds, switch)
        if not passed:
            return ("timeout", "") if passed is None else ("killed", killer(output))
    return "survived", ""


def program(drawn: list[Mutant]) -> Program:
    """Compiles the changes of the core into one program, as far as they can be."""
    changes = {
        number: Change(one.path, (ROOT / one.path).read_text(), one.text, *one.function)
        for number, one in enumerate(drawn)
        if one.function
    }
    made = Program(TREE, changes)
    if not changes:
        return made
    with (TREE / CORE / "lib.rs").open("a") as library:
        library.write(SWITCH)
    made.build(messages)
    return made


def messages() -> list[str]:
    """Compiles the core, and returns what the compiler says."""
    command = ["cargo", "check", "--locked", "-p", "eventuali-core", "--all-features", "--lib",
               "--message-format=json"]  # fmt: skip
    done = subprocess.run(  # noqa: S603
        command, cwd=TREE, env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def killer(output: str) -> str:
    """Returns the first test that failed, as pytest or cargo names it."""
    found = PYTEST_FAILED.search(output) or CARGO_FAILED.search(output)
    return found[1] if found else ""


def unviable() -> tuple[str, str]:
    """Is the trial of a change that does not compile."""
    return "unviable", ""


def noted(mutant: Mutant, trial: Callable[[], tuple[str, str]]) -> str:
    """Returns the outcome that was noted before, or tries, notes and prints it."""
    lines = OUTCOMES.read_text().splitlines() if OUTCOMES.exists() else []
    known = {one["key"]: (one["outcome"], one["by"]) for one in map(json.loads, lines)}
    outcome, by = known.get(mutant.key) or trial()
    if mutant.key not in known:
        note = {"key": mutant.key, "outcome": outcome, "by": by, "mutant": str(mutant)}
        with OUTCOMES.open("a") as notes:
            notes.write(json.dumps(note) + "\n")
    print(f"{outcome:9} {mutant}{by and f'  by {by}'}", flush=True)
    return outcome


def main() -> int:
    """Runs the sample and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rust", type=int, default=90, help="how many changes to the core")
    parser.add_argument("--python", type=int, default=60, help="how many to the package")
    parser.add_argument("--only", default="", help="a part of the paths of the files")
    parser.add_argument("--seconds", type=float, default=300, help="for each run of tests")
    parser.add_argument(
        "--at-once", action="store_true", help="do not run the tests without a change first"
    )
    parser.add_argument("--list", action="store_true", help="print the sample and stop")
    chosen = parser.parse_args()
    drawn = list[Mutant]()
    if chosen.rust:
        drawn += sample(rust_mutants(chosen.only), chosen.rust, chosen.seed)
    if chosen.python:
        drawn += sample(python_mutants(chosen.only), chosen.python, chosen.seed)
    if chosen.list:
        print(*drawn, sep="\n")
        return 0
    copy_tree()
    made = program(drawn)
    commands = {command for mutant in drawn for command in mutant.commands}
    for command in sorted(() if chosen.at_once else commands):
        # Compiling for the first time counts, too.
        passed, output = passes(command, 10 * chosen.seconds)
        if not passed:
            print(output, file=sys.stderr)
            print(f"the tests fail without any change: {' '.join(command)}", file=sys.stderr)
            return 2
    outcomes = Counter[str]()
    alone = [number for number in range(len(drawn)) if number not in made.switched | made.broken]
    for number in sorted(made.switched | made.broken):
        trial = partial(tried, drawn[number], chosen.seconds, number)
        outcomes[noted(drawn[number], trial if number in made.switched else unviable)] += 1
    made.undo()
    shutil.copy(ROOT / CORE / "lib.rs", TREE / CORE / "lib.rs")
    for number in alone:
        outcomes[noted(drawn[number], partial(judged, drawn[number], chosen.seconds))] += 1
    noticed = outcomes["killed"] + outcomes["timeout"]
    viable = noticed + outcomes["survived"]
    print(*(f"{name} {count}" for name, count in sorted(outcomes.items())), sep=", ")
    print(
        f"noticed {noticed} of {viable} that compile"
        + (f": {noticed / viable:.0%}" if viable else "")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
