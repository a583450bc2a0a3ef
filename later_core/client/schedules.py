"""The part of the client that speaks of schedules."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

import grpc
from uuid_utils import uuid7

from later_core.client.connection import Connection
from later_core.model.instance import Instance
from later_core.model.limits import REQUEST_ID_MAX_LENGTH
from later_core.model.schedule import (
    Backfill,
    ListedSchedule,
    Schedule,
    ScheduleFilter,
    ScheduleSpec,
)
from later_core.rpc.convert import from_instance
from later_core.rpc.convert_schedules import (
    from_backfill,
    from_listed,
    from_schedule,
    to_schedule_filter,
    to_spec,
)
from later_core.rpc.times import from_timestamp, to_timestamp
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import ScheduleServiceStub

EVERY_SCHEDULE = ScheduleFilter()


class ScheduleCalls(Connection):
    """Every method raises ``RpcError``. Reads, creates, triggers and backfills are repeated by
    themselves when the connection breaks: the server recognizes the repetition.
    """

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._schedules = ScheduleServiceStub(channel)

    async def create_schedule(
        self, spec: ScheduleSpec, *, id: str | None = None, paused: bool = False, note: str = ""
    ) -> Schedule:
        """The created schedule, or the stored one if this id was created before with this content."""
        request = pb.CreateScheduleRequest(
            id=id or str(uuid7()), spec=to_spec(spec), is_paused=paused, pause_note=note
        )
        response = await self._call(self._schedules.CreateSchedule, request)
        return from_schedule(response.schedule)

    async def get_schedule(self, id: str) -> ListedSchedule:
        """The schedule as it is now, how its instances stand, and when it fires next."""
        request = pb.GetScheduleRequest(id=id)
        return from_listed(await self._call(self._schedules.GetSchedule, request))

    async def list_schedules(
        self, filter: ScheduleFilter = EVERY_SCHEDULE, *, page_size: int = 0
    ) -> AsyncGenerator[ListedSchedule]:
        """Every schedule that matches, in order of id, fetched page by page.

        ``page_size`` 0 leaves it to the server. What is created or changed meanwhile may be missed.
        """
        request = pb.ListSchedulesRequest(filter=to_schedule_filter(filter), page_size=page_size)
        while True:
            response = await self._call(self._schedules.ListSchedules, request)
            for listed in response.schedules:
                yield from_listed(listed)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def update_schedule(
        self, id: str, spec: ScheduleSpec, etag: str | None = None
    ) -> Schedule:
        """The schedule with another spec; with an etag, only if it still has that one."""
        request = pb.UpdateScheduleRequest(id=id, spec=to_spec(spec), etag=etag or "")
        response = await self._call(self._schedules.UpdateSchedule, request)
        return from_schedule(response.schedule)

    async def delete_schedule(self, id: str, etag: str | None = None) -> Schedule:
        """The schedule as it was; its PENDING instances are aborted, its RUNNING ones go on."""
        request = pb.DeleteScheduleRequest(id=id, etag=etag or "")
        response = await self._call(self._schedules.DeleteSchedule, request)
        return from_schedule(response.schedule)

    async def pause_schedule(self, id: str, note: str = "") -> Schedule:
        """The schedule, which rests until it is resumed."""
        request = pb.PauseScheduleRequest(id=id, note=note)
        return from_schedule((await self._call(self._schedules.PauseSchedule, request)).schedule)

    async def resume_schedule(self, id: str, note: str = "") -> Schedule:
        """The schedule, which fires again from now on."""
        request = pb.ResumeScheduleRequest(id=id, note=note)
        return from_schedule((await self._call(self._schedules.ResumeSchedule, request)).schedule)

    async def trigger_schedule(self, id: str, request_id: str | None = None) -> Instance:
        """An instance that is due now; the same one for the same ``request_id``."""
        request = pb.TriggerScheduleRequest(
            id=id, request_id=request_id or secrets.token_hex(REQUEST_ID_MAX_LENGTH // 2)
        )
        return from_instance((await self._call(self._schedules.TriggerSchedule, request)).instance)

    async def backfill_schedule(self, id: str, start: datetime, end: datetime) -> Backfill:
        """Create what is missing of the past times ``start <= t < end``, in as many calls as it takes.

        When a call fails, what was created before it stays; repeating makes no doubles.
        """
        request = pb.BackfillScheduleRequest(
            id=id, start_time=to_timestamp(start), end_time=to_timestamp(end)
        )
        created = existing = 0
        while True:
            done = from_backfill(await self._call(self._schedules.BackfillSchedule, request))
            created, existing = created + done.created, existing + done.existing
            if done.next_start is None:
                return Backfill(created=created, existing=existing, next_start=None)
            request.start_time.CopyFrom(to_timestamp(done.next_start))

    async def preview_schedule(
        self, schedule: str | ScheduleSpec, after: datetime | None = None, count: int = 10
    ) -> Sequence[datetime]:
        """The next ``count`` nominal times (after now, unless said otherwise) of a stored schedule,
        given by its id, or of one that is not stored. Fewer: it ends.
        """
        request = pb.PreviewScheduleRequest(count=count)
        if isinstance(schedule, str):
            request.id = schedule
        else:
            request.spec.CopyFrom(to_spec(schedule))
        if after is not None:
            request.after.CopyFrom(to_timestamp(after))
        response = await self._call(self._schedules.PreviewSchedule, request)
        return [from_timestamp(time, "times") for time in response.times]
