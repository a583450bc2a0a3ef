"""The process in which one attempt runs: ``python -m later_core.engine.child``.

Only ``engine/processes.py`` starts it. Two processes in fact: a keeper, which runs nothing of a plugin,
and a worker, which runs the task and leads a group of its own with whatever that starts. The keeper kills
this group when the server closes the pipe, be it on purpose or because it died; and when the worker
has died, it tells the server how.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import select
import signal
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO

_LENGTH = 8
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> int:
    """Keep the worker; the exit code is 0 whatever becomes of it."""
    message = _read(sys.stdin.buffer)
    if message is None:
        return 0  # nobody wants it any more
    answer = os.dup(1)
    # What plugins print must not be taken for the answer.
    os.dup2(2, 1)
    keeper = os.getpid()
    worker = os.fork()
    if worker == 0:
        os.setpgid(0, 0)
        _die_with(keeper)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _work(message, answer)
    with suppress(OSError):  # the worker may have done it, or be gone
        os.setpgid(worker, worker)
    status = _keep(worker)
    if status is not None and status != 0:
        _write(answer, pickle.dumps(status))
    return 0


def _keep(worker: int) -> int | None:
    """Wait for the worker or for the end of the pipe; kill what is left. None: it was killed from here."""
    ended = os.pidfd_open(worker)
    ready, _, _ = select.select([ended, 0], [], [])
    if ended in ready:
        # Not awaited yet: until then its id, which is its group's, is nobody else's.
        _kill_group(worker)
        _, status = os.waitpid(worker, 0)
        return os.waitstatus_to_exitcode(status)
    _kill_group(worker)
    os.waitpid(worker, 0)
    return None


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _die_with(keeper: int) -> None:
    """Should the keeper be killed, this process is too (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)


def _work(message: bytes, answer: int) -> None:
    code = 1
    try:
        outcome = _run(message)
        _write(answer, outcome)
        code = 0
    except MemoryError:
        os.write(2, b"later: no memory left to tell how the attempt went\n")
    finally:
        # No exit handlers of a plugin, no threads of it that are waited for.
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(message: bytes) -> bytes:
    """The outcome, packed."""
    path, memory_limit, order = pickle.loads(message)  # noqa: S301 - from the server that started this process
    sys.path[:] = path

    from later_core.engine.judgement import judge_error, judge_result
    from later_core.plugin.context import Context
    from later_core.plugin.task import Task

    try:
        task: Task
        deadline: datetime | None
        task, instance, deadline, trace_parent = pickle.loads(order)  # noqa: S301 - as above
        context = Context(instance=instance, deadline=deadline, log=_log())
        context.trace_parent = trace_parent
        if memory_limit is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (memory_limit, hard))
        outcome = judge_result(task.run(context))
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        outcome = judge_error(error)
    if memory_limit is not None:
        # To tell how it went must not fail for want of what the task has taken.
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return pickle.dumps(outcome)


def _log() -> Any:
    """Lines of JSON on the server's standard error."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=repr),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    return structlog.get_logger("later_core.plugin")


def _read(stream: BinaryIO) -> bytes | None:
    length = stream.read(_LENGTH)
    message = stream.read(int.from_bytes(length)) if len(length) == _LENGTH else b""
    return message if message and len(message) == int.from_bytes(length) else None


def _write(answer: int, packed: bytes) -> None:
    with os.fdopen(answer, "wb") as stream:
        stream.write(len(packed).to_bytes(_LENGTH) + packed)


if __name__ == "__main__":
    sys.exit(main())
