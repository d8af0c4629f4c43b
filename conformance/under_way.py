"""Requests that a server has certainly begun to read: their heads are sent, their bodies wait.

The server itself says so by `100 Continue` (RFC 9110, 10.1.1), so no clock is needed.
"""

import http.client
import select
import time

from conformance.server import Sample, Server, connect

# Seconds without a further `100 Continue`: the server takes no more requests at once.
# curl, too, waits one second for it.
QUIET_S = 1.0


class HalfSent:
    """One request on a connection of its own."""

    def __init__(self, server: Server, sample: Sample, timeout_s: float):
        self._body = sample.body
        self.client, _ = connect(server.address)
        self.client.settimeout(timeout_s)
        head = (
            "POST /invocations HTTP/1.1",
            "Host: conformance",
            f"Content-Type: {sample.content_type}",
            f"Content-Length: {len(sample.body)}",
            "Expect: 100-continue",
        )
        self.client.sendall(("\r\n".join(head) + "\r\n\r\n").encode())

    def finish(self) -> str:
        """Send the body. Returns the answer's status, or the error that came instead."""
        try:
            self.client.sendall(self._body)
            # HTTPResponse skips `100 Continue`
            response = http.client.HTTPResponse(self.client, method="POST")
            response.begin()
            response.read()
            return str(response.status)
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({type(error).__name__} {error})"


def half_sent(server: Server, sample: Sample, count: int, timeout_s: float = 60) -> list[HalfSent]:
    """The requests, of `count`, that the server begins to read at once.

    Of a server that never sends `100 Continue` the first request is taken.
    """
    waiting = [HalfSent(server, sample, timeout_s) for _ in range(count)]
    accepted: list[HalfSent] = []
    last = time.monotonic()
    while waiting and time.monotonic() < last + QUIET_S:
        clients = [request.client for request in waiting]
        readable, _, _ = select.select(clients, [], [], 0.05)
        if not readable:
            continue
        accepted += [request for request in waiting if request.client in readable]
        waiting = [request for request in waiting if request.client not in readable]
        last = time.monotonic()
    if not accepted:
        accepted.append(waiting.pop(0))
    for request in waiting:
        request.client.close()
    return accepted
