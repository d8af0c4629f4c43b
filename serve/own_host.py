"""The rule for Host, Origin and Referer (artifact/host_rule.py) on an ASGI request."""

from artifact.host_rule import HostRule
from serve.wsgi import Scope


def refusal(rule: HostRule, scope: Scope) -> str | None:
    """Why a request is refused, in one sentence; None for one that is answered."""
    # A header that comes twice is neither of its values.
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    host = headers.get(b"host", "")
    target: str = scope["raw_path"].decode("latin-1")
    if not target.startswith("/") and "://" in target:  # an absolute-form target has its own host
        host = target.partition("://")[2].partition("/")[0]
    return rule.refusal(host, headers.get(b"origin"), headers.get(b"referer"))
