"""The standard services beside ours: health, reflection (v1 and v1alpha), channelz."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2 as reflection

from later_core.rpc.v1 import later_pb2 as pb

SERVICES = {
    "later.v1.InstanceService",
    "later.v1.ScheduleService",
    "later.v1.TaskService",
    "later.v1.AdminService",
    "grpc.health.v1.Health",
    "grpc.channelz.v1.Channelz",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
VERSIONS = ["v1", "v1alpha"]


async def reflect(served, version, **question):
    ask = served.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    request = reflection.ServerReflectionRequest(**question)
    (answer,) = [answer async for answer in ask(iter([request]))]
    return answer


@pytest.mark.parametrize("version", VERSIONS)
async def test_reflection_lists_every_service(serve, version):
    async with serve() as served:
        answer = await reflect(served, version, list_services="")
        assert {service.name for service in answer.list_services_response.service} == SERVICES


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_reflection_describes_every_service_with_all_that_it_needs(serve, version, service):
    async with serve() as served:
        answer = await reflect(served, version, file_containing_symbol=service)
        files = [
            FileDescriptorProto.FromString(data)
            for data in answer.file_descriptor_response.file_descriptor_proto
        ]
        names = {file.name for file in files}
        described = {f"{file.package}.{entry.name}" for file in files for entry in file.service}
        assert service in described
        assert all(set(file.dependency) <= names for file in files)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("later.v1.InstanceService.CreateInstance", "later.proto"),
        ("later.v1.Instance.id", "later.proto"),
        ("google.rpc.ErrorInfo", "error_details.proto"),
    ],
)
async def test_reflection_finds_methods_fields_and_the_details_of_errors(
    serve, version, symbol, file
):
    async with serve() as served:
        answer = await reflect(served, version, file_containing_symbol=symbol)
        data = answer.file_descriptor_response.file_descriptor_proto[0]
        assert FileDescriptorProto.FromString(data).name.endswith(file)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "symbol", ["later.v1.Nothing", "later.v1.InstanceService.Nothing", "nothing", ""]
)
async def test_reflection_says_what_it_does_not_know(serve, version, symbol):
    async with serve() as served:
        answer = await reflect(served, version, file_containing_symbol=symbol)
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_reflection_of_v1_stays_out_of_the_pool_of_the_process(serve):
    from google.protobuf import descriptor_pool

    async with serve():
        with pytest.raises(KeyError):
            descriptor_pool.Default().FindFileContainingSymbol(
                "grpc.reflection.v1.ServerReflection"
            )


async def test_channelz_knows_the_server_and_its_calls(serve):
    async with serve() as served:
        stub = channelz_pb2_grpc.ChannelzStub(served.channel)
        await served.tasks.ListTasks(pb.ListTasksRequest())
        answer = await stub.GetServers(channelz_pb2.GetServersRequest())
        assert any(server.data.calls_succeeded for server in answer.server)


async def health(served, service):
    request = HealthCheckRequest(service=service)
    return (await HealthStub(served.channel).Check(request)).status


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
async def test_health_follows_what_it_is_told(serve, service):
    async with serve() as served:
        assert await health(served, service) == HealthCheckResponse.NOT_SERVING
        served.server.set_serving(True)
        assert await health(served, service) == HealthCheckResponse.SERVING
        served.server.set_serving(False)
        assert await health(served, service) == HealthCheckResponse.NOT_SERVING


async def test_a_watch_of_health_sees_every_change(serve):
    async with serve() as served, asyncio.timeout(20):
        watch = HealthStub(served.channel).Watch(HealthCheckRequest())
        assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
        for serving in (True, False, True):
            served.server.set_serving(serving)
            expected = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
            assert (await watch.read()).status == expected


async def test_the_health_of_an_unknown_service_is_not_found(serve):
    async with serve() as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await health(served, "later.v1.Nothing")
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_unknown_method_is_unimplemented(serve):
    async with serve() as served:
        call = served.channel.unary_unary("/later.v1.InstanceService/Nothing")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
