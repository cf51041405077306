"""A store's life: open, close, exit, fork, threads and event loops of every kind."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from ledger import Counted, Ledger, check_log, counted
from stores import (
    SHARED,
    each_api,
    each_backend,
    each_kind,
    each_shared,
    each_store,
    gathered,
    opened,
    url_of,
)
from support import open_files, output_of, script, settled

from eventuali import EventStore, sync
from eventuali.errors import StoreClosedError


@each_store
def test_closing_twice_is_fine_and_using_it_afterwards_is_not(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.save(counted("a", 1))
            tenant = store.for_tenant("blue")
            await store.close()
            await store.close()
            ledger = counted("b", 2)
            calls = [
                lambda: store.save(ledger),
                lambda: store.append([Counted(number=3)]),
                lambda: store.load(Ledger, "a"),
                lambda: store.load_one(Ledger, "a"),
                lambda: store.load_events("a"),
                lambda: store.load_events_by_type(Ledger),
                lambda: store.get_aggregate_version("a"),
                lambda: gathered(store.read()),
                lambda: gathered(store.streams()),
                lambda: gathered(tenant.read()),
                lambda: tenant.append([Counted(number=3)]),
            ]
            for call in calls:
                with pytest.raises(StoreClosedError):
                    await asyncio.wait_for(call(), 5)
            assert (ledger.version, len(ledger.get_uncommitted_events())) == (1, 1)

    asyncio.run(main())


@each_kind
def test_async_with_both_ways(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await store.save(counted("a", 1))
        with pytest.raises(StoreClosedError):
            await store.save(counted("b", 1))
        (tmp_path / "second").mkdir()
        async with await EventStore.create(url_of(kind, tmp_path / "second")) as other:
            await other.save(counted("a", 1))
        with pytest.raises(StoreClosedError):
            await other.save(counted("b", 1))

    asyncio.run(main())


@each_kind
def test_an_error_inside_the_block_comes_through(kind, tmp_path):
    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await store.save(counted("a", 1))
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        asyncio.run(main())
    (tmp_path / "second").mkdir()
    with (
        pytest.raises(ZeroDivisionError, match="mine"),
        sync.EventStore.create(url_of(kind, tmp_path / "second")),
    ):
        raise ZeroDivisionError("mine")


@each_kind
def test_the_blocking_store_in_a_running_loop_names_the_other_class(kind, tmp_path):
    store = sync.EventStore.create(url_of(kind, tmp_path))
    (tmp_path / "second").mkdir()

    async def main():
        calls = [
            lambda: sync.EventStore.create(url_of(kind, tmp_path / "second")),
            lambda: store.save(counted("a", 1)),
            lambda: store.append([Counted(number=1)]),
            lambda: store.load(Ledger, "a"),
            lambda: list(store.read()),
            lambda: list(store.streams()),
            lambda: store.load_events("a"),
            lambda: store.get_aggregate_version("a"),
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match=r"eventuali\.EventStore"):
                call()

    asyncio.run(main())
    assert list(store.read()) == []
    store.close()


@each_backend
def test_a_close_during_saves_lets_them_end_or_refuses_them(kind, tmp_path):
    async def main():
        url = url_of(kind, tmp_path)
        store = await EventStore.create(url)
        saves = [asyncio.ensure_future(store.save(counted(f"s-{n}", n))) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), 10)
        outcomes = await asyncio.wait_for(asyncio.gather(*saves, return_exceptions=True), 10)
        acknowledged = [n for n, one in enumerate(outcomes) if not isinstance(one, Exception)]
        refused = [one for one in outcomes if isinstance(one, Exception)]
        assert {type(one) for one in refused} <= {StoreClosedError}
        if kind in SHARED:
            async with EventStore.create(url) as again:
                check_log(await gathered(again.read()), acknowledged)

    asyncio.run(main())


def test_the_blocking_store_under_trio_says_what_to_do(monkeypatch):
    """A stand-in for trio, whose `current_task` raises outside of its loop."""
    running = [False]

    def current_task():
        if not running[0]:
            raise RuntimeError("must be called from async context")

    with sync.EventStore.create("memory://") as store:
        trio = SimpleNamespace(lowlevel=SimpleNamespace(current_task=current_task))
        for module in (SimpleNamespace(), trio):
            monkeypatch.setitem(sys.modules, "trio", module)
            store.append([Counted(number=1)])
        running[0] = True
        for call in (
            lambda: sync.EventStore.create("memory://"),
            lambda: store.append([Counted(number=1)]),
            lambda: list(store.read()),
            lambda: next(store.subscribe()),
        ):
            with pytest.raises(RuntimeError, match=r"trio\.to_thread\.run_sync"):
                call()
        running[0] = False


@each_backend
def test_two_event_loops_in_two_threads_share_a_store(kind, tmp_path):
    url = url_of(kind, tmp_path)
    opened_at, finished = threading.Event(), threading.Event()
    shared: list[EventStore] = []

    async def owner():
        async with EventStore.create(url) as store:
            shared.append(store)
            opened_at.set()
            await work(store, 0)
            await asyncio.to_thread(finished.wait, 30)
            wanted = [thread * 1000 + n for thread in (0, 1) for n in range(100)]
            check_log(await gathered(store.read()), wanted)

    async def guest():
        await work(shared[0], 1)
        with_timeout = asyncio.wait_for(gathered(shared[0].read()), 10)
        assert len(await with_timeout) >= 100

    async def work(store: EventStore, number: int):
        ledgers = [Ledger(id=f"{number}-{n}") for n in range(10)]
        for turn in range(10):
            for n, ledger in enumerate(ledgers):
                ledger.apply(Counted(number=number * 1000 + turn * 10 + n))
            await asyncio.wait_for(asyncio.gather(*map(store.save, ledgers)), 10)

    def guest_thread():
        assert opened_at.wait(30)
        try:
            asyncio.run(guest())
        finally:
            finished.set()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(asyncio.run, owner()), pool.submit(guest_thread)]:
            future.result(60)


@each_backend
def test_one_store_in_one_loop_after_the_other(kind, tmp_path):
    """A store that outlives the loop it was opened in, as with several `asyncio.run` calls."""

    async def start():
        store = await EventStore.create(url_of(kind, tmp_path))
        await store.save(counted("a", 1))
        return store

    async def go_on(store):
        await store.save(counted("b", 2))
        return await gathered(store.read())

    store = asyncio.run(start())
    assert len(asyncio.run(asyncio.wait_for(go_on(store), 10))) == 2
    asyncio.run(asyncio.wait_for(store.close(), 10))


@each_backend
def test_a_loop_that_cannot_watch_files(kind, tmp_path):
    """Like the proactor loop of Windows."""

    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, fd, callback, *args):
            raise NotImplementedError

        def remove_reader(self, fd):
            raise NotImplementedError

    async def main():
        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await asyncio.gather(*(store.save(counted(f"s-{n}", n)) for n in range(100)))
            check_log(await gathered(store.read()), range(100))

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asyncio.wait_for(main(), 20))


@each_backend
@each_api
def test_opening_and_closing_leaks_no_files(kind, api, tmp_path):
    async def main():
        for _ in range(20):
            async with opened(api, url_of(kind, tmp_path)) as store:
                await store.append([Counted(number=1)])

    asyncio.run(main())
    before = open_files()
    asyncio.run(main())
    assert settled(open_files, before) <= before


@each_shared
def test_the_same_store_twice_in_one_process(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url) as one, sync.EventStore.create(url) as other:
        for n in range(20):
            (one if n % 2 else other).append([Counted(number=n)], stream=("Ledger", "a"))
        check_log(one.read(), range(20))
        check_log(other.read(), range(20))


# --- exit -----------------------------------------------------------------------------------------

LEFT_OPEN = """
import asyncio, sys
from eventuali import EventStore
from ledger import counted

async def main():
    store = await EventStore.create(sys.argv[1])
    for n in range(20):
        await store.save(counted(f"s-{n}", n))
        print(n, flush=True)

asyncio.run(main())
"""

LEFT_OPEN_BLOCKING = """
import sys
from eventuali import sync
from ledger import counted
store = sync.EventStore.create(sys.argv[1])
for n in range(20):
    store.save(counted(f"s-{n}", n))
    print(n, flush=True)
"""

LEFT_AT_WORK = """
import asyncio, sys
from eventuali import EventStore
from ledger import counted

async def main():
    store = await EventStore.create(sys.argv[1])
    for n in range(20):
        await store.save(counted(f"s-{n}", n))
        print(n, flush=True)
    for n in range(20, 60):
        asyncio.ensure_future(store.save(counted(f"s-{n}", n)))
    await asyncio.sleep(0)

asyncio.run(main())
"""

LEFT_IN_A_THREAD = """
import sys, threading
from eventuali import sync
from eventuali.errors import StoreClosedError
from ledger import counted
store = sync.EventStore.create(sys.argv[1])
ready = threading.Event()

def work():
    for n in range(1_000_000):
        try:
            store.save(counted(f"s-{n}", n))
        except StoreClosedError:  # what the end of the interpreter tells a thread that goes on
            return
        if n < 20:
            print(n, flush=True)
        if n == 20:
            ready.set()

threading.Thread(target=work, daemon=True).start()
ready.wait()
"""


@pytest.mark.parametrize(
    "code",
    [LEFT_OPEN, LEFT_OPEN_BLOCKING, LEFT_AT_WORK, LEFT_IN_A_THREAD],
    ids=["async", "sync", "at-work", "in-a-thread"],
)
@each_shared
def test_a_script_that_does_not_close_ends_well(kind, code, tmp_path):
    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        url = url_of(kind, folder)
        done = script(code, url, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        acknowledged = [int(line) for line in done.stdout.split()]
        assert acknowledged == list(range(20))
        with sync.EventStore.create(url) as store:
            stored = {event.number for event in store.read()}
            assert stored >= set(acknowledged)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(5)))


def test_a_script_with_a_store_in_memory_ends_well():
    code = LEFT_AT_WORK + LEFT_OPEN_BLOCKING.replace("import sys\n", "")
    assert output_of(code, "memory://").split() == [str(n) for n in range(20)] * 2


@pytest.mark.parametrize(
    ("end", "code", "error"),
    [("sys.exit(3)", 3, ""), ("raise ValueError('mine')", 1, "ValueError: mine\n")],
)
def test_a_script_that_fails_keeps_its_exit_code(end, code, error, tmp_path):
    done = script(LEFT_OPEN_BLOCKING + end, url_of("sqlite", tmp_path), timeout=30)
    assert done.returncode == code
    assert done.stderr.endswith(error)
    assert "eventuali" not in done.stderr
    assert "panicked" not in done.stderr


# --- fork -----------------------------------------------------------------------------------------

FORK = """
import asyncio, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from eventuali import EventStore, sync
from ledger import counted
from eventuali.errors import ForkedProcessError
url, own = sys.argv[1:]

def child(store):
    start = time.monotonic()
    calls = [lambda: store.save(counted("c", 2)), lambda: list(store.read()),
             lambda: store.get_aggregate_version("a"), lambda: list(store.streams())]
    for call in calls:
        try:
            call()
        except ForkedProcessError:
            pass
        else:
            raise AssertionError("no ForkedProcessError")
    assert time.monotonic() - start < 1, "it took too long"
    with sync.EventStore.create(own) as other:
        other.save(counted("child", 3))
        assert other.get_aggregate_version("child") == 1
    try:
        sync.EventStore.create(url)
    except ForkedProcessError:
        pass  # SQLite's locks on a file that is open are inherited, and hold nothing
    else:
        raise AssertionError("the parent's file was opened")

    async def with_a_loop():
        async with EventStore.create(own) as other:
            await other.save(counted("child-2", 4))
            assert await other.get_aggregate_version("child-2") == 1

    asyncio.run(with_a_loop())

store = sync.EventStore.create(url)
store.save(counted("a", 1))
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    child(store)
    {end}
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
store.save(counted("b", 5))
print(sorted(event.number for event in store.read()))
store.close()
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_opens_its_own_store(end, tmp_path):
    code = FORK.replace("{end}", end)
    own = f"sqlite:///{tmp_path / 'own.db'}"
    output = output_of(code, url_of("sqlite", tmp_path), own, timeout=40)
    assert output.splitlines() == ["0", "[1, 5]"]


FORK_ASYNC = """
import asyncio, os, signal, sys, warnings
warnings.simplefilter("ignore")
from eventuali import EventStore
from eventuali.errors import ForkedProcessError
from ledger import counted
stores = []

async def start():
    stores.append(await EventStore.create(sys.argv[1]))
    await stores[0].save(counted("a", 1))

async def use():
    try:
        await asyncio.wait_for(stores[0].save(counted("c", 2)), 1)
    except ForkedProcessError:
        return
    raise AssertionError("no ForkedProcessError")

asyncio.run(start())
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    asyncio.run(use())
    sys.exit(0)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))

async def end():
    await stores[0].save(counted("b", 3))
    print([event.number async for event in stores[0].read()])
    await stores[0].close()

asyncio.run(end())
"""


@each_shared
def test_a_forked_child_is_told_so_by_the_async_store(kind, tmp_path):
    output = output_of(FORK_ASYNC, url_of(kind, tmp_path), timeout=40)
    assert output.splitlines() == ["0", "[1, 3]"]


def test_a_loop_that_has_let_go_of_a_store_is_answered(tmp_path):
    """Another thread closes the store: the loop hears of it before that thread has gone on."""

    async def main():
        async with opened("async", url_of("sqlite", tmp_path)) as store:
            await store.append([Counted(number=1)])
            (box,) = store._driver._boxes.values()
            box.close()
            await asyncio.wait_for(store.append([Counted(number=2)]), 5)

    asyncio.run(main())
