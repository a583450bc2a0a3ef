"""Which addresses a request may reach.

Whoever may create instances chooses URLs, and the server stands inside: without a guard it would carry
their requests to whatever trusts its network (server-side request forgery). A name proves nothing, since
it may resolve to another address a moment later. So it is the address of each connection that is
judged, at the moment when its socket is made: names, literals and redirects all pass there.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
#: Family, kind, protocol, canonical name, and the place, whose first part is the address.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

#: Of the inside whatever this version of Python says of them: the addresses for protocols (RFC 6890), in
#: which Oracle's clouds have metadata, and the host agent of Azure's machines, public by its number.
_INSIDE = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
#: Addresses of IPv6 that carry one of IPv4, RFC 6052.
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """The connection would have left the public network."""

    def __init__(self, address: Address) -> None:
        super().__init__(
            errno.EACCES, f"{address} is not public, and http_allowed_networks does not name it"
        )


class Guard:
    """Lets public addresses pass, and those of the networks that a setting names."""

    def __init__(self, allowed: str) -> None:
        """``allowed``: networks divided by commas; ``*`` for all.

        Raises:
            ValueError: one of them is none.

        """
        names = [name.strip() for name in allowed.split(",") if name.strip()]
        self._allows_all = "*" in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name) for name in names if name != "*"
        ]

    def allows(self, address: Address) -> bool:
        """Whether a connection to this address may be made."""
        if self._allows_all:
            return True
        inner = _carried(address)
        if any(each in network for network in self._networks for each in (address, inner)):
            return True
        return all(_is_public(each) for each in (address, inner))

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """The socket of one connection, made just before it connects to the address in ``info``.

        Raises:
            AddressRefused: it must not.

        """
        family, kind, protocol, _, place = info
        address = ip_address(str(place[0]).partition("%")[0])
        if not self.allows(address):
            raise AddressRefused(address)
        return socket.socket(family=family, type=kind, proto=protocol)


def _carried(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    # A mapped address is as public as what it maps, whatever this version of Python says of it.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return True
    if any(address in network for network in _INSIDE):
        return False
    return address.is_global and not address.is_multicast
