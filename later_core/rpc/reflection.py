"""Server reflection, v1alpha and v1: how grpcurl and its like learn the methods and messages.

grpcio-reflection carries v1alpha alone. v1 has the same messages on the wire under another package
name, so one servicer answers both; the descriptors of v1 are made from those of v1alpha. They live
in a pool of their own: the process-wide one belongs to whoever may install the real v1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio  # type: ignore[attr-defined]  # unknown to the stubs

_ALPHA = "grpc.reflection.v1alpha"
_V1 = "grpc.reflection.v1"
SERVICE_NAMES = (f"{_V1}.ServerReflection", f"{_ALPHA}.ServerReflection")


def add_reflection(server: grpc.aio.Server, service_names: Iterable[str]) -> None:
    """Serve reflection of these services, whose descriptors are loaded, and of itself."""
    names = [*service_names, *SERVICE_NAMES]
    servicer = aio.ReflectionServicer(names, pool=_Symbols(_pool(names)))  # type: ignore[attr-defined]  # as above
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(
        f"{_V1}.ServerReflection", {"ServerReflectionInfo": method}
    )
    server.add_generic_rpc_handlers((handler,))


class _Symbols:
    """A pool in which a symbol inside a symbol (a method of a service) is found too."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)
            return found.methods_by_name[method].containing_service.file


def _pool(service_names: Iterable[str]) -> DescriptorPool:
    pool = DescriptorPool()
    added: set[str] = set()
    for name in service_names:
        if not name.startswith(f"{_V1}."):
            _add(pool, Default().FindFileContainingSymbol(name), added)
    # No method mentions them, but every error carries them.
    _add(pool, error_details_pb2.DESCRIPTOR, added)
    pool.AddSerializedFile(_v1_file())
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    pool.AddSerializedFile(file.serialized_pb)


def _v1_file() -> bytes:
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = _V1
    file.ClearField("options")
    alpha, v1 = f".{_ALPHA}.", f".{_V1}."
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(alpha, v1)
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(alpha, v1)
            method.output_type = method.output_type.replace(alpha, v1)
    return file.SerializeToString()
