"""``later tokens`` and ``later audit``: what they take and what they never show."""

from __future__ import annotations

import pytest

SECRET = "0123456789abcdef" * 3


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--set", f"admin_token={SECRET}"),
        ("serve", f"--admin-token={SECRET}"),
        ("stats", f"--token={SECRET}"),
    ],
)
def test_a_secret_is_not_taken_from_where_everybody_sees_it(later, words):
    said = later(*words)
    assert (said.code, said.out) == (2, "")
    assert SECRET not in said.err


def test_a_secret_is_not_shown_among_the_settings(later, monkeypatch):
    monkeypatch.setenv("LATER_ADMIN_TOKEN", SECRET)
    said = later("settings")
    assert said.code == 0
    assert SECRET not in said.out


def test_a_token_is_not_sent_unencrypted_to_another_machine(later, monkeypatch):
    monkeypatch.setenv("LATER_TOKEN", SECRET)
    said = later("stats", "--address", "later.example:9081")
    assert (said.code, said.out) == (2, "")
    assert "unencrypted" in said.err
    assert SECRET not in said.err


def listed(ask):
    """The rows of the list by their ids: others give tokens of this server the same names."""
    return {line.split()[0]: line for line in ask("tokens", "list").out.splitlines()}


def test_a_token_is_made_listed_and_revoked(ask):
    made = ask("tokens", "create", "nightly", "--role=viewer", "--role=scheduler", "--json")
    assert made.code == 0
    (record,) = made.records
    id = record["token"]["id"]
    assert record["secret"].startswith(f"later_{id}_")
    assert record["token"]["roles"] == ["ROLE_VIEWER", "ROLE_SCHEDULER"]
    assert "expireTime" in record["token"]
    plain = ask("tokens", "create", "endless", "--role=admin", "--expires-in=never", "--task=x-*")
    assert plain.out.startswith("later_")
    assert len(plain.out.splitlines()) == 1
    endless = plain.out.split("_")[1]
    assert "valid until it is revoked" in plain.err
    assert ask("tokens", "revoke", id).out == f"{id}: revoked\n"
    rows = listed(ask)
    assert " revoked " in rows[id]
    assert rows[endless].rstrip().endswith("tasks x-*")
    assert " never " in rows[endless]
    missing = ask("tokens", "revoke", "0" * 16)
    assert missing.code == 1
    assert "no token" in missing.err


def test_a_token_is_made_with_quotas_of_its_own(ask):
    words = ("tokens", "create", "--role=scheduler", "--json")
    (made,) = ask(*words, "narrow", "--rate=10/s+100", "--max-pending=1000").records
    assert (made["token"]["createRate"], made["token"]["maxPending"]) == ("10/1s+100", "1000")
    narrow = made["token"]["id"]
    (made,) = ask(*words, "wide", "--rate=none", "--max-pending=none").records
    assert (made["token"]["createRate"], made["token"]["maxPending"]) == ("none", "-1")
    row = listed(ask)[narrow]
    assert "10/1s+100" in row
    assert " 1000 " in row


@pytest.mark.parametrize(
    "words",
    [
        ("tokens", "create", "x"),
        ("tokens", "create", "x", "--role=viewer", "--rate=fast"),
        ("tokens", "create", "x", "--role=viewer", "--max-pending=0"),
        ("tokens", "create", "x", "--role=king"),
        ("tokens", "create", "x", "--role=viewer", "--expires-in=soon"),
        ("tokens", "create", "a b", "--role=viewer"),
        ("audit", "--since=sometime"),
        ("audit", "--limit=0"),
        ("audit", "--outcome=no"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(ask, words):
    said = ask(*words)
    assert (said.code, said.out) == (2, "")


def test_without_authentication_the_log_is_empty(ask):
    said = ask("audit", "--since=1h ago", "--json")
    assert (said.code, said.out) == (0, "")


def test_where_nobody_is_asked_whoami_says_so(ask):
    said = ask("whoami")
    assert said.code == 0
    assert said.out.startswith("nobody is authenticated")
    (record,) = ask("whoami", "--json").records
    assert (record["means"], record["principal"]) == ("MEANS_NONE", "")
