"""The WSGI side of the rule for Host, Origin and Referer (artifact/host/host_rule.py).

It stands before local SageMaker and before moto, so that no web page of a browser here reaches
either.
"""

import argparse
import json
import logging
from collections.abc import Iterable
from typing import Any

from artifact.host.host_rule import HostRule

log = logging.getLogger(__name__)


class Guard:
    """A WSGI app that hands on only what the rule answers. app: the one behind it."""

    def __init__(self, app: Any, rule: HostRule) -> None:  # Any: WSGI apps have no common type
        self._app = app
        self._rule = rule

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # werkzeug puts the host of an absolute-form target here, as RFC 9112 wants it.
        sentence = self._rule.refusal(
            environ.get("HTTP_HOST", ""),
            environ.get("HTTP_ORIGIN"),
            environ.get("HTTP_REFERER"),
        )
        if sentence is None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        log.warning("refused: %s", sentence)
        body = json.dumps({"__type": "AccessDeniedException", "message": sentence}).encode()
        media_type = "application/x-amz-json-1.1"
        if "text/html" in environ.get("HTTP_ACCEPT", ""):  # for a person, who followed a link
            body = f"{sentence}\n".encode()
            media_type = "text/plain; charset=utf-8"
        headers = [
            ("Content-Type", media_type),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(body))),
            ("x-amzn-ErrorType", "AccessDeniedException"),
            ("Connection", "close"),  # the body of what is refused is not read
        ]
        start_response("403 FORBIDDEN", headers)
        return [body]


def add_allow_host(parser: argparse.ArgumentParser) -> None:
    """The option for further names of a server."""
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name or address by which clients ask for it; may be given several times",
    )
