"""Clauses on requests that must be answered: the sample, its size, its transport, many at once."""

import http.client

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.limits import MIB, PAYLOAD_BYTES
from conformance.server import Reply, connection_to, exchange
from conformance.servings import (
    Servings,
    answer,
    answered,
    any_answer,
    first_answer,
    plain,
)
from runtime.load import Answer, each, load

# a body that no model of a known type can read
NOTHING = b"\x00conformance: nothing that anybody could read\xff" * 8
OVER_BYTES = MIB  # how much the body above the limit is above it


@clause(SERVING)
def answers_the_sample(servings: Servings) -> Outcome:
    """POST /invocations answers the sample with 200 and a body.

    Source: developer guide, "How your container should respond to inference requests"
    Fix: give a file that the model can read, and its type, by --sample and --content-type; or
        look for the error in the server's log
    """
    reply = servings.once(any_answer)
    if reply.timed_out():
        return NotApplicable("no answer came in time; see answers_within_60_s")
    if reply.status != 200 or not reply.body:
        return Broken(f"it answered {reply.summary()}")
    return Kept(f"{reply.seconds * 1000:.0f} ms, {len(reply.body)} bytes")


@clause(SERVING)
def answers_within_60_s(servings: Servings) -> Outcome:
    """An answer takes at most 60 seconds.

    Source: developer guide, "How your container should respond to inference requests": respond
        within 60 seconds
    Fix: predict faster, or use asynchronous inference or batch transform
    """
    reply = servings.once(first_answer)
    if reply.timed_out():
        return Broken(f"there was none after {reply.seconds:.1f} s")
    return Kept(f"{reply.seconds:.2f} s")


@clause(SERVING)
def answer_within_6_mib(servings: Servings) -> Outcome:
    """An answer has at most 6,291,456 bytes.

    Source: InvokeEndpoint, response Body: max 6291456
    Fix: answer less, such as the best classes only, or use asynchronous inference
    """
    size = len(servings.once(answer).body)
    if size > PAYLOAD_BYTES:
        return Broken(f"it has {size} bytes")
    return Kept(f"{size} bytes")


@clause(SERVING)
def answers_have_a_length(servings: Servings) -> Outcome:
    """Every answer has a Content-Length: those of /ping, answers to the sample, and errors.

    Source: djl-serving issue 2567: asynchronous endpoints refuse answers without Content-Length;
        RFC 9112, 6.2
    Fix: answer in one piece with Content-Length, not in chunks and not until the connection ends
    """
    servings.once(answer)
    server = servings.once(plain)
    kind = servings.sample.content_type
    replies = {
        "/ping": server.ping(servings.limits.ping_s),
        "the sample": server.invoke(servings.sample.body, kind),
        "an unreadable body": server.invoke(NOTHING, kind),
        "an unknown path": server.ask("GET", "/conformance/unknown"),
    }
    lacking = [
        name
        for name, reply in replies.items()
        if reply.status and "content-length" not in reply.headers
    ]
    if lacking:
        return Broken(f"it has none for {', '.join(lacking)}")
    return Kept(f"{len(replies)} answers")


@clause(SERVING)
def payload_at_the_limit(servings: Servings) -> Outcome:
    """A body of exactly 6,291,456 bytes is read, and not refused for its size.

    Source: InvokeEndpoint, Body: max 6291456; amazon-sagemaker-examples issues 245 and 2793: 413
        at 5 MB
    Fix: raise the server's limit on bodies to at least 6 MiB; nginx: client_max_body_size
    """
    servings.once(answer)
    sample = servings.sample
    zeros = bytes(max(0, PAYLOAD_BYTES - len(sample.body)))
    reply = servings.once(plain).invoke(sample.body + zeros, sample.content_type)
    # any other status is the model's opinion of the zeros; unreadable_body judges that
    if reply.status in (0, 413):
        return Broken(f"it got {reply.summary()}")
    return Kept(f"status {reply.status}")


@clause(SERVING)
def payload_above_the_limit(servings: Servings) -> Outcome:
    """A body above 6 MiB gets an answer, preferably 413, and the server keeps answering /ping.

    Source: InvokeEndpoint, Body: max 6291456; multi-model-server issues 738 and 771
    Fix: answer 413 after reading the rest of the body, instead of closing the connection
    """
    server = servings.once(plain)
    sample = servings.sample
    large = sample.body + bytes(PAYLOAD_BYTES + OVER_BYTES)
    reply = server.invoke(large, sample.content_type)
    after = server.ping(servings.limits.ping_s)
    if after.status != 200:
        return Broken(f"it got {reply.summary()}, and /ping after it {after.summary()}")
    if reply.status == 0:
        return Broken(f"it got {reply.summary()}")
    return Kept(f"status {reply.status}")


@clause(SERVING)
def chunked_body(servings: Servings) -> Outcome:
    """A body in chunks, without Content-Length, is read.

    Batch transform sends such bodies with MaxPayloadInMB=0.

    Source: developer guide, CreateTransformJob, MaxPayloadInMB: 0 sends HTTP chunked encoding
    Fix: read Transfer-Encoding: chunked; where the server cannot, put a proxy in front that can
    """
    servings.once(answer)
    body = servings.sample.body
    third = len(body) // 3 + 1
    chunks = iter([body[start : start + third] for start in range(0, len(body), third)])
    server = servings.once(plain)
    kind = servings.sample.content_type
    return answered(server.invoke(chunks, kind, Transfer_Encoding="chunked"))


@clause(SERVING)
def keep_alive(servings: Servings) -> Outcome:
    """A connection carries the next request, after an error too, unless the server announces
    that it closes it.

    Source: RFC 9112, 9.3; the platform's proxy keeps connections
    Fix: speak HTTP/1.1, read bodies to their end before answering, and send Connection: close
        where the connection is closed
    """
    servings.once(answer)
    sample = servings.sample
    server = servings.once(plain)
    connection = connection_to(server.address, servings.limits.invoke_s)
    headers = {"Content-Type": sample.content_type}
    replies: list[Reply] = []
    try:
        connection.connect()
        connection.auto_open = 0  # all requests must use this one connection
        for body in (sample.body, NOTHING, sample.body):
            replies.append(exchange(connection, "POST", "/invocations", body, headers))
            if connection.sock is None:  # the server has announced the close
                break
    except (OSError, http.client.HTTPException) as error:
        return Broken(
            f"after {len(replies)} answers the connection failed without Connection: close: "
            f"{type(error).__name__} {error}"
        )
    finally:
        connection.close()
    # the second reply is an error on purpose
    return answered(replies[2] if len(replies) == 3 else replies[0])


@clause(SERVING, alone=True)
def concurrent_requests(servings: Servings) -> Outcome:
    """Many requests at once are all answered.

    Source: developer guide, "Use your own inference code with hosting services"; TransformJob,
        MaxConcurrentTransforms
    Fix: queue requests that arrive at once, instead of refusing or dropping them
    """
    servings.once(answer)
    connections = servings.limits.connections
    requests = [servings.sample.request()] * (2 * connections)
    answers: list[Answer] = []
    load(servings.once(plain).address, each(requests), connections, answers.append)
    failed = [found for found in answers if found.status != 200]
    if failed:
        first = failed[0]
        return Broken(
            f"{len(failed)} of {len(answers)} got no 200: {first.status} {first.error} "
            f"{first.body[:100]!r}"
        )
    return Kept(f"{len(answers)} over {connections} connections")
