"""One stream of batches to import: each is read, judged and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from later_core.errors import InvalidRequest
from later_core.model.limits import ID_MAX_LENGTH
from later_core.rpc.convert_transfer import (
    from_exported_instance,
    from_exported_schedule,
    from_import_options,
    to_import_response,
)
from later_core.rpc.errors import to_status
from later_core.rpc.v1 import later_pb2 as pb
from later_core.service.transfer import Transfer

_Message = TypeVar("_Message")
_Value = TypeVar("_Value")


class Importing:
    """Answers the batches of one stream, several at a time.

    A batch that holds schedules waits for those before it: a schedule begins to plan as soon as it is
    stored, and must find the instances that it has made already.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._open: dict[asyncio.Event, None] = {}

    async def answer(self, request: pb.ImportInstancesRequest) -> pb.ImportInstancesResponse:
        """What became of a batch; called in the order of the batches.

        Raises:
            InvalidRequest, StoreUnavailable.

        """
        before, done = list(self._open), asyncio.Event()
        self._open[done] = None
        try:
            if request.schedules:
                for earlier in before:
                    await earlier.wait()
            return await self._import(request)
        finally:
            done.set()
            del self._open[done]

    async def _import(self, request: pb.ImportInstancesRequest) -> pb.ImportInstancesResponse:
        options = from_import_options(request)
        response = pb.ImportInstancesResponse()
        instances = _readable(
            request.instances,
            from_exported_instance,
            lambda exported: exported.instance.id,
            response.failures.add,
        )
        schedules = _readable(
            request.schedules,
            from_exported_schedule,
            lambda exported: exported.schedule.id,
            partial(response.failures.add, is_schedule=True),
        )
        report = await self._transfer.import_batch(instances, schedules, options)
        response.MergeFrom(to_import_response(report))
        return response


def _readable(
    messages: Iterable[_Message],
    read: Callable[[_Message], _Value],
    name: Callable[[_Message], str],
    fail: Callable[..., object],
) -> list[_Value]:
    """The values among the messages; a wrong one fails alone, and is named by its id."""
    values: list[_Value] = []
    for message in messages:
        try:
            values.append(read(message))
        except InvalidRequest as error:
            fail(id=name(message)[:ID_MAX_LENGTH], error=to_status(error, brief=True))
    return values
