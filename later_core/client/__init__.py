"""The Python client: ``Client`` speaks to a server, or to several that share a database.

``SyncClient`` is the same for programs without asyncio.
"""

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.portal import PortalClosed
from later_core.client.sync import SyncClient
from later_core.client.tasks import TaskInfo, TaskList

__all__ = ["Client", "PortalClosed", "RpcError", "SyncClient", "TaskInfo", "TaskList"]
