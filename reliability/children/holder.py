"""Takes the write lock of a file now and then, so that saves of others take their time.

    python -m reliability.children.holder PATH SEED

A process of its own: within one process a second SQLite would not exclude the first, and would
release its locks.
"""

from __future__ import annotations

import sqlite3
import sys
from random import Random
from time import sleep


def main() -> None:
    """Holds and lets go until it is killed."""
    path, seed = sys.argv[1:]
    chance = Random(seed)
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        sleep(chance.uniform(0.002, 0.02))
        connection.execute("ROLLBACK")
        sleep(chance.uniform(0.0005, 0.004))


if __name__ == "__main__":
    main()
