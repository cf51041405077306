"""What a test reports: one line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from time import monotonic
from typing import Any

from reliability.checker import VIOLATIONS, Verdict
from reliability.processes import ROOT

_NOTES = 60


@cache
def commit() -> str:
    """Returns the commit of this tree, with a `+` where the tree differs from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}{'+' if _git('status', '--porcelain') else ''}" if head else "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


@dataclass(slots=True)
class Report:
    """The counts of one run of one scenario.

    Attributes:
        hangs: Children that did not answer or end in time.
        wrong: Everything else that must not be: a wrong error, exit code or message.
        extras: What this scenario counts beside that.
        not_run: Why it could not run here; "" where it did.
        fault: What was broken on purpose; "" where nothing was.
        shows: The count that shows it.
    """

    test: str
    seed: int
    cycles: int
    backend: str = "sqlite"
    fault: str = ""
    shows: str = ""
    done: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    hangs: int = 0
    wrong: int = 0
    not_run: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=monotonic)

    def count(self, name: str, by: int = 1) -> None:
        """Adds to an extra."""
        self.extras[name] = self.extras.get(name, 0) + by

    def find(self, kind: str, text: str) -> None:
        """Counts a hang, or something that is wrong."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.notes) < _NOTES:
            self.notes.append(f"{kind} in cycle {self.done}: {text}")

    def expect(self, holds: bool, text: object) -> None:
        """Counts something that is wrong unless it holds."""
        if not holds:
            self.find("wrong", str(text))

    def cycle(self) -> None:
        """One more is done; says so to people."""
        self.done += 1
        if self.done == self.cycles or sys.stderr.isatty():
            verdict = self.verdict
            text = f"{self.name}: {self.done}/{self.cycles} cycles, {verdict.acked} acked"
            text += f", {self.violations} violations, {monotonic() - self.began:.0f} s"
            print(f"\r{text:78}", end="", file=sys.stderr, flush=True)

    @property
    def name(self) -> str:
        """The test, with what was broken."""
        return f"{self.test} ({self.fault})" if self.fault else self.test

    @property
    def violations(self) -> int:
        """How much was found."""
        return self.verdict.violations + self.hangs + self.wrong

    @property
    def good(self) -> bool:
        """Whether it is as it must be: nothing found, or something where it was broken."""
        return bool(self.not_run) or (self.caught if self.fault else not self.violations)

    @property
    def caught(self) -> bool:
        """Whether what was broken was found for what it is."""
        among = self if self.shows in ("hangs", "wrong") else self.verdict
        return bool(self.fault) and getattr(among, self.shows) > 0

    def line(self) -> str:
        """Returns the JSON line."""
        verdict = self.verdict
        head = {
            "test": self.test,
            "seed": self.seed,
            "commit": commit(),
            "backend": self.backend,
            "cycles": self.done,
        }
        counts: dict[str, Any] = {
            name: getattr(verdict, name) for name in ("acked", "unknown", *VIOLATIONS)
        }
        tail: dict[str, Any] = {"hangs": self.hangs, "wrong": self.wrong}
        tail |= {"wall_s": round(monotonic() - self.began, 1)}
        more: dict[str, Any] = {
            "commits": verdict.commits,
            "refused": verdict.refused,
            "reads": verdict.reads,
        }
        more = {name: count for name, count in more.items() if count} | self.extras
        if self.done and not self.fault and not self.violations:
            more["rate_below"] = f"{3 / self.done:.2g}"  # the rule of three, at 95 %
        if self.fault:
            more |= {"fault": self.fault, "caught": self.caught}
        if self.not_run:
            more["not_run"] = self.not_run
        return json.dumps(head | counts | tail | more)
