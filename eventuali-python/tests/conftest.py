"""How long the property tests search: `HYPOTHESIS_PROFILE=check` for longer than usual."""

import os

from hypothesis import HealthCheck, settings

# A failure prints the blob that repeats it.
settings.register_profile("default", max_examples=200, deadline=None, print_blob=True)
settings.register_profile(
    "check",
    max_examples=5000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
