"""The digests of creates are those of the first version, for ever: clients repeat creates across versions.

Those of real records of every kind are held by tests/upgrade.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from later_core.model.instance import Delivery, NewInstance
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import Overlap, ScheduleSpec
from later_core.service import fingerprints

PLAIN = NewInstance(task="echo", id="a", parameters=b"hello")
WHOLE = replace(
    PLAIN,
    execution_time=datetime(2030, 1, 1, tzinfo=UTC),
    retry=RetryPolicy(max_attempts=4, multiplier=3.5),
    timeout=timedelta(seconds=7),
    start_deadline=timedelta(hours=1),
    delivery=Delivery.AT_MOST_ONCE,
    labels={"team": "a", "kind": "b"},
)
SPEC = ScheduleSpec(template=PLAIN, rules=(IntervalRule(every=timedelta(hours=1)),))


@pytest.mark.parametrize(
    ("request_", "digest"),
    [(PLAIN, "c82980236dc795e4459d8c18e38472cc"), (WHOLE, "c57dae2effa20152d6e008b031cf0ec6")],
    ids=["plain", "whole"],
)
def test_an_instance_has_the_digest_that_the_first_version_gave_it(request_, digest):
    assert fingerprints.of_instance(request_).hex() == digest


@pytest.mark.parametrize(
    ("is_paused", "digest"),
    [(False, "8c2e7ce48871bb1a80fe315b8d00dcb2"), (True, "ad8618a0760dac8e818be631c8041b2b")],
)
def test_a_schedule_has_the_digest_that_the_first_version_gave_it(is_paused, digest):
    assert fingerprints.of_schedule(SPEC, is_paused=is_paused).hex() == digest


def test_what_was_added_since_counts_where_it_is_asked_for():
    jittered = replace(WHOLE, retry=replace(WHOLE.retry, jitter=0.5))
    strict = replace(WHOLE, retry=replace(WHOLE.retry, final_reasons=("GONE",)))
    raised = replace(PLAIN, priority=5)
    assert fingerprints.of_instance(strict) != fingerprints.of_instance(WHOLE)
    assert fingerprints.of_instance(jittered) != fingerprints.of_instance(WHOLE)
    assert fingerprints.of_instance(raised) != fingerprints.of_instance(PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"overlap": Overlap.ALLOW},
        {"template": replace(PLAIN, parameters=b"other")},
        {"template": replace(PLAIN, priority=5)},
        {"template": replace(PLAIN, retry=RetryPolicy(jitter=0.5))},
        {"rules": (IntervalRule(every=timedelta(hours=2)),)},
    ],
)
def test_a_schedule_of_other_content_has_another_digest(change):
    other = fingerprints.of_schedule(replace(SPEC, **change), is_paused=False)
    assert other != fingerprints.of_schedule(SPEC, is_paused=False)
