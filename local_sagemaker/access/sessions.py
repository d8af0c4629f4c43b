"""Who may open the console: whoever has a link that was not used yet, and then their browser.

A link has a key that opens once. It gives the browser a cookie, which holds until the server ends.
A form has a token beside, for browsers that send no Origin. All of it is random, and none of it is
kept in a readable form.
"""

import hashlib
import hmac
import secrets
import threading

OPEN = "/console/open"  # the path of a link
KEY_BYTES = 32
MOST_LINKS = 100  # that were made and not used; an older one is void then


class Sessions:
    """The links and cookies of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: list[str] = []  # digests of keys, the oldest first
        self._used: set[str] = set()
        self._cookies: set[str] = set()
        self._secret = secrets.token_bytes(KEY_BYTES)  # tokens are made of it

    def new_link(self) -> str:
        """The path of a new link."""
        key = secrets.token_urlsafe(KEY_BYTES)
        with self._lock:
            self._links = [*self._links, _digest(key)][-MOST_LINKS:]
        return f"{OPEN}?key={key}"

    def opened(self, key: str) -> str | None:
        """The cookie for a link's key, which is void from then on; None for another key."""
        digest = _digest(key)
        with self._lock:
            if digest not in self._links:
                return None
            self._links.remove(digest)
            self._used.add(digest)
            cookie = secrets.token_urlsafe(KEY_BYTES)
            self._cookies.add(_digest(cookie))
        return cookie

    def was_used(self, key: str) -> bool:
        with self._lock:
            return _digest(key) in self._used

    def knows(self, cookie: str) -> bool:
        with self._lock:
            return _digest(cookie) in self._cookies

    def token(self, cookie: str) -> str:
        """What the forms of a cookie's pages have."""
        return hmac.new(self._secret, cookie.encode(), "sha256").hexdigest()

    def is_token(self, cookie: str, token: str) -> bool:
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
