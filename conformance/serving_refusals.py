"""Clauses on requests that must be refused, and on what errors say. All ask the plain server."""

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.server import Reply
from conformance.serving_headers import UNKNOWN_TYPE
from conformance.serving_requests import NOTHING
from conformance.servings import Servings, plain

UNKNOWN_PATH = "/conformance/unknown"
# types to which any bytes belong
ANY_BYTES = ("text/plain", "application/octet-stream", "binary/octet-stream")
# signs of a traceback of Python or Java
TRACES = (b"Traceback (most recent call last)", b'File "/', b"at java.", b"\tat com.")


@clause(SERVING)
def unknown_content_type(servings: Servings) -> Outcome:
    """A Content-Type that the server does not accept gets 4xx, preferably 415, not 5xx.

    Source: developer guide, "How your container should respond to inference requests": 4xx are
        client errors; InvokeEndpoint, ModelError.OriginalStatusCode
    Fix: answer 415 and name the accepted types
    """
    return _refused(servings.once(plain).invoke(NOTHING, UNKNOWN_TYPE))


@clause(SERVING)
def empty_body(servings: Servings) -> Outcome:
    """An empty body is the caller's error: it gets 4xx, not 5xx.

    Source: developer guide, "How your container should respond to inference requests"
    Fix: answer 400 where the body is empty
    """
    return _refused(servings.once(plain).invoke(b"", servings.sample.content_type))


@clause(SERVING)
def unreadable_body(servings: Servings) -> Outcome:
    """A body that does not belong to its Content-Type is the caller's error: 4xx, not 5xx.

    Source: developer guide, "How your container should respond to inference requests";
        InvokeEndpoint, ModelError
    Fix: catch errors of reading the body, and answer 400
    """
    kind = servings.sample.content_type
    reply = servings.once(plain).invoke(NOTHING, kind)
    bare = kind.partition(";")[0].strip().lower()
    if reply.status == 200 and bare in ANY_BYTES:
        return NotApplicable(f"any bytes are {kind}")
    return _refused(reply)


@clause(SERVING)
def errors_say_why(servings: Servings) -> Outcome:
    """An error's body says in words what is wrong. A caller of InvokeEndpoint gets nothing else.

    Source: InvokeEndpoint, ModelError.OriginalMessage
    Fix: put a sentence into the body of every 4xx and 5xx
    """
    reply = servings.once(plain).invoke(NOTHING, servings.sample.content_type)
    if reply.status < 400:
        return Kept("there was no error")
    if not reply.body.strip():
        return Broken(f"{reply.status} with an empty body")
    return Kept(reply.body.decode(errors="replace")[:120])


@clause(SERVING)
def errors_hold_no_traceback(servings: Servings) -> Outcome:
    """An error's body shows no traceback: it would reveal the server's files and versions.

    Source: sagemaker-inference-toolkit, transformer.py: tracebacks in answers; CWE-209
    Fix: log the traceback, answer one sentence, and turn debug mode off
    """
    server = servings.once(plain)
    kind = servings.sample.content_type
    replies = (
        server.invoke(NOTHING, kind),
        server.invoke(b"", kind),
        server.ask("GET", UNKNOWN_PATH),
    )
    for reply in replies:
        if any(trace in reply.body for trace in TRACES):
            return Broken(f"it answered {reply.summary()}")
    return Kept()


@clause(SERVING)
def head_request(servings: Servings) -> Outcome:
    """HEAD /ping is answered without a body, and not with 5xx.

    Source: RFC 9110, 9.3.2; load balancers in front of containers
    Fix: let the route of GET /ping accept HEAD, or answer 405
    """
    reply = servings.once(plain).ask("HEAD", "/ping")
    if not 200 <= reply.status < 500:
        return Broken(f"it got {reply.summary()}")
    return Kept(f"status {reply.status}")


@clause(SERVING)
def unknown_path(servings: Servings) -> Outcome:
    """A path that does not exist gets 404, or another 4xx, and never a success.

    Source: RFC 9110, 15.5.5; the platform believes any answer to /execution-parameters but 404
    Fix: answer 404 to unknown paths
    """
    return _refused(servings.once(plain).ask("GET", UNKNOWN_PATH))


@clause(SERVING)
def wrong_method(servings: Servings) -> Outcome:
    """GET /invocations gets 4xx, preferably 405.

    Source: developer guide, "How your container should respond to inference requests": POST
    Fix: answer 405 to other methods
    """
    return _refused(servings.once(plain).ask("GET", "/invocations"))


def _refused(reply: Reply) -> Outcome:
    if not 400 <= reply.status < 500:
        return Broken(f"it got {reply.summary()}")
    return Kept(f"status {reply.status}")
