"""The Python client: ``Client`` speaks to a server, or to several that share a database."""

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.tasks import TaskInfo, TaskList

__all__ = ["Client", "RpcError", "TaskInfo", "TaskList"]
