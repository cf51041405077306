"""A registry of event schemas, and a gate for changes of them.

    from eventuali import schema

    def test_every_stored_event_stays_readable() -> None:
        old = schema.Registry.read("events.schema.json")
        found = schema.check(old, schema.registry("shop"))
        assert not [each for each in found if each.level == "error"]

On the command line it is `python -m eventuali schema snapshot | check | catalog`.
"""

from __future__ import annotations

from eventuali.schema._catalog import catalog
from eventuali.schema._check import Finding, Level, Verdict, check
from eventuali.schema._opening import open_to_look
from eventuali.schema._program import program
from eventuali.schema._registry import Entry, Registry
from eventuali.schema._snapshot import Snapshot, snapshot
from eventuali.schema._stored import Failure, StoredType, check_stored

__all__ = [
    "Entry",
    "Failure",
    "Finding",
    "Level",
    "Registry",
    "Snapshot",
    "StoredType",
    "Verdict",
    "catalog",
    "check",
    "check_stored",
    "open_to_look",
    "registry",
    "snapshot",
]


def registry(*modules: str) -> Registry:
    """Describes the classes of events that modules define or name.

    Args:
        modules: The names of modules, which are imported with all their submodules. The current
            directory is on the path, as for `python -m`.

    Raises:
        ConfigurationError: There is no such module, one can't be imported, there is no class of
            events, or one can't be described.
    """
    return Registry.of(*program(modules).events)
