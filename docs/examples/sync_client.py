"""The same without asyncio: a script."""

from datetime import timedelta

from later_core.client import RpcError, SyncClient
from later_core.model.instance import NewInstance

with SyncClient.from_environment() as client:
    created = client.create(NewInstance(task="echo", parameters=b'{"message": "good morning"}'))
    print(client.wait(created.id).result.decode())

    client.create(NewInstance(task="echo", id="tomorrow", delay=timedelta(days=1)))
    print([instance.id for instance in client.list() if not instance.state.is_final])
    client.abort("tomorrow")
    try:
        client.abort("tomorrow")
    except RpcError as error:
        print(error.reason)
