"""The floor of lateness: how late a bare event loop is at calling so many coroutines each second.

    python -m benchmarks.timers --rates 1000 2000 --seconds 20

The event loop is that of a node, the calls are due as in ``lateness``, and each reads the wall clock at its
first statement. Nothing is claimed, stored or told: what this machine cannot do here it can do nowhere.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import Program
from benchmarks.harness.rows import Row
from benchmarks.harness.statistics import of_lateness, spread
from later_core.app.event_loop import new_event_loop

_ROOT = Path(__file__).resolve().parents[1]
_LEAD_NS = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    rates: tuple[int, ...]
    seconds: float
    runs: int


async def measure(bench: Bench, size: Size) -> AsyncIterator[Row]:
    """A process of its own for each run."""
    for rate in size.rates:
        count = int(rate * size.seconds)
        runs = [await _run(rate, count) for _ in range(size.runs)]
        late = [of_lateness([ms for _, ms in run]) for run in runs]
        called = [{number for number, _ in run} for run in runs]
        yield Row(
            program="timers",
            measure="bare event loop",
            parameters={"rate": rate, "seconds": size.seconds, "runs": size.runs},
            values={
                name: spread([one[name] for one in late])
                for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")
            },
            correctness={
                "lost": size.runs * count - sum(map(len, called)),
                "twice": sum(map(len, runs)) - sum(map(len, called)),
                "early": sum(ms < 0 for run in runs for _, ms in run),
            },
            notes=["a coroutine each, in a process of its own, with nothing else to do"],
        )


async def _run(rate: int, count: int) -> list[tuple[int, float]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.timers", "--as-process", str(rate), str(count)),
        cwd=_ROOT,
        stdout=PIPE,
    )
    told, _ = await process.communicate()
    return [(number, late_ms) for number, late_ms in json.loads(told)]


async def _call(rate: int, count: int) -> list[tuple[int, float]]:
    """The number of each call, and the milliseconds by which it was late."""
    calls: list[tuple[int, float]] = []

    async def begin(number: int, due_ns: int) -> None:
        calls.append((number, (time.time_ns() - due_ns) / 1e6))

    first_ns = time.time_ns() + _LEAD_NS
    number = 0
    async with asyncio.TaskGroup() as group:
        while number < count:
            due_ns = first_ns + number * 1_000_000_000 // rate
            if (left := due_ns - time.time_ns()) > 0:
                await asyncio.sleep(left / 1e9)
                continue
            group.create_task(begin(number, due_ns))
            number += 1
    return calls


def _as_process(rate: int, count: int) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(_call(rate, count))))


PROGRAM = Program(
    name="timers",
    about=__doc__,
    short=Size(rates=(1_000,), seconds=5.0, runs=1),
    full=Size(rates=(1_000, 2_000), seconds=20.0, runs=3),
    measure=measure,
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-process"]:
        _as_process(int(sys.argv[2]), int(sys.argv[3]))
    else:
        PROGRAM.main()
