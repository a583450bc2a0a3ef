"""The words people type: the ``later`` command.

Exit codes: 0 done; 1 the operation failed (not found, no server, the instance failed); 2 wrong
usage, a wrong request or a wrong setting; 130 interrupted; 141 nobody read the output.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run ``later`` with these arguments (None: those of the process) and return its exit code."""
    from later_core.cli.failure import guarded
    from later_core.cli.group import later

    return guarded(lambda: later.main(args, prog_name="later", standalone_mode=False))
