"""A fork and the threads of an open store: it waits for them, and they for it."""

from __future__ import annotations

from stores import url_of
from support import output_of

FORK_BUSY = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
saved, seen = 0, []

def look():
    # Hooks run in the reverse order: this one while SQLite must stand still.
    before = saved
    time.sleep(0.1)
    seen.append(saved - before)

os.register_at_fork(before=look)
from eventuali import sync
from ledger import counted, Counted
url, own = sys.argv[1:]
store, stop = sync.EventStore.create(url), threading.Event()

def work():
    global saved
    while not stop.is_set():
        store.append([Counted(number=1)])
        saved += 1

def forked(name, then):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        with sync.EventStore.create(own + name) as other:
            other.save(counted("child", 1))
        then()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status

thread = threading.Thread(target=work)
thread.start()
for number in range(5):
    before = saved
    while saved < before + 10:
        time.sleep(0.001)
    forked(str(number), lambda: forked(f"{number}-nested", lambda: None))
stop.set()
thread.join()
print(len(seen), [each for each in seen if each > 1])
store.close()
"""


def test_a_fork_waits_until_nobody_is_inside_sqlite(tmp_path):
    own = f"sqlite:///{tmp_path / 'own.db'}"
    output = output_of(FORK_BUSY, url_of("sqlite", tmp_path), own, timeout=60)
    assert output.splitlines() == ["5 []"]


FORK_BESIDE_A_WRITER = """
import os, signal, sqlite3, subprocess, sys, threading, time, warnings
warnings.simplefilter("ignore")
from eventuali import sync
from ledger import Counted, counted
path, own = sys.argv[1:]
holder = '''
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
'''
store = sync.EventStore.create(path)
other = subprocess.Popen([sys.executable, "-c", holder, path],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
thread = threading.Thread(target=lambda: store.append([Counted(number=1)]))
thread.start()
time.sleep(0.2)
start = time.monotonic()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    with sync.EventStore.create(own) as mine:
        mine.save(counted("child", 1))
    os._exit(0)
print("in time" if time.monotonic() - start < 4 else "late")
_, status = os.waitpid(pid, 0)
other.communicate()
thread.join()
print(status, [event.number for event in store.read()])
store.close()
"""


def test_a_fork_does_not_wait_for_another_process(tmp_path):
    path, own = str(tmp_path / "events.db"), str(tmp_path / "own.db")
    output = output_of(FORK_BESIDE_A_WRITER, path, own, timeout=60)
    assert output.splitlines() == ["in time", "0 [1]"]


FORK_WHILE_APPENDING = """
import os, signal, warnings
warnings.simplefilter("ignore")
from eventuali._engine import pending_commit
from eventuali import sync
from ledger import Counted
with pending_commit._adopting:  # as a thread of the parent may have it
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        with sync.EventStore.create("memory://") as store:
            store.append([Counted(number=1)])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_child_appends_whatever_its_parent_was_appending():
    assert output_of(FORK_WHILE_APPENDING, timeout=60).split() == ["0"]


FORK_BESIDE_A_READ = """
import os, signal, sys
from eventuali import sync
from eventuali.errors import EventualiError
from ledger import Counted
store = sync.EventStore.create(sys.argv[1])
store.append([Counted(number=1)])
pending = store._store.read([], limit=10)
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    refused = 0
    for ask in (pending.spin, pending.wait, lambda: list(store.read())):
        try:
            ask()
        except EventualiError as error:
            refused += "fork" in str(error)
    os._exit(0 if refused == 3 else 1)
_, status = os.waitpid(pid, 0)
found = pending.spin()
print(status, len(pending.wait() if found is None else found[0]))
store.close()
"""


def test_a_child_does_not_look_for_an_answer_of_its_parent(tmp_path):
    output = output_of(FORK_BESIDE_A_READ, url_of("sqlite", tmp_path), timeout=60)
    assert output.splitlines() == ["0 1"]
