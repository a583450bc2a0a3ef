from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import structlog

from later_core import Context, Instance


@pytest.fixture
def context() -> Callable[[bytes], Context]:
    """Makes the context of a first attempt with these parameters."""

    def make(parameters: bytes) -> Context:
        now = datetime(2030, 1, 1, tzinfo=UTC)
        instance = Instance(
            id="one",
            task="bash",
            execution_time=now,
            create_time=now,
            parameters=parameters,
            attempt=2,
        )
        return Context(instance=instance, deadline=None, log=structlog.get_logger("bash"))

    return make
