"""One run of the embedded mongod: how it is started, stopped, and what it says when it cannot run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from pathlib import Path

from later_core.errors import MongodFailed
from later_core.stores.mongo import launcher
from later_core.stores.mongo.directory import DataDirectory

#: The name of the replica set; kept in the data, so it never changes.
REPLICA_SET = "later"

_STOP_SECONDS = 20.0
_LOG_BYTES_MAX = 8 * 1024 * 1024
_TAIL_BYTES = 4_000

#: What is found in its words, and what a person should know of it.
_KNOWN_FAILURES = (
    (
        "error while loading shared libraries",
        "a shared library is missing; install OpenSSL 3 (libssl3), or a mongod made for this system",
    ),
    ("No space left on device", "the disk of its data directory is full"),
    ("Read-only file system", "the file system of its data directory is read-only"),
    ("incompatible with this version", "its data was written by another version of MongoDB"),
    ("Exec format error", "it is not made for this machine; install one that is"),
)


def _arguments(binary: Path, directory: DataDirectory) -> list[str]:
    return [
        str(binary),
        f"--dbpath={directory.database}",
        f"--replSet={REPLICA_SET}",
        # Nothing but a socket in a private directory: no port to find, to guess or to collide on.
        f"--bind_ip={directory.socket}",
        "--nounixsocket",  # the one that it would add in /tmp
        "--filePermissions=0600",
        f"--logpath={directory.log}",
        "--logappend",
        "--logRotate=reopen",
        "--quiet",
        "--oplogSize=1024",  # MB; the history that a subscriber can resume from
        "--wiredTigerCacheSizeGB=0.25",  # the least that it takes
        # How long a moment can be read at: what a slow export of millions takes, and some.
        "--setParameter=minSnapshotHistoryWindowInSeconds=900",
        "--setParameter=diagnosticDataCollectionEnabled=false",
        # Without other members there is nobody to wait for.
        "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0",
    ]


async def spawn(binary: Path, directory: DataDirectory) -> Process:
    """Start it, in a session of its own: a Ctrl-C in the terminal is the server's to handle.

    Raises:
        MongodFailed: it could not be started at all.

    """
    command = _arguments(binary, directory)
    if sys.platform == "linux":
        script = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())]
        command = [*script, *command]
    try:
        directory.socket.unlink(missing_ok=True)
        rotate_log(directory, None)
        with directory.output.open("wb") as output:
            return await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=output, stderr=STDOUT, start_new_session=True
            )
    except OSError as error:
        raise MongodFailed(f"{error.filename or binary}: {error.strerror}") from error


async def stop(process: Process) -> None:
    """In order if it can be, by force if it must; never returns while it lives, even if cancelled.

    Force loses nothing: what was acknowledged is in the journal.
    """
    if process.returncode is not None:
        return
    try:
        process.terminate()
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except (TimeoutError, ProcessLookupError):
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def rotate_log(directory: DataDirectory, process: Process | None) -> None:
    """Once the log is large, set it aside (over the last one) and let a running mongod begin anew."""
    try:
        if directory.log.stat().st_size < _LOG_BYTES_MAX:
            return
        directory.log.replace(directory.old_log)
    except FileNotFoundError:
        return
    if process is not None and process.returncode is None:
        process.send_signal(signal.SIGUSR1)


def how_it_ended(process: Process, directory: DataDirectory) -> str:
    """Why a mongod ended, or has not become ready; in one line."""
    code = process.returncode
    if code == -signal.SIGILL:
        return "this processor is too old for it (MongoDB 5 and newer need AVX)"
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    words = last_words(directory)
    for sign, meaning in _KNOWN_FAILURES:
        if sign in words:
            return meaning
    how = "it was not ready in time" if code is None else f"exit code {code}"
    return f"{how}: {_last_complaint(words) or f'its log is {directory.log}'}"


def failure(process: Process, directory: DataDirectory) -> MongodFailed:
    """The error for a mongod that did not start."""
    return MongodFailed(how_it_ended(process, directory), last_words(directory))


def last_words(directory: DataDirectory) -> str:
    """The end of what it said in its last run; what it says outside of its log comes first."""
    log = _tail(directory.log)
    # mongod writes this where it begins to append to the log of an earlier run.
    return _tail(directory.output) + log.rpartition("SERVER RESTARTED")[2]


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _last_complaint(words: str) -> str:
    """The last error or fatal entry of its log (JSON, one a line), or its last plain line."""
    plain = ""
    for line in reversed(words.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            plain = plain or line.strip()
            continue
        if isinstance(entry, dict) and entry.get("s") in {"E", "F"}:
            detail = entry.get("attr", {}).get("error", "")
            return f"{entry.get('msg', '')} {detail}".strip()
    return plain
