"""Every option of every public function changes what happens; a new one without a check fails here.

The options come from the signatures (`public_options`), the checks are in `option_checks`.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any
from uuid import UUID

import pytest
from option_checks import CHECKS, LEFT_OUT, Place
from public_options import (
    difference_of_the_stores,
    parameters,
    public_classes,
    public_options,
)

import eventuali
from eventuali import EventStore, sync

EXCEPTIONS = {
    name
    for name, cls in public_classes().items()
    if issubclass(cls, Exception) and name != "ProblemError"  # it takes a problem
}
ELSEWHERE = (
    "EventStore.count.",
    "EventStore.dead_letters.",
    "EventStore.join.",
    "EventStore.find.",
    "EventStore.get.",
    "EventStore.append_events.",
    "EventStore.get_events.",
    "EventStore.clean_snapshots.",
    "EventStore.create.snapshots",
    "EventStore.rebuild.",
    "EventStore.repartition.",
    "EventStore.run.",
    "EventStore.search.",
    "AllTenants.",
    "AsyncOwnTables.",
    "EventStoreConfig.tenant_role_sql.",
    "Checkpoint.",
    "DeadLetters.",
    "Documents.",
    "Found.",
    "Group.",
    "Member.",
    "MemoryView.",
    "OwnTables.",
    "Placed.",
    "InSql.",
    "Statements.",
    "Projection.",
    "Projection[class].",
    "ReadModel[class].",
    "Retry.",
    "Running.",
    "Worker.",
    "by_position.",
    "load.",
    "Aggregate.handle.",
    "Aggregate[class].snapshot_",
    "SnapshotPolicy.",
    "TenantLimits.",
    "CommandBus.",
    "EventStore.metadata.",
    "answers.",
    "carry.",
    "caused_by.",
    "handles.",
    "metadata.",
    "EventStream.",
    "EventStreams.",
    "EventView.",
    "Problem.",
    "ProblemError.",
    "RequestContext.",
    "add_problem_handlers.",
    "correlation_id_of.",
    "problem_of.",
    "wait_until_shown.",
    "Event[class].formerly",
    "Event[class].readable_by",
    "Event[class].retired",
    "upcast.",
    "Registry.",
    "catalog.",
    "check.",
    "check_stored.",
    "open_to_look.",
    "registry.",
    "snapshot.",
)
"""Streams by id, commands, metadata by context, read models, what an HTTP API needs:
test_append_events, test_command, test_context, test_asgi, test_projections, test_running,
test_rebuilding, test_search, test_own_tables,
test_sql_statements, test_groups, test_memory_view, test_worker_in_process, test_worker_load,
test_snapshots, test_tenants, test_row_security, the modules test_upcasting_… and test_schema_…
show what these change."""
OPTIONS = {
    name
    for name in public_options()
    if name.split(".")[0] not in EXCEPTIONS and not name.startswith(ELSEWHERE)
}


def test_every_option_has_a_check_and_every_check_an_option():
    missing = sorted(OPTIONS - CHECKS.keys())
    assert not missing, f"no check shows what these options change: {', '.join(missing)}"
    strange = sorted(CHECKS.keys() - OPTIONS)
    assert not strange, f"no public function has these options: {', '.join(strange)}"


def test_both_stores_have_the_same_options():
    assert difference_of_the_stores() == set()


@pytest.mark.parametrize("option", sorted(CHECKS))
def test_a_check_sees_different_things(option):
    pairs = CHECKS[option].pairs
    assert len(pairs) > 1
    assert len({repr(seen) for _, seen in pairs}) > 1, "it would pass without the option"


CASES = [
    (option, api)
    for option in sorted(CHECKS)
    for api in (["async", "sync"] if option.startswith("EventStore.") else ["sync"])
]


@pytest.mark.parametrize(("option", "api"), CASES)
def test_an_option_changes_what_happens(option, api, tmp_path, monkeypatch):
    check = CHECKS[option]
    different, itself = set(), True
    for value, wanted in check.pairs:
        given = watched(option, api, monkeypatch)
        assert check.see(Place(api, tmp_path), value) == wanted, (option, value)
        monkeypatch.undo()
        if value is not LEFT_OUT and given is not None:
            assert given, f"{option} was never given"
            itself &= any(one is value or one == value for one in given)
            different.add(repr(given))
    assert itself or len(different) > 1, f"{option} was always given the same"


def watched(option: str, api: str, monkeypatch: Any) -> list[Any] | None:
    """Notes what is given as an option from now on; None where that can't be seen.

    Events and aggregates make their constructors themselves, and a class statement calls nothing.
    """
    owner, *method, parameter = option.split(".")
    classes = public_classes() | {"EventStore": EventStore if api == "async" else sync.EventStore}
    if owner not in ("EventStore", "EventStoreConfig", "Query", "AppendCondition"):
        return None
    (name,) = method or ("__init__",)
    cls = classes[owner]
    raw = inspect.getattr_static(cls, name)
    function = getattr(raw, "__func__", raw)
    signature = inspect.signature(function)
    assert parameter in parameters(function)
    given: list[Any] = []

    @wraps(function)
    def noting(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        several = signature.parameters[parameter].kind == inspect.Parameter.VAR_POSITIONAL
        if several or parameter in bound.arguments:
            given.append(bound.arguments.get(parameter, ()))
        return function(*arguments, **options)

    wrapped = type(raw)(noting) if isinstance(raw, classmethod | staticmethod) else noting
    monkeypatch.setattr(cls, name, wrapped)
    return given


VALUES: dict[str, tuple[Any, Any]] = {
    "event_ids": ([UUID(int=1)], []),
    "stream": (("Account", "a"), None),
    "known": (["Pay"], []),
}


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_what_an_error_is_given_is_what_it_says(name):
    cls = public_classes()[name]
    for parameter in parameters(cls.__init__)[1:]:
        if parameter == "message":
            assert [str(cls(text)) for text in ("one", "two")] == ["one", "two"]
            continue
        values = VALUES.get(parameter, ("one", 2))
        seen = [getattr(cls("text", **{parameter: value}), parameter) for value in values]
        assert seen == list(values)


def test_what_is_public_is_looked_at():
    assert {
        "EventStore",
        "EventStoreConfig",
        "Query",
        "Event",
        "Aggregate",
    } <= public_classes().keys()
    assert {"EventStore.read.limit", "EventStore.create.durability", "Event.tags"} <= OPTIONS
    assert len(EXCEPTIONS) > 20
    assert eventuali.EventStore is public_classes()["EventStore"]
