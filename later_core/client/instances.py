"""The part of the client that speaks of instances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import cast

import grpc

from later_core.client.connection import Connection
from later_core.client.creating import PATIENCE, Call, Creating, in_batches, with_id
from later_core.client.errors import RpcError, from_status
from later_core.client.following import follow, until_ended
from later_core.model.event import EventBatch
from later_core.model.instance import Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import Clock, SystemClock
from later_core.rpc.convert import FROM_STATE, from_instance, set_due, to_filter, to_new_instance
from later_core.rpc.convert_events import from_response
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import InstanceServiceStub
from later_core.telemetry.propagation import outgoing

EVERYTHING = Filter()


class InstanceCalls(Connection):
    """Every method raises ``RpcError``."""

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._instances = InstanceServiceStub(channel)

    async def create(self, request: NewInstance) -> Instance:
        """The created instance, or the stored one if this id was created before with this content."""
        message = to_new_instance(with_id(request))
        return from_instance((await self._call(self._instances.CreateInstance, message)).instance)

    async def create_batch(self, requests: Sequence[NewInstance]) -> Sequence[Instance | RpcError]:
        """What became of each request, whole, in their order; in as many calls as it takes.

        When a call as a whole fails, some of the requests may have been carried out. ``create_many``
        is faster.
        """
        answers: list[Instance | RpcError] = []
        async for batch in in_batches(requests):
            messages = [to_new_instance(request) for request in batch]
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

    async def create_many(
        self,
        requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
        *,
        patience: timedelta = PATIENCE,
    ) -> Sequence[str | RpcError]:
        """Of each request the id of its instance, or its error, in their order; any number of them.

        As ``create_stream``, to the end.
        """
        async with aclosing(self.create_stream(requests, patience=patience)) as answers:
            return [answer async for answer in answers]

    async def create_stream(
        self,
        requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
        *,
        patience: timedelta = PATIENCE,
    ) -> AsyncGenerator[str | RpcError]:
        """Of each request the id of its instance, or its error, in their order, as they are stored.

        Requests are taken as the server takes them, in batches: only some thousand are held at a time,
        and what comes slowly waits until a batch is full. What was not answered when a connection
        breaks is sent again, which makes no doubles, unless no server answers for ``patience``. When
        it fails, some of what was not answered may have been carried out.
        """

        def begin() -> Call:
            # It is written to, where the stubs know an iterator alone.
            method = cast("Callable[..., Call]", self._instances.StreamCreateInstances)
            return method(metadata=outgoing())

        creating = Creating(
            begin,
            explain=self._explained,
            deadline=self._deadline,
            patience=patience.total_seconds(),
        )
        async with aclosing(creating.answers(in_batches(requests))) as answers:
            async for answer in answers:
                yield answer

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
        on_break: Callable[[RpcError, timedelta], None] = lambda error, pause: None,
        clock: Clock | None = None,
    ) -> AsyncGenerator[EventBatch]:
        """Batches of events as they happen, for ever: again with the last token when a stream breaks.

        A batch's ``position`` is the resume token behind it; it is empty while what exists is still
        being sent. A batch without events only moves the token on; the first one says that the watch
        has begun.

        What breaks a stream and is mended by coming back: the server or its database away, this
        subscriber too slow, or too many of them. ``on_break`` is told why and how long the pause is;
        pauses double up to half a minute, until something arrives. A stream that broke while what
        exists was still being sent begins anew, and its EXISTING events come again. After a RESYNC a
        watch that asked for what exists is told it anew; any other must read it.

        Raises:
            RpcError: the very first connection failed, or coming back cannot help.

        """

        def begin(token: str | None, *, anew: bool) -> AsyncGenerator[EventBatch]:
            return self.watch_once(filter, resume_token=token, include_existing=anew)

        batches = follow(
            begin,
            resume_token=resume_token,
            include_existing=include_existing,
            on_break=on_break,
            clock=clock or SystemClock(),
        )
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def wait(self, id: str, *, timeout: timedelta | None = None) -> Instance:
        """The instance once it has ended, however long that takes; servers may come and go.

        Raises:
            RpcError: there is no such instance, or no server answered from the beginning.
            TimeoutError: it has not ended within ``timeout``.

        """
        async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
            instance = await self.get(id)
            if instance.state.is_final:
                return instance
            # A filter cannot name an id; the task is the narrowest condition that holds to the end.
            batches = self.watch(Filter(tasks=frozenset({instance.task})))
            return await until_ended(id, batches, read=self.get)

    async def watch_once(
        self,
        filter: Filter = EVERYTHING,
        *,
        resume_token: str | None = None,
        include_existing: bool = False,
    ) -> AsyncGenerator[EventBatch]:
        """As ``watch``, until the stream breaks (RpcError) or is left."""
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
