"""Noting what classes store in the registry, without losing what was stored before."""

from __future__ import annotations

from dataclasses import dataclass

from eventuali.schema._check import Finding, check, claims
from eventuali.schema._registry import Entry, Registry, superseding


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registry with the classes of today in it.

    Attributes:
        registry: The registry to write.
        added: The versions that are new in it, as (wire name, version).
        changed: The versions whose schema is another now, with which all stored events fit.
        replaced: The versions whose schema is another now, with which they don't.
        refused: Why it must not be written; empty if it may.
    """

    registry: Registry
    added: tuple[tuple[str, int], ...]
    changed: tuple[tuple[str, int], ...]
    replaced: tuple[tuple[str, int], ...]
    refused: tuple[Finding, ...]


def snapshot(old: Registry | None, new: Registry, *, replace: bool = False) -> Snapshot:
    """Adds classes to a registry; versions that the code no longer has are kept.

    A version that is noted with another schema is taken, unless every event of that schema is read
    by the new one; then both are kept. With `replace`, the earlier one is forgotten.

    Args:
        old: What was noted before, None for nothing.
        new: What the code has: `registry("shop")`.
        replace: Whether to replace what does not fit: no event of that version was ever stored.
    """
    held = Registry([]) if old is None else old
    added, changed, replaced = [], [], []
    refused = list(claims(new))
    entries = []
    for key, entry in new.items():
        there = held.get(key)
        if there is None:
            added.append(key)
            entries.append(entry)
        elif there.fingerprint == entry.fingerprint:
            entries.append(superseding(entry, there))
        elif not (broken := _broken(there, new)):
            changed.append(key)
            entries.append(superseding(entry, there))
        elif replace:
            replaced.append(key)
            entries.append(entry)
        else:
            refused += broken
    made = held.with_entries(*entries)
    return Snapshot(made, tuple(added), tuple(changed), tuple(replaced), tuple(refused))


def _broken(there: Entry, new: Registry) -> list[Finding]:
    """Returns what keeps events of a version from being read by the same version of today."""
    found = check(Registry([there]), new)
    return [each for each in found if each.level == "error" and each.version is not None]
