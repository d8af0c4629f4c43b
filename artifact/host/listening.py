"""A server's own address: whether its port is free, and that no proxy stands before loopback.

Both are asked before a server starts, or is asked for anything.
"""

import errno
import os
import socket
from collections.abc import Mapping, MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPTIONS = ("no_proxy", "NO_PROXY")  # curl reads both, and some libraries the second only


class PortTaken(OSError):
    """A port that a server cannot have: one sentence for the user to act on."""


def check_free(host: str, port: int, option: str) -> None:
    """PortTaken where a server cannot listen. option: what gives it another port. 0 is any port."""
    try:
        [family, kind, protocol, _, address] = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: a port that a server has just left counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(
                (address[0], port, *address[2:])
            )  # getaddrinfo cuts a port that is too large
    except (OSError, OverflowError) as error:
        raise PortTaken(_fault(host, port, option, error)) from error


def _fault(host: str, port: int, option: str, error: OSError | OverflowError) -> str:
    """Why a server cannot listen, in a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    unknown_name = isinstance(error, socket.gaierror) and number != socket.EAI_SERVICE
    if unknown_name or number == errno.EADDRNOTAVAIL:
        return f"this machine has no address '{host}' ({error}); give one that it has"
    if number == errno.EADDRINUSE:
        fault = "is taken by another program"
    else:
        fault = f"cannot be taken ({error})"
    return f"port {port} of {host} {fault}; give another with {option}"


def bypassed(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """The variables that keep requests to these hosts, and to loopback, from a proxy.

    What the environment excepts already stays excepted.
    """
    given = ",".join(environment.get(name, "") for name in EXCEPTIONS)
    words = [word.strip() for word in given.split(",")]
    excepted = list(dict.fromkeys(word for word in [*words, *LOOPBACK, *hosts] if word))
    return dict.fromkeys(EXCEPTIONS, ",".join(excepted))


def ask_loopback_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Where the environment names a proxy, let this process and its children pass it by.

    A proxy of a site cannot reach the servers of this machine.
    """
    if names_proxy(environment):
        environment.update(bypassed(environment))


def names_proxy(environment: Mapping[str, str]) -> bool:
    """Whether requests from here go through a proxy."""
    spellings = [*PROXIES, *(name.upper() for name in PROXIES)]
    return any(environment.get(name) for name in spellings)
