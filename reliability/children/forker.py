"""Forks, and does in the child what a child may and may not do.

    python -m reliability.children.forker PATH SEED MANNER FORKS

MANNER: `idle` forks with an open store that nobody uses; `busy` while threads save on it; with
`outlive` the parent closes its store while the child saves on the same file; `pool` and `spawn`
leave it to multiprocessing. Prints a line for each child. A child that is refused the file that its
parent has open is told so in time, which is fine; a file of its own it can always use.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from time import monotonic, sleep

from eventuali.errors import ForkedProcessError
from eventuali.sync import EventStore
from reliability.workload import noted

_REFUSED = 3
LIMIT = 10
"""Seconds after which a child that has not ended hangs."""


def main() -> None:
    """Forks so many children, one after the other."""
    path, seed, manner, forks = sys.argv[1:]
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads, which is the point
    if manner in ("pool", "spawn"):
        in_a_pool(path, "fork" if manner == "pool" else "spawn", int(forks))
        return
    if manner == "outlive":
        for number in range(int(forks)):
            say(number=number, **outlived(path, number))
        return
    store, stop = EventStore.create(path), threading.Event()
    numbers = count(1_000_000)
    store.append([noted(1)], stream=("Notebook", "parent"))

    def work() -> None:
        while not stop.is_set():
            store.append([noted(next(numbers))], stream=("Notebook", "busy"))
            list(store.read(limit=20))

    threads = [threading.Thread(target=work) for _ in range(3 if manner == "busy" else 0)]
    for thread in threads:
        thread.start()
    chance = Random(seed)
    for number in range(int(forks)):
        sleep(chance.uniform(0, 0.02) if threads else 0)
        say(number=number, **forked(partial(child, path, store, number)))
    stop.set()
    for thread in threads:
        thread.join()
    store.append([noted(2)], stream=("Notebook", "parent"))
    store.close()


def say(**fields: object) -> None:
    """Prints a line."""
    os.write(1, json.dumps(fields).encode() + b"\n")


def told(status: int) -> dict[str, object]:
    """Returns how a child ended, and whether it was refused its parent's file."""
    code = os.waitstatus_to_exitcode(status)
    return {"code": 0 if code == _REFUSED else code, "refused": code == _REFUSED}


def forked(work: Callable[[], bool]) -> dict[str, object]:
    """Runs it in a forked child; returns how that went."""
    begun = monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            refused = work()
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
            os._exit(1)
        sys.exit(_REFUSED if refused else 0)  # the end of the interpreter is a part of it
    while monotonic() - begun < LIMIT:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return told(status)
        sleep(0.002)
    os.kill(pid, signal.SIGABRT)  # faulthandler prints the stack
    sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"code": "hangs"}


def child(path: str, store: EventStore, number: int) -> bool:
    """Must be told in time, and can work with stores of its own; whether one was refused."""
    begun = monotonic()
    calls: list[Callable[[], object]] = [
        lambda: store.append([noted(3)]),
        lambda: list(store.read()),
        lambda: store.get_aggregate_version("parent"),
        store.close,
    ]
    for call in calls:
        try:
            call()
        except ForkedProcessError:
            continue
        raise AssertionError("no ForkedProcessError")
    if monotonic() - begun > 1:
        raise AssertionError(f"ForkedProcessError took {monotonic() - begun} s")
    return own(path, number)[1]


def outlived(path: str, number: int) -> dict[str, object]:
    """The child goes on with the file after the parent has closed it."""
    to_child, to_parent = os.pipe(), os.pipe()
    store = EventStore.create(path)
    store.append([noted(10_000 + number)], stream=("Notebook", "parent"))
    pid = os.fork()
    if pid == 0:
        try:
            with EventStore.create(path) as mine:
                mine.append([noted(20_000 + number)], stream=("Notebook", "child"))
                os.write(to_parent[1], b"x")
                os.read(to_child[0], 1)
                mine.append([noted(10 + number)], stream=("Notebook", "child"))
        except ForkedProcessError:
            os._exit(_REFUSED)
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(to_parent[1])  # a child that ends says so, too
    os.read(to_parent[0], 1)
    store.close()
    os.write(to_child[1], b"x")
    _, status = os.waitpid(pid, 0)
    for descriptor in (*to_child, to_parent[0]):
        os.close(descriptor)
    return told(status)


def own(path: str, number: int) -> tuple[int, bool]:
    """Saves in two stores that it opens: a new one, and the parent's, which may be refused."""
    save(f"{path}.{os.getpid()}", number)
    try:
        save(path, number)
    except ForkedProcessError:
        return number, True
    return number, False


def save(path: str, number: int) -> None:
    """Saves one event that tells of the child."""
    with EventStore.create(path) as store:
        store.append([noted(10 + number)], stream=("Notebook", f"child-{number}"))


def in_a_pool(path: str, method: str, children: int) -> None:
    """Lets multiprocessing start the children, with a store open in the parent."""
    with EventStore.create(path) as store:
        store.append([noted(1)], stream=("Notebook", "parent"))
        context = multiprocessing.get_context(method)
        with context.Pool(2, maxtasksperchild=2) as pool:
            results = [pool.apply_async(own, (path, number)) for number in range(children)]
            for result in results:
                number, refused = result.get(30)
                say(number=number, code=0, refused=refused)
            pool.close()
            pool.join()
        store.append([noted(2)], stream=("Notebook", "parent"))


if __name__ == "__main__":
    main()
