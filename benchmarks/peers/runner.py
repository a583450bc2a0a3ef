"""All peers, all measures, in turn: run by run and rate by rate, so that a slow minute strikes all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers.agenda import Agenda
from benchmarks.peers.apscheduler import APScheduler3, APScheduler3Durable, APScheduler4
from benchmarks.peers.celery import Celery
from benchmarks.peers.contract import Peer, Unavailable
from benchmarks.peers.environments import CACHE
from benchmarks.peers.measures import LATENESS, MEASURES, Result, Sizes, lateness_at
from benchmarks.peers.trial import Bench, TooSlow

PEERS: dict[str, Callable[[], Peer]] = {
    peer.name: peer for peer in (APScheduler3, APScheduler3Durable, APScheduler4, Agenda, Celery)
}
ALL_MEASURES = ("add", "burst", LATENESS, "startup", "kill", "memory")
RATES = (100, 500, 1_000, 2_000)
#: Cheap and noisy: these are run several times.
_REPEATED = {"add", "burst", "startup"}
_PARAMETERS = {
    "add": ("count",),
    "burst": ("count",),
    LATENESS: ("seconds",),
    "startup": (),
    "kill": ("count", "kill_at", "kill_wait_seconds", "recovery_seconds"),
    "memory": ("pending",),
}

Row = dict[str, Any]


async def measure_peers(
    mongodb_uri: str,
    peers: Sequence[str] = tuple(PEERS),
    measures: Sequence[str] = ALL_MEASURES,
    *,
    rates: Sequence[int] = RATES,
    sizes: Sizes | None = None,
    runs: int = 3,
    seed: int = 0,
    cache: Path = CACHE,
    tell: Callable[[Row], None] = lambda _: None,
) -> list[Row]:
    """Measure these peers against that MongoDB; a row for each peer, measure and rate.

    The first row of a peer tells its versions, or, when it cannot be had, the remedy. A measure that fails
    gives a row without values. ``tell`` is called with each row as soon as it is there.
    """
    session = _Session(sizes=sizes or Sizes(), seed=seed, tell=tell)
    await session.install(mongodb_uri, peers, cache)
    for measure in measures:
        if measure == LATENESS:
            for rate in sorted(rates):
                await session.lateness(rate)
        else:
            await session.measure(measure, runs if measure in _REPEATED else 1)
    return session.rows


class _Session:
    """The rows so far, and the peers that are there."""

    def __init__(self, *, sizes: Sizes, seed: int, tell: Callable[[Row], None]) -> None:
        self.rows: list[Row] = []
        self._sizes = sizes
        self._seed = seed
        self._tell = tell
        self._benches: list[Bench] = []
        self._saturated: dict[str, int] = {}

    async def install(self, mongodb_uri: str, peers: Sequence[str], cache: Path) -> None:
        for name in peers:
            peer = PEERS[name]()
            try:
                versions = await peer.install(cache)
            except Unavailable as error:
                self._row(name, "versions", {}, {}, {}, [f"unavailable: {error}"])
            else:
                self._row(name, "versions", {}, versions, {}, [peer.title])
                self._benches.append(Bench(peer, mongodb_uri, seed=self._seed))

    async def measure(self, measure: str, runs: int) -> None:
        results: dict[str, list[Result]] = {bench.peer.name: [] for bench in self._benches}
        failures: dict[str, list[str]] = {bench.peer.name: [] for bench in self._benches}
        for _ in range(runs):
            for bench in self._benches:
                try:
                    found = await MEASURES[measure](bench, self._sizes)
                    results[bench.peer.name].append(found)
                except (TimeoutError, RuntimeError, TooSlow, Unavailable) as error:
                    failures[bench.peer.name].append(f"a run failed: {str(error) or 'out of time'}")
        sizes = asdict(self._sizes)
        parameters = {name: sizes[name] for name in _PARAMETERS[measure]} | {"runs": runs}
        for bench in self._benches:
            name = bench.peer.name
            notes = failures[name] + [note for found in results[name] for note in found.notes]
            if measure == "kill":
                notes.append(f"after kill -9: {bench.peer.recovery}")
            values, correctness = together(results[name])
            self._row(name, measure, parameters, values, correctness, notes)

    async def lateness(self, rate: int) -> None:
        parameters = {"rate": rate, "seconds": self._sizes.seconds}
        for bench in self._benches:
            name = bench.peer.name
            if name in self._saturated:
                note = f"not tried: saturated at {self._saturated[name]}/s already"
                self._row(name, LATENESS, parameters, {"saturated": True}, {}, [note])
                continue
            try:
                found = await lateness_at(bench, self._sizes, rate)
            except (TimeoutError, RuntimeError, TooSlow, Unavailable) as error:
                note = f"the run failed: {str(error) or 'out of time'}"
                self._row(name, LATENESS, parameters, {}, {}, [note])
                continue
            if found.values["saturated"]:
                self._saturated[name] = rate
            self._row(name, LATENESS, parameters, found.values, found.correctness, found.notes)

    def _row(
        self,
        program: str,
        measure: str,
        parameters: Row,
        values: Row,
        correctness: dict[str, int],
        notes: list[str],
    ) -> None:
        row = {
            "program": program,
            "measure": measure,
            "parameters": parameters | {"seed": self._seed},
            "values": values,
            "correctness": correctness,
            "notes": notes,
        }
        self.rows.append(row)
        self._tell(row)


def together(results: Sequence[Result]) -> tuple[Row, dict[str, int]]:
    """Medians of the values, with the range where there were several runs; counts are added up."""
    values: Row = {}
    for name in dict.fromkeys(name for found in results for name in found.values):
        known = [found.values[name] for found in results if found.values.get(name) is not None]
        values[name] = statistics.median(known) if known else None
        if len(known) > 1:
            values[f"{name}_range"] = [min(known), max(known)]
    names = dict.fromkeys(name for found in results for name in found.correctness)
    return values, {
        name: sum(found.correctness.get(name, 0) for found in results) for name in names
    }
