"""OpenTelemetry set up: metrics and traces go out over OTLP/gRPC. Imported only where telemetry is on.

Where to, how often and with which headers is said by the standard variables ``OTEL_…``, which the SDK
reads by itself.
"""

from __future__ import annotations

import threading
from importlib.metadata import version

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from later_core.telemetry.counting import Counting
from later_core.telemetry.tracing import Tracing

_NAME = "later"
#: What is still to be sent at the end is given so long, in milliseconds.
_LAST_MS = 3_000


class OpenTelemetry(Counting, Tracing):
    """``ports.observer.Observer`` by OpenTelemetry, from now until ``close``.

    The providers become those of the process, so that what plugins measure and trace by the API of
    OpenTelemetry goes the same way.
    """

    def __init__(self, *, instance: str) -> None:
        own = {
            "service.name": _NAME,
            "service.version": version("later-core"),
            "service.instance.id": instance,
        }
        # What operators say by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES has the last word.
        resource = Resource.create(own).merge(OTELResourceDetector().detect())
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        self._meters = MeterProvider(metric_readers=[reader], resource=resource)
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        metrics.set_meter_provider(self._meters)
        trace.set_tracer_provider(self._tracers)
        Counting.__init__(self, self._meters.get_meter(_NAME, own["service.version"]))
        Tracing.__init__(self, self._tracers.get_tracer(_NAME, own["service.version"]))

    def close(self) -> None:
        """Send what is left, within a few seconds. Blocks: call it in a thread."""
        # A collector that is away must not hold up the end of the server: a thread of its own is
        # left behind after that, and ends with the process.
        last = threading.Thread(target=self._shut_down, name="later-telemetry", daemon=True)
        last.start()
        last.join(_LAST_MS / 1000)

    def _shut_down(self) -> None:
        self._meters.shutdown(timeout_millis=_LAST_MS)
        self._tracers.shutdown()
