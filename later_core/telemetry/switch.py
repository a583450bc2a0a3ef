"""Whether a node sends metrics and traces, and the block in which it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Literal

import structlog

from later_core.errors import SettingInvalid
from later_core.ports.observer import Observer

_log = structlog.get_logger(__name__)

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")
_REMEDY = "pip install 'later-core[telemetry]'"


@asynccontextmanager
async def observing(
    wish: Literal["auto", "on", "off"], *, is_collector_named: bool, instance: str
) -> AsyncIterator[Observer | None]:
    """An observer for the length of the block; None where nobody wants one, and then nothing of
    OpenTelemetry is loaded.

    ``is_collector_named``: the environment says where to send to, which ``auto`` takes for a wish.
    ``instance`` tells this process from others in what it sends.

    Raises:
        SettingInvalid: it was asked for by the setting, and the extra is not installed.
    """
    if wish == "off" or (wish == "auto" and not is_collector_named):
        yield None
        return
    if not _is_installed():
        if wish == "on":
            raise SettingInvalid("telemetry", f"its libraries are not installed: {_REMEDY}")
        _log.warning("no telemetry: OTEL_EXPORTER_OTLP_ENDPOINT is set", remedy=_REMEDY)
        yield None
        return
    from later_core.telemetry.export import OpenTelemetry

    telemetry = OpenTelemetry(instance=instance)
    _log.info("telemetry on", instance=instance)
    try:
        yield telemetry
    finally:
        await asyncio.to_thread(telemetry.close)


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:  # find_spec imports what stands above the name
        return False
