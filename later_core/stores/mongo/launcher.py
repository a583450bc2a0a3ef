"""Become mongod, and go down when the server does.

Run as a script, in a process of its own: ``launcher.py SERVER_PID PROGRAM ARGUMENT...``. It asks
the kernel for SIGTERM at the death of its parent, which even a kill -9 cannot skip, and then turns
into the program (the request stays, see prctl(2)). A script rather than code between fork and exec
of the server: there, with other threads around, nothing but exec is safe. Imports the standard
library alone, since nothing else need be found with ``-I -S``.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

#: As a shell says it: found, and cannot be run.
CANNOT_RUN = 126


def main(server: int, command: list[str]) -> None:
    """Replace this process by the command; does not return."""
    _die_with_parent()
    if os.getppid() != server:
        sys.exit("the server is gone")  # it died before the kernel was asked
    try:
        os.execv(command[0], command)  # noqa: S606 -- no shell is the point
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_RUN)


def _die_with_parent() -> None:
    try:
        import ctypes
    except ImportError:
        return  # a Python built without libffi; then the next start stops what was left
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
