"""What a blocking save gains where the caller's own thread does the commit.

    target/bench/env/bin/python -m benchmarks.caller_writes

Saves of one event, in turns on the writer's thread and on the caller's, on one file; medians of
60 rounds of 20; docs/adr/0005 quotes the ratio. Take the release build that `make bench` makes.
"""

import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.subjects.ours import Account, add
from eventuali._engine.event_types import EventTypes
from eventuali._engine.lifecycle import begin, opened
from eventuali.sync import EventStore


def saves(store: EventStore) -> float:
    """Returns the seconds of a save."""
    accounts = [Account() for _ in range(20)]
    for account in accounts:
        add(account, 1)
    begun = time.perf_counter()
    for account in accounts:
        store.save(account)
    return (time.perf_counter() - begun) / len(accounts)


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = begin(Path(folder) / "events.db", "", "full").wait()
        stores = {
            "writer's thread": EventStore(opened(store), EventTypes()),
            "caller's thread": EventStore(store.blocking(), EventTypes()),
        }
        times: dict[str, list[float]] = {name: [] for name in stores}
        for _ in range(60):
            for name in random.sample(list(stores), len(stores)):
                times[name].append(saves(stores[name]))
        for name, taken in times.items():
            print(f"{name}  {statistics.median(taken) * 1e6:5.0f} µs")
        stores["writer's thread"].close()


if __name__ == "__main__":
    main()
