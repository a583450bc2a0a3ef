"""Tell a repeated create from one of other content: the same digest whichever version is asked.

A client may repeat a create at a server of another version than the one that stored it. So the text that
is digested is the one that the first version made of a request, and what versions since have added to a
request counts only where it is not at its default: a client that does not know of it asks for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from later_core.model.instance import NewInstance
from later_core.model.instant import round_up, to_millis
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import ScheduleSpec

#: The fields that the first version wrote, in its order, of the values that have more by now.
_FIRST: Mapping[type, Sequence[str]] = {
    RetryPolicy: ("max_attempts", "min_backoff", "max_backoff", "multiplier"),
    NewInstance: (
        *("task", "id", "parameters", "execution_time", "delay"),
        *("retry", "timeout", "start_deadline", "delivery", "labels"),
    ),
    ScheduleSpec: (
        *("template", "rules", "exclusions", "time_zone", "start_time", "end_time", "max_runs"),
        *("jitter", "overlap", "catch_up", "catchup_window", "pause_on_failure"),
    ),
}

#: Stands for the template where that is told apart by itself.
_NO_TEMPLATE = NewInstance(task="")


def of_instance(request: NewInstance) -> bytes:
    """The digest of a create, whatever the moment it is asked.

    A relative due time counts as it was asked, so that a create with a delay can be repeated.
    """
    if request.execution_time is not None:
        due = f"at {to_millis(round_up(request.execution_time))}"
    else:
        due = f"in {request.delay or timedelta()!r}"
    content: tuple[object, ...] = (
        request.task,
        due,
        request.retry,
        request.timeout,
        request.start_deadline,
        request.delivery,
        sorted(request.labels.items()),
    )
    if request.concurrency is not None:
        # Only then, so that creates from before there were limits can be repeated.
        content = (*content, request.concurrency)
    if request.priority:
        content = (*content, f"priority {request.priority}")
    digest = hashlib.blake2b(_written(content).encode(), digest_size=16)
    digest.update(request.parameters)
    return digest.digest()


def of_schedule(spec: ScheduleSpec, *, is_paused: bool) -> bytes:
    """The digest of a create of a schedule."""
    digest = hashlib.blake2b(of_instance(spec.template), digest_size=16)
    digest.update(_written((replace(spec, template=_NO_TEMPLATE), is_paused)).encode())
    return digest.digest()


def _written(value: object) -> str:
    """The ``repr`` that the first version had of it, and what was added since and is not at its default."""
    if isinstance(value, RetryPolicy):
        return _written_policy(value)
    if isinstance(value, tuple):
        inner = ", ".join(_written(each) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    return _written_fields(value)


@lru_cache(maxsize=256)
def _written_policy(policy: RetryPolicy) -> str:
    # Few are in use, and there is one in every create.
    return _written_fields(policy)


def _written_fields(value: Any) -> str:
    known = {field.name: field for field in fields(value)}
    first = _FIRST.get(type(value), tuple(known))
    later = [name for name in known if name not in first and not _is_default(value, known[name])]
    parts = [f"{name}={_written(getattr(value, name))}" for name in (*first, *later)]
    return f"{type(value).__qualname__}({', '.join(parts)})"


def _is_default(value: object, field: Field[Any]) -> bool:
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    return bool(getattr(value, field.name) == default)
