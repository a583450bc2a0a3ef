"""One call an attempt."""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from urllib.parse import quote

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from later_core import Context, Task, TaskError, parse_parameters
from later_plugin_grpc.channels import Channels, Target
from later_plugin_grpc.descriptors import NoReflection, Unserved, reflect
from later_plugin_grpc.order import Order

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Grpc(Task):
    """Calls a unary method, and keeps its response as JSON."""

    name = "grpc"
    description = "Calls a unary method of a gRPC service."
    parameters_schema: ClassVar[Mapping[str, Any]] = Order.model_json_schema()

    def __init__(
        self, channels: Channels, *, known: DescriptorPool, targets: str, timeout: float
    ) -> None:
        self._channels = channels
        self._known = known
        self._targets = [part.strip() for part in targets.split(",")]
        self._timeout = timeout

    async def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        if not any(fnmatchcase(order.target, pattern) for pattern in self._targets):
            raise TaskError(
                f"target: {order.target} is not among grpc_targets",
                reason="TARGET_REFUSED",
                is_final=True,
            )
        async with self._channels.to(order.target, tls=order.tls) as target:
            try:
                return await self._call(target, order, context)
            except grpc.aio.AioRpcError as error:
                return _answered(order, error)

    async def _call(self, target: Target, order: Order, context: Context) -> str:
        timeout = order.timeout or self._timeout
        pool = await self._pool(target, order, timeout)
        method = _method(pool, order)
        request = GetMessageClass(method.input_type)()
        try:
            json_format.ParseDict(dict(order.request), request, descriptor_pool=pool)
        except json_format.ParseError as error:
            target.reflected.clear()  # by the next instance the server may have a newer one
            raise _invalid(f"request: {' '.join(str(error).split())}") from error
        metadata = {
            **_trace(context),
            **order.metadata,
            "later-instance": quote(context.instance.id, safe=_PRINTABLE),
            "later-attempt": str(context.attempt),
        }
        response = await target.channel.unary_unary(
            f"/{order.method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request, metadata=tuple(metadata.items()), timeout=timeout)
        return json_format.MessageToJson(
            response, indent=None, ensure_ascii=False, descriptor_pool=pool
        )

    async def _pool(self, target: Target, order: Order, timeout: float) -> DescriptorPool:
        """Where the service is described: a file, or what its server says of it."""
        service = order.method.partition("/")[0]
        try:
            self._known.FindServiceByName(service)
        except KeyError:
            pass
        else:
            return self._known
        if service not in target.reflected:
            try:
                target.reflected[service] = await reflect(target.channel, service, timeout)
            except NoReflection as error:
                raise TaskError(
                    f"{order.target} serves no reflection, and grpc_descriptors has no {service}",
                    reason="NO_REFLECTION",
                    is_final=True,
                ) from error
            except Unserved as error:
                raise _invalid(f"method: {error}") from error
        return target.reflected[service]


def _trace(context: Context) -> Mapping[str, str]:
    """The span of the attempt, where somebody traces (W3C Trace Context); the caller may name another."""
    return {"traceparent": context.trace_parent} if context.trace_parent is not None else {}


def _method(pool: DescriptorPool, order: Order) -> MethodDescriptor:
    service, _, name = order.method.partition("/")
    try:
        method = pool.FindServiceByName(service).methods_by_name[name]
    except KeyError as error:
        raise _invalid(f"method: {service} has no method {name}") from error
    if method.client_streaming or method.server_streaming:
        raise _invalid(f"method: {order.method} streams; only unary methods can be called")
    return method


def _answered(order: Order, error: grpc.aio.AioRpcError) -> str:
    """What a status that is not OK means for the attempt."""
    code, details = error.code(), error.details() or ""
    result = json.dumps({"code": code.name, "details": details[:10_000]}, ensure_ascii=False)
    if order.succeeds(code):
        return result
    raise TaskError(
        f"the server answered {code.name}: {details}",
        reason="GRPC_STATUS",
        is_final=order.is_final(code),
        result=result.encode(errors="replace"),
    ) from error


def _invalid(message: str) -> TaskError:
    return TaskError(message, reason="INVALID_PARAMETERS", is_final=True)
