"""What a client sends, and how it sends many: batches through one stream, a few in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.harness.tasks import NOOP
from later_core.rpc.v1 import later_pb2 as pb

PARAMETERS = b"x" * 100
BATCH = 1_000
IN_FLIGHT = 4
_DEADLINE_SECONDS = 600.0


def one(due: datetime, *, task: str = NOOP) -> pb.CreateInstanceRequest:
    """A request for one instance, with parameters of 100 bytes."""
    request = pb.CreateInstanceRequest(task=task, parameters=PARAMETERS)
    request.execution_time.FromDatetime(due)
    return request


def batches(
    dues: Sequence[datetime], *, size: int = BATCH, task: str = NOOP
) -> list[pb.StreamCreateInstancesRequest]:
    """Requests for one instance at each of these instants."""
    return [
        pb.StreamCreateInstancesRequest(
            requests=[one(due, task=task) for due in dues[at : at + size]]
        )
        for at in range(0, len(dues), size)
    ]


@dataclass(frozen=True, slots=True)
class Created:
    """The ids that were acknowledged, and in how many seconds."""

    ids: Sequence[str]
    seconds: float

    @property
    def per_second(self) -> float:
        """Instances acknowledged a second."""
        return len(self.ids) / self.seconds


async def create(
    stub: Any,
    requests: Sequence[pb.StreamCreateInstancesRequest],
    *,
    in_flight: int = IN_FLIGHT,
) -> Created:
    """Send all batches through one stream, at most so many unanswered.

    Raises:
        RuntimeError: the server refused one.

    """
    room = asyncio.Semaphore(in_flight)

    async def feed() -> AsyncIterator[pb.StreamCreateInstancesRequest]:
        for request in requests:
            await room.acquire()
            yield request

    ids: list[str] = []
    began = time.perf_counter()
    async for answer in stub.StreamCreateInstances(feed(), timeout=_DEADLINE_SECONDS):
        room.release()
        if answer.failures:
            raise RuntimeError(f"create failed: {answer.failures[0]}")
        ids.extend(answer.ids)
    return Created(ids, time.perf_counter() - began)
