"""InstanceService: one short method an RPC. Requests arrive checked (``rpc.interceptor``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from later_core.errors import InvalidRequest, LaterError
from later_core.model.instance import Instance, NewInstance
from later_core.model.limits import PAGE_DEFAULT_SIZE, RESPONSE_MAX_BYTES
from later_core.model.query import Page, PageKey
from later_core.rpc.convert import (
    TO_STATE,
    fill_instance,
    from_due,
    from_filter,
    from_new_instance,
    to_instance,
)
from later_core.rpc.encoded_events import EncodedEvents
from later_core.rpc.errors import to_status
from later_core.rpc.pipeline import answer_in_order
from later_core.rpc.tokens import from_page_token, to_page_token
from later_core.rpc.trace_context import trace_parent
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceServicer
from later_core.rpc.validation import check, prefixed
from later_core.service.instances import Instances
from later_core.service.subscriptions import Subscriptions

_Context = Any  # grpc.aio.ServicerContext

#: Batches of one stream that are processed at a time.
_BATCHES_IN_FLIGHT = 4

#: A page of many small instances with many labels is cut here, so that every client takes it.
_PAGE_MAX_BYTES = 4 * 1024 * 1024 - 64 * 1024


class InstanceServicer(InstanceServiceServicer):
    """Between the wire and ``service.Instances`` and ``service.Subscriptions``."""

    def __init__(self, *, instances: Instances, subscriptions: Subscriptions) -> None:
        self._instances = instances
        self._subscriptions = subscriptions
        self._encoded = EncodedEvents()

    async def CreateInstance(
        self, request: pb.CreateInstanceRequest, context: _Context
    ) -> pb.CreateInstanceResponse:
        new = from_new_instance(request, trace_parent(context))
        instance = await self._instances.create(new)
        return pb.CreateInstanceResponse(instance=to_instance(instance))

    async def BatchCreateInstances(
        self, request: pb.BatchCreateInstancesRequest, context: _Context
    ) -> pb.BatchCreateInstancesResponse:
        response = pb.BatchCreateInstancesResponse()
        size = 0
        for answer in await self._create_each(request.requests, trace_parent(context)):
            if isinstance(answer, LaterError):
                response.results.add(error=to_status(answer, brief=True))
                continue
            message = response.results.add().instance
            fill_instance(message, answer)
            size += len(answer.parameters) + len(answer.result)
            if size > RESPONSE_MAX_BYTES:
                message.ClearField("parameters")
                message.ClearField("result")
        return response

    async def StreamCreateInstances(  # type: ignore[override]  # writes by itself
        self, request_iterator: AsyncIterator[pb.StreamCreateInstancesRequest], context: _Context
    ) -> None:
        await answer_in_order(
            request_iterator,
            partial(self._create_batch, trace_parent(context)),
            context.write,
            in_flight=_BATCHES_IN_FLIGHT,
        )

    async def GetInstance(
        self, request: pb.GetInstanceRequest, context: _Context
    ) -> pb.GetInstanceResponse:
        return pb.GetInstanceResponse(instance=to_instance(await self._instances.get(request.id)))

    async def ListInstances(
        self, request: pb.ListInstancesRequest, context: _Context
    ) -> pb.ListInstancesResponse:
        page = await self._instances.list(
            from_filter(request.filter),
            after=from_page_token(request.page_token),
            limit=request.page_size or PAGE_DEFAULT_SIZE,
        )
        return _to_page(page)

    async def AbortInstance(
        self, request: pb.AbortInstanceRequest, context: _Context
    ) -> pb.AbortInstanceResponse:
        aborted = await self._instances.abort(request.id)
        return pb.AbortInstanceResponse(
            instance=to_instance(aborted.after), previous_state=TO_STATE[aborted.before.state]
        )

    async def RescheduleInstance(
        self, request: pb.RescheduleInstanceRequest, context: _Context
    ) -> pb.RescheduleInstanceResponse:
        execution_time, delay = from_due(request)
        instance = await self._instances.reschedule(
            request.id,
            execution_time=execution_time,
            delay=delay,
            revision=request.revision or None,
        )
        return pb.RescheduleInstanceResponse(instance=to_instance(instance))

    async def RetryInstance(
        self, request: pb.RetryInstanceRequest, context: _Context
    ) -> pb.RetryInstanceResponse:
        execution_time, delay = from_due(request)
        instance = await self._instances.retry(
            request.id, execution_time=execution_time, delay=delay
        )
        return pb.RetryInstanceResponse(instance=to_instance(instance))

    async def WatchInstances(  # type: ignore[override]  # what is encoded already
        self, request: pb.WatchInstancesRequest, context: _Context
    ) -> AsyncIterator[bytes]:
        filter = from_filter(request.filter)
        # At once, so that a client knows that it is heard while nothing happens.
        await context.send_initial_metadata(())
        batches = self._subscriptions.watch(
            filter,
            resume_token=request.resume_token or None,
            include_existing=request.include_existing,
        )
        async with aclosing(batches):
            async for batch in batches:
                async with aclosing(self._encoded.responses(batch)) as responses:
                    async for response in responses:
                        yield response

    async def _create_batch(
        self, trace_parent: str | None, request: pb.StreamCreateInstancesRequest
    ) -> pb.StreamCreateInstancesResponse:
        response = pb.StreamCreateInstancesResponse()
        answers = await self._create_each(request.requests, trace_parent, is_patient=True)
        for index, answer in enumerate(answers):
            if isinstance(answer, LaterError):
                response.ids.append("")
                response.failures.add(index=index, error=to_status(answer, brief=True))
            else:
                response.ids.append(answer.id)
        return response

    async def _create_each(
        self,
        requests: Sequence[pb.CreateInstanceRequest],
        trace_parent: str | None,
        *,
        is_patient: bool = False,
    ) -> Sequence[Instance | LaterError]:
        """Each request answered by its instance or its error: a wrong one fails alone."""
        wanted: list[NewInstance] = []
        failures: dict[int, LaterError] = {}
        for index, request in enumerate(requests):
            try:
                check(request)
                wanted.append(from_new_instance(request, trace_parent))
            except InvalidRequest as error:
                failures[index] = error
        answers = await self._instances.create_many(wanted, is_patient=is_patient) if wanted else ()
        created = iter(answers)
        return [
            _placed(failures.get(index) or next(created), index) for index in range(len(requests))
        ]


def _placed(answer: Instance | LaterError, index: int) -> Instance | LaterError:
    """The answer; wrong fields are named from the batch down."""
    if isinstance(answer, InvalidRequest):
        return prefixed(answer, f"requests[{index}].")
    return answer


def _to_page(page: Page) -> pb.ListInstancesResponse:
    response = pb.ListInstancesResponse()
    size = 0
    for instance in page.instances:
        message = response.instances.add()
        fill_instance(message, instance)
        size += message.ByteSize()
        if size > _PAGE_MAX_BYTES and len(response.instances) > 1:
            response.instances.pop()
            break
    shown = len(response.instances)
    if shown < len(page.instances):
        last = page.instances[shown - 1]
        response.next_page_token = to_page_token(PageKey(last.execution_time, last.id))
    else:
        response.next_page_token = to_page_token(page.next)
    return response
