"""The plugins that are installed, as their distributions declare them; nothing is imported here."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from later_core.plugin.hookspecs import ENTRY_POINT_GROUP

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plugin before anything is known of its code. ``load`` imports it and may raise anything."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]

    @property
    def key(self) -> str:
        """Unique among all plugins: two distributions may use one entry-point name."""
        return f"{self.distribution}:{self.name}"


def find_candidates() -> Sequence[Candidate]:
    """Every entry point of the group ``later``, in order of distribution and name."""
    found = [
        Candidate(
            name=entry_point.name,
            distribution=entry_point.dist.name if entry_point.dist else "unknown",
            version=entry_point.dist.version if entry_point.dist else "",
            load=entry_point.load,
        )
        for entry_point in _entry_points()
    ]
    return sorted(found, key=lambda candidate: candidate.key)


def _entry_points() -> Sequence[importlib.metadata.EntryPoint]:
    try:
        return tuple(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
    except Exception as error:  # noqa: BLE001 - one distribution with unreadable metadata hides all others
        _log.debug("metadata unreadable", exc_info=error)
    entry_points: list[importlib.metadata.EntryPoint] = []
    for distribution in importlib.metadata.distributions():
        try:
            entry_points += distribution.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as error:  # noqa: BLE001 - the others are still of use
            _log.warning(
                "distribution left out, its entry points cannot be read",
                distribution=str(distribution.metadata["Name"]),
                error=f"{type(error).__name__}: {error}",
            )
    return entry_points
