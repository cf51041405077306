"""Makes golden stores of the format that this code writes: once a format, never again.

    python postgres_server.py python golden/make.py v0.3.0-format5

makes a folder with a SQLite file, the SQL of a PostgreSQL schema, and what both show. `pg_dump`
must be as new as the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from postgres_server import server_url  # noqa: E402
from shop import SNAPSHOTS, START, fill, picture  # noqa: E402
from stores import administrator, opened  # noqa: E402

from eventuali import EventStoreConfig  # noqa: E402
from eventuali.testing import Clock  # noqa: E402

SCHEMA = "golden_schema"
"""The name in the SQL, in whose place a test puts that of its own."""


async def filled(place: object) -> dict[str, object]:
    clock = Clock(START)
    async with opened("sync", place, clock=clock, snapshots=SNAPSHOTS) as store:
        await fill(store, clock)
        found = await picture(store)
        assert (await store.verify()).ok
        return found


def sqlite(folder: Path) -> dict[str, object]:
    with TemporaryDirectory() as beside:
        found = asyncio.run(filled(Path(beside) / "events.db"))
        with sqlite3.connect(Path(beside) / "events.db") as connection:
            connection.execute("VACUUM INTO ?", [str(folder / "events.db")])
    return found


def postgres(folder: Path) -> dict[str, object]:
    with administrator() as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        found = asyncio.run(filled(EventStoreConfig.postgres(server_url()).with_schema(SCHEMA)))
        options = ["--no-owner", "--no-privileges", "--rows-per-insert=50", "--no-comments"]
        dump = subprocess.run(
            ["pg_dump", *options, f"--schema={SCHEMA}", server_url()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    (folder / "events.sql").write_text(statements(dump))
    return found


def statements(dump: str) -> str:
    """Returns what any driver can send: no commands of psql, and nothing of one server version."""
    _, begin, made = dump.partition("CREATE SCHEMA")
    gone = re.compile(r"(\\.*|--( Name:.*)?|SET default_\w+ = .*;|)\n")
    lines = (line for line in made.splitlines(keepends=True) if not gone.fullmatch(line))
    return "SET check_function_bodies = false;\n" + begin + "".join(lines)


def main(name: str) -> None:
    folder = HERE / name
    folder.mkdir()
    shown = [sqlite(folder), postgres(folder)]
    assert shown[0] == shown[1], "the two stores show other things"
    text = json.dumps(shown[0], indent=1, sort_keys=True)
    (folder / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
