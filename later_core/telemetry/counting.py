"""Metrics by OpenTelemetry: counters of our own, read when they are collected, and two histograms."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from later_core.model.state import State
from later_core.ports.observer import Figure, Figures
from later_core.telemetry import metrics
from later_core.telemetry.metrics import Metric

_Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Counting:
    """The half of ``ports.observer.Observer`` that counts.

    A counter of OpenTelemetry takes several microseconds to count up, ours a tenth of one; so ours
    are counted, and shown to it once an interval. What is recorded here may come from any thread.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._due = 0
        self._conflicts = 0
        self._started: Counter[str] = Counter()
        self._ended: Counter[tuple[str, State]] = Counter()
        self._lateness = self._histogram(metrics.LATENESS)
        self._operations = self._histogram(metrics.OPERATIONS)
        self._show(metrics.DUE, self._observe_due)
        self._show(metrics.CONFLICTS, self._observe_conflicts)
        self._show(metrics.STARTED, self._observe_started)
        self._show(metrics.FINISHED, self._observe_finished)

    def claimed(self, *, due: int, won: int) -> None:
        """As ``Observer.claimed``."""
        with self._lock:
            self._due += due
            self._conflicts += due - won

    def started(self, task: str, late_seconds: float) -> None:
        """As ``Observer.started``."""
        with self._lock:
            self._started[task] += 1
        self._lateness.record(max(0.0, late_seconds), {"later.task": task})

    def ended(self, task: str, state: State) -> None:
        """As ``Observer.ended``."""
        with self._lock:
            self._ended[task, state] += 1

    def answered(self, operation: str, seconds: float, *, is_error: bool) -> None:
        """As ``Observer.answered``."""
        attributes = {"db.system.name": "mongodb", "db.operation.name": operation}
        if is_error:
            attributes["error.type"] = "refused"
        self._operations.record(seconds, attributes)

    def watch(self, figures: Figures) -> None:
        """As ``Observer.watch``: every gauge of the table, and no other.

        Raises:
            ValueError: the figures are not those of the table.
        """
        gauges = {metric.name: metric for metric in metrics.GAUGES}
        if gauges.keys() != figures.keys():
            raise ValueError(f"not the gauges of the table: {gauges.keys() ^ figures.keys()}")
        for name, figure in figures.items():
            metric = gauges[name]
            self._meter.create_observable_gauge(
                name, list(_readings(metric, figure)), metric.unit, metric.description
            )

    def _histogram(self, metric: Metric) -> Histogram:
        return self._meter.create_histogram(
            metric.name,
            metric.unit,
            metric.description,
            explicit_bucket_boundaries_advisory=metrics.SECONDS,
        )

    def _show(self, metric: Metric, callback: _Callback) -> None:
        self._meter.create_observable_counter(
            metric.name, [callback], metric.unit, metric.description
        )

    def _observe_due(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self._due)

    def _observe_conflicts(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self._conflicts)

    def _observe_started(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            started = dict(self._started)
        for task, count in started.items():
            yield Observation(count, {"later.task": task})

    def _observe_finished(self, _: CallbackOptions) -> Iterator[Observation]:
        with self._lock:
            ended = dict(self._ended)
        for (task, state), count in ended.items():
            yield Observation(count, {"later.task": task, "later.state": state.value})


def _readings(metric: Metric, figure: Figure | Mapping[str, Figure]) -> Iterator[_Callback]:
    """One of the whole, or one for each value of the attribute."""
    if not isinstance(figure, Mapping):
        yield _reading(figure, {})
        return
    (attribute,) = metric.attributes
    for value, each in figure.items():
        yield _reading(each, {attribute: value})


def _reading(figure: Figure, attributes: Mapping[str, str]) -> _Callback:
    def observe(_: CallbackOptions) -> Iterator[Observation]:
        value = figure()
        if value is not None:
            yield Observation(value, attributes)

    return observe
