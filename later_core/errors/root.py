"""What all of it has in common."""

from __future__ import annotations

from typing import ClassVar


class LaterError(Exception):
    """Everything that Later raises on purpose. ``str(error)`` is one line for people."""

    reason: ClassVar[str] = "UNKNOWN"

    @property
    def metadata(self) -> dict[str, str]:
        """The data of the error as text, for ``ErrorInfo.metadata``; holds nothing internal."""
        return {}
