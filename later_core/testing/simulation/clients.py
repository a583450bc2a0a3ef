"""What clients ask through any node that answers, and what they were answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar, cast

from later_core.errors import (
    InstanceEnded,
    InstanceNotEnded,
    InstanceNotFound,
    InstanceRunning,
    LaterError,
    StoreUnavailable,
    TaskNotFound,
)
from later_core.model.event import EventBatch
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State
from later_core.testing.clock import FakeClock
from later_core.testing.simulation.ledger import Ledger
from later_core.testing.simulation.process import Process
from later_core.testing.simulation.scenario import (
    Abort,
    Create,
    CreateSchedule,
    Reschedule,
    Retry,
)
from later_core.testing.simulation.subscriber import Subscriber

Answer = TypeVar("Answer")

#: How long a client waits before it tries again, in seconds.
_PAUSE = 0.4

Pick = Callable[[int], Process | None]


class Clients:
    """Every client of a simulation. ``pick`` finds a node that answers, best the one asked for."""

    def __init__(self, ledger: Ledger, clock: FakeClock, pick: Pick) -> None:
        self._ledger = ledger
        self._clock = clock
        self._pick = pick
        #: The ids of acknowledged creates.
        self.acknowledged: set[str] = set()
        #: The ids of acknowledged schedules.
        self.acknowledged_schedules: set[str] = set()

    # -- creates -----------------------------------------------------------------------------

    async def create(self, step: Create) -> None:
        """Create until it is acknowledged, or the client has had enough."""
        requests = {request.id or "": request for request in step.requests}
        for attempt in range(step.tries):
            if not await self._create_once(step.host + attempt, requests):
                return
            await self._clock.sleep(_PAUSE)

    async def _create_once(self, host: int, requests: dict[str, NewInstance]) -> bool:
        """Ask for what is still open; whether the client is to ask again."""
        process = self._pick(host)
        if process is None or process.parts is None:
            return True
        service, asked = process.parts.instances, list(requests.values())
        self._say(process, "create", *requests)
        try:
            if len(asked) == 1:
                single = _answer(service.create(asked[0]))
                answers: Sequence[Instance | LaterError] = [await _through(process, single)]
            else:
                answers = await _through(process, service.create_many(asked))
        except StoreUnavailable:
            return True
        for request, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Instance):
                self._created(request, answer)
                del requests[answer.id]
            elif not isinstance(answer, TaskNotFound):
                self._ledger.violated("a create is refused for no reason:", request.id, answer)
        return bool(requests)

    def _created(self, request: NewInstance, answer: Instance) -> None:
        self._ledger.history.add("client", "created", answer.id)
        self.acknowledged.add(answer.id)
        same: tuple[str, ...] = ("id", "task", "parameters", "retry", "timeout")
        same += ("start_deadline", "delivery", "concurrency")
        if any(getattr(answer, name) != getattr(request, name) for name in same):
            self._ledger.violated("a create is answered by something else:", answer.id)
        self._expect_durable(answer)

    async def create_schedule(self, step: CreateSchedule) -> None:
        """Create a schedule until it is acknowledged, or the client has had enough."""
        self._ledger.schedules[step.id] = step.spec
        for attempt in range(step.tries):
            process = self._pick(step.host + attempt)
            if process is not None and process.parts is not None:
                self._say(process, "create schedule", step.id)
                try:
                    service = process.parts.schedules
                    answer = await _through(process, service.create(step.spec, id=step.id))
                except (StoreUnavailable, TaskNotFound) as refusal:
                    self._ledger.history.add("client", "no schedule:", step.id, refusal.reason)
                else:
                    self._ledger.history.add("client", "created schedule", step.id)
                    self.acknowledged_schedules.add(answer.id)
                    return
            await self._clock.sleep(_PAUSE)

    # -- changes -----------------------------------------------------------------------------

    async def abort(self, step: Abort) -> None:
        """Abort once."""
        is_known = step.id in self.acknowledged
        process = self._ask(step.host, "abort", step.id)
        if process is None or process.parts is None:
            return
        try:
            aborted = await _through(process, process.parts.instances.abort(step.id))
        except (InstanceEnded, StoreUnavailable, InstanceNotFound) as refusal:
            self._refused(step.id, "abort", refusal, is_known)
            return
        self._say(process, "aborted", step.id, aborted.before.state)
        self._expect_durable(aborted.after)
        if aborted.after.state is not State.ABORTED:
            self._ledger.violated("an abort ends ABORTED:", step.id)
        self._ledger.abort_answered[step.id].add(process.machine.name)

    async def reschedule(self, step: Reschedule) -> None:
        """Reschedule once."""
        is_known = step.id in self.acknowledged
        process = self._ask(step.host, "reschedule", step.id)
        if process is None or process.parts is None:
            return
        try:
            service, delay = process.parts.instances, timedelta(seconds=step.delay)
            answer = await _through(
                process,
                service.reschedule(step.id, execution_time=None, delay=delay, revision=None),
            )
        except (InstanceEnded, InstanceRunning, StoreUnavailable, InstanceNotFound) as refusal:
            self._refused(step.id, "reschedule", refusal, is_known)
            return
        self._say(process, "rescheduled", step.id)
        self._expect_durable(answer)

    async def retry(self, step: Retry) -> None:
        """Retry once."""
        is_known = step.id in self.acknowledged
        process = self._ask(step.host, "retry", step.id)
        if process is None or process.parts is None:
            return
        self._ledger.abort_answered.pop(step.id, None)
        try:
            service, delay = process.parts.instances, timedelta(seconds=step.delay)
            answer = await _through(
                process, service.retry(step.id, execution_time=None, delay=delay)
            )
        except (InstanceNotEnded, StoreUnavailable, InstanceNotFound) as refusal:
            self._refused(step.id, "retry", refusal, is_known)
            return
        self._say(process, "retried", step.id)
        self._expect_durable(answer)

    # -- watches -----------------------------------------------------------------------------

    async def watch(self, subscriber: Subscriber, host: int) -> None:
        """Listen for ever; whenever the connection breaks, come back through another node."""
        while True:
            process, host = self._pick(host), host + 1
            if process is not None and process.parts is not None:
                self._say(process, "watch", subscriber.name, subscriber.token)
                subscriber.connected()
                batches = process.parts.subscriptions.watch(
                    subscriber.filter,
                    resume_token=subscriber.token,
                    include_existing=subscriber.include_existing and subscriber.token is None,
                )
                async with asyncio.TaskGroup() as group:
                    connection = group.create_task(_consume(batches, subscriber))
                    subscriber.connection = connection
                    process.on_end.append(connection.cancel)
            await self._clock.sleep(_PAUSE)

    # -- what was said -----------------------------------------------------------------------

    def _ask(self, host: int, what: str, id: str) -> Process | None:
        process = self._pick(host)
        if process is not None:
            self._ledger.asked[what, id] += 1
            self._say(process, what, id)
        return process

    def _refused(self, id: str, what: str, refusal: LaterError, is_known: bool) -> None:
        self._ledger.history.add("client", f"{what} refused:", id, refusal.reason)
        if isinstance(refusal, InstanceNotFound) and is_known:
            self._ledger.violated("nothing acknowledged is lost:", id)

    def _expect_durable(self, answer: Instance) -> None:
        changes = self._ledger.by_id[answer.id]
        if not any(change.after == answer for change in changes):
            self._ledger.violated("what is acknowledged is in the store:", answer.id)

    def _say(self, process: Process, what: str, *details: object) -> None:
        self._ledger.history.add("client", f"{what} through {process.machine.name}:", *details)


async def _through(process: Process, request: Coroutine[Any, Any, Answer]) -> Answer:
    """Have a process answer a request; its death breaks the connection.

    Raises:
        StoreUnavailable: the connection broke, or the database is away: the client cannot tell.

    """
    async with asyncio.TaskGroup() as group:
        call = group.create_task(_settled(request))
        process.on_end.append(call.cancel)
    if call.cancelled():
        raise StoreUnavailable("the connection broke")
    answer, error = call.result()
    if error is not None:
        raise error
    return cast("Answer", answer)


async def _settled(
    request: Coroutine[Any, Any, Answer],
) -> tuple[Answer | None, LaterError | None]:
    try:
        return await request, None
    except LaterError as error:
        return None, error


async def _answer(request: Coroutine[Any, Any, Instance]) -> Instance | LaterError:
    try:
        return await request
    except StoreUnavailable:
        raise
    except LaterError as error:
        return error


async def _consume(batches: AsyncGenerator[EventBatch, None], subscriber: Subscriber) -> None:
    try:
        async with aclosing(batches):
            async for batch in batches:
                subscriber.take(batch)
    except StoreUnavailable:
        return
