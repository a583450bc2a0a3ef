"""A conversation with a Later server, in the values of ``later_core.model``."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from later_core.client.access import AccessCalls
from later_core.client.instances import InstanceCalls
from later_core.client.schedules import ScheduleCalls
from later_core.client.tasks import TaskInfo, TaskList, from_task
from later_core.client.transfer import TransferCalls
from later_core.model.node import ListedNode
from later_core.model.stats import Stats
from later_core.rpc.convert_inventory import from_node, from_rejected_plugin, from_stats
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceStub, TaskServiceStub


class Client(InstanceCalls, ScheduleCalls, TransferCalls, AccessCalls):
    """A Later server, or several that share a database, seen from afar.

    An async context manager; one object serves many coroutines. ``deadline`` bounds each call that is no
    stream, and each answer of ``create_many``. Every method raises ``RpcError``. Reads and creates are
    repeated by themselves when the connection breaks: a create carries an id, made here if need be, so
    that the server recognizes the repetition. What concerns schedules stands in ``client.schedules``,
    export and import in ``client.transfer``, tokens and the audit log in ``client.access``.
    """

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._tasks = TaskServiceStub(channel)
        self._admin = AdminServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    async def tasks(self) -> TaskList:
        """What the plugins of the server can run."""
        response = await self._call(self._tasks.ListTasks, pb.ListTasksRequest())
        return TaskList(
            tasks=[from_task(task) for task in response.tasks],
            rejected=[from_rejected_plugin(plugin) for plugin in response.rejected_plugins],
        )

    async def task(self, name: str) -> TaskInfo:
        """One task that the server can run."""
        response = await self._call(self._tasks.GetTask, pb.GetTaskRequest(name=name))
        return from_task(response.task)

    async def stats(self) -> Stats:
        """Figures of the store and of the node that answers."""
        response = await self._call(self._admin.GetStats, pb.GetStatsRequest())
        return from_stats(response)

    async def nodes(self) -> Sequence[ListedNode]:
        """The nodes that share the database, in order of id; the lately dead among them."""
        response = await self._call(self._admin.ListNodes, pb.ListNodesRequest())
        return [from_node(node) for node in response.nodes]

    async def drain(self, id: str) -> ListedNode:
        """Ask a living node to drain; answers at once. ``nodes`` says when it has drained."""
        response = await self._call(self._admin.DrainNode, pb.DrainNodeRequest(id=id))
        return from_node(response.node)

    async def health(self) -> bool:
        """Whether the server says that it serves: its database answers and its loop runs."""
        response = await self._call(self._health.Check, health_pb2.HealthCheckRequest())
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
