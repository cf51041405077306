"""Makes a document for each event of a log, and says how much memory that took.

    python -m reliability.children.hoarder URL TABLES FORM

FORM is `pure`, `free` or `tables`; the last one writes to the tables of the user's at TABLES. The
line has the number of events, and by how many bytes the process had grown at the most, since it
had opened the store.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from eventuali import sync
from eventuali.projection import Runnable
from reliability.broken import break_projections
from reliability.projecting import FreeReceipts, Receipts
from reliability.variant import VARIABLE


def main() -> None:
    """Makes them."""
    url, tables, form = sys.argv[1:]
    break_projections(os.environ.get(VARIABLE, ""))
    runnable = runnable_of(tables, form)
    with sync.EventStore.create(url, durability="relaxed") as store:
        last = max(event.meta.position or 0 for event in store.read(backwards=True, limit=1))
        before = kilobytes("VmRSS")
        with store.run(runnable) as running:
            running.wait_for(last, timeout=150)
            (status,) = running.status()
        grown = 1024 * (kilobytes("VmHWM") - before)
    print(json.dumps({"events": status.handled, "grown": grown}), flush=True)


def runnable_of(tables: str, form: str) -> Runnable:
    """Returns a projection of a form."""
    if form == "tables":
        from reliability.tables import receipts_at

        return receipts_at(tables)
    return Receipts() if form == "pure" else FreeReceipts()


def kilobytes(name: str) -> int:
    """Returns a size of this process, as Linux gives it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    main()
