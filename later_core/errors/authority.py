"""Who may not do what he asks for."""

from __future__ import annotations

from later_core.errors.root import LaterError


class Unauthenticated(LaterError):
    """The call carries nothing that tells who asks, or something that does not hold.

    Why exactly is for the log (``detail``) and no business of a stranger's.
    """

    reason = "UNAUTHENTICATED"

    def __init__(self, detail: str, *, has_credentials: bool = False) -> None:
        self.detail = detail
        super().__init__(
            "the credentials are wrong, expired or revoked; ask for others (later tokens create)"
            if has_credentials
            else "no credentials; set LATER_TOKEN or give --token-file (other clients send the"
            " metadata authorization: Bearer TOKEN)"
        )


class PermissionDenied(LaterError):
    """The caller is known and may not do this; ``needed`` is what it lacks."""

    reason = "PERMISSION_DENIED"

    def __init__(self, principal: str, needed: str) -> None:
        self.principal = principal
        self.needed = needed
        super().__init__(f"{principal!r} may not do this; it needs {needed}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"principal": self.principal, "needed": self.needed}
