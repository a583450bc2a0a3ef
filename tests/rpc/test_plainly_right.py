"""The short way to check a create lets nothing pass that the rules of the proto refuse."""

import protovalidate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.limits import ID_MAX_LENGTH, PARAMETERS_MAX_BYTES
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import _is_plainly_right

LIMIT = 221_845_392_000
LONGEST = 3_153_600_000

texts = st.one_of(
    st.sampled_from(["", "echo", " ", "a\n", "a\0b", "ä", "-a", "a" * 128, "a" * 129, "a@b:c/d"]),
    st.text(max_size=5),
)
seconds = st.one_of(
    st.sampled_from([-1, 0, 1, LIMIT - 1, LIMIT, LONGEST - 1, LONGEST, LONGEST + 1]),
    st.integers(-(2**63), 2**63 - 1),
)
nanos = st.one_of(st.sampled_from([-1, 0, 1, 10**9 - 1, 10**9]), st.integers(-(2**31), 2**31 - 1))


@st.composite
def creates(draw: st.DrawFn) -> pb.CreateInstanceRequest:
    request = pb.CreateInstanceRequest(
        id=draw(texts), task=draw(texts), delivery=draw(st.integers(-1, 4))
    )
    due = draw(st.sampled_from(["execution_time", "delay", None]))
    if due is not None:
        getattr(request, due).seconds = draw(seconds)
        getattr(request, due).nanos = draw(nanos)
    if draw(st.booleans()):
        request.parameters = draw(st.binary(max_size=9))
    if draw(st.integers(0, 9)) == 0:
        request.labels[draw(texts)] = draw(texts)
    return request


@given(creates())
def test_what_is_plainly_right_keeps_every_rule(request):
    if _is_plainly_right(request):
        assert protovalidate.collect_violations(request) == []


def test_the_usual_create_is_plainly_right():
    request = pb.CreateInstanceRequest(id="a-1", task="echo", parameters=b"x" * 100)
    request.execution_time.GetCurrentTime()
    assert _is_plainly_right(request)


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": ""},
        {"task": "echo", "id": "a\n"},
        {"task": "echo", "id": "a" * (ID_MAX_LENGTH + 1)},
        {"task": "echo", "parameters": bytes(PARAMETERS_MAX_BYTES + 1)},
        {"task": "echo", "delivery": 7},
        {"task": "echo", "priority": 101},
        {"task": "echo", "priority": -1},
        {"task": "echo", "delay": {"seconds": -1}},
        {"task": "echo", "execution_time": {"seconds": LIMIT}},
        {"task": "echo", "execution_time": {"seconds": LIMIT - 1, "nanos": 10**9}},
        {"task": "echo", "delay": {"seconds": LONGEST - 1, "nanos": 10**9}},
    ],
)
def test_what_is_wrong_is_never_plainly_right(wrong):
    assert not _is_plainly_right(pb.CreateInstanceRequest(**wrong))
