"""Clauses on the routes of a multi-model endpoint.

They apply to images with the label multi-models, and to programs that answer GET /models.
"""

import json
import time
from typing import Any

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.server import Reply, Server
from conformance.servings import MULTI_MODEL, Servings, answer, answered
from conformance.targets import Sandbox
from runtime.watched import sample_of

MOUNT = "/opt/ml/models"
LOAD_S = 120  # the longest time for loading one model
MANY = {"SAGEMAKER_MULTI_MODEL": "true"}
SPARE_MB = 48  # memory for further models, above the memory with one model
MODELS = 24  # the most models that are loaded to fill this memory
ROOM = 1.1  # memory with one model differs a little from start to start
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"


@clause(SERVING)
def multi_model_starts_empty(servings: Servings) -> Outcome:
    """With SAGEMAKER_MULTI_MODEL=true the server gets ready without a model, and GET /models
    lists none.

    Source: developer guide, "Custom containers contract for multi-model endpoints"
    Fix: with SAGEMAKER_MULTI_MODEL=true load no model at the start, and answer GET /models with
        an empty list
    """
    many = servings.once(ManyModels)
    if not many.ready:
        return Broken(f"it did not get ready: {many.server.not_ready()}")
    if many.first_list != []:
        return Broken(f"GET /models answered {many.listing.summary()}")
    return Kept()


@clause(SERVING)
def multi_model_loads(servings: Servings) -> Outcome:
    """POST /models loads a model and answers 200. The model is then in GET /models, and at GET
    /models/<name>.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model,
        List Models, Get Model
    Fix: load the folder `url` of the body under the name `model_name`, and answer 200
    """
    many = _started(servings)
    if many.loaded.status != 200:
        return Broken(f"POST /models got {many.loaded.summary()}")
    names = _names(many.server)
    if "conformance-a" not in names:
        return Broken(f"GET /models lists {names}")
    reply = many.server.ask("GET", "/models/conformance-a")
    if reply.status != 200 or b"conformance-a" not in reply.body:
        return Broken(f"GET /models/conformance-a got {reply.summary()}")
    return Kept()


@clause(SERVING)
def multi_model_invokes(servings: Servings) -> Outcome:
    """POST /models/<name>/invoke answers the sample.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Invoke Model
    Fix: answer POST /models/<name>/invoke as POST /invocations
    """
    return answered(_invoke(servings, _loaded(servings).server, "conformance-a"))


@clause(SERVING)
def multi_model_refuses_to_load_twice(servings: Servings) -> Outcome:
    """POST /models of a model that is already loaded answers 409.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model,
        409
    Fix: answer 409 where the name is already loaded
    """
    return _status(_load(_loaded(servings).server, servings, "conformance-a"), 409)


@clause(SERVING)
def multi_model_knows_who_is_not_there(servings: Servings) -> Outcome:
    """GET, DELETE and invoke of a model that is not loaded answer 404. The platform then loads it.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Get, Unload
        and Invoke Model, 404
    Fix: answer 404 to names that are not loaded
    """
    server = _loaded(servings).server
    replies = (
        server.ask("GET", "/models/conformance-x"),
        server.ask("DELETE", "/models/conformance-x"),
        _invoke(servings, server, "conformance-x"),
    )
    for reply in replies:
        outcome = _status(reply, 404)
        if isinstance(outcome, Broken):
            return outcome
    return Kept()


@clause(SERVING)
def multi_model_unloads(servings: Servings) -> Outcome:
    """DELETE /models/<name> answers 200. The model is then not listed, cannot be invoked, and can
    be loaded again.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Unload Model
    Fix: unload the model, and release its memory before answering
    """
    server = _loaded(servings).server
    loaded = _load(server, servings, "conformance-b")
    if loaded.status != 200:
        return Broken(f"a second model got {loaded.summary()}")
    deleted = server.ask("DELETE", "/models/conformance-b")
    if deleted.status != 200:
        return Broken(f"DELETE got {deleted.summary()}")
    if "conformance-b" in _names(server):
        return Broken("it is still in GET /models")
    invoked = _invoke(servings, server, "conformance-b")
    if invoked.status != 404:
        return Broken(f"invoked after DELETE it got {invoked.summary()}")
    again = _load(server, servings, "conformance-b")
    server.ask("DELETE", "/models/conformance-b")
    return _status(again, 200)


@clause(SERVING)
def multi_model_out_of_memory(servings: Servings) -> Outcome:
    """POST /models of a model that does not fit into memory answers 507, and the server keeps
    running. The platform then unloads another model.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model,
        507
    Fix: compare the memory that a model needs with the rest of the container's cgroup, and answer
        507 before the kernel kills the server
    """
    if servings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    many = _loaded(servings)
    try:
        memory_mb = int(sample_of(many.server.pids()).bytes / 2**20 * ROOM) + SPARE_MB
    except PermissionError:
        return NotApplicable("only root can see the memory of a container's processes")
    small = Sandbox(environment=MANY, memory_mb=memory_mb)
    with servings.started(many.models, small, MOUNT) as server:
        if not server.wait_ready(servings.again_s(), servings.limits.ping_s):
            return NotApplicable(
                f"it does not start in {memory_mb} MB, though one model needed less"
            )
        for number in range(1, MODELS + 1):
            reply = _load(server, servings, f"conformance-{number}-a")
            if reply.status != 200:
                break
        ping = server.ping(servings.limits.ping_s)
    if reply.status == 200:
        return NotApplicable(f"{MODELS} models fit into {memory_mb} MB")
    if reply.status != 507:
        return Broken(f"in {memory_mb} MB, model {number} got {reply.summary()}")
    if ping.status != 200:
        return Broken(f"after 507, /ping got {ping.summary()}")
    return Kept(f"model {number} does not fit into {memory_mb} MB")


class ManyModels:
    """A multi-model server with one model, conformance-a, and its answers on the way there.

    Settled as not applicable where the target is not made for several models.
    """

    def __init__(self, servings: Servings):
        servings.once(answer)
        labelled = servings.target.labels.get(MULTI_MODEL) == "true"
        if servings.target.kind == "image" and not labelled:
            raise Settled(NotApplicable(f"the image has no label {MULTI_MODEL}=true"))
        self.models = servings.work / "models"
        self.models.mkdir()
        for name in ("a", "b"):
            (self.models / name).mkdir()
            servings.model().rename(self.models / name / "model")
        self.server = servings.keep(self.models, Sandbox(environment=MANY), MOUNT)
        seconds = servings.again_s()
        if not labelled and _first_reply(self.server, seconds).status in (404, 405):
            raise Settled(NotApplicable("the program has no route /models"))
        self.ready = self.server.wait_ready(seconds, servings.limits.ping_s)
        if not self.ready and not labelled:
            why = "with SAGEMAKER_MULTI_MODEL=true the program does not get ready"
            raise Settled(NotApplicable(why))
        if not self.ready:
            return
        self.listing = self.server.ask("GET", "/models")
        self.first_list = _listed(self.listing)
        self.loaded = _load(self.server, servings, "conformance-a")


def _first_reply(server: Server, seconds: float) -> Reply:
    """The first answer to GET /models, from a server that may not be ready yet."""
    until = time.monotonic() + seconds
    while True:
        reply = server.ask("GET", "/models")
        if reply.status != 0 or server.instance.code() is not None or time.monotonic() > until:
            return reply
        time.sleep(0.02)


def _started(servings: Servings) -> ManyModels:
    many = servings.once(ManyModels)
    if not many.ready:
        raise Settled(NotApplicable("it does not get ready; see multi_model_starts_empty"))
    return many


def _loaded(servings: Servings) -> ManyModels:
    many = _started(servings)
    if many.loaded.status != 200:
        raise Settled(NotApplicable("no model can be loaded; see multi_model_loads"))
    return many


def _load(server: Server, servings: Servings, name: str) -> Reply:
    """POST /models. The name's last letter, a or b, picks the model's folder."""
    root = MOUNT
    if servings.target.kind != "image":
        root = str(servings.work / "models")
    body = {"model_name": name, "url": f"{root}/{name[-1]}/model"}
    headers = {"Content-Type": "application/json"}
    return server.ask("POST", "/models", json.dumps(body).encode(), headers, LOAD_S)


def _invoke(servings: Servings, server: Server, name: str) -> Reply:
    header = {TARGET_MODEL: f"{name[-1]}.tar.gz"}
    return servings.asked(server, f"/models/{name}/invoke", **header)


def _names(server: Server) -> list[str | None]:
    """The models' names in GET /models."""
    models = _listed(server.ask("GET", "/models")) or []
    return [entry.get("modelName") for entry in models]


def _listed(reply: Reply) -> list[dict[str, Any]] | None:  # Any: JSON of the server under test
    """The entries of an answer to GET /models; None where it is not such an answer."""
    try:
        return list(json.loads(reply.body)["models"])
    except (ValueError, TypeError, KeyError):
        return None


def _status(reply: Reply, status: int) -> Outcome:
    if reply.status != status:
        return Broken(f"it got {reply.summary()}", f"{status}")
    return Kept()
