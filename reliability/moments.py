"""What projections were doing when their process was killed.

The process writes that down in a file that it maps: what is in there outlives a `kill -9`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from eventuali._engine.folding import ByHand, Folding, Stored
from eventuali._engine.inline_folding import InlineFolding
from eventuali._engine.own_tables import InOwnTables
from eventuali._engine.places import Place

_SLOTS = 16
_WAITS = "waits"
_PHASES = (_WAITS, "begins", "handles", "writes", "swaps")
"""What a place does; it waits for events, for its turn, or for a transaction to end."""
_ON_ITS_WAY, _BEING_BUILT = 1 << 4, 1 << 5


def watch(file: Path, swapping: Callable[[str], None]) -> None:
    """Writes down from now on what each place does; tells the name of a projection that swaps."""
    with file.open("w+b") as made:
        made.truncate(_SLOTS)
        slots = mmap.mmap(made.fileno(), _SLOTS)
    numbers: dict[int, int] = {}  # by the id of a place: there are as many as projections run

    def enter(place: Place, phase: str) -> int:
        number = numbers.setdefault(id(place), len(numbers) % _SLOTS)
        built = 0 if place.is_live else _BEING_BUILT
        sent = _ON_ITS_WAY if getattr(place, "_sent", None) is not None else 0
        slots[number] = _PHASES.index(phase) + 1 | built | sent
        return number

    def watched(cls: Any, method: str, phase: str) -> None:
        original = getattr(cls, method)

        def wrapped(self: Place, *words: Any, **more: Any) -> Generator[Any, Any, Any]:
            enter(self, phase)
            if phase == "swaps":
                swapping(type(self.projection).__projection_name__)
            try:
                return (yield from original(self, *words, **more))
            finally:
                enter(self, _WAITS)

        setattr(cls, method, wrapped)

    for handling in (Folding, ByHand, InlineFolding, InOwnTables):
        watched(handling, "handle", "handles")
    for kept in (Stored, InOwnTables):
        watched(kept, "begin", "begins")
        watched(kept, "write", "writes")
    watched(Stored, "settle", "writes")
    watched(Stored, "swap", "swaps")


def read(file: Path) -> list[str]:
    """Returns what each place of a process did at its end."""
    try:
        slots = file.read_bytes()
    except FileNotFoundError:
        return []
    return [_told(each) for each in slots if each]


def _told(slot: int) -> str:
    phase = _PHASES[(slot & 0xF) - 1]
    if slot & _ON_ITS_WAY and phase in (_WAITS, "handles"):
        phase = f"{phase} behind a commit"
    return f"builds: {phase}" if slot & _BEING_BUILT else phase
