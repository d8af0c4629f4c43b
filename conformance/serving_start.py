"""Clauses on how a server starts, where it runs, and what /ping says."""

import contextlib
import json
import time

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.limits import MIB
from conformance.servings import (
    AWAY,
    Servings,
    answer,
    attempted,
    connect,
    first_answer,
    fresh,
    not_ready,
    plain,
)
from conformance.targets import Sandbox
from runtime.load import every, load

BIND = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
OTHER_PORT = 9123
BATCH = dict(
    SAGEMAKER_BATCH="true",
    SAGEMAKER_BATCH_STRATEGY="SINGLE_RECORD",
    SAGEMAKER_MAX_PAYLOAD_IN_MB="20",
    SAGEMAKER_MAX_CONCURRENT_TRANSFORMS="2",
)
PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
SERVERLESS_MB = 3072


@clause(SERVING)
def starts_with_serve(servings: Servings) -> Outcome:
    """`IMAGE serve` starts a server that answers /ping on port 8080, whatever it answers.

    Source: developer guide, "Use your own inference code with hosting services": docker run <image> serve; a web server on port 8080
    Fix: put an executable `serve` on PATH, or make ENTRYPOINT a program that takes the word `serve`, and listen on 0.0.0.0:8080
    """
    server = servings.once(attempted)
    answered = [reply for reply in server.pings if reply.status]
    return (
        Kept(f"the first answer was {answered[0].status}")
        if answered
        else Broken(not_ready(server))
    )


@clause(SERVING)
def ready_within_8_minutes(servings: Servings) -> Outcome:
    """/ping answers 200 within 8 minutes of the start, or the endpoint fails.

    Source: developer guide, "How your container should respond to health check (ping) requests": 8 minutes
    Fix: answer GET /ping with 200 once the model is loaded; load less, or faster
    """
    server = servings.once(attempted)
    if not any(reply.status for reply in server.pings):
        return NotApplicable("nothing answers /ping; see starts_with_serve")
    return (
        Kept(f"{server.ready_s:.1f} s")
        if server.ready_s == server.ready_s
        else Broken(not_ready(server))
    )


@clause(SERVING)
def ping_is_empty(servings: Servings) -> Outcome:
    """/ping answers 200 with an empty body.

    Source: developer guide, "How your container should respond to health check (ping) requests"
    Fix: answer /ping with no body: Content-Length: 0
    """
    reply = servings.once(plain).ping(servings.limits.ping_s)
    return (
        Kept()
        if reply.status == 200 and not reply.body
        else Broken(f"it answered {reply.summary()}")
    )


@clause(SERVING, alone=True)
def ping_within_2_s_from_the_start(servings: Servings) -> Outcome:
    """From the moment the port is open every /ping is answered within 2 seconds, the first ones too.

    Source: developer guide, "How your container should respond to health check (ping) requests": the request timeout is 2 seconds
    Fix: load the model before the port opens, not when the first /ping or request asks for it
    """
    server = servings.once(fresh)
    slow = [
        reply
        for reply in server.pings
        if reply.status == 0 or reply.seconds > servings.limits.ping_s
    ]
    return (
        Broken(f"{len(slow)} of the first {len(server.pings)} took longer")
        if slow
        else Kept(f"{len(server.pings)} pings")
    )


@clause(SERVING)
def ready_means_ready(servings: Servings) -> Outcome:
    """When /ping says 200, the next invocation is answered, not with 502, 503 or 504.

    Source: developer guide, "How your container should respond to inference requests"; sagemaker-inference-toolkit issue 138
    Fix: answer /ping with 200 only once the model is loaded, in every worker
    """
    first = servings.once(first_answer)
    if not first.status and "timed out" in first.error:
        return NotApplicable("there was no answer in time; see answers_within_60_s")
    if first.status in (0, *AWAY):
        return Broken(f"the first invocation was answered with {first.summary()}")
    return Kept(f"{first.seconds * 1000:.0f} ms")


@clause(SERVING)
def ping_is_honest(servings: Servings) -> Outcome:
    """Over a model folder that holds nothing usable the server ends, or /ping never says 200.

    Source: multi-model-server issue 1027; deep-learning-containers issue 2917: an endpoint InService without a model
    Fix: load the model before /ping says 200, and end, or answer 503, where that fails
    """
    servings.once(plain)
    if servings.source is None or not any(servings.source.iterdir()):
        return NotApplicable("no model is given")
    model = servings.model()
    for path in model.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0conformance: no model\n")
    with servings.started(model) as server:
        ready = server.wait_ready(servings.limits.broken_s, servings.limits.ping_s)
        code = server.machine.code()
        if ready:
            return Broken(
                f"/ping said 200 after {server.ready_s:.1f} s, with every file of the model overwritten"
            )
        return Kept(
            "it went on without ever saying 200" if code is None else f"it ended with code {code}"
        )


@clause(SERVING, alone=True)
def ping_under_load(servings: Servings) -> Outcome:
    """/ping is answered within 2 seconds while many requests are worked on.

    Source: developer guide, "How your container should respond to health check (ping) requests"; sagemaker-pytorch-training-toolkit issue 115
    Fix: answer /ping on a thread or worker that predictions cannot fill up: gunicorn's gthread or an event loop in place of sync workers
    """
    servings.once(answer)
    server, slowest, until = servings.once(plain), [], time.monotonic() + servings.limits.load_s

    def ping() -> None:
        reply = server.ping(servings.limits.ping_s)
        slowest.append(reply.seconds if reply.status == 200 else float("inf"))

    with every(0.05, ping):
        done = load(
            server.url,
            lambda: servings.sample.request() if time.monotonic() < until else None,
            servings.limits.connections,
        )
    worst = max(slowest, default=float("inf"))
    return (
        Kept(f"{worst * 1000:.0f} ms at {done.rate:.0f} answers/s")
        if worst <= servings.limits.ping_s
        else Broken(
            f"{sum(value > servings.limits.ping_s for value in slowest)} of {len(slowest)} pings were not, while {servings.limits.connections} connections asked"
        )
    )


@clause(SERVING, alone=True)
def ping_while_bodies_arrive(servings: Servings) -> Outcome:
    """/ping is answered within 2 seconds while clients send their bodies slowly.

    Source: developer guide, "How your container should respond to health check (ping) requests"
    Fix: read bodies on an event loop, or put nginx in front: a slow client must not hold a worker
    """
    servings.once(answer)
    server = servings.once(plain)
    with contextlib.ExitStack() as stack:
        for _ in range(servings.limits.connections):
            client, _ = connect(server.url)
            stack.callback(client.close)
            client.sendall(
                f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: {servings.sample.content_type}\r\nContent-Length: 100000\r\n\r\n".encode()
                + b"\xff" * 10
            )
        reply = server.ping(servings.limits.ping_s)
    return (
        Kept(f"{reply.seconds * 1000:.0f} ms")
        if reply.status == 200
        else Broken(f"with {servings.limits.connections} bodies under way it got {reply.summary()}")
    )


@clause(SERVING, alone=True)
def connects_within_250_ms(servings: Servings) -> Outcome:
    """Connections are accepted within 250 ms while many requests are worked on.

    Source: developer guide, "Use your own inference code with hosting services": must accept socket connection requests within 250 ms
    Fix: accept on a thread that does nothing else, with a backlog of some hundred connections
    """
    servings.once(answer)
    if not servings.target.near:
        return NotApplicable(
            "only the engine's proxy can be reached from here, and that accepts whatever the server does"
        )
    server, seconds, until = servings.once(plain), [], time.monotonic() + servings.limits.load_s

    def probe() -> None:
        try:
            client, took = connect(server.url)
            client.close()
            seconds.append(took)
        except OSError:
            seconds.append(float("inf"))

    with every(0.05, probe):
        load(
            server.url,
            lambda: servings.sample.request() if time.monotonic() < until else None,
            servings.limits.connections,
        )
    worst = max(seconds, default=float("inf"))
    return (
        Kept(f"{worst * 1000:.0f} ms")
        if worst <= servings.limits.connect_s
        else Broken(f"one took {worst:.2f} s")
    )


@clause(SERVING)
def binds_to_the_port_it_is_given(servings: Servings) -> Outcome:
    """With SAGEMAKER_BIND_TO_PORT the server listens there; the label accept-bind-to-port says that it does.

    Source: developer guide, "Run real-time predictions with an inference pipeline": required label and port
    Fix: listen on SAGEMAKER_BIND_TO_PORT where it is set, else on 8080
    """
    servings.once(plain)
    labelled = servings.target.labels.get(BIND) == "true"
    if servings.target.kind != "image":
        return NotApplicable("every process here is given its port so")
    if not labelled:
        return NotApplicable(f"the image has no label {BIND}=true: inference pipelines refuse it")
    sandbox = Sandbox(
        port=OTHER_PORT,
        environment=dict(
            SAGEMAKER_BIND_TO_PORT=str(OTHER_PORT),
            SAGEMAKER_SAFE_PORT_RANGE=f"{OTHER_PORT}-{OTHER_PORT + 99}",
        ),
    )
    with servings.ready(sandbox=sandbox) as server:
        return servings.answers(server)


@clause(SERVING)
def execution_parameters(servings: Servings) -> Outcome:
    """GET /execution-parameters answers 404, or JSON with numbers within batch transform's limits.

    Source: developer guide, "Use your own inference code with batch transform": MaxPayloadInMB <= 100, times MaxConcurrentTransforms <= 100
    Fix: answer 404, or numbers that keep MaxPayloadInMB and its product with MaxConcurrentTransforms within 100
    """
    reply = servings.once(plain).ask("GET", "/execution-parameters")
    if reply.status != 200:
        return Kept("404") if reply.status == 404 else Broken(f"it answered {reply.summary()}")
    try:
        found = json.loads(reply.body)
        wrong = [
            f"{name} is {found[name]!r}"
            for name, kind in PARAMETERS.items()
            if name in found and type(found[name]) is not kind
        ]
    except (ValueError, TypeError, KeyError):
        return Broken(f"it answered {reply.summary()}")
    if not wrong and (
        found.get("MaxPayloadInMB", 6) > 100
        or found.get("MaxPayloadInMB", 6) * found.get("MaxConcurrentTransforms", 1) > 100
    ):
        wrong = ["MaxPayloadInMB, or it times MaxConcurrentTransforms, is above 100"]
    if not wrong and found.get("BatchStrategy", "SINGLE_RECORD") not in (
        "SINGLE_RECORD",
        "MULTI_RECORD",
    ):
        wrong = [f"BatchStrategy is {found['BatchStrategy']!r}"]
    return Broken("; ".join(wrong)) if wrong else Kept(reply.body.decode().strip()[:120])


@clause(SERVING)
def batch_environment(servings: Servings) -> Outcome:
    """With batch transform's variables the server starts, answers, and takes bodies of SAGEMAKER_MAX_PAYLOAD_IN_MB.

    Source: developer guide, "Use your own inference code with batch transform"; amazon-sagemaker-examples issue 2793
    Fix: take the largest body from SAGEMAKER_MAX_PAYLOAD_IN_MB; nginx: client_max_body_size
    """
    servings.once(answer)
    with servings.ready(sandbox=Sandbox(environment=BATCH)) as server:
        outcome = servings.answers(server)
        large = server.invoke(
            servings.sample.body + b"\0" * (19 * MIB), servings.sample.content_type
        )
        return (
            Broken(f"a body of 19 MB got {large.summary()}, with SAGEMAKER_MAX_PAYLOAD_IN_MB=20")
            if large.status in (0, 413)
            else outcome
        )


@clause(SERVING)
def serverless_environment(servings: Servings) -> Outcome:
    """As a serverless endpoint, of 3 GB, a user without rights, and nothing to write to but /tmp, it is ready within 3 minutes and answers.

    Source: developer guide, "Troubleshoot serverless inference"; "Amazon SageMaker Serverless Inference"
    Fix: chmod -R o+rX what the server reads, write to /tmp alone, run one worker, and need no more than 3 GB
    """
    servings.once(answer)
    sandbox = Sandbox(user=1000, memory_mb=SERVERLESS_MB, read_only_root=True, read_only=(".",))
    with servings.ready(sandbox=sandbox, seconds=servings.limits.serverless_start_s) as server:
        return servings.answers(server)


@clause(SERVING)
def serves_without_network(servings: Servings) -> Outcome:
    """Without a way out, as under network isolation, it gets ready and answers.

    Source: CreateModel, EnableNetworkIsolation; developer guide, "Run training and inference containers in internet-free mode"
    Fix: install and fetch everything when the image is built, nothing when it starts
    """
    servings.once(answer)
    if servings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    network = servings.target.network(f"{servings.work.parent.name}-closed", isolated=True)
    try:
        with servings.ready(sandbox=Sandbox(network=network, credentials=False)) as server:
            return servings.answers(server)
    finally:
        servings.target.remove_network(network)
