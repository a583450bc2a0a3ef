"""A caller, and what holds it: what the server tells whoever asks who it is."""

from __future__ import annotations

from dataclasses import dataclass

from later_core.model.principal import Principal
from later_core.model.rate import RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """``create_rate`` and ``max_pending`` are those in force, be they its token's or the settings'; None:
    nothing bounds it.
    """

    principal: Principal
    create_rate: RateLimit | None = None
    max_pending: int | None = None
