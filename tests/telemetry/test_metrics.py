"""The table of metrics says what Prometheus will call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

from later_core.model.state import State
from later_core.ports.observer import Figure
from later_core.telemetry.counting import Counting
from later_core.telemetry.metrics import GAUGES, METRICS, Metric


def _figure(metric: Metric) -> Figure | Mapping[str, Figure]:
    return {"a": lambda: 1.0} if metric.attributes else lambda: 1.0


@pytest.fixture
def counting() -> Iterator[Counting]:
    provider = MeterProvider(metric_readers=[PrometheusMetricReader()])
    yield Counting(provider.get_meter("test"))
    provider.shutdown()


def test_the_names_in_prometheus_are_those_that_opentelemetry_itself_gives(counting: Counting):
    counting.claimed(due=3, won=2)
    counting.started("echo", 0.1)
    counting.ended("echo", State.FAILED)
    counting.answered("find", 0.1, is_error=True)
    counting.watch({metric.name: _figure(metric) for metric in GAUGES})
    lines = generate_latest(REGISTRY).decode().splitlines()
    series = {line.split("{")[0] for line in lines if line.startswith(("later_", "db_"))}
    assert series == {name for metric in METRICS for name in metric.in_prometheus}
    (failed,) = [line for line in lines if line.startswith("later_attempts_finished_total{")]
    assert 'later_task="echo"' in failed
    assert 'later_state="FAILED"' in failed
    (behind,) = [line for line in lines if line.startswith("later_feed_lag_seconds{")]
    assert 'later_feed="a"' in behind


def test_every_metric_stands_in_the_table_once_and_says_what_it_is():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.description.endswith(".")
        assert metric.unit
