"""APScheduler 4: adds schedules that are due once, or runs them."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import records
from apscheduler import AsyncScheduler, JobReleased, TaskDefaults
from apscheduler.datastores.mongodb import MongoDBDataStore
from apscheduler.triggers.date import DateTrigger


async def job(index: int, planned_ms: int, payload: str) -> None:
    records.started(index, planned_ms)


def scheduler_of(wanted: dict[str, Any]) -> AsyncScheduler:
    lease = {} if wanted["recovery"] is None else {"lease_duration": wanted["recovery"]}
    return AsyncScheduler(
        MongoDBDataStore(wanted["uri"], database=wanted["database"]),
        # By default one job of a task runs at a time.
        task_defaults=TaskDefaults(max_running_jobs=None),
        max_concurrent_jobs=wanted["concurrent"],
        **lease,
    )


async def add(wanted: dict[str, Any]) -> float:
    payload = wanted["jobs"]["payload"]
    async with scheduler_of(wanted) as scheduler:
        task = await scheduler.configure_task(job)
        dues = records.dues(wanted["jobs"])
        began = time.perf_counter()

        async def add_some() -> None:
            for index, due_ms in dues:
                due = datetime.fromtimestamp(due_ms / 1e3, UTC)
                await scheduler.add_schedule(
                    task.id, DateTrigger(due), args=(index, due_ms, payload), id=str(index)
                )

        async with asyncio.TaskGroup() as group:
            for _ in range(wanted["in_flight"]):
                group.create_task(add_some())
        return time.perf_counter() - began


async def run(wanted: dict[str, Any]) -> None:
    def tell(event: JobReleased) -> None:
        records.ended(int(event.schedule_id))

    async with scheduler_of(wanted) as scheduler:
        scheduler.subscribe(tell, JobReleased)
        await scheduler.start_in_background()
        records.ready()
        await asyncio.Event().wait()


def main() -> None:
    records.end_with_caller()
    wanted = records.configuration()
    if wanted["do"] == "add":
        records.answer(asyncio.run(add(wanted)))
    else:
        records.open_starts(wanted["starts"])
        asyncio.run(run(wanted))


if __name__ == "__main__":
    # Jobs are stored by the name of their function: that of a module, not of __main__.
    import apscheduler4

    apscheduler4.main()
