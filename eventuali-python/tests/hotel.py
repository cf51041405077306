"""Rooms that are booked and accounts that pay: rules that concern several streams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from eventuali import Aggregate, Event, Query, StreamEvents, sync


class RoomBooked(Event, name="hotel.room_booked"):
    room: str
    night: int

    @property
    def tags(self) -> list[str]:
        return [f"room:{self.room}:{self.night}"]


class MoneyMoved(Event, name="hotel.money_moved"):
    person: str
    amount: int

    @property
    def tags(self) -> list[str]:
        return [f"person:{self.person}"]


class Purse(Aggregate, name="hotel.purse"):
    person: str = ""
    balance: int = 0

    def apply_money_moved(self, event: MoneyMoved) -> None:
        self.person, self.balance = event.person, self.balance + event.amount


class RefusedError(Exception):
    pass


def book(room: str, nights: list[int], guest: str) -> tuple[Query, Any]:
    def decision(events: list[Event]) -> StreamEvents:
        if events:
            raise RefusedError("booked")
        booked = [RoomBooked(room=room, night=night) for night in nights]
        return StreamEvents(("hotel.guest", guest), booked)

    query = Query(tags=[f"room:{room}:{nights[0]}"])
    for night in nights[1:]:
        query |= Query(tags=[f"room:{room}:{night}"])
    return query, decision


def transfer(source: str, target: str, person: str, limit: int, load: Any) -> tuple[Query, Any]:
    """Moves one from a purse to one of a person, whose purses hold no more than a limit."""

    def decision(events: list[Event]) -> list[Purse]:
        if sum(event.amount for event in events) >= limit:
            raise RefusedError("limit")
        one, other = load(source), load(target) or Purse(id=target)
        if one.balance < 1:
            raise RefusedError("empty")
        one.apply(MoneyMoved(person=one.person, amount=-1))
        other.apply(MoneyMoved(person=person, amount=1))
        return [one, other]

    return Query(event_types=[MoneyMoved], tags=[f"person:{person}"]), decision


def book_all(store: sync.EventStore, guest: str, threads: int, nights: int) -> list[int]:
    """In each thread, books runs of two nights in another order; returns the first nights."""

    def guests(number: int) -> list[int]:
        order = list(range(nights))
        Random(f"{guest}-{number}").shuffle(order)
        won = []
        for night in order:
            try:
                store.decide(*book("1", [night, night + 1], f"{guest}-{number}"), attempts=200)
            except RefusedError:
                continue
            won.append(night)
        return won

    with ThreadPoolExecutor(threads) as pool:
        return [night for won in pool.map(guests, range(threads)) for night in won]


def transfer_all(store: sync.EventStore, who: str, threads: int, limit: int) -> int:
    """In each thread, moves money to purses of eve until she has as much as she may."""

    def payer(number: int) -> int:
        moved = 0
        while True:
            target = f"eve-{number % 3}"
            args = ("bank", target, "eve", limit, lambda key: store.load(Purse, key))
            try:
                store.decide(*transfer(*args), attempts=400)
            except RefusedError:
                return moved
            moved += 1

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(payer, range(threads)))


def race_for_rooms(number: int, barrier: Any, url: Any, threads: int, nights: int) -> list[int]:
    with sync.EventStore.create(url) as store:
        barrier.wait(30)
        return book_all(store, f"p{number}", threads, nights)


def race_for_money(number: int, barrier: Any, url: Any, threads: int, limit: int) -> int:
    with sync.EventStore.create(url) as store:
        barrier.wait(30)
        return transfer_all(store, f"p{number}", threads, limit)


def increment(store: sync.EventStore, times: int) -> list[int]:
    """Adds one to a purse, so many times; returns how many attempts each took."""
    found = []
    for _ in range(times):
        attempts = 0

        def more(work: Any) -> None:
            nonlocal attempts
            attempts += 1
            work.load_one(Purse, "hot").apply(MoneyMoved(person="all", amount=1))

        store.transact(more)
        found.append(attempts)
    return found


def race_to_increment(number: int, barrier: Any, url: Any, threads: int, times: int) -> list[int]:
    with sync.EventStore.create(url) as store, ThreadPoolExecutor(threads) as pool:
        barrier.wait(30)
        return [n for found in pool.map(increment, [store] * threads, [times] * threads)
                for n in found]  # fmt: skip


def increment_blindly(number: int, barrier: Any, url: Any, times: int) -> int:
    """The control: the same without an expected version."""
    with sync.EventStore.create(url) as store:
        for _ in range(times):
            barrier.wait(30)
            balance = store.load_one(Purse, "hot").balance
            barrier.wait(30)
            moved = MoneyMoved(person="all", amount=0, headers={"seen": str(balance + 1)})
            store.append([moved], stream=("hotel.purse", "hot"))
            barrier.wait(30)
    return times
