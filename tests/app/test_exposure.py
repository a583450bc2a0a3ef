"""No server is open to other machines by accident."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from later_core.app.exposure import check_exposure, missing
from later_core.errors import ListenUnprotected
from later_core.settings import load

PRIVATE = [
    "127.0.0.1:9081",
    "127.8.9.10:0",
    "localhost:9081",
    "[::1]:9081",
    "[::ffff:127.0.0.1]:9081",
    "unix:/run/later.sock",
    "unix-abstract:later",
]
OPEN = [
    "0.0.0.0:9081",
    "[::]:9081",
    "192.168.1.7:9081",
    "[fe80::1]:9081",
    "[::ffff:10.0.0.1]:9081",
    "later.example:9081",
    "localhost.example:9081",
]
#: By what there is of encryption and authentication.
LACKS = {
    (True, True): "",
    (True, False): "nobody is asked who he is",
    (False, True): "nothing is encrypted",
    (False, False): "nothing is encrypted and nobody is asked who he is",
}
CERT = {"tls_cert": "a.pem", "tls_key": "a.key"}


@pytest.mark.parametrize("protection", LACKS)
@pytest.mark.parametrize("listen", PRIVATE)
def test_what_only_this_machine_reaches_lacks_nothing(listen, protection):
    encrypts, authenticates = protection
    assert missing(listen, encrypts=encrypts, authenticates=authenticates) == ""


@pytest.mark.parametrize("protection", LACKS)
@pytest.mark.parametrize("listen", OPEN)
def test_what_others_reach_needs_both(listen, protection):
    encrypts, authenticates = protection
    lacking = missing(listen, encrypts=encrypts, authenticates=authenticates)
    assert lacking == LACKS[protection]


@pytest.mark.parametrize("flags", [{}, CERT])
def test_a_server_without_protection_is_refused_with_the_remedy(flags):
    with pytest.raises(ListenUnprotected, match=r"LATER_TLS_CLIENT_CA.*--insecure"):
        check_exposure(load({"listen": "0.0.0.0:9081", **flags}))


@pytest.mark.parametrize(
    "flags", [{"listen": "127.0.0.1:0"}, {"listen": "0.0.0.0:0", "tls_client_ca": "ca.pem", **CERT}]
)
def test_a_server_with_protection_is_let_pass_without_a_word(flags):
    with capture_logs() as logs:
        check_exposure(load(flags))
    assert logs == []


@pytest.mark.parametrize("insecure", [True, "true"])
def test_a_server_that_is_meant_to_be_open_is_let_pass_with_a_warning(insecure):
    with capture_logs() as logs:
        check_exposure(load({"listen": "0.0.0.0:9081", "insecure": insecure}))
    (entry,) = logs
    assert (entry["log_level"], entry["listen"]) == ("warning", "0.0.0.0:9081")
    assert entry["detail"] == LACKS[False, False]
