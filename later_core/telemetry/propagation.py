"""On behalf of what a client calls: the span that is current in the program around it, if any is."""

from __future__ import annotations

import sys


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """The metadata that names the current span to the server (W3C Trace Context), None without one.

    A program that traces with OpenTelemetry has loaded it; in any other nothing of it is loaded.
    """
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return tuple(carrier.items()) or None
