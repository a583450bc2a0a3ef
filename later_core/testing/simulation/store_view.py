"""The one store as one node sees it: through a line that delays, loses and cuts."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, cast

from later_core.errors import LaterError, StoreUnavailable
from later_core.model.event import EventBatch
from later_core.ports.store import Snapshot, Store
from later_core.testing.clock import FakeClock
from later_core.testing.simulation.history import History
from later_core.testing.simulation.line import Line, Trip
from later_core.testing.simulation.machine import Machine

#: Calls that change nothing may be told of less.
_QUIET = frozenset({"now", "nodes", "due", "raised", "beat", "counts", "get", "list"})
#: A real store reads what there is, and then changes just that; the reference store does both at
#: once. So such a call must not arrive after its caller has gone on: it gets lost instead.
_NEVER_LATE = frozenset({"reclaim"})


class StoreView:
    """Passes every method of the port on, those of tomorrow too, with the same faults for all.

    A call that has been sent is no longer in its caller's hand: it arrives, or gets lost, whether
    the caller still waits, stands still or is dead. A machine that is dead sends nothing more.
    """

    #: The clocks of the machines are wrong, each in its own way.
    shares_clock = False

    def __init__(
        self,
        store: Store,
        *,
        machine: Machine,
        line: Line,
        clock: FakeClock,
        network: asyncio.TaskGroup,
        history: History,
    ) -> None:
        self._store = store
        self._machine = machine
        self._line = line
        self._clock = clock
        self._network = network
        self._history = history

    def as_store(self) -> Store:
        """Itself, by the name of what it stands for."""
        return cast("Store", self)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        passed: Any
        if inspect.isasyncgenfunction(method):
            passed = self._streaming(name, method)
        elif inspect.iscoroutinefunction(method):
            passed = self._calling(name, method)
        else:
            passed = self._reading(name, method)
        # Found on the object from now on.
        self.__dict__[name] = passed
        return passed

    def _calling(self, name: str, method: Callable[..., Any]) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._refuse_the_dead()
            trip = self._line.trip()
            if trip is None:
                return await method(*args, **kwargs)
            return await self._send(name, trip, lambda: method(*args, **kwargs))

        return call

    async def _send(self, name: str, trip: Trip, call: Callable[[], Any]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def give_up() -> None:
            if not answer.done():
                if name not in _QUIET:
                    self._history.add(self._machine.name, "no answer:", name)
                answer.set_exception(StoreUnavailable(f"no answer to {name}"))

        self._clock.set_timer(trip.patience, lambda: self._machine.deliver(give_up))
        self._network.create_task(self._travel(name, trip, call, answer))
        return await answer

    async def _travel(
        self, name: str, trip: Trip, call: Callable[[], Any], answer: asyncio.Future[Any]
    ) -> None:
        if trip.there:
            await self._clock.sleep(trip.there)
        is_late = trip.there >= trip.patience and name in _NEVER_LATE
        if trip.loses_request or is_late or self._line.is_cut:
            return
        value, error = None, None
        try:
            value = await call()
        except LaterError as failure:
            error = failure
        if trip.back:
            await self._clock.sleep(trip.back)
        if trip.loses_answer or self._line.is_cut:
            return

        def arrive() -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)

        self._machine.deliver(arrive)

    def _streaming(self, name: str, method: Callable[..., AsyncGenerator[EventBatch, None]]) -> Any:
        async def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[EventBatch, None]:
            await self._connect(name)
            async with aclosing(method(*args, **kwargs)) as batches:
                async for batch in batches:
                    if pause := self._line.pause():
                        await self._clock.sleep(pause)
                    await self._machine.until_running()
                    if self._line.breaks():
                        raise StoreUnavailable(f"{name} broke off")
                    yield batch

        return stream

    def _reading(
        self, name: str, method: Callable[..., AbstractAsyncContextManager[Snapshot]]
    ) -> Any:
        @asynccontextmanager
        async def read(*args: Any, **kwargs: Any) -> AsyncIterator[Snapshot]:
            await self._connect(name)
            async with method(*args, **kwargs) as snapshot:
                yield snapshot

        return read

    async def _connect(self, name: str) -> None:
        """Get through to the store once."""
        self._refuse_the_dead()
        trip = self._line.trip()
        if trip is not None:
            await self._send(name, trip, lambda: self._clock.sleep(0))

    def _refuse_the_dead(self) -> None:
        if self._machine.is_over:
            raise asyncio.CancelledError
        if self._machine.is_dead:
            raise StoreUnavailable("the dead send nothing")
