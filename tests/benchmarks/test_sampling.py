from __future__ import annotations

from benchmarks.harness.sampling import read

RUN = "run (/venv/lib/python3.11/asyncio/runners.py)"
CLAIM = "claim (/src/later_core/engine/dispatcher.py)"
ENCODE = "encode (/venv/lib/python3.11/site-packages/bson/__init__.py)"


def test_time_is_told_by_function_and_by_library():
    samples = read([f"{RUN};{CLAIM} 6", f"{RUN};{CLAIM};{ENCODE} 3", f"{RUN} 1"])
    assert samples.total == 10
    assert samples.by_library() == "later_core 60%, bson 30%, python 10%"
    first, second, _ = samples.top(3)
    assert first.split() == [
        "60.0%",
        "own",
        "90.0%",
        "in",
        "all",
        "later_core/engine/dispatcher.py",
        "claim",
    ]
    assert second.split() == ["30.0%", "own", "30.0%", "in", "all", "bson/__init__.py", "encode"]


def test_a_function_that_calls_itself_counts_once_in_all():
    samples = read(["f (/src/later_core/a.py);f (/src/later_core/a.py) 4"])
    assert samples.top(1)[0].split()[2:4] == ["100.0%", "in"]
