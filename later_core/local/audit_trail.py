"""What is to be written into the audit log: noted here at once, written a moment later."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from itertools import count as count_up

from later_core.local.database_clock import DatabaseClock
from later_core.model.audit import AuditEntry, entry_id
from later_core.model.instant import from_millis

#: The outcome of the entry that stands for those that found no room.
DROPPED = "DROPPED"

_STRANGER = "UNAUTHENTICATED"

#: Milliseconds since the Unix epoch, and then the fields of an entry from ``principal`` to ``peer``.
_Note = tuple[float, str, str, str, str, str]


class AuditTrail:
    """Holds at most ``capacity`` entries. Beyond that (the database has been away for long) entries are
    counted instead of kept, and one entry says how many those were.

    What strangers are refused is noted once for each method and host, with a count, so that a flood
    of wrong secrets fills neither this nor the log.
    """

    def __init__(self, *, database_clock: DatabaseClock, capacity: int = 10_000) -> None:
        self._database_clock = database_clock
        self._capacity = capacity
        #: By number, in order. Noting is part of every call, so entries are made of it later.
        self._notes: dict[int, tuple[_Note, int]] = {}
        self._entries: dict[int, AuditEntry] = {}
        #: The number of the note about strangers, by what makes them alike.
        self._strangers: dict[tuple[str, str], int] = {}
        self._dropped = 0
        self._numbers = count_up()
        self._node = secrets.token_hex(5)
        #: Set while something waits.
        self.filled = asyncio.Event()

    def note(
        self, *, principal: str, method: str, target: str, outcome: str, peer: str, count: int = 1
    ) -> None:
        """Note a request that has just been answered (or refused)."""
        note = (self._database_clock.now_ms(), principal, method, target, outcome, peer)
        if outcome == _STRANGER and not principal:
            self._note_stranger(note, count)
        else:
            self._hold(note, count)

    def waiting(self, limit: int) -> Sequence[AuditEntry]:
        """The first entries that wait; none of them changes any more. ``written`` forgets them."""
        self._strangers.clear()
        if self._dropped and len(self) < self._capacity:
            dropped, self._dropped = self._dropped, 0
            self._hold((self._database_clock.now_ms(), "", "", "", DROPPED, ""), dropped)
        for number, (note, count) in self._notes.items():
            self._entries[number] = self._entry(number, note, count)
        self._notes.clear()
        return [entry for entry, _ in zip(self._entries.values(), range(limit), strict=False)]

    def written(self, entries: Sequence[AuditEntry]) -> None:
        """These, the first that wait, are in the log."""
        for number, _ in list(zip(self._entries, entries, strict=False)):
            del self._entries[number]
        if not len(self):
            self.filled.clear()

    def __len__(self) -> int:
        return len(self._notes) + len(self._entries)

    def _hold(self, note: _Note, count: int) -> int | None:
        """The number of the note; None: there is no room."""
        if len(self) >= self._capacity:
            self._dropped += count
            return None
        number = next(self._numbers)
        self._notes[number] = (note, count)
        self.filled.set()
        return number

    def _note_stranger(self, note: _Note, count: int) -> None:
        alike = (note[2], _host(note[5]))
        number = self._strangers.get(alike)
        if number is not None:
            first, so_far = self._notes[number]
            self._notes[number] = (first, so_far + count)
            return
        number = self._hold(note, count)
        if number is not None:
            self._strangers[alike] = number

    def _entry(self, number: int, note: _Note, count: int) -> AuditEntry:
        millis, principal, method, target, outcome, peer = note
        time = from_millis(int(millis))
        return AuditEntry(
            id=entry_id(time, number, self._node),
            time=time,
            principal=principal,
            method=method,
            target=target,
            outcome=outcome,
            peer=peer,
            count=count,
        )


def _host(peer: str) -> str:
    """Without the port, which is another one at each connection."""
    return peer.rpartition(":")[0] if peer.startswith("ipv") else peer
