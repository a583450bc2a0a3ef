"""A real server and a real channel over the real services and the reference store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2
from jwt.algorithms import ECAlgorithm

from later_core.engine.auditor import Auditor
from later_core.engine.follower import Follower
from later_core.local.audit_trail import AuditTrail
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.local.hub import Hub
from later_core.local.intake import Intake
from later_core.local.lateness import LatenessRecord
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.overload import Overload
from later_core.local.pending import PendingLimits
from later_core.local.quotas import Quotas
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.binding import Binding, parse_binding
from later_core.model.tls import ServerTls
from later_core.ports.clock import SystemClock
from later_core.ports.store import Store
from later_core.rpc.auth.gate import Gate, Verifier
from later_core.rpc.auth.guard import Access, Guard
from later_core.rpc.auth.jwts import Expected, Jwts
from later_core.rpc.auth.subjects import SubjectNames
from later_core.rpc.server import RpcServer
from later_core.rpc.transport import Transport
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc
from later_core.service.audit import AuditLog
from later_core.service.instances import Instances
from later_core.service.inventory import Inventory
from later_core.service.nodes import Nodes
from later_core.service.schedule_runs import ScheduleRuns
from later_core.service.schedules import Schedules
from later_core.service.subscriptions import Subscriptions
from later_core.service.tokens import Tokens
from later_core.service.transfer import Transfer
from later_core.stores.memory import MemoryStore
from later_core.stores.mongo.store import MongoStore
from later_core.testing.store_contract.steps import moment_of
from later_core.testing.tasks import GivenTasks, RecordingTask
from tests.rpc.callers import CONFINED, bearer, make_token

#: The setting ``admin_token`` of these servers.
ADMIN_SECRET = "0123456789abcdef" * 4


class EchoTask(RecordingTask):
    parameters_schema: Mapping[str, Any] = {"type": "object", "required": ["message"]}


class AheadClock(SystemClock):
    """The clock of the gate, which a test sets forward."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def guarded_tasks() -> tuple[RecordingTask, ...]:
    return (
        RecordingTask(name="http-post"),
        RecordingTask(name="shell", permission="run-shell"),
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server, and the ways to it."""

    server: RpcServer
    store: Store
    hub: Hub
    gate_clock: AheadClock
    tokens_service: Tokens
    channel: grpc.aio.Channel
    instances: later_pb2_grpc.InstanceServiceStub
    schedules: later_pb2_grpc.ScheduleServiceStub
    tasks: later_pb2_grpc.TaskServiceStub
    admin: later_pb2_grpc.AdminServiceStub


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A call's error, taken apart."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    violations: dict[str, str]
    retry_info: error_details_pb2.RetryInfo | None
    quota_failure: error_details_pb2.QuotaFailure | None


def _refusal(status: status_pb2.Status) -> Refusal:
    found: dict[str, Any] = {}
    for detail in status.details:
        for kind in ("ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure"):
            message = getattr(error_details_pb2, kind)()
            if detail.Unpack(message):
                found[kind] = message
    bad_request = found.get("BadRequest", error_details_pb2.BadRequest())
    return Refusal(
        code=next(code for code in grpc.StatusCode if code.value[0] == status.code),
        message=status.message,
        info=found["ErrorInfo"],
        violations={v.field: v.description for v in bad_request.field_violations},
        retry_info=found.get("RetryInfo"),
        quota_failure=found.get("QuotaFailure"),
    )


@pytest.fixture
def refusal() -> Callable[[grpc.aio.AioRpcError | status_pb2.Status], Refusal]:
    """Take an error apart, of a call or of one request in a batch."""

    def take_apart(error: grpc.aio.AioRpcError | status_pb2.Status) -> Refusal:
        if isinstance(error, status_pb2.Status):
            return _refusal(error)
        trailing = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        assert (error.code().value[0], error.details()) == (status.code, status.message)
        return _refusal(status)

    return take_apart


@asynccontextmanager
async def _serve(
    store: Store | None = None,
    *,
    grace: timedelta = timedelta(seconds=5),
    listen: str = "127.0.0.1:0",
    hub: Hub | None = None,
    transport: Transport | None = None,
    max_watches: int = 1024,
    guarded: bool = False,
    jwts: Verifier | None = None,
    bindings: Sequence[Binding] = (),
    overload: Overload | None = None,
    quotas: Quotas | None = None,
    pending: Mapping[str, int | None] | None = None,
) -> AsyncIterator[Served]:
    clock = SystemClock()
    store = store or MemoryStore(clock=clock)
    database_clock = DatabaseClock(clock)
    database_clock.observe(await moment_of(store))
    hub = Hub() if hub is None else hub
    window, runs = Window(), Runs(capacity=10)
    lease = Lease(clock, seconds=30)
    lease.renewed("node-1", clock.monotonic())
    tasks = GivenTasks(
        EchoTask(name="echo"),
        RecordingTask(name="bash"),
        *(guarded_tasks() if guarded else ()),
    )
    follower = Follower(
        store=store, hub=hub, clock=clock, database_clock=database_clock, on_event=None
    )
    inventory = Inventory(
        store=store,
        tasks=tasks,
        window=window,
        runs=runs,
        hub=hub,
        lease=lease,
        lateness=LatenessRecord(),
        version="1.2.3",
        started_at=clock.now(),
    )
    intake = Intake(
        window=window, membership=Membership(tasks=tasks.names()), database_clock=database_clock
    )
    services = Instances(
        store=store,
        tasks=tasks,
        window=window,
        intake=intake,
        runs=runs,
        lease=lease,
        database_clock=database_clock,
        overload=overload,
        quotas=quotas
        or Quotas(
            pending=PendingLimits(
                count=lambda who, most: store.count_pending(who, at_most=most),
                limits=pending or {},
            )
        ),
    )
    schedules = Schedules(
        store=store,
        tasks=tasks,
        runs=ScheduleRuns(
            store=store,
            instances=services,
            window=window,
            intake=intake,
            database_clock=database_clock,
        ),
        doorbell=Doorbell(),
        database_clock=database_clock,
    )
    subscriptions = Subscriptions(
        store=store,
        hub=hub,
        clock=clock,
        database_clock=database_clock,
        max_watches=max_watches,
    )
    transfer = Transfer(store=store, intake=intake)
    tokens = Tokens(store=store, database_clock=database_clock, admin_secret=ADMIN_SECRET)
    trail = AuditTrail(database_clock=database_clock)
    auditor = Auditor(store=store, trail=trail, clock=clock)
    gate_clock = AheadClock()
    gate = Gate(clock=gate_clock, tokens=tokens, jwts=jwts, certificates=SubjectNames(bindings))
    access = Access(
        tokens=tokens,
        audit_log=AuditLog(store=store),
        guard=Guard(gate=gate, trail=trail, clock=clock) if guarded else None,
    )
    async with asyncio.TaskGroup() as group, auditor, services, schedules, transfer, tokens:
        auditing = group.create_task(auditor.run())
        following = group.create_task(follower.run())
        server = RpcServer(
            listen=listen,
            instances=services,
            schedules=schedules,
            subscriptions=subscriptions,
            inventory=inventory,
            nodes=Nodes(store=store),
            transfer=transfer,
            transport=transport or Transport(),
            access=access,
            grace=grace,
        )
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            yield Served(
                server=server,
                store=store,
                hub=hub,
                gate_clock=gate_clock,
                tokens_service=tokens,
                channel=channel,
                instances=later_pb2_grpc.InstanceServiceStub(channel),
                schedules=later_pb2_grpc.ScheduleServiceStub(channel),
                tasks=later_pb2_grpc.TaskServiceStub(channel),
                admin=later_pb2_grpc.AdminServiceStub(channel),
            )
        following.cancel()
        auditing.cancel()


@pytest.fixture
def admin_secret() -> str:
    return ADMIN_SECRET


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Served]]:
    """``async with serve() as served``: one server for the length of the block."""
    return _serve


@pytest.fixture
def store_in(
    request: pytest.FixtureRequest,
) -> Callable[[str], AbstractAsyncContextManager[Store]]:
    """``async with store_in("mongodb") as store``: an empty store, there or in ``memory``."""

    @asynccontextmanager
    async def open_store(place: str) -> AsyncIterator[Store]:
        clock = SystemClock()
        if place == "memory":
            yield MemoryStore(clock=clock)
            return
        async with MongoStore(
            uri=request.getfixturevalue("mongodb_uri"),
            database=request.getfixturevalue("database"),
            retention=timedelta(days=7),
            clock=clock,
        ) as store:
            yield store

    return open_store


@pytest.fixture
async def confined(serve, admin_secret):
    """A server, the metadata of a scheduler confined to CONFINED, and of one that is not."""
    async with serve(guarded=True) as served:
        metadata = []
        for scope in (CONFINED, {}):
            made = await make_token(served, admin_secret, roles=[pb.ROLE_SCHEDULER], **scope)
            metadata.append(bearer(made.secret))
        yield served, *metadata


@dataclass(frozen=True, kw_only=True)
class Calling:
    """A guarded server, and a caller of it: its channel, and what each of its calls carries."""

    served: Served
    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...] = ()

    def stub(self, service: str) -> Any:
        return getattr(later_pb2_grpc, f"{service}Stub")(self.channel)


def _read(*paths: str) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths]


ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())
#: When the JWTs of ``calling`` expire, in seconds since 1970: in the year 2100.
JWT_EXPIRES = 4_102_444_800


@pytest.fixture
def calling(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[Calling]]:
    """``async with calling("jwt", "ops=operator", claims={...}) as caller``: one who is called ``ci-7``
    and comes with a JWT, or with a client ``certificate``, and the bindings that say what that means.
    """

    @asynccontextmanager
    async def by_jwt(
        bindings: Sequence[Binding],
        claims: Mapping[str, Any],
        expected: Mapping[str, Any],
        **more: Any,
    ) -> AsyncIterator[Calling]:
        jwks = tmp_path / "jwks.json"
        jwks.write_text(
            json.dumps({"keys": [json.loads(ECAlgorithm.to_jwk(ISSUER_KEY.public_key()))]})
        )
        mine = {"iss": "https://issuer.example", "aud": "later", "exp": JWT_EXPIRES, "sub": "ci-7"}
        secret = jwt.encode(mine | {"roles": ["ci-7"]} | claims, ISSUER_KEY, algorithm="ES256")
        jwts = Jwts(
            keys=str(jwks),
            expected=Expected(
                issuer="https://issuer.example",
                audience="later",
                algorithms=["ES256"],
                principal_claim="sub",
                roles_claim="roles",
                bindings=bindings,
                **expected,
            ),
            clock=SystemClock(),
        )
        async with _serve(guarded=True, jwts=jwts, **more) as served:
            metadata = (("authorization", f"Bearer {secret}"),)
            yield Calling(served=served, channel=served.channel, metadata=metadata)

    @asynccontextmanager
    async def by_certificate(bindings: Sequence[Binding], **more: Any) -> AsyncIterator[Calling]:
        authority = request.getfixturevalue("authority")
        server, mine = authority.issue(), authority.issue("x.example", common_name="ci-7")
        tls = ServerTls(cert=server.cert, key=server.key, client_ca=authority.roots)
        async with _serve(
            guarded=True, transport=Transport(tls=tls), bindings=bindings, **more
        ) as served:
            shown = _read(authority.roots, mine.key, mine.cert)
            async with grpc.aio.secure_channel(
                served.server.address, grpc.ssl_channel_credentials(*shown)
            ) as channel:
                yield Calling(served=served, channel=channel)

    def begin(
        means: str,
        *texts: str,
        claims: Mapping[str, Any] = MappingProxyType({}),
        expected: Mapping[str, Any] = MappingProxyType({}),
        **more: Any,
    ) -> AbstractAsyncContextManager[Calling]:
        bindings = [parse_binding(text) for text in texts]
        if means == "certificate":
            return by_certificate(bindings, **more)
        return by_jwt(bindings, claims, expected, **more)

    return begin
