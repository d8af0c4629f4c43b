"""Clauses on single requests: bodies, headers, methods, sizes. All of them ask the plain server."""

import http.client
from urllib.parse import urlsplit

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.limits import MIB, PAYLOAD_BYTES
from conformance.servings import (
    Reply,
    Servings,
    answer,
    any_answer,
    exchange,
    first_answer,
    plain,
    same,
)
from runtime.load import Answer, each, load

FOREIGN = {
    "X-Amzn-SageMaker-Target-Variant": "blue",
    "X-Amzn-SageMaker-Inference-Id": "conformance-1",
    "X-Amzn-SageMaker-Enable-Explanations": "`false`",
    "X-Amzn-SageMaker-Target-Container-Hostname": "one",
    "X-Amzn-SageMaker-Inference-Component": "part",
    "X-Amzn-SageMaker-Session-Id": "NEW_SESSION",
    "X-Amzn-Trace-Id": "Root=1-2-3",
    "X-Forwarded-For": "10.0.0.1",
    "User-Agent": "AHC/2.0",
    "X-Conformance": "x" * 1000,
}
ANYTHING = (
    "text/plain",
    "application/octet-stream",
    "binary/octet-stream",
)  # types that any bytes are of
NOTHING = b"\x00conformance: nothing that anybody could read\xff" * 8
TRACES = (b"Traceback (most recent call last)", b'File "/', b"at java.", b"\tat com.")
OVER = MIB


@clause(SERVING)
def answers_the_sample(servings: Servings) -> Outcome:
    """POST /invocations answers the sample with 200 and a body.

    Source: developer guide, "How your container should respond to inference requests"
    Fix: give the file that the model understands, and its type, by --sample and --content-type; or see the server's log for its error
    """
    reply = servings.once(any_answer)
    if not reply.status and "timed out" in reply.error:
        return NotApplicable("there was no answer in time; see answers_within_60_s")
    return (
        Kept(f"{reply.seconds * 1000:.0f} ms, {len(reply.body)} bytes")
        if reply.status == 200 and reply.body
        else Broken(f"it answered {reply.summary()}")
    )


@clause(SERVING)
def answers_within_60_s(servings: Servings) -> Outcome:
    """An answer takes at most 60 seconds.

    Source: developer guide, "How your container should respond to inference requests": respond within 60 seconds
    Fix: predict faster, or take asynchronous inference or batch transform
    """
    reply = servings.once(first_answer)
    return (
        Broken(f"there was none after {reply.seconds:.1f} s")
        if reply.status == 0 and "timed out" in reply.error
        else Kept(f"{reply.seconds:.2f} s")
    )


@clause(SERVING)
def answer_within_6_mib(servings: Servings) -> Outcome:
    """An answer is at most 6,291,456 bytes.

    Source: InvokeEndpoint, response Body: max 6291456
    Fix: answer less, such as the best classes alone, or take asynchronous inference
    """
    size = len(servings.once(answer).body)
    return Kept(f"{size} bytes") if size <= PAYLOAD_BYTES else Broken(f"it has {size} bytes")


@clause(SERVING)
def content_type_with_parameters(servings: Servings) -> Outcome:
    """A Content-Type with parameters behind it (`; charset=utf-8`) is the same type.

    Source: RFC 9110, 8.3.1; InvokeEndpoint, ContentType: forwarded as it is
    Fix: compare what stands before the first ; of the header
    """
    servings.once(answer)
    kind = servings.sample.content_type
    return same(
        servings.once(plain).invoke(servings.sample.body, f"{kind}; charset=utf-8; conformance=1")
    )


@clause(SERVING)
def content_type_in_capitals(servings: Servings) -> Outcome:
    """A Content-Type in capitals is the same type.

    Source: RFC 9110, 8.3.1: type and subtype are case-insensitive
    Fix: compare the type in lower case
    """
    servings.once(answer)
    kind, semicolon, parameters = servings.sample.content_type.partition(";")
    return same(
        servings.once(plain).invoke(servings.sample.body, kind.upper() + semicolon + parameters)
    )


@clause(SERVING)
def unknown_content_type(servings: Servings) -> Outcome:
    """A Content-Type that is not taken is the caller's error: 4xx, best 415, not 5xx.

    Source: developer guide, "How your container should respond to inference requests": 4xx are client errors; InvokeEndpoint, ModelError.OriginalStatusCode
    Fix: answer 415 and the types that are taken
    """
    return _refused(servings.once(plain).invoke(NOTHING, "application/x-conformance-unknown"))


@clause(SERVING)
def empty_body(servings: Servings) -> Outcome:
    """An empty body is the caller's error: 4xx, not 5xx.

    Source: developer guide, "How your container should respond to inference requests"
    Fix: answer 400 where the body is empty
    """
    return _refused(servings.once(plain).invoke(b"", servings.sample.content_type))


@clause(SERVING)
def unreadable_body(servings: Servings) -> Outcome:
    """A body that is not of its type is the caller's error: 4xx, not 5xx.

    Source: developer guide, "How your container should respond to inference requests"; InvokeEndpoint, ModelError
    Fix: catch errors of reading the body, and answer 400
    """
    reply = servings.once(plain).invoke(NOTHING, servings.sample.content_type)
    if (
        reply.status == 200
        and servings.sample.content_type.partition(";")[0].strip().lower() in ANYTHING
    ):
        return NotApplicable(f"any bytes are {servings.sample.content_type}")
    return _refused(reply)


@clause(SERVING)
def errors_say_why(servings: Servings) -> Outcome:
    """An error's body says what is wrong, in words: it is all that a caller of InvokeEndpoint gets.

    Source: InvokeEndpoint, ModelError.OriginalMessage
    Fix: put a sentence into the body of every 4xx and 5xx
    """
    reply = servings.once(plain).invoke(NOTHING, servings.sample.content_type)
    if reply.status < 400:
        return Kept("there was no error")
    return (
        Kept(reply.body.decode(errors="replace")[:120])
        if reply.body.strip()
        else Broken(f"{reply.status} with an empty body")
    )


@clause(SERVING)
def errors_hold_no_traceback(servings: Servings) -> Outcome:
    """An error's body shows no traceback: files and versions are nobody's business.

    Source: sagemaker-inference-toolkit, transformer.py: tracebacks in answers; CWE-209
    Fix: log the traceback, answer one sentence, and turn debug mode off
    """
    server = servings.once(plain)
    kind = servings.sample.content_type
    for reply in (
        server.invoke(NOTHING, kind),
        server.invoke(b"", kind),
        server.ask("GET", "/conformance/unknown"),
    ):
        if any(trace in reply.body for trace in TRACES):
            return Broken(f"it answered {reply.summary()}")
    return Kept()


@clause(SERVING)
def accept_header(servings: Servings) -> Outcome:
    """Accept: */* gets an answer; an Accept that cannot be met gets one all the same, or 4xx, not 5xx.

    Source: InvokeEndpoint, Accept; RFC 9110, 12.5.1
    Fix: answer in the default type, or 406, where Accept cannot be met
    """
    outcome = servings.answers(servings.once(plain), Accept="*/*")
    reply = servings.once(plain).invoke(
        servings.sample.body,
        servings.sample.content_type,
        Accept="application/x-conformance-unknown",
    )
    return (
        Broken(f"an unknown Accept got {reply.summary()}")
        if not 200 <= reply.status < 500
        else outcome
    )


@clause(SERVING)
def custom_attributes(servings: Servings) -> Outcome:
    """X-Amzn-SageMaker-Custom-Attributes of up to 1024 characters that mean nothing here are passed over.

    Source: InvokeEndpoint, CustomAttributes: max 1024
    Fix: ignore attributes that are not yours
    """
    return servings.answers(
        servings.once(plain),
        **{"X-Amzn-SageMaker-Custom-Attributes": ("trace=conformance;" + "y" * 1024)[:1024]},
    )


@clause(SERVING)
def foreign_headers(servings: Servings) -> Outcome:
    """Headers that the platform or a proxy adds are passed over.

    Source: InvokeEndpoint, request headers; developer guide: Amazon SageMaker strips all POST headers except those supported, and might add others
    Fix: ignore headers that are not yours
    """
    return servings.answers(servings.once(plain), **FOREIGN)


@clause(SERVING)
def payload_at_the_limit(servings: Servings) -> Outcome:
    """A body of just 6,291,456 bytes is read, and not refused for its size.

    Source: InvokeEndpoint, Body: max 6291456; amazon-sagemaker-examples issues 245 and 2793: 413 at 5 MB
    Fix: raise the server's limit on bodies to 6 MiB at least; nginx: client_max_body_size
    """
    servings.once(answer)
    body = servings.sample.body + b"\0" * max(0, PAYLOAD_BYTES - len(servings.sample.body))
    reply = servings.once(plain).invoke(body, servings.sample.content_type)
    # of what it makes of a body with zeros at its end, unreadable_body tells
    return (
        Broken(f"it got {reply.summary()}")
        if reply.status in (0, 413)
        else Kept(f"status {reply.status}")
    )


@clause(SERVING)
def payload_above_the_limit(servings: Servings) -> Outcome:
    """A body above 6 MiB gets an answer, best 413, and the server goes on.

    Source: InvokeEndpoint, Body: max 6291456; multi-model-server issues 738 and 771
    Fix: answer 413 after reading the rest of the body, in place of closing the connection
    """
    server = servings.once(plain)
    reply = server.invoke(
        servings.sample.body + b"\0" * (PAYLOAD_BYTES + OVER), servings.sample.content_type
    )
    after = server.ping(servings.limits.ping_s)
    if after.status != 200:
        return Broken(f"it got {reply.summary()}, and /ping after it {after.summary()}")
    return (
        Broken(f"it got {reply.summary()}") if reply.status == 0 else Kept(f"status {reply.status}")
    )


@clause(SERVING)
def chunked_body(servings: Servings) -> Outcome:
    """A body in chunks, without Content-Length, is read: batch transform sends such with MaxPayloadInMB=0.

    Source: developer guide, CreateTransformJob, MaxPayloadInMB: 0 sends HTTP chunked encoding
    Fix: read Transfer-Encoding: chunked; where the server itself cannot, put one in front that does
    """
    servings.once(answer)
    body, third = servings.sample.body, len(servings.sample.body) // 3 + 1
    reply = servings.once(plain).invoke(
        iter([body[start : start + third] for start in range(0, len(body), third)]),
        servings.sample.content_type,
        Transfer_Encoding="chunked",
    )
    return same(reply)


@clause(SERVING)
def keep_alive(servings: Servings) -> Outcome:
    """A connection that the server does not close by its word carries the next request, after an error, too.

    Source: RFC 9112, 9.3; the platform's proxy keeps connections
    Fix: speak HTTP/1.1, read bodies to their end before answering, and say Connection: close where the connection is closed
    """
    servings.once(answer)
    address = urlsplit(servings.once(plain).url)
    connection = http.client.HTTPConnection(
        address.hostname, address.port, timeout=servings.limits.invoke_s
    )
    headers, replies = {"Content-Type": servings.sample.content_type}, []
    try:
        connection.connect()
        connection.auto_open = 0  # it must be the same connection
        for body in (servings.sample.body, NOTHING, servings.sample.body):
            replies.append(exchange(connection, "POST", "/invocations", body, headers))
            if connection.sock is None:  # the server said so
                return same(replies[0]) if len(replies) < 3 else same(replies[2])
        return same(replies[2])
    except (OSError, http.client.HTTPException) as error:
        return Broken(
            f"after {len(replies)} answers the connection failed without a word: {type(error).__name__} {error}"
        )
    finally:
        connection.close()


@clause(SERVING, alone=True)
def concurrent_requests(servings: Servings) -> Outcome:
    """Many requests at once are all answered.

    Source: developer guide, "Use your own inference code with hosting services"; TransformJob, MaxConcurrentTransforms
    Fix: queue what comes at once, instead of refusing or dropping it
    """
    servings.once(answer)
    answers: list[Answer] = []
    load(
        servings.once(plain).url,
        each([servings.sample.request()] * servings.limits.connections * 2),
        servings.limits.connections,
        answers.append,
    )
    failed = [found for found in answers if found.status != 200]
    return (
        Broken(
            f"{len(failed)} of {len(answers)} were not: {failed[0].status} {failed[0].error} {failed[0].body[:100]!r}"
        )
        if failed
        else Kept(f"{len(answers)} over {servings.limits.connections} connections")
    )


@clause(SERVING)
def head_request(servings: Servings) -> Outcome:
    """HEAD /ping is answered without a body, and not with 5xx.

    Source: RFC 9110, 9.3.2; load balancers in front of containers
    Fix: let the route of GET /ping take HEAD, or answer 405
    """
    reply = servings.once(plain).ask("HEAD", "/ping")
    return (
        Kept(f"status {reply.status}")
        if 200 <= reply.status < 500
        else Broken(f"it got {reply.summary()}")
    )


@clause(SERVING)
def unknown_path(servings: Servings) -> Outcome:
    """A path that is not there gets 404, or another 4xx, and never passes for a success.

    Source: RFC 9110, 15.5.5; the platform takes any answer but 404 to /execution-parameters at its word
    Fix: answer 404 to paths that you do not have
    """
    return _refused(servings.once(plain).ask("GET", "/conformance/unknown"))


@clause(SERVING)
def wrong_method(servings: Servings) -> Outcome:
    """GET /invocations gets 4xx, best 405.

    Source: developer guide, "How your container should respond to inference requests": POST
    Fix: answer 405 to other methods
    """
    return _refused(servings.once(plain).ask("GET", "/invocations"))


def _refused(reply: Reply) -> Outcome:
    return (
        Kept(f"status {reply.status}")
        if 400 <= reply.status < 500
        else Broken(f"it got {reply.summary()}")
    )
