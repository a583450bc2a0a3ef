"""Export and import over a real channel, on both stores: what goes out comes in, once, and as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from later_core.model.instance import Delivery, Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.recurrence.rules import CronRule, ExcludedDates, IntervalRule, TimesRule
from later_core.model.schedule import Overlap, Progress, Schedule, ScheduleSpec
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.rpc.v1 import later_pb2 as pb
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import HOUR, SECOND, all_pages, moment_of, run

Serve = Callable[..., AbstractAsyncContextManager[Any]]
StoreIn = Callable[[str], AbstractAsyncContextManager[Store]]
PLACES = ("memory", "mongodb")


async def everything(store: Store) -> tuple[list[Instance], list[Schedule]]:
    async with store.snapshot(Filter()) as snapshot:
        instances = [instance async for page in snapshot.pages() for instance in page]
        schedules = [schedule async for page in snapshot.schedules() for schedule in page]
    return instances, schedules


async def exported(served: Any, **asked: Any) -> list[pb.ExportInstancesResponse]:
    async with asyncio.timeout(30):
        call = served.admin.ExportInstances(pb.ExportInstancesRequest(**asked))
        return [response async for response in call]


def batches(
    parts: Iterable[pb.ExportInstancesResponse], **options: bool
) -> list[pb.ImportInstancesRequest]:
    return [
        pb.ImportInstancesRequest(
            instances=part.instances,
            schedules=part.schedules,
            snapshot_time=part.snapshot_time,
            **options,
        )
        for part in parts
    ]


async def imported(
    served: Any, requests: Iterable[pb.ImportInstancesRequest]
) -> pb.ImportInstancesResponse:
    """The answers to all of them as one."""

    async def send() -> AsyncIterator[pb.ImportInstancesRequest]:
        for request in requests:
            yield request

    whole = pb.ImportInstancesResponse()
    async with asyncio.timeout(30):
        async for answer in served.admin.ImportInstances(send()):
            for mine, others in (
                (whole.instances, answer.instances),
                (whole.schedules, answer.schedules),
            ):
                for name in ("imported", "existing", "replaced", "left_out", "recovered"):
                    setattr(mine, name, getattr(mine, name) + getattr(others, name))
            whole.failures.extend(answer.failures)
    return whole


def counts(**given: int) -> pb.ImportInstancesResponse.Counts:
    return pb.ImportInstancesResponse.Counts(**given)


async def fill(store: Store, count: int = 30) -> None:
    """Some of each kind: instances of all states (two RUNNING ones), and schedules with all they can have."""
    now = await moment_of(store)
    states = [State.PENDING, State.SUCCEEDED, State.FAILED, State.ABORTED]
    past = [
        an_instance(
            f"id-{n:05d}",
            execution_time=now + (n % 7) * HOUR,
            parameters=b"p" * (n % 5),
            labels={"n": str(n % 3)},
            state=(state := states[n % 4]),
            attempt=n % 4,
            revision=n + 1,
            finish_time=now if state.is_final else None,
            result=b"r" if state is State.SUCCEEDED else b"",
        )
        for n in range(count)
    ]
    await store.restore(past, replace=False, validate_only=False)
    await run(store, "running-again")
    await run(store, "running-once", delivery=Delivery.AT_MOST_ONCE)
    spec = ScheduleSpec(
        template=NewInstance(
            task="echo", parameters=b"{}", labels={"a": "b"}, timeout=SECOND, start_deadline=HOUR
        ),
        rules=(
            CronRule(expression="0 3 * * *", time_zone="Europe/Berlin"),
            IntervalRule(every=timedelta(minutes=5)),
            TimesRule(times=(now + HOUR,)),
        ),
        exclusions=(ExcludedDates(dates=((now + HOUR).date(),), time_zone="UTC"),),
        overlap=Overlap.BUFFER_ALL,
        catchup_window=HOUR,
        max_runs=1000,
        jitter=SECOND,
    )
    progress = Progress(
        planned_until=now,
        next_time=now + HOUR,
        runs=5,
        missed=2,
        skipped=1,
        starting=(now - HOUR,),
        aborting=("running-once",),
        waiting=(now - SECOND, now),
        watched_from=now - 2 * HOUR,
        step=17,
    )
    whole = a_schedule("whole", now=now, spec=spec, progress=progress, revision=3)
    await store.insert_schedule(
        replace(whole, is_paused=True, pause_note="why", fingerprint=b"\x00f")
    )
    await store.insert_schedule(a_schedule("hourly", now=now))


@pytest.mark.parametrize("place", PLACES)
async def test_what_goes_out_comes_in_as_it_was_and_only_once(
    place: str, serve: Serve, store_in: StoreIn
) -> None:
    async with store_in(place) as store, serve(store) as source, serve() as target:
        await fill(store)
        instances, schedules = await everything(store)
        requests = batches(await exported(source))
        answer = await imported(target, requests)
        assert answer.instances == counts(imported=32, recovered=2)
        assert answer.schedules == counts(imported=2)
        assert not answer.failures

        restored, restored_schedules = await everything(target.store)
        assert restored_schedules == schedules
        known = {instance.id: instance for instance in restored}
        for instance in instances:
            if instance.state is not State.RUNNING:
                assert known.pop(instance.id) == instance
        again, once = known.pop("running-again"), known.pop("running-once")
        assert not known
        assert (again.state, again.revision, again.attempt, again.uncounted_attempts) == (
            *(State.PENDING, 3, 1),
            1,
        )
        assert once.state is State.FAILED
        assert once.error is not None
        assert once.error.reason == "NODE_LOST"

        answer = await imported(target, requests)
        assert answer.instances == counts(existing=32)
        assert answer.schedules == counts(existing=2)
        assert await everything(target.store) == (restored, restored_schedules)


@pytest.mark.parametrize("place", PLACES)
async def test_an_export_goes_on_at_its_moment(place: str, serve: Serve, store_in: StoreIn) -> None:
    async with store_in(place) as store, serve(store) as served:
        await fill(store, count=2_500)
        parts = await exported(served)
        assert parts[0].estimated_instances == 2_502
        assert len(parts) >= 4
        await store.abort("id-00000")
        for at, part in enumerate(parts):
            rest = await exported(served, resume_token=part.resume_token)
            assert [list(p.instances) for p in rest if p.instances] == [
                list(p.instances) for p in parts[at + 1 :] if p.instances
            ]
            assert [s for p in rest for s in p.schedules] == [
                s for p in parts[at + 1 :] for s in p.schedules
            ]
            assert {p.snapshot_time.ToMilliseconds() for p in rest} == {
                part.snapshot_time.ToMilliseconds()
            }


async def test_filters_choose_instances(serve: Serve) -> None:
    async with serve() as served:
        await fill(served.store)
        asked = pb.InstanceFilter(labels={"n": "1"}, states=[pb.STATE_SUCCEEDED])
        parts = await exported(served, filter=asked, only_instances=True)
        found = [exported.instance for part in parts for exported in part.instances]
        wanted = Filter(labels={"n": "1"}, states=frozenset({State.SUCCEEDED}))
        [page] = await all_pages(served.store, wanted, limit=100)
        assert [instance.id for instance in found] == [instance.id for instance in page]
        assert not [schedule for part in parts for schedule in part.schedules]


async def test_tokens_of_others_are_refused(serve: Serve, refusal: Any) -> None:
    async with serve() as served:
        [part, *_] = await exported(served)
        for token in ("x", part.resume_token[:-2], "MTIz" * 20):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await exported(served, resume_token=token)
            assert refusal(caught.value).info.reason == "RESUME_TOKEN_INVALID"


async def test_a_moment_that_is_gone_is_named_so(serve: Serve, refusal: Any) -> None:
    async with serve() as served:
        [part, *_] = await exported(served)
        served.store.forget_history()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await exported(served, resume_token=part.resume_token)
        refused = refusal(caught.value)
        assert refused.code is grpc.StatusCode.DATA_LOSS
        assert refused.info.reason == "SNAPSHOT_LOST"
        assert "minSnapshotHistoryWindowInSeconds" in refused.message


async def test_options_leave_out_pause_look_and_replace(serve: Serve, refusal: Any) -> None:
    async with serve() as source, serve() as target:
        await fill(source.store)
        parts = await exported(source)
        looked = await imported(target, batches(parts, validate_only=True))
        assert looked.instances == counts(imported=32, recovered=2)
        assert await everything(target.store) == ([], [])

        ended = await imported(target, batches(parts, only_ended=True))
        assert ended.instances == counts(imported=22, left_out=10)
        assert ended.schedules == counts(left_out=2)
        found, _ = await everything(target.store)
        assert all(instance.state.is_final for instance in found)

        paused = await imported(target, batches(parts, pause_schedules=True))
        assert paused.schedules == counts(imported=2)
        _, schedules = await everything(target.store)
        assert [s.is_paused for s in schedules] == [True, True]
        assert [s.pause_note for s in schedules] == ["paused by an import", "why"]

        for part in parts:
            for other in part.instances:
                other.instance.parameters += b"!"
            for schedule in part.schedules:
                schedule.fingerprint = b"other"
        kept = await imported(target, batches(parts))
        assert len(kept.failures) == 34
        reasons = {refusal(failure.error).info.reason for failure in kept.failures}
        assert reasons == {"INSTANCE_DIFFERS", "SCHEDULE_DIFFERS"}
        replaced = await imported(target, batches(parts, replace=True))
        assert replaced.instances == counts(replaced=32, recovered=2)
        assert replaced.schedules == counts(replaced=2)
        again = await imported(target, batches(parts, replace=True))
        assert (again.instances, again.schedules) == (counts(existing=32), counts(existing=2))


WRONG: dict[str, Callable[[pb.Instance], None]] = {
    "id": lambda i: setattr(i, "id", "no such id"),
    "no id": lambda i: i.ClearField("id"),
    "task": lambda i: setattr(i, "task", ""),
    "state": lambda i: i.ClearField("state"),
    "a future state": lambda i: setattr(i, "state", 77),
    "revision": lambda i: setattr(i, "revision", 0),
    "attempt": lambda i: setattr(i, "attempt", -1),
    "uncounted": lambda i: setattr(i, "uncounted_attempts", 5),
    "ended without a time": lambda i: setattr(i, "state", pb.STATE_SUCCEEDED),
    "time": lambda i: setattr(i.execution_time, "seconds", -(10**15)),
    "no time": lambda i: i.ClearField("execution_time"),
    "create time": lambda i: setattr(i.create_time, "nanos", -5),
    "timeout": lambda i: setattr(i.timeout, "seconds", -5),
    "backoff": lambda i: (
        setattr(i.retry, "max_attempts", 5),
        setattr(i.retry.min_backoff, "seconds", 10**9),
    ),
    "backoff of none": lambda i: setattr(i.retry.min_backoff, "seconds", 2**62),
    "priority": lambda i: setattr(i, "priority", 10**6),
    "label": lambda i: i.labels.update({"a=b": "c"}),
    "result": lambda i: setattr(i, "result", b"r" * (1024 * 1024 + 1)),
    "message": lambda i: setattr(i.error, "message", "m" * 5000),
    "running, never claimed": lambda i: setattr(i, "state", pb.STATE_RUNNING),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
async def test_what_could_never_have_been_fails_alone(
    spoil: Callable[[pb.Instance], None], serve: Serve, refusal: Any
) -> None:
    async with serve() as served:
        now = await moment_of(served.store)
        good, bad = (an_instance(id, execution_time=now + HOUR) for id in ("good", "bad"))
        await served.store.insert([good, bad])
        [request] = [batch for batch in batches(await exported(served)) if batch.instances]
        spoil(request.instances[0].instance)
        async with serve() as target:
            answer = await imported(target, [request])
            assert answer.instances == counts(imported=1)
            [failure] = answer.failures
            assert refusal(failure.error).code is grpc.StatusCode.INVALID_ARGUMENT
            assert [i.id for i in (await everything(target.store))[0]] == ["good"]


async def test_a_schedule_of_wrong_rules_fails_alone(serve: Serve, refusal: Any) -> None:
    async with serve() as served, serve() as target:
        await fill(served.store)
        [request] = [batch for batch in batches(await exported(served)) if batch.schedules]
        hourly, whole = request.schedules
        hourly.schedule.spec.rules[0].Clear()
        whole.schedule.spec.rules[0].cron.expression = "99 * * * *"
        answer = await imported(target, [request])
        assert len(answer.failures) == 2
        for failure in answer.failures:
            assert failure.is_schedule
            assert refusal(failure.error).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_namesakes_in_one_batch_are_judged_one_after_the_other(serve: Serve) -> None:
    async with serve() as served, serve() as target:
        await run(served.store, "one")
        [request] = [batch for batch in batches(await exported(served)) if batch.instances]
        request.instances.append(request.instances[0])
        answer = await imported(target, [request])
        assert answer.instances == counts(imported=1, existing=1, recovered=1)


async def test_the_moment_of_the_export_must_be_said(serve: Serve, refusal: Any) -> None:
    async with serve() as served:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await imported(served, [pb.ImportInstancesRequest()])
        assert "snapshot_time" in refusal(caught.value).violations


async def test_large_ones_come_in_messages_that_every_client_takes(serve: Serve) -> None:
    async with serve() as served, serve() as target:
        now = await moment_of(served.store)
        labels = {f"key-{n}": "v" * 200 for n in range(32)}
        many = [an_instance(f"{n}", execution_time=now + HOUR, labels=labels) for n in range(1_000)]
        large = [
            an_instance(
                f"large-{n}",
                execution_time=now,
                parameters=b"p" * 2**20,
                state=State.SUCCEEDED,
                finish_time=now,
                result=b"r" * 2**20,
            )
            for n in range(3)
        ]
        await served.store.restore([*many, *large], replace=False, validate_only=False)
        parts = await exported(served)
        assert max(part.ByteSize() for part in parts) < 2_300_000
        answer = await imported(target, batches(parts))
        assert answer.instances == counts(imported=1_003)
        assert await everything(target.store) == await everything(served.store)
