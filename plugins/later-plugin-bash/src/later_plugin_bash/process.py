"""One command in a process group of its own, which never outlives the call.

The number of a process may go to another one as soon as its end has been collected. So the group
is signalled only while bash, its leader, runs or waits as a zombie, and collected last.
"""

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Between SIGTERM and SIGKILL, in seconds; less than the server waits for a stopped run.
GRACE = 2.0
#: How long output is read after bash has ended while something else still holds it open, in seconds.
LINGER = 1.0
#: How long the kernel may take to end what was killed, in seconds.
_DEATH = 2.0
#: Of each stream so many bytes are kept from its beginning, and so many from its end.
HALF_KEPT = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended by itself. ``exit_code`` is 128 + n after signal n, as shells say it."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool


class Output(asyncio.Protocol):
    """Reads a stream to its end, always, and keeps its beginning and its end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.left_out = 0
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def data_received(self, data: bytes) -> None:
        room = HALF_KEPT - len(self._head)
        self._head += data[:room]
        rest = data[room:]
        if not rest:
            return
        self._tail.append(rest[-HALF_KEPT:])
        self.left_out += len(rest) - len(self._tail[-1])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= HALF_KEPT:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self.left_out += dropped

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def text(self) -> str:
        """What was kept; a line in the middle says how much was not."""
        tail = b"".join(self._tail)
        excess = max(len(tail) - HALF_KEPT, 0)
        left_out = self.left_out + excess
        gap = f"\n[{left_out} bytes left out]\n".encode() if left_out else b""
        return (bytes(self._head) + gap + tail[excess:]).decode(errors="replace")

    @property
    def is_truncated(self) -> bool:
        """Whether something was left out."""
        return self.left_out > 0 or self._tail_size > HALF_KEPT


async def run_command(
    command: str, *, env: Mapping[str, str], cwd: str | None, stdin: bytes
) -> Finished:
    """Run ``bash -c`` to its end. Cancelled, it ends the whole process group before it returns.

    Raises:
        OSError: bash could not be started.

    """
    loop = asyncio.get_running_loop()
    stdout, stderr = Output(), Output()
    transports: list[asyncio.ReadTransport] = []
    # Nothing is awaited between the start and the try: no cancellation can lose the process.
    group = _Group(command, env=env, cwd=cwd, stdin=stdin)
    try:
        for output, pipe in ((stdout, group.stdout), (stderr, group.stderr)):
            transport, _ = await loop.connect_read_pipe(functools.partial(_same, output), pipe)
            transports.append(transport)
        await group.exited.wait()
        await _read_out(stdout, stderr, seconds=LINGER)
        group.signal(signal.SIGKILL)
        await _read_out(stdout, stderr, seconds=LINGER)
    finally:
        for transport in transports:
            transport.close()
        await group.end()
    return Finished(
        exit_code=group.exit_code,
        stdout=stdout.text(),
        stderr=stderr.text(),
        truncated=stdout.is_truncated or stderr.is_truncated,
    )


class _Group:
    """Bash as the leader of a new process group, started by the constructor, ended by ``end``."""

    def __init__(
        self, command: str, *, env: Mapping[str, str], cwd: str | None, stdin: bytes
    ) -> None:
        with _readable(stdin) as source:
            self._process = subprocess.Popen(
                [*bash(), "-c", command],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        assert self._process.stdout
        assert self._process.stderr
        self.stdout, self.stderr = self._process.stdout, self._process.stderr
        self.exited = asyncio.Event()
        try:
            self._watch = os.pidfd_open(self._process.pid)
        except OSError:
            self.signal(signal.SIGKILL)
            self._process.communicate()
            raise
        asyncio.get_running_loop().add_reader(self._watch, self.exited.set)

    @property
    def exit_code(self) -> int:
        """The exit code of bash, after ``end``; 128 + n where signal n ended it."""
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Signal all of the group. Bash is not collected yet, so its number is still its own."""
        # Not permitted: all that is left of it runs as another user (sudo).
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def end(self) -> None:
        """Ask the group to end, insist, and collect bash; holds also when cancelled meanwhile."""
        try:
            if not self.exited.is_set():
                self.signal(signal.SIGTERM)
                await _within(GRACE, self.exited)
        finally:
            self.signal(signal.SIGKILL)
            try:
                await _within(_DEATH, self.exited)
            finally:
                asyncio.get_running_loop().remove_reader(self._watch)
                os.close(self._watch)
                self._process.poll()
                for pipe in (self.stdout, self.stderr):
                    pipe.close()


@functools.cache
def bash() -> tuple[str, ...]:
    """How bash is called; by way of ``setpriv``, if there is one, so that it dies with the server."""
    shell = shutil.which("bash") or "bash"
    tool = shutil.which("setpriv")
    if tool is None:
        return (shell,)
    prefix = (tool, "--pdeathsig", "KILL", "--")
    try:
        trial = subprocess.run(
            [*prefix, shell, "-c", ":"], check=False, capture_output=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return (shell,)
    return (*prefix, shell) if trial.returncode == 0 else (shell,)


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """A file descriptor to read the data from, in memory: nobody has to feed a pipe."""
    if not data:
        yield subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("stdin"), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _same(output: Output) -> Output:
    return output


async def _read_out(*outputs: Output, seconds: float) -> None:
    """Return once all streams have ended, or after this many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for output in outputs:
                await output.ended.wait()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
