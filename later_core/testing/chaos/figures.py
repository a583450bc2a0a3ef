"""What a run was made of, beside its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from later_core.model.state import State
from later_core.testing.chaos.account import Account, Change, Noted
from later_core.testing.chaos.verdict import History, is_taken, takeovers, undisturbed


def figures(account: Account) -> Mapping[str, str]:
    """Names and values, in the order of the table."""
    acknowledged = account.acknowledged
    aborts = [abort.previous for abort in acknowledged.aborts.values()]
    history = History(account)
    taken = takeovers(account, history)
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
        "wall clocks of the nodes at these starts: seconds slow, fast": _wrong_clocks(starts),
        "ended: succeeded, failed, aborted": ", ".join(
            f"{states.count(state):,}" for state in (State.SUCCEEDED, State.FAILED, State.ABORTED)
        ),
        "attempts taken from lost nodes": f"{sum(_was_taken(*pair) for pair in history):,}",
        "events of each subscriber": ", ".join(f"{len(each.changes):,}" for each in seen),
        "resumed with a token": ", ".join(f"{each.resumed}" for each in seen),
        "RESYNC": ", ".join(f"{each.changes.count(None)}" for each in seen),
        "kills with work in hand: seconds to its last takeover (median, longest)": _spread(taken),
        "the same, of those while MongoDB was well": _spread(undisturbed(account, taken)),
        "starts in the calm at the end: lateness in ms (median, longest)": _calm_lateness(
            account, history
        ),
        "aborted while RUNNING, code began after the answer": f"{_late_starts(account):,}",
    }


def _wrong_clocks(starts: Sequence[Noted]) -> str:
    wrong = [0.0, *(start.wrong_ns / 1e9 for start in starts)]
    return f"up to {-min(wrong):.1f}, {max(wrong):.1f}"


def _was_taken(before: Change | None, after: Change) -> bool:
    return before is not None and is_taken(before, after)


def _spread(by_process: Mapping[int, float]) -> str:
    seconds = sorted(by_process.values())
    if not seconds:
        return "none"
    return f"{len(seconds)}: {seconds[len(seconds) // 2]:.1f}, {seconds[-1]:.1f}"


def _calm_lateness(account: Account, history: History) -> str:
    """Of starts in milliseconds: due, and ready to be, while all was well."""
    begun, ended = account.calm
    late = []
    for start in history.starts:
        claim = history.claim(start)
        if claim is not None and begun < claim.due_ms * 1_000_000 < ended:
            late.append((start.at_ns - claim.due_ms * 1_000_000) / 1e6)
    late.sort()
    if not late:
        return "none"
    return f"{len(late):,}: {late[len(late) // 2]:.0f}, {late[-1]:.0f}"


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
