"""How Python's garbage collector is set in the process of a node."""

from __future__ import annotations

import gc

#: A young generation of so many objects, where Python's own setting is 700. A claim of 1,000 instances
#: makes tens of thousands of objects, all of which are soon freed by their reference counts: collected
#: in between they only grow old.
_YOUNG = 50_000
_MIDDLE = 10
_OLD = 10


def collect_seldom() -> None:
    """Look for garbage more rarely, and never among what the start has left: code and settings."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
