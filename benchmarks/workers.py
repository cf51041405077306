"""The driver's side of a subject's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
"""Seconds that a process has to end."""


class Refused(Exception):
    """A subject that could not do what it was asked."""


class Worker:
    """A subject in a process of its own, which lives as long as the measurement."""

    def __init__(self, name: str, command: Sequence[str | os.PathLike[str]]) -> None:
        """Starts the process.

        Raises:
            Refused: It did not say what it is.
        """
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about: dict[str, str] = self._answer()["about"]

    def fresh(self, folder: Path) -> None:
        """Starts over with an empty database."""
        mine = folder / self.name
        mine.mkdir()
        self._ask({"op": "fresh", "folder": str(mine)})

    def measure(self, op: str, events: int, repeat: int) -> float:
        """Runs an operation and returns the seconds a unit of it took."""
        answer = self._ask({"op": op, "events": events, "repeat": repeat})
        return float(answer["seconds"])

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Refused(f"{self.name} has ended") from None
        answer = self._answer()
        if "error" in answer:
            raise Refused(f"{self.name}: {request['op']}: {answer['error']}")
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait(PATIENCE)
            raise Refused(f"{self.name} ended with status {status} and no answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process; kills it where it does not end by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def in_python(
    name: str, subject: str, *words: str, python: str | os.PathLike[str] = sys.executable
) -> Worker:
    """Returns a subject of `benchmarks.subjects`, run by an interpreter."""
    return Worker(name, [python, "-m", "benchmarks.serve", subject, *words])


def in_rust() -> list[Worker]:
    """Builds the Rust program and returns its two subjects."""
    program = built("raw_sqlite")
    return [Worker(name, [program, name]) for name in ("raw", "core")]


def built(bench: str) -> str:
    """Builds a Rust program of `benches/`, and returns where it is."""
    command = ["cargo", "bench", "--locked", "-p", "eventuali-core", "--bench", bench]
    messages = subprocess.run(  # noqa: S603
        [*command, "--no-run", "--message-format=json-render-diagnostics"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.splitlines()
    programs = [json.loads(line).get("executable") for line in messages]
    program: str = [program for program in programs if program][-1]
    return program
