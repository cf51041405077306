"""How long the WAL of a SQLite store may become."""

from __future__ import annotations

import subprocess
import sys

import pytest

WRITER = """
import os, sys
from eventuali import sync
from ledger import Counted
class Long(Counted):
    text: str
path, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
longest = 0
with sync.EventStore.create(path) as store:
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(count):
        store.append([Long(number=number, text="x" * size)])
        longest = max(longest, os.stat(path + "-wal").st_size)
    print(longest, flush=True)
    sys.stdin.readline()
"""
MEBI = 1 << 20


@pytest.mark.parametrize(("writers", "commits", "size"), [(1, 1500, 100_000), (6, 500, 100_000)])
def test_writers_that_never_pause_keep_the_wal_short(writers, commits, size, tmp_path):
    """300 MiB and more go through a WAL that is copied from 40 MiB on."""
    command = [sys.executable, "-c", WRITER, tmp_path / "events.db", str(commits), str(size)]
    pipe = subprocess.PIPE
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    running = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        for _ in range(writers)
    ]
    try:
        for step in ("open", None):
            lines = [process.stdout.readline().strip() for process in running]
            assert all(lines), lines
            assert step is None or set(lines) == {step}
            for process in running:
                process.stdin.write("\n")
                process.stdin.flush()
        assert max(map(int, lines)) < 80 * MEBI
        assert writers * commits * size > 2 * 64 * MEBI
        assert [process.wait() for process in running] == [0] * writers
    finally:
        for process in running:
            process.kill()
            process.communicate()
