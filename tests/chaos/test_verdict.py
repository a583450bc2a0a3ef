"""The verdict can fail: each broken promise, planted in an account, is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from later_core.model.state import State
from later_core.testing.chaos.account import (
    Account,
    AckedAbort,
    Acknowledged,
    Change,
    Noted,
    Seen,
    read_ledger,
)
from later_core.testing.chaos.verdict import judge

DUE_MS = 1_000_000
RUN = 7
ABORTED = "aborted"


def change(id: str, revision: int, state: State, attempt: int = 0) -> Change:
    return Change(id, revision, state, attempt, DUE_MS, "vm-42-abc", "", DUE_MS)


def account() -> Account:
    """One that ran and succeeded, and one that was aborted before."""
    ran = [
        change("ran", 1, State.PENDING),
        change("ran", 2, State.RUNNING, 1),
        change("ran", 3, State.RUNNING, 1),
        change("ran", 4, State.SUCCEEDED, 1),
    ]
    aborted = [change(ABORTED, 1, State.PENDING), change(ABORTED, 2, State.ABORTED)]
    return Account(
        acknowledged=Acknowledged(
            created={"ran": ran[0], ABORTED: aborted[0]},
            at_most_once={"ran"},
            aborts={ABORTED: AckedAbort(aborted[-1], State.PENDING, RUN)},
        ),
        stored={"ran": ran[-1], ABORTED: aborted[-1]},
        seen=[Seen("first", [*ran, *aborted]), Seen("second", [*ran, *aborted])],
        ledger=[
            Noted("start", "ran", 1, 42, DUE_MS * 1_000_000),
            Noted("end", "ran", 1, 42, DUE_MS * 1_000_000),
            Noted("on_abort", ABORTED, 0, 42, RUN),
        ],
        killed={},
        lease_seconds=2.0,
        ended=[],
        exceptions=[],
    )


def see(account: Account, *changes: Change | None) -> None:
    """Both subscribers are told so too."""
    for seen in account.seen:
        seen.changes.extend(changes)


def store(account: Account, *changes: Change) -> None:
    """It happened, and everybody was told."""
    see(account, *changes)
    account.stored.update((each.id, each) for each in changes)


def lose(account: Account) -> None:
    account.acknowledged.created["gone"] = change("gone", 1, State.PENDING)


def forget_an_abort(account: Account) -> None:
    gone = change("ran", 4, State.ABORTED, 1)
    account.acknowledged.aborts["ran"] = AckedAbort(gone, State.RUNNING, RUN)
    note(account, Noted("on_abort", "ran", 1, 42, RUN))


def forget_a_reschedule(account: Account) -> None:
    account.acknowledged.rescheduled.append(replace(account.stored["ran"], revision=9))


def leave_pending(account: Account) -> None:
    store(account, change("left", 1, State.PENDING))


def succeed_before_the_code_ended(account: Account) -> None:
    ended = account.ledger[1]
    account.ledger[1] = replace(ended, at_ns=ended.at_ns + 1_000_000)  # type: ignore[index] # a list here


def succeed_without_a_start(account: Account) -> None:
    store(
        account,
        change("idle", 1, State.PENDING),
        change("idle", 2, State.RUNNING, 1),
        change("idle", 3, State.SUCCEEDED, 1),
    )


def start_without_a_claim(account: Account) -> None:
    note(account, Noted("start", "nobody", 1, 42, DUE_MS * 1_000_000))


def start_twice(account: Account) -> None:
    account.acknowledged.at_most_once.clear()
    note(account, account.ledger[0])


def start_early(account: Account) -> None:
    first = account.ledger[0]
    note(account, replace(first, at_ns=first.at_ns - 1), instead=True)


def start_by_a_wrong_clock(account: Account) -> None:
    account.stored["ran"] = replace(account.stored["ran"], start_ms=DUE_MS + 10_001)


def start_after_an_abort(account: Account) -> None:
    store(
        account,
        change(ABORTED, 3, State.PENDING),
        change(ABORTED, 4, State.RUNNING, 1),
        change(ABORTED, 5, State.FAILED, 1),
    )
    note(account, Noted("start", ABORTED, 1, 42, DUE_MS * 1_000_000))


def start_again_at_most_once(account: Account) -> None:
    store(
        account,
        change("ran", 5, State.PENDING, 1),
        change("ran", 6, State.RUNNING, 2),
        change("ran", 7, State.FAILED, 2),
    )
    note(account, Noted("start", "ran", 2, 42, DUE_MS * 1_000_000))


def call_on_abort_twice(account: Account) -> None:
    note(account, account.ledger[2])


def never_call_on_abort(account: Account) -> None:
    del account.ledger[2:]  # type: ignore[attr-defined] # a list in these tests


def take_over_late(account: Account) -> None:
    account.killed[42] = DUE_MS * 1_000_000
    late = DUE_MS + 4_100
    store(
        account,
        change("late", 1, State.PENDING),
        change("late", 2, State.RUNNING, 1),
        replace(change("late", 3, State.FAILED, 1), reason="NODE_LOST", at_ms=late),
    )


def end_by_itself(account: Account) -> None:
    account.ended.append("node-1 has ended")  # type: ignore[attr-defined] # a list in these tests


def log_an_exception(account: Account) -> None:
    account.exceptions.append("Traceback")  # type: ignore[attr-defined] # a list in these tests


def end_twice(account: Account) -> None:
    store(account, change("ran", 5, State.FAILED, 1))


def claim_without_counting(account: Account) -> None:
    store(
        account,
        change("odd", 1, State.PENDING),
        change("odd", 2, State.RUNNING, 0),
        change("odd", 3, State.FAILED, 0),
    )


def miss_one(account: Account) -> None:
    del account.seen[1].changes[1]


def miss_the_last(account: Account) -> None:
    del account.seen[0].changes[3]


def repeat_one(account: Account) -> None:
    account.seen[0].changes.insert(2, account.seen[0].changes[1])


def swap_two(account: Account) -> None:
    changes = account.seen[0].changes
    changes[0], changes[1] = changes[1], changes[0]


def answer_oddly(account: Account) -> None:
    account.acknowledged.unexpected.append("INTERNAL")


def note(account: Account, noted: Noted, *, instead: bool = False) -> None:
    ledger = account.ledger
    assert isinstance(ledger, list)
    ledger[:1] = [noted] if instead else [ledger[0], noted]


PLANTED: dict[Callable[[Account], None], str] = {
    lose: "lost: acknowledged creates that are not stored",
    forget_an_abort: "acknowledged changes that history does not hold",
    forget_a_reschedule: "acknowledged changes that history does not hold",
    leave_pending: "instances that never ended",
    succeed_without_a_start: "successes that the ledger does not explain",
    succeed_before_the_code_ended: "successes that the ledger does not explain",
    start_without_a_claim: "starts that the store does not know",
    start_twice: "started twice in one attempt",
    start_early: "started early",
    start_by_a_wrong_clock: "stored start more than 10 s from that in the ledger",
    start_after_an_abort: "acknowledged abort of PENDING, and started",
    start_again_at_most_once: "at most once, and started again",
    call_on_abort_twice: "on_abort called twice",
    never_call_on_abort: "on_abort never called, and its node was not killed",
    take_over_late: "node lost undisturbed, taken over later than 2 leases",
    end_by_itself: "servers that ended by themselves",
    log_an_exception: "exceptions that nobody caught, in the servers' logs",
    end_twice: "changes that are not lawful",
    claim_without_counting: "changes that are not lawful",
    miss_one: "events missed",
    miss_the_last: "events missed",
    repeat_one: "events repeated or out of order",
    swap_two: "events repeated or out of order",
    answer_oddly: "answers that no fault explains",
}


def found(account: Account) -> set[str]:
    return {name for name, cases in judge(account).items() if cases}


def test_nothing_is_found_in_a_good_account() -> None:
    assert found(account()) == set()


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_planted_is_found_and_nothing_else(plant: Callable[[Account], None]) -> None:
    harmed = account()
    plant(harmed)
    assert found(harmed) == {PLANTED[plant]}


def test_every_check_has_something_planted_for_it() -> None:
    assert set(judge(account())) == set(PLANTED.values())


def test_a_resync_excuses_what_was_missed_and_what_comes_again() -> None:
    excused = account()
    first, second = excused.seen
    del first.changes[1]
    first.changes.append(None)
    first.changes.extend(second.changes)
    assert found(excused) == set()


def test_a_database_in_trouble_excuses_a_late_takeover_and_a_kill_a_missing_callback() -> None:
    excused = account()
    take_over_late(excused)
    trouble = (DUE_MS * 1_000_000 - 1, DUE_MS * 1_000_000)
    assert found(replace(excused, database_troubles=[trouble])) == set()
    never_call_on_abort(excused)
    excused.killed[43] = RUN + 1
    assert found(replace(excused, database_troubles=[trouble])) == set()


@pytest.mark.parametrize(
    ("pid", "at_ns", "is_found"),
    [
        pytest.param(42, RUN - 60_000_000_000, False, id="its own node, long before the abort"),
        pytest.param(42, RUN + 9_000_000_000, False, id="its own node, before it heard, perhaps"),
        pytest.param(42, RUN + 11_000_000_000, True, id="its own node, after it must have heard"),
        pytest.param(43, RUN + 1, True, id="another node, near"),
    ],
)
def test_only_the_death_of_its_own_node_excuses_a_run_for_a_missing_callback(
    pid: int, at_ns: int, is_found: bool
) -> None:
    account = aborted_while_running()
    account.killed[pid] = at_ns
    assert bool(found(account)) is is_found


def aborted_while_running() -> Account:
    """Nobody called back."""
    harmed = account()
    never_call_on_abort(harmed)
    running, aborted = change(ABORTED, 2, State.RUNNING, 1), change(ABORTED, 3, State.ABORTED, 1)
    for seen in harmed.seen:
        seen.changes[-1:] = [running, aborted]
    harmed.stored[ABORTED] = aborted
    harmed.acknowledged.aborts[ABORTED] = AckedAbort(aborted, State.RUNNING, RUN)
    return harmed


def test_the_ledger_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("start i1 2 42 1000 -30\non_abort i2 0 43 2000 0\n")
    assert read_ledger(path) == [
        Noted("start", "i1", 2, 42, 1000, -30),
        Noted("on_abort", "i2", 0, 43, 2000),
    ]
