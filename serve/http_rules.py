"""h11's HTTP/1.1 with rules of our own on what a request may look like, and with an end to a turn.

A front door and a server that read one request in two ways let a client smuggle a second one in it
(RFC 9112, 11.2). So what can be read in two ways is refused, and its connection closed.
"""

import re
import time

import h11

HEAD_BYTES = 32 * 1024
HEAD_LINES = 200  # SageMaker sends about 20; parsing one takes some microseconds
BLANK_LINE = re.compile(rb"\n\r?\n")  # as h11 finds the end of a head
SCHEMES = (b"http://", b"https://")


class ServerConnection(h11.Connection):
    """The server's side of a connection. Its events come until `pause_at`, then it says NEED_DATA.

    pause_at: on time.perf_counter's clock. paused: whether there may be more to parse.
    fault: why what came is no request.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self.pause_at = 0.0
        self.paused = False
        self.fault = ""
        self._is_counted = False  # the body of the last request

    @property
    def is_in_counted_body(self) -> bool:
        """Whether what comes next is a part of a body whose length is known."""
        return self._is_counted and self.their_state is h11.SEND_BODY

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11's. Raises RemoteProtocolError for a request that is not to be answered."""
        if time.perf_counter() >= self.pause_at:
            self.paused = True
            return h11.NEED_DATA
        try:
            if self.their_state is h11.IDLE:
                self._check_head()
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check_method(event)
                _check_length(event)
                self._is_counted = any(name == b"content-length" for name, _ in event.headers)
                return origin_form(event)
        except h11.RemoteProtocolError as error:
            self.fault = str(error)
            raise
        return event

    def _check_head(self) -> None:
        begun, _ = self.trailing_data
        end = BLANK_LINE.search(begun)
        lines = begun.count(b"\n", 0, end.start() if end else len(begun))
        if lines > HEAD_LINES:
            raise h11.RemoteProtocolError(f"a head of more than {HEAD_LINES} lines")


def _check_method(request: h11.Request) -> None:
    """Raise RemoteProtocolError for `post`, which a front door would not take for POST."""
    if request.method != request.method.upper():
        raise h11.RemoteProtocolError("a method in small letters (RFC 9110, 9.1)")


def _check_length(request: h11.Request) -> None:
    """Raise RemoteProtocolError where a body's end may be read in two ways (RFC 9112, 6.1)."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
    if request.http_version < b"1.1":
        raise h11.RemoteProtocolError("Transfer-Encoding in HTTP/1.0")


def origin_form(request: h11.Request) -> h11.Request:
    """The request with a path as its target, where that was a whole URL (RFC 9112, 3.2.2).

    The URL's host then takes the place of the header's.
    """
    target: bytes = request.target
    if not target.lower().startswith(SCHEMES):
        return request
    _, _, rest = target.partition(b"://")
    cut = min(rest.find(mark) if mark in rest else len(rest) for mark in (b"/", b"?"))
    host = rest[:cut]
    if not host:
        raise h11.RemoteProtocolError("the target has no host (RFC 9110, 4.2.1)")
    path = rest[cut:]
    if not path.startswith(b"/"):
        path = b"/" + path
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    try:
        return h11.Request(
            method=request.method,
            target=path,
            headers=[(b"host", host), *headers],
            http_version=request.http_version,
        )
    except h11.LocalProtocolError as error:
        raise h11.RemoteProtocolError("the target's host is none") from error
