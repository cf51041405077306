"""What clients did and what they were told, as lines that survive the process that wrote them.

Times are `time.monotonic_ns`, which on Linux is one clock for all processes of a machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic_ns
from typing import Any, Literal, NamedTuple

Outcome = Literal["acked", "unknown", "failed"]


class Write(NamedTuple):
    """The events of one stream in a commit; their values follow one another, and are used once."""

    stream: str
    first: int
    size: int

    @property
    def values(self) -> range:
        """What the events carry."""
        return range(self.first, self.first + self.size)


@dataclass(slots=True)
class Append:
    """One commit as its client saw it; without an answer its outcome is unknown.

    Attributes:
        versions: The version of each write's stream after its last event.
        positions: The position of each event.
    """

    writes: tuple[Write, ...]
    begun: int
    ended: int | None = None
    outcome: Outcome = "unknown"
    versions: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    error: str = ""

    @property
    def size(self) -> int:
        """How many events."""
        return sum(write.size for write in self.writes)


class Read(NamedTuple):
    """The values that a read of one stream, or of the whole log (None), gave."""

    stream: str | None
    begun: int
    ended: int
    values: tuple[int, ...]


class Stored(NamedTuple):
    """An event as it lies in the log."""

    position: int
    stream: str
    version: int
    value: int


@dataclass(slots=True)
class History:
    """All that was done to one store."""

    appends: list[Append] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    _open: dict[Any, Append] = field(default_factory=dict)

    def feed(self, line: str | bytes, source: object = None) -> dict[str, Any]:
        """Takes one line of a `Recorder`; tokens are unique within their source."""
        entry: dict[str, Any] = json.loads(line)
        kind, token, time = entry.get("is"), (source, entry.get("op")), entry.get("t", 0)
        if kind == "begun":
            append = Append(tuple(Write(*write) for write in entry["writes"]), time)
            self._open[token] = append
            self.appends.append(append)
        elif kind == "unknown" and token not in self._open:
            pass  # interrupted after the answer had been noted
        elif kind in ("acked", "unknown", "failed"):
            append = self._open[token] if kind == "unknown" else self._open.pop(token)
            append.outcome, append.error = kind, entry.get("error", "")
            append.ended = None if kind == "unknown" else time
            append.versions = tuple(entry.get("versions", ()))
            append.positions = tuple(entry.get("positions", ()))
        elif kind == "read":
            self.reads.append(Read(entry["stream"], entry["begun"], time, tuple(entry["values"])))
        else:
            self.notes.append(entry)
        return entry


class Recorder:
    """Writes down what a client does, one line at a time.

    A commit of unknown outcome may be answered later, when it is repeated.
    """

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        """Lines go to `sink`, each in one call."""
        self._sink = sink
        self._tokens = count(1)

    def begun(self, *writes: Write) -> int:
        """Notes a commit before it is sent; returns its token."""
        token = next(self._tokens)
        self.line("begun", op=token, writes=writes)
        return token

    def acked(self, token: int, versions: Sequence[int], positions: Sequence[int]) -> None:
        """Notes that the store answered."""
        self.line("acked", op=token, versions=versions, positions=positions)

    def unknown(self, token: int, error: BaseException) -> None:
        """Notes that nobody can tell."""
        self.line("unknown", op=token, error=type(error).__name__)

    def failed(self, token: int, error: BaseException) -> None:
        """Notes that the store refused, and wrote nothing."""
        self.line("failed", op=token, error=type(error).__name__)

    def read(self, stream: str | None, begun: int, values: Sequence[int]) -> None:
        """Notes what a read gave."""
        self.line("read", stream=stream, begun=begun, values=values)

    def line(self, kind: str, **fields: object) -> None:
        """Notes anything."""
        fields |= {"is": kind, "t": monotonic_ns()}
        self._sink(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
