"""Round trips to MongoDB for 1,000 instances at full batches: counted, not timed.

    python -m benchmarks.round_trips

The store in this process, against the real MongoDB; each command that the driver sends is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import uuid_utils
from pymongo import monitoring

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import Program
from benchmarks.harness.requests import PARAMETERS
from benchmarks.harness.rows import Row
from benchmarks.harness.tasks import NOOP
from later_core.model.instance import NewInstance
from later_core.model.outcome import Ending
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.service.placement import place
from later_core.stores.mongo.store import MongoStore

BATCH = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    batches: int


class _Commands(monitoring.CommandListener):
    """Counts every command of every client made after this was registered."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent[event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Counted when it began."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Counted when it began."""

    def take(self) -> Counter[str]:
        """What was sent since this was last asked."""
        sent, self.sent = self.sent, Counter()
        return sent


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """Create, claim and finish full batches."""
    commands = _Commands()
    monitoring.register(commands)
    steps: dict[str, Counter[str]] = {"create": Counter(), "claim": Counter(), "finish": Counter()}
    ended = 0
    async with bench.database("trips") as connection:
        store = MongoStore(
            uri=bench.mongodb_uri,
            database=connection.database.name,
            retention=timedelta(days=7),
            clock=SystemClock(),
        )
        async with store:
            for _ in range(size.batches):
                ended += await _batch(store, commands, steps)
    wanted = size.batches * BATCH
    yield Row(
        program="round_trips",
        measure="round trips for 1,000 instances",
        parameters={"batch": BATCH, "batches": size.batches},
        values={
            **{name: sent.total() / size.batches for name, sent in steps.items()},
            **{f"{name}_commands": dict(sent) for name, sent in steps.items()},
        },
        correctness={"lost": wanted - ended, "twice": 0, "early": 0},
    )


async def _batch(store: MongoStore, commands: _Commands, steps: dict[str, Counter[str]]) -> int:
    now = await store.now()
    instances = [
        place(
            NewInstance(task=NOOP, parameters=PARAMETERS, id=uuid_utils.uuid7().hex),
            now=now,
        )
        for _ in range(BATCH)
    ]
    commands.take()
    await store.insert(instances)
    steps["create"] += commands.take()
    until = now + timedelta(seconds=1)
    claimed = await store.claim([one.id for one in instances], node="bench", until=until)
    steps["claim"] += commands.take()
    moment = datetime.now(UTC)
    endings = [
        Ending(
            id=one.id,
            node="bench",
            attempt=one.attempt,
            state=State.SUCCEEDED,
            start_time=moment,
            end_time=moment,
        )
        for one in claimed
    ]
    written = await store.finish(endings)
    steps["finish"] += commands.take()
    return sum(written)


PROGRAM = Program(
    name="round_trips",
    about=__doc__,
    short=Size(batches=5),
    full=Size(batches=20),
    measure=measure,
)

if __name__ == "__main__":
    PROGRAM.main()
