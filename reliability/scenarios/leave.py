"""Scripts that end in every way there is: their exit code is their own, and stderr is empty."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from eventuali import sync
from reliability.processes import Ended, HangError
from reliability.processes import run as run_child
from reliability.scenario import Job, Scenario
from reliability.workload import log_of

_SYNC = """
import sys
from eventuali.sync import EventStore
from reliability.workload import noted
store = EventStore.create(sys.argv[1])
print(store.append([noted(1)], stream=("Notebook", "s")).position, flush=True)
"""
_ASYNC = """
import asyncio, sys
from eventuali import EventStore
from reliability.workload import noted
async def main():
    store = await EventStore.create(sys.argv[1])
    print((await store.append([noted(1)], stream=("Notebook", "s"))).position, flush=True)
"""
_PENDING = """
    for number in range(2, 40):
        asyncio.ensure_future(store.append([noted(number)], stream=("Notebook", "p")))
    await asyncio.sleep(0)
"""
_THREAD = """
import threading
from eventuali.errors import StoreClosedError
def work():
    number = 2
    try:
        while True:
            store.append([noted(number)], stream=("Notebook", "p"))
            number += 1
    except StoreClosedError:  # what the end of the interpreter tells a thread that goes on
        pass
threading.Thread(target=work, daemon=True).start()
"""
_RUN = "asyncio.run(main())\n"


class Script(NamedTuple):
    """A script, and how it must end."""

    name: str
    text: str
    code: int = 0
    last: str = ""


SCRIPTS = (
    Script("sync-closed", f"{_SYNC}store.close()\n"),
    Script("sync-open", _SYNC),
    Script("async-closed", f"{_ASYNC}    await store.close()\n{_RUN}"),
    Script("async-open", f"{_ASYNC}{_RUN}"),
    Script("closed-twice", f"{_SYNC}store.close()\nstore.close()\n"),
    Script("pending", f"{_ASYNC}{_PENDING}{_RUN}"),
    Script("pending-exit", f"{_ASYNC}{_PENDING}    sys.exit(3)\n{_RUN}", 3),
    Script("pending-raise", f"{_ASYNC}{_PENDING}    raise ValueError('mine')\n{_RUN}", 1, "mine"),
    Script("thread", f"{_SYNC}{_THREAD}"),
    Script("thread-exit", f"{_SYNC}{_THREAD}sys.exit(3)\n", 3),
)


def run(job: Job) -> None:
    """Runs each in turn, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for number, (script, ended) in enumerate(
            pool.map(lambda n: _one(job, n), range(job.cycles))
        ):
            _judge(job, number, script, ended)
            job.report.cycle()


def _one(job: Job, number: int) -> tuple[Script, Ended | HangError]:
    script = SCRIPTS[number % len(SCRIPTS)]
    path = job.folder / f"{number}.db"
    try:
        return script, run_child("-c", script.text, path, seconds=30)
    except HangError as hang:
        return script, hang


def _judge(job: Job, number: int, script: Script, ended: Ended | HangError) -> None:
    report = job.report
    if isinstance(ended, HangError):
        report.find("hangs", f"{script.name}: {ended}")
        return
    report.count(script.name)
    report.expect(
        ended.code == script.code, f"{script.name}: exit code {ended.code}\n{ended.stderr}"
    )
    if script.last:
        report.expect(ended.stderr.endswith(f"ValueError: {script.last}\n"), ended.stderr)
        report.expect(ended.stderr.count("Error") == 1, ended.stderr)
    else:
        report.expect(ended.stderr == "", f"{script.name}: {ended.stderr}")
    report.expect(ended.stdout == "1\n", f"{script.name}: printed {ended.stdout!r}")
    path = job.folder / f"{number}.db"
    with sync.EventStore.create(path) as store:
        log = log_of(store)
    report.verdict.acked += 1
    if not any(event.value == 1 for event in log):
        report.verdict.find("lost", f"{script.name}: nothing is stored")
    values = [event.value for event in log]
    if len(set(values)) < len(values):
        report.verdict.find("duplicated", f"{script.name}: {values}")
    for file in job.folder.glob(f"{number}.db*"):
        file.unlink()


SCENARIO = Scenario(
    name="leave",
    about="five-line scripts that save and end, with and without close, with work pending",
    run=run,
    cycles=200,
    quick=20,
)
