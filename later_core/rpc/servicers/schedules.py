"""ScheduleService: one short method an RPC. Requests arrive checked (``rpc.interceptor``)."""

from __future__ import annotations

from typing import Any

from later_core.model.limits import (
    BACKFILL_MAX_TIMES,
    PAGE_DEFAULT_SIZE,
    PREVIEW_DEFAULT_TIMES,
    RESPONSE_MAX_BYTES,
)
from later_core.model.schedule import SchedulePage
from later_core.rpc.convert import to_instance
from later_core.rpc.convert_schedules import (
    fill_listed,
    from_schedule_filter,
    from_spec,
    to_backfill,
    to_schedule,
    within_spec,
)
from later_core.rpc.times import from_timestamp, to_timestamp
from later_core.rpc.tokens import from_schedule_token, to_schedule_token
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import ScheduleServiceServicer
from later_core.service.schedules import Schedules

_Context = Any  # grpc.aio.ServicerContext


class ScheduleServicer(ScheduleServiceServicer):
    """Between the wire and ``service.Schedules``."""

    def __init__(self, *, schedules: Schedules) -> None:
        self._schedules = schedules

    async def CreateSchedule(
        self, request: pb.CreateScheduleRequest, context: _Context
    ) -> pb.CreateScheduleResponse:
        with within_spec():
            schedule = await self._schedules.create(
                from_spec(request.spec),
                id=request.id or None,
                is_paused=request.is_paused,
                pause_note=request.pause_note,
            )
        return pb.CreateScheduleResponse(schedule=to_schedule(schedule))

    async def GetSchedule(
        self, request: pb.GetScheduleRequest, context: _Context
    ) -> pb.GetScheduleResponse:
        response = pb.GetScheduleResponse()
        fill_listed(response, await self._schedules.get(request.id))
        return response

    async def ListSchedules(
        self, request: pb.ListSchedulesRequest, context: _Context
    ) -> pb.ListSchedulesResponse:
        page = await self._schedules.list(
            from_schedule_filter(request.filter),
            after=from_schedule_token(request.page_token),
            limit=request.page_size or PAGE_DEFAULT_SIZE,
        )
        return _to_page(page)

    async def UpdateSchedule(
        self, request: pb.UpdateScheduleRequest, context: _Context
    ) -> pb.UpdateScheduleResponse:
        with within_spec():
            schedule = await self._schedules.update(
                request.id, from_spec(request.spec), etag=request.etag or None
            )
        return pb.UpdateScheduleResponse(schedule=to_schedule(schedule))

    async def DeleteSchedule(
        self, request: pb.DeleteScheduleRequest, context: _Context
    ) -> pb.DeleteScheduleResponse:
        schedule = await self._schedules.delete(request.id, etag=request.etag or None)
        return pb.DeleteScheduleResponse(schedule=to_schedule(schedule))

    async def PauseSchedule(
        self, request: pb.PauseScheduleRequest, context: _Context
    ) -> pb.PauseScheduleResponse:
        schedule = await self._schedules.pause(request.id, note=request.note)
        return pb.PauseScheduleResponse(schedule=to_schedule(schedule))

    async def ResumeSchedule(
        self, request: pb.ResumeScheduleRequest, context: _Context
    ) -> pb.ResumeScheduleResponse:
        schedule = await self._schedules.resume(request.id, note=request.note)
        return pb.ResumeScheduleResponse(schedule=to_schedule(schedule))

    async def TriggerSchedule(
        self, request: pb.TriggerScheduleRequest, context: _Context
    ) -> pb.TriggerScheduleResponse:
        instance = await self._schedules.trigger(request.id, request_id=request.request_id or None)
        return pb.TriggerScheduleResponse(instance=to_instance(instance))

    async def BackfillSchedule(
        self, request: pb.BackfillScheduleRequest, context: _Context
    ) -> pb.BackfillScheduleResponse:
        backfill = await self._schedules.backfill(
            request.id,
            start=from_timestamp(request.start_time, "start_time"),
            end=from_timestamp(request.end_time, "end_time"),
            limit=request.limit or BACKFILL_MAX_TIMES,
        )
        return to_backfill(backfill)

    async def PreviewSchedule(
        self, request: pb.PreviewScheduleRequest, context: _Context
    ) -> pb.PreviewScheduleResponse:
        after = from_timestamp(request.after, "after") if request.HasField("after") else None
        count = request.count or PREVIEW_DEFAULT_TIMES
        if request.HasField("spec"):
            with within_spec():
                spec = from_spec(request.spec)
                times = self._schedules.preview_spec(spec, after=after, count=count)
        else:
            times = await self._schedules.preview(request.id, after=after, count=count)
        return pb.PreviewScheduleResponse(times=[to_timestamp(time) for time in times])


def _to_page(page: SchedulePage) -> pb.ListSchedulesResponse:
    """The page, or as much of it as every client takes."""
    response = pb.ListSchedulesResponse()
    size = 0
    for listed in page.schedules:
        message = response.schedules.add()
        fill_listed(message, listed)
        size += message.ByteSize()
        if size > RESPONSE_MAX_BYTES and len(response.schedules) > 1:
            response.schedules.pop()
            break
    shown = len(response.schedules)
    if shown < len(page.schedules):
        response.next_page_token = to_schedule_token(page.schedules[shown - 1].schedule.id)
    else:
        response.next_page_token = to_schedule_token(page.next)
    return response
