"""Celery on Redis: adds tasks with an ETA, or is the worker that runs them."""

import base64
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import records
from celery import Celery
from celery.signals import task_postrun, worker_process_init, worker_ready
from redis import Redis

app = Celery("celery_tasks")
app.conf.update(
    task_ignore_result=True,  # nobody asks for a result, and so none is stored
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task
def job(index: int, planned_ms: int, payload: str) -> None:
    records.started(index, planned_ms)


def configure(wanted: dict[str, Any]) -> None:
    app.conf.broker_url = wanted["broker"]
    if wanted["recovery"] is not None:
        app.conf.broker_transport_options = {
            "visibility_timeout": wanted["recovery"],
            # Look for what is to be taken up again every 10 s and not every 100 s.
            "unacked_restore_throttle": 1,
        }


def add(wanted: dict[str, Any]) -> float:
    payload = wanted["jobs"]["payload"]
    with app.producer_pool.acquire(block=True) as producer:
        began = time.perf_counter()
        for index, due_ms in records.dues(wanted["jobs"]):
            eta = datetime.fromtimestamp(due_ms / 1e3, UTC)
            job.apply_async((index, due_ms, payload), eta=eta, producer=producer)
        return time.perf_counter() - began


def stored(wanted: dict[str, Any]) -> list[int]:
    """What waits in the queue, and what a worker has taken and not begun."""
    broker = Redis.from_url(wanted["broker"])
    messages = [json.loads(message) for message in broker.lrange("celery", 0, -1)]
    messages += [json.loads(taken)[0] for taken in broker.hvals("unacked")]
    bodies = [json.loads(base64.b64decode(message["body"])) for message in messages]
    return [arguments[0] for arguments, *_ in bodies]


def run(wanted: dict[str, Any]) -> None:
    caller = os.dup(1)
    os.dup2(2, 1)  # the worker's banner is for the log

    def say_ready(**_: Any) -> None:
        os.write(caller, b"ready\n")

    def write_starts(**_: Any) -> None:
        records.open_starts(wanted["starts"])

    def tell(args: list[Any], **_: Any) -> None:
        records.ended(args[0])

    worker_ready.connect(say_ready)
    worker_process_init.connect(write_starts)
    task_postrun.connect(tell)
    write_starts()
    app.worker_main(["worker", *wanted["options"]])


def main() -> None:
    records.end_with_caller()
    wanted = records.configuration()
    configure(wanted)
    if wanted["do"] == "add":
        records.answer(add(wanted))
    elif wanted["do"] == "list":
        print(json.dumps({"stored": stored(wanted)}))
    else:
        run(wanted)


if __name__ == "__main__":
    # Tasks are known by the name of their module, not of __main__.
    import celery_tasks

    sys.argv[0] = "celery"
    celery_tasks.main()
