"""The states of an instance and the table of lawful moves between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an instance stands. The value is the word kept in the store."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"

    @property
    def is_final(self) -> bool:
        """True once the instance has ended; only RetryInstance leads on from there."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.SUCCEEDED, State.FAILED, State.ABORTED})

#: Every lawful move. RUNNING to PENDING is a retry or a recovery; from a final state to PENDING
#: leads RetryInstance alone; PENDING to PENDING is a reschedule.
LAWFUL_MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PENDING, State.RUNNING, State.ABORTED}),
    State.RUNNING: frozenset({State.PENDING, State.SUCCEEDED, State.FAILED, State.ABORTED}),
    State.SUCCEEDED: frozenset({State.PENDING}),
    State.FAILED: frozenset({State.PENDING}),
    State.ABORTED: frozenset({State.PENDING}),
}


def is_lawful(before: State, after: State) -> bool:
    """Whether an instance may go from one state to the other."""
    return after in LAWFUL_MOVES[before]
