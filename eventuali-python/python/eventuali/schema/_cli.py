"""`python -m eventuali schema snapshot | check | catalog`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

from eventuali._engine.progress import bar
from eventuali.errors import ConfigurationError, EventualiError
from eventuali.schema import (
    Finding,
    Registry,
    Snapshot,
    StoredType,
    catalog,
    check,
    check_stored,
    open_to_look,
    registry,
    snapshot,
)
from eventuali.schema._catalog import describe, of_described
from eventuali.schema._program import program

FILE = "events.schema.json"
OK, FOUND, USAGE = 0, 1, 2
_CODES = "Exit codes: 0 nothing is wrong; 1 something was found; 2 it could not be done."
_LOOK = "such as: python -m eventuali schema snapshot"
Given: TypeAlias = argparse.Namespace


def add_to(commands: Any) -> None:
    """Adds `schema` to the commands."""
    schema = commands.add_parser(
        "schema", help="note, check and describe event classes", epilog=_CODES
    )
    verbs = schema.add_subparsers(metavar="VERB", required=True)
    noting = _verb(verbs, "snapshot", _snapshot, "note what the classes store, in a file")
    noting.add_argument(
        "--replace",
        action="store_true",
        help="replace a version that does not fit what is noted; nothing of it was ever stored",
    )
    checking = _verb(verbs, "check", _check, "compare the classes with the file, or with a store")
    checking.add_argument("--strict", action="store_true", help="warnings lead to exit code 1, too")
    checking.add_argument("--store", metavar="URL", help="read real events instead of the file")
    several = checking.add_mutually_exclusive_group()
    several.add_argument(
        "--sample", type=int, default=100, metavar="N", help="events a type (default: 100)"
    )
    several.add_argument("--all", action="store_true", help="all events, of every type")
    checking.add_argument("--tenant", default="", help="the tenant whose events are read")
    checking.add_argument(
        "--pg-schema", default="public", help="PostgreSQL: the schema of the tables"
    )
    checking.add_argument("--pg-table", default="events", help="PostgreSQL: the view of the log")
    listing = _verb(verbs, "catalog", _catalog, "describe the events in Markdown")
    listing.add_argument("--output", metavar="FILE", help="where to write (default: stdout)")


def _verb(verbs: Any, name: str, run: Callable[[Given], int], about: str) -> Any:
    parser = verbs.add_parser(name, help=about, description=about.capitalize(), epilog=_CODES)
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="a module or package")
    parser.add_argument("--file", default=FILE, help=f"the registry (default: {FILE})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_reporting(run))
    return parser


def _reporting(run: Callable[[Given], int]) -> Callable[[Given], int]:
    """Tells of what could not be done, without a traceback."""

    @wraps(run)
    def reporting(given: Given) -> int:
        try:
            return run(given)
        except (EventualiError, OSError) as error:
            print(f"eventuali schema: {error}", file=sys.stderr)
            return USAGE

    return reporting


# --- snapshot -------------------------------------------------------------------------------------


def _snapshot(given: Given) -> int:
    path = Path(given.file)
    new = registry(*given.modules)
    old = Registry.read(path) if path.exists() else None
    made = snapshot(old, new, replace=given.replace)
    if not made.refused and (old is None or made.registry != old):
        made.registry.write(path)
    if given.json:
        _print_json({
            "written": not made.refused,
            "added": made.added,
            "changed": made.changed,
            "replaced": made.replaced,
            "refused": [_of_finding(each) for each in made.refused],
        })  # fmt: skip
    else:
        _print_snapshot(made, path)
    return FOUND if made.refused else OK


def _print_snapshot(made: Snapshot, path: Path) -> None:
    for each in made.refused:
        print(each)
    if made.refused:
        print(
            f"{path} was not written: a version that is noted is taken; raise version=, or use "
            "--replace if no event of it was ever stored"
        )
        return
    for what, keys in (
        ("added", made.added),
        ("changed, and every stored event fits", made.changed),
        ("replaced", made.replaced),
    ):
        for name, version in keys:
            print(f"{what}: {name} {version}")
    print(f"{path}: {len(made.registry.types())} types, {len(made.registry)} versions")


# --- check ----------------------------------------------------------------------------------------


def _check(given: Given) -> int:
    new = registry(*given.modules)
    if given.store is not None:
        return _check_store(given, new)
    path = Path(given.file)
    if not path.exists():
        modules = " ".join(given.modules)
        raise ConfigurationError(f"there is no {path}; make one, {_LOOK} {modules}")
    found = check(Registry.read(path), new)
    if given.json:
        _print_json({"findings": [_of_finding(each) for each in found]})
    else:
        for each in found:
            print(each)
        levels = Counter(each.level for each in found)
        print(
            f"{len(new.types())} types: {levels['error']} errors, {levels['warning']} warnings, "
            f"{levels['ok']} notes"
        )
    bad = ("error", "warning") if given.strict else ("error",)
    return FOUND if any(each.level in bad for each in found) else OK


def _check_store(given: Given, new: Registry) -> int:
    sample = None if given.all else given.sample
    draw = bar("check", "events") if sys.stderr.isatty() else None
    with open_to_look(given.store, schema=given.pg_schema, table_name=given.pg_table) as store:
        seen = store.for_tenant(given.tenant) if given.tenant else store
        rows = check_stored(seen, new, sample=sample, progress=draw)
    if given.json:
        _print_json({"types": [asdict(each) for each in rows]})
    else:
        _print_stored(rows, sample)
    return FOUND if any(each.failed for each in rows) else OK


def _print_stored(rows: list[StoredType], sample: int | None) -> None:
    for each in rows:
        state = f"{each.failed} can't be read" if each.failed else "ok"
        print(f"{each.event_type} {each.version}: {each.read} read, {state}")
        for failure in each.failures:
            at = f" {failure.path}" if failure.path else ""
            print(f"    position {failure.position}{at}: {failure.text}")
            print(f"        stored  {failure.payload}")
            if failure.became:
                print(f"        became  {failure.became}")
        if each.failed > len(each.failures):
            print(f"    and {each.failed - len(each.failures)} more")
    how = "all events" if sample is None else f"at most {sample} events a type"
    print(f"{sum(each.read for each in rows)} events were read ({how})")


# --- catalog --------------------------------------------------------------------------------------


def _catalog(given: Given) -> int:
    path = Path(given.file)
    recorded = Registry.read(path) if path.exists() else None
    if given.json:
        events = [of_described(each) for each in describe(program(given.modules))]
        text = json.dumps({"events": events}, indent=2, ensure_ascii=False) + "\n"
    else:
        text = catalog(*given.modules, recorded=recorded)
    if given.output is not None:
        Path(given.output).write_text(text, "utf-8")
    else:
        sys.stdout.write(text)
    return OK


def _of_finding(finding: Finding) -> dict[str, Any]:
    return {"level": finding.level, **asdict(finding)}


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
