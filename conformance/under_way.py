"""Requests of which it is certain that a server has begun to read them: their heads are sent, their bodies wait.

The server itself says so, by `100 Continue` (RFC 9110, 10.1.1); no clock is asked.
"""

import http.client
import select
import time

from conformance.servings import Sample, Server, connect

QUIET_S = 1.0  # so long nothing more is accepted: the server takes no more at once; curl, too, waits so long for the word


class HalfSent:
    """One request, on a connection of its own."""

    def __init__(self, server: Server, sample: Sample, timeout_s: float):
        self._body = sample.body
        self.client, _ = connect(server.url)
        self.client.settimeout(timeout_s)
        self.client.sendall(
            (
                f"POST /invocations HTTP/1.1\r\nHost: conformance\r\nContent-Type: {sample.content_type}\r\n"
                f"Content-Length: {len(sample.body)}\r\nExpect: 100-continue\r\n\r\n"
            ).encode()
        )

    def finish(self) -> str:
        """Send the body; the answer's status, or the error that came in its place."""
        try:
            self.client.sendall(self._body)
            response = http.client.HTTPResponse(
                self.client, method="POST"
            )  # it passes over 100 Continue
            response.begin()
            response.read()
            return str(response.status)
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({type(error).__name__} {error})"


def half_sent(server: Server, sample: Sample, count: int, timeout_s: float = 60) -> list[HalfSent]:
    """Those of so many requests that the server takes at once. A server that never says so is held to the first one alone."""
    waiting = [HalfSent(server, sample, timeout_s) for _ in range(count)]
    accepted: list[HalfSent] = []
    last = time.monotonic()
    while waiting and time.monotonic() < last + QUIET_S:
        readable, *_ = select.select([request.client for request in waiting], [], [], 0.05)
        told = [request for request in waiting if request.client in readable]
        accepted += told
        waiting = [request for request in waiting if request not in told]
        last = time.monotonic() if told else last
    if not accepted:
        accepted.append(waiting.pop(0))
    for request in waiting:
        request.client.close()
    return accepted
