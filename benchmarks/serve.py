"""One subject in a process of its own: a request a line in, an answer a line out, as JSON.

    python -m benchmarks.serve ours
    python -m benchmarks.serve pg postgresql://postgres@127.0.0.1/test

The first answer is what the subject is made of. `{"op": "fresh", "folder": …}` starts over;
any other `{"op": …, "events": …, "repeat": …}` answers `{"seconds": …}`, the time of a unit.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from benchmarks.subjects import Subject, make


def answer(subject: Subject, request: dict[str, Any]) -> dict[str, Any]:
    """Does what is asked; what goes wrong is an answer too."""
    try:
        if request["op"] == "fresh":
            subject.fresh(Path(request["folder"]))
            return {"seconds": 0.0}
        operation = getattr(subject, "op_" + request["op"])
        return {"seconds": operation(request["events"], request["repeat"])}
    except Exception as error:
        last = traceback.format_exc()
        return {"error": f"{type(error).__name__}: {error}", "traceback": last}


def main(name: str, *words: str) -> None:
    """Serves until the input ends."""
    subject = make(name, *words)
    print(json.dumps({"about": subject.about()}), flush=True)
    try:
        for line in sys.stdin:
            print(json.dumps(answer(subject, json.loads(line))), flush=True)
    except KeyboardInterrupt:
        pass  # the driver says so
    finally:
        subject.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
