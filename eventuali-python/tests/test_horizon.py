"""How far the log is settled, and a writer that is stuck."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from ledger import Counted
from stores import administrator, each_api, each_store, opened, url_of

from eventuali import EventStore, Horizon
from eventuali.errors import StoreClosedError

STUCK = """
CREATE TABLE {s}.stay (x INTEGER);
CREATE FUNCTION {s}.stay() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM events_of_others AS e WHERE e.metadata LIKE '%stuck%') THEN
        WHILE EXISTS (SELECT FROM {s}.stay) LOOP
            PERFORM pg_sleep(0.005);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stay AFTER INSERT ON {s}.events_log REFERENCING NEW TABLE AS events_of_others
FOR EACH STATEMENT EXECUTE FUNCTION {s}.stay();
"""

AT_STAY = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"


@each_store
def test_readers_may_read_everything_while_nobody_writes(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            assert await store.horizon() == Horizon(0, 0, 0, None)
            last = (await store.append([Counted(number=n) for n in range(3)])).position
            assert await store.horizon() == Horizon(last, last, 0, None)
            seen = await store.for_tenant("acme").horizon()
            assert seen.last_position == last, "the store's, not the tenant's"
        with pytest.raises(StoreClosedError):
            await store.horizon()

    asyncio.run(main())


@each_api
def test_a_stuck_writer_shows_and_goes_away(api, tmp_path):
    place = url_of("postgres", tmp_path)

    async def main():
        async with opened(api, place) as store, EventStore.create(place) as other:
            first = (await store.append([Counted(number=1)])).position
            with administrator() as beside:
                beside.execute(STUCK.replace("{s}", place.schema))
                beside.execute(f"INSERT INTO {place.schema}.stay VALUES (1)")
                stuck = asyncio.create_task(
                    other.append([Counted(number=2, user_id="stuck")], stream=("Ledger", "s"))
                )
                # Only then it has a position: a bound alone may lie above the next event.
                while not beside.execute(AT_STAY, [f"%{place.schema}%"]).fetchall():
                    await asyncio.sleep(0.005)
                last = (await store.append([Counted(number=3)])).position
                found = await store.horizon()
                assert (found.position, found.last_position, found.writers) == (first, last, 1)
                assert timedelta(0) < found.open_for < timedelta(minutes=1)
                assert [event.number async for event in store.read()] == [1]
                later = await store.horizon()
                assert later.open_for > found.open_for, "it grows"
                assert not stuck.done()
                beside.execute(f"DELETE FROM {place.schema}.stay")
                await stuck
            assert await store.horizon() == Horizon(last, last, 0, None)
            assert [event.number async for event in store.read()] == [1, 2, 3]

    asyncio.run(main())
