"""Reads a log page by page, for ever on from where it was, and says what it saw and when.

    python -m reliability.children.pager URL AFTER LIMIT READS

Ends once it has seen the last event, whose stream is named `END`. Opens its store anew after so
many reads; never where READS is 0.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from time import sleep

from eventuali.errors import EventualiError
from eventuali.sync import EventStore
from reliability.history import Recorder
from reliability.workload import values_of

END = "the-end"
PAUSE = 0.005


def main() -> None:
    """Reads until the end."""
    url, after, limit, reads = sys.argv[1], *map(int, sys.argv[2:])
    recorder = Recorder(lambda line: os.write(1, line))
    recorder.line("ready")
    while after >= 0:
        with EventStore.create(url) as store:
            after = follow(store, recorder, after, limit, reads)


def follow(store: EventStore, recorder: Recorder, after: int, limit: int, reads: int) -> int:
    """Reads so many times, or for ever; returns the position to go on from, -1 at the end."""
    for number in count(1):
        try:
            page = list(store.read(after=after, limit=limit))
        except EventualiError as error:
            recorder.line("error", error=type(error).__name__, text=str(error)[:200])
            sleep(0.02)
            continue
        if page:
            after = page[-1].meta.position or 0
            recorder.line("page", values=values_of(page), last=after)
            if page[-1].meta.aggregate_id == END:
                return -1
        if number == reads:
            break
        if len(page) < limit:
            sleep(PAUSE)
    return after


if __name__ == "__main__":
    main()
