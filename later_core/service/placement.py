"""Place a request in time: from what a client asked to an instance that can be stored."""

from __future__ import annotations

from datetime import datetime, timedelta

import uuid_utils

from later_core.errors import InvalidRequest
from later_core.model.instance import Instance, NewInstance
from later_core.model.instant import LATEST, round_up
from later_core.service import fingerprints


def place(request: NewInstance, *, now: datetime, principal: str = "") -> Instance:
    """The PENDING instance that a request asks for; ``now`` is the database's, UTC, ``principal`` who
    asks.
    """
    return Instance(
        # Time-ordered (RFC 9562, version 7): neighbours in time are neighbours in the index.
        id=request.id or uuid_utils.uuid7().hex,
        task=request.task,
        parameters=request.parameters,
        execution_time=due_time(request.execution_time, request.delay, now=now),
        create_time=now,
        retry=request.retry,
        timeout=request.timeout,
        start_deadline=request.start_deadline,
        delivery=request.delivery,
        labels=request.labels,
        concurrency=request.concurrency,
        trace_parent=request.trace_parent,
        priority=request.priority,
        principal=principal,
        fingerprint=fingerprints.of_instance(request) if request.id else b"",
    )


def due_time(
    execution_time: datetime | None, delay: timedelta | None, *, now: datetime
) -> datetime:
    """The instant meant by at most one of both, in whole milliseconds, never before what was asked.

    Raises:
        InvalidRequest: the delay leads beyond what can be scheduled.
    """
    if execution_time is not None:
        return round_up(execution_time)
    due = round_up(now + (delay or timedelta()))
    if due >= LATEST:
        raise InvalidRequest.of("delay", f"leads beyond {LATEST:%Y}; choose a shorter one")
    return due
