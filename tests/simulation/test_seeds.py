"""The promises hold on every seed of the ordinary run, and on each that ever failed."""

import pytest

from later_core.testing.simulation import simulate

SEEDS = 1000
CHUNK = 50

#: Seeds that have failed, each with what it found. A seed stands for a scenario only as long as
#: the seeding stays as it is: what was found has a test of its own in the folder that it belongs to.
REGRESSIONS = {
    2805: "the checker knew of no retry between an abort and the moment in which its node hears of it",
    1309: "a watch ended with HistoryLost between the catching up and the present",
    3695: "other nodes left what was due at once to a creator that had no answer",
}


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_is_kept(first: int):
    for seed in range(first, first + CHUNK):
        verdict = simulate(seed)
        assert verdict.is_good, verdict.report()


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_once_failed_holds(seed: int):
    verdict = simulate(seed)
    assert verdict.is_good, verdict.report()
