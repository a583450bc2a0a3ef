"""Which process holds the other end of a connection on loopback (Linux: read from /proc)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_LOOPBACK = "0100007F"  # 127.0.0.1, as /proc/net/tcp writes it


def caller_of(
    pids: Mapping[str, int], *, port: int, accepted_at: int, proc: Path = Path("/proc")
) -> str:
    """The name of the process, among these, that connected from ``port`` to ``accepted_at``.

    Empty when it is none of them, or has ended meanwhile.
    """
    inode = _inode(proc, port, accepted_at)
    if inode:
        for name, pid in pids.items():
            if _holds(proc / str(pid) / "fd", f"socket:[{inode}]"):
                return name
    return ""


def _inode(proc: Path, port: int, accepted_at: int) -> str:
    wanted = [f"{_LOOPBACK}:{port:04X}", f"{_LOOPBACK}:{accepted_at:04X}"]
    for line in (proc / "net" / "tcp").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[1:3] == wanted:
            return words[9]
    return ""


def _holds(descriptors: Path, link: str) -> bool:
    try:
        with os.scandir(descriptors) as entries:
            return any(_is_link(Path(entry.path), link) for entry in entries)
    except (FileNotFoundError, ProcessLookupError):
        return False  # ended meanwhile


def _is_link(descriptor: Path, link: str) -> bool:
    try:
        return str(descriptor.readlink()) == link
    except FileNotFoundError:
        return False  # closed meanwhile
