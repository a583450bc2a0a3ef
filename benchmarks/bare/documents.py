"""The very documents that Later stores for the benchmarks' requests, made as cheaply as can be.

Everything that is the same for all of them is made once, by Later's own code; so when that changes
what it stores, the bare pipes do too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import uuid_utils

from benchmarks.harness.requests import PARAMETERS
from benchmarks.harness.tasks import NOOP
from later_core.model.bucket import bucket_of
from later_core.model.instance import NewInstance
from later_core.service.placement import place
from later_core.stores.mongo.connection import Document
from later_core.stores.mongo.documents import to_document

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Maker = Callable[[datetime], Document]


def maker(*, parameters: bytes = PARAMETERS, task: str = NOOP) -> Maker:
    """A function from a due time in whole milliseconds to a document with an id of its own."""
    now = datetime.now(UTC)
    request = NewInstance(task=task, parameters=parameters, execution_time=now)
    common = to_document(place(request, now=now))

    def make(due: datetime) -> Document:
        id = uuid_utils.uuid7().hex
        return {**common, "_id": id, "execution_time": due, "bucket": bucket_of(id)}

    return make


def instant(seconds: int, nanos: int) -> datetime:
    """The instant of a protobuf timestamp, in whole milliseconds."""
    return _EPOCH + timedelta(seconds=seconds, milliseconds=nanos // 1_000_000)
