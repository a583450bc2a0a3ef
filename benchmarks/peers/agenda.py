"""Agenda 6 with its MongoDB back end, on Node.js."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.peers.environments import node_environment
from benchmarks.peers.program import PROGRAMS, ProgramPeer

_PACKAGES = {"agenda": "6.2.6", "@agendajs/mongo-backend": "4.0.3", "mongodb": "6.22.0"}


class Agenda(ProgramPeer):
    """One process that polls, locks and runs."""

    name = "agenda"
    # As a job begins, its next time is cleared; its lock stays until it has ended.
    pending: ClassVar = (
        (
            "agendaJobs",
            {"$or": [{"nextRunAt": {"$ne": None}}, {"lockedAt": {"$ne": None}}]},
            "data.index",
        ),
    )
    title = "Agenda 6, MongoBackend"
    recovery = "the lock of a job, 10 minutes by default, runs out"

    def __init__(
        self,
        *,
        process_every_ms: int = 1_000,
        concurrency: int = 100,
        in_flight: int = 64,
        remove: bool = True,
    ) -> None:
        super().__init__(
            processEvery=process_every_ms,
            concurrency=concurrency,
            inFlight=in_flight,
            removeOnComplete=remove,
        )
        self._node = ""

    async def install(self, cache: Path) -> dict[str, str]:
        environment = cache / "agenda"
        self._node = await node_environment(environment, _PACKAGES)
        self._options["environment"] = str(environment)
        return dict(_PACKAGES)

    @property
    def command(self) -> list[str]:
        return [self._node, str(PROGRAMS / "agenda.mjs")]
