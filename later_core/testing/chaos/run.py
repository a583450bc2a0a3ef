"""One run: start all, load it, do it harm, heal, wait for the end, and draw up the account."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from later_core.model.instant import to_millis
from later_core.model.state import State
from later_core.testing.chaos.account import (
    Account,
    Acknowledged,
    Change,
    Seen,
    now_ns,
    read_ledger,
)
from later_core.testing.chaos.faults import Faults
from later_core.testing.chaos.figures import figures
from later_core.testing.chaos.load import Load, Rates
from later_core.testing.chaos.network import Network
from later_core.testing.chaos.nodes import DATABASE, Nodes
from later_core.testing.chaos.replica_set import Document, ReplicaSet
from later_core.testing.chaos.subscriber import subscribe
from later_core.testing.chaos.verdict import judge
from later_core.testing.chaos.waiting import CLOCK, until
from later_core.testing.chaos.wall_clocks import install, try_out

_BEGIN_SECONDS = 60.0
_REST_SECONDS = 180.0
_TOLD_SECONDS = 60.0
_NOT_ENDED: Document = {"state": {"$in": ["PENDING", "RUNNING"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``seconds`` of faults; None for each fault once. ``seed`` decides what chance decides here;
    when the processes do what is theirs.
    """

    seed: int
    seconds: float | None = None
    lease_seconds: float = 2.0
    #: For how long the load goes on at the end, when all is well again.
    calm_seconds: float = 10.0
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, what came of it, and what was found: by promise, none of it in a good run."""

    faults: Mapping[str, int]
    figures: Mapping[str, str]
    violations: Mapping[str, Sequence[str]]
    account: Account


async def chaos(plan: Plan, directory: Path, *, python_path: str = "") -> Report:
    """Run it in an empty directory; ``python_path`` is for the servers, where Later is not installed.

    Raises:
        TimeoutError: the cluster did not start, or did not come to rest after all was healed.

    """
    chance = random.Random(plan.seed)  # noqa: S311 -- chance of a test, not of a secret
    acknowledged = Acknowledged()
    clocks = install(directory / "clocks")
    await try_out(clocks, clocks / "trial", python_path=python_path)
    async with (
        Network() as network,
        ReplicaSet(network, directory) as replica_set,
        Nodes(
            network,
            directory,
            mongodb_uri=replica_set.uri,
            settings=_settings(plan),
            python_path=python_path,
            clocks=clocks,
            chance=chance,
        ) as nodes,
    ):
        addresses = [node.address for node in nodes.all]
        faults = Faults(
            network, replica_set, nodes, lease_seconds=plan.lease_seconds, chance=chance
        )
        async with _subscribers(addresses) as seen:
            load = Load(addresses, acknowledged, rates=plan.rates, chance=chance)
            async with load, asyncio.TaskGroup() as group:
                group.create_task(load.run())
                if plan.seconds is None:
                    await faults.each_once()
                else:
                    await faults.for_seconds(plan.seconds)
                calm = await _calm(plan)
                load.stop()
            stored = await _at_rest(replica_set, seen)
        nodes.check(nodes.all)
    account = Account(
        acknowledged=acknowledged,
        stored=stored,
        seen=seen,
        ledger=read_ledger(nodes.ledger),
        killed=nodes.killed,
        lease_seconds=plan.lease_seconds,
        database_troubles=faults.database_troubles,
        calm=calm,
        ended=nodes.ended,
        exceptions=nodes.exceptions(),
    )
    _write_down(account, directory)
    return Report(
        faults=faults.done,
        figures=figures(account),
        violations=judge(account),
        account=account,
    )


async def _calm(plan: Plan) -> tuple[int, int]:
    """Let the load go on while nothing is harmed; answers from and to, once all is well again."""
    await CLOCK.sleep(4 * plan.lease_seconds)
    begun = now_ns()
    await CLOCK.sleep(plan.calm_seconds)
    return begun, now_ns()


def _write_down(account: Account, directory: Path) -> None:
    """What each subscriber saw, for people who look for a cause."""
    for seen in account.seen:
        lines = [f"{change}\n" for change in seen.changes]
        (directory / f"{seen.name}.log").write_text("".join(lines))


def _settings(plan: Plan) -> Mapping[str, str]:
    return {
        "lease": f"{plan.lease_seconds}s",
        # Long enough that what the news do not bring is missed for all to see.
        "recurrence": "20s",
        "time_ahead": "60s",
        "grace": "2s",
    }


@asynccontextmanager
async def _subscribers(addresses: Sequence[str]) -> AsyncIterator[list[Seen]]:
    """One for each node, each beginning with another; in the block all of them have begun."""
    seen = [Seen(f"subscriber-{n}") for n in range(len(addresses))]
    async with asyncio.TaskGroup() as group:
        tasks = []
        begun = [asyncio.Event() for _ in seen]
        for n, each in enumerate(seen):
            turned = [*addresses[n:], *addresses[:n]]
            tasks.append(group.create_task(subscribe(each, turned, begun[n])))
        try:
            async with asyncio.timeout(_BEGIN_SECONDS):
                for event in begun:
                    await event.wait()
            yield seen
        finally:
            for task in tasks:
                task.cancel()


async def _at_rest(replica_set: ReplicaSet, seen: Sequence[Seen]) -> dict[str, Change]:
    """What is stored once everything has ended, and the subscribers have been told so, or the time
    for either is over (then the verdict says what is missing).
    """

    async def all_ended() -> bool:
        return not await replica_set.read(DATABASE, "instances", _NOT_ENDED)

    async def all_told() -> bool:
        return all(
            each.is_resynced or each.last.get(id, 0) >= change.revision
            for each in seen
            for id, change in stored.items()
        )

    # What is not so in time is counted one by one in the verdict.
    with suppress(TimeoutError):
        await until("nothing is pending or running", all_ended, _REST_SECONDS)
    documents = await replica_set.read(DATABASE, "instances")
    stored = {change.id: change for change in map(_change, documents)}
    with suppress(TimeoutError):
        await until("every subscriber knows", all_told, _TOLD_SECONDS)
    return stored


def _change(document: Document) -> Change:
    """Read as it stands, past the code that is on trial."""
    error, started = document.get("error"), document.get("start_time")
    return Change(
        id=document["_id"],
        revision=document["revision"],
        state=State(document["state"]),
        attempt=document["attempt"],
        due_ms=to_millis(document["execution_time"].replace(tzinfo=UTC)),
        node=document.get("node") or "",
        reason=error["reason"] if error else "",
        start_ms=to_millis(started.replace(tzinfo=UTC)) if started else None,
    )
