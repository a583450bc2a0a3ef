"""How much one principal may take: how many creates in a time, and how many instances that wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from later_core.model.rate import RateLimit, parse_rate

#: Stands for every principal that is not named itself.
OTHERS = "*"

#: What a quota that bounds nothing is written as.
NONE: Final = "none"
Unbounded = Literal["none"]

#: No limit of what is PENDING is above this.
PENDING_MOST = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a token says of how much its holder may take; what it does not say (None) the settings say.

    ``create_rate``: creates by one node. ``max_pending``: instances that are PENDING at a time, in the
    whole cluster.
    """

    create_rate: RateLimit | Unbounded | None = None
    max_pending: int | Unbounded | None = None


#: Of a token that says nothing of it.
AS_SET = Quota()


def parse_create_rate(text: str) -> RateLimit | Unbounded:
    """``10/s+100``, or ``none``.

    Raises:
        ValueError: it names none.

    """
    return NONE if text.strip() == NONE else parse_rate(text)


def parse_max_pending(text: str) -> int | Unbounded:
    """``1000``, or ``none``.

    Raises:
        ValueError: neither, or beyond what can be counted.

    """
    text = text.strip()
    if text == NONE:
        return NONE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= PENDING_MOST:
        raise ValueError(f"{text[:64]!r} is no number from 1 to {PENDING_MOST:,}, and not none")
    return int(text)


def parse_pending_limits(text: str) -> Mapping[str, int | None]:
    """Limits by principal: ``ci=1000, *=50000, batch=none``.

    Raises:
        ValueError: it names none, or a principal twice.

    """
    limits: dict[str, int | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        principal, equals, limit = (word.strip() for word in part.rpartition("="))
        if not principal or not equals:
            raise ValueError(f"{part!r} is not principal=number; write ci=1000, or ci=none")
        if principal in limits:
            raise ValueError(f"{principal!r} has two limits")
        most = parse_max_pending(limit)
        limits[principal] = None if most == NONE else most
    return limits
