"""The registry: what each version of each event type stores, in a file for version control."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from eventuali.errors import ConfigurationError
from eventuali.event import Event
from eventuali.event._registry import shown
from eventuali.schema._described import Schema, checks_of, described, fingerprint

FORMAT = 1
"""The format of the file that this release writes and reads."""
_SUGGESTION = "restore it from version control"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one version of an event type stores.

    Attributes:
        event_type: The wire name.
        version: The version of the schema.
        schema: JSON Schema of what is stored: fields by their names, without titles.
        fingerprint: The fingerprint of the schema, without what is for people.
        checks: The fingerprint of the class's own validators; None if it has none.
        readable_by: The lowest version of the class that can read every event of this one; None if
            some of them do not say.
        path: The path of the class when it was noted.
        earlier: Schemas that the same version had before, compatible with this one.
    """

    event_type: str
    version: int
    schema: Schema = field(repr=False)
    fingerprint: str
    checks: str | None = None
    path: str = ""
    earlier: tuple[Schema, ...] = field(default=(), repr=False)
    readable_by: int | None = None

    @classmethod
    def of(cls, event: type[Event]) -> Self:
        """Describes a class.

        Raises:
            ConfigurationError: The class can't be described, for a forward reference is open.
        """
        try:
            schema = described(event)
            checks = checks_of(event)
        except Exception as error:
            text = f"{shown(event)} can't be described: {error}"
            raise ConfigurationError(text) from error
        name, version = event.__event_type__, event.__event_version__
        path, readable_by = shown(event), event.__readable_by__
        return cls(
            name, version, schema, fingerprint(schema), checks, path, readable_by=readable_by
        )

    def notes(self, new: Entry) -> bool:
        """Whether all is noted that the class of a version says, which `new` describes."""
        held = self.fingerprint, self.checks, self.readable_by
        return held == (new.fingerprint, new.checks, _weaker(self, new))


class Registry(Mapping[tuple[str, int], Entry]):
    """Entries by wire name and version: those of a file, or those of classes.

    old = Registry.read("events.schema.json")
    new = registry("shop")
    assert not [f for f in check(old, new) if f.level == "error"]
    """

    def __init__(self, entries: Iterable[Entry], classes: Iterable[type[Event]] = ()) -> None:
        """Don't call this directly; use `read`, `of` or `eventuali.schema.registry`."""
        sortable = sorted(entries, key=lambda entry: (entry.event_type, entry.version))
        self._entries = {(entry.event_type, entry.version): entry for entry in sortable}
        self._classes = tuple(classes)

    @classmethod
    def of(cls, *classes: type[Event]) -> Self:
        """Describes classes; not the schema of a retired one, of which nothing is stored any more.

        Raises:
            TypeError: Something else than a class of events is among them.
            ConfigurationError: A class can't be described.
        """
        for each in classes:
            if not (isinstance(each, type) and issubclass(each, Event)):
                raise TypeError(f"{each!r:.60} is not a class of events")
        distinct = sorted(dict.fromkeys(classes), key=shown)
        stored = [each for each in reversed(distinct) if each.__becomes__ is None]
        return cls(map(Entry.of, stored), distinct)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file.

        Raises:
            FileNotFoundError: There is no such file.
            ConfigurationError: It is not a file of schemas, or of another format.
        """
        try:
            held = json.loads(Path(path).read_text("utf-8"), object_pairs_hook=_distinct)
        except ValueError as error:
            raise ConfigurationError(f"{path} can't be read: {error}; {_SUGGESTION}") from error
        if not isinstance(held, dict) or "eventuali_schema" not in held:
            raise ConfigurationError(f"{path} is not a file of event schemas")
        found = held["eventuali_schema"]
        if found != FORMAT:
            raise ConfigurationError(
                f"{path} has the format {found!r:.20}, and this release reads {FORMAT}; "
                "use the release of Eventuali that wrote it"
            )
        return cls(_entries(path, held.get("events")))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes a file, whole or not at all.

        Raises:
            OSError: It can't be written.
        """
        events: dict[str, dict[str, Any]] = {}
        for entry in self.values():
            events.setdefault(entry.event_type, {})[str(entry.version)] = _written(entry)
        held = {"eventuali_schema": FORMAT, "events": events}
        _replace(Path(path).resolve(), json.dumps(held, indent=2, ensure_ascii=False) + "\n")

    @property
    def classes(self) -> tuple[type[Event], ...]:
        """The classes that it was made of; none if it was read from a file."""
        return self._classes

    def types(self) -> list[str]:
        """Returns the wire names, sorted."""
        return list(dict.fromkeys(name for name, _ in self._entries))

    def versions(self, event_type: str) -> list[Entry]:
        """Returns the entries of a wire name, from the oldest version on."""
        return [entry for entry in self.values() if entry.event_type == event_type]

    def with_entries(self, *entries: Entry) -> Registry:
        """Returns a registry with some entries more, or others in place of those."""
        found = dict(self._entries)
        found.update({(each.event_type, each.version): each for each in entries})
        return Registry(found.values(), self._classes)

    def __getitem__(self, key: tuple[str, int]) -> Entry:
        return self._entries[key]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Registry {len(self.types())} types, {len(self)} versions>"


def superseding(new: Entry, old: Entry) -> Entry:
    """Returns an entry that keeps the schemas of the one in whose place it comes."""
    kept = [each for each in (*old.earlier, old.schema) if fingerprint(each) != new.fingerprint]
    return replace(new, earlier=tuple(kept), readable_by=_weaker(old, new))


def _weaker(old: Entry, new: Entry) -> int | None:
    """Returns what all events of a version say, those from before included."""
    if old.readable_by is None or new.readable_by is None:
        return None
    return max(old.readable_by, new.readable_by)


def _written(entry: Entry) -> dict[str, Any]:
    return {
        "class": entry.path,
        "fingerprint": entry.fingerprint,
        **({"checks": entry.checks} if entry.checks else {}),
        **({"readable_by": entry.readable_by} if entry.readable_by else {}),
        "schema": entry.schema,
        **({"earlier": list(entry.earlier)} if entry.earlier else {}),
    }


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a name that is there twice, as after a merge: one of the two would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.60} is there twice")
    return found


def _entries(path: object, events: Any) -> Iterator[Entry]:
    if not isinstance(events, dict):
        raise ConfigurationError(f"{path} has no object `events`; {_SUGGESTION}")
    for name, versions in events.items():
        if not isinstance(versions, dict):
            raise ConfigurationError(f"{path}: {name!r:.60} has no versions; {_SUGGESTION}")
        for version, held in versions.items():
            yield _entry(path, name, version, held)


def _entry(path: object, name: str, version: str, held: Any) -> Entry:
    at = f"{path}: {name!r:.60} {version!r:.20}"
    if not (version.isascii() and version.isdigit() and version[0] != "0"):
        raise ConfigurationError(f"{at} is not a version; {_SUGGESTION}")
    schema = held.get("schema") if isinstance(held, dict) else None
    earlier = held.get("earlier", []) if isinstance(held, dict) else None
    if not isinstance(schema, dict) or not isinstance(earlier, list):
        raise ConfigurationError(f"{at} has no object `schema`; {_SUGGESTION}")
    if held.get("fingerprint") != fingerprint(schema):
        raise ConfigurationError(
            f"{at} has a schema that does not fit its fingerprint: it was changed by hand; "
            f"{_SUGGESTION}"
        )
    readable_by = held.get("readable_by")
    if readable_by is not None and type(readable_by) is not int:
        raise ConfigurationError(f"{at} has a readable_by that is no version; {_SUGGESTION}")
    return Entry(
        name,
        int(version),
        schema,
        held["fingerprint"],
        held.get("checks"),
        str(held.get("class", "")),
        tuple(each for each in earlier if isinstance(each, dict)),
        readable_by,
    )


def _replace(path: Path, text: str) -> None:
    """Writes a file beside the one that is there, and then moves it into its place."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
