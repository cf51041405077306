"""Reads the documents of projections over and over, and writes down what it saw.

    python -m reliability.children.onlooker URL FILE STOP

Ends when there is a file STOP. Each line is a `Seen`, all documents of a model, read at once; or
the count and the last position of the share of all, got by its key.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import sleep

from eventuali import sync
from reliability.projecting import MODELS, PAGE, Seen, Share

_PAUSE_S = 0.03


def main() -> None:
    """Reads."""
    url, file, stop = sys.argv[1:]
    with sync.EventStore.create(url) as store, Path(file).open("w", encoding="utf-8") as out:
        print("ready", flush=True)
        while not Path(stop).exists():
            for model in MODELS:
                found = store.find(model, limit=PAGE)
                assert found.next is None, "this takes several pages, which are read one by one"
                print(json.dumps(Seen.of(model, found)), file=out)
                sleep(_PAUSE_S)
            whole = store.get(Share, "all")
            if whole is not None:
                print(json.dumps([whole.count, whole.last]), file=out)


if __name__ == "__main__":
    main()
