"""The Python client: ``Client`` speaks to a server, ``follow`` is a watch that comes back by itself."""

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.following import follow
from later_core.client.tasks import TaskInfo, TaskList

__all__ = ["Client", "RpcError", "TaskInfo", "TaskList", "follow"]
