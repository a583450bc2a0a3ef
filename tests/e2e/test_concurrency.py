"""Two ``later serve`` on one MongoDB: of one key no more run at once than may, and a kill loses no slot."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from later_core.client.client import Client
from later_core.model.concurrency import Concurrency
from later_core.model.state import State
from later_core.ports.clock import SystemClock

CLOCK = SystemClock()
TWO = Concurrency(key="the licence", limit=2)


def most_at_once(diary: Path) -> int:
    """How many ran at once at most, by what each has written as it began and ended."""
    running: set[str] = set()
    most = 0
    for line in diary.read_text().split("\n"):
        what, _, id = line.partition(" ")
        if what == "begin":
            running.add(id)
        elif what == "end":
            running.discard(id)
        most = max(most, len(running))
    return most


async def test_two_servers_share_the_slots_of_a_key_and_one_outlives_the_other(
    serve: Any, mongodb_uri: str, database: str, ledger: Any, tmp_path: Path
) -> None:
    settings = {
        "mongodb_uri": mongodb_uri,
        "database": database,
        "lease": "2s",
        "bash_enabled": "true",
    }
    diary = tmp_path / "diary"
    note = f">> {diary}"
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            starting = [group.create_task(serve(**settings)) for _ in range(2)]
        a, b = (start.result() for start in starting)
        through_a, through_b = [
            await stack.enter_async_context(Client(server.address)) for server in (a, b)
        ]
        for number, client in enumerate([through_a, through_b] * 12):
            id = f"i{number}"
            code = f"echo begin {id} {note}; sleep 0.2; echo end {id} {note}"
            await ledger.create(client, [replace(ledger.bash(id, code), concurrency=TWO)])
        found = await ledger.until_ended(through_b, seconds=60)
        assert Counter(one.state for one in found.values()) == {State.SUCCEEDED: 24}
        assert len({one.node for one in found.values()}) == 2
        assert most_at_once(diary) == 2

        # One server dies with slots of the key in its hands.
        for number in range(2):
            id = f"held{number}"
            code = f"test -e {tmp_path}/{id} || {{ touch {tmp_path}/{id}; exec sleep 600; }}"
            await ledger.create(through_a, [replace(ledger.bash(id, code), concurrency=TWO)])
        async with asyncio.timeout(30):
            while (await through_a.stats()).counts.by_state[State.RUNNING] < 2:
                await CLOCK.sleep(0.05)
        holders = {(await through_a.get(f"held{n}")).node for n in range(2)}
        assert holders == {(await through_a.stats()).node}
        await ledger.create(
            through_b, [replace(ledger.bash("next", f"echo next {note}"), concurrency=TWO)]
        )
        assert (await through_b.get("next")).state is State.PENDING
        await a.kill()
        found = await ledger.until_ended(through_b, seconds=60)
        assert found["next"].state is State.SUCCEEDED
        assert {found[f"held{n}"].state for n in range(2)} == {State.SUCCEEDED}
        assert {found[f"held{n}"].attempt for n in range(2)} == {2}
