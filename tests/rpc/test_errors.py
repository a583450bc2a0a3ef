"""Every error has its status, its details fit into a header, and nothing internal leaks."""

from __future__ import annotations

import grpc
import pytest

from later_core import errors
from later_core.errors import FieldViolation, InvalidRequest, LaterError
from later_core.rpc.errors import CODES, code_of, to_status, trailing_metadata


def subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


ALL = sorted(set(subclasses(LaterError)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code(kind):
    assert code_of(kind.__new__(kind)) is not grpc.StatusCode.UNKNOWN


def test_every_row_of_the_table_is_in_use():
    assert set(CODES) <= set(ALL)


def test_no_two_errors_share_a_reason():
    reasons = [kind.reason for kind in ALL]
    assert len(set(reasons)) == len(reasons)


def test_a_database_that_is_away_says_when_to_try_again_and_not_where_it_is(refusal):
    refused = refusal(to_status(errors.StoreUnavailable("db-3.internal:27017 refused")))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.info.reason == "STORE_UNAVAILABLE"
    assert refused.retry_info.retry_delay.ToSeconds() == 1
    assert "db-3" not in str(refused)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        errors.SettingInvalid("mongodb_uri", "secret"),
        ExceptionGroup("secret", [KeyError()]),
    ],
)
def test_what_no_client_can_mend_is_an_internal_error_without_a_word(refusal, error):
    refused = refusal(to_status(error))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.message == "internal error"
    assert "secret" not in str(refused)


def header_size(status) -> int:
    """What the status takes in HTTP/2 headers: the message percent-encoded, the details in base64."""
    details = trailing_metadata(status)[0][1]
    return 3 * len(status.message.encode()) + len(details) * 4 // 3


WORST = [
    InvalidRequest([FieldViolation(f'labels["{"🙂" * 64}"]', "é" * 900) for _ in range(500)]),
    InvalidRequest.of("json" + '["deeper"]' * 100, "🙂" * 10_000),
    errors.TaskNotFound("🙂" * 128, ["é" * 128] * 3),
    errors.InstanceNotFound("🙂" * 128),
    errors.SubscriberTooSlow("x" * 1024),
    errors.ClientStalled(60.0),
]


@pytest.mark.parametrize("error", WORST, ids=lambda error: type(error).__name__)
def test_the_worst_error_still_fits_into_the_headers_that_clients_take(error):
    assert header_size(to_status(error)) < 8 * 1024


@pytest.mark.parametrize("error", WORST, ids=lambda error: type(error).__name__)
def test_a_thousand_errors_in_one_answer_stay_receivable(error):
    assert 1000 * to_status(error, brief=True).ByteSize() < 4 * 1024 * 1024


def test_violations_that_do_not_fit_are_counted(refusal):
    violations = [FieldViolation(f"tasks[{n}]", "must not be empty") for n in range(500)]
    refused = refusal(to_status(InvalidRequest(violations)))
    shown = len(refused.violations)
    assert 10 < shown < 100
    assert list(refused.violations.values())[-1].endswith(f"(and {500 - shown} more wrong fields)")
