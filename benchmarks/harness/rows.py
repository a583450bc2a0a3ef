"""What a program answers: rows, each a measure with its parameters, its values, and a count of faults."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.harness.statistics import CORRECT, Correctness

_PACKAGES = ("later-core", "grpcio", "protobuf", "motor", "pymongo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure. ``correctness`` counts what was lost, came twice, came early."""

    program: str
    measure: str
    parameters: Mapping[str, Any]
    values: Mapping[str, Any]
    correctness: Correctness = field(default_factory=lambda: dict(CORRECT))
    notes: Sequence[str] = ()

    @property
    def is_correct(self) -> bool:
        """Nothing that could be counted was lost, twice or early."""
        return not any(self.correctness.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The rows of a run, and what they were taken on."""

    rows: Sequence[Row]
    seed: int
    mongodb: str
    command: Sequence[str]
    began: datetime
    load_before: float

    def to_json(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {
            "machine": machine(),
            "versions": {
                "python": platform.python_version(),
                "mongodb": self.mongodb,
                **{name: version(name) for name in _PACKAGES},
            },
            "seed": self.seed,
            "command": list(self.command),
            "began": self.began.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - self.began).total_seconds(), 1),
            "load_before": self.load_before,
            "rows": [asdict(row) for row in self.rows],
        }

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """The machine in a few words; nothing that names it."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
