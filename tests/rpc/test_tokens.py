"""A page token is a place, and nothing but this server's own tokens is one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.instant import from_millis
from later_core.model.query import PageKey
from later_core.rpc.tokens import (
    from_page_token,
    from_schedule_token,
    to_page_token,
    to_schedule_token,
)

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999), IDS)
def test_a_place_comes_back_as_it_went(millis, id):
    key = PageKey(from_millis(millis), id)
    token = to_page_token(key)
    assert from_page_token(token) == key
    assert token.replace("-", "").replace("_", "").isalnum()


def test_the_first_page_has_no_token():
    assert to_page_token(None) == ""
    assert from_page_token("") is None


@given(st.text(min_size=1, max_size=100))
def test_any_other_text_is_a_wrong_field(token):
    try:
        understood = to_page_token(from_page_token(token))
    except InvalidRequest as error:
        understood = error.violations[0].field
    assert understood in {token, "page_token"}


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "a",
        "====",
        "!!!!",
        encoded(b"17"),
        encoded(b"17."),
        encoded(b".id"),
        encoded(b"x.id"),
        encoded(b"017.id"),
        encoded(b" 17.id"),
        encoded(b"99999999999999999999.id"),
        encoded(b"17." + b"i" * 129),
        encoded(b"17.\xff"),
        encoded(b"17.id") + "==",
        "\udc80",
    ],
)
def test_a_token_that_was_tampered_with_is_refused(token):
    with pytest.raises(InvalidRequest, match="page_token"):
        from_page_token(token)


@given(IDS.filter(lambda text: len(text) <= 96))
def test_a_place_among_schedules_comes_back_as_it_went(id):
    assert from_schedule_token(to_schedule_token(id)) == id


def test_the_first_page_of_schedules_has_no_token():
    assert to_schedule_token(None) == ""
    assert from_schedule_token("") is None


@pytest.mark.parametrize(
    "token",
    ["a", "====", encoded(b"id"), encoded(b"schedule."), encoded(b"schedule." + b"i" * 97)],
)
def test_a_token_of_schedules_that_was_tampered_with_is_refused(token):
    with pytest.raises(InvalidRequest, match="page_token"):
        from_schedule_token(token)


def test_a_token_of_one_list_is_refused_by_the_other():
    with pytest.raises(InvalidRequest, match="page_token"):
        from_schedule_token(to_page_token(PageKey(from_millis(17), "id")))
    with pytest.raises(InvalidRequest, match="page_token"):
        from_page_token(to_schedule_token("17.id"))
