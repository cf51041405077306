"""Eight processes that save at the same time, each with one saver or several."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks.subjects import timed
from benchmarks.workers import Worker, in_python

PROCESSES = 8


class Crew:
    """Processes of one subject: started when they are to save, and again after a close."""

    def __init__(self, subject: str, url: str) -> None:
        """Will start them on the database at `url`, which is there then."""
        self._subject = subject
        self._url = url
        self._stack = ExitStack()
        self._workers: list[Worker] = []

    def _start(self) -> list[Worker]:
        names = (f"{self._subject}/{number}" for number in range(PROCESSES))
        return [
            self._stack.enter_context(in_python(name, self._subject, self._url, "joined"))
            for name in names
        ]

    def save(self, savers: int, repeat: int) -> float:
        """Returns the seconds a commit where each saver of each process makes `repeat` of them."""
        self._workers = self._workers or self._start()
        with ThreadPoolExecutor(PROCESSES) as threads:

            def all_of_them(op: str) -> None:
                list(threads.map(lambda worker: worker.measure(op, savers, repeat), self._workers))

            for worker in self._workers:  # not all can open a database at the same time
                worker.measure("ready", savers, repeat)
            seconds = timed(lambda: all_of_them("go"), PROCESSES * savers * repeat)
            all_of_them("done")
        return seconds

    def close(self) -> None:
        """Ends them."""
        self._workers = []
        self._stack.close()
