"""Group commit: what is submitted at the same time travels as one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Self, TypeVar

from later_core.ports.clock import Clock, SystemClock

#: So many turns of the event loop without a submission, and no more are on their way: gRPC takes a call in
#: by several of them.
_QUIET_TURNS = 8

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Group(Generic[Item, Answer]):
    """Collects concurrent submissions and writes them together.

    A submission that meets an idle group is written at once. While ``in_flight`` batches are under way the
    next one fills, up to ``limit`` items; with a ``pace`` it also fills until so many seconds after the one
    before was begun, and with ``gather`` while the event loop is busy bringing more, for so many seconds at
    the most: who submits one by one, alone, does not wait for that. At most ``capacity`` items wait; a
    submitter beyond that waits for room.

    A submitter that is cancelled stops waiting, but its item may still be written: writes must
    be idempotent. An exception of ``write`` reaches every submitter of that batch.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        limit: int = 1000,
        in_flight: int = 2,
        capacity: int = 20_000,
        clock: Clock | None = None,
        pace: float = 0.0,
        gather: float = 0.0,
    ) -> None:
        self._write = write
        self._limit = limit
        self._in_flight = in_flight
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._pace = pace
        self._gather = gather
        #: How many items the batch before held.
        self._last = 0
        self._begun_at = float("-inf")
        self._held = 0
        #: Set when there may be room for one who waits for it.
        self._room = asyncio.Event()
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._filled = asyncio.Event()
        self._closing = False
        self._workers = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        for _ in range(self._in_flight):
            self._workers.create_task(self._work())
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Write what still waits, then stop."""
        self._closing = True
        self._filled.set()
        self._room.set()
        await self._workers.__aexit__(None, None, None)

    async def submit(self, item: Item) -> Answer:
        """Answer what ``write`` answers for this item.

        Raises:
            RuntimeError: the group is closed.
        """
        # Counted by hand, since a semaphore costs three times as much as all the rest of this.
        while self._held >= self._capacity and not self._closing:
            self._room.clear()
            await self._room.wait()
        if self._closing:
            raise RuntimeError("the group is closed")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._held += 1
        try:
            self._waiting.append((item, answer))
            self._filled.set()
            return await answer
        finally:
            self._held -= 1
            self._room.set()

    async def _work(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._filled.clear()
                await self._filled.wait()
                continue
            left = self._begun_at + self._pace - self._clock.monotonic()
            if left > 0 and len(self._waiting) < self._limit and not self._closing:
                await self._clock.sleep(left)
                continue
            if self._gather and max(self._held, self._last) > 1:
                await self._gather_more()
                if not self._waiting:  # another worker has taken all of it
                    continue
            self._begun_at = self._clock.monotonic()
            take = self._last = min(self._limit, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(take)]
            await self._write_batch(batch)

    async def _gather_more(self) -> None:
        """Let the loop do what else is ready, as long as some of that are submissions."""
        until = self._clock.monotonic() + self._gather
        quiet = 0
        while (
            quiet < _QUIET_TURNS
            and len(self._waiting) < self._limit
            and self._clock.monotonic() < until
        ):
            before = len(self._waiting)
            await self._clock.sleep(0)
            quiet = 0 if len(self._waiting) > before else quiet + 1

    async def _write_batch(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._write([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(answers)} answers to {len(batch)} items")
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the submitters, each of whom gets it
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, future), answer_value in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer_value)
