"""Celery with an ETA, on a Redis of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from benchmarks.peers.contract import Place, Unavailable
from benchmarks.peers.environments import python_environment
from benchmarks.peers.program import PROGRAMS, ProgramPeer, answer_of, last_words

_REQUIREMENTS = {"celery[redis]": "5.7.0", "redis": "8.1.0"}
_REDIS_SECONDS = 20


class Celery(ProgramPeer):
    """A worker with as many processes as there are cores, and the broker."""

    name = "celery"
    title = "Celery with ETA, Redis (append-only file, fsync each second)"
    runs_while_adding = True
    recovery = "the visibility timeout of Redis, 1 hour by default, runs out"

    def __init__(self, *, pool: str = "prefork", prefetch: int = 64) -> None:
        options = [
            f"--pool={pool}",
            f"--concurrency={os.cpu_count() or 1}",
            f"--prefetch-multiplier={prefetch}",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=WARNING",
        ]
        super().__init__(options=options)
        self._python = Path()
        self._redis: Process | None = None

    async def install(self, cache: Path) -> dict[str, str]:
        binary = shutil.which("redis-server")
        if binary is None:
            raise Unavailable("needs redis-server on PATH: apt-get install redis-server")
        wanted = [f"{name}=={version}" for name, version in _REQUIREMENTS.items()]
        self._python = await python_environment(cache / "celery", wanted)
        asking = await asyncio.create_subprocess_exec(binary, "--version", stdout=PIPE)
        said, _ = await asking.communicate()
        version = next(word[2:] for word in said.decode().split() if word.startswith("v="))
        return {**_REQUIREMENTS, "redis-server": version}

    @property
    def command(self) -> list[str]:
        return [str(self._python), str(PROGRAMS / "celery_tasks.py")]

    def broker_pids(self) -> list[int]:
        return [self._redis.pid] if self._redis else []

    async def open(self, place: Place) -> None:
        self._place = place
        port = _free_port()
        log = place.directory / "redis.log"
        with log.open("ab") as output:
            self._redis = await asyncio.create_subprocess_exec(
                "redis-server",
                *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(place.directory)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        self._options["broker"] = f"redis://127.0.0.1:{port}/0"
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                await _until_listening(port)
        except TimeoutError:
            await self.close()
            raise Unavailable(f"redis-server does not start: {last_words(log)}") from None

    async def stored(self) -> set[int]:
        answer = await answer_of(
            self.command, self._options | {"do": "list", "recovery": None}, self._log, seconds=60
        )
        return set(answer["stored"])

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if redis is not None and redis.returncode is None:
            redis.kill()  # what it holds is thrown away
            await redis.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
