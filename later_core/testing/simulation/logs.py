"""What nodes log goes into the history; a loop that fails for no outer reason is a broken promise."""

from __future__ import annotations

import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from later_core.testing.simulation.ledger import Ledger
from later_core.testing.simulation.world import running_on

_BROKEN = frozenset({"loop failed", "callback failed"})
#: Errors alone: to write down more would take more time than the simulation.
_LEVEL = logging.ERROR


@contextmanager
def logs_into(ledger: Ledger) -> Iterator[None]:
    """For the length of the block, let every log line of an error be a line of the history."""

    def keep(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        what = line.pop("event")
        fields = " ".join(f"{name}={value}" for name, value in line.items() if name != "exc_info")
        ledger.history.add(running_on.get(), "logs:", what, fields)
        if what in _BROKEN:
            ledger.violated(f"{what}:", fields, repr(_exception()))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(_LEVEL)
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _exception() -> BaseException | None:
    import sys

    return sys.exc_info()[1]
