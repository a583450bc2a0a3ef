"""APScheduler 3 and 4 on MongoDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.environments import python_environment
from benchmarks.peers.program import PROGRAMS, ProgramPeer


class _APScheduler(ProgramPeer):
    """What the two have in common: a program in a venv, and a database of their own."""

    program: ClassVar[str]
    requirements: ClassVar[dict[str, str]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._python = Path()

    async def install(self, cache: Path) -> dict[str, str]:
        wanted = [f"{name}=={version}" for name, version in self.requirements.items()]
        self._python = await python_environment(cache / self.program, wanted)
        return dict(self.requirements)

    @property
    def command(self) -> list[str]:
        return [str(self._python), str(PROGRAMS / f"{self.program}.py")]


class APScheduler3(_APScheduler):
    """One process, as it demands: a job store belongs to one scheduler."""

    name = "apscheduler3"
    title = "APScheduler 3, MongoDBJobStore (w=1, its default)"
    recovery = "none is needed or offered: a job is removed from the store before or while it runs"
    program = "apscheduler3"
    pending: ClassVar = (("jobs", {}, "_id"),)
    requirements: ClassVar = {"APScheduler": "3.11.3", "pymongo": "4.20.1"}

    def __init__(self, *, durable: bool = False, threads: bool = False) -> None:
        super().__init__(durable=durable, threads=threads)


class APScheduler3Durable(APScheduler3):
    """The same with writes as durable as Later's."""

    name = "apscheduler3-durable"
    title = "APScheduler 3, MongoDBJobStore (w=majority, j=true)"

    def __init__(self) -> None:
        super().__init__(durable=True)


class APScheduler4(_APScheduler):
    """One process that schedules and runs."""

    name = "apscheduler4"
    title = "APScheduler 4 (pre-release), MongoDBDataStore"
    recovery = "the lease of a job, 30 s by default, runs out"
    program = "apscheduler4"
    # A schedule stays, with no next time, until a cleanup; a job is there until it has ended.
    pending: ClassVar = (
        ("schedules", {"next_fire_time": {"$ne": None}}, "_id"),
        ("jobs", {}, "schedule_id"),
    )
    requirements: ClassVar = {"APScheduler": "4.0.0a6", "pymongo": "4.20.1"}

    def __init__(self, *, concurrent: int = 100, in_flight: int = 16) -> None:
        super().__init__(concurrent=concurrent, in_flight=in_flight)
