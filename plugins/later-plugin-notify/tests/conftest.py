from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from later_core import Event, EventType, Instance, InstanceError, State

DUE = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def event() -> Callable[..., Event]:
    """Makes the event of an end."""

    def make(state: State = State.FAILED, *, late: float = 0.25, **more: Any) -> Event:
        start = DUE + timedelta(seconds=late)
        error = InstanceError(reason="EXIT_CODE", message="no space left")
        instance = Instance(
            **{
                "id": "nightly-1",
                "task": "backup",
                "execution_time": DUE,
                "create_time": DUE,
                "state": state,
                "attempt": 2,
                "revision": 5,
                "start_time": start,
                "finish_time": start + timedelta(seconds=1),
                "error": error if state is not State.SUCCEEDED else None,
            }
            | more
        )
        return Event(
            type=EventType.UPDATED, instance=instance, event_time=start, position=f"{instance.id}"
        )

    return make
