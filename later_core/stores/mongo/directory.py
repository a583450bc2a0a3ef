"""The directory of the embedded database: where each file is, and who may use it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

from later_core.errors import DataDirectoryInUse, SettingInvalid

#: sockaddr_un holds 108 bytes on Linux, 104 on macOS; longer paths cannot be bound.
_SOCKET_PATH_MAX = 100


class DataDirectory:
    """A directory held by this process alone, from enter to exit.

    The lock is the kernel's (flock): it ends with the process however that dies, so a file left by
    a killed server never stands in the way. Entering creates what is missing, for the user alone
    (0700): the socket in it is the only door to a database that asks nobody for a password.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.database = self.path / "db"
        self.log = self.path / "mongod.log"
        self.old_log = self.path / "mongod.log.1"
        #: What mongod, or the linker before it, says when it cannot even begin to log.
        self.output = self.path / "mongod.out"
        self.socket = self.path / "mongod.sock"
        self._lock = self.path / "server.lock"
        self._lock_fd: int | None = None
        self._short: Path | None = None

    def __enter__(self) -> Self:
        """Take the directory.

        Raises:
            DataDirectoryInUse: another process has it.
            SettingInvalid: it cannot be created or written.

        """
        try:
            self._prepare()
            self._take_lock()
            if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
                self._short = Path(tempfile.mkdtemp(prefix="later-"))
                self.socket = self._short / "mongod.sock"
        except OSError as error:
            self._release()
            raise SettingInvalid(
                "data_dir", f"cannot use {error.filename or self.path}: {error.strerror}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None
        self._release()

    def _prepare(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.database.mkdir(mode=0o700, exist_ok=True)

    def _take_lock(self) -> None:
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(self._lock)
            os.close(lock)
            raise DataDirectoryInUse(str(self.path), holder) from None
        except OSError:
            os.close(lock)
            raise
        self._lock_fd = lock
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())

    def _release(self) -> None:
        # The file stays: to remove it would race with a process that has just opened it.
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _read_pid(path: Path) -> int | None:
    """The process id that a lock file names, None where it names none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
