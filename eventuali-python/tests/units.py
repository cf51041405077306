"""Functions of a unit of work, written once for both stores."""

from __future__ import annotations

import asyncio
from contextvars import Context
from inspect import iscoroutine


class AwaitedStore:
    """A blocking store, for functions that are written for the other one."""

    def __init__(self, inner) -> None:
        self.inner = inner

    def for_tenant(self, tenant):
        return AwaitedStore(self.inner.for_tenant(tenant))

    def __getattr__(self, name):
        verb = getattr(self.inner, name)

        async def call(*arguments, **options):
            return verb(*arguments, **options)

        return call


class Awaited(AwaitedStore):
    """A unit of work of the blocking store, likewise."""

    def add(self, *aggregates):
        self.inner.add(*aggregates)

    def append(self, *arguments, **options):
        self.inner.append(*arguments, **options)

    @property
    def store(self):
        return AwaitedStore(self.inner.store)


def fit(api, function):
    """Returns a coroutine function in the form that a store takes."""
    if api == "async":
        return function

    return lambda work: _finished(function(Awaited(work)))


def fit_handler(api, function):
    """Does the same for the handler of a command."""
    if api == "async":
        return function
    return lambda command, work: _finished(function(command, Awaited(work)))


def _finished(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something else")


async def outside(verb, *arguments, **options):
    """Calls a verb of a store as somebody else would, outside of every transaction."""
    context = Context()
    given = context.run(verb, *arguments, **options)
    return await asyncio.create_task(given, context=context) if iscoroutine(given) else given


def inner(api, store):
    """Returns the store itself, of one that is used in both ways."""
    return store if api == "async" else store.store
