"""Runs the examples in order, each in a directory of its own, and stops at the first that fails.

Arguments choose examples by a part of their name: `make examples ARGS="01 saga"`.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LIMIT = 120  # seconds: an example that hangs fails


def run(example: Path) -> str | None:
    """Returns what the example printed if it failed, else None."""
    with tempfile.TemporaryDirectory(prefix="eventuali-") as directory:
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-X", "dev", example],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired as late:
            return f"{(late.stdout or b'').decode(errors='replace')}\nno end after {LIMIT} s\n"
    if done.returncode == 0:
        return None
    return f"{done.stdout.decode(errors='replace')}\nexit status {done.returncode}\n"


def main(words: list[str]) -> int:
    """Runs the examples whose names contain one of the words; all of them without words."""
    examples = [
        path
        for path in sorted(EXAMPLES.glob("*.py"))
        if not words or any(word in path.name for word in words)
    ]
    if not examples:
        print(f"no example to run in {EXAMPLES}")
        return 1
    for number, example in enumerate(examples, 1):
        print(f"{number:3}/{len(examples)}  {example.name:48}", end="", flush=True)
        began = time.monotonic()
        failure = run(example)
        print(f"{time.monotonic() - began:6.1f} s  {'failed' if failure else 'ok'}", flush=True)
        if failure:
            print(failure)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
