"""When each held id is due: a table of millions that stays small and never grows with a jolt."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: How an id stands in memory. As text of 32 characters it takes 96 bytes, as a number 48.
Key = int

_HEX = re.compile(r"[0-9a-f]{32}")
_HEX_LENGTH = 32
#: Numbers below are ids of 32 hexadecimal digits, such as the service makes; others carry a 1 in front.
_OTHERS_FROM = 1 << 128
_SHORTEST = 16

#: A table that outgrows its room is copied as a whole: many small ones never take long. A prime number,
#: so that ids which end alike are spread too.
_TABLES = 127


def pack(id: str) -> Key:
    """The number that stands for an id."""
    if len(id) == _HEX_LENGTH and _HEX.fullmatch(id):
        return int(id, 16)
    return int.from_bytes(
        b"\1" + id.encode("utf-8", "surrogatepass").rjust(_SHORTEST, b"\0"), "big"
    )


def unpack(key: Key) -> str:
    """The id that a number stands for."""
    if key < _OTHERS_FROM:
        return f"{key:032x}"
    data = key.to_bytes((key.bit_length() + 7) // 8, "big")
    return data[1:].lstrip(b"\0").decode("utf-8", "surrogatepass")


class Dues:
    """Key -> milliseconds since the Unix epoch; and the priority, of those that have one."""

    def __init__(self) -> None:
        self._tables: tuple[dict[Key, int], ...] = tuple({} for _ in range(_TABLES))
        self._priorities: dict[Key, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: Key) -> int | None:
        """When it is due, None where it is not held."""
        return self._tables[key % _TABLES].get(key)

    def get_of(self, key: Key, priority: int) -> int | None:
        """When it is due, None where it is not held under this priority."""
        if self._priorities.get(key, 0) != priority:
            return None
        return self._tables[key % _TABLES].get(key)

    def priority(self, key: Key) -> int:
        """Its priority, 0 where it has none or is not held."""
        return self._priorities.get(key, 0)

    def add(self, key: Key, due_ms: int) -> bool:
        """Hold it, without a priority, unless it is held already; whether it was not."""
        table = self._tables[key % _TABLES]
        if key in table:
            return False
        table[key] = due_ms
        self._count += 1
        return True

    def put(self, key: Key, due_ms: int, priority: int = 0) -> None:
        """Hold it, under its latest time."""
        if priority:
            self._priorities[key] = priority
        elif self._priorities:
            self._priorities.pop(key, None)
        table = self._tables[key % _TABLES]
        self._count -= len(table)
        table[key] = due_ms
        self._count += len(table)

    def remove(self, key: Key) -> None:
        """Hold it no more, if it was."""
        if self._tables[key % _TABLES].pop(key, None) is not None:
            self._count -= 1
            if self._priorities:
                self._priorities.pop(key, None)

    def items(self) -> Iterator[tuple[Key, int]]:
        """All of them, in no order; what is removed meanwhile does no harm."""
        for table in self._tables:
            yield from tuple(table.items())
