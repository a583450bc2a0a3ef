"""Who may: a real server, asked without credentials, without the permission, outside the scope."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from later_core.model.permission import Permission
from later_core.model.principal import Principal
from later_core.model.query import Filter
from later_core.rpc.auth.gate import FINDING_SECONDS
from later_core.rpc.auth.methods import METHODS
from later_core.rpc.v1 import later_pb2 as pb

DAILY = pb.ScheduleRule(cron=pb.CronRule(expression="@daily"))
OUT = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def every_method():
    """Path -> descriptor of whatever the server offers, by the descriptors of its services."""
    services = [
        *pb.DESCRIPTOR.services_by_name.values(),
        health_pb2.DESCRIPTOR.services_by_name["Health"],
        channelz_pb2.DESCRIPTOR.services_by_name["Channelz"],
        reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
    ]
    found = {f"/{s.full_name}/{method.name}": method for s in services for method in s.methods}
    (alpha,) = [path for path in found if "v1alpha" in path]
    return found | {alpha.replace("v1alpha", "v1"): found[alpha]}


PROTECTED = {path: rule.permission for path, rule in METHODS.items() if rule.permission}


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


async def ask(served, path, metadata=()):
    """The status of a call with an empty request, whatever its kind."""
    method = every_method()[path]
    kind = f"{'stream' if method.client_streaming else 'unary'}_" + (
        "stream" if method.server_streaming else "unary"
    )
    call = getattr(served.channel, kind)(path)
    answer = call(iter([b""]) if method.client_streaming else b"", metadata=metadata, timeout=30)
    try:
        if method.server_streaming and not method.client_streaming:
            # Let in: it says so at once, and then waits for something to happen.
            await answer.initial_metadata()
            if not answer.done():
                answer.cancel()
                return grpc.StatusCode.OK
            return await answer.code()
        if method.server_streaming:
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


class ByName:
    """A verifier of secrets such as ``without.instances-read.x`` and ``only.instances-read.x``."""

    async def authenticate(self, secret):
        which, name, _ = secret.split(".")
        permission = Permission(name.replace("-", "."))
        permissions = {permission} if which == "only" else set(Permission) - {permission}
        return Principal(name=which, permissions=frozenset(permissions))


def secret_of(which, permission):
    return bearer(f"{which}.{permission.replace('.', '-')}.x")


def test_the_table_has_every_method_and_no_other():
    assert METHODS.keys() == every_method().keys()


async def test_every_method_but_health_denies_strangers(serve):
    async with serve(guarded=True) as served:
        answers = {path: await ask(served, path) for path in PROTECTED}
    assert set(answers.values()) == {grpc.StatusCode.UNAUTHENTICATED}, answers


async def test_every_method_denies_whoever_has_all_permissions_but_the_one_it_needs(serve):
    async with serve(guarded=True, jwts=ByName()) as served:
        answers = {
            path: await ask(served, path, secret_of("without", permission))
            for path, permission in PROTECTED.items()
        }
    assert set(answers.values()) == {grpc.StatusCode.PERMISSION_DENIED}, answers


async def test_every_method_lets_in_whoever_has_the_one_permission_it_needs(serve):
    async with serve(guarded=True, jwts=ByName()) as served:
        answers = {
            path: await ask(served, path, secret_of("only", permission))
            for path, permission in PROTECTED.items()
        }
    assert not OUT & set(answers.values()), answers


async def test_probes_need_no_credentials(serve):
    async with serve(guarded=True) as served:
        assert await ask(served, "/grpc.health.v1.Health/Check") is grpc.StatusCode.OK


async def make_token(served, admin_secret, **fields):
    request = pb.CreateTokenRequest(name=fields.pop("name", "ci"), **fields)
    return await served.admin.CreateToken(request, metadata=bearer(admin_secret))


async def refused(call, refusal):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal(raised.value)


async def read_to_end(stream):
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_token_lets_in_and_its_name_is_on_what_it_creates(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        assert made.secret.startswith(f"later_{made.token.id}_")
        assert made.token.principal == "admin-token"
        answer = await served.instances.CreateInstance(
            pb.CreateInstanceRequest(task="echo", id="a"), metadata=bearer(made.secret)
        )
        assert answer.instance.principal == "ci"
        assert (await served.store.get("a")).principal == "ci"


async def test_a_repeated_create_of_another_caller_keeps_its_creator(serve, admin_secret):
    request = pb.CreateInstanceRequest(task="echo", id="a")
    async with serve(guarded=True) as served:
        for name in ("first", "second"):
            made = await make_token(served, admin_secret, name=name, roles=[pb.ROLE_SCHEDULER])
            answer = await served.instances.CreateInstance(request, metadata=bearer(made.secret))
            assert answer.instance.principal == "first"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer x",
        "Bearer ",
        "Basic eDp4",
        "x",
        f"Bearer later_{'0' * 16}_{'0' * 64}",
        "Bearer a.b.c",
    ],
)
async def test_wrong_credentials_are_refused_without_a_word_why(serve, refusal, header):
    async with serve(guarded=True) as served:
        call = served.tasks.ListTasks(pb.ListTasksRequest(), metadata=(("authorization", header),))
        answer = await refused(call, refusal)
        assert answer.code is grpc.StatusCode.UNAUTHENTICATED
        assert answer.info.reason == "UNAUTHENTICATED"
        assert answer.message == (
            "the credentials are wrong, expired or revoked; ask for others (later tokens create)"
        )


async def test_the_right_id_with_another_secret_is_refused(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_ADMIN])
        wrong = made.secret[:-1] + ("0" if made.secret[-1] != "0" else "1")
        path = "/later.v1.TaskService/ListTasks"
        assert await ask(served, path, bearer(wrong)) is grpc.StatusCode.UNAUTHENTICATED
        assert await ask(served, path, bearer(made.secret)) is grpc.StatusCode.OK


async def test_the_secret_is_stored_nowhere_and_listed_never(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_VIEWER])
        (stored,) = await served.store.list_tokens(after=None, limit=10)
        assert made.secret not in repr(stored)
        listed = await served.admin.ListTokens(
            pb.ListTokensRequest(), metadata=bearer(admin_secret)
        )
        assert list(listed.tokens) == [made.token]
        assert made.secret not in str(listed)


async def test_a_revoked_token_is_out_once_what_was_found_is_looked_up_again(serve, admin_secret):
    path = "/later.v1.TaskService/ListTasks"
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_VIEWER])
        assert await ask(served, path, bearer(made.secret)) is grpc.StatusCode.OK
        for _ in range(2):
            answer = await served.admin.RevokeToken(
                pb.RevokeTokenRequest(id=made.token.id), metadata=bearer(admin_secret)
            )
            assert answer.token.HasField("revoke_time")
        served.gate_clock.ahead += FINDING_SECONDS
        assert await ask(served, path, bearer(made.secret)) is grpc.StatusCode.UNAUTHENTICATED


async def test_an_expired_token_is_refused(serve, admin_secret):
    path = "/later.v1.TaskService/ListTasks"
    async with serve(guarded=True) as served:
        made = await make_token(
            served, admin_secret, roles=[pb.ROLE_VIEWER], lifetime=Duration(nanos=1_000_000)
        )
        assert made.token.HasField("expire_time")
        async with asyncio.timeout(30):
            while served.gate_clock.now() <= made.token.expire_time.ToDatetime(
                tzinfo=served.gate_clock.now().tzinfo
            ):
                await served.gate_clock.sleep(0.001)
        assert await ask(served, path, bearer(made.secret)) is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_ends_once_its_token_is_revoked(serve, admin_secret, refusal):
    async with serve(guarded=True) as served, asyncio.timeout(60):
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        watch = served.instances.WatchInstances(
            pb.WatchInstancesRequest(), metadata=bearer(made.secret)
        )
        await watch.read()
        creates = served.instances.StreamCreateInstances(metadata=bearer(made.secret))
        await creates.write(
            pb.StreamCreateInstancesRequest(requests=[pb.CreateInstanceRequest(task="echo")])
        )
        await creates.read()
        await served.admin.RevokeToken(
            pb.RevokeTokenRequest(id=made.token.id), metadata=bearer(admin_secret)
        )
        served.gate_clock.ahead += FINDING_SECONDS
        for stream in (watch, creates):
            answer = await refused(read_to_end(stream), refusal)
            assert answer.code is grpc.StatusCode.UNAUTHENTICATED


async def test_while_the_database_is_away_nobody_is_let_in_unseen(serve, admin_secret):
    path = "/later.v1.TaskService/ListTasks"
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_VIEWER])

        async def away(ids):
            from later_core.errors import StoreUnavailable

            raise StoreUnavailable

        served.tokens_service._lookups._write = away
        assert await ask(served, path, bearer(made.secret)) is grpc.StatusCode.UNAVAILABLE
        assert await ask(served, path, bearer(admin_secret)) is grpc.StatusCode.OK


# -- scopes -------------------------------------------------------------------------------------

CONFINED = {"tasks": ["http-*"], "labels": {"team": "web*"}}
WITHIN = {"task": "http-post", "labels": {"team": "web-eu"}}
OUTSIDE = [
    {"task": "echo", "labels": {"team": "web"}},
    {"task": "http-post", "labels": {"team": "mail"}},
    {"task": "http-post"},
]


@pytest.fixture
async def confined(serve, admin_secret):
    """A server, the metadata of a scheduler confined to CONFINED, and of one that is not."""
    async with serve(guarded=True) as served:
        metadata = []
        for scope in (CONFINED, {}):
            made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER], **scope)
            metadata.append(bearer(made.secret))
        yield served, *metadata


async def test_outside_its_scope_a_token_creates_nothing(confined, refusal):
    served, mine, _ = confined
    await served.instances.CreateInstance(pb.CreateInstanceRequest(**WITHIN), metadata=mine)
    for fields in OUTSIDE:
        call = served.instances.CreateInstance(pb.CreateInstanceRequest(**fields), metadata=mine)
        answer = await refused(call, refusal)
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        assert answer.info.metadata["principal"] == "ci"
        assert "http-*" in answer.info.metadata["needed"]


async def test_in_a_batch_and_in_a_stream_only_what_lies_outside_is_denied(confined, refusal):
    served, mine, _ = confined
    requests = [pb.CreateInstanceRequest(**fields) for fields in (WITHIN, *OUTSIDE, WITHIN)]
    batch = await served.instances.BatchCreateInstances(
        pb.BatchCreateInstancesRequest(requests=requests), metadata=mine
    )
    codes = [result.error.code for result in batch.results]
    denied = grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert codes == [0, denied, denied, denied, 0]
    stream = served.instances.StreamCreateInstances(
        iter([pb.StreamCreateInstancesRequest(requests=requests)]), metadata=mine
    )
    (answer,) = [answer async for answer in stream]
    assert [bool(id) for id in answer.ids] == [True, False, False, False, True]
    assert {failure.error.code for failure in answer.failures} == {denied}


async def test_what_lies_outside_is_not_found_and_not_listed_and_not_counted(confined, refusal):
    served, mine, all_of_it = confined
    for index, fields in enumerate([WITHIN, *OUTSIDE]):
        await served.instances.CreateInstance(
            pb.CreateInstanceRequest(id=f"i{index}", delay=Duration(seconds=3600), **fields),
            metadata=all_of_it,
        )
    listed = await served.instances.ListInstances(pb.ListInstancesRequest(), metadata=mine)
    assert [instance.id for instance in listed.instances] == ["i0"]
    stats = await served.admin.GetStats(pb.GetStatsRequest(), metadata=mine)
    assert {c.state: c.count for c in stats.states}[pb.STATE_PENDING] == 1
    await served.instances.GetInstance(pb.GetInstanceRequest(id="i0"), metadata=mine)
    for call in (
        served.instances.GetInstance(pb.GetInstanceRequest(id="i1"), metadata=mine),
        served.instances.AbortInstance(pb.AbortInstanceRequest(id="i2"), metadata=mine),
        served.instances.RescheduleInstance(
            pb.RescheduleInstanceRequest(id="i3", delay=Duration(seconds=1)), metadata=mine
        ),
        served.instances.RetryInstance(pb.RetryInstanceRequest(id="i1"), metadata=mine),
    ):
        answer = await refused(call, refusal)
        assert (answer.code, answer.info.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "INSTANCE_NOT_FOUND",
        )
    page = await served.store.list(Filter(), after=None, limit=10)
    assert {instance.revision for instance in page.instances} == {1}
    await served.instances.AbortInstance(pb.AbortInstanceRequest(id="i0"), metadata=mine)


@pytest.mark.parametrize("include_existing", [True, False])
async def test_a_watch_shows_what_lies_within_alone(confined, include_existing):
    served, mine, all_of_it = confined

    async def create(prefix):
        for index, fields in enumerate([*OUTSIDE, WITHIN]):
            await served.instances.CreateInstance(
                pb.CreateInstanceRequest(id=f"{prefix}{index}", **fields), metadata=all_of_it
            )

    await create("before")
    watch = served.instances.WatchInstances(
        pb.WatchInstancesRequest(include_existing=include_existing), metadata=mine
    )
    first = await watch.read()
    await create("after")
    seen = [event.instance.id for event in first.events]
    async with asyncio.timeout(30):
        while "after3" not in seen:
            seen += [event.instance.id for event in (await watch.read()).events]
    assert seen == (["before3", "after3"] if include_existing else ["after3"])


async def test_schedules_keep_to_the_scope_too(confined, refusal):
    served, mine, all_of_it = confined
    for index, fields in enumerate([WITHIN, *OUTSIDE]):
        spec = pb.ScheduleSpec(rules=[DAILY], **fields)
        request = pb.CreateScheduleRequest(id=f"s{index}", spec=spec)
        if index:
            answer = await refused(served.schedules.CreateSchedule(request, metadata=mine), refusal)
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        await served.schedules.CreateSchedule(request, metadata=all_of_it if index else mine)
    listed = await served.schedules.ListSchedules(pb.ListSchedulesRequest(), metadata=mine)
    assert [one.schedule.id for one in listed.schedules] == ["s0"]
    assert listed.schedules[0].schedule.principal == "ci"
    outside = pb.ScheduleSpec(rules=[DAILY], task="echo")
    for call, code in (
        (served.schedules.GetSchedule(pb.GetScheduleRequest(id="s1"), metadata=mine), "NOT_FOUND"),
        (
            served.schedules.TriggerSchedule(pb.TriggerScheduleRequest(id="s2"), metadata=mine),
            "NOT_FOUND",
        ),
        (
            served.schedules.DeleteSchedule(pb.DeleteScheduleRequest(id="s3"), metadata=mine),
            "NOT_FOUND",
        ),
        (
            served.schedules.UpdateSchedule(
                pb.UpdateScheduleRequest(id="s0", spec=outside), metadata=mine
            ),
            "PERMISSION_DENIED",
        ),
    ):
        assert (await refused(call, refusal)).code.name == code
    triggered = await served.schedules.TriggerSchedule(
        pb.TriggerScheduleRequest(id="s0"), metadata=mine
    )
    assert triggered.instance.principal == "ci"


async def test_an_admin_who_is_confined_makes_no_tokens(serve, admin_secret, refusal):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_ADMIN], tasks=["http-*"])
        for call in (
            make_token(served, made.secret, roles=[pb.ROLE_VIEWER]),
            served.admin.ListAuditEntries(
                pb.ListAuditEntriesRequest(), metadata=bearer(made.secret)
            ),
        ):
            answer = await refused(call, refusal)
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED


# -- permissions of tasks -----------------------------------------------------------------------


async def test_a_task_with_a_permission_of_its_own_runs_for_those_alone_who_have_it(
    serve, admin_secret, refusal
):
    async with serve(guarded=True) as served:
        admin = await make_token(served, admin_secret, roles=[pb.ROLE_ADMIN])
        granted = await make_token(
            served, admin_secret, roles=[pb.ROLE_SCHEDULER], permissions=["run-shell"]
        )
        create = pb.CreateInstanceRequest(task="shell", id="a", delay=Duration(seconds=3600))
        schedule = pb.CreateScheduleRequest(
            id="s", spec=pb.ScheduleSpec(task="shell", rules=[DAILY])
        )
        await served.instances.CreateInstance(create, metadata=bearer(granted.secret))
        await served.schedules.CreateSchedule(schedule, metadata=bearer(granted.secret))
        mine = bearer(admin.secret)
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"), metadata=mine)
        for call in (
            served.instances.CreateInstance(create, metadata=mine),
            served.instances.RetryInstance(pb.RetryInstanceRequest(id="a"), metadata=mine),
            served.schedules.CreateSchedule(schedule, metadata=mine),
            served.schedules.TriggerSchedule(pb.TriggerScheduleRequest(id="s"), metadata=mine),
        ):
            answer = await refused(call, refusal)
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED
            assert "run-shell" in answer.info.metadata["needed"]


# -- the audit log ------------------------------------------------------------------------------


async def entries(served, admin_secret, count, **conditions):
    """The entries of the log, the oldest first, once there are so many."""
    async with asyncio.timeout(30):
        while True:
            answer = await served.admin.ListAuditEntries(
                pb.ListAuditEntriesRequest(**conditions), metadata=bearer(admin_secret)
            )
            if len(answer.entries) >= count:
                return list(reversed(answer.entries))
            await served.gate_clock.sleep(0.05)


async def test_the_log_tells_who_did_what_to_what_and_how_that_came_out(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        mine = bearer(made.secret)
        await served.instances.CreateInstance(
            pb.CreateInstanceRequest(task="echo", id="a", parameters=b"hunter2"), metadata=mine
        )
        await served.instances.GetInstance(pb.GetInstanceRequest(id="a"), metadata=mine)
        await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"), metadata=mine)
        assert await ask(served, "/later.v1.AdminService/DrainNode", mine) in OUT
        with pytest.raises(grpc.aio.AioRpcError):
            await served.instances.AbortInstance(pb.AbortInstanceRequest(id="a"), metadata=mine)
        for _ in range(3):
            await ask(served, "/later.v1.TaskService/ListTasks")
        found = await entries(served, admin_secret, 6)
    told = [(e.principal, e.method, e.target, e.outcome, e.count) for e in found]
    assert told[:5] == [
        ("admin-token", "CreateToken", made.token.id, "OK", 1),
        ("ci", "CreateInstance", "a", "OK", 1),
        ("ci", "AbortInstance", "a", "OK", 1),
        ("ci", "DrainNode", "", "PERMISSION_DENIED", 1),
        ("ci", "AbortInstance", "a", "FAILED_PRECONDITION", 1),
    ]
    # How many of the strangers' calls share an entry depends on when it was written.
    assert {entry[:4] for entry in told[5:]} == {("", "ListTasks", "", "UNAUTHENTICATED")}
    assert all(entry.peer.startswith("ipv4:127.0.0.1:") for entry in found)
    assert "hunter2" not in str(found)
    assert [entry.id for entry in found] == sorted(entry.id for entry in found)


async def test_of_a_batch_each_outcome_is_noted_once_with_its_count(confined, admin_secret):
    served, mine, _ = confined
    requests = [
        pb.CreateInstanceRequest(id=f"i{index}", **fields)
        for index, fields in enumerate((WITHIN, *OUTSIDE, WITHIN))
    ]
    await served.instances.BatchCreateInstances(
        pb.BatchCreateInstancesRequest(requests=requests), metadata=mine
    )
    stream = served.instances.StreamCreateInstances(
        iter([pb.StreamCreateInstancesRequest(requests=requests)] * 2), metadata=mine
    )
    async for _ in stream:
        pass
    found = await entries(served, admin_secret, 6, principal="ci")
    told = [(e.method, e.target, e.outcome, e.count) for e in found]
    once = [("i0", "OK", 2), ("i1", "PERMISSION_DENIED", 3)]
    assert told == [("BatchCreateInstances", *note) for note in once] + [
        ("StreamCreateInstances", *note) for note in once * 2
    ]


async def test_the_log_is_read_by_page_and_by_condition(serve, admin_secret):
    async with serve(guarded=True) as served:
        made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER])
        for index in range(5):
            await served.instances.CreateInstance(
                pb.CreateInstanceRequest(task="echo", id=f"i{index}"),
                metadata=bearer(made.secret),
            )
        await entries(served, admin_secret, 6)
        seen, request = [], pb.ListAuditEntriesRequest(page_size=2, principal="ci")
        while True:
            page = await served.admin.ListAuditEntries(request, metadata=bearer(admin_secret))
            seen += [entry.target for entry in page.entries]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert seen == ["i4", "i3", "i2", "i1", "i0"]
        (one,) = await entries(served, admin_secret, 1, target="i3", methods=["CreateInstance"])
        assert one.target == "i3"
        assert await entries(served, admin_secret, 0, outcomes=["NOT_FOUND"]) == []


async def test_without_authentication_everybody_may_and_nobody_is_named(serve):
    async with serve() as served:
        answer = await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo"))
        assert answer.instance.principal == ""
