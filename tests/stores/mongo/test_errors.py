"""Which errors of the driver are an outage, and pass, and which a person should see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from later_core.stores.mongo.errors import is_outage

Part = dict[str, Any]

STEPPED_DOWN: Part = {"code": 11602, "errmsg": "operation was interrupted"}
DUPLICATE: Part = {"code": 11000, "errmsg": "duplicate key"}


def bulk(*, writes: Sequence[Part] = (), concerns: Sequence[Part] = ()) -> PyMongoError:
    return BulkWriteError({"writeErrors": [*writes], "writeConcernErrors": [*concerns]})


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("gone"),
        NotPrimaryError("not primary"),
        OperationFailure("stepped down", 189),
        WriteConcernError("interrupted", 11602),
        bulk(concerns=[STEPPED_DOWN]),
        bulk(writes=[STEPPED_DOWN], concerns=[STEPPED_DOWN]),
    ],
    ids=repr,
)
def test_an_election_is_an_outage(error: PyMongoError) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("no such command", 59),
        DuplicateKeyError("duplicate key", 11000),
        bulk(writes=[DUPLICATE]),
        bulk(writes=[DUPLICATE], concerns=[STEPPED_DOWN]),
        bulk(),
    ],
    ids=repr,
)
def test_what_does_not_pass_by_itself_is_none(error: PyMongoError) -> None:
    assert not is_outage(error)
