"""Settings about who may: what is refused, and what is kept back."""

from __future__ import annotations

from pathlib import Path

import pytest

from later_core.errors import SettingInvalid
from later_core.settings import assignments, load

SECRET = "0123456789abcdef" * 3


@pytest.mark.parametrize(
    ("variables", "blamed"),
    [
        ({"ADMIN_TOKEN": "short"}, "LATER_ADMIN_TOKEN"),
        ({"ADMIN_TOKEN": SECRET + "."}, "LATER_ADMIN_TOKEN"),
        ({"TOKEN": "a b"}, "LATER_TOKEN"),
        ({"TOKEN": "a", "TOKEN_FILE": "b"}, "LATER_TOKEN_FILE"),
        ({"AUTH": "password"}, "LATER_AUTH"),
        ({"AUTH": "jwt"}, "--jwt-keys"),
        ({"AUTH": "mtls"}, "--mtls-roles"),
        ({"AUTH": "mtls", "MTLS_ROLES": "ci=viewer"}, "--tls-client-ca"),
        ({"JWT_ALGORITHMS": "HS256"}, "LATER_JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": "RS256,none"}, "LATER_JWT_ALGORITHMS"),
        ({"JWT_ROLES": "x=Admin"}, "LATER_JWT_ROLES"),
        ({"MTLS_ROLES": "admin"}, "LATER_MTLS_ROLES"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], blamed: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LATER_{name}", value)
    with pytest.raises(SettingInvalid, match=f"setting {blamed}: ") as caught:
        load()
    for secret in (variables.get("ADMIN_TOKEN"), variables.get("TOKEN")):
        assert secret is None or f"'{secret}'" not in str(caught.value)


def test_ways_are_words_between_commas_or_a_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATER_AUTH", "token, jwt")
    told = {"jwt_keys": "k", "jwt_issuer": "i", "jwt_audience": "a"}
    assert load(told).auth == ("token", "jwt")
    monkeypatch.delenv("LATER_AUTH")
    path = tmp_path / "later.toml"
    path.write_text('auth = ["token"]\nmtls_roles = ["ci-*=scheduler+run-bash"]\n')
    settings = load(config=path)
    assert (settings.auth, settings.mtls_roles) == (("token",), ("ci-*=scheduler+run-bash",))


def test_secrets_are_shown_nowhere_and_have_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_ADMIN_TOKEN", SECRET)
    monkeypatch.setenv("LATER_TOKEN", SECRET)
    settings = load()
    assert SECRET not in repr(settings)
    rows = {row.name: row for row in settings.describe()}
    for name in ("admin_token", "token"):
        assert (rows[name].flag, rows[name].value) == ("", "********")
        with pytest.raises(SettingInvalid, match="ps would show it") as caught:
            assignments([f"{name}={SECRET}"])
        assert SECRET not in str(caught.value)


def test_the_token_comes_from_the_variable_or_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load().client_token() is None
    monkeypatch.setenv("LATER_TOKEN", "from-the-variable")
    assert load().client_token() == "from-the-variable"
    monkeypatch.delenv("LATER_TOKEN")
    path = tmp_path / "token"
    settings = load({"token_file": str(path)})
    for text in (None, "", "two words"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(SettingInvalid, match="token_file"):
            settings.client_token()
    path.write_text("from-the-file\n")
    assert settings.client_token() == "from-the-file"
