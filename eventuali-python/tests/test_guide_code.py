"""The guide's own code runs as written, and another process loads what it saved."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from guide import Order, OrderItem, OrderPlaced, OrderShipped
from stores import each_store, opened, url_of
from support import output_of, tree

from eventuali import EventStore, User
from eventuali.event import UserRegistered

LOADER = """
import asyncio, sys
from eventuali import EventStore
from guide import Order
from support import tree

async def main():
    store = await EventStore.create(sys.argv[1])
    order = await store.load(Order, "order-1")
    print(ascii(tree(order)))
    print(order.is_new(), order.has_uncommitted_events())
    await store.close()

asyncio.run(main())
"""


def placed() -> Order:
    order = Order(id="order-1")
    order.apply(
        OrderPlaced(
            customer_id="customer-1",
            items=[
                OrderItem(product_id="p-1", quantity=2, price=Decimal("9.90")),
                OrderItem(product_id="p-2", quantity=1, price=Decimal("0.10")),
            ],
            total_amount=Decimal("19.90"),
        )
    )
    return order


def test_an_order_is_loaded_in_another_process(tmp_path):
    url = url_of("sqlite", tmp_path)

    async def main():
        store = await EventStore.create(url)
        order = placed()
        await store.save(order)
        order.apply(OrderShipped(tracking_number="T-1"))
        await store.save(order)
        await store.close()
        return order

    order = asyncio.run(main())
    described, flags = output_of(LOADER, url).splitlines()
    assert described == ascii(tree(order))
    assert flags == "False False"


@each_store
def test_an_order_comes_back(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            order = placed()
            assert order.is_new()
            assert order.has_uncommitted_events()
            committed = await store.save(order)
            assert not order.is_new()
            assert not order.has_uncommitted_events()
            assert committed.versions == (1,)
            loaded = await store.load(Order, "order-1")
            assert await store.load(Order, "order-2") is None
            return order, loaded

    order, loaded = asyncio.run(main())
    assert tree(loaded) == tree(order)
    assert type(loaded.items[0]) is OrderItem
    assert (loaded.version, loaded.total_amount) == (1, Decimal("19.90"))


@each_store
def test_the_demo_user_comes_back(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            user = User(id="user-1")
            user.apply(UserRegistered(name="Ada", email="ada@example.org"))
            user.change_email("lovelace@example.org")
            user.deactivate("gone")
            await store.save(user)
            return user, await store.load(User, "user-1")

    user, loaded = asyncio.run(main())
    assert tree(loaded) == tree(user)
    assert (loaded.email, loaded.is_active, loaded.version) == ("lovelace@example.org", False, 3)
