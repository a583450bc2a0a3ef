"""Pages of bounded size, of lists and snapshots of the reference store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from later_core.model.instance import Instance
from later_core.model.limits import PAGE_MAX_SIZE, RESPONSE_MAX_BYTES
from later_core.ports.store import Snapshot
from later_core.stores.memory_history import payload_bytes


class MemorySnapshot(Snapshot):
    """The instances that matched at one moment."""

    def __init__(self, position: str, instances: Sequence[Instance]) -> None:
        self.position = position
        self._instances = instances

    async def pages(self) -> AsyncIterator[Sequence[Instance]]:
        remaining = iter(self._instances)
        while page := taken(remaining, PAGE_MAX_SIZE):
            yield page


def taken(instances: Iterator[Instance], limit: int) -> Sequence[Instance]:
    """The next ones, until there are ``limit`` or their payloads fill a response."""
    page: list[Instance] = []
    weight = 0
    while len(page) < limit and weight < RESPONSE_MAX_BYTES:
        instance = next(instances, None)
        if instance is None:
            break
        page.append(instance)
        weight += payload_bytes(instance)
    return page
