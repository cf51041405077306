"""How long the property tests search, what is collected, and what is left in the database.

`HYPOTHESIS_PROFILE=check` searches longer than usual.
"""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import server_url
from stores import drop_schemas

# A shell starts what is in the background with Ctrl-C ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def pytest_collection_finish():
    """Spares collections the tests themselves: they stay, and are hundreds of thousands of objects.

    A load of events with a local class collects, which would take a fifth of a second each time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _schemas_go(request):
    """Drops the schemas that belong to the folder of the test."""
    yield
    folder = request.node.funcargs.get("tmp_path")
    if folder is not None:
        drop_schemas(folder)


@pytest.fixture(autouse=True, scope="session")
def _server():
    """Finds or starts the server at the beginning, and drops what is left at the end."""
    server_url()
    yield
    drop_schemas()
