"""The floor of a watch: a process that reads the change stream of the instances and does nothing else.

``BareReader`` is the side of the program, the rest runs in the process: it prints a line once the stream is
open, and when its input ends how old the changes were when they had been read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Self

import pymongo
from bson import Int64

from benchmarks.harness.statistics import quantile

_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[2]
#: What the server's feed asks for too.
_EVENTS = 1_000
_WAIT_MS = 1_000

# -- the side of the program -------------------------------------------------------------------


class BareReader:
    """Entering starts it and waits until its stream is open."""

    def __init__(self, uri: str, database: str) -> None:
        self._arguments = (uri, database)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bare.changes", *self._arguments),
            cwd=_ROOT,
            env={"PATH": os.defpath},
            stdin=PIPE,
            stdout=PIPE,
        )
        try:
            await self._answer()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    async def seen(self) -> dict[str, Any]:
        """How many changes it has read so far, and their age then: ``delay_p50_ms``, ``delay_p99_ms``."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _SECONDS)
        if not line:
            raise RuntimeError("the reader of the change stream has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


# -- the process -------------------------------------------------------------------------------


def _read(uri: str, database: str, is_over: threading.Event) -> list[float]:
    """Ages in milliseconds of all changes until then, by the wall clock that MongoDB has too."""
    ages: list[float] = []
    with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        base = client[database]
        with client.start_session(causal_consistency=False) as session:
            stream = base.command(
                "aggregate",
                "instances",
                pipeline=[{"$changeStream": {"fullDocument": "required"}}],
                cursor={"batchSize": 0},
                session=session,
            )
            print(json.dumps({"ready": True}), flush=True)
            while not is_over.is_set():
                reply = base.command(
                    "getMore",
                    Int64(stream["cursor"]["id"]),
                    collection="instances",
                    batchSize=_EVENTS,
                    maxTimeMS=_WAIT_MS,
                    session=session,
                )
                now = time.time()
                ages += (
                    (now - change["wallTime"].timestamp()) * 1000
                    for change in reply["cursor"]["nextBatch"]
                )
    return ages


def _main(uri: str, database: str) -> None:
    is_over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=wait, daemon=True).start()
    ages = sorted(_read(uri, database, is_over))
    told = {
        f"delay_p{name}_ms": quantile(ages, share) if ages else None
        for name, share in (("50", 0.5), ("99", 0.99))
    }
    print(json.dumps({"count": len(ages), **told}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("database")
    _main(**vars(parser.parse_args()))
