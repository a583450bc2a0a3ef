"""Who is let in: a real server, asked without credentials, and without the permission."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from later_core.model.permission import Permission
from later_core.model.principal import Principal
from later_core.rpc.auth.gate import FINDING_SECONDS
from later_core.rpc.auth.methods import METHODS
from later_core.rpc.v1 import later_pb2 as pb
from tests.rpc.callers import DAILY, OUT, ask, bearer, every_method, make_token, refused

#: What a caller must have to call it; None: nothing but a name.
NEEDED = {path: rule.permission for path, rule in METHODS.items() if not rule.is_for_strangers}
PROTECTED = {path: permission for path, permission in NEEDED.items() if permission}


class ByName:
    """A verifier of secrets such as ``without.instances-read.x`` and ``only.instances-read.x``."""

    async def authenticate(self, secret):
        which, name, _ = secret.split(".")
        permission = Permission(name.replace("-", "."))
        permissions = {permission} if which == "only" else set(Permission) - {permission}
        return Principal(name=which, permissions=frozenset(permissions))


def secret_of(which, permission):
    return bearer(f"{which}.{permission.replace('.', '-')}.x")


def test_only_probes_are_for_strangers_and_only_who_am_i_needs_no_permission():
    assert METHODS.keys() - NEEDED.keys() == {
        f"/grpc.health.v1.Health/{method}" for method in ("Check", "List", "Watch")
    }
    assert NEEDED.keys() - PROTECTED.keys() == {"/later.v1.AdminService/WhoAmI"}


def test_the_table_has_every_method_and_no_other():
    assert METHODS.keys() == every_method().keys()


async def test_every_method_but_health_denies_strangers(serve):
    async with serve(guarded=True) as served:
        answers = {path: await ask(served, path) for path in NEEDED}
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


async def test_without_authentication_everybody_may_and_nobody_is_named(serve):
    async with serve() as served:
        answer = await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo"))
        assert answer.instance.principal == ""
