"""Keeps a loop going: nothing but a wrong configuration ends the process."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import structlog

from later_core.errors import Misconfigured, StoreUnavailable
from later_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row (from 1): exponential, with full jitter.

    The jitter keeps nodes that lost the same database from coming back in step.
    """
    ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - no secret hangs on it


async def supervise(name: str, loop: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run a loop for ever; when it fails, log that, wait a little and run it again.

    Returns when the loop returns. ``Misconfigured`` and cancellation pass.
    """
    failures = 0
    while True:
        began = clock.monotonic()
        try:
            await loop()
        except Misconfigured:
            raise
        except StoreUnavailable as error:
            failures = failures + 1 if clock.monotonic() - began < _LONGEST_PAUSE else 1
            _log.warning("database away", loop=name, failures=failures, detail=error.detail)
        except Exception:  # noqa: BLE001 - a loop that ends would end the promises
            failures = failures + 1 if clock.monotonic() - began < _LONGEST_PAUSE else 1
            _log.exception("loop failed", loop=name, failures=failures)
        else:
            return
        await clock.sleep(backoff(failures))
