"""A server killed with -9 while it works loses nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from later_core.client.client import Client
from later_core.model.instance import Delivery
from later_core.model.state import State


async def test_200_instances_are_all_accounted_for_after_kill_9(
    server: Any, client: Client, ledger: Any, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.touch()
    # One line a start of the code, and one a run that came to its end.
    note = f'echo "$LATER_INSTANCE_ID $LATER_ATTEMPT" >> {runs}'
    ended = [ledger.bash(f"ended-{n}", note) for n in range(40)]
    running = [ledger.bash(f"running-{n}", f"{note}; sleep 2") for n in range(60)]
    due = [
        replace(ledger.bash(f"due-{n}", note), delay=timedelta(milliseconds=1500 + 30 * n))
        for n in range(60)
    ]
    pending = [
        replace(ledger.bash(f"pending-{n}", note), delay=timedelta(seconds=8)) for n in range(40)
    ]
    created = await ledger.create(client, [*ended, *running, *due, *pending])
    await ledger.until_states(
        client,
        lambda counts: (
            counts[State.SUCCEEDED] >= 20
            and counts[State.RUNNING] >= 20
            and counts[State.PENDING] >= 40
        ),
    )
    await server.kill()

    await server.start()
    found = await ledger.until_ended(client)

    assert found.keys() == {instance.id for instance in created}
    assert Counter(instance.state for instance in found.values()) == {State.SUCCEEDED: 200}
    starts = Counter(runs.read_text().splitlines())
    assert max(starts.values()) == 1, "an attempt was started twice"
    assert {line.split()[0] for line in starts} == found.keys()
    again = [instance for instance in found.values() if instance.attempt > 1]
    assert again, "nothing ran when it was killed"
    assert all(instance.attempt == 2 for instance in again)
    assert all(instance.start_time >= instance.execution_time for instance in found.values())


async def test_what_may_run_only_once_fails_after_kill_9_and_says_why(
    server: Any, client: Client, ledger: Any, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.touch()
    once = ledger.bash("once", f"echo started >> {runs}; sleep 5")
    await ledger.create(client, [replace(once, delivery=Delivery.AT_MOST_ONCE)])
    await ledger.until_states(client, lambda counts: bool(counts[State.RUNNING]))
    await server.kill()
    await server.start()
    found = await ledger.until_ended(client)
    assert (found["once"].state, found["once"].error.reason) == (State.FAILED, "NODE_LOST")
    assert runs.read_text().count("started") <= 1
