"""What the server says went wrong arrives at the client whole."""

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import status_pb2

from later_core.client.errors import from_status
from later_core.errors import (
    FieldViolation,
    InstanceNotFound,
    InvalidRequest,
    RevisionMismatch,
    StoreUnavailable,
    SubscriberTooSlow,
    TaskNotFound,
)
from later_core.rpc.errors import to_status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InstanceNotFound("x"), "NOT_FOUND"),
        (TaskNotFound("ecko", ["echo"]), "NOT_FOUND"),
        (RevisionMismatch("x", 1, 2), "ABORTED"),
        (StoreUnavailable("host a"), "UNAVAILABLE"),
        (SubscriberTooSlow("token"), "RESOURCE_EXHAUSTED"),
    ],
)
def test_code_message_reason_and_data_are_those_of_the_server(error, code):
    seen = from_status(to_status(error))
    assert seen.code == code
    assert str(seen) == seen.message == str(error)
    assert seen.reason == error.reason
    assert seen.metadata == error.metadata


def test_every_wrong_field_is_named():
    violations = (FieldViolation("id", "too long"), FieldViolation("labels", "too many"))
    assert from_status(to_status(InvalidRequest(violations))).violations == violations


def test_details_of_an_unknown_type_are_passed_over():
    status = status_pb2.Status(code=5, message="gone")
    status.details.add().Pack(StringValue(value="x"))
    seen = from_status(status)
    assert (seen.code, seen.message, seen.reason) == ("NOT_FOUND", "gone", "")


def test_a_code_that_gRPC_does_not_know_is_unknown():  # noqa: N802 - a name
    assert from_status(status_pb2.Status(code=99)).code == "UNKNOWN"
