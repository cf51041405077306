"""What a scenario is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from reliability.report import Report
from reliability.variant import VARIABLE


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a scenario.

    Attributes:
        report: Where it counts.
        folder: A directory of its own, on a disk.
        package: A directory with the `eventuali` to run; None for the one that is installed.
        fault: What is broken; "" for nothing.
    """

    report: Report
    folder: Path
    package: Path | None = None
    fault: str = ""

    @property
    def seed(self) -> int:
        """Decides every choice."""
        return self.report.seed

    @property
    def cycles(self) -> int:
        """How often."""
        return self.report.cycles

    def chance(self, *names: object) -> Random:
        """Returns the choices of one part, the same for the same seed."""
        return Random("/".join(map(str, (self.seed, *names))))

    @property
    def env(self) -> dict[str, str]:
        """What a child finds in its environment."""
        return {VARIABLE: self.fault}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to break on purpose.

    Attributes:
        cycles: How many catch it for certain.
        shows: The count that must not be 0 then.
        built: Whether it lies in the broken variant rather than in the workload.
    """

    name: str
    cycles: int
    shows: str = "lost"
    built: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way to break things.

    Attributes:
        cycles: How many in `make fire`.
        quick: How many in `make fire-quick`; 0 for those that it leaves out.
        faults: Its positive controls.
    """

    name: str
    about: str
    run: Callable[[Job], None]
    cycles: int
    quick: int
    faults: tuple[Fault, ...] = ()
