"""The page and its routes: who asks what, and what comes back. Standard library only.

Lambda (api) and the server in the container (serve) both carry requests to a Site, so that the page behaves alike behind API
Gateway and on a laptop; neither imports the other. A Site knows nothing of AWS or of models: it is given a Model.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path

from web.exchange import Answer, Failure, Request, json_answer
from web.legacy_yoga_api import yoga_answer
from web.model import Model
from web.openapi import document
from web.photos import classify_request_of

WIKIPEDIA = "https://en.wikipedia.org"
SURE_FROM = 0.5  # below it a calibrated model is wrong more often than right

log = logging.getLogger(__name__)


class Site:
    """All routes over one model. sure_from: the least probability of an answer that the page calls sure."""

    def __init__(self, model: Model, sure_from: float = SURE_FROM):
        self._model, self._sure_from = model, sure_from
        self._page = (Path(__file__).parent / "page.html").read_bytes()
        self._policy = content_security_policy(self._page.decode())
        self._routes = {
            ("GET", "/"): self._show,
            ("GET", "/openapi.json"): lambda request: json_answer(document()),
            ("POST", "/classify"): self._classify,
            ("GET", "/sample"): self._sample,
            ("GET", "/labels"): self._labels,
            ("GET", "/healthz"): self._health,
            ("GET", "/getyogaapp"): self._show,
            ("POST", "/getyogaapp"): self._yoga,
        }

    def routes(self) -> list[tuple[str, str]]:
        """(method, path) of all that is served."""
        return list(self._routes)

    def answer(self, request: Request) -> Answer:
        """The answer to any request; never raises."""
        try:
            return self._route(request)(request)
        except Failure as failure:
            return json_answer({"error": str(failure)}, failure.status, failure.headers)
        except Exception:
            log.exception(
                "a request failed"
            )  # the traceback is for the log; clients get one sentence
            return json_answer(
                {"error": "the server failed on this request; its log says why"}, 500
            )

    def _route(self, request: Request) -> Callable[[Request], Answer]:
        method = "GET" if request.method == "HEAD" else request.method
        if (method, request.path) in self._routes:
            return self._routes[method, request.path]
        others = [known for known, path in self._routes if path == request.path]
        known = ", ".join(" ".join(route) for route in self._routes)
        if others:
            raise Failure(
                405,
                f"{request.method[:20]} is not served at {request.path[:100]}; there is {known}",
                headers={"Allow": ", ".join(others)},
            )
        raise Failure(404, f"there is nothing at {request.path[:100]}; there is {known}")

    def _show(self, request: Request) -> Answer:
        headers = {
            "Content-Security-Policy": self._policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Cache-Control": "no-cache",
        }
        return Answer(200, self._page, "text/html; charset=utf-8", headers)

    def _classify(self, request: Request) -> Answer:
        wanted = classify_request_of(request)
        prediction = self._model.classify(wanted.photo, wanted.kind, wanted.top_k)
        return json_answer({**prediction, "sure": prediction["probability"] >= self._sure_from})

    def _sample(self, request: Request) -> Answer:
        sample = self._model.sample()
        return json_answer(
            {
                "label": sample.label,
                "name": sample.name,
                "b64": base64.b64encode(sample.photo).decode(),
            }
        )

    def _labels(self, request: Request) -> Answer:
        return json_answer({"labels": self._model.labels()})

    def _health(self, request: Request) -> Answer:
        self._model.health()
        return json_answer({"status": "ok"})

    def _yoga(self, request: Request) -> Answer:
        return yoga_answer(request, self._model)


def content_security_policy(page: str) -> str:
    """The header that lets the page run just the style and the script that stand in it, and speak to nobody but its own server and Wikipedia."""

    def hashes(tag: str) -> str:
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"
            for block in blocks
        )

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; img-src blob: data:; "
        f"connect-src 'self' {WIKIPEDIA}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )  # no text becomes HTML, whatever the script may say
