"""A subscriber that is cut resumes with its token: each event once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.model.event import EventType
from later_core.model.instance import NewInstance
from later_core.model.state import State

Seen = list[tuple[str, int, State]]


async def listen(client: Client, token: str | None, seen: Seen, enough: Callable[[], bool]) -> str:
    """Note what is told until it is enough, then hang up; answers the last token."""
    async with asyncio.timeout(60), aclosing(client.watch_once(resume_token=token)) as batches:
        async for batch in batches:
            token = batch.position
            for event in batch.events:
                assert event.type in {EventType.CREATED, EventType.UPDATED}
                assert event.instance is not None
                seen.append((event.instance.id, event.instance.revision, event.instance.state))
            if enough():
                return token
    raise AssertionError("the stream ended")


async def test_each_event_once_and_in_order_across_cuts_and_restarts(
    server: Any, client: Client, ledger: Any
) -> None:
    seen: Seen = []
    token = await listen(client, None, seen, lambda: True)  # the opening bookmark
    requests = [
        NewInstance(id=f"i{n}", task="echo", delay=timedelta(milliseconds=100 * n))
        for n in range(100)
    ]
    created = await ledger.create(client, requests)

    for count in (5, 60, 110, 140):
        token = await listen(client, token, seen, lambda count=count: len(seen) >= count)  # type: ignore[misc]  # mypy infers no lambda with a default

    await server.kill()
    await server.start()
    token = await listen(client, token, seen, lambda: len(seen) >= 170)

    await server.stop()
    with pytest.raises(RpcError):
        await listen(client, token, seen, lambda: False)
    await server.start()

    final = await ledger.until_ended(client)
    assert final.keys() == {instance.id for instance in created}

    def all_have_ended() -> bool:
        return sum(state.is_final for _, _, state in seen) >= len(created)

    await listen(client, token, seen, all_have_ended)

    for id, instance in final.items():
        revisions = [revision for seen_id, revision, _ in seen if seen_id == id]
        assert revisions == list(range(1, instance.revision + 1)), id
        assert instance.state is State.SUCCEEDED
