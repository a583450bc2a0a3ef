"""TaskService: what the installed plugins can run."""

from __future__ import annotations

from typing import Any

from later_core.ports.tasks import InstalledTask
from later_core.rpc.convert_inventory import to_rejected_plugin, to_task
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import TaskServiceServicer
from later_core.service.inventory import Inventory

_Context = Any  # grpc.aio.ServicerContext


class TaskServicer(TaskServiceServicer):
    """Between the wire and ``service.Inventory``."""

    def __init__(self, *, inventory: Inventory) -> None:
        self._inventory = inventory

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: _Context
    ) -> pb.ListTasksResponse:
        return pb.ListTasksResponse(
            tasks=[self._told(task) for task in self._inventory.tasks()],
            rejected_plugins=[to_rejected_plugin(plugin) for plugin in self._inventory.rejected()],
        )

    async def GetTask(self, request: pb.GetTaskRequest, context: _Context) -> pb.GetTaskResponse:
        return pb.GetTaskResponse(task=self._told(self._inventory.task(request.name)))

    def _told(self, task: InstalledTask) -> pb.Task:
        is_open = self._inventory.is_breaker_open(task.task.name)
        return to_task(task, is_breaker_open=is_open)
