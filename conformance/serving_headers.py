"""Clauses on the headers of requests. All of them ask the plain server."""

from conformance.clauses import SERVING, Broken, Outcome, clause
from conformance.servings import Servings, answer, answered, plain

UNKNOWN_TYPE = "application/x-conformance-unknown"
ATTRIBUTES_LENGTH = 1024  # characters; InvokeEndpoint, CustomAttributes
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


@clause(SERVING)
def content_type_with_parameters(servings: Servings) -> Outcome:
    """A Content-Type with parameters, such as `; charset=utf-8`, means the same type.

    Source: RFC 9110, 8.3.1; InvokeEndpoint, ContentType: forwarded as it is
    Fix: compare only the part before the first ; of the header
    """
    servings.once(answer)
    kind = f"{servings.sample.content_type}; charset=utf-8; conformance=1"
    return answered(servings.once(plain).invoke(servings.sample.body, kind))


@clause(SERVING)
def content_type_in_capitals(servings: Servings) -> Outcome:
    """A Content-Type in capitals means the same type.

    Source: RFC 9110, 8.3.1: type and subtype are case-insensitive
    Fix: compare the type in lower case
    """
    servings.once(answer)
    # parameters may be case-sensitive, so they stay
    kind, semicolon, parameters = servings.sample.content_type.partition(";")
    capitals = kind.upper() + semicolon + parameters
    return answered(servings.once(plain).invoke(servings.sample.body, capitals))


@clause(SERVING)
def accept_header(servings: Servings) -> Outcome:
    """Accept: */* gets the answer. An Accept that the server cannot satisfy gets the answer or
    4xx, not 5xx.

    Source: InvokeEndpoint, Accept; RFC 9110, 12.5.1
    Fix: answer in the default type, or with 406, where Accept cannot be satisfied
    """
    server = servings.once(plain)
    sample = servings.sample
    outcome = servings.answers(server, Accept="*/*")
    reply = server.invoke(sample.body, sample.content_type, Accept=UNKNOWN_TYPE)
    if not 200 <= reply.status < 500:
        return Broken(f"an unknown Accept got {reply.summary()}")
    return outcome


@clause(SERVING)
def custom_attributes(servings: Servings) -> Outcome:
    """X-Amzn-SageMaker-Custom-Attributes of up to 1024 characters that the server does not know
    are ignored.

    Source: InvokeEndpoint, CustomAttributes: max 1024
    Fix: ignore attributes that the server does not know
    """
    start = "trace=conformance;"
    attributes = start + "y" * (ATTRIBUTES_LENGTH - len(start))
    headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
    return servings.answers(servings.once(plain), **headers)


@clause(SERVING)
def foreign_headers(servings: Servings) -> Outcome:
    """Headers that the platform or a proxy adds are ignored.

    Source: InvokeEndpoint, request headers; developer guide: Amazon SageMaker strips all POST
        headers except those supported, and might add others
    Fix: ignore headers that the server does not know
    """
    return servings.answers(servings.once(plain), **FOREIGN)
