"""Many changes to a crate in one program, where a number in the environment says which one is made.

Compiling takes longer than testing. So a function that is to be changed is written twice, as it is
and as it would be, behind `if crate::switched_on(7)`; the tests run with `MUTANT=7`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "MUTANT"
# It stands at the end of lib.rs.
SWITCH = """
pub(crate) fn switched_on(number: u32) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<u32>> =
        std::sync::LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());
    *CHOSEN == Some(number)
}
"""
Place = tuple[int, int]
"""A line and a column, from 1."""


@dataclass(frozen=True)
class Change:
    """The text of a file before and after, and where in it the function is that differs."""

    path: str
    before: str
    after: str
    start: Place
    end: Place

    def bodies(self) -> tuple[int, int, str, str] | None:
        """Returns where the body of the function is, what it says, and what it would say."""
        start, end = offset(self.before, self.start), offset(self.before, self.end)
        opening = body_at(self.before, start, end)
        rest = len(self.before) - end
        now, then = self.before[opening:end], self.after[opening : len(self.after) - rest]
        same = self.before[:opening] == self.after[:opening]
        return (opening, end, now, then) if same and now.startswith("{") else None


def offset(text: str, place: Place) -> int:
    """Returns how many characters stand before a place."""
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: place[0] - 1]) + place[1] - 1


def body_at(text: str, start: int, end: int) -> int:
    """Returns where the body of a function opens."""
    found = re.compile(r"\bfn \w+").search(text, start, end)
    depth, at = 0, found.end() if found else end
    while at < end and (depth or text[at] != "{"):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[at], 0)
        at += 1
    return at


@dataclass(frozen=True)
class Written:
    """Where a change stands: its file, its function there, and its own lines."""

    path: str
    function: int
    lines: range


def combined(path: str, text: str, changes: dict[int, Change]) -> tuple[str, dict[int, Written]]:
    """Writes changes beside what they change, and returns where they stand then."""
    functions: dict[tuple[int, int], list[int]] = {}
    for number, change in changes.items():
        if found := change.bodies():
            functions.setdefault(found[:2], []).append(number)
    written = dict[int, Written]()
    result, done = "", 0
    for (opening, end), numbers in sorted(functions.items()):
        if opening < done:
            continue  # a function within a function
        result += text[done:opening] + "{"
        for number in numbers:
            _, _, _, then = changes[number].bodies() or (0, 0, "", "")
            switch = line_of(result) + 1
            result += f"\nif crate::switched_on({number})\n{then}\nelse "
            written[number] = Written(path, opening, range(switch + 1, line_of(result)))
        result += text[opening:end] + "}"
        done = end
    return result + text[done:], written


def line_of(text: str) -> int:
    """Returns the number of the last line."""
    return text.count("\n") + 1


class Program:
    """A tree in which changes are made, all at once.

    Attributes:
        switched: The numbers that can be chosen.
        broken: Those that do not compile.
    """

    def __init__(self, tree: Path, changes: dict[int, Change]) -> None:
        """Notes what is to be written where."""
        self.tree = tree
        self.before = {change.path: change.before for change in changes.values()}
        self.inside = changes
        self.switched, self.broken = set[int](), set[int]()

    def build(self, check: Callable[[], list[str]]) -> None:
        """Writes as many changes as compile.

        Args:
            check: Compiles, and returns the messages of cargo, as JSON.
        """
        while True:
            written = self.write()
            self.inside = {number: self.inside[number] for number in written}
            errors = [place for line in check() for place in errors_of(line)]
            if not errors:
                self.switched = set(self.inside)
                return
            wrong = self.blamed(written, errors)
            if not wrong:
                raise RuntimeError(f"it does not compile without any change: {errors}")
            for number in wrong:
                del self.inside[number]

    def blamed(self, written: dict[int, Written], errors: list[tuple[str, int]]) -> set[int]:
        """Returns what must go: the change in which an error is, else the function's changes."""
        wrong = set[int]()
        for path, line in errors:
            here = {number: one for number, one in written.items() if one.path == path}
            own = {number for number, one in here.items() if line in one.lines}
            self.broken |= own
            before = [one for one in here.values() if one.lines.start <= line + 1]
            last = max((one.function for one in before), default=-1)
            wrong |= own or {number for number, one in here.items() if one.function == last}
        return wrong

    def write(self) -> dict[int, Written]:
        """Writes the files, and returns what stands in them."""
        places = dict[int, Written]()
        for path, before in self.before.items():
            here = {number: one for number, one in self.inside.items() if one.path == path}
            text, written = combined(path, before, here)
            (self.tree / path).write_text(text)
            places |= written
        return places

    def undo(self) -> None:
        """Writes the files as they were."""
        for path, before in self.before.items():
            (self.tree / path).write_text(before)


def errors_of(line: str) -> list[tuple[str, int]]:
    """Returns the files and the lines of an error that cargo prints."""
    message = json.loads(line).get("message") if line.startswith("{") else None
    if not isinstance(message, dict) or message.get("level") != "error":
        return []
    return [
        (span["file_name"], span["line_start"]) for span in message["spans"] if span["is_primary"]
    ]
