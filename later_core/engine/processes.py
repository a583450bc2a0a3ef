"""An attempt in a process of its own, which can be killed: whatever the code does, it ends there."""

from __future__ import annotations

import asyncio
import copyreg
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from types import MappingProxyType
from typing import Any

from later_core.model.instance import InstanceError
from later_core.model.limits import RESULT_MAX_BYTES
from later_core.model.outcome import Failed, Outcome
from later_core.plugin.context import Context
from later_core.plugin.task import Task

#: What an outcome may have at the most when it is packed: its result and a few texts.
_MOST = RESULT_MAX_BYTES + 1_000_000
_LENGTH = 8
COMMAND = ("-m", "later_core.engine.child")


async def run_in_process(task: Task, context: Context, began: Callable[[], None]) -> Outcome:
    """Call ``task.run`` in a process of its own and answer what comes of it.

    ``began`` is called in the moment before the code can begin. However this ends, by an answer, an
    exception or a cancellation, the process and those of its group are killed by then; and if the
    server itself is killed, they kill themselves.
    """
    limit = task.memory_limit
    order = _pack((task, context.instance, context.deadline, context.trace_parent))
    message = pickle.dumps((list(sys.path), limit, order))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        began()
        with suppress(ConnectionError):  # it died: its answer, or the want of one, tells
            process.stdin.write(len(message).to_bytes(_LENGTH) + message)
            await process.stdin.drain()
        answer = await _read(process.stdout)
    finally:
        await _end(process)
    if answer is None:
        return _died(process.returncode or 0)
    # Written by this very module's other half, in a process that this one has started.
    outcome: Outcome | int = pickle.loads(answer)  # noqa: S301 - as it says above
    return _died(outcome) if isinstance(outcome, int) else outcome


def _pack(order: object) -> bytes:
    """Pickled, the read-only mappings of an instance too."""
    packed = BytesIO()
    pickler = pickle.Pickler(packed)
    pickler.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _reduce}
    pickler.dump(order)
    return packed.getvalue()


def _reduce(mapping: Mapping[Any, Any]) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    return read_only, (dict(mapping),)


def read_only(mapping: dict[Any, Any]) -> Mapping[Any, Any]:
    """What a read-only mapping is made of again, in the other process."""
    return MappingProxyType(mapping)


async def _read(stream: asyncio.StreamReader) -> bytes | None:
    """The answer; None where the process died without one."""
    try:
        length = int.from_bytes(await stream.readexactly(_LENGTH))
        return await stream.readexactly(length) if length <= _MOST else None
    except asyncio.IncompleteReadError:
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """The end of its standard input tells the child to kill its group, and to go."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await process.wait()
    finally:
        if process.returncode is None:  # cancelled once more: no more patience
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _died(code: int) -> Failed:
    """``code`` as ``returncode`` has it: below zero, the signal that killed it."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        why = " (whoever runs out of memory dies so)" if -code == signal.SIGKILL else ""
        message = f"its process was killed by {name}{why}"
    else:
        message = f"its process ended with exit code {code} and no answer"
    return Failed(error=InstanceError(reason="PROCESS_DIED", message=message), is_crash=True)
