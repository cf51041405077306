"""What the event logs say, worked out from the files with the standard library alone.

It shares nothing with the projections of `log_views`: where those go through the events one by one,
this goes through the cases, and sorts what it finds into place.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

ENDS = {
    "helpdesk": ["Closed"],
    "permits": [
        "T10 Determine necessity to stop indication",
        "T15 Print document X request unlicensed",
        "T20 Print report Y to stop indication",
    ],
}


@dataclass(frozen=True)
class Line:
    """An event: where it is in the file, when it was in µs, and what it says."""

    place: int
    time: int
    text: dict[str, str]


class Measures:
    """The measures of a log; each is as the documents of one read model are, by their keys."""

    def __init__(self, folder: Path, name: str) -> None:
        with gzip.open(folder / f"{name}.ndjson.gz") as file:
            texts = [json.loads(line) for line in file]
        self.lines = [Line(i, micros(text["timestamp"]), text) for i, text in enumerate(texts)]
        self.ends = ENDS[name]
        self.of_case: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            self.of_case[line.text["case"]].append(line)

    @property
    def events(self) -> int:
        return len(self.lines)

    @cached_property
    def waits(self) -> dict[str, dict[str, int]]:
        times = defaultdict(list)
        for lines in self.of_case.values():
            for before, after in pairwise(lines):
                times[after.text["activity"]].append(after.time - before.time)
        return {
            activity: {
                "count": len(found),
                "total": sum(found),
                "shortest": min(found),
                "longest": max(found),
            }
            for activity, found in times.items()
        }

    @cached_property
    def open_after(self) -> list[int]:
        """How many cases are open after each line."""
        changes = [0] * len(self.lines)
        for lines in self.of_case.values():
            states = [False, *(line.text["activity"] not in self.ends for line in lines)]
            for line, (before, after) in zip(lines, pairwise(states), strict=True):
                changes[line.place] = after - before
        return list(accumulate(changes))

    @cached_property
    def open_cases(self) -> set[str]:
        """The cases that are open at the end."""
        return {
            case
            for case, lines in self.of_case.items()
            if lines[-1].text["activity"] not in self.ends
        }

    @cached_property
    def days(self) -> dict[str, dict[str, Any]]:
        found: dict[str, list[int]] = defaultdict(list)
        for line, count in zip(self.lines, self.open_after, strict=True):
            found[line.text["timestamp"][:10]].append(count)
        return {day: {"after": counts} for day, counts in found.items()}

    @cached_property
    def level(self) -> dict[str, dict[str, int]]:
        peak = max(self.open_after)
        at = self.lines[self.open_after.index(peak)].time
        return {"all": {"open": self.open_after[-1], "peak": peak, "peak_at": at}}

    @cached_property
    def hand_overs(self) -> dict[str, dict[str, Any]]:
        counts = Counter(
            (before.text["org_resource"], after.text["org_resource"])
            for lines in self.of_case.values()
            for before, after in pairwise(lines)
        )
        return {
            f"{giver} → {taker}": {"giver": giver, "taker": taker, "count": count}
            for (giver, taker), count in counts.items()
            if giver != taker
        }

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        pairs = Counter((line.text["org_resource"], line.text["activity"]) for line in self.lines)
        names = {resource for resource, _ in pairs}
        return {
            name: {"activities": {what: n for (who, what), n in pairs.items() if who == name}}
            for name in names
        }

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        return {
            case: {
                "began": datetime.fromisoformat(lines[0].text["timestamp"]),
                "took": lines[-1].time - lines[0].time,
                "path": [line.text["activity"] for line in lines],
            }
            for case, lines in self.of_case.items()
        }


def micros(timestamp: str) -> int:
    """Counts microseconds since 1970; no float is near."""
    moment = datetime.fromisoformat(timestamp).astimezone(UTC)
    days = moment.toordinal() - datetime(1970, 1, 1).toordinal()
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return (days * 86_400 + seconds) * 1_000_000 + moment.microsecond
