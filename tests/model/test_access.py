"""Scopes, roles, bindings, tokens and the ids of the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.model.audit import entry_id, first_id
from later_core.model.binding import bind, parse_binding
from later_core.model.instant import from_millis
from later_core.model.permission import ROLE_PERMISSIONS, UNCONFINED_ONLY, Permission, Role
from later_core.model.principal import ANYONE, of_roles
from later_core.model.scope import EVERYTHING, Scope, matches_pattern
from later_core.model.token import Token, hash_of, id_in, new_secret

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEXT = st.text(st.sampled_from("ab*.\\\n$ä|"), max_size=6)


def plainly_matches(text: str, pattern: str) -> bool:
    """The same by trying: a star takes nothing, or one character and is asked again."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return plainly_matches(text, pattern[1:]) or (
            bool(text) and plainly_matches(text[1:], pattern)
        )
    return bool(text) and text[0] == pattern[0] and plainly_matches(text[1:], pattern[1:])


@given(TEXT, TEXT)
def test_a_star_stands_for_any_text_and_all_else_for_itself(text: str, pattern: str) -> None:
    assert matches_pattern(text, pattern) is plainly_matches(text, pattern)


@pytest.mark.parametrize(
    ("scope", "task", "labels", "expected"),
    [
        (EVERYTHING, "x", {}, True),
        (Scope(tasks=("http-*", "echo")), "echo", {}, True),
        (Scope(tasks=("http-*",)), "http", {}, False),
        (Scope(labels={"team": "web"}), "x", {"team": "web", "more": ""}, True),
        (Scope(labels={"team": "*"}), "x", {}, False),
        (Scope(labels={"team": "web", "env": "*"}), "x", {"team": "web"}, False),
        (Scope(tasks=("x",), labels={"team": "web"}), "y", {"team": "web"}, False),
    ],
)
def test_a_scope_covers_what_matches_all_of_it(scope, task, labels, expected):
    assert scope.covers(task, labels) is expected


def test_each_role_has_the_permissions_of_the_one_before_it():
    ladder = [ROLE_PERMISSIONS[role] for role in Role]
    assert all(lower < higher for lower, higher in pairwise(ladder))
    assert ladder[-1] == set(Permission)


def test_no_role_has_the_permission_of_a_task():
    assert not of_roles("x", Role).may("run-bash")
    assert of_roles("x", [Role.VIEWER], grants=["run-bash"]).may("run-bash")
    assert ANYONE.may("run-bash")


def test_whoever_is_confined_has_nothing_that_concerns_all():
    confined = of_roles("x", [Role.ADMIN], scope=Scope(tasks=("http-*",)))
    assert not any(confined.may(permission) for permission in UNCONFINED_ONLY)
    assert all(confined.may(p) for p in set(Permission) - UNCONFINED_ONLY)


def test_bindings_add_up():
    bindings = [parse_binding(t) for t in ("ci-*=scheduler+run-bash", "ci-7=operator", "x=admin")]
    seven = bind("me", ["ci-7"], bindings)
    assert seven is not None
    assert (seven.name, seven.may("run-bash"), seven.may(Permission.NODES_DRAIN)) == (
        "me",
        True,
        True,
    )
    assert not seven.may(Permission.TOKENS_MANAGE)
    assert bind("me", ["y"], bindings) is None
    assert bind("me", [], bindings) is None


def test_a_binding_confines_whom_it_lets_in():
    (web,) = [parse_binding("ci-*=admin+task:http-*+task:grpc+label:team:web*")]
    assert web.scope == Scope(tasks=("http-*", "grpc"), labels={"team": "web*"})
    mine = bind("me", ["ci-7"], [web])
    assert mine is not None
    assert mine.scope == web.scope
    assert not mine.may(Permission.TOKENS_MANAGE)


def bound(*texts, scope=EVERYTHING):
    found = bind("me", ["ci"], [parse_binding(text) for text in texts], scope=scope)
    return None if found is None else found.scope


def test_of_several_scopes_what_lies_within_all_is_left_or_nobody_is_let_in():
    assert bound("ci=viewer", "c*=admin") is EVERYTHING
    assert bound("ci=viewer+task:*") is EVERYTHING
    assert bound("ci=viewer+task:a", "ci=admin") == Scope(tasks=("a",))
    assert bound("ci=admin", "ci=viewer+task:a") == Scope(tasks=("a",))
    assert bound("ci=viewer+task:a+task:b", "ci=admin+task:b+task:a") == Scope(tasks=("a", "b"))
    both = Scope(tasks=("a",), labels={"x": "1", "y": "2"})
    assert bound("ci=viewer+task:a", "ci=viewer+label:x:1+label:y:2") == both
    assert bound("ci=viewer+label:x:1", scope=Scope(tasks=("a",), labels={"y": "2"})) == both
    assert bound("ci=viewer+task:a", "ci=viewer+task:b") is None
    assert bound("ci=viewer+label:x:1", "ci=viewer+label:x:2") is None
    assert bound("ci=viewer+task:a", scope=Scope(tasks=("b",))) is None


NAMES = st.sampled_from(["a", "b", "ab"])
SCOPES = st.builds(
    Scope,
    tasks=st.lists(st.sampled_from(["a", "b", "a*"]), max_size=2, unique=True).map(tuple),
    labels=st.dictionaries(NAMES, st.sampled_from(["1", "2", "*"]), max_size=2),
)


@given(SCOPES, SCOPES, NAMES, st.dictionaries(NAMES, st.sampled_from(["1", "2"])))
def test_what_is_narrowed_covers_what_both_do_and_nothing_else(one, other, task, labels):
    within = one.narrowed(other)
    if within is not None:
        both = one.covers(task, labels) and other.covers(task, labels)
        assert within.covers(task, labels) is both


@pytest.mark.parametrize(
    "text",
    [
        "ci=task:a",
        "ci=viewer+task:",
        "ci=viewer+label:",
        "ci=viewer+label:team",
        "ci=viewer+label::web",
        "ci=viewer+label:-x:web",
        "ci=viewer+label:team=web",
        "ci=viewer+task:a=b",
        "ci=viewer+label:x:1+label:x:2",
        "ci=viewer+task:a\nb",
        "ci=viewer+task:" + "a" * 129,
        "ci=viewer" + "+task:a" * 33,
    ],
)
def test_a_binding_with_a_scope_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"task|label"):
        parse_binding(text)


@pytest.mark.parametrize("text", ["", "admin", "=admin", "ci=", "ci=+", "ci=Admin", "ci=a.b"])
def test_what_is_no_binding_is_refused(text):
    with pytest.raises(ValueError, match=r"name=role|neither a role"):
        parse_binding(text)


def test_a_secret_says_which_token_it_belongs_to():
    id, secret = new_secret()
    assert id_in(secret) == id
    assert secret.startswith("later_")
    assert new_secret()[1] != secret
    token = Token(id=id, name="x", roles=(), create_time=NOW, secret_hash=hash_of(secret))
    assert token.is_of(secret)
    assert not token.is_of(secret[:-1])
    assert secret not in repr(token)


@pytest.mark.parametrize(
    "secret", ["", "later_", "later_x_y", f"later_{'a' * 16}_{'b' * 63}", "\n"]
)
def test_what_is_no_secret_belongs_to_no_token(secret):
    assert id_in(secret) is None


def test_a_token_is_valid_until_it_expires_or_is_revoked():
    until = NOW + timedelta(seconds=1)
    token = Token(id="t", name="x", roles=(), create_time=NOW, expire_time=until)
    assert token.is_valid(NOW)
    assert not token.is_valid(until)
    revoked = Token(id="t", name="x", roles=(), create_time=NOW, revoke_time=NOW)
    assert not revoked.is_valid(NOW)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**13), st.integers(0, 999)),
        min_size=2,
        max_size=5,
    )
)
def test_ids_of_entries_are_in_the_order_of_time_and_number(moments):
    moments = [(from_millis(millis), number) for millis, number in moments]
    ids = [(moment, number, entry_id(moment, number, "0123456789")) for moment, number in moments]
    for time, number, id in ids:
        assert first_id(time) < id < first_id(time + timedelta(milliseconds=1))
        for other_time, other_number, other_id in ids:
            if (time, number) < (other_time, other_number):
                assert id < other_id
