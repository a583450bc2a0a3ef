"""What an entry of the window weighs, by the interpreter's own account."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from later_core.local.window import Window

COUNT = 100_000
NOW_MS = 1_900_000_000_000

#: Its id and time included.
MOST_BYTES_AN_ENTRY = 150
#: What has a priority pays for it.
MOST_BYTES_OF_A_PRIORITY = 100


@pytest.mark.parametrize(
    ("priority", "most"),
    [
        (None, MOST_BYTES_AN_ENTRY),
        (0, MOST_BYTES_AN_ENTRY),
        (7, MOST_BYTES_AN_ENTRY + MOST_BYTES_OF_A_PRIORITY),
    ],
)
def test_an_entry_weighs_little(priority, most):
    window = Window()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(COUNT):
            # Each id and time a value of its own, as they come from the store.
            assert window.offer(
                NOW_MS + n * 7 % COUNT * 6, f"{n:032x}", now_ms=NOW_MS, priority=priority
            )
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(window) == COUNT
    assert (after - before) / COUNT < most
