"""A server that does with a create what must be done, and nothing else: gRPC in, MongoDB out.

The same messages as Later's, the same documents, collection, indexes and options of the driver. No
checks, no grouping, no window. Run as a process of its own; see ``CreatePipe``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import grpc

from benchmarks.bare.documents import Maker, instant, maker
from benchmarks.harness.server import free_address
from later_core.client.channel import open_channel
from later_core.rpc.pipeline import answer_in_order
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.v1 import later_pb2_grpc as rpc
from later_core.stores.mongo.connection import Collection, Connection, connect
from later_core.stores.mongo.indexes import prepare

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_ROOT = Path(__file__).resolve().parents[2]


class BareServicer(rpc.InstanceServiceServicer):
    """Creates alone."""

    def __init__(self, collection: Collection, make: Maker) -> None:
        self._collection = collection
        self._make = make

    async def CreateInstance(  # noqa: N802 -- named by the proto
        self, request: pb.CreateInstanceRequest, context: Any
    ) -> pb.CreateInstanceResponse:
        """One insert of one document."""
        document = self._document(request)
        await self._collection.insert_one(document)
        response = pb.CreateInstanceResponse()
        response.instance.id = document["_id"]
        response.instance.task = request.task
        response.instance.parameters = request.parameters
        response.instance.execution_time.CopyFrom(request.execution_time)
        return response

    async def StreamCreateInstances(  # type: ignore[override]  # writes by itself # noqa: N802 -- as above
        self, request_iterator: AsyncIterator[pb.StreamCreateInstancesRequest], context: Any
    ) -> None:
        """One insert of each batch, four at a time."""
        await answer_in_order(request_iterator, self._batch, context.write, in_flight=4)

    async def _batch(
        self, request: pb.StreamCreateInstancesRequest
    ) -> pb.StreamCreateInstancesResponse:
        documents = [self._document(one) for one in request.requests]
        await self._collection.insert_many(documents, ordered=False)
        return pb.StreamCreateInstancesResponse(ids=[document["_id"] for document in documents])

    def _document(self, request: pb.CreateInstanceRequest) -> dict[str, Any]:
        due = request.execution_time
        document = self._make(instant(due.seconds, due.nanos))
        document["task"] = request.task
        document["parameters"] = request.parameters
        return document


class CreatePipe:
    """The pipe as a process of its own, with its collection made as Later makes it."""

    def __init__(self, connection: Connection, uri: str) -> None:
        self._connection = connection
        self._uri = uri

    async def __aenter__(self) -> Self:
        await prepare(self._connection, retention=timedelta(days=7))
        address = free_address()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bare.create_pipe"),
            *(self._uri, self._connection.database.name, address),
            cwd=_ROOT,
            env={"PATH": os.defpath},
            stdin=DEVNULL,
        )
        self.channel = open_channel(address)
        try:
            await asyncio.wait_for(self.channel.channel_ready(), _READY_SECONDS)
        except BaseException:
            await self.__aexit__()
            raise
        self.instances: Any = rpc.InstanceServiceStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close(None)
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid


async def _serve(uri: str, database: str, address: str) -> None:
    connection = connect(uri, database)
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", 8 * 2**20),))
    servicer = BareServicer(connection.instances, maker())  # type: ignore[abstract]  # creates alone
    rpc.add_InstanceServiceServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.start()
    await stop.wait()
    await server.stop(1.0)
    connection.client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("database")
    parser.add_argument("address")
    asyncio.run(_serve(**vars(parser.parse_args())))
