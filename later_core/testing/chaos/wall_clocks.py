"""Wall clocks that are wrong, each node's in its own way, and can be set while the node runs.

Later reads time that decides anything from MongoDB, so a wrong clock must change nothing. The clock
of the machine stays as it is: what is wrong is what Python code in the servers is told
(``wrong_clock.py``), and not their monotonic clock. Libraries in C that ask for themselves are told
the truth. A preloaded library can lie to them too, and was tried; but the kernel's timers cannot be
deceived, and so libfaketime 0.9.10 breaks ``time.sleep``, and under a later one threads of gRPC spin
because the moments for which they wait have passed by the kernel's clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from later_core.testing.chaos import wrong_clock

#: Within so many seconds a process sees that its clock was set.
SEEN_SECONDS = 1.1

_TRIAL_SECONDS = 17.0
#: Some of them tell whole seconds.
_TOLERANCE_SECONDS = 1.5
_TRIAL = """
import datetime, json, time
from later_core.testing.chaos.true_clock import true_ns
begun = time.monotonic()
time.sleep(0.05)
true = true_ns() / 1e9
utc = datetime.timezone.utc
print(json.dumps([
    time.time() - true,
    time.time_ns() / 1e9 - true,
    time.clock_gettime(time.CLOCK_REALTIME) - true,
    datetime.datetime.now(utc).timestamp() - true,
    datetime.datetime.utcnow().replace(tzinfo=utc).timestamp() - true,
    datetime.datetime.today().timestamp() - true,
    time.mktime(time.localtime()) - true,
    time.monotonic() - begun,
]))
"""


class WallClock:
    """One node's wall clock, in all its lives: how wrong it is, in a file that the node reads.

    ``environment`` is what makes it so, beside PYTHONPATH.
    """

    def __init__(self, file: Path, *, wrong_seconds: float = 0.0) -> None:
        self._file = file
        self.environment = {wrong_clock.FILE: str(file)}
        self.set(wrong_seconds)

    def set(self, wrong_seconds: float) -> None:
        """From now on it shows so much too much; seen within ``SEEN_SECONDS``."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{wrong_seconds:+.3f}\n", encoding="ascii")
        new.replace(self._file)


def install(directory: Path) -> Path:
    """What makes the clocks wrong, as a directory for PYTHONPATH: Python imports it at its start."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(wrong_clock.__file__, directory / "sitecustomize.py")
    return directory


async def try_out(installed: Path, file: Path, *, python_path: str = "") -> None:
    """Start a process whose clock is wrong, and look at what it sees; ``file`` is one for the trial.

    Raises:
        RuntimeError: that is not what it should see.

    """
    clock = WallClock(file, wrong_seconds=_TRIAL_SECONDS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", _TRIAL),
        env={
            **clock.environment,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(installed), python_path])),
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    if process.returncode or err:
        raise RuntimeError(f"no clock can be made wrong: {err.decode(errors='replace')}")
    *shown, passed = json.loads(out)
    if any(abs(one - _TRIAL_SECONDS) > _TOLERANCE_SECONDS for one in shown):
        raise RuntimeError(f"clocks show {shown} s too much instead of {_TRIAL_SECONDS:g}")
    if passed > _TOLERANCE_SECONDS:
        raise RuntimeError(f"the monotonic clock went on by {passed} s")
