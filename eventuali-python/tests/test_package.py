"""The package as a whole: its names, and what importing it costs."""

import subprocess
import sys
from pathlib import Path

import eventuali

ROOT = Path(__file__).parents[2]

NAMES = """
ALL ANY Aggregate AggregateNotFoundError AppendCondition AppendConditionError CheckpointInfo
Committed
ConfigurationError Damage DatabaseError Documents DomainEvent Event EventMeta EventStore
EventStoreConfig EventStoreError EventualiError ExpectedVersion Found Group Horizon
IdempotencyConflictError InvalidEventError
NO_STREAM
OptimisticConcurrencyError Outcome OutcomeUnknownError Projection ProjectionStatus Query ReadModel
Retry Running
STREAM_EXISTS SerializationError SnapshotPolicy
Statements StoreStats StreamEvents StreamInfo Subscription SystemEvent TenantLimits
Tracking UnitOfWork
UnknownEvent User
Verification
__version__ by_position now
upcast
"""


def test_the_public_names_are_these() -> None:
    assert sorted(eventuali.__all__) == NAMES.split()


def test_every_name_is_there_and_comes_late() -> None:
    script = """
import sys, eventuali
assert "pydantic" not in sys.modules and "asyncio" not in sys.modules
assert set(eventuali.__all__) <= set(dir(eventuali))
for name in eventuali.__all__:
    assert getattr(eventuali, name) is not None, name
from eventuali import *
assert EventStore is eventuali.EventStore
assert "asyncio" not in sys.modules, "opening a store brings it"
try:
    eventuali.Missing
except AttributeError as error:
    assert "Missing" in str(error)
else:
    raise AssertionError("a name that does not exist is there")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_modules_are_attributes_and_come_late() -> None:
    script = """
import sys, eventuali
for name in ("errors", "event", "aggregate", "query", "expected", "history", "config", "store",
             "subscription", "sync", "importing"):
    assert name in dir(eventuali), name
    module = getattr(eventuali, name)
    assert module is sys.modules["eventuali." + name], name
    assert "asyncio" not in sys.modules
    assert "eventuali.sync" not in sys.modules or name in ("sync", "importing")
assert issubclass(eventuali.errors.StoreClosedError, eventuali.EventualiError)
for name in ("_decode", "testing"):
    assert not hasattr(eventuali, name), name
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_readme_knows_the_version() -> None:
    """It says which package of this name is meant: another one is on PyPI."""
    readme = (ROOT / "README.md").read_text()
    assert f"version {eventuali.__version__}," in readme
    assert f"eventuali-{eventuali.__version__}-" in readme
