"""Saves for some seconds on a file that other processes save on.

    python -m reliability.children.contender URL SEED NUMBER SECONDS

The history goes to stdout. A conflict is repeated with what is stored now; any other error ends it.
"""

from __future__ import annotations

import sys
from random import Random
from time import monotonic, monotonic_ns

from eventuali import OptimisticConcurrencyError
from eventuali.sync import EventStore
from reliability.history import Recorder, Write
from reliability.workload import (
    Notebook,
    events_of,
    query_of,
    recorded,
    stream_of,
    values_of,
    writes_from,
)

_STREAMS = 6


def main() -> None:
    """Saves and reads until the time is up."""
    url, seed, number, seconds = sys.argv[1:]
    out = sys.stdout.buffer
    recorder, chance = Recorder(out.write), Random(f"{seed}/{number}")
    make = writes_from(int(number), chance)
    with EventStore.create(url) as store:
        end = monotonic() + float(seconds)
        while monotonic() < end:
            write = make(f"s-{chance.randrange(_STREAMS)}", 20)
            kind = chance.random()
            if kind < 0.6:
                with recorded(recorder, write) as told:
                    told(store.append(events_of(write), stream=stream_of(write.stream)))
            elif kind < 0.95:
                save(store, recorder, write)
            else:
                begun = monotonic_ns()
                values = values_of(store.read(query_of(write.stream)))
                recorder.read(write.stream, begun, values)
    recorder.line("end")
    out.flush()


def save(store: EventStore, recorder: Recorder, write: Write) -> None:
    """Loads, decides, saves; from the start where somebody was faster."""
    while True:
        notebook = store.load(Notebook, write.stream) or Notebook(id=write.stream)
        for event in events_of(write):
            notebook.apply(event)
        try:
            with recorded(recorder, write) as told:
                told(store.save(notebook))
        except OptimisticConcurrencyError:
            continue
        return


if __name__ == "__main__":
    main()
