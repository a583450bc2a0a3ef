"""What a node tells whoever observes it, by the real SDK of OpenTelemetry, in memory."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from later_core.model.query import Filter
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.plugin.task import Task
from later_core.stores.memory import MemoryStore
from later_core.telemetry import metrics
from later_core.telemetry.counting import Counting
from later_core.telemetry.tracing import Tracing
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask

_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Observed(Counting, Tracing):
    """An observer whose figures and spans stay here."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        Counting.__init__(self, MeterProvider([self._reader]).get_meter("test"))
        Tracing.__init__(self, tracers.get_tracer("test"))

    def points(self, name: str) -> dict[tuple[str, ...], object]:
        """The data points of a metric by the values of their attributes."""
        data = self._reader.get_metrics_data()
        return {
            tuple(point.attributes.values()): point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        return {key: point.value for key, point in self.points(name).items()}

    @property
    def spans(self):
        return self._spans.get_finished_spans()


@pytest.fixture
def observed() -> Observed:
    return Observed()


async def _fail(_context):
    raise ValueError("broken")


async def test_starts_and_ends_are_counted_by_task_and_state(running, observed: Observed):
    retry = RetryPolicy(max_attempts=2, min_backoff=timedelta(seconds=1))
    async with running(RecordingTask(_fail), observer=observed) as bench:
        await bench.create("a", retry=retry)
        await bench.clock.advance(10)
    assert observed.values("later.attempts.started") == {("record",): 2}
    assert observed.values("later.attempts.finished") == {
        ("record", "PENDING"): 1,
        ("record", "FAILED"): 1,
    }
    assert observed.values("later.instances.due") == {(): 2}
    assert observed.points("later.lateness")[("record",)].count == 2


async def test_lateness_is_that_of_the_start_by_the_databases_clock(running, observed: Observed):
    async with running(RecordingTask(), observer=observed) as bench:
        await bench.create("a", execution_time=bench.clock.now() - timedelta(seconds=42))
        await bench.clock.advance(1)
    point = observed.points("later.lateness")[("record",)]
    assert 42 <= point.max <= 43
    assert tuple(point.explicit_bounds) == metrics.SECONDS


async def test_what_a_claim_does_not_get_is_a_conflict(running, observed: Observed):
    async with running(RecordingTask(), observer=observed) as bench:
        await bench.create("a", delay=5)
        await bench.create("b", delay=5)
        await bench.store.abort("a")
        await bench.clock.advance(10)
    assert observed.values("later.instances.due") == {(): 2}
    assert observed.values("later.claim.conflicts") == {(): 1}


async def test_an_abort_of_a_run_is_an_end_of_its_own(running, observed: Observed):
    clock = FakeClock()

    async def body(_context):
        await clock.sleep(100)

    async with running(RecordingTask(body), clock=clock, observer=observed) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        assert observed.values("later.attempts.running") == {(): 1}
        await bench.parts.instances.abort("a")
        await bench.clock.advance(1)
        assert observed.values("later.attempts.running") == {(): 0}
    assert observed.values("later.attempts.finished") == {("record", "ABORTED"): 1}
    (span,) = observed.spans
    assert span.attributes["error.type"] == "ABORTED"


async def test_every_gauge_is_asked_for_at_collection(running, observed: Observed):
    async with running(RecordingTask(), observer=observed) as bench:
        await bench.create("a", delay=60)
        assert observed.values("later.window.size") == {(): 1}
        assert observed.values("later.window.backlog") == {(): 0}
        assert observed.values("later.subscribers") == {(): 0}
        assert observed.values("later.feed.lag") == {}
        assert observed.values("later.serving") == {(): 1}
        assert abs(observed.values("later.clock.offset")[()]) < 1


class HeldStore(MemoryStore):
    """The reference store; a test may hold back its news."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    async def news(self, position):
        async with aclosing(super().news(position)) as news:
            async for batch in news:
                await self.may_tell.wait()
                yield batch


async def _watch(bench):
    async with aclosing(
        bench.parts.subscriptions.watch(Filter(), resume_token=None, include_existing=False)
    ) as told:
        async for _ in told:
            pass


async def test_each_feed_has_a_lag_of_its_own_while_somebody_listens(running, observed: Observed):
    clock = FakeClock()
    store = HeldStore(clock=clock)
    async with running(RecordingTask(), store=store, clock=clock, observer=observed) as bench:
        assert observed.values("later.feed.lag") == {}
        async with running(RecordingTask(), store=store, clock=clock), asyncio.TaskGroup() as group:
            await clock.advance(3)
            assert observed.values("later.feed.lag") == {("news",): 0}
            watching = group.create_task(_watch(bench))
            store.may_tell.clear()
            await clock.advance(10)
            behind = observed.values("later.feed.lag")
            assert behind["watches",] == 0
            assert 5 < behind["news",] <= 8
            store.may_tell.set()
            await clock.advance(3)
            assert observed.values("later.feed.lag") == {("watches",): 0, ("news",): 0}
            watching.cancel()
        await clock.advance(3)
        assert observed.values("later.feed.lag") == {}


async def test_a_figure_that_is_no_gauge_of_the_table_is_refused(observed: Observed):
    with pytest.raises(ValueError, match="nonsense"):
        observed.watch({"later.nonsense": lambda: 1.0})


class Plain(Task):
    """Runs in a thread, and looks at what is current there."""

    name = "plain"

    def __init__(self) -> None:
        self.seen: list[tuple[int, str | None]] = []

    def run(self, context):
        self.seen.append(
            (trace.get_current_span().get_span_context().span_id, context.trace_parent)
        )


async def test_a_run_is_a_span_below_that_of_its_create_in_a_thread_too(
    running, observed: Observed
):
    task = Plain()
    async with running(task, observer=observed) as bench:
        await bench.create("a", task="plain", trace_parent=_PARENT)
        while (await bench.get("a")).state is not State.SUCCEEDED:
            await bench.clock.advance(0.1)
    (span,) = observed.spans
    assert span.name == "run plain"
    assert f"{span.context.trace_id:032x}" == _PARENT.split("-")[1]
    assert f"{span.parent.span_id:016x}" == _PARENT.split("-")[2]
    ((current, told),) = task.seen
    assert current == span.context.span_id
    assert told.split("-")[1:3] == [_PARENT.split("-")[1], f"{current:016x}"]


async def test_a_run_that_nobody_began_is_a_trace_of_its_own(running, observed: Observed):
    async with running(RecordingTask(_fail), observer=observed) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
    (span,) = observed.spans
    assert span.parent is None
    assert not span.status.is_ok
    assert span.attributes["error.type"] == "TASK_FAILED"
    assert span.attributes["later.instance.id"] == "a"


async def test_a_timeout_shows_on_its_span(running, observed: Observed):
    clock = FakeClock()

    async def body(_context):
        await clock.sleep(100)

    async with running(RecordingTask(body), clock=clock, observer=observed) as bench:
        await bench.create("a", timeout=timedelta(seconds=1))
        await bench.clock.advance(5)
    (span,) = observed.spans
    assert span.attributes["error.type"] == "TIMED_OUT"


async def test_without_an_observer_a_task_is_told_what_its_creator_sent(running):
    seen = []

    async def body(context):
        seen.append(context.trace_parent)

    async with running(RecordingTask(body)) as bench:
        await bench.create("a", trace_parent=_PARENT)
        await bench.create("b")
        await bench.clock.advance(1)
    assert sorted(seen, key=str) == [_PARENT, None]
