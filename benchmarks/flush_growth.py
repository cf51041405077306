"""What a flush costs where the file grows, and where it was long enough before.

    uv run python benchmarks/flush_growth.py

Three frames of a WAL (12 KiB) a flush, as a small commit writes; interleaved, medians and means of
300; docs/adr/0004 quotes the ratios.
"""

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

FRAMES = os.urandom(3 * 4120)
FLUSHES = 300
STEP = 512 << 10


class Grown:
    """A file that each write makes longer."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT)
        self.end = self.size = 0
        self.prepare()

    def prepare(self) -> None:
        """Makes the file as long as it is to be from the beginning."""

    def room(self) -> None:
        """Makes room for the next write."""

    def write(self) -> float:
        """Returns the seconds of a write and its flush."""
        begun = time.perf_counter()
        self.room()
        os.pwrite(self.file, FRAMES, self.end)
        os.fsync(self.file)
        self.end += len(FRAMES)
        return time.perf_counter() - begun

    def add(self, size: int) -> None:
        """Adds zeros at the end."""
        os.pwrite(self.file, bytes(size), self.size)
        self.size += size


class Overwritten(Grown):
    """A file whose blocks are there."""

    def prepare(self) -> None:
        """Writes all of it."""
        self.add(len(FRAMES) * FLUSHES)
        os.fsync(self.file)


class Ahead(Grown):
    """A file that grows by 512 KiB at a time."""

    def room(self) -> None:
        """Adds zeros where the next write would come to the end."""
        if self.end + len(FRAMES) > self.size:
            self.add(STEP)


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        kinds = (Grown, Overwritten, Ahead)
        files = {kind.__name__: kind(Path(folder) / kind.__name__) for kind in kinds}
        times: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(FLUSHES):
            for name in random.sample(list(files), len(files)):
                times[name].append(files[name].write())
        for name, taken in times.items():
            middle, mean = statistics.median(taken), statistics.mean(taken)
            print(f"{name:12} median {middle * 1e6:5.0f} µs   mean {mean * 1e6:5.0f} µs")


if __name__ == "__main__":
    main()
