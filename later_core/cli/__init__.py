"""The words people type: the ``later`` command.

Exit codes: 0 done; 1 the operation failed (not found, no server, the instance failed); 2 wrong
usage, a wrong request or a wrong setting; 130 interrupted; 141 nobody read the output.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run ``later`` with these arguments (None: those of the process) and return its exit code."""
    # gRPC's core reads it when it is loaded. What it writes at every failed handshake would stand
    # between our lines; whoever wants it can still ask for it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - told to a library, no setting
    from later_core.cli.failure import guarded
    from later_core.cli.group import later

    return guarded(lambda: later.main(args, prog_name="later", standalone_mode=False))
