"""The measures: what is done to a peer, and what is read off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.account import is_saturated, lateness
from benchmarks.peers.contract import Jobs, Scheduler
from benchmarks.peers.memory import Memory, settled
from benchmarks.peers.trial import Bench, Starts, TooSlow, Trial

#: Nothing written for so long, though jobs are due: no more will come. Agenda locks all that is due
#: before it runs the first, and takes many seconds for it.
_QUIET_SECONDS = 40.0
#: How long a burst may take, and how long after its last job a series may lag.
_BURST_SECONDS = 120.0
_LAG_SECONDS = 15.0
_FIRST_RUN_SECONDS = 120.0
#: A restart may take up what was left for so long; it ends sooner, once it is quiet.
_AFTER_KILL_SECONDS = 180.0
_HOUR = 3_600.0

Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    count: int = 5_000
    seconds: float = 20.0
    pending: int = 100_000
    #: After kill -9: quiet for so long before what is missing counts as lost.
    kill_wait_seconds: float = 30.0
    #: Where in the burst it is killed: the share of the time that the same burst took unharmed.
    kill_at: float = 0.5
    #: What the peers are told for the kill, where they can be told; None: what they do by default.
    recovery_seconds: float | None = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run of a measure gave."""

    values: Values
    correctness: dict[str, int]
    notes: list[str]


async def add(bench: Bench, sizes: Sizes) -> Result:
    """Jobs added a second, due later, with no scheduler at work."""
    async with bench.opened():
        jobs = Jobs(count=sizes.count, due=time.time() + _HOUR, seed=bench.seed)
        seconds = await bench.add(jobs)
        stored = await bench.peer.stored()
    return Result(
        values={"added_per_second": round(sizes.count / seconds)},
        correctness={"lost": len(set(range(sizes.count)) - stored), "twice": 0, "early": 0},
        notes=[],
    )


async def burst(bench: Bench, sizes: Sizes) -> Result:
    """So many due at one instant: how fast they begin, and end by the peer's own event."""
    async with bench.ready(sizes.count, None) as (trial, starts, scheduler):
        await _follow(trial, starts, _BURST_SECONDS)
        await _take_stock(bench, trial, starts, scheduler)
    return _result(_burst_values(trial), trial)


async def lateness_at(bench: Bench, sizes: Sizes, rate: int) -> Result:
    """So many due each second, evenly."""
    count = int(rate * sizes.seconds)
    async with bench.ready(count, float(rate)) as (trial, starts, scheduler):
        await _follow(trial, starts, sizes.seconds + _LAG_SECONDS)
        await _take_stock(bench, trial, starts, scheduler)
    if not trial.account.starts:
        return _result({"saturated": True}, trial)
    found = lateness(trial.account.starts)
    saturated = bool(trial.not_done) or is_saturated(found)
    return _result({**found, "saturated": saturated}, trial)


async def memory(bench: Bench, sizes: Sizes) -> Result:
    """Memory with nothing pending and with much pending, and when the one overdue among them has run."""
    async with bench.opened() as starts, bench.running(starts) as scheduler:
        idle = await settled(bench.peer, scheduler)
    async with bench.opened() as starts:
        half = sizes.pending // 2
        far = time.time() + _HOUR
        await bench.add(Jobs(count=half, due=far, seed=bench.seed))
        await bench.add(Jobs(count=1, due=time.time() - 1, first_index=half, seed=bench.seed))
        rest = sizes.pending - half - 1
        await bench.add(Jobs(count=rest, due=far, first_index=half + 1, seed=bench.seed))
        began = time.time()
        async with bench.running(starts) as scheduler:
            first = await _first_run(starts, began)
            full = await settled(bench.peer, scheduler)
    values = {"idle": idle, "pending": full}
    named = {
        f"{when}_{key}": mb for when, taken in values.items() for key, mb in _mb(taken).items()
    }
    return Result(
        values={**named, "first_run_seconds": first},
        correctness={
            "lost": int(first is None),
            "twice": starts.account.twice,
            "early": starts.account.early,
        },
        notes=[],
    )


async def startup(bench: Bench, sizes: Sizes) -> Result:
    """From the start of the process until the one job in the store, overdue, has run."""
    async with bench.opened() as starts:
        await bench.peer.add(
            Jobs(count=1, due=time.time() - 1, seed=bench.seed), seconds=_FIRST_RUN_SECONDS
        )
        began = time.time()
        async with bench.running(starts):
            first = await _first_run(starts, began)
    account = starts.account
    return Result(
        values={"first_run_seconds": first},
        correctness={
            "lost": len(account.missing(1)),
            "twice": account.twice,
            "early": account.early,
        },
        notes=[],
    )


async def kill(bench: Bench, sizes: Sizes) -> Result:
    """kill -9 of the scheduler in the middle of a burst, started again at once, watched until it is quiet.

    Lost is what had not begun by then and is kept no more; what is kept, a longer wait might have run.
    """
    async with bench.ready(sizes.count, None, recovery_seconds=sizes.recovery_seconds) as (
        unharmed,
        starts,
        _,
    ):
        await _follow(unharmed, starts, _BURST_SECONDS)
    if not unharmed.account.starts:
        raise TooSlow("none of the burst that was left unharmed began in time")
    whole = (unharmed.account.last_ended or unharmed.account.last_started) - unharmed.jobs.due
    async with bench.ready(sizes.count, None, recovery_seconds=sizes.recovery_seconds) as (
        trial,
        starts,
        scheduler,
    ):
        at = trial.jobs.due + sizes.kill_at * whole
        await asyncio.sleep(max(0.0, at - time.time()))
        await scheduler.kill()
        starts.read()
        before = len(trial.account.started)
        async with bench.running(starts, recovery_seconds=sizes.recovery_seconds) as again:
            await starts.follow(
                sizes.count,
                after=time.time(),
                quiet_seconds=sizes.kill_wait_seconds,
                until=time.time() + _AFTER_KILL_SECONDS,
                to_the_end=True,
            )
            await _take_stock(bench, trial, starts, again)
    values = {
        "unharmed_seconds": round(whole, 2),
        "begun_before": before,
        "begun_after": len(trial.account.started) - before,
    }
    return _result(values, trial)


Measure = Callable[[Bench, Sizes], Awaitable[Result]]
#: Those that need nothing but sizes; lateness needs a rate too.
MEASURES: dict[str, Measure] = {
    "add": add,
    "burst": burst,
    "memory": memory,
    "startup": startup,
    "kill": kill,
}
LATENESS = "lateness"


async def _follow(trial: Trial, starts: Starts, seconds: float) -> None:
    last = trial.jobs.due
    if trial.jobs.per_second:
        last += trial.jobs.count / trial.jobs.per_second
    await starts.follow(
        trial.jobs.count,
        after=last,
        quiet_seconds=_QUIET_SECONDS,
        until=trial.jobs.due + seconds,
        to_the_end=False,
    )


async def _take_stock(bench: Bench, trial: Trial, starts: Starts, scheduler: Scheduler) -> None:
    """End the scheduler and see what it leaves, and what it did to the last."""
    await scheduler.kill()
    starts.read()
    trial.stored = frozenset(await bench.peer.stored())


async def _first_run(starts: Starts, began: float) -> float | None:
    until = time.time() + _FIRST_RUN_SECONDS
    while time.time() < until:
        starts.read()
        if starts.account.starts:
            return round(starts.account.starts[0].began - began, 3)
        await asyncio.sleep(0.02)
    return None


def _burst_values(trial: Trial) -> Values:
    account, due = trial.account, trial.jobs.due
    values: Values = {"added_per_second": round(trial.jobs.count / trial.add_seconds)}
    if account.starts:
        values["first_ms"] = round(min(start.late_ms for start in account.starts), 1)
        values["begun_per_second"] = round(len(account.started) / (account.last_started - due))
    if account.last_ended is not None:
        values["ended_per_second"] = round(len(account.ended) / (account.last_ended - due))
    return values


def _mb(taken: Memory) -> dict[str, float]:
    return {
        "scheduler_mb": taken.scheduler_mb,
        "broker_mb": taken.broker_mb,
        "total_pss_mb": taken.total_pss_mb,
    }


def _result(values: Values, trial: Trial) -> Result:
    if trial.not_done:
        values = {**values, "not_done": trial.not_done}
    return Result(values=values, correctness=trial.correctness, notes=trial.notes)
