"""Subscribers in a process of their own, each with its own connection; they remember all they saw.

``Subscribers`` is the side of the program, the rest runs in the process. The two talk by lines of
JSON: ``ready`` once all are heard; then the program names what should have been seen, and the
process answers what was lost, what came twice, and how long events were under way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from benchmarks.harness.beside import Beside
from benchmarks.harness.statistics import quantile
from benchmarks.harness.waiting import until
from later_core.client.errors import from_call
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc as rpc

_SEEN_SECONDS = 120.0

# -- the side of the program -------------------------------------------------------------------


class Subscribers(Beside):
    """Entering starts them and waits until the server has heard all of them."""

    def __init__(
        self, address: str, directory: Path, *, count: int, resume_token: str = ""
    ) -> None:
        super().__init__("benchmarks.harness.subscribers", address, str(count), resume_token)
        self._directory = directory

    async def seen(self, ids: Collection[str], revisions: Sequence[int]) -> dict[str, Any]:
        """Wait until each has seen every one of these revisions of every id, or for two minutes.

        Answers lost, twice, too_slow (how often one was told so and came back), delays in ms, and
        the events that one of them received a second, from its first to its last.
        """
        path = self._directory / "wanted.json"
        path.write_text(json.dumps({"ids": list(ids), "revisions": list(revisions)}))
        return await self.ask(str(path), seconds=2 * _SEEN_SECONDS)


# -- the process -------------------------------------------------------------------------------


class _Subscriber:
    def __init__(self, address: str, resume_token: str) -> None:
        self._address = address
        self._token = resume_token
        self.ready = asyncio.Event()
        self.keys: set[tuple[str, int]] = set()
        self.twice = 0
        self.too_slow = 0
        self.delays_us = array("q")
        #: When the first and the last batch came, and how many events the first had.
        self.first = self.last = 0.0
        self.first_events = 0

    async def run(self) -> None:
        # Else all channels of a process share one connection.
        options = (
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 16 << 20),
        )
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            stub: Any = rpc.InstanceServiceStub(channel)
            while True:
                call = stub.WatchInstances(pb.WatchInstancesRequest(resume_token=self._token))
                try:
                    async for response in call:
                        self._take(response)
                except grpc.aio.AioRpcError as error:
                    told = from_call(error, address=self._address)
                    if told.reason != "SUBSCRIBER_TOO_SLOW":
                        raise
                    self.too_slow += 1
                    self._token = told.metadata.get("resume_token") or self._token

    def _take(self, response: pb.WatchInstancesResponse) -> None:
        now = time.time_ns()
        self._token = response.resume_token or self._token
        self.ready.set()
        if not response.events:
            return
        keys, delays = self.keys, self.delays_us
        before = len(keys)
        for event in response.events:
            instance, at = event.instance, event.event_time
            keys.add((instance.id, instance.revision))
            delays.append((now - at.seconds * 1_000_000_000 - at.nanos) // 1000)
        self.twice += before + len(response.events) - len(keys)
        self.last = time.perf_counter()
        if not self.first_events:
            self.first, self.first_events = self.last, len(response.events)


def _account(subscribers: Sequence[_Subscriber], wanted: set[tuple[str, int]]) -> dict[str, Any]:
    delays = sorted(delay for one in subscribers for delay in one.delays_us)
    first = subscribers[0]
    return {
        "lost": sum(len(wanted - one.keys) for one in subscribers),
        "twice": sum(one.twice for one in subscribers),
        "too_slow": sum(one.too_slow for one in subscribers),
        "events_per_second": (len(first.keys) - first.first_events)
        / max(1e-9, first.last - first.first),
        "delay_p50_ms": quantile(delays, 0.5) / 1000 if delays else None,
        "delay_p99_ms": quantile(delays, 0.99) / 1000 if delays else None,
        "delay_max_ms": delays[-1] / 1000 if delays else None,
    }


async def _saw(subscribers: Sequence[_Subscriber], wanted: set[tuple[str, int]]) -> bool:
    return all(len(one.keys) >= len(wanted) and wanted <= one.keys for one in subscribers)


async def _main(address: str, count: int, resume_token: str) -> None:
    subscribers = [_Subscriber(address, resume_token) for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in subscribers]
        for one in subscribers:
            await one.ready.wait()
        print(json.dumps({"ready": True}), flush=True)
        asked = await asyncio.to_thread(sys.stdin.readline)
        content = json.loads(Path(asked.strip()).read_text(encoding="utf-8"))
        wanted = {(id, revision) for id in content["ids"] for revision in content["revisions"]}
        with suppress(TimeoutError):  # then something is lost, which the account tells
            await until("all is seen", partial(_saw, subscribers, wanted), seconds=_SEEN_SECONDS)
        print(json.dumps(_account(subscribers, wanted)), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("count", type=int)
    parser.add_argument("resume_token")
    asyncio.run(_main(**vars(parser.parse_args())))
