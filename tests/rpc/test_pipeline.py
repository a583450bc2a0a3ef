"""A stream whose answers nobody takes ends as what it is: a client that has gone."""

from __future__ import annotations

import grpc
import pytest

from later_core.rpc.pipeline import answer_in_order


async def test_a_client_that_goes_while_it_is_answered_is_told_of_as_itself():
    asked = []

    async def requests():
        while True:
            yield len(asked)

    async def answer(request):
        asked.append(request)
        return request

    async def send(response):
        raise grpc.aio.InternalError

    with pytest.raises(grpc.aio.InternalError):
        await answer_in_order(requests(), answer, send, in_flight=4)
    assert len(asked) <= 4
