"""The whole engine, several nodes of it, on the fake clock and the reference store, with seeded faults.

``simulate(seed)`` plays one history and checks it against the promises after every step.
``python -m later_core.testing.simulation --seeds 1000`` plays many; see docs/simulation.md.
"""

from later_core.testing.simulation.scenario import Scenario
from later_core.testing.simulation.seeding import scenario_of
from later_core.testing.simulation.simulation import Verdict, play, simulate

__all__ = ["Scenario", "Verdict", "play", "scenario_of", "simulate"]
