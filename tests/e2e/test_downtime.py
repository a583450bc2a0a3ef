"""What comes due while no server runs is run when one does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.state import State


async def test_50_that_came_due_while_the_server_was_down_all_run(
    server: Any, client: Client, ledger: Any
) -> None:
    created = await ledger.create(
        client,
        [
            NewInstance(id=f"due-{n}", task="echo", delay=timedelta(seconds=6, milliseconds=10 * n))
            for n in range(50)
        ],
    )
    await server.stop()
    stopped_before = min(instance.execution_time for instance in created)
    await ledger.until_time(max(instance.execution_time for instance in created))

    await server.start()
    found = await ledger.until_ended(client)

    assert found.keys() == {instance.id for instance in created}
    for instance in found.values():
        assert instance.state is State.SUCCEEDED
        assert instance.attempt == 1
        assert instance.start_time is not None
        assert instance.start_time > stopped_before
        assert instance.start_time > instance.execution_time
