"""Export into a backup, and import of one: the calls, and how a file is carried through them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import grpc

from later_core.client.backup import BackupReader, BackupWriter
from later_core.client.backup_errors import Totals
from later_core.client.connection import Connection
from later_core.client.errors import RpcError, from_call, from_status
from later_core.model.query import Filter
from later_core.rpc.convert import to_filter
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1.later_pb2_grpc import AdminServiceStub

#: So many failures are told one by one.
_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportChoices:
    """How to import. ``replace``: put what the backup holds in the place of what is stored under its
    ids, unless that is RUNNING, or the same at a later revision.
    """

    validate_only: bool = False
    replace: bool = False
    only_ended: bool = False
    pause_schedules: bool = False


@dataclass(slots=True)
class ImportTally:
    """What became of a backup so far: ``parts`` of it were answered, and of those at most 20 failures
    are kept, as (id, is a schedule, why).
    """

    parts: int = 0
    instances: Counter[str] = field(default_factory=Counter)
    schedules: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, bool, RpcError]] = field(default_factory=list)
    failed: int = 0

    @property
    def answered(self) -> int:
        """How many instances were answered, and failed ones of both kinds."""
        return self.failed + sum(self.instances.values()) - self.instances["recovered"]

    def count(self, answer: pb.ImportInstancesResponse) -> None:
        """One more part was answered."""
        self.parts += 1
        for tally, counts in (
            (self.instances, answer.instances),
            (self.schedules, answer.schedules),
        ):
            tally.update({field.name: count for field, count in counts.ListFields()})
        self.failed += len(answer.failures)
        for failure in answer.failures[: _TOLD - len(self.failures)]:
            self.failures.append((failure.id, failure.is_schedule, from_status(failure.error)))


class TransferCalls(Connection):
    """Export and import, in the messages of the wire: a backup keeps them as they came."""

    def _use(self, channel: grpc.aio.Channel) -> None:
        super()._use(channel)
        self._transfer = AdminServiceStub(channel)

    async def export(
        self, request: pb.ExportInstancesRequest
    ) -> AsyncGenerator[pb.ExportInstancesResponse, None]:
        """The messages of an export, until it is through. Each has the token that goes on behind it."""
        call = self._transfer.ExportInstances(request)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise from_call(error, address=self.address) from None
        finally:
            call.cancel()

    async def import_batches(
        self, requests: AsyncIterator[pb.ImportInstancesRequest]
    ) -> AsyncGenerator[pb.ImportInstancesResponse, None]:
        """The answers to batches, one each, in order. A few are under way at a time."""
        call = self._transfer.ImportInstances(requests)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise from_call(error, address=self.address) from None
        finally:
            call.cancel()


def export_request(filter: Filter, *, only_instances: bool) -> pb.ExportInstancesRequest:
    """Asks for an export."""
    return pb.ExportInstancesRequest(filter=to_filter(filter), only_instances=only_instances)


async def export_backup(
    client: TransferCalls,
    writer: BackupWriter,
    request: pb.ExportInstancesRequest,
    *,
    told: Callable[[int], None],
    reached: Callable[[Totals], None],
) -> None:
    """Write an export; a writer that goes on with a file has its header already.

    ``told`` hears once about how many instances there are (0: not known), ``reached`` after each block
    what the file holds. The file is whole when this
    returns. It may be cancelled between any two blocks.

    Raises:
        RpcError: with reason ``SNAPSHOT_LOST`` the export must begin anew.
        OSError: writing failed.

    """
    if not request.resume_token:
        await asyncio.to_thread(writer.begin, request)
    async with aclosing(client.export(request)) as parts:
        is_first = True
        async for part in parts:
            if is_first:
                told(part.estimated_instances)
                is_first = False
            await asyncio.to_thread(writer.add, part)
            reached(writer.totals)
    await asyncio.to_thread(writer.end)


async def import_backup(
    client: TransferCalls,
    reader: BackupReader,
    choices: ImportChoices,
    tally: ImportTally,
    *,
    first_part: int = 1,
    reached: Callable[[int], None],
) -> None:
    """Import a backup from a part of it on, and count what became of it. ``reached`` hears after each
    answer how many instances have been answered.

    Raises:
        RpcError: what was not answered may have been imported or not; importing it again is safe.
        BackupDamaged: the parts before the damage were sent, and their answers counted.

    """
    damage: list[Exception] = []

    async def batches() -> AsyncIterator[pb.ImportInstancesRequest]:
        parts = reader.parts()
        number = 0
        try:
            while (part := await asyncio.to_thread(_next, parts)) is not None:
                number += 1
                if number >= first_part:
                    yield _batch(part, choices)
        except Exception as error:  # noqa: BLE001 - gRPC would keep it for itself
            damage.append(error)

    tally.parts = first_part - 1
    async with aclosing(client.import_batches(batches())) as answers:
        async for answer in answers:
            tally.count(answer)
            reached(tally.answered)
    if damage:
        raise damage[0]


def _next(
    parts: Iterator[pb.ExportInstancesResponse],
) -> pb.ExportInstancesResponse | None:
    return next(parts, None)


def _batch(part: pb.ExportInstancesResponse, choices: ImportChoices) -> pb.ImportInstancesRequest:
    return pb.ImportInstancesRequest(
        instances=part.instances,
        schedules=part.schedules,
        snapshot_time=part.snapshot_time,
        validate_only=choices.validate_only,
        replace=choices.replace,
        only_ended=choices.only_ended,
        pause_schedules=choices.pause_schedules,
    )
