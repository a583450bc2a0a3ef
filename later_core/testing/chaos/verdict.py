"""Compare what the outside knows with what the database holds. Every count must be zero."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from later_core.model.state import State, is_lawful
from later_core.testing.chaos.account import Account, AckedAbort, Change, Noted, Seen

#: Who makes a callback must live until so long after the answer; and one that answered, whose process
#: nobody knows, from so long before.
_BEFORE_NS = 3_000_000_000
_AFTER_NS = 10_000_000_000

#: For so long after its own faults MongoDB counts as harmed.
_SETTLED_NS = 2_000_000_000

#: How far the time at which code began, as it is stored, may be from what the ledger says: more than
#: a process that was paused between the two, less than the worst of the wall clocks is wrong.
_START_MS = 10_000

#: The one promise that a machine may break which is busy with something else.
TAKEN_LATE = "node lost undisturbed, taken over later than 2 leases"

#: A violation, in words, for people who look for its cause.
Found = Iterator[str]


def judge(account: Account) -> Mapping[str, list[str]]:
    """What was found, by promise, in the order of the table."""
    history = History(account)
    checks: dict[str, Callable[[Account, History], Found]] = {
        "lost: acknowledged creates that are not stored": _lost,
        "acknowledged changes that history does not hold": _forgotten,
        "instances that never ended": _unended,
        "successes that the ledger does not explain": _unexplained,
        "starts that the store does not know": _unknown_starts,
        "started twice in one attempt": _twice,
        "started early": _early,
        "stored start more than 10 s from that in the ledger": _misdated,
        "acknowledged abort of PENDING, and started": _aborted_and_started,
        "at most once, and started again": _again,
        "on_abort called twice": _aborted_twice,
        "on_abort never called, and its node was not killed": _aborted_silently,
        "changes that are not lawful": _unlawful,
        "events missed": _missed,
        "events repeated or out of order": _disordered,
        TAKEN_LATE: _taken_late,
        "servers that ended by themselves": lambda account, _: iter(account.ended),
        "exceptions that nobody caught, in the servers' logs": (
            lambda account, _: iter(account.exceptions)
        ),
        "answers that no fault explains": lambda account, _: iter(account.acknowledged.unexpected),
    }
    return {name: list(check(account, history)) for name, check in checks.items()}


class History:
    """Every change of every instance, as all subscribers together saw them; and the starts."""

    def __iter__(self) -> Iterator[tuple[Change | None, Change]]:
        """Each change with the one before it."""
        for changes in self.changes.values():
            for revision, change in changes.items():
                yield changes.get(revision - 1), change

    def __init__(self, account: Account) -> None:
        self.changes: defaultdict[str, dict[int, Change]] = defaultdict(dict)
        for seen in account.seen:
            for change in filter(None, seen.changes):
                self.changes[change.id][change.revision] = change
        for change in account.stored.values():
            self.changes[change.id].setdefault(change.revision, change)
        self.starts = [noted for noted in account.ledger if noted.what == "start"]

    def claim(self, start: Noted) -> Change | None:
        """How the attempt of a start was claimed."""
        for change in self.changes[start.id].values():
            if change.state is State.RUNNING and change.attempt == start.attempt:
                return change
        return None


def _lost(account: Account, _: History) -> Found:
    for id in account.acknowledged.created.keys() - account.stored.keys():
        yield f"{id} was acknowledged and is not stored"


def _forgotten(account: Account, history: History) -> Found:
    acknowledged = account.acknowledged
    told = [
        *(abort.after for abort in acknowledged.aborts.values()),
        *acknowledged.rescheduled,
        *acknowledged.retried,
    ]
    for change in told:
        held = history.changes[change.id].get(change.revision)
        same = held and (held.state, held.due_ms) == (change.state, change.due_ms)
        if not same:
            yield f"told {change}, and history holds {held}"


def _unended(account: Account, _: History) -> Found:
    for change in account.stored.values():
        if not change.state.is_final:
            yield f"{change}"


def _unexplained(account: Account, history: History) -> Found:
    """The code of this very attempt must have ended well, on its node, before the success was written."""
    ended = {
        (noted.id, noted.attempt, noted.pid): noted.at_ns
        for noted in account.ledger
        if noted.what == "end"
    }
    for change in account.stored.values():
        if change.state is State.SUCCEEDED:
            at_ns = ended.get((change.id, change.attempt, _pid_of(change.node)))
            told = history.changes[change.id][change.revision]
            # The database tells whole milliseconds; 0: nobody saw the event.
            if at_ns is None or (told.at_ms and at_ns >= (told.at_ms + 1) * 1_000_000):
                yield f"{told}, and its code ended at {at_ns}"


def _unknown_starts(_: Account, history: History) -> Found:
    for start in history.starts:
        if history.claim(start) is None:
            yield f"{start} was never claimed, or nobody saw the claim"


def _twice(_: Account, history: History) -> Found:
    counts = Counter((start.id, start.attempt) for start in history.starts)
    for (id, attempt), count in counts.items():
        if count > 1:
            yield f"attempt {attempt} of {id} started {count} times"


def _early(_: Account, history: History) -> Found:
    for start in history.starts:
        claim = history.claim(start)
        if claim is not None and start.at_ns < claim.due_ms * 1_000_000:
            yield f"{start}, {claim.due_ms * 1_000_000 - start.at_ns} ns before {claim}"


def _misdated(account: Account, history: History) -> Found:
    began = {(start.id, start.attempt, start.pid): start.at_ns for start in history.starts}
    for change in account.stored.values():
        at_ns = began.get((change.id, change.attempt, _pid_of(change.node)))
        if at_ns is None or change.start_ms is None:
            continue
        if abs(change.start_ms - at_ns / 1e6) > _START_MS:
            yield f"{change}, and its code began at {at_ns}"


def _aborted_and_started(account: Account, history: History) -> Found:
    """An aborted instance is never retried by the clients, so that nothing may follow."""
    for abort in account.acknowledged.aborts.values():
        if abort.previous is State.PENDING:
            for start in history.starts:
                if start.id == abort.after.id and start.attempt > abort.after.attempt:
                    yield f"{abort}, and {start}"


def _again(account: Account, history: History) -> Found:
    """The load gives these one attempt alone; only a retry that was asked for allows another."""
    retried = {change.id for change in account.acknowledged.retried}
    doubtful = retried | account.acknowledged.in_doubt
    counts = Counter(start.id for start in history.starts)
    for id in account.acknowledged.at_most_once - doubtful:
        if counts[id] > 1:
            yield f"{id} started {counts[id]} times"


def _aborted_twice(account: Account, _: History) -> Found:
    counts = Counter(noted.id for noted in account.ledger if noted.what == "on_abort")
    for id, count in counts.items():
        if count > 1 and id in account.acknowledged.aborts:
            yield f"on_abort of {id} was called {count} times"


def _aborted_silently(account: Account, _: History) -> Found:
    """Who runs what is aborted, or aborts what does not run, calls back while it lives."""
    called = {noted.id for noted in account.ledger if noted.what == "on_abort"}
    for id, abort in account.acknowledged.aborts.items():
        if id not in called and not _is_caller_killed(abort, account.killed):
            yield f"{abort}"


def _is_caller_killed(abort: AckedAbort, killed: Mapping[int, int]) -> bool:
    """A run's own node calls back, however long it is dead already; else any that answers may have."""
    before = abort.at_ns + _AFTER_NS
    if abort.previous is State.RUNNING:
        return killed.get(_pid_of(abort.after.node), before) < before
    return any(abort.at_ns - _BEFORE_NS < at_ns < before for at_ns in killed.values())


def _taken_late(account: Account, history: History) -> Found:
    for pid, seconds in undisturbed(account, takeovers(account, history)).items():
        if seconds > 2 * account.lease_seconds:
            yield f"process {pid}: the last attempt was taken {seconds:.1f} s after its kill"


def undisturbed(account: Account, seconds: Mapping[int, float]) -> dict[int, float]:
    """Those takeovers, by process, during which MongoDB was well."""
    return {
        pid: took
        for pid, took in seconds.items()
        if not any(
            begun < account.killed[pid] + int(took * 1e9)
            and account.killed[pid] < ended + _SETTLED_NS
            for begun, ended in account.database_troubles
        )
    }


def takeovers(
    account: Account, history: Iterable[tuple[Change | None, Change]]
) -> dict[int, float]:
    """Seconds from the kill of a process to the last change that took an attempt from it."""
    last: dict[int, float] = {}
    for before, change in history:
        if before is not None and is_taken(before, change):
            pid = _pid_of(before.node)
            if pid in account.killed and change.at_ms:
                seconds = change.at_ms / 1e3 - account.killed[pid] / 1e9
                last[pid] = max(seconds, last.get(pid, 0.0))
    return last


def is_taken(before: Change, after: Change) -> bool:
    """Whether an attempt was taken from a node that is lost (or gave it up as lost)."""
    return (
        before.state is State.RUNNING
        and after.state is not State.RUNNING
        and after.reason == "NODE_LOST"
    )


def _pid_of(node: str) -> int:
    """A node's id is its host, its process and a random word."""
    words = node.rsplit("-", 2)
    return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0


def _unlawful(_: Account, history: History) -> Found:
    for before, change in history:
        if before is not None and not _may_follow(before, change):
            yield f"{before} became {change}"


def _may_follow(before: Change, after: Change) -> bool:
    if before.state is after.state is State.RUNNING:
        # The start of an attempt that runs long is recorded while it runs.
        return (before.attempt, before.node) == (after.attempt, after.node)
    is_claim = after.state is State.RUNNING
    return is_lawful(before.state, after.state) and after.attempt == before.attempt + is_claim


def _missed(account: Account, _: History) -> Found:
    """Each subscriber began before the first create. What a RESYNC excuses is not counted."""
    for seen in account.seen:
        if None in seen.changes:
            continue
        told: defaultdict[str, set[int]] = defaultdict(set)
        for change in filter(None, seen.changes):
            told[change.id].add(change.revision)
        for change in account.stored.values():
            for revision in set(range(1, change.revision + 1)) - told[change.id]:
                yield f"{seen.name} missed revision {revision} of {change}"


def _disordered(account: Account, _: History) -> Found:
    for seen in account.seen:
        yield from _disorder_of(seen)


def _disorder_of(seen: Seen) -> Found:
    last: dict[str, int] = {}
    for change in seen.changes:
        if change is None:
            last.clear()  # what follows a RESYNC may begin anywhere
        elif change.revision <= last.get(change.id, 0):
            yield f"{seen.name} saw {change} after revision {last[change.id]}"
        else:
            last[change.id] = change.revision
