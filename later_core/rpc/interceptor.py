"""What every call goes through: its requests are checked, its errors become statuses, it is logged."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from later_core.errors import ServerStopping
from later_core.ports.clock import Clock
from later_core.ports.observer import Observer, Span
from later_core.rpc import trace_context
from later_core.rpc.auth.guard import Guard, Open
from later_core.rpc.auth.methods import METHODS
from later_core.rpc.errors import to_status, trailing_metadata
from later_core.rpc.messages import LARGE_BYTES, Answers, HeldMessages, Large, Requests, tell
from later_core.rpc.validation import check, is_ready, malformed, prepare

log = structlog.get_logger(__name__)

_Handler = Any  # grpc.RpcMethodHandler: what its parts take and give differs from method to method
_Context = Any  # grpc.aio.ServicerContext, likewise
_Behavior = Callable[[Any, _Context], Any]

_CODES = {code.value[0]: code for code in grpc.StatusCode}

#: Neighbours (health, reflection) are asked again and again: a trace of that tells nobody anything.
_OWN = "/later."

#: Stands for a request whose bytes are not a message; gRPC itself would answer UNKNOWN.
_MALFORMED = object()

#: Of unary calls, where nobody is authenticated: it remembers nothing.
_OPEN = Open()


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic when it runs
    """One for all calls of all services; none of them answers a stream with a single message."""

    def __init__(
        self, *, clock: Clock, observer: Observer | None = None, guard: Guard | None = None
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._guard = guard
        self._handlers: dict[str, _Handler] = {}
        self._held = HeldMessages()
        self._preparing = asyncio.Lock()
        self._waits: set[asyncio.Timeout] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """End every stream of responses, and the reading of requests, with ServerStopping."""
        self._is_stopping = True
        for wait in self._waits:
            wait.reschedule(0)  # a moment in the loop's past: it ends at once

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # no such method: gRPC answers UNIMPLEMENTED
        method = handler_call_details.method
        wrapped = self._handlers.get(method)
        if wrapped is None:
            wrapped = self._handlers[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: _Handler) -> _Handler:
        if handler.unary_unary:
            make, behavior = (
                grpc.unary_unary_rpc_method_handler,
                self._unary_unary(method, handler),
            )
        elif handler.unary_stream:
            make, behavior = (
                grpc.unary_stream_rpc_method_handler,
                self._unary_stream(method, handler.unary_stream),
            )
        else:
            make, behavior = (
                grpc.stream_stream_rpc_method_handler,
                self._stream_stream(method, handler.stream_stream),
            )
        return make(
            behavior,
            _tolerant(handler.request_deserializer),
            _unless_encoded(handler.response_serializer),
        )

    def _unary_unary(self, method: str, handler: _Handler) -> _Behavior:
        behavior, serialize = handler.unary_unary, handler.response_serializer
        # What has been done is answered, however large that is.
        is_change = method in METHODS and METHODS[method].is_change

        async def call(request: Any, context: _Context) -> bytes:
            async with self._answering(method, context), self._enter(method, context) as entry:
                is_large = type(request) is Large
                request = self._taken(request, context)
                entry.asked(request)
                response = await behavior(await self._checked(request), context)
                entry.answered(response)
                data: bytes = serialize(response)
                if len(data) >= LARGE_BYTES and not is_large and not is_change:
                    self._held.take(len(data), context)
                return data

        return call

    def _unary_stream(self, method: str, behavior: _Behavior) -> _Behavior:
        async def call(request: Any, context: _Context) -> None:
            async with (
                self._answering(method, context),
                self._enter(method, context, is_stream=True) as entry,
                self._until_stopped(entry),
            ):
                checked = await self._checked(self._taken(request, context))
                await _respond(behavior, checked, context)

        return call

    def _stream_stream(self, method: str, behavior: _Behavior) -> _Behavior:
        async def call(requests: AsyncIterator[Any], context: _Context) -> None:
            held = Requests(self._held)
            async with (
                self._answering(method, context),
                self._enter(method, context, is_stream=True) as entry,
                aclosing(self._read(requests, entry, held)) as read,
            ):
                await _respond(behavior, read, Answers(entry.attended(context), held))

        return call

    def _taken(self, request: Any, context: _Context) -> Any:
        """The request itself; a large one is held until the call is over."""
        if type(request) is not Large:
            return request
        self._held.take(request.size, context)
        return request.message

    async def _checked(self, request: Any) -> Message:
        if request is _MALFORMED:
            raise malformed()
        message: Message = request
        if not is_ready(message):
            async with self._preparing:
                if not is_ready(message):  # nor has another call prepared it meanwhile
                    await asyncio.to_thread(prepare)
        check(message)
        return message

    def _enter(self, method: str, context: _Context, *, is_stream: bool = False) -> Open:
        """Whether the caller may: entering raises what keeps it out."""
        if self._guard is not None:
            return self._guard.enter(method, context, is_stream=is_stream)
        return Open() if is_stream else _OPEN

    @asynccontextmanager
    async def _answering(self, method: str, context: _Context) -> AsyncIterator[None]:
        """Turn what goes wrong inside into a status, and log how the call went."""
        began = self._clock.monotonic()
        code = "OK"
        try:
            with self._traced(method, context):
                yield
            code = _name(context.code())
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except grpc.aio.InternalError as error:
            # A write that fails: its client has gone. Else gRPC would log an error for each that does.
            code = "CANCELLED"
            raise asyncio.CancelledError from error
        except grpc.aio.BaseError:  # answered already, by a neighbour's abort
            code = _name(context.code())
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a call's errors end
            status = to_status(error)
            code = _name(_CODES[status.code])
            await _abort(context, status)
        finally:
            elapsed_ms = round((self._clock.monotonic() - began) * 1000, 3)
            log.debug("call ended", method=method, code=code, elapsed_ms=elapsed_ms)

    @contextmanager
    def _traced(self, method: str, context: _Context) -> Iterator[None]:
        """Where somebody traces, what is inside is a span, on behalf of what the client says."""
        if self._observer is None or not method.startswith(_OWN):
            yield
            return
        with self._observer.call(method, trace_context.sent(context)) as span:
            trace_context.current.set(span.trace_parent or None)
            try:
                yield
            except Exception as error:
                _note_error(span, error)
                raise

    @asynccontextmanager
    async def _until_stopped(self, entry: Open) -> AsyncIterator[None]:
        """Break off what is inside when the server stops, or the caller is no longer let in.

        Raises:
            ServerStopping, or what keeps the caller out.

        """
        wait = asyncio.timeout(0 if self._is_stopping or entry.failure else None)
        try:
            async with wait:
                self._waits.add(wait)
                entry.waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
                    entry.waits.discard(wait)
        except TimeoutError:
            if wait.expired():
                raise (entry.failure or ServerStopping()) from None
            raise

    async def _read(
        self, requests: AsyncIterator[Any], entry: Open, held: Requests
    ) -> AsyncGenerator[Message, None]:
        """The requests of a stream, each checked. The next is read only when it is asked for."""
        try:
            while True:
                async with self._until_stopped(entry):
                    await held.room()
                    try:
                        request = held.read(await anext(requests))
                    except StopAsyncIteration:
                        return
                checked = await self._checked(request)
                entry.asked(checked)
                yield checked
        finally:
            held.end()


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            message = deserialize(data)
        except DecodeError:
            return _MALFORMED
        return message if len(data) < LARGE_BYTES else Large(message, len(data))

    return read


def _unless_encoded(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A method may answer with what it has encoded itself, once for many calls."""

    def write(response: Any) -> bytes:
        return response if type(response) is bytes else serialize(response)

    return write


async def _respond(behavior: _Behavior, request: Any, context: _Context) -> None:
    """Run a method that answers with a stream, whichever way it is written."""
    if inspect.iscoroutinefunction(behavior):
        await behavior(request, context)
        return
    # Closed here and now when the client goes away, not when the garbage collector comes by.
    async with aclosing(behavior(request, context)) as responses:
        async for response in responses:
            await tell(context, response)


async def _abort(context: _Context, status: Any) -> NoReturn:
    try:
        await context.abort(_CODES[status.code], status.message, trailing_metadata(status))
    except grpc.aio.InternalError as error:
        raise asyncio.CancelledError from error  # nobody is left to answer, or one who takes no answer
    raise AssertionError  # abort always raises


def _name(code: grpc.StatusCode | None) -> str:
    return "OK" if code is None else code.name


def _note_error(span: Span, error: Exception) -> None:
    if not isinstance(error, grpc.aio.BaseError):  # answered already, or nobody is left to answer
        status = to_status(error)
        span.fail(_name(_CODES[status.code]), status.message)
