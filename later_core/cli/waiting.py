"""Follow one instance to its end."""

from __future__ import annotations

from contextlib import aclosing

from later_core.client.client import Client
from later_core.client.following import follow
from later_core.model.event import EventType
from later_core.model.instance import Instance
from later_core.model.query import Filter


async def wait_for_end(client: Client, instance: Instance) -> Instance:
    """The instance once it has ended, however long that takes; the server may come and go.

    Raises:
        RpcError: the server was away from the beginning, or the instance is gone.

    """
    if instance.state.is_final:
        return instance
    # A filter cannot name an id; the task is the narrowest condition that holds to the end.
    filter = Filter(tasks=frozenset({instance.task}))
    must_read = True
    async with aclosing(follow(client, filter)) as batches:
        async for batch in batches:
            for event in batch.events:
                if event.type is EventType.RESYNC:
                    must_read = True
                elif event.instance and event.instance.id == instance.id:
                    instance = event.instance
                    if instance.state.is_final:
                        return instance
            if must_read:
                # Only after the watch has begun: what ended before it is read, the rest is heard.
                instance = await client.get(instance.id)
                if instance.state.is_final:
                    return instance
                must_read = False
    return instance
