"""The floor of a watch: a process that reads the change stream of the instances and does nothing else.

``BareReader`` is the side of the program, the rest runs in the process: it prints a line once the stream is
open, and when it is asked how old the changes were when they had been read.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

import pymongo
from bson import Int64

from benchmarks.harness.beside import Beside
from benchmarks.harness.statistics import quantile

_SECONDS = 60.0
#: What the server's feed asks for too.
_EVENTS = 1_000
_WAIT_MS = 1_000

# -- the side of the program -------------------------------------------------------------------


class BareReader(Beside):
    """Entering starts it and waits until its stream is open."""

    def __init__(self, uri: str, database: str) -> None:
        super().__init__("benchmarks.bare.changes", uri, database)

    async def seen(self) -> dict[str, Any]:
        """The age of the changes that it has read, as it read them: ``delay_p50_ms``, ``delay_p99_ms``."""
        return await self.ask("over", seconds=_SECONDS)


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
        sys.stdin.readline()
        is_over.set()

    threading.Thread(target=wait, daemon=True).start()
    ages = sorted(_read(uri, database, is_over))
    told = {"delay_p50_ms": quantile(ages, 0.5), "delay_p99_ms": quantile(ages, 0.99)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("database")
    _main(**vars(parser.parse_args()))
