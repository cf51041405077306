"""The scenarios, one module each; a new one gets its line here."""

from reliability.scenario import Scenario
from reliability.scenarios import (
    bouncer,
    cancel,
    contention,
    disk_full,
    failing_io,
    fork,
    interrupt,
    kill,
    late_commit,
    leave,
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
    leave.SCENARIO,
    fork.SCENARIO,
    interrupt.SCENARIO,
    switch.SCENARIO,
    cancel.ON_POSTGRES,
    late_commit.SCENARIO,
    terminate.SCENARIO,
    restart.SCENARIO,
    bouncer.SCENARIO,
)
