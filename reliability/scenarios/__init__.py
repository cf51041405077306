"""The scenarios, one module each; a new one gets its line here."""

from reliability.scenario import Scenario
from reliability.scenarios import (
    bouncer,
    cancel,
    contention,
    disk_full,
    failing_io,
    follow,
    fork,
    interrupt,
    kill,
    lag,
    late_commit,
    leave,
    neighbours,
    restart,
    switch,
    terminate,
)

ALL: tuple[Scenario, ...] = (
    kill.SCENARIO,
    cancel.SCENARIO,
    disk_full.SCENARIO,
    failing_io.SCENARIO,
    contention.SCENARIO,
    neighbours.SCENARIO,
    leave.SCENARIO,
    fork.SCENARIO,
    interrupt.SCENARIO,
    switch.SCENARIO,
    cancel.ON_POSTGRES,
    late_commit.SCENARIO,
    follow.SCENARIO,
    follow.ON_POSTGRES,
    lag.SCENARIO,
    lag.ON_POSTGRES,
    terminate.SCENARIO,
    restart.SCENARIO,
    bouncer.SCENARIO,
)
