"""A principal's quota on a real channel."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from later_core.client.client import Client
from later_core.local.quotas import Quotas
from later_core.model.instance import NewInstance
from later_core.model.rate import RateLimit
from later_core.rpc.v1 import later_pb2 as pb


async def test_a_principal_that_has_had_its_share_is_told_how_much_and_when(serve, refusal):
    slow = RateLimit(count=1, per=timedelta(hours=1), burst=3)
    async with serve(quotas=Quotas(rates={"*": slow})) as served:
        for _ in range(3):
            await served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo"))
        batch = pb.BatchCreateInstancesRequest(requests=[pb.CreateInstanceRequest(task="echo")])
        for call in (
            served.instances.CreateInstance(pb.CreateInstanceRequest(task="echo")),
            served.instances.BatchCreateInstances(batch),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            refused = refusal(raised.value)
            assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.info.reason == "QUOTA_EXCEEDED"
            assert refused.info.metadata["limit"] == str(slow)
            assert refused.retry_info is not None
            assert refused.retry_info.retry_delay.seconds > 3000
        page = await served.instances.ListInstances(pb.ListInstancesRequest())
        assert len(page.instances) == 3


async def test_the_client_and_a_stream_wait_for_their_share(serve):
    quotas = Quotas(rates={"*": RateLimit(count=20, burst=2)})
    async with serve(quotas=quotas) as served:
        async with Client(served.server.address) as client:
            created = [await client.create(NewInstance(task="echo")) for _ in range(6)]
        assert len({instance.id for instance in created}) == 6

        async def batches():
            for _ in range(3):
                yield pb.StreamCreateInstancesRequest(
                    requests=[pb.CreateInstanceRequest(task="echo")] * 2
                )

        answers = [answer async for answer in served.instances.StreamCreateInstances(batches())]
        assert [len(answer.ids) for answer in answers] == [2, 2, 2]
