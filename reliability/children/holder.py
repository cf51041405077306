"""Keeps others from writing now and then, so that their saves take their time.

    python -m reliability.children.holder PATH SEED

Takes the write lock of a file, or locks the log of a PostgreSQL database against inserts. A process
of its own: within one process a second SQLite would not exclude the first, and would release its
locks.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from random import Random
from time import sleep

import psycopg


def main() -> None:
    """Holds and lets go until it is killed."""
    path, seed = sys.argv[1:]
    chance = Random(seed)
    execute: Callable[[str], object]
    take: tuple[str, ...]
    if "://" in path:
        execute = psycopg.connect(path, autocommit=True).execute
        take = ("BEGIN", "LOCK TABLE events_log IN EXCLUSIVE MODE")
    else:
        execute = sqlite3.connect(path, isolation_level=None, timeout=30).execute
        take = ("BEGIN IMMEDIATE",)
    while True:
        for statement in take:
            execute(statement)
        sleep(chance.uniform(0.002, 0.02))
        execute("ROLLBACK")
        sleep(chance.uniform(0.0005, 0.004))


if __name__ == "__main__":
    main()
