"""``later serve`` sends metrics and traces to a real OTLP/gRPC collector."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider

from later_core.client.client import Client
from later_core.model.instance import NewInstance
from later_core.model.query import Filter
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.telemetry.metrics import METRICS, Kind

_BOUND = 30.0
_OPTIONAL = {"error.type"}


class Collector(metrics_grpc.MetricsServiceServicer, trace_grpc.TraceServiceServicer):
    """Keeps the last report of each metric, and every span."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self._heard = asyncio.Event()

    async def Export(self, request, context):  # noqa: N802 - both services name it so
        if isinstance(request, trace_pb.ExportTraceServiceRequest):
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
            answer = trace_pb.ExportTraceServiceResponse()
        else:
            for resource in request.resource_metrics:
                self.resources.append(attributes(resource.resource))
                for scope in resource.scope_metrics:
                    self.metrics.update((metric.name, metric) for metric in scope.metrics)
            answer = metrics_pb.ExportMetricsServiceResponse()
        self._heard.set()
        return answer

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds of what has come."""
        async with asyncio.timeout(_BOUND):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    def points(self, name: str) -> list:
        """The data points of a metric."""
        metric = self.metrics.get(name)
        return (
            [] if metric is None else list(getattr(metric, metric.WhichOneof("data")).data_points)
        )

    def counts(self, name: str, *keys: str) -> dict[tuple[str, ...], int]:
        """The values of a counter by these attributes."""
        counts: dict[tuple[str, ...], int] = defaultdict(int)
        for point in self.points(name):
            found = attributes(point)
            counts[tuple(found[key] for key in keys)] += point.as_int
        return counts


def attributes(holder) -> dict[str, str]:
    return {
        each.key: each.value.string_value or str(each.value.int_value) for each in holder.attributes
    }


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """A collector, and the variables that name it to every server started after this."""
    collector = Collector()
    server = grpc.aio.server()
    metrics_grpc.add_MetricsServiceServicer_to_server(collector, server)
    trace_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "300")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield collector
    await server.stop(None)


@pytest.fixture
async def client(
    collector: Collector, serve, mongodb_uri: str, database: str
) -> AsyncIterator[Client]:
    """Of a server that sends to the collector, and has a breaker to tell of."""
    server = await serve(
        mongodb_uri=mongodb_uri, database=database, bash_enabled="true", breakers="echo=5/1m"
    )
    async with Client(server.address) as client:
        yield client


async def test_every_metric_of_the_table_arrives(collector: Collector, client: Client, ledger):
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(watch_for_ever(client))
        await client.create_many([NewInstance(task="echo", parameters=b"x") for _ in range(5)])
        fails_once = RetryPolicy(max_attempts=2)
        await client.create(ledger.bash("fails", "exit 1"))
        await client.create(
            NewInstance(task="bash", id="retried", parameters=b"exit 1", retry=fails_once)
        )
        running = await client.create(ledger.bash("aborted", "sleep 60"))
        while (await client.get(running.id)).state is not State.RUNNING:
            await SystemClock().sleep(0.05)
        await client.abort(running.id)
        await ledger.until_ended(client)
        expected = {
            ("echo", "SUCCEEDED"): 5,
            ("bash", "FAILED"): 2,
            ("bash", "PENDING"): 1,
            ("bash", "ABORTED"): 1,
        }
        await collector.until(
            lambda: (
                collector.counts("later.attempts.finished", "later.task", "later.state") == expected
                and collector.metrics.keys() >= {metric.name for metric in METRICS}
            )
        )
        listening.cancel()

    for metric in METRICS:
        sent = collector.metrics[metric.name]
        kinds = {Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}
        assert sent.WhichOneof("data") == kinds[metric.kind], metric.name
        assert (sent.unit, sent.description) == (metric.unit, metric.description)
        keys = {key for point in collector.points(metric.name) for key in attributes(point)}
        assert keys | _OPTIONAL == set(metric.attributes) | _OPTIONAL, metric.name
    assert set(collector.metrics) == {metric.name for metric in METRICS}

    assert collector.counts("later.attempts.started", "later.task") == {("echo",): 5, ("bash",): 4}
    late = {attributes(p)["later.task"]: p for p in collector.points("later.lateness")}
    assert {task: point.count for task, point in late.items()} == {"echo": 5, "bash": 4}
    assert all(point.min >= 0 for point in late.values())
    assert collector.counts("later.instances.due") == {(): 9}
    assert collector.counts("later.claim.conflicts") == {(): 0}
    operations = {attributes(p)["db.operation.name"] for p in collector.points(METRICS[-1].name)}
    assert operations >= {"insert", "update", "find"}
    assert "getMore" not in operations
    (serving,) = collector.points("later.serving")
    assert serving.as_double == 1.0
    node = (await client.stats()).node
    assert collector.resources[-1]["service.name"] == "later"
    assert collector.resources[-1]["service.instance.id"] == node


async def watch_for_ever(client: Client) -> None:
    async with aclosing(client.watch(Filter(), include_existing=True)) as batches:
        async for _ in batches:
            pass


async def test_a_trace_goes_from_the_client_through_the_create_to_the_run(
    collector: Collector, client: Client, ledger
):
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("order") as order:
        created = await client.create(NewInstance(task="echo", parameters=b"x"))
        failing = await client.create(ledger.bash("fails", "exit 3"))
    untraced = await client.create(NewInstance(task="echo", id="untraced"))
    await ledger.until_ended(client)
    await collector.until(lambda: len(runs(collector)) == 3)

    trace, span = f"{order.context.trace_id:032x}", f"{order.context.span_id:016x}"
    calls = {s.span_id.hex(): s for s in collector.spans if s.kind == Span.SPAN_KIND_SERVER}
    found = runs(collector)
    for instance in (created, failing):
        run = found[instance.id]
        call = calls[run.parent_span_id.hex()]
        assert call.name == "later.v1.InstanceService/CreateInstance"
        assert call.parent_span_id.hex() == span
        assert call.trace_id.hex() == run.trace_id.hex() == trace
        assert instance.trace_parent is not None
        assert instance.trace_parent.startswith(f"00-{trace}-{call.span_id.hex()}-")
    assert found[created.id].name == "run echo"
    assert found[created.id].status.code == Status.STATUS_CODE_UNSET
    assert attributes(found[created.id])["later.attempt"] == "1"
    assert found[failing.id].status.code == Status.STATUS_CODE_ERROR
    assert attributes(found[failing.id])["error.type"]
    # Begun by nobody who traces: the trace begins with the call.
    run = found[untraced.id]
    assert run.trace_id.hex() != trace
    assert not calls[run.parent_span_id.hex()].parent_span_id


def runs(collector: Collector) -> dict[str, Span]:
    return {
        attributes(span)["later.instance.id"]: span
        for span in collector.spans
        if span.kind == Span.SPAN_KIND_CONSUMER
    }


async def test_a_collector_that_is_away_holds_up_neither_work_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, serve, mongodb_uri: str, database: str, ledger
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
    server = await serve(mongodb_uri=mongodb_uri, database=database, grace="1s")
    async with Client(server.address) as client:
        await client.create(NewInstance(task="echo"))
        await ledger.until_ended(client)
    await server.stop()


async def test_a_server_that_does_not_trace_hands_the_trace_on(
    serve, mongodb_uri: str, database: str, ledger
):
    server = await serve(mongodb_uri=mongodb_uri, database=database, telemetry="off")
    tracer = TracerProvider().get_tracer("test")
    async with Client(server.address) as client:
        with tracer.start_as_current_span("order") as order:
            created = await client.create(NewInstance(task="echo"))
            (batched,) = await client.create_batch([NewInstance(task="echo")])
        context = order.get_span_context()
        expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        assert created.trace_parent == expected
        assert batched.trace_parent == expected
        await ledger.until_ended(client)
        assert (await client.get(created.id)).trace_parent == expected
