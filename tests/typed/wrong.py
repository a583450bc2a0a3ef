"""How the clients must not be used: ``tox -e type`` proves that each line is refused.

An ignore that is not needed is an error of mypy's own, so that a line that passes fails the check.
"""

from __future__ import annotations

from later_core.client import Client, SyncClient
from later_core.model.instance import NewInstance


async def asynchronous(client: Client) -> None:
    await client.create("echo")  # type: ignore[arg-type]  # a request, not a name
    await client.create(NewInstance("echo"))  # type: ignore[call-arg]  # by keyword alone
    assert client.create(NewInstance(task="echo")).id  # type: ignore[attr-defined]  # not awaited
    await client.list()  # type: ignore[misc]  # is iterated
    await client.get(7)  # type: ignore[arg-type]  # ids are text
    await client.wait("x", timeout=5)  # type: ignore[arg-type]  # seconds or minutes?
    Client()  # type: ignore[call-arg]  # where to? from_environment says it


async def synchronous(client: SyncClient) -> None:
    await client.get("x")  # type: ignore[misc]  # the answer itself
    async for _ in client.list():  # type: ignore[attr-defined]  # iterated plainly
        pass
    client.create_many(["x"])  # type: ignore[list-item]  # requests, not ids
    async with client:  # type: ignore[attr-defined]  # plainly too
        pass
