"""A Struct becomes its JSON text, the same for the same content, or names what JSON cannot say."""

from __future__ import annotations

import json
import math

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.rpc import json_text

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53)
    | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_the_text_says_what_the_struct_says(value):
    struct = json_text.to_struct(value)
    assert json.loads(json_text.to_text(struct, "json")) == value


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_equal_content_gives_equal_bytes(value):
    backwards = dict(reversed(value.items()))
    one, other = json_text.to_struct(value), json_text.to_struct(backwards)
    assert json_text.to_text(one, "json") == json_text.to_text(other, "json")


def test_whole_numbers_have_no_fraction_and_names_are_sorted():
    struct = json_text.to_struct({"b": 3.0, "a": 0.5, "c": -0.0, "d": 1e300, "é": [2**53]})
    text = '{"a":0.5,"b":3,"c":0,"d":1e+300,"é":[9007199254740992]}'
    assert json_text.to_text(struct, "json") == text.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_named(number):
    struct = Struct()
    struct.update({"a": {"b": [1, number]}})
    with pytest.raises(InvalidRequest) as raised:
        json_text.to_text(struct, "json")
    assert [v.field for v in raised.value.violations] == ['json["a"]["b"][1]']


def test_a_value_without_a_kind_is_named():
    with pytest.raises(InvalidRequest) as raised:
        json_text.to_text(Struct(fields={'say "hi"': Value()}), "json")
    assert [v.field for v in raised.value.violations] == [r'json["say \"hi\""]']


@pytest.mark.parametrize("value", ["x" * (1024 * 1024), "\x01" * 200_000])
def test_a_text_over_the_limit_is_refused(value):
    with pytest.raises(InvalidRequest, match="at most 1048576 bytes"):
        json_text.to_text(json_text.to_struct({"a": value}), "json")
