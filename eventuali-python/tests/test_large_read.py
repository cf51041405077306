"""Reading a large log page by page takes memory for pages, not for the log.

A million events with `HYPOTHESIS_PROFILE=check`, else fewer.
"""

from __future__ import annotations

import os

import pytest
from ledger import Counted
from stores import each_shared, url_of
from support import output_of

from eventuali import sync

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "check"
EVENTS = 1_000_000 if LONG else 50_000
MIB = 1 << 20

READ = """
import sys
from eventuali import sync
import ledger

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

with sync.EventStore.create(sys.argv[1]) as store:
    for _ in store.read(limit=5_000):  # what is made once and for all is made now
        pass
    before, count = resident(), 0
    for event in store.read():
        count += 1
print(count, resident() - before)
"""


@each_shared
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells the peak")
def test_a_large_log_is_read_in_little_memory(kind, tmp_path):
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place, durability="relaxed") as store:
        for first in range(0, EVENTS, 10_000):
            events = [Counted(number=n) for n in range(first, first + 10_000)]
            store.append(events, stream=("Ledger", f"l-{first // 10_000}"))
    count, growth = map(int, output_of(READ, place, timeout=280).split())
    print(f"{count:,} events, {growth / MIB:.1f} MiB")
    assert count == EVENTS
    assert growth <= 64 * MIB
