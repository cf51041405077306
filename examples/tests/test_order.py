"""The rules of an order, without a store: given, when, then."""

from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest

from eventuali import Event, EventStore
from eventuali.testing import given

example = import_module("02_aggregate_lifecycle")
LAMPS = example.Item(product="lamp", quantity=2, price=Decimal("35.05"))

NEW = given(example.Order)
CREATED = example.OrderCreated(customer="Ada", items=[LAMPS])
PROCESSING = example.OrderProcessing(by="Charles")
SHIPPED = example.OrderShipped(tracking_number="TRACK-1")
DELIVERED = example.OrderDelivered(signed_by="Ada")


def test_an_order_is_created() -> None:
    NEW.when(lambda order: order.create("Ada", [LAMPS])).then(CREATED).then_state(
        status=example.Status.CREATED, total=Decimal("70.10")
    )


def test_an_order_goes_its_way() -> None:
    given(example.Order, CREATED).when(lambda order: order.process("Charles")).then(PROCESSING)
    processing = given(example.Order, CREATED, PROCESSING)
    processing.when(lambda order: order.ship("TRACK-1")).then(SHIPPED)
    shipped = given(example.Order, CREATED, PROCESSING, SHIPPED)
    shipped.when(lambda order: order.deliver("Ada")).then(DELIVERED)


def test_an_order_without_items_is_refused() -> None:
    NEW.when(lambda order: order.create("Ada", [])).then_raises(
        example.OrderError, match="without items"
    ).then_nothing()


@pytest.mark.parametrize(
    ("before", "wish"),
    [
        ([], lambda order: order.ship("TRACK-1")),
        ([CREATED], lambda order: order.create("Ada", [LAMPS])),
        ([CREATED], lambda order: order.ship("TRACK-1")),
        ([CREATED, PROCESSING], lambda order: order.deliver("Ada")),
        ([CREATED, PROCESSING, SHIPPED], lambda order: order.ship("TRACK-2")),
        ([CREATED, PROCESSING, SHIPPED, DELIVERED], lambda order: order.deliver("Ada")),
    ],
)
def test_no_step_is_left_out_or_repeated(before: list[Event], wish: Callable[[Any], None]) -> None:
    given(example.Order, before).when(wish).then_raises(example.OrderError).then_nothing()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_refused_is_not_stored(store: EventStore) -> None:
    assert await example.attempt(store, "order-1", lambda order: order.create("Ada", [LAMPS]))
    assert not await example.attempt(store, "order-1", lambda order: order.ship("TRACK-1"))
    assert await store.load_events("order-1", example.Order) == [CREATED]
