"""Deep equality that knows types, scripts in another process, and what a process holds open."""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from time import monotonic, sleep

from pydantic import BaseModel

from eventuali import EventStoreConfig

TESTS = Path(__file__).parent
PROJECT = TESTS.parent.parent


def tree(value: object) -> object:
    """Describes a value by types and content, so that two trees are equal only where both are.

    It shares nothing with the library: no JSON, no pydantic serializer, no `==` of the values.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, Enum):
        return kind, value.name
    if isinstance(value, float):
        return kind, struct.pack(">d", value).hex()
    if isinstance(value, Decimal):
        return kind, repr(value.as_tuple())
    if isinstance(value, datetime):
        return (kind if value.tzinfo is None else "aware", *_moment(value))
    if isinstance(value, time):
        offset = None if value.tzinfo is None else repr(value.utcoffset())
        return kind, value.replace(tzinfo=None, fold=0).isoformat(), offset
    if isinstance(value, date):
        return kind, value.isoformat()
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__ or {}
        return kind, [
            (name, tree(part)) for name, part in [*value.__dict__.items(), *extra.items()]
        ]
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return kind, [(name, tree(getattr(value, name))) for name in fields]
    if isinstance(value, Mapping):
        return kind, [(tree(key), tree(part)) for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return kind, sorted((tree(part) for part in value), key=repr)
    if isinstance(value, list | tuple):
        return kind, [tree(part) for part in value]
    return kind, ascii(value)


def _moment(value: datetime) -> tuple:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return naive, None if value.tzinfo is None else repr(value.utcoffset())


def fields_of(event: BaseModel) -> object:
    return tree(dict(event.__dict__))


UNPACK = """
import pickle, sys
sys.argv[1:] = [pickle.loads(bytes.fromhex(given[7:])) if given.startswith("pickle:") else given
                for given in sys.argv[1:]]
"""


def script(
    code: str, *arguments: object, timeout: float = 60, cwd: Path | None = None, **options
) -> subprocess.CompletedProcess[str]:
    """Runs a script in another process, which can import the modules of this folder.

    Arguments are texts there, but for the configuration of a store, which stays one.
    """
    if any(isinstance(argument, EventStoreConfig) for argument in arguments):
        code = UNPACK + code
        arguments = tuple(map(packed, arguments))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        check=False,
        **options,
    )


def packed(argument: object) -> object:
    if isinstance(argument, EventStoreConfig):
        return f"pickle:{pickle.dumps(argument).hex()}"
    return argument


def output_of(code: str, *arguments: object, **options) -> str:
    """Runs a script that must end well and say nothing on stderr."""
    done = script(code, *arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}\n{done.stderr}"
    return done.stdout


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def settled(count: Callable[[], int], wanted: int) -> int:
    """Counts again for a while until it is no more than wanted: a thread takes time to end."""
    end = monotonic() + 3
    while count() > wanted and monotonic() < end:
        sleep(0.02)
    return count()


def threads() -> int:
    """Counts the threads of the process, the ones that Python doesn't know included."""
    folder = Path("/proc/self/task")
    return len(list(folder.iterdir())) if folder.exists() else threading.active_count()
