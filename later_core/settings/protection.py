"""The settings that protect: what is stored from eyes, and a node from too much to do."""

from __future__ import annotations

from pydantic import Field

from later_core.settings.access import AccessSettings
from later_core.settings.forms import CreateRates, EncryptionKeys, PendingLimitsByPrincipal


class ProtectionSettings(AccessSettings):
    """Those of ``Settings`` about what is encrypted and what is refused."""

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
