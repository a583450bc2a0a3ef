"""An instance: one planned execution of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from later_core.model.concurrency import Concurrency
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.state import State
from later_core.model.value import value

NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Delivery(StrEnum):
    """What becomes of a running instance whose node died."""

    AT_LEAST_ONCE = "AT_LEAST_ONCE"
    AT_MOST_ONCE = "AT_MOST_ONCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceError:
    """Why the last attempt did not succeed.

    ``reason`` is a stable word in UPPER_SNAKE_CASE, ``message`` a sentence for people.
    """

    reason: str
    message: str


@value
class Attempt:
    """One attempt that has ended.

    ``start_time`` is when the task's code began, None where it never did or nobody knows; ``error`` is None
    for a success, and its message is cut off behind ``ATTEMPT_MESSAGE_MAX_LENGTH`` characters.
    """

    number: int
    node: str
    start_time: datetime | None
    end_time: datetime
    error: InstanceError | None = None


@value
class NewInstance:
    """What a client asks to be created, checked but not yet placed in time.

    At most one of ``execution_time`` (an instant) and ``delay`` (from the moment of acceptance, by
    the database's clock) is set; neither means at once. Without an ``id`` the service makes one.
    ``trace_parent`` says on behalf of what it is created (W3C Trace Context); it is no part of the content.
    """

    task: str
    id: str | None = None
    parameters: bytes = b""
    execution_time: datetime | None = None
    delay: timedelta | None = None
    retry: RetryPolicy = NO_RETRY
    timeout: timedelta | None = None
    start_deadline: timedelta | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    concurrency: Concurrency | None = None
    priority: int = 0
    trace_parent: str | None = None


@value
class Instance:
    """One planned execution of a task, as it was at one revision. All instants are UTC.

    What never changes: ``id``, ``task``, ``parameters``, ``retry``, ``timeout`` (of one attempt),
    ``start_deadline`` (how long after the execution time a start is still useful), ``delivery``,
    ``priority`` (0 to ``PRIORITY_MAX``: of what is due and cannot all be claimed, the higher first),
    ``labels``, ``concurrency`` (how many may run at once), ``schedule_id``, ``principal`` (who created it;
    empty where nobody was authenticated), ``fingerprint`` (of the content asked for, tells a repeated
    create from another one), ``trace_parent`` (the span in which it was created) and ``create_time``.

    What changes, always together with ``revision``: ``state``; ``execution_time``; ``attempt``
    (0 before the first start); ``uncounted_attempts`` (those that the retry policy leaves out: made
    before the last RetryInstance, given up by their node or lost with it); ``node`` (who claimed the
    last attempt); ``start_time`` (when the task's code began; of the last attempt); ``finish_time``
    (set only once ended); ``result``; ``error`` (of the last attempt that failed; kept while a
    retry is pending); ``attempts`` (the last ``ATTEMPTS_KEPT`` that have ended, in their order, also those
    before a RetryInstance).
    """

    id: str
    task: str
    execution_time: datetime
    create_time: datetime
    parameters: bytes = b""
    state: State = State.PENDING
    attempt: int = 0
    uncounted_attempts: int = 0
    revision: int = 1
    retry: RetryPolicy = NO_RETRY
    timeout: timedelta | None = None
    start_deadline: timedelta | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    concurrency: Concurrency | None = None
    schedule_id: str | None = None
    trace_parent: str | None = None
    principal: str = ""
    fingerprint: bytes = b""
    node: str | None = None
    start_time: datetime | None = None
    finish_time: datetime | None = None
    result: bytes = b""
    error: InstanceError | None = None
    attempts: tuple[Attempt, ...] = ()
    priority: int = 0

    @property
    def counted_attempts(self) -> int:
        """How many attempts count against ``retry.max_attempts``."""
        return self.attempt - self.uncounted_attempts
