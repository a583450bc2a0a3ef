"""Which servers an address names, and who can reach it."""

import pytest

from later_core.model.address import is_private, is_shared, one_family, servers


def test_an_address_names_one_server_or_several():
    assert servers("a:1") == ["a:1"]
    assert servers("10.0.0.1:1, 10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
    assert servers("dns:later.example:1") == ["later.example:1"]


@pytest.mark.parametrize(
    ("address", "is_so"), [("a:1", False), ("10.0.0.1:1,10.0.0.2:1", True), ("dns:a:1", True)]
)
def test_calls_are_shared_out_among_several(address: str, is_so: bool):
    assert is_shared(address) is is_so


def test_only_ip_addresses_of_one_kind_go_together():
    assert one_family(["10.0.0.1:1", "10.0.0.2:1"]) == "ipv4"
    assert one_family(["[::1]:1", "[fe80::1]:1"]) == "ipv6"
    assert one_family(["[::1]:1", "10.0.0.2:1"]) is None
    assert one_family(["a:1", "10.0.0.2:1"]) is None


def test_several_are_private_when_each_one_is():
    assert is_private("127.0.0.1:1,127.0.0.1:2")
    assert not is_private("127.0.0.1:1,10.0.0.1:1")
    assert not is_private("127.0.0.1.example:1")
    assert is_private("unix:/run/later")
