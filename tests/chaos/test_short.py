"""Every fault once, on three real servers and a real replica set: nothing is lost, nothing twice.

The long form is ``tox -e chaos``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from later_core.testing.chaos.__main__ import table
from later_core.testing.chaos.account import Noted
from later_core.testing.chaos.load import Rates
from later_core.testing.chaos.run import Plan, chaos
from later_core.testing.chaos.verdict import TAKEN_LATE

#: Another order of faults is another seed; this one kills what it paused and cut a moment before.
SEED = 1
RATES = Rates(creates=3.0, batch=5, aborts=2.0, reschedules=2.0, retries=0.5)


def by_process(ledger: Iterable[Noted]) -> list[list[Noted]]:
    processes: dict[int, list[Noted]] = {}
    for noted in ledger:
        processes.setdefault(noted.pid, []).append(noted)
    return list(processes.values())


def shift_seconds(noted: list[Noted]) -> float:
    """How far apart the wall clocks are that one process had."""
    wrong = [each.wrong_ns for each in noted]
    return (max(wrong) - min(wrong)) / 1e9


@pytest.mark.timeout(420)
async def test_the_promises_hold_through_every_fault(tmp_path: Path) -> None:
    plan = Plan(seed=SEED, lease_seconds=1.5, calm_seconds=2, rates=RATES)
    report = await chaos(plan, tmp_path / "chaos")

    print(table(report))  # noqa: T201 -- shown where the run fails, or with -rP
    # Other tests run beside this one, so that how fast it goes is left to the long form.
    promises = report.violations.keys() - {TAKEN_LATE}
    found = {name: report.violations[name] for name in promises if report.violations[name]}
    assert not found, f"seed {SEED}: {found}"
    # And the run was worth something.
    assert len(report.faults) == 11
    account = report.account
    assert len(account.acknowledged.created) > 200
    assert len({noted.pid for noted in account.ledger}) > 5
    assert sum(seen.resumed for seen in account.seen) > 3
    wrong = {round(noted.wrong_ns / 1e9) for noted in account.ledger}
    assert min(wrong) < -5, wrong
    assert max(wrong) > 5, wrong
    assert max(map(shift_seconds, by_process(account.ledger))) > 10, "no clock was set anew in time"
    reasons = {change.reason for change in account.seen[0].changes if change is not None}
    assert "NODE_LOST" in reasons, "no node died with work in its hands"
