"""Requests that come close to being right, of every RPC: answered as right or wrong, never as a fault."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from later_core.rpc.v1 import later_pb2 as pb

from .calls import FAULTS, METHODS, ask, right
from .mutations import mutated

RIGHT = {method.full_name: right(method.input_type).SerializeToString() for method in METHODS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_is_taken_for_right_is_no_fault(server, method):
    answer = ask(server.channel, method, RIGHT[method.full_name])
    assert answer.code not in FAULTS, answer


def test_bytes_that_are_hardly_changed_are_answered_as_right_or_wrong(server):
    """Of each RPC its own request and those of the others, changed a little."""
    requests = st.sampled_from(sorted(RIGHT.values()))

    @settings(settings.default, deadline=None)
    @given(st.sampled_from(METHODS).flatmap(lambda m: st.tuples(st.just(m), requests_of(m))))
    def attack(asked):
        method, sent = asked
        answer = ask(server.channel, method, *sent)
        assert answer.code not in FAULTS, answer

    def requests_of(method):
        own = st.just(RIGHT[method.full_name])
        most = 3 if method.client_streaming else 1
        return st.lists(mutated(st.one_of(own, own, requests)), min_size=1, max_size=most)

    with server.unharmed():
        attack()


def nested(depth):
    """A Struct in a Struct in a Struct, with no message object of this depth made of it."""
    inner = b""
    for _ in range(depth):
        value = b"\x2a" + _varint(len(inner)) + inner
        entry = b"\x0a\x01a\x12" + _varint(len(value)) + value
        inner = b"\x0a" + _varint(len(entry)) + entry
    return inner


def _varint(number):
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


@pytest.mark.parametrize("depth", [10, 31, 32, 33, 34, 100, 10_000])
def test_json_may_be_as_deep_as_it_likes(server, depth):
    json = nested(depth)
    asked = b"\x12\x04echo" + b"\x22" + _varint(len(json)) + json
    (create,) = (method for method in METHODS if method.name == "CreateInstance")
    answer = ask(server.channel, create, asked)
    assert answer.code not in FAULTS, answer
    server.is_well()


def test_a_request_of_many_empty_parts_is_bounded(server):
    """Two bytes of the wire can be an object in memory: a whole message of them is the worst there is."""
    batch = b"\x0a\x00" * (2 * 1024 * 1024)
    (create,) = (method for method in METHODS if method.name == "BatchCreateInstances")
    (imports,) = (method for method in METHODS if method.name == "ImportInstances")
    with server.unharmed(growth=768 * 1024 * 1024):
        for method in (create, imports):
            answer = ask(server.channel, method, batch)
            assert answer.code not in FAULTS, answer


def test_the_same_field_a_million_times_is_bounded(server):
    asked = b"\x0a\x01a" * 1_400_000
    (get,) = (method for method in METHODS if method.name == "GetInstance")
    with server.unharmed():
        answer = ask(server.channel, get, asked)
    assert answer.code not in FAULTS, answer
    assert pb.GetInstanceRequest.FromString(asked).id == "a"
