"""What a run was made of, beside its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from later_core.model.state import State
from later_core.testing.chaos.account import Account, Change


def figures(account: Account) -> Mapping[str, str]:
    """Names and values, in the order of the table."""
    acknowledged = account.acknowledged
    aborts = [abort.previous for abort in acknowledged.aborts.values()]
    starts = [noted for noted in account.ledger if noted.what == "start"]
    states = [change.state for change in account.stored.values()]
    seen = account.seen
    return {
        "creates acknowledged": f"{len(acknowledged.created):,}",
        "aborts acknowledged (of PENDING, of RUNNING)": (
            f"{aborts.count(State.PENDING):,}, {aborts.count(State.RUNNING):,}"
        ),
        "reschedules, retries acknowledged": (
            f"{len(acknowledged.rescheduled):,}, {len(acknowledged.retried):,}"
        ),
        "calls that got no answer (creates are repeated)": f"{acknowledged.unanswered:,}",
        "starts in the ledger, by how many processes": (
            f"{len(starts):,}, {len({start.pid for start in starts})}"
        ),
        "ended: succeeded, failed, aborted": ", ".join(
            f"{states.count(state):,}" for state in (State.SUCCEEDED, State.FAILED, State.ABORTED)
        ),
        "attempts taken from lost nodes": f"{_lost_attempts(account):,}",
        "events of each subscriber": ", ".join(f"{len(each.changes):,}" for each in seen),
        "resumed with a token": ", ".join(f"{each.resumed}" for each in seen),
        "RESYNC": ", ".join(f"{each.changes.count(None)}" for each in seen),
        "seconds from a node's kill to the last takeover (longest, median)": _takeovers(account),
        "aborted while RUNNING, code began after the answer": f"{_late_starts(account):,}",
    }


def _all_changes(account: Account) -> Mapping[tuple[str, int], Change]:
    return {
        (change.id, change.revision): change
        for each in account.seen
        for change in filter(None, each.changes)
    }


def _lost_attempts(account: Account) -> int:
    changes = _all_changes(account)
    return sum(_is_taken(change, changes) for change in changes.values())


def _is_taken(change: Change, changes: Mapping[tuple[str, int], Change]) -> bool:
    before = changes.get((change.id, change.revision - 1))
    return (
        change.reason == "NODE_LOST"
        and before is not None
        and before.state is State.RUNNING
        and change.state is not State.RUNNING
    )


def _takeovers(account: Account) -> str:
    """From the kill of a process to the last change that took an attempt from it."""
    changes = _all_changes(account)
    last: dict[int, float] = {}
    for change in changes.values():
        if _is_taken(change, changes):
            pid = _pid_of(changes[change.id, change.revision - 1].node)
            if pid in account.killed:
                seconds = change.at_ms / 1e3 - account.killed[pid] / 1e9
                last[pid] = max(seconds, last.get(pid, 0.0))
    if not last:
        return "none"
    ordered: Sequence[float] = sorted(last.values())
    return f"{ordered[-1]:.1f}, {ordered[len(ordered) // 2]:.1f}"


def _pid_of(node: str) -> int:
    """A node's id is its host, its process and a random word."""
    words = node.rsplit("-", 2)
    return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0


def _late_starts(account: Account) -> int:
    """Its node learns of an abort elsewhere a moment later: not a broken promise, and worth knowing."""
    running = {
        abort.after.id: abort
        for abort in account.acknowledged.aborts.values()
        if abort.previous is State.RUNNING
    }
    return sum(
        noted.what == "start"
        and noted.id in running
        and noted.attempt == running[noted.id].after.attempt
        and noted.at_ns > running[noted.id].at_ns
        for noted in account.ledger
    )
