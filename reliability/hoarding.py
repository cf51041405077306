"""How much memory a projection takes that makes a document for each event."""

from __future__ import annotations

import json
from collections.abc import Sequence

from eventuali import sync
from reliability.course import Writer
from reliability.processes import Child
from reliability.projecting import IN_THE_STORE, Batches
from reliability.scenario import Job

_EVENTS_A_CYCLE = 1_000 / 3
_GROWN_BYTES = 64 << 20


def hoard(job: Job, url: str, forms: Sequence[str], tables: str = IN_THE_STORE) -> None:
    """Runs projections over a log that is there; their process grows by some pages."""
    report = job.report
    with sync.EventStore.create(url) as store:
        writer = Writer(store, Batches(job.chance("hoarded")))
        writer.append(round(_EVENTS_A_CYCLE * job.cycles), most=2_000)
    for form in forms:
        words = ("-m", "reliability.children.hoarder", url, tables, form)
        ended = Child(*words, package=job.package, env=job.env).end(180)
        report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        told = json.loads(ended.stdout)
        report.expect(told["events"] == len(writer.acked), f"{form}: {told}")
        report.extras[f"{form}_grew_mib"] = round(told["grown"] / 2**20, 1)
        report.expect(told["grown"] <= _GROWN_BYTES, f"{form} grew by {told['grown']} bytes")
