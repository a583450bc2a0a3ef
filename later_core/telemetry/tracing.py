"""Traces by OpenTelemetry: a span for each call and each run, joined by the W3C Trace Context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from later_core.model.instance import Instance

_W3C = TraceContextTextMapPropagator()


class _Span:
    """``ports.observer.Span``, around one of OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def trace_parent(self) -> str:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span))
        return carrier.get("traceparent", "")

    def fail(self, reason: str, message: str) -> None:
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR, message))


class Tracing:
    """The half of ``ports.observer.Observer`` that traces.

    The span is the current one inside its block, so that spans of a task's own code, and of the
    libraries it uses, hang below it.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def call(self, method: str, trace_parent: str | None) -> Iterator[_Span]:
        """As ``Observer.call``."""
        name = method.removeprefix("/")
        service, _, rpc = name.rpartition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc}
        with self._tracer.start_as_current_span(
            name,
            context=_context(trace_parent),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    @contextmanager
    def run(self, instance: Instance) -> Iterator[_Span]:
        """As ``Observer.run``. A child and not only linked: one trace shows what a request came to,
        however much later.
        """
        with self._tracer.start_as_current_span(
            f"run {instance.task}",
            context=_context(instance.trace_parent),
            kind=SpanKind.CONSUMER,
            attributes={
                "later.task": instance.task,
                "later.instance.id": instance.id,
                "later.attempt": instance.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)


def _context(trace_parent: str | None) -> Context:
    """Where a span belongs: below the one that is named, or nowhere, whatever runs around it."""
    carrier = {} if trace_parent is None else {"traceparent": trace_parent}
    return _W3C.extract(carrier, Context())
