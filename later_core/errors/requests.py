"""What is wrong with a request as it stands, whatever is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from later_core.errors.root import LaterError


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path in the request (``requests[3].labels``), and the remedy."""

    field: str
    description: str


class InvalidRequest(LaterError):
    """A request that can never succeed as it stands."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))

    @classmethod
    def of(cls, field: str, description: str) -> InvalidRequest:
        """The common case of one wrong field."""
        return cls([FieldViolation(field, description)])


class ResumeTokenInvalid(InvalidRequest):
    """A resume token that this store never gave out."""

    reason = "RESUME_TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__(
            [
                FieldViolation(
                    "resume_token",
                    "not a token of this server; use the resume_token of a WatchInstancesResponse"
                    " as it came, or leave it empty",
                )
            ]
        )
