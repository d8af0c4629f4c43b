"""The page and its routes: requests in, answers out. Standard library only.

Lambda (web/aws) and the server in the container (serve) both pass their requests to a Site, so the
page behaves the same behind API Gateway and on a laptop. A Site knows nothing of AWS or of
networks: it gets a Model.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path

from web.exchange import Answer, Failure, Request, json_answer
from web.legacy_yoga_api import yoga_answer
from web.model import Model, Prediction, bare_sample
from web.openapi import document
from web.photos import classify_request_of
from web.plain import Facts, answer_of, filled, refusal

WIKIPEDIA = "https://en.wikipedia.org"
SURE_FROM = 0.5  # below it a calibrated model is wrong more often than right

log = logging.getLogger(__name__)


class Site:
    """All routes over one model. sure_from: the lowest probability that the page calls sure.

    facts: of the model, for the page.
    """

    def __init__(self, model: Model, sure_from: float = SURE_FROM, facts: Facts | None = None):
        self._model = model
        self._sure_from = sure_from
        self._facts = facts or Facts()
        self._page = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
        self._policy = content_security_policy(self._page)
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/"): self._show,
            ("GET", "/openapi.json"): lambda request: json_answer(document()),
            ("POST", "/classify"): self._classify,
            ("POST", "/answer"): self._answer_plainly,
            ("POST", "/saliency"): self._saliency,
            ("GET", "/sample"): self._sample,
            ("GET", "/labels"): self._labels,
            ("GET", "/healthz"): self._health,
            ("GET", "/getyogaapp"): self._show,
            ("POST", "/getyogaapp"): lambda request: yoga_answer(request, self._model),
        }

    def routes(self) -> list[tuple[str, str]]:
        """(method, path) of each route."""
        return list(self._routes)

    def answer(self, request: Request) -> Answer:
        """The answer to any request; never raises."""
        try:
            return self._route(request)(request)
        except Failure as failure:
            return json_answer({"error": str(failure)}, failure.status, failure.headers)
        except Exception:
            log.exception("a request failed")  # the log gets the traceback, clients one sentence
            sentence = "the server failed on this request; its log says why"
            return json_answer({"error": sentence}, 500)

    def _route(self, request: Request) -> Callable[[Request], Answer]:
        # the server or Lambda's handler leaves the body of a HEAD's answer out
        method = "GET" if request.method == "HEAD" else request.method
        route = self._routes.get((method, request.path))
        if route:
            return route
        others = [known for known, path in self._routes if path == request.path]
        known = ", ".join(" ".join(route) for route in self._routes)
        path = request.path[:100]
        if others:
            raise Failure(
                405,
                f"{request.method[:20]} is not served at {path}; there is {known}",
                headers={"Allow": ", ".join(others)},
            )
        raise Failure(404, f"there is nothing at {path}; there is {known}")

    def _show(self, request: Request, answer: str = "", status: int = 200) -> Answer:
        headers = {
            "Content-Security-Policy": self._policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # "no-referrer" makes a form's Origin "null"
            "X-Frame-Options": "DENY",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Cache-Control": "no-cache",
        }
        page = filled(self._page, self._facts, request, answer)
        return Answer(status, page, "text/html; charset=utf-8", headers)

    def _classify(self, request: Request) -> Answer:
        asked = classify_request_of(request)
        prediction = self._model.classify(asked.photo, asked.kind, asked.top_k)
        return json_answer({**prediction, "sure": self._is_sure(prediction)})

    def _is_sure(self, prediction: Prediction) -> bool:
        # a model may be sure of a photo of something that it has never seen
        known = prediction.get("known", True)
        return known and prediction["probability"] >= self._sure_from

    def _answer_plainly(self, request: Request) -> Answer:
        """The page with the answer in it, for a browser without JavaScript."""
        try:
            asked = classify_request_of(request)
            prediction = self._model.classify(asked.photo, asked.kind, asked.top_k)
        except Failure as failure:
            return self._show(request, refusal(str(failure)), failure.status)
        sure = self._is_sure(prediction)
        return self._show(request, answer_of(prediction, sure, asked.photo, asked.kind))

    def _saliency(self, request: Request) -> Answer:
        if self._model.saliency is None:
            raise Failure(404, "this service does not say which parts of a photo its answer is of")
        asked = classify_request_of(request)
        return json_answer(self._model.saliency(asked.photo, asked.kind))

    def _sample(self, request: Request) -> Answer:
        sample = bare_sample(self._model)
        photo = base64.b64encode(sample.photo).decode()
        return json_answer({"label": sample.label, "name": sample.name, "b64": photo})

    def _labels(self, request: Request) -> Answer:
        return json_answer({"labels": self._model.labels()})

    def _health(self, request: Request) -> Answer:
        self._model.health()
        return json_answer({"status": "ok"})


def content_security_policy(page: str) -> str:
    """The header that lets a page run only the style and the script that stand in it.

    The page may talk only to its own server and to Wikipedia.
    """
    script = _hashes(page, "script")
    style = _hashes(page, "style")
    # trusted-types: no text becomes HTML, even by a fault of the script
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src blob: data:; "
        f"connect-src 'self' {WIKIPEDIA}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hashes(page: str, tag: str) -> str:
    """Each block of a tag as its SHA-256, in the header's notation."""
    hashes = []
    for block in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        hashes.append(f"'sha256-{digest}'")
    return " ".join(hashes)
