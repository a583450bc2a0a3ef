"""Clients that create, abort, reschedule and retry, through every node, and keep the answers."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.errors import ServerOverloaded
from later_core.model.instance import Delivery, Instance, NewInstance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.testing.chaos.account import AckedAbort, Acknowledged, Change, now_ns
from later_core.testing.chaos.waiting import CLOCK

_DEADLINE = timedelta(seconds=3)
#: What an answer may say of an instance that has moved on meanwhile.
_MOVED_ON = frozenset({"INSTANCE_ENDED", "INSTANCE_RUNNING", "INSTANCE_NOT_ENDED"})
_UNANSWERED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_PAUSE_SECONDS = 0.2

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Calls a second, of each kind; a create brings ``batch`` instances on average."""

    creates: float = 4.0
    batch: int = 10
    aborts: float = 3.0
    reschedules: float = 3.0
    retries: float = 1.0


class Load:
    """An async context manager that holds a channel to each node."""

    def __init__(
        self,
        addresses: Sequence[str],
        acknowledged: Acknowledged,
        *,
        rates: Rates,
        chance: random.Random,
    ) -> None:
        self._addresses = addresses
        self._acknowledged = acknowledged
        self._rates = rates
        self._chance = chance
        self._clients: list[Client] = []
        self._stack = AsyncExitStack()
        self._count = 0
        self._recent: list[str] = []
        self._retried: set[str] = set()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        for address in self._addresses:
            client = Client(address, deadline=_DEADLINE)
            self._clients.append(await self._stack.enter_async_context(client))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def stop(self) -> None:
        """Ask for nothing more; what is asked is asked until it is answered."""
        self._stopping.set()

    async def run(self) -> None:
        """Until ``stop``, and until each create has been acknowledged."""
        kinds: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (self._rates.creates, self._create),
            (self._rates.aborts, self._abort),
            (self._rates.reschedules, self._reschedule),
            (self._rates.retries, self._retry),
        ]
        async with asyncio.TaskGroup() as group:
            for rate, act in kinds:
                group.create_task(self._keep_on(group, rate, act))

    async def _keep_on(
        self, group: asyncio.TaskGroup, rate: float, act: Callable[[], Awaitable[None]]
    ) -> None:
        """At this rate on average, whatever becomes of the calls before."""
        room = asyncio.Semaphore(20)

        async def one() -> None:
            async with room:
                await act()

        while rate and not await CLOCK.wait(self._stopping, self._chance.expovariate(rate)):
            if not room.locked():
                group.create_task(one())

    def _client(self) -> Client:
        return self._chance.choice(self._clients)

    # -- what is asked -----------------------------------------------------------------------

    def _new(self) -> NewInstance:
        chance = self._chance
        self._count += 1
        content = {
            "seconds": chance.choice([0.0, 0.0, 0.05, 0.3, 1.0, 3.0, 6.0]),
            "fails": chance.choice([0, 0, 0, 0, 1, 9]),
        }
        once = chance.random() < 0.2
        return NewInstance(
            id=f"i{self._count}",
            task=chance.choice(["noted", "noted-in-thread"]),
            parameters=json.dumps(content).encode(),
            delay=timedelta(milliseconds=chance.choice([0, 500, 2_000, 6_000, 12_000])),
            retry=RetryPolicy(
                max_attempts=1 if once else 3, min_backoff=timedelta(milliseconds=300)
            ),
            delivery=Delivery.AT_MOST_ONCE if once else Delivery.AT_LEAST_ONCE,
        )

    async def _create(self) -> None:
        """A batch, or now and then a single one; the same again until all is acknowledged."""
        many = self._chance.random() < 0.8
        left = [self._new() for _ in range(self._chance.randint(1, self._rates.batch * 2 - 1))]
        left = left if many else left[:1]
        while left:
            try:
                client = self._client()
                answers = (
                    await client.create_batch(left) if many else [await client.create(left[0])]
                )
            except RpcError as error:
                # Behind after a fault, a server may ask to be asked again; and for creates alone.
                if error.reason == ServerOverloaded.reason:
                    self._acknowledged.unanswered += 1
                else:
                    self._note_unanswered("create", error)
                await CLOCK.sleep(_PAUSE_SECONDS)
                continue
            for request, answer in zip(left, answers, strict=True):
                if isinstance(answer, Instance):
                    self._acknowledged.create(answer)
                    self._recent.append(answer.id)
                else:
                    self._acknowledged.unexpected.append(f"create of {request.id}: {answer!r}")
            left = []
        del self._recent[:-1000]

    async def _abort(self) -> None:
        id = self._pick(among=300)
        if id is None or id in self._retried or id in self._acknowledged.aborts:
            return
        answer = await self._change(id, "abort", lambda client: client.abort(id))
        if answer is not None:
            after, previous = answer
            self._acknowledged.aborts[id] = AckedAbort(Change.of(after), previous, now_ns())
            if previous not in {State.PENDING, State.RUNNING}:
                self._acknowledged.unexpected.append(f"abort of {id}: it was {previous}")

    async def _reschedule(self) -> None:
        id = self._pick(among=300)
        if id is None:
            return
        delay = timedelta(milliseconds=self._chance.choice([0, 1_000, 5_000, 15_000]))
        answer = await self._change(
            id, "reschedule", lambda client: client.reschedule(id, delay=delay)
        )
        if answer is not None:
            self._acknowledged.rescheduled.append(Change.of(answer))

    async def _retry(self) -> None:
        """Of those alone that nobody aborts, so that an abort stays the last word."""
        id = self._pick(among=1000)
        if id is None or id in self._acknowledged.aborts or id in self._acknowledged.in_doubt:
            return
        self._retried.add(id)
        delay = timedelta(milliseconds=self._chance.choice([0, 2_000]))
        answer = await self._change(id, "retry", lambda client: client.retry(id, delay=delay))
        if answer is not None:
            self._acknowledged.retried.append(Change.of(answer))

    def _pick(self, *, among: int) -> str | None:
        recent = self._recent[-among:]
        return self._chance.choice(recent) if recent else None

    async def _change(
        self, id: str, what: str, call: Callable[[Client], Awaitable[_Answer]]
    ) -> _Answer | None:
        # In doubt from before it is sent: an answer takes the doubt away.
        was_in_doubt = id in self._acknowledged.in_doubt
        self._acknowledged.in_doubt.add(id)
        try:
            answer = await call(self._client())
        except RpcError as error:
            if error.reason in _MOVED_ON:
                self._settle(id, was_in_doubt)
            else:
                self._note_unanswered(f"{what} of {id}", error)
            return None
        self._settle(id, was_in_doubt)
        return answer

    def _settle(self, id: str, was_in_doubt: bool) -> None:
        if not was_in_doubt:
            self._acknowledged.in_doubt.discard(id)

    def _note_unanswered(self, what: str, error: RpcError) -> None:
        self._acknowledged.unanswered += 1
        if error.code not in _UNANSWERED:
            self._acknowledged.unexpected.append(f"{what}: {error.code} {error.reason} {error}")
