"""Reads the documents of projections over and over, and writes down what it saw.

    python -m reliability.children.onlooker URL TABLES FILE STOP

TABLES is the address of a database with tables of the user's, or `-` where documents are in the
store. Ends when there is a file STOP. Each line begins with the time before a read. After that
comes a `Seen`, all documents of a model, read at once, and with tables the position that the
checkpoint was at; or the count and the last position of the share of all, got by its key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from eventuali import sync
from reliability.projecting import IN_THE_STORE, MODELS, PAGE, Seen, Share

_PAUSE_S = 0.03


def main() -> None:
    """Reads."""
    url, tables, file, stop = sys.argv[1:]
    with Path(file).open("w", encoding="utf-8") as out:

        def tell(at: float, *seen: Any) -> None:
            print(json.dumps([at, *seen]), file=out)

        if tables == IN_THE_STORE:
            look_into_the_store(url, Path(stop), tell)
        else:
            look_into_tables(tables, Path(stop), tell)


def look_into_the_store(url: str, stop: Path, tell: Callable[..., None]) -> None:
    """Reads documents."""
    with sync.EventStore.create(url) as store:
        print("ready", flush=True)
        while not stop.exists():
            for model in MODELS:
                at, found = monotonic(), store.find(model, limit=PAGE)
                assert found.next is None, "this takes several pages, which are read one by one"
                tell(at, *Seen.of(model, found))
                sleep(_PAUSE_S)
            at, whole = monotonic(), store.get(Share, "all")
            if whole is not None:
                tell(at, whole.count, whole.last)


def look_into_tables(url: str, stop: Path, tell: Callable[..., None]) -> None:
    """Reads rows."""
    from reliability.tables import engine, read

    beside = engine(url)
    print("ready", flush=True)
    while not stop.exists():
        for model in MODELS:
            at = monotonic()
            found, position = read(beside, model)
            tell(at, *Seen.of(model, found), position)
            sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
