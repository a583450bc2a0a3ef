"""APScheduler 3: adds jobs, or runs them.

Jobs are added through a scheduler that is started paused, as its documentation offers, so that each is stored
at once; a job store must not be shared between schedulers, and so nothing else runs meanwhile.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import records
from apscheduler.events import EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from pymongo import MongoClient


async def job(index: int, planned_ms: int, payload: str) -> None:
    records.started(index, planned_ms)


def plain_job(index: int, planned_ms: int, payload: str) -> None:
    records.started(index, planned_ms)


def options(wanted: dict[str, Any]) -> dict[str, Any]:
    uri, database = wanted["uri"], wanted["database"]
    if wanted["durable"]:
        store = MongoDBJobStore(database, client=MongoClient(uri, w="majority", journal=True))
    else:
        store = MongoDBJobStore(database, host=uri)
    return {
        "jobstores": {"default": store},
        # By default a job that is late by more than one second never runs.
        "job_defaults": {"misfire_grace_time": None},
        "timezone": UTC,
    }


def add(wanted: dict[str, Any]) -> float:
    scheduler = BackgroundScheduler(**options(wanted))
    scheduler.start(paused=True)
    function = plain_job if wanted["threads"] else job
    payload = wanted["jobs"]["payload"]
    began = time.perf_counter()
    for index, due_ms in records.dues(wanted["jobs"]):
        scheduler.add_job(
            function,
            "date",
            run_date=datetime.fromtimestamp(due_ms / 1e3, UTC),
            args=(index, due_ms, payload),
            id=str(index),
        )
    seconds = time.perf_counter() - began
    scheduler.shutdown()
    return seconds


def tell(event: JobExecutionEvent) -> None:
    records.ended(int(event.job_id))


async def run(wanted: dict[str, Any]) -> None:
    kind = BackgroundScheduler if wanted["threads"] else AsyncIOScheduler
    scheduler = kind(**options(wanted))
    scheduler.add_listener(tell, EVENT_JOB_EXECUTED)
    scheduler.start()
    records.ready()
    await asyncio.Event().wait()


def main() -> None:
    records.end_with_caller()
    wanted = records.configuration()
    if wanted["do"] == "add":
        records.answer(add(wanted))
    else:
        records.open_starts(wanted["starts"])
        asyncio.run(run(wanted))


if __name__ == "__main__":
    # Jobs are stored by the name of their function: that of a module, not of __main__.
    import apscheduler3

    apscheduler3.main()
