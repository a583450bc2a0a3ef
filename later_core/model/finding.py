"""What an examination of a deployment has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """OK: as it should be. WARN: it works, and somebody should know. FAIL: a promise is not kept now."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. ``found`` is a sentence; ``remedy`` says what to do unless it is OK."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """As it should be."""
    return Finding(check=check, verdict=Verdict.OK, found=found)


def warn(check: str, found: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(check=check, verdict=Verdict.WARN, found=found, remedy=remedy)


def fail(check: str, found: str, remedy: str) -> Finding:
    """A promise is not kept now."""
    return Finding(check=check, verdict=Verdict.FAIL, found=found, remedy=remedy)
