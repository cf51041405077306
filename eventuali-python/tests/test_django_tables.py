"""The class of `docs/django.md` that lets a projection write Django's tables is exact."""

from __future__ import annotations

import re
from pathlib import Path

from support import output_of

PAGE = Path(__file__).resolve().parents[2] / "docs/django.md"
PARTS = ("settings.py", "store.py", "domain.py", "models.py", "tables.py", "projections.py")

CASE = """
import sqlite3, time
from eventuali.errors import ProjectionError

class Strict(SalesByProduct, name="SalesByProduct"):
    bad: set = set()

    def on_sold(self, event: Sold, using: str) -> None:
        super().on_sold(event, using)
        if event.quantity in self.bad:
            raise ZeroDivisionError
        if event.quantity == 77:
            Sales.objects.using(using).create(product="lamp")  # is there already

def sold(*quantities):
    events = [Sold(quantity=each) for each in quantities]
    return event_store().append(events, stream=("Product", "lamp"))

def total():
    return sum(Sales.objects.values_list("quantity", flat=True))

def placed(cls=SalesByProduct):
    return cls().into(DjangoTables())

def faulted(running):
    while running.status()[0].state != "faulted":
        time.sleep(0.005)
    return running.status()[0]

sold(*range(1200))
with event_store().run(placed()) as one, event_store().run(placed()) as two:
    for quantity in range(50):
        committed = sold(quantity, quantity)
    for each in (one, two):
        each.wait_for(committed, timeout=20)
expected = sum(range(1200)) + 2 * sum(range(50))
assert total() == expected

# What fails leaves nothing; what the database refuses is of the event that wrote it.
for bad in (5, 77):
    committed = sold(1, 2, bad, 3)
    Strict.bad = {5}
    with event_store().run(placed(Strict)) as running:
        status = faulted(running)
    assert status.failed_at == committed.positions[2], status
    assert total() == expected + 3
    with event_store().run(placed()) as running:
        running.wait_for(committed, timeout=20)
    expected += 6 + bad
    assert total() == expected

# A missing table is an error, a locked file passes.
with event_store().run(placed()) as running:
    running.wait_for(committed, timeout=20)
    other = sqlite3.connect("django.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    committed = sold(1)
    while running.status()[0].error is None:
        time.sleep(0.005)
    assert running.status()[0].state == "catching up", running.status()
    other.execute("ROLLBACK")
    running.wait_for(committed, timeout=20)
    assert total() == expected + 1
    other.execute("ALTER TABLE shop_sales RENAME TO elsewhere")
    committed = sold(1)
    assert faulted(running).failed_at == committed.position
    other.execute("ALTER TABLE elsewhere RENAME TO shop_sales")
    other.close()

with event_store().run(placed()) as running:
    running.wait_for(committed, timeout=20)
assert total() == expected + 2
assert event_store().rebuild(placed()).error is None
assert total() == expected + 2
assert ProjectionCheckpoint.objects.get().attempts == 0
event_store().close()
print("exact")
"""


def test_djangos_tables_count_each_event_once(tmp_path):
    blocks = re.findall(r"^```python\n# ([\w/.]+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    parts = dict(blocks)
    code = "\n".join(parts[name] for name in PARTS)
    code = code.replace('"NAME": "django.db"', '"NAME": "django.db", "OPTIONS": {"timeout": 0.2}')
    code = "from django.db import transaction\n" + code + CASE
    assert output_of(code, cwd=tmp_path) == "exact\n"
