"""The console: pages on what this server runs, at GET / and below /console/.

A page is whole without JavaScript. With it, its parts move while something runs: live.js asks for
the page again and takes what has changed. Whoever has no cookie sees how to get one, and no more.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response, g, redirect, request
from werkzeug.exceptions import HTTPException

from local_sagemaker.access.own_requests import DEFAULT_REGION
from local_sagemaker.access.sessions import OPEN, Sessions
from local_sagemaker.console.asking import Answer, Given, ask
from local_sagemaker.console.kinds import KINDS, Kind
from local_sagemaker.console.pages import Pages
from local_sagemaker.contract import ApiError
from local_sagemaker.hosting import invocations
from local_sagemaker.jobs import training
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
BELOW = "/console/"
FORM_BYTES = 2**16  # of a request's body beside its file
SECURITY = {
    # The page's own policy stands in the page; what only a header can say stands here.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LOCKED = "This console opens by a link that works once."
USED = "This link has been used, and it opens the console once."
UNKNOWN = "This link is none of this server's, which makes new ones at each start."
FOREIGN = "This request does not come from a page of this console."


class Front:
    """A WSGI app that gives a browser the console, and all other clients the API."""

    def __init__(self, console: Wsgi, api: Wsgi) -> None:
        self._console = console
        self._api = api

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        at_root = path == "/" and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        is_page = "text/html" in environ.get("HTTP_ACCEPT", "")
        if path.startswith(BELOW) or (at_root and is_page):
            return self._console(environ, start_response)
        return self._api(environ, start_response)


class PageRequest(Request):
    """A request whose body is bounded before it is read."""

    max_form_parts = 20


def create_console(platform: Platform, sessions: Sessions) -> Flask:
    """The WSGI app of the console."""
    app = Flask("console", static_folder=None)
    app.request_class = PageRequest
    app.config["MAX_CONTENT_LENGTH"] = invocations.max_bytes() + FORM_BYTES
    pages = Pages(platform)
    _add_entrance(app, pages, sessions)
    _add_pages(app, platform, pages)
    _add_actions(app, platform, pages)
    _add_errors(app, pages)

    @app.after_request
    def secured(answer: Response) -> Response:
        answer.headers.update(SECURITY)
        return answer

    return app


def _cookie_name() -> str:
    # Browsers send a cookie to all ports of a host: two servers have two names.
    return f"slipway-console-{request.environ.get('SERVER_PORT', '')}"


def _add_entrance(app: Flask, pages: Pages, sessions: Sessions) -> None:
    """The check of every request, and the link's page."""

    @app.before_request
    def check() -> Response | None:
        if request.path == OPEN:
            return None
        cookie = request.cookies.get(_cookie_name(), "")
        if not sessions.knows(cookie):
            return _page(pages.locked(LOCKED), 403)
        g.token = sessions.token(cookie)
        # The guard has refused a foreign Origin; a browser that sends none proves it by the form.
        if request.method != "POST" or "Origin" in request.headers:
            return None
        if sessions.is_token(cookie, request.form.get("token", "")):
            return None
        return _page(pages.failed(FOREIGN), 403)

    @app.get(OPEN)
    def open_console() -> Response:
        key = request.args.get("key", "")
        # A program that only looks at a link, such as a chat's preview, must not use it up.
        cookie = sessions.opened(key) if request.method == "GET" else None
        if cookie is None:
            sentence = USED if sessions.was_used(key) else UNKNOWN
            return _page(pages.locked(sentence), 403)
        answer = _page(pages.opened(), 200)
        # No redirect: a browser that followed a link elsewhere would not send the cookie after it.
        answer.headers["Refresh"] = "0; url=/"
        answer.set_cookie(_cookie_name(), cookie, httponly=True, samesite="Strict", path="/")
        return answer


def _add_pages(app: Flask, platform: Platform, pages: Pages) -> None:
    @app.get("/")
    def overview() -> Response:
        return _page(pages.overview(), 200)

    @app.get(f"{BELOW}<path>")
    def listed(path: str) -> Response:
        return _page(pages.listed(_kind(path), request.args), 200)

    @app.get(f"{BELOW}<path>/<name>")
    def one(path: str, name: str) -> Response:
        kind = _kind(path)
        return _page(pages.one(kind, _record(platform, kind, name), g.token), 200)


def _add_actions(app: Flask, platform: Platform, pages: Pages) -> None:
    """What changes something, or asks an endpoint."""

    @app.post(f"{BELOW}<path>/<name>/stop")
    def stop(path: str, name: str) -> Any:
        kind = _kind(path)
        record = _record(platform, kind, name)
        if kind.stop is None:
            raise ApiError("", f"nothing stops a {kind.one} here", 404)
        operation = kind.stop
        asked = kind.request(record)
        region = record.get("Region", DEFAULT_REGION)
        return _done(pages, platform, kind, name, lambda: operation(platform, asked, region))

    @app.post(f"{BELOW}training-jobs/<name>/interrupt")
    def interrupt(name: str) -> Any:
        kind = _kind("training-jobs")
        _record(platform, kind, name)
        return _done(pages, platform, kind, name, lambda: training.interrupt(platform, name))

    @app.post(f"{BELOW}endpoints/<name>/ask")
    def ask_endpoint(name: str) -> Response:
        kind = _kind("endpoints")
        record = _record(platform, kind, name)
        return _page(pages.one(kind, record, g.token, answers=_answers(platform, name)), 200)


def _answers(platform: Platform, endpoint: str) -> list[Answer]:
    """The endpoint's answers to the files of the form."""
    answers = []
    for file in request.files.getlist("photo"):
        if file.filename:
            body = file.read()
            given = Given(file.filename, body, file.mimetype)
            answers.append(ask(platform, endpoint, given, request.form))
    return answers


def _done(
    pages: Pages, platform: Platform, kind: Kind, name: str, act: Callable[[], object]
) -> Any:
    """The thing's page after an act; where it is refused, the page says why."""
    try:
        act()
    except ApiError as error:
        record = _record(platform, kind, name)
        return _page(pages.one(kind, record, g.token, refusal=error.message), 400)
    return redirect(f"{BELOW}{kind.path}/{name}", 303)


def _kind(path: str) -> Kind:
    if path not in KINDS:
        raise ApiError("", f"The console has no page '{path[:100]}'.", 404)
    return KINDS[path]


def _record(platform: Platform, kind: Kind, name: str) -> Record:
    record = kind.find(platform, name)
    if record is None:
        raise ApiError("", f"There is no {kind.one} '{name[:100]}'; it may have been deleted.", 404)
    return kind.described(platform, record)


def _add_errors(app: Flask, pages: Pages) -> None:
    """Every error is a page with one sentence."""

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Response:
        return _page(pages.failed(error.message), error.status)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        sentence = str(error.description)
        if error.code == 413:
            sentence = f"The file is larger than the {invocations.max_bytes()} bytes of a request."
        return _page(pages.failed(sentence), error.code or 500)

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.exception("a page of the console failed")
        sentence = f"This page failed: {type(error).__name__}: {error}"
        return _page(pages.failed(sentence), 500)


def _page(body: bytes, status: int) -> Response:
    return Response(body, status, content_type="text/html; charset=utf-8")
