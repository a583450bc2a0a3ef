"""A conversation with a Later server, in the values of ``later_core.model``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from uuid_utils import uuid7

from later_core.client.access import AccessCalls
from later_core.client.errors import RpcError, from_status
from later_core.client.schedules import ScheduleCalls
from later_core.client.tasks import TaskInfo, TaskList, from_task
from later_core.client.transfer import TransferCalls
from later_core.model.event import EventBatch
from later_core.model.instance import Instance, NewInstance
from later_core.model.limits import BATCH_MAX_REQUESTS, RESPONSE_MAX_BYTES
from later_core.model.node import ListedNode
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.model.stats import Stats
from later_core.rpc.convert import FROM_STATE, from_instance, set_due, to_filter, to_new_instance
from later_core.rpc.convert_events import from_response
from later_core.rpc.convert_inventory import from_node, from_rejected_plugin, from_stats
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import (
    AdminServiceStub,
    InstanceServiceStub,
    TaskServiceStub,
)

EVERYTHING = Filter()


class Client(ScheduleCalls, TransferCalls, AccessCalls):
    """A Later server, seen from afar. An async context manager; one object serves many coroutines.

    ``deadline`` bounds each call except ``watch``. Every method raises ``RpcError``. Reads and
    creates are repeated by themselves when the connection breaks: a create carries an id, made
    here if need be, so that the server recognizes the repetition. What concerns schedules stands in
    ``client.schedules``, export and import in ``client.transfer``, tokens and the audit log in
    ``client.access``.
    """

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._instances = InstanceServiceStub(channel)
        self._tasks = TaskServiceStub(channel)
        self._admin = AdminServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    async def create(self, request: NewInstance) -> Instance:
        """The created instance, or the stored one if this id was created before with this content."""
        message = to_new_instance(_with_id(request))
        return from_instance((await self._call(self._instances.CreateInstance, message)).instance)

    async def create_many(self, requests: Sequence[NewInstance]) -> Sequence[Instance | RpcError]:
        """What became of each request, in their order; any number of them.

        When a call as a whole fails, some of the requests may have been carried out.
        """
        answers: list[Instance | RpcError] = []
        for batch in _batches(requests):
            messages = [to_new_instance(_with_id(request)) for request in batch]
            response = await self._call(
                self._instances.BatchCreateInstances,
                pb.BatchCreateInstancesRequest(requests=messages),
            )
            answers += [
                from_status(result.error)
                if result.HasField("error")
                else from_instance(result.instance)
                for result in response.results
            ]
        return answers

    async def get(self, id: str) -> Instance:
        """The instance as it is now."""
        response = await self._call(self._instances.GetInstance, pb.GetInstanceRequest(id=id))
        return from_instance(response.instance)

    async def list(
        self, filter: Filter = EVERYTHING, *, page_size: int = 0
    ) -> AsyncGenerator[Instance]:
        """Every instance that matches, in order of (execution_time, id), fetched page by page.

        ``page_size`` 0 leaves it to the server. What is created or changed meanwhile may be missed.
        """
        request = pb.ListInstancesRequest(filter=to_filter(filter), page_size=page_size)
        while True:
            response = await self._call(self._instances.ListInstances, request)
            for instance in response.instances:
                yield from_instance(instance)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def abort(self, id: str) -> tuple[Instance, State]:
        """The aborted instance, and the state it was in: PENDING (it never starts) or RUNNING."""
        response = await self._call(self._instances.AbortInstance, pb.AbortInstanceRequest(id=id))
        return (
            from_instance(response.instance),
            FROM_STATE[response.previous_state],
        )

    async def reschedule(
        self,
        id: str,
        *,
        execution_time: datetime | None = None,
        delay: timedelta | None = None,
        revision: int | None = None,
    ) -> Instance:
        """The PENDING instance at its new time; with a revision, only if it still has that one."""
        request = pb.RescheduleInstanceRequest(id=id, revision=revision or 0)
        set_due(request, execution_time, delay)
        response = await self._call(self._instances.RescheduleInstance, request)
        return from_instance(response.instance)

    async def retry(
        self,
        id: str,
        *,
        execution_time: datetime | None = None,
        delay: timedelta | None = None,
    ) -> Instance:
        """The ended instance, PENDING again; due now unless a time is given."""
        request = pb.RetryInstanceRequest(id=id)
        set_due(request, execution_time, delay)
        response = await self._call(self._instances.RetryInstance, request)
        return from_instance(response.instance)

    async def watch(
        self,
        filter: Filter = EVERYTHING,
        *,
        resume_token: str | None = None,
        include_existing: bool = False,
    ) -> AsyncGenerator[EventBatch]:
        """Batches of events as they happen, until the stream breaks (RpcError) or is left.

        A batch's ``position`` is the resume token behind it; it is empty while what exists is still
        being sent. A batch without events only moves the token on. ``following.follow`` reconnects.
        """
        call = self._instances.WatchInstances(
            pb.WatchInstancesRequest(
                filter=to_filter(filter),
                resume_token=resume_token or "",
                include_existing=include_existing,
            )
        )
        try:
            async for response in call:
                yield from_response(response)
        except grpc.aio.AioRpcError as error:
            raise await self._explained(error) from None
        finally:
            call.cancel()

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


def _with_id(request: NewInstance) -> NewInstance:
    return request if request.id else replace(request, id=str(uuid7()))


def _batches(requests: Sequence[NewInstance]) -> Iterator[Sequence[NewInstance]]:
    """Cut at the server's bounds: so many requests, and so many bytes, in one message."""
    batch: list[NewInstance] = []
    size = 0
    for request in requests:
        full = size + len(request.parameters) > RESPONSE_MAX_BYTES
        if batch and (full or len(batch) == BATCH_MAX_REQUESTS):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += len(request.parameters)
    if batch:
        yield batch
