"""A task whose limits are none is refused by name, when its plugin is loaded."""

import sys
from collections.abc import Callable

import pytest

from later_core.catalog import Catalog

Install = Callable[..., None]

PLUGIN = """
import datetime
from later_core import Breaker, Task, hookimpl

class Limited(Task):
    name = "limited"
    async def run(self, context): pass
    {line}

@hookimpl
def later_tasks():
    limited = Limited()
    {then}
    return [limited]
"""


def collected(install: Install, line: str, then: str = "pass") -> Catalog:
    install("plugin-a", PLUGIN.format(line=line, then=then))
    catalog = Catalog.discover()
    catalog.collect({setting.name: setting.default for setting in catalog.settings})
    return catalog


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("time_limit = 30", "the time_limit of task 'limited' is not a timedelta"),
        (
            "time_limit = datetime.timedelta()",
            "task 'limited': a time limit goes from a millisecond to a year",
        ),
        ("concurrency_limit = True", "the concurrency_limit of task 'limited' is not an int"),
        (
            "concurrency_limit = 0",
            "task 'limited': a concurrency limit goes from 1 to 1,000,000",
        ),
        ("breaker = '5/1m'", "the breaker of task 'limited' is not a later_core.Breaker"),
        ("memory_limit = 1024", "is not a number of bytes of at least 67,108,864"),
        ("run_in = 'cellar'", "run_in of task 'limited' is neither server nor process"),
    ],
)
def test_what_is_no_limit_is_refused(install: Install, line: str, reason: str) -> None:
    (rejected,) = collected(install, line).rejected
    assert reason in rejected.reason


@pytest.mark.parametrize(
    ("line", "then", "reason"),
    [
        ("run_in = 'process'", "pass", "where run must be a plain function"),
        (
            "run_in = 'process'; run = lambda self, context: None",
            "limited.held = lambda: 1",
            "task 'limited' runs in a process and cannot be pickled",
        ),
    ],
)
def test_what_cannot_run_in_a_process_is_refused(
    install: Install, line: str, then: str, reason: str
) -> None:
    (rejected,) = collected(install, line, then).rejected
    is_possible = sys.platform == "linux"
    assert (reason if is_possible else "which takes Linux") in rejected.reason


def test_sound_limits_are_taken(install: Install) -> None:
    catalog = collected(
        install,
        "time_limit = datetime.timedelta(seconds=1); concurrency_limit = 1;"
        " breaker = Breaker(crashes=1)",
    )
    assert catalog.rejected == ()
    assert catalog.get("limited") is not None
