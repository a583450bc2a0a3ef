"""The settings that protect: data from eyes, a node from too much to do, tasks from each other."""

from __future__ import annotations

from pydantic import Field

from later_core.settings.access import AccessSettings
from later_core.settings.forms import (
    Breakers,
    ConcurrencyLimits,
    CreateRates,
    EncryptionKeys,
    PendingLimitsByPrincipal,
    TimeLimits,
)


class ProtectionSettings(AccessSettings):
    """Those of ``Settings`` about what is encrypted, what is refused, and what a task may take."""

    encryption_keys: EncryptionKeys | None = Field(
        None,
        description="File with keys (or the keys, id:base64) that encrypt parameters and results in MongoDB;"
        " the first one encrypts, all decrypt.",
    )
    create_rates: CreateRates = Field(
        "",
        validate_default=True,
        description="What each principal may have created by a node: ci=10/s+100, *=500/s+5000, batch=none.",
    )
    pending_limits: PendingLimitsByPrincipal = Field(
        "",
        validate_default=True,
        description="How many instances of each principal may be PENDING in the cluster: ci=1000, *=50000,"
        " batch=none.",
    )
    time_limits: TimeLimits = Field(
        "",
        validate_default=True,
        description="How long an attempt may take, by task, whatever its instance asks for: mail=30s, *=1h.",
    )
    concurrency_limits: ConcurrencyLimits = Field(
        "",
        validate_default=True,
        description="How many instances of a task run at once on this node: report=4, mail=none.",
    )
    breakers: Breakers = Field(
        "",
        validate_default=True,
        description="After which crashes in a row a task is left alone a while: report=5/1m+30s, *=20/1m.",
    )
