"""Defaults and bounds of each setting."""

from datetime import timedelta
from pathlib import Path

import pytest

from later_core.errors import SettingInvalid
from later_core.model.tls import ClientTls, ServerTls
from later_core.settings import load


def test_the_defaults_are_those_that_the_design_names(tmp_path: Path) -> None:
    settings = load()
    assert settings.listen == settings.address == "127.0.0.1:9081"
    assert settings.mongodb_uri is None
    assert settings.database == "later"
    assert settings.data_dir == tmp_path / "data" / "later"
    assert settings.recurrence == timedelta(minutes=5)
    assert settings.time_ahead == timedelta(minutes=10)
    assert settings.retention == timedelta(days=7)
    assert settings.lease == timedelta(seconds=10)
    assert settings.claim_lead == timedelta(milliseconds=300)
    assert settings.verbose == 1
    assert (settings.max_running, settings.threads, settings.catch_up_rate) == (4096, 64, 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "127.0.0.1"),
        ("listen", "127.0.0.1:"),
        ("listen", ":9081"),
        ("listen", "127.0.0.1:70000"),
        ("listen", "::1:9081"),
        ("address", "http://127.0.0.1:9081"),
        ("address", "127.0.0.1:9081,"),
        ("address", "a.example:9081,b.example:9081"),
        ("listen", "127.0.0.1:9081,127.0.0.1:9082"),
        ("mongodb_uri", "postgres://db"),
        ("database", ""),
        ("database", "admin"),
        ("database", "a.b"),
        ("recurrence", "0"),
        ("recurrence", "-5"),
        ("recurrence", "10m"),
        ("time_ahead", "5m"),
        ("time_ahead", "8d"),
        ("retention", "0"),
        ("retention", "30000d"),
        ("lease", "999ms"),
        ("claim_lead", "6s"),
        ("max_running", "0"),
        ("threads", "1.5"),
        ("catch_up_rate", "-1"),
        ("verbose", "3"),
        ("log_format", "xml"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(name: str, value: str) -> None:
    flag = "--" + name.replace("_", "-")
    with pytest.raises(SettingInvalid, match=f"setting {flag}: ") as caught:
        load({name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:9081,10.0.0.2:9081", "[::1]:1,[::1]:2", "dns:later.example:9081"]
)
def test_the_client_may_be_given_several_servers(address: str) -> None:
    assert load({"address": address}).address == address


def test_over_tls_several_servers_need_one_name() -> None:
    given = {"address": "10.0.0.1:1,10.0.0.2:1", "tls": "true"}
    with pytest.raises(SettingInvalid, match=r"--address: .*tls_server_name"):
        load(given)
    assert load({**given, "tls_server_name": "later.example"}).client_tls is not None


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:9081", "localhost:65535"])
def test_an_address_is_a_host_and_a_port(listen: str) -> None:
    assert load({"listen": listen}).listen == listen


def test_a_short_time_ahead_is_blamed_when_the_recurrence_was_not_set() -> None:
    with pytest.raises(SettingInvalid, match=r"--time-ahead: recurrence \(5m\) must be shorter"):
        load({"time_ahead": "3m"})


PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


def test_tls_is_off_unless_it_is_asked_for() -> None:
    assert load().server_tls is None
    assert load().client_tls is None
    assert load({"tls": True}).client_tls == ClientTls()
    assert load({"tls_ca": "ca.pem"}).client_tls == ClientTls(ca="ca.pem")
    files = {"tls_cert": "a.pem", "tls_key": "a.key", "tls_client_ca": "ca.pem"}
    assert load(files).server_tls == ServerTls(cert="a.pem", key="a.key", client_ca="ca.pem")
    assert load(files).client_tls is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"tls_cert": "a"}, "--tls-cert: it is of no use without tls_key"),
        ({"tls_key": "a"}, "--tls-key: it is of no use without tls_cert"),
        ({"tls_client_cert": "a"}, "--tls-client-cert: it is of no use without tls_client_key"),
        ({"tls_client_key": "a"}, "--tls-client-key: it is of no use without tls_client_cert"),
        ({"tls_client_ca": "a"}, "--tls-client-ca: .* only where the server has one"),
    ],
)
def test_half_of_tls_is_refused(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingInvalid, match=complaint):
        load(given)


def test_a_certificate_is_a_file_or_the_text_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert load({"tls_ca": "~/ca.pem"}).tls_ca == "/home/me/ca.pem"
    assert load({"tls_ca": PEM}).tls_ca == PEM
    assert load({"tls_ca": PEM.replace("\n", "\\n")}).tls_ca == PEM


def test_the_text_of_a_key_is_shown_nowhere() -> None:
    key = PEM.replace("CERTIFICATE", "PRIVATE KEY")
    settings = load({"tls_cert": "a.pem", "tls_key": key})
    rows = {row.name: row.value for row in settings.describe()}
    assert (rows["tls_cert"], rows["tls_key"]) == ("a.pem", "********")
    assert "MA==" not in repr(settings) + repr(settings.server_tls)
    with pytest.raises(SettingInvalid) as raised:
        load({"tls_key": key})
    assert "MA==" not in str(raised.value)


def test_a_home_directory_is_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"data_dir": "~/later"}).data_dir == tmp_path / "later"
