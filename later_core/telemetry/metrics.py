"""Every metric that a node sends: its name, kind, unit, attributes and meaning, in one place.

The names follow the semantic conventions of OpenTelemetry: dots between words, no unit and no
``total`` in a name (a translation to Prometheus adds both), seconds for every length of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Upper bounds of the buckets of a length of time, in seconds: from what a good start takes to an outage.
SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
)


class Kind(StrEnum):
    """Of a metric: a counter only grows, a gauge is what there is now."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. ``unit`` is of UCUM; a word in braces counts things."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()

    @property
    def in_prometheus(self) -> tuple[str, ...]:
        """The names of its series where OTLP is translated to Prometheus: units in full, and a suffix.

        https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
        """
        name = self.name.replace(".", "_")
        if self.unit == "s":
            name += "_seconds"
        match self.kind:
            case Kind.COUNTER:
                return (f"{name}_total",)
            case Kind.HISTOGRAM:
                return (f"{name}_bucket", f"{name}_count", f"{name}_sum")
            case Kind.GAUGE:
                return (name,)


LATENESS = Metric(
    name="later.lateness",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("later.task",),
    description="How long after its execution time the code of an attempt began.",
)
DUE = Metric(
    name="later.instances.due",
    kind=Kind.COUNTER,
    unit="{instance}",
    description="Instances that were due and that this node tried to claim.",
)
CONFLICTS = Metric(
    name="later.claim.conflicts",
    kind=Kind.COUNTER,
    unit="{instance}",
    description="Of these, those that it did not get: another node had them first, or they were no "
    "longer due.",
)
STARTED = Metric(
    name="later.attempts.started",
    kind=Kind.COUNTER,
    unit="{attempt}",
    attributes=("later.task",),
    description="Attempts whose code began.",
)
FINISHED = Metric(
    name="later.attempts.finished",
    kind=Kind.COUNTER,
    unit="{attempt}",
    attributes=("later.task", "later.state"),
    description="Attempts that ended, by the state in which they left the instance: SUCCEEDED, FAILED, "
    "ABORTED, or PENDING where another attempt follows.",
)
OPERATIONS = Metric(
    name="db.client.operation.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("db.system.name", "db.operation.name", "error.type"),
    description="How long MongoDB took to answer; error.type is there where it refused or was away. "
    "Reads that wait for news are left out.",
)

GAUGES = (
    Metric(
        name="later.window.size",
        kind=Kind.GAUGE,
        unit="{instance}",
        description="Near instances that this node holds in memory.",
    ),
    Metric(
        name="later.window.backlog",
        kind=Kind.GAUGE,
        unit="{instance}",
        description="Of these, those that were long due when they were found.",
    ),
    Metric(
        name="later.attempts.running",
        kind=Kind.GAUGE,
        unit="{attempt}",
        description="Attempts that this node has claimed and not yet ended.",
    ),
    Metric(
        name="later.subscribers",
        kind=Kind.GAUGE,
        unit="{subscriber}",
        description="Watches that are open on this node.",
    ),
    Metric(
        name="later.feed.lag",
        kind=Kind.GAUGE,
        unit="s",
        description="How far this node is behind the history of changes: in watches, what subscribers and"
        " plugins are told; in news, what the nodes tell each other. Each is absent while nobody listens.",
        attributes=("later.feed",),
    ),
    Metric(
        name="later.breaker.open",
        kind=Kind.GAUGE,
        unit="{breaker}",
        description="1 while this node leaves the task alone, since it crashed again and again, else 0. Only"
        " of tasks that have a breaker.",
        attributes=("later.task",),
    ),
    Metric(
        name="later.loop.lag",
        kind=Kind.GAUGE,
        unit="s",
        description="The longest time for which something held up the event loop since the last report.",
    ),
    Metric(
        name="later.clock.offset",
        kind=Kind.GAUGE,
        unit="s",
        description="The wall clock of this machine less the clock of the database.",
    ),
    Metric(
        name="later.serving",
        kind=Kind.GAUGE,
        unit="{node}",
        description="1 while the database answers and the scheduler runs, else 0.",
    ),
)

METRICS = (LATENESS, DUE, CONFLICTS, STARTED, FINISHED, *GAUGES, OPERATIONS)
