"""Clauses on how a server starts, and on the environments that SageMaker starts it in."""

import json
import time
from typing import Any

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.cores import PLACE, draw_cores
from conformance.limits import MIB
from conformance.servings import (
    OPEN,
    UNAVAILABLE,
    Servings,
    answer,
    attempted,
    first_answer,
    plain,
)
from conformance.targets import Sandbox

BIND = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
OTHER_PORT = 9123
PORT_RANGE = f"{OTHER_PORT}-{OTHER_PORT + 99}"
# what batch transform sets
BATCH = {
    "SAGEMAKER_BATCH": "true",
    "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
}
BATCH_BODY_BYTES = 19 * MIB  # just below SAGEMAKER_MAX_PAYLOAD_IN_MB
PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
STRATEGIES = ("SINGLE_RECORD", "MULTI_RECORD")
MOST_MB = 100  # of a payload, and of all payloads at once
SERVERLESS_MB = 3072
SERVERLESS = Sandbox(user=1000, memory_mb=SERVERLESS_MB, read_only_root=True, read_only=(".",))
SMALL_MB = 1024  # the least memory of a serverless endpoint
CORES_IN_SIGHT = 64


@clause(SERVING)
def starts_with_serve(servings: Servings) -> Outcome:
    """`IMAGE serve` starts a server that answers GET /ping on port 8080, with any status.

    Source: developer guide, "Use your own inference code with hosting services": docker run
        <image> serve; a web server on port 8080
    Fix: put an executable `serve` on PATH, or let ENTRYPOINT be a program that takes the argument
        `serve`, and listen on 0.0.0.0:8080
    """
    server = servings.once(attempted)
    statuses = [reply.status for reply in server.pings if reply.status]
    if not statuses:
        return Broken(server.not_ready())
    return Kept(f"the first answer was {statuses[0]}")


@clause(SERVING)
def ready_within_8_minutes(servings: Servings) -> Outcome:
    """GET /ping answers 200 within 8 minutes of the start. Otherwise the endpoint fails.

    Source: developer guide, "How your container should respond to health check (ping) requests":
        8 minutes
    Fix: answer GET /ping with 200 once the model is loaded; load less, or load faster
    """
    server = servings.once(attempted)
    if not any(reply.status for reply in server.pings):
        return NotApplicable("GET /ping gets no answer; see starts_with_serve")
    if server.ready_s is None:
        return Broken(server.not_ready())
    return Kept(f"{server.ready_s:.1f} s")


@clause(SERVING)
def ready_means_ready(servings: Servings) -> Outcome:
    """After GET /ping has answered 200, the next request is not answered with 502, 503 or 504.

    Source: developer guide, "How your container should respond to inference requests";
        sagemaker-inference-toolkit issue 138
    Fix: answer /ping with 200 only after the model is loaded in every worker
    """
    first = servings.once(first_answer)
    if first.timed_out():
        return NotApplicable("no answer came in time; see answers_within_60_s")
    if first.status in (0, *UNAVAILABLE):
        return Broken(f"the first request got {first.summary()}")
    return Kept(f"{first.seconds * 1000:.0f} ms")


@clause(SERVING)
def binds_to_the_port_it_is_given(servings: Servings) -> Outcome:
    """With SAGEMAKER_BIND_TO_PORT the server listens on that port.

    The label accept-bind-to-port promises it.

    Source: developer guide, "Run real-time predictions with an inference pipeline": required
        label and port
    Fix: listen on SAGEMAKER_BIND_TO_PORT where it is set, else on 8080
    """
    servings.once(plain)
    if servings.target.kind != "image":
        return NotApplicable("every process gets its port this way here")
    if servings.target.labels.get(BIND) != "true":
        return NotApplicable(f"the image has no label {BIND}=true: inference pipelines refuse it")
    port = {
        "SAGEMAKER_BIND_TO_PORT": str(OTHER_PORT),
        "SAGEMAKER_SAFE_PORT_RANGE": PORT_RANGE,
    }
    with servings.ready(sandbox=Sandbox(port=OTHER_PORT, environment=port)) as server:
        return servings.answers(server)


@clause(SERVING)
def execution_parameters(servings: Servings) -> Outcome:
    """GET /execution-parameters answers 404, or JSON with values that batch transform accepts.

    Source: developer guide, "Use your own inference code with batch transform": MaxPayloadInMB
        <= 100, times MaxConcurrentTransforms <= 100
    Fix: answer 404, or values with MaxPayloadInMB, and its product with MaxConcurrentTransforms,
        of at most 100
    """
    reply = servings.once(plain).ask("GET", "/execution-parameters")
    if reply.status == 404:
        return Kept("404")
    if reply.status != 200:
        return Broken(f"it answered {reply.summary()}")
    try:
        found = json.loads(reply.body)
    except ValueError:
        return Broken(f"it answered {reply.summary()}")
    if not isinstance(found, dict):
        return Broken(f"it answered {reply.summary()}")
    faults = _parameter_faults(found)
    if faults:
        return Broken("; ".join(faults))
    return Kept(reply.body.decode().strip()[:120])


def _parameter_faults(found: dict[str, Any]) -> list[str]:
    """The values of /execution-parameters that batch transform refuses, in words."""
    faults = []
    for name, kind in PARAMETERS.items():
        # type() and not isinstance(): JSON's true is not a number, but Python's True is an int
        if name in found and type(found[name]) is not kind:
            faults.append(f"{name} is {found[name]!r}")
    if faults:
        return faults
    payload_mb = found.get("MaxPayloadInMB", 6)
    transforms = found.get("MaxConcurrentTransforms", 1)
    if payload_mb > MOST_MB or payload_mb * transforms > MOST_MB:
        return [f"MaxPayloadInMB, or it times MaxConcurrentTransforms, is above {MOST_MB}"]
    if found.get("BatchStrategy", STRATEGIES[0]) not in STRATEGIES:
        return [f"BatchStrategy is {found['BatchStrategy']!r}"]
    return []


@clause(SERVING)
def batch_environment(servings: Servings) -> Outcome:
    """With batch transform's variables the server starts and answers.

    It accepts bodies of up to SAGEMAKER_MAX_PAYLOAD_IN_MB.

    Source: developer guide, "Use your own inference code with batch transform";
        amazon-sagemaker-examples issue 2793
    Fix: take the largest body from SAGEMAKER_MAX_PAYLOAD_IN_MB; nginx: client_max_body_size
    """
    servings.once(answer)
    sample = servings.sample
    with servings.ready(sandbox=Sandbox(environment=BATCH)) as server:
        outcome = servings.answers(server)
        large = server.invoke(sample.body + bytes(BATCH_BODY_BYTES), sample.content_type)
    if large.status in (0, 413):
        return Broken(f"a body of 19 MB got {large.summary()}, with SAGEMAKER_MAX_PAYLOAD_IN_MB=20")
    return outcome


@clause(SERVING)
def serverless_environment(servings: Servings) -> Outcome:
    """As a serverless endpoint the server is ready within 3 minutes, and answers.

    It has 3 GB of memory, runs without root, and can write to /tmp only.

    Source: developer guide, "Troubleshoot serverless inference"; "Amazon SageMaker Serverless
        Inference"
    Fix: chmod -R o+rX what the server reads, write to /tmp only, run one worker, and need no more
        than 3 GB
    """
    servings.once(answer)
    seconds = servings.limits.serverless_start_s
    with servings.ready(sandbox=SERVERLESS, seconds=seconds) as server:
        return servings.answers(server)


@clause(SERVING)
def serves_without_network(servings: Servings) -> Outcome:
    """Without a network, as under network isolation, the server gets ready and answers.

    Source: CreateModel, EnableNetworkIsolation; developer guide, "Run training and inference
        containers in internet-free mode"
    Fix: install and download everything when the image is built, and nothing when it starts
    """
    servings.once(answer)
    target = servings.target
    if target.kind != "image":
        return NotApplicable("needs an image and an engine")
    network = target.network(f"{servings.work.parent.name}-closed", isolated=True)
    try:
        with servings.ready(sandbox=Sandbox(network=network, credentials=False)) as server:
            return servings.answers(server)
    finally:
        target.remove_network(network)


@clause(SERVING)
def serverless_first_answer(servings: Servings) -> Outcome:
    """The first right answer comes within 3 minutes of the start of the container.

    An image is started as a serverless endpoint starts it, for every request after a pause.

    Source: developer guide, "Troubleshoot serverless inference": 180 seconds; "Amazon SageMaker
        Serverless Inference": cold starts
    Fix: do at build time what is done at each start: installing, downloading, compiling; sleep
        for nothing; load the model once
    """
    servings.once(answer)
    seconds = servings.limits.serverless_start_s
    sandbox = SERVERLESS if servings.target.kind == "image" else OPEN
    with servings.started(servings.model(), sandbox) as server:
        if not server.wait_ready(seconds, servings.limits.ping_s):
            return NotApplicable("it does not get ready; see serverless_environment")
        reply = servings.asked(server)
        took = time.monotonic() - server.started
    if reply.status != 200:
        return Broken(f"the first request got {reply.summary()}")
    if took > seconds:
        return Broken(f"{took:.1f} s after the start")
    return Kept(f"{took:.1f} s after the start")


@clause(SERVING)
def many_visible_cores(servings: Servings) -> Outcome:
    """With 1 GB of memory and 64 cores in sight, of which it may use few, the server answers.

    A serverless endpoint, and any container with a share of a large host, looks like that.

    Source: Python's documentation, os.cpu_count: not the number that a process may use; developer
        guide, "Amazon SageMaker Serverless Inference": from 1024 MB
    Fix: choose the number of workers and threads by sched_getaffinity, cgroups and the memory, not
        by the number of cores in sight
    """
    servings.once(answer)
    if servings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    shown = draw_cores(servings.work / "cores", CORES_IN_SIGHT)
    sandbox = Sandbox(memory_mb=SMALL_MB, mounts=((shown, PLACE),))
    with servings.ready(sandbox=sandbox) as server:
        return servings.answers(server)
