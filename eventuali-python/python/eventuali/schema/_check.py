"""What a change of event classes does to the events that are stored, and to older code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from eventuali._engine.upcast import StoredKind
from eventuali.errors import UnknownEventTypeError
from eventuali.event import Event, _registry
from eventuali.schema._compare import Narrowing, changes, narrowings
from eventuali.schema._described import Schema, fingerprint
from eventuali.schema._evidence import Evidence, evidence
from eventuali.schema._reading import Read, read, shown
from eventuali.schema._registry import Entry, Registry

Level: TypeAlias = Literal["ok", "warning", "error"]


class Verdict(StrEnum):
    """What is said of a change."""

    OK = "ok"
    NOT_RECORDED = "not recorded"
    CHECKS = "checks changed"
    DIFFERENT = "reads differently"
    OLD_READERS = "breaks old readers"
    RENAMED = "maybe renamed"
    UNPROVEN = "unproven"
    UPCASTER = "needs an upcaster"
    STEP = "a step fails"
    PROMISE = "readable_by is not kept"
    VERSION = "version is too low"
    REMOVED = "removed"
    CLAIMED = "claimed twice"


_WARNINGS = frozenset({
    Verdict.NOT_RECORDED, Verdict.CHECKS, Verdict.DIFFERENT, Verdict.OLD_READERS, Verdict.RENAMED,
    Verdict.UNPROVEN,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """What a change does.

    Attributes:
        verdict: The kind of finding.
        event_type: The wire name.
        version: The version that is concerned; None if it is the type as a whole.
        text: What it is, and what to do.
        sample: A stored event that shows it, as JSON; empty if there is none.
        became: What the code would make of the sample.
    """

    verdict: Verdict
    event_type: str
    version: int | None
    text: str
    sample: str = ""
    became: str = ""

    @property
    def level(self) -> Level:
        """How bad it is: an `error` breaks stored events."""
        if self.verdict is Verdict.OK:
            return "ok"
        return "warning" if self.verdict in _WARNINGS else "error"

    def __str__(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        lines = [f"{self.level}: {self.event_type}{version}: {self.verdict}", f"    {self.text}"]
        if self.sample:
            lines.append(f"    an event such as  {self.sample}")
        if self.became:
            lines.append(f"    would become      {self.became}")
        return "\n".join(lines)


def check(old: Registry, new: Registry) -> list[Finding]:
    """Compares what is stored, by a file, with the code.

    Two things decide together: what the schemas say, and what becomes of payloads that an old
    schema allows, each read as a store reads it.

    Args:
        old: What may be stored, as a rule `Registry.read("events.schema.json")`.
        new: What the code has: `registry("shop")` or `Registry.of(…)`.

    Returns:
        What was found, by type and version; no `error` among it if every stored event stays
        readable.
    """
    found = list(claims(new))
    owners = _owners(new)
    for name in old.types():
        cls = owners.get(name)
        versions = old.versions(name)
        if cls is None:
            found.append(_removed(name, versions))
            continue
        found += _Type(name, cls, new).findings(versions)
    found += _unrecorded(old, new)
    return sorted(found, key=lambda f: (f.event_type, f.version or 0))


def claims(new: Registry) -> Iterator[Finding]:
    """Yields a finding for each wire name that two classes claim, as their own or a former one."""
    claimed: dict[str, list[type[Event]]] = {}
    for cls in new.classes:
        for name in _registry.names(cls):
            claimed.setdefault(name, []).append(cls)
    for name, classes in sorted(claimed.items()):
        if len(classes) > 1:
            paths = " and ".join(_registry.shown(cls) for cls in classes)
            text = f"{paths} claim this wire name; give one of them a name of its own"
            yield Finding(Verdict.CLAIMED, name, None, text)


def _owners(new: Registry) -> dict[str, type[Event]]:
    """Returns the class of each wire name, also of those that classes had before."""
    former = {name: cls for cls in reversed(new.classes) for name in cls.__formerly__}
    return former | {cls.__event_type__: cls for cls in reversed(new.classes)}


def _removed(name: str, versions: list[Entry]) -> Finding:
    count = len(versions)
    those = "1 version is" if count == 1 else f"{count} versions are"
    text = (
        f"no class has this wire name any more, and {those} in the file ({versions[-1].path}); "
        "keep the class, name it in formerly= of the class that replaces it, or retire it"
    )
    return Finding(Verdict.REMOVED, name, None, text)


def _unrecorded(old: Registry, new: Registry) -> Iterator[Finding]:
    for (name, version), entry in new.items():
        there = old.get((name, version))
        if there is None or not there.notes(entry):
            what = "is not in the file" if there is None else "has changed since"
            text = f"{entry.path} {what}; note it with: python -m eventuali schema snapshot"
            yield Finding(Verdict.NOT_RECORDED, name, version, text)


class _Type:
    """The comparison of one event type with the class that has its name."""

    def __init__(self, name: str, cls: type[Event], new: Registry) -> None:
        self._name = name
        self._cls = cls
        self._version = cls.__event_version__
        self._new = new.get((cls.__event_type__, self._version))  # None of a retired class

    def findings(self, versions: list[Entry]) -> list[Finding]:
        """Returns what is found for all versions, each finding once."""
        found: dict[tuple[Verdict, str], Finding] = {}
        for entry in versions:
            for schema in (entry.schema, *entry.earlier):
                for each in self._of(entry, schema):
                    found.setdefault((each.verdict, each.text), each)
        if self._name != self._cls.__event_type__:
            text = f"it is read as {self._cls.__event_type__} now"
            return [*found.values(), Finding(Verdict.OK, self._name, None, text)]
        return list(found.values())

    def _of(self, entry: Entry, schema: Schema) -> Iterator[Finding]:
        kind = StoredKind(self._name, entry.version, entry.readable_by)
        if entry.version > self._version:
            yield from self._newer(kind, schema)
        elif self._new is None:
            yield from self._retired(kind, schema)
        elif entry.version < self._version:
            yield from self._older(self._new, kind, schema)
        else:
            yield from self._same_version(self._new, entry, schema)

    def _retired(self, kind: StoredKind, schema: Schema) -> Iterator[Finding]:
        yield from self._steps(kind.version, evidence(self._cls, kind, schema))
        into = self._cls.__becomes__
        names = " and ".join(each.__event_type__ for each in into or ()) or "nothing"
        text = f"{self._cls.__name__} is retired: its events become {names}"
        yield Finding(Verdict.OK, self._name, None, text)

    # --- a version above that of the class --------------------------------------------------------

    def _newer(self, kind: StoredKind, schema: Schema) -> Iterator[Finding]:
        name, version = self._cls.__name__, kind.version
        try:
            seen = evidence(self._cls, kind, schema)
        except UnknownEventTypeError:
            text = (
                f"{name} has version {self._version}, and events of version {version} may be "
                f"stored; raise version= to {version + 1}"
            )
            yield self._finding(Verdict.VERSION, version, text)
            return
        promise = f"events of version {version} say readable_by={kind.readable_by}"
        if seen.refused is not None:
            sample, made = seen.refused
            text = f"{promise}, and {name} of version {self._version} can't read them"
            yield self._finding(Verdict.PROMISE, version, text, sample, made.refused)
        elif self._new is not None:
            yield from self._as_read(version, seen)
            text = f"{promise}; {name} of version {self._version} keeps what it doesn't know"
            yield self._finding(Verdict.OK, version, text)
        else:
            yield from self._steps(version, seen)

    # --- an older version -------------------------------------------------------------------------

    def _older(self, new: Entry, kind: StoredKind, schema: Schema) -> Iterator[Finding]:
        version = kind.version
        said = list(self._steps(version, evidence(self._cls, kind, schema)))
        yield from said
        reads_from = new.readable_by
        refused = _refusals(new.schema, schema)
        if reads_from is not None and reads_from <= version and refused:
            text = (
                f"readable_by={reads_from} says that code of version {version} can read "
                f"version {self._version}, but {_places(refused)}; raise readable_by"
            )
            yield self._finding(Verdict.PROMISE, version, text)
        elif reads_from is None and not (refused or said) and version == self._version - 1:
            text = (
                f"code of version {version} could read version {self._version}: "
                f"readable_by={version} would let it"
            )
            yield self._finding(Verdict.OK, version, text)

    def _steps(self, version: int, seen: Evidence) -> Iterator[Finding]:
        name = self._cls.__name__
        if seen.missing is not None:
            text = (
                f"{name} {version} → {version + 1}: @upcast({version}) is missing, so a store "
                "refuses the event with UpcastError"
            )
            became = "" if self._new is None else _told(self._cls, seen.missing)
            yield self._finding(Verdict.UPCASTER, version, text, seen.missing, became)
            return
        if seen.failed is not None:
            sample, text = seen.failed
            yield self._finding(Verdict.STEP, version, f"{name}: {text}", sample)
        elif seen.refused is not None:
            sample, made = seen.refused
            text = f"{name}: what its steps give does not fit {_where(made)}"
            became = f"{shown(made.payload)}: {made.refused}"
            yield self._finding(Verdict.STEP, version, text, sample, became)
        else:
            yield from self._as_read(version, seen)

    def _as_read(self, version: int, seen: Evidence) -> Iterator[Finding]:
        """Yields what is odd about events that can be read."""
        if seen.inconclusive:
            text = (
                f"no payload could be made that {self._cls.__name__} accepts: give the fields "
                "that only its validators understand examples, Field(examples=[…]), or use "
                "check --store"
            )
            yield self._finding(Verdict.UNPROVEN, version, text)
        if seen.differs is not None:
            sample, (path, text) = seen.differs
            yield self._finding(Verdict.DIFFERENT, version, f"{path}: {text}", sample)

    # --- the same version -------------------------------------------------------------------------

    def _same_version(self, new: Entry, entry: Entry, schema: Schema) -> Iterator[Finding]:
        version = self._version
        if fingerprint(schema) != new.fingerprint:
            yield from self._changed(new, schema)
        if entry.checks != new.checks:
            text = (
                f"the validators of {self._cls.__name__} are others now; stored events that they "
                "refuse are read without them where that is possible: use check --store"
            )
            yield self._finding(Verdict.CHECKS, version, text)

    def _changed(self, new: Entry, schema: Schema) -> Iterator[Finding]:
        version, name = self._version, self._cls.__name__
        seen = evidence(self._cls, StoredKind(self._name, version), schema)
        cure = f"raise version= to {version + 1} and write @upcast({version})"
        if seen.refused is not None:
            sample, made = seen.refused
            text = f"{name} changed and is still version {version}: {cure}"
            yield self._finding(Verdict.UPCASTER, version, text, sample, made.refused)
            return
        if seen.swapped is not None:
            sample, (path, was, now) = seen.swapped
            text = f"{path} was stored as {was} and would be read as {now}: {cure}"
            yield self._finding(Verdict.UPCASTER, version, text, sample)
            return
        odd = [
            *self._as_read(version, seen),
            *self._renamed(new, schema, seen),
            *self._readers(new, schema),
            *self._tighter(new, schema),
        ]
        yield from odd
        lines = changes(schema, new.schema)
        if lines or not odd:
            text = "; ".join(lines) or "every stored event fits"
            yield self._finding(Verdict.OK, version, text)

    def _tighter(self, new: Entry, schema: Schema) -> Iterator[Finding]:
        checks = [each for each in narrowings(schema, new.schema) if each.is_check]
        if checks:
            text = f"{_places(checks)}; stored events outside are read without the check, slowly"
            yield self._finding(Verdict.CHECKS, self._version, text)

    def _renamed(self, new: Entry, schema: Schema, seen: Evidence) -> Iterator[Finding]:
        added = sorted(new.schema.get("properties", {}).keys() - schema.get("properties", {}))
        if seen.unknown and added:
            gone = ", ".join(sorted(seen.unknown))
            text = (
                f"{gone} was removed and {', '.join(added)} was added; if that is a new name, "
                "stored events lose the value: give the field the old name as its alias"
            )
            yield self._finding(Verdict.RENAMED, self._version, text)

    def _readers(self, new: Entry, schema: Schema) -> Iterator[Finding]:
        refused = _refusals(new.schema, schema)
        if refused:
            text = (
                f"code that runs now can't read what is stored from now on: {_places(refused)}; "
                f"raise version= to {self._version + 1} with an @upcast({self._version}), so that "
                "it refuses such events by name, or deploy all readers first"
            )
            yield self._finding(Verdict.OLD_READERS, self._version, text)

    def _finding(
        self, verdict: Verdict, version: int, text: str, sample: Any = None, became: str = ""
    ) -> Finding:
        example = "" if sample is None else shown(sample)
        return Finding(verdict, self._name, version, text, example, became)


def _refusals(written: Schema, reader: Schema) -> list[Narrowing]:
    """Returns what code that knows one schema can't read of what is written with another."""
    return [each for each in narrowings(written, reader, whole=True) if not each.is_check]


def _told(cls: type[Event], sample: Any) -> str:
    """Returns what a payload would be without the step that is missing."""
    made = read(cls, sample)
    if made.event is None:
        return f"without a step: {made.refused}"
    return (
        f"without a step: {made.event!r:.300}, which may be right: then the step is `return data`"
    )


def _where(made: Read) -> str:
    name = made.cls.__name__
    return f"{made.path} of {name}" if made.path else f"the class {name}"


def _places(found: list[Narrowing]) -> str:
    shown_ = [f"{each.path}: {each.text}" if each.path else each.text for each in found[:3]]
    more = len(found) - len(shown_)
    return "; ".join([*shown_, *([f"and {more} more"] if more else [])])
