"""Members of a group in processes that are killed, stopped for longer than a lease, or leave."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from uuid import uuid4

from crews import NOTED, SAFETY, CrewNoted, fill, until
from stores import each_shared, url_of
from support import TESTS, UNPACK, packed

from eventuali import EventStore
from eventuali.group import Group

LEASE = 1.0
MEMBER = (
    UNPACK
    + """
import asyncio, os, signal, sys
from crews import NOTED
from eventuali import EventStore, Retry
from eventuali.group import Group, delivery

lines = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

async def work(event):
    place = delivery()
    text = f"{os.getpid()} {place.partition} {place.generation} {event.position} {event.number}"
    os.write(lines, text.encode() + b"\\n")
    if event.number == int(sys.argv[4]):
        os._exit(1)
    await asyncio.sleep(float(sys.argv[5]))

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EventStore.create(sys.argv[1]) as store:
        policy = Retry(0).then("park")
        group = Group("crew", work, NOTED, partitions=6, lease=float(sys.argv[3]), on_error=policy)
        async with store.join(group) as member:
            print("joined", flush=True)
            await stop.wait()
        print("left", member.status().lost, flush=True)

asyncio.run(main())
"""
)


class Crew:
    """Members in processes of their own, and what they say that they handle."""

    def __init__(
        self,
        kind: str,
        folder: Path,
        poison: int = -1,
        pause: float = 0.002,
        lease: float = LEASE,
    ) -> None:
        self.url = url_of(kind, folder)
        self.file = folder / "handled"
        self.file.touch()
        self.arguments = [str(lease), str(poison), str(pause)]
        self.members: list[subprocess.Popen[str]] = []
        self.lost = 0

    def join(self) -> subprocess.Popen[str]:
        given = [packed(self.url), self.file, *self.arguments]
        member = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MEMBER, *map(str, given)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(TESTS)},
        )
        assert member.stdout is not None
        assert member.stdout.readline() == "joined\n"
        self.members.append(member)
        return member

    def leaves(self, member: subprocess.Popen[str]) -> None:
        self.members.remove(member)
        member.send_signal(signal.SIGCONT)
        member.terminate()
        out, _ = member.communicate(timeout=SAFETY)
        assert member.returncode == 0
        self.lost += int(out.split()[1])

    def kill(self, member: subprocess.Popen[str]) -> None:
        self.members.remove(member)
        member.kill()
        member.communicate()

    def handled(self) -> list[tuple[int, ...]]:
        """(process, partition, generation, position, number) of each event, as it was handled."""
        return [tuple(map(int, line.split())) for line in self.file.read_text().splitlines()]

    def check(self, expected: list[int]) -> None:
        """Every event at least once; each partition in order within a generation."""
        handled = self.handled()
        missing = set(expected) - {number for *_, number in handled}
        assert not missing
        tenures = defaultdict(list)
        for process, partition, generation, position, _ in handled:
            tenures[process, partition, generation].append(position)
        for tenure, positions in tenures.items():
            assert positions == sorted(set(positions)), tenure
        owners = defaultdict(set)
        for process, partition, generation in tenures:
            owners[partition, generation].add(process)
        assert all(len(processes) == 1 for processes in owners.values()), "one owner a generation"

    async def wait_for(self, expected: list[int]) -> None:
        async with asyncio.timeout(3 * SAFETY):
            while not set(expected) <= {number for *_, number in self.handled()}:
                await asyncio.sleep(0.05)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()
            member.communicate()


@each_shared
def test_whatever_becomes_of_members_every_event_is_handled(kind, tmp_path):
    chance = random.Random(20261130)

    async def main():
        count = 0
        with Crew(kind, tmp_path) as crew:
            async with EventStore.create(crew.url) as store:
                crew.join()
                crew.join()
                for act in [
                    "join",
                    "kill",
                    "stop",
                    "join",
                    "leave",
                    "stop",
                    "kill",
                    "join",
                    "stop",
                ]:
                    count += await fill(store, 20, 3, first=count)
                    if act == "join" or len(crew.members) < 2:
                        crew.join()
                    # The first one has been there long enough to own something.
                    member = crew.members[0] if act == "stop" else chance.choice(crew.members)
                    if act == "kill":
                        crew.kill(member)
                    elif act == "leave":
                        crew.leaves(member)
                    elif act == "stop":
                        member.send_signal(signal.SIGSTOP)
                        # It may hold the lock of the file, for which writers wait meanwhile.
                        asyncio.get_running_loop().call_later(
                            3 * LEASE, member.send_signal, signal.SIGCONT
                        )
                        count += await fill(store, 20, 2, first=count)
                        await asyncio.sleep(3 * LEASE)
                await crew.wait_for(list(range(count)))
                for member in list(crew.members):
                    crew.leaves(member)
            crew.check(list(range(count)))
            assert crew.lost > 0, "those that were stopped lost what they had"

    asyncio.run(main())


@each_shared
def test_an_event_that_ends_processes_is_parked(kind, tmp_path):
    async def main():
        with Crew(kind, tmp_path, poison=7) as crew:
            async with EventStore.create(crew.url) as store:
                await fill(store, 20, 2)
                letters = store.dead_letters("crew")
                async with asyncio.timeout(3 * SAFETY):
                    while not (found := await letters.list()):
                        for dead in [each for each in crew.members if each.poll() is not None]:
                            crew.kill(dead)
                        if not crew.members:
                            crew.join()
                        await asyncio.sleep(0.02)
                await crew.wait_for([number for number in range(40) if number != 27])
                assert [letter.reason for letter in found][:1] == ["crashed"]
                assert (found[0].position, found[0].tries) == (8, 5)
                deaths = Counter(number for *_, number in crew.handled())[7]
                assert deaths <= 7, "once in a page, and then five times by itself"
                # A replay is counted, too.
                await letters.replay(8)
                async with asyncio.timeout(3 * SAFETY):
                    while (letter := await letters.get(8)).again:
                        for dead in [each for each in crew.members if each.poll() is not None]:
                            crew.kill(dead)
                        if not crew.members:
                            crew.join()
                        await asyncio.sleep(0.02)
                assert letter.reason == "crashed"
                assert letter.error.startswith("5 times, a process ended")

    asyncio.run(main())


@each_shared
def test_a_leaving_member_hands_over_what_it_handled(kind, tmp_path):
    async def main():
        with Crew(kind, tmp_path, pause=0.0, lease=SAFETY) as crew:
            async with EventStore.create(crew.url) as store:
                one = crew.join()
                crew.join()
                count = 0
                for _ in range(4):
                    count += await fill(store, 20, 1, first=count)
                    crew.leaves(one)
                    one = crew.members[0]
                    crew.join()
                await crew.wait_for(list(range(count)))
                for member in list(crew.members):
                    crew.leaves(member)
            crew.check(list(range(count)))
            assert len(crew.handled()) == count, "nothing twice"
            assert crew.lost == 0

    asyncio.run(main())


@each_shared
def test_a_lease_that_is_gone_is_noticed(kind, tmp_path):
    async def main():
        seen: list[int] = []

        async def work(event: CrewNoted) -> None:
            seen.append(event.number)

        async with EventStore.create(url_of(kind, tmp_path)) as store:
            await fill(store, 4, 1)
            async with store.join(Group("crew", work, NOTED, partitions=1)) as member:
                await member.caught_up(timeout=SAFETY)
                core, lease = store._store, ("group lease", "crew/0")
                version, _ = await store._driver.answer(core.record(*lease))
                free = b'{"owner": null, "crashed": true}'
                await store._driver.answer(core.put_record(*lease, version, free, uuid4()))
                await fill(store, 4, 1, first=4)
                await until(lambda: member.status().lost == 1)
                await member.caught_up(timeout=SAFETY)
            assert set(seen) == set(range(8))

    asyncio.run(main())
