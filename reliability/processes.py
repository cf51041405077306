"""Children: started, listened to, killed, and asked for their stacks when they hang."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class HangError(Exception):
    """A child did not do in time what it always does; the text has its stacks."""


class Ended(NamedTuple):
    """How a child ended."""

    code: int
    stdout: str
    stderr: str


class Child:
    """A Python process whose lines are read as they come."""

    def __init__(
        self,
        *command: object,
        package: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        told: bool = False,
    ) -> None:
        """Starts `python COMMAND`; `package` is a directory whose `eventuali` is used.

        One that is to be `told` something has a stdin.
        """
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *map(str, command)],
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=cwd or ROOT,
            env=environment(package) | dict(env or {}),
        )
        self._threads = [
            Thread(target=self._listen, daemon=True),
            Thread(target=self._listen_to_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _listen_to_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    def tell(self, line: str) -> None:
        """Writes a line, the last one, to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.close()

    def line(self, seconds: float = 60) -> str | None:
        """Returns the next line; None after the last one.

        Raises:
            HangError: There is none in time.
        """
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise self._hangs(f"no line in {seconds} s") from None

    def waiting(self) -> Iterator[str]:
        """Yields the lines that have come."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._lines.put(None)  # for whoever waits for the end
                return
            yield line

    def rest(self) -> Iterator[str]:
        """Yields the lines of a child that has ended, but for one that was cut off."""
        while (line := self.line()) is not None:
            if line.endswith("\n"):
                yield line

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def end(self, seconds: float = 60) -> Ended:
        """Waits for the end.

        Raises:
            HangError: It does not come in time.
        """
        limit = monotonic() + seconds
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self._hangs(f"no end in {seconds} s") from None
        for thread in self._threads:
            thread.join(max(limit - monotonic(), 1))
        lines = []
        while not self._lines.empty() and (line := self._lines.get()) is not None:
            lines.append(line)
        return Ended(code, "".join(lines), "".join(self._errors))

    @property
    def stderr(self) -> str:
        """What it has complained about up to now."""
        return "".join(self._errors)

    def _hangs(self, what: str) -> HangError:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)  # faulthandler prints the stacks
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        self._threads[1].join(2)
        return HangError(f"{what}: {' '.join(map(str, self.process.args))}\n{self.stderr}")  # type: ignore[arg-type]


def environment(package: Path | None) -> dict[str, str]:
    """Returns this environment, with the modules of this repository on the path."""
    paths = [str(package)] if package else []
    paths += [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def run(
    *command: object, package: Path | None = None, seconds: float = 60, env: Mapping[str, str] = {}
) -> Ended:
    """Runs `python COMMAND` to its end.

    Raises:
        HangError: It does not come in time.
    """
    return Child(*command, package=package, env=env).end(seconds)
