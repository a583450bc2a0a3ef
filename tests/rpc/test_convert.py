"""What the client sends the server reads, and what the server sends the client reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from later_core.model.concurrency import Concurrency
from later_core.model.instance import Attempt, Delivery, Instance, InstanceError, NewInstance
from later_core.model.instant import from_millis
from later_core.model.query import Counts, Filter
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.model.stats import Lateness, Stats
from later_core.ports.tasks import RejectedPlugin
from later_core.rpc import convert, convert_inventory
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
NAME = st.from_regex(r"[A-Za-z0-9]{1,20}", fullmatch=True)
INSTANT = st.integers(0, 221_845_391_999_999).map(from_millis)
SPAN = st.integers(1, 3_153_600_000_000).map(lambda millis: timedelta(milliseconds=millis))
LABELS = st.dictionaries(NAME, TEXT, max_size=3)
BACKOFFS = st.tuples(SPAN, SPAN).map(sorted)
RETRY = st.builds(
    lambda attempts, backoffs, multiplier, jitter, reasons: RetryPolicy(
        max_attempts=attempts,
        min_backoff=backoffs[0],
        max_backoff=backoffs[1],
        multiplier=multiplier,
        jitter=jitter,
        final_reasons=tuple(reasons),
    ),
    st.integers(1, 1000),
    BACKOFFS,
    st.floats(1, 100),
    st.floats(0, 1),
    st.lists(NAME, max_size=3, unique=True),
)
ERROR = st.builds(InstanceError, reason=TEXT, message=TEXT)
ATTEMPT = st.builds(
    Attempt,
    number=st.integers(1, 1000),
    node=NAME,
    start_time=st.none() | INSTANT,
    end_time=INSTANT,
    error=st.none() | ERROR,
)
INSTANCE = st.builds(
    Instance,
    id=NAME,
    task=NAME,
    execution_time=INSTANT,
    create_time=INSTANT,
    parameters=st.binary(max_size=50),
    state=st.sampled_from(State),
    attempt=st.integers(0, 1000),
    revision=st.integers(1, 2**62),
    retry=RETRY,
    timeout=st.none() | SPAN,
    start_deadline=st.none() | SPAN,
    delivery=st.sampled_from(Delivery),
    labels=LABELS,
    concurrency=st.none() | st.builds(Concurrency, key=NAME, limit=st.integers(1, 1000)),
    schedule_id=st.none() | NAME,
    trace_parent=st.none() | NAME,
    node=st.none() | NAME,
    start_time=st.none() | INSTANT,
    finish_time=st.none() | INSTANT,
    result=st.binary(max_size=50),
    error=st.none() | ERROR,
    attempts=st.lists(ATTEMPT, max_size=10).map(tuple),
    priority=st.integers(0, 100),
)
DUE = st.one_of(
    st.just((None, None)),
    st.tuples(INSTANT, st.none()),
    st.tuples(st.none(), st.just(timedelta()) | SPAN),
)


def over_the_wire(message):
    return type(message).FromString(message.SerializeToString())


@given(INSTANCE)
def test_an_instance_comes_back_as_it_went(instance):
    assert convert.from_instance(over_the_wire(convert.to_instance(instance))) == instance


@given(
    DUE,
    st.builds(
        NewInstance,
        task=NAME,
        id=st.none() | NAME,
        parameters=st.binary(max_size=50),
        retry=RETRY | st.just(RetryPolicy()),
        timeout=st.none() | SPAN,
        start_deadline=st.none() | SPAN,
        delivery=st.sampled_from(Delivery),
        labels=LABELS,
        concurrency=st.none() | st.builds(Concurrency, key=NAME, limit=st.integers(1, 1000)),
        priority=st.integers(0, 100),
    ),
)
def test_a_new_instance_comes_back_as_it_went_and_keeps_the_rules(due, new):
    message = convert.to_new_instance(new)
    convert.set_due(message, *due)
    message = over_the_wire(message)
    check(message)
    assert convert.from_due(message) == due
    message.ClearField("delay")
    message.ClearField("execution_time")
    assert convert.from_new_instance(message) == new


@given(
    st.builds(
        Filter,
        states=st.frozensets(st.sampled_from(State)),
        tasks=st.frozensets(NAME, max_size=3),
        start_time=st.none() | INSTANT,
        end_time=st.none() | INSTANT,
        labels=LABELS,
        schedule_id=st.none() | NAME,
    )
)
def test_a_filter_comes_back_as_it_went(filter):
    assert convert.from_filter(over_the_wire(convert.to_filter(filter))) == filter


def test_what_a_retry_leaves_out_takes_the_default():
    message = pb.RetryPolicy(max_attempts=5)
    message.min_backoff.SetInParent()
    assert convert.from_retry(message) == RetryPolicy(max_attempts=5)


def test_a_jitter_of_zero_is_none():
    assert convert.from_retry(pb.RetryPolicy(jitter=0)) == RetryPolicy(jitter=0)


def test_figures_come_back_as_they_went():
    stats = Stats(
        counts=Counts(by_state={state: n for n, state in enumerate(State)}, unresolved={"x": 2}),
        node="node-1",
        version="1.0",
        started_at=datetime(2030, 1, 1, tzinfo=UTC),
        window_size=1,
        running=2,
        subscribers=3,
        lateness=Lateness(
            count=4,
            p50=timedelta(microseconds=350),
            p99=timedelta(milliseconds=2),
            max=timedelta(seconds=3),
        ),
        tasks=("bash", "echo"),
    )
    assert convert_inventory.from_stats(over_the_wire(convert_inventory.to_stats(stats))) == stats


def test_a_rejected_plugin_comes_back_as_it_went():
    rejected = RejectedPlugin(name="n", distribution="d", version="1", reason="no module x")
    message = over_the_wire(convert_inventory.to_rejected_plugin(rejected))
    assert convert_inventory.from_rejected_plugin(message) == rejected
