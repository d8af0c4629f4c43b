"""Which requests a server on this machine answers: those that name it, from no foreign web page.

A web page may let its own name lead to 127.0.0.1 (DNS rebinding). The browser then takes a server
on loopback for the page's own, and hands its answers to the page. Only the Host header, and where
the browser sends them Origin and Referer, distinguish such a request from one of this machine's
user. Source: RFC 9112, section 3.2 (Host); RFC 6454, section 7 (Origin).
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

# A name, an IPv4 address, or an IPv6 address in brackets, and maybe a port: nothing else.
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
PORTS = {"http": 80, "https": 443}
WILDCARDS = ("", "0.0.0.0", "::")  # to listen on; no request can name them
SHOWN = 100  # characters of a header in a sentence


@dataclass(frozen=True)
class HostRule:
    """The names of a server. names: beside loopback's; option: where a user adds more of them."""

    names: frozenset[str]
    option: str

    @classmethod
    def of(cls, bound: str, more: Iterable[str], option: str) -> "HostRule":
        """The rule of a server that listens on an address. more: names that its user allows."""
        given = [name.strip().lower() for name in (bound, *more)]
        names = frozenset(_bare(name) for name in given if name not in WILDCARDS)
        return cls(names, option)

    def refusal(self, host: str, origin: str | None, referer: str | None) -> str | None:
        """Why a request is refused, in one sentence; None for one that is answered.

        host: the Host header, or the host of an absolute-form target. origin, referer: these
        headers, None where the request has none.
        """
        named = AUTHORITY.fullmatch(host)
        if named is None or not self._is_own(named[1]):
            return (
                f"the Host {host[:SHOWN]!r} is not this server's; it answers to localhost, to the "
                f"address it listens on, and to names given with {self.option}"
            )
        for header, page in (("Origin", origin), ("Referer", referer)):
            if page is not None and not self._is_own_page(page, named[2]):
                return f"the {header} {page[:SHOWN]!r} is another page than this server's own"
        return None

    def _is_own(self, name: str) -> bool:
        bare = _bare(name.lower())
        return bare in self.names or is_loopback(bare)

    def _is_own_page(self, page: str, port: str | None) -> bool:
        """Whether a page is this server's: one of its names, and the port that was asked."""
        try:
            address = urlsplit(page)
        except ValueError:
            return False
        found = AUTHORITY.fullmatch(address.netloc)
        if found is None or address.scheme not in PORTS or not self._is_own(found[1]):
            return False
        usual = PORTS[address.scheme]
        return int(found[2] or usual) == int(port or usual)


def is_loopback(name: str) -> bool:
    """Whether a host is this machine itself, without asking DNS: localhost, 127.x.y.z, ::1."""
    bare = _bare(name.lower())
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def _bare(name: str) -> str:
    """A host without the brackets of an IPv6 address and without a name's last dot."""
    if name.startswith("["):
        return name[1:-1]
    return name.removesuffix(".")
