"""A real server with a service of its own, which notes what it gets."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.text_format import Parse
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from later_plugin_grpc import Plugin
from later_plugin_grpc.channels import Channels
from later_plugin_grpc.task import Grpc

GOODS = Parse(
    """
    name: "shop/goods.proto" package: "shop.v1" syntax: "proto3"
    message_type {
      name: "Item"
      field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "count" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL }
    }
    """,
    FileDescriptorProto(),
)
ORDERS = Parse(
    """
    name: "shop/orders.proto" package: "shop.v1" syntax: "proto3"
    dependency: "shop/goods.proto"
    dependency: "google/protobuf/timestamp.proto"
    message_type {
      name: "Order"
      field { name: "order_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field {
        name: "items" number: 2 type: TYPE_MESSAGE type_name: ".shop.v1.Item" label: LABEL_REPEATED
      }
      field {
        name: "ship_time" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL
        type_name: ".google.protobuf.Timestamp"
      }
    }
    service {
      name: "OrderService"
      method { name: "ShipOrder" input_type: ".shop.v1.Order" output_type: ".shop.v1.Order" }
      method {
        name: "WatchOrder" input_type: ".shop.v1.Order" output_type: ".shop.v1.Order"
        server_streaming: true
      }
    }
    """,
    FileDescriptorProto(),
)
SERVICE = "shop.v1.OrderService"


@dataclass
class Shop:
    """The server, and what it was called with."""

    target: str = ""
    calls: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    #: What each call is answered with, None for its request.
    refusal: tuple[grpc.StatusCode, str] | None = None

    async def ship(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        self.calls.append(request)
        self.metadata.append({str(k): str(v) for k, v in context.invocation_metadata() or ()})
        self.peers.add(context.peer())
        if self.refusal is not None:
            await context.abort(*self.refusal)
        return request


def pool_of(*files: FileDescriptorProto) -> DescriptorPool:
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@pytest.fixture
async def serve_shop() -> AsyncIterator[Callable[..., Awaitable[Shop]]]:
    servers: list[grpc.aio.Server] = []

    async def serve(
        *,
        reflects: bool = True,
        credentials: grpc.ServerCredentials | None = None,
        services: Sequence[str] = (SERVICE, "grpc.health.v1.Health"),
    ) -> Shop:
        pool = pool_of(GOODS, ORDERS)
        kind = GetMessageClass(pool.FindMessageTypeByName("shop.v1.Order"))
        shop, server = Shop(), grpc.aio.server()
        servers.append(server)
        handler = grpc.unary_unary_rpc_method_handler(
            shop.ship,
            request_deserializer=kind.FromString,
            response_serializer=kind.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"ShipOrder": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
        pool.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
        if reflects:
            reflection.enable_server_reflection(services, server, pool=pool)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        shop.target = f"127.0.0.1:{port}"
        return shop

    yield serve
    for server in servers:
        await server.stop(None)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Grpc]]:
    """Makes the task with settings as a server would."""
    opened: list[Channels] = []

    def make(**settings: object) -> Grpc:
        plugin = Plugin()
        defaults = {setting.name: setting.default for setting in plugin.later_settings()}
        (task,) = plugin.later_tasks(defaults | settings)
        opened.append(plugin.later_lifespan())
        assert isinstance(task, Grpc)
        return task

    yield make
    for channels in opened:
        async with channels:
            pass


@pytest.fixture
def descriptor_file(tmp_path: Path) -> Path:
    timestamps = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    path = tmp_path / "shop.binpb"
    path.write_bytes(FileDescriptorSet(file=[timestamps, GOODS, ORDERS]).SerializeToString())
    return path
