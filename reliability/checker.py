"""Whether a history of appends and reads can be told of one log, in time linear in its size.

Values are unique and versions explicit, which is what makes it linear: no search is needed. The
rules are those of strict serialisability for append-only streams:

- an acknowledged event lies in the log once, at the version and position that were acknowledged;
- a refused commit left nothing, one of unknown outcome all or nothing, and so did every other;
- the versions of a stream are 1 to n;
- a commit acknowledged before another began lies before it;
- a read is a prefix of the log (or of its stream) that ends between commits, contains all that was
  acknowledged before it began, and is no shorter than a read that ended before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from reliability.history import Append, History, Read, Stored

_NOTES = 20
_REFUSAL = "OptimisticConcurrencyError"
"""Settles a commit that is repeated: had it been written, it would have been acknowledged."""


@dataclass(slots=True)
class Verdict:
    """What was counted, and what must all be 0; in events, `torn` and `reordered` in commits.

    Attributes:
        lost: Acknowledged, and not in the log.
        duplicated: In the log more than once, or two writers were told the same version.
        torn: A part of a commit in the log, or in a read.
        gaps: Versions that are missing below a stream's last, or out of order.
        skipped: In the log below the end of a read, and not in that read; or acknowledged before.
        strange: In the log though refused or never sent; elsewhere than acknowledged.
        reordered: A commit that lies before one that was acknowledged before it began.
    """

    commits: int = 0
    acked: int = 0
    unknown: int = 0
    refused: int = 0
    reads: int = 0
    lost: int = 0
    duplicated: int = 0
    torn: int = 0
    gaps: int = 0
    skipped: int = 0
    strange: int = 0
    reordered: int = 0
    notes: list[str] = field(default_factory=list)

    def find(self, kind: str, text: str, count: int = 1) -> None:
        """Counts a violation."""
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.notes) < _NOTES:
            self.notes.append(f"{kind}: {text}")

    @property
    def violations(self) -> int:
        """How many rules were broken."""
        return sum(getattr(self, name) for name in VIOLATIONS)

    def add(self, other: Verdict) -> None:
        """Adds the counts of another store."""
        for name in (item.name for item in fields(self) if item.name != "notes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes = (self.notes + other.notes)[:_NOTES]


VIOLATIONS = ("lost", "duplicated", "torn", "gaps", "skipped", "strange", "reordered")


def check(history: History, log: Sequence[Stored]) -> Verdict:
    """Judges what clients saw against the log as it is now, in the order of its positions."""
    verdict = Verdict(reads=len(history.reads))
    places = _places(verdict, log)
    commits = _merged(verdict, history.appends)
    owner: dict[int, int] = {}
    for number, commit in enumerate(commits):
        for write in commit.writes:
            owner.update(dict.fromkeys(write.values, number))
        _settle(verdict, commit, places)
    never = [event.value for event in log if event.value not in owner]
    if never:
        verdict.find("strange", f"never sent: {never[:5]}", len(never))
    _order(verdict, commits, places)
    _reads(verdict, commits, history.reads, log, places, owner)
    return verdict


def _places(verdict: Verdict, log: Sequence[Stored]) -> dict[int, Stored]:
    """Where each value lies; on the way, versions and positions are looked at."""
    places: dict[int, Stored] = {}
    heads: dict[str, int] = defaultdict(int)
    last = 0
    for event in log:
        if event.value in places:
            verdict.find("duplicated", f"{event} and {places[event.value]}")
        places.setdefault(event.value, event)
        expected = heads[event.stream] + 1
        if event.version != expected:
            count = max(event.version - expected, 1)
            verdict.find("gaps", f"{event} where version {expected} was due", count)
        heads[event.stream] = max(event.version, heads[event.stream])
        if event.position <= last:
            verdict.find("strange", f"{event} does not lie after position {last}")
        last = event.position
    return places


def _merged(verdict: Verdict, appends: Iterable[Append]) -> list[Append]:
    """One commit for all that was said of the same values: repetitions are the same commit."""
    merged: dict[int, Append] = {}
    writers: dict[tuple[str, int], int] = {}
    for append in appends:
        first = merged.setdefault(append.writes[0].first, append)
        if append.outcome == "acked":
            _claim(verdict, append, writers)
        if first is append:
            continue
        told = (append.versions, append.positions)
        both = append.outcome == first.outcome == "acked"
        if both and told != (first.versions, first.positions):
            verdict.find("duplicated", f"acknowledged at two places: {append.writes}")
        first.begun = min(first.begun, append.begun)
        if append.outcome == "acked" and first.outcome != "acked":
            first.outcome, first.ended = append.outcome, append.ended
            first.versions, first.positions = told
        elif append.outcome == "unknown" and first.outcome == "failed":
            first.outcome = "unknown"
        elif first.outcome == "unknown" and append.error == _REFUSAL:
            first.outcome, first.error = append.outcome, append.error
    return list(merged.values())


def _claim(verdict: Verdict, append: Append, writers: dict[tuple[str, int], int]) -> None:
    for write, version in zip(append.writes, append.versions, strict=False):
        for value, claimed in zip(reversed(write.values), range(version, 0, -1), strict=False):
            if writers.setdefault((write.stream, claimed), value) != value:
                verdict.find("duplicated", f"two writers were told {write.stream} {claimed}")


def _settle(verdict: Verdict, commit: Append, places: dict[int, Stored]) -> None:
    """Compares one commit with what lies in the log."""
    verdict.commits += 1
    values = [value for write in commit.writes for value in write.values]
    found = sum(value in places for value in values)
    match commit.outcome:
        case "acked":
            verdict.acked += commit.size
            if found < commit.size:
                verdict.find("lost", f"{commit.size - found} of {commit}", commit.size - found)
            _compare(verdict, commit, places)
        case "unknown":
            verdict.unknown += commit.size
        case "failed":
            verdict.refused += commit.size
            if found:
                verdict.find("strange", f"refused ({commit.error}) and stored: {commit}", found)
    if 0 < found < commit.size:
        verdict.find("torn", f"{found} of {commit.size} events of {commit.writes}")


def _compare(verdict: Verdict, commit: Append, places: dict[int, Stored]) -> None:
    """Compares where an acknowledged commit lies with where its client was told."""
    positions = iter(commit.positions)
    for write, version in zip(commit.writes, commit.versions, strict=False):
        for offset, value in enumerate(write.values):
            told = (next(positions, None), write.stream, version - write.size + 1 + offset)
            lies = places.get(value)
            if lies is not None and lies[:3] != told:
                verdict.find("strange", f"{lies} was acknowledged at {told}")


def _order(verdict: Verdict, commits: Sequence[Append], places: dict[int, Stored]) -> None:
    """Holds the order of positions against the order of time."""
    stored = [(commit, _span(commit, places)) for commit in commits]
    lying = [(commit, span) for commit, span in stored if span is not None]
    acked = sorted((c.ended, span[1]) for c, span in lying if c.outcome == "acked" and c.ended)
    highest = passed = 0
    for commit, (low, _) in sorted(lying, key=lambda pair: pair[0].begun):
        while passed < len(acked) and acked[passed][0] < commit.begun:
            highest = max(highest, acked[passed][1])
            passed += 1
        if low <= highest:
            verdict.find("reordered", f"{commit} lies at {low}, after {highest} was acknowledged")


def _span(commit: Append, places: dict[int, Stored]) -> tuple[int, int] | None:
    found = [places[v].position for w in commit.writes for v in w.values if v in places]
    return (min(found), max(found)) if found else None


def _reads(
    verdict: Verdict,
    commits: Sequence[Append],
    reads: Sequence[Read],
    log: Sequence[Stored],
    places: dict[int, Stored],
    owner: dict[int, int],
) -> None:
    """Holds each read against the log, what was acknowledged before it, and earlier reads."""
    scopes: dict[str | None, list[int]] = defaultdict(list)
    for event in log:
        scopes[None].append(event.value)
        scopes[event.stream].append(event.value)
    asked: dict[str | None, list[Read]] = defaultdict(list)
    for read in reads:
        asked[read.stream].append(read)
    for stream, mine in asked.items():
        whole = scopes[stream]
        index = {value: place for place, value in reversed(list(enumerate(whole)))}
        floors = [
            (commit.ended, 1 + max(index[v] for v in values))
            for commit in commits
            if commit.outcome == "acked" and commit.ended
            if (values := [v for w in commit.writes for v in w.values if v in index])
        ]
        floors += [(read.ended, len(read.values)) for read in mine]
        floors.sort()
        floor = passed = 0
        for read in sorted(mine, key=lambda read: read.begun):
            while passed < len(floors) and floors[passed][0] < read.begun:
                floor = max(floor, floors[passed][1])
                passed += 1
            _prefix(verdict, read, whole, index, floor, owner)


def _prefix(
    verdict: Verdict,
    read: Read,
    whole: Sequence[int],
    index: dict[int, int],
    floor: int,
    owner: dict[int, int],
) -> None:
    name = f"a read of {read.stream or 'the log'}"
    size = len(read.values)
    if list(read.values) != whole[:size]:
        ghosts = [value for value in read.values if value not in index]
        if ghosts:
            verdict.find("strange", f"{name} gave what is not stored: {ghosts[:5]}", len(ghosts))
        end = max((index[value] + 1 for value in read.values if value in index), default=0)
        missing = end - len(set(read.values) - set(ghosts))
        if missing or not ghosts:
            verdict.find("skipped", f"{name} is no prefix; {missing} missing", max(missing, 1))
        return
    if size < floor:
        verdict.find("skipped", f"{name} gave {size} of {floor} that were there", floor - size)
    if 0 < size < len(whole) and owner.get(whole[size - 1], -1) == owner.get(whole[size], -2):
        verdict.find("torn", f"{name} ends within a commit, after {whole[size - 1]}")
