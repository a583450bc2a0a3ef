"""What a service looks like: from files, or asked of its server by reflection."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2 as reflection

#: Newer servers have the first alone, older ones the second; the messages are the same.
_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
#: No service needs more files; a server that goes on for ever is not followed.
_MOST_FILES = 2000


class NoReflection(Exception):
    """The server cannot be asked what it serves."""


class Unserved(Exception):
    """The server says that it does not serve this."""


def read_files(names: str) -> DescriptorPool:
    """What the files know; ``names`` are divided by commas.

    Raises:
        OSError, ValueError: one of them cannot be read or holds something else.

    """
    database = DescriptorDatabase()
    for name in filter(None, (part.strip() for part in names.split(","))):
        files = FileDescriptorSet()
        try:
            files.ParseFromString(Path(name).read_bytes())
        except Exception as error:
            if isinstance(error, OSError):
                raise
            raise ValueError(f"grpc_descriptors: {name} is no FileDescriptorSet") from error
        for file in files.file:
            database.Add(file)
    return DescriptorPool(database)


async def reflect(channel: grpc.aio.Channel, service: str, timeout: float) -> DescriptorPool:
    """What the server says of its service, with all that belongs to it.

    Raises:
        NoReflection: it does not answer such questions.
        Unserved: it knows no such service.
        grpc.aio.AioRpcError: the call failed.

    """
    for number, name in enumerate(_SERVICES, 1):
        try:
            return await _ask(channel, name, service, timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            if number == len(_SERVICES):
                raise NoReflection from error
    raise AssertionError


async def _ask(
    channel: grpc.aio.Channel, reflection_service: str, service: str, timeout: float
) -> DescriptorPool:
    # Each question is a call of its own: a stream that its server ends while something is written to
    # it fails with a status of the client's making.
    ask = channel.unary_stream(
        f"/{reflection_service}/ServerReflectionInfo",
        request_serializer=reflection.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    files: dict[str, FileDescriptorProto] = {}
    question = reflection.ServerReflectionRequest(file_containing_symbol=service)
    async for answer in ask(question, timeout=timeout):
        files |= _told(answer, service)
    while missing := _missing(files):
        if len(files) >= _MOST_FILES:
            raise Unserved(f"{service} needs more than {_MOST_FILES} files")
        name = missing[0]
        if (known := _well_known(name)) is not None:
            files[name] = known
            continue
        question = reflection.ServerReflectionRequest(file_by_filename=name)
        async for answer in ask(question, timeout=timeout):
            files |= _told(answer, name)
        if name not in files:
            raise Unserved(f"the server does not tell of {name}")
    database = DescriptorDatabase()
    for file in files.values():
        database.Add(file)
    return DescriptorPool(database)


def _told(answer: reflection.ServerReflectionResponse, name: str) -> dict[str, FileDescriptorProto]:
    if answer.HasField("error_response"):
        raise Unserved(f"{name}: {answer.error_response.error_message}")
    contents = answer.file_descriptor_response.file_descriptor_proto
    files = [FileDescriptorProto.FromString(content) for content in contents]
    return {file.name: file for file in files}


def _missing(files: dict[str, FileDescriptorProto]) -> Sequence[str]:
    return [name for file in files.values() for name in file.dependency if name not in files]


def _well_known(name: str) -> FileDescriptorProto | None:
    """The types that come with protobuf are the same everywhere, and some servers do not tell of them."""
    if not name.startswith("google/protobuf/"):
        return None
    module = name.removesuffix(".proto").replace("/", ".") + "_pb2"
    try:
        descriptor: FileDescriptor = importlib.import_module(module).DESCRIPTOR
    except ImportError:
        return None
    return FileDescriptorProto.FromString(descriptor.serialized_pb)
