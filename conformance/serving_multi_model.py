"""Clauses on the routes of a multi-model endpoint; they hold for images with the label multi-models, and programs that answer GET /models."""

import json
import time

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.servings import MULTI_MODEL, Reply, Server, Servings, answer, not_ready, same
from conformance.targets import Sandbox
from runtime.watched import sample_of

MOUNT = "/opt/ml/models"
LOAD_S = 120
SPARE_MB, MODELS = (
    48,
    24,
)  # the first: what is left for more models than one; so many of them are tried


@clause(SERVING)
def multi_model_starts_empty(servings: Servings) -> Outcome:
    """With SAGEMAKER_MULTI_MODEL=true the server gets ready without a model, and GET /models lists none.

    Source: developer guide, "Custom containers contract for multi-model endpoints"
    Fix: with SAGEMAKER_MULTI_MODEL=true load nothing at the start, and answer GET /models with an empty list
    """
    many = servings.once(_many)
    if not many.ready:
        return Broken(f"it did not get ready: {not_ready(many.server)}")
    return (
        Kept()
        if many.first_list == []
        else Broken(f"GET /models answered {many.listing.summary()}")
    )


@clause(SERVING)
def multi_model_loads(servings: Servings) -> Outcome:
    """POST /models loads a model and answers 200; it is then in GET /models, and at GET /models/<name>.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model, List Models, Get Model
    Fix: load the folder `url` of the body under the name `model_name`, and answer 200
    """
    many = _started(servings)
    if many.loaded.status != 200:
        return Broken(f"POST /models got {many.loaded.summary()}")
    names = [entry.get("modelName") for entry in _models(many.server) or []]
    if "conformance-a" not in names:
        return Broken(f"GET /models lists {names}")
    reply = many.server.ask("GET", "/models/conformance-a")
    return (
        Kept()
        if reply.status == 200 and b"conformance-a" in reply.body
        else Broken(f"GET /models/conformance-a got {reply.summary()}")
    )


@clause(SERVING)
def multi_model_invokes(servings: Servings) -> Outcome:
    """POST /models/<name>/invoke answers the sample.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Invoke Model
    Fix: answer POST /models/<name>/invoke as /invocations is
    """
    return same(_invoke(servings, _loaded(servings).server, "conformance-a"))


@clause(SERVING)
def multi_model_refuses_to_load_twice(servings: Servings) -> Outcome:
    """POST /models of a model that is loaded answers 409.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model, 409
    Fix: answer 409 to a name that is loaded
    """
    return _status(_load(_loaded(servings).server, servings, "conformance-a"), 409)


@clause(SERVING)
def multi_model_knows_who_is_not_there(servings: Servings) -> Outcome:
    """GET, DELETE and invoke of a model that is not loaded answer 404, upon which the platform loads it.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Get, Unload and Invoke Model, 404
    Fix: answer 404 to names that are not loaded
    """
    server = _loaded(servings).server
    for reply in (
        server.ask("GET", "/models/conformance-x"),
        server.ask("DELETE", "/models/conformance-x"),
        _invoke(servings, server, "conformance-x"),
    ):
        outcome = _status(reply, 404)
        if isinstance(outcome, Broken):
            return outcome
    return Kept()


@clause(SERVING)
def multi_model_unloads(servings: Servings) -> Outcome:
    """DELETE /models/<name> answers 200; the model is then not listed, not invoked, and can be loaded again.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Unload Model
    Fix: forget the model, and give its memory back before answering
    """
    server = _loaded(servings).server
    if (reply := _load(server, servings, "conformance-b")).status != 200:
        return Broken(f"a second model got {reply.summary()}")
    if (reply := server.ask("DELETE", "/models/conformance-b")).status != 200:
        return Broken(f"DELETE got {reply.summary()}")
    if "conformance-b" in [entry.get("modelName") for entry in _models(server) or []]:
        return Broken("it is still in GET /models")
    if (reply := _invoke(servings, server, "conformance-b")).status != 404:
        return Broken(f"invoked after DELETE it got {reply.summary()}")
    reply = _load(server, servings, "conformance-b")
    server.ask("DELETE", "/models/conformance-b")
    return _status(reply, 200)


@clause(SERVING)
def multi_model_out_of_memory(servings: Servings) -> Outcome:
    """POST /models of what the memory has no room for answers 507, upon which the platform unloads another model; the server goes on.

    Source: developer guide, "Custom containers contract for multi-model endpoints": Load Model, 507
    Fix: compare what a model takes with what the container's cgroup has left, and answer 507 before the kernel kills
    """
    if servings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    many = _loaded(servings)
    try:
        memory_mb = int(sample_of(many.server.pids()).bytes / 2**20 * 1.1) + SPARE_MB
    except PermissionError:
        return NotApplicable("only root sees the memory of a container's processes")
    with servings.started(
        many.models,
        Sandbox(environment={"SAGEMAKER_MULTI_MODEL": "true"}, memory_mb=memory_mb),
        MOUNT,
    ) as server:
        if not server.wait_ready(servings.again_s(), servings.limits.ping_s):
            return NotApplicable(
                f"it does not start in {memory_mb} MB, which it had taken with one model"
            )
        for number in range(MODELS):
            reply = _load(server, servings, f"conformance-{number}-a")
            if reply.status != 200:
                break
        ping = server.ping(servings.limits.ping_s)
    if reply.status == 200:
        return NotApplicable(f"{MODELS} models fit into {memory_mb} MB")
    if reply.status != 507:
        return Broken(f"of {memory_mb} MB, model {number + 1} got {reply.summary()}")
    return (
        Kept(f"model {number + 1} does not fit into {memory_mb} MB")
        if ping.status == 200
        else Broken(f"after 507, /ping got {ping.summary()}")
    )


class _Many:
    """A multi-model server with one model, conformance-a, and what it said on the way."""

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
        self.server = servings.keep(
            self.models, Sandbox(environment={"SAGEMAKER_MULTI_MODEL": "true"}), MOUNT
        )
        if not labelled and _first_word(self.server, servings.again_s()).status in (404, 405):
            raise Settled(NotApplicable("the program has no /models"))
        self.ready = self.server.wait_ready(servings.again_s(), servings.limits.ping_s)
        if not self.ready and not labelled:
            raise Settled(
                NotApplicable("with SAGEMAKER_MULTI_MODEL=true the program does not get ready")
            )
        if not self.ready:
            return
        self.listing = self.server.ask("GET", "/models")
        self.first_list = _models(self.server)
        self.loaded = _load(self.server, servings, "conformance-a")


def _many(servings: Servings) -> _Many:
    return _Many(servings)


def _first_word(server: Server, seconds: float) -> Reply:
    """What GET /models answers as soon as anything is answered, ready or not."""
    until = time.monotonic() + seconds
    while (
        (reply := server.ask("GET", "/models")).status == 0
        and server.machine.code() is None
        and time.monotonic() < until
    ):
        time.sleep(0.02)
    return reply


def _started(servings: Servings) -> _Many:
    many = servings.once(_many)
    if not many.ready:
        raise Settled(NotApplicable("it does not get ready; see multi_model_starts_empty"))
    return many


def _loaded(servings: Servings) -> _Many:
    many = _started(servings)
    if many.loaded.status != 200:
        raise Settled(NotApplicable("no model can be loaded; see multi_model_loads"))
    return many


def _load(server: Server, servings: Servings, name: str) -> Reply:
    """POST /models of the model that the name's last letter names."""
    root = MOUNT if servings.target.kind == "image" else str(servings.work / "models")
    body = json.dumps({"model_name": name, "url": f"{root}/{name[-1]}/model"}).encode()
    return server.ask("POST", "/models", body, {"Content-Type": "application/json"}, LOAD_S)


def _invoke(servings: Servings, server: Server, name: str) -> Reply:
    return servings.asked(
        server, f"/models/{name}/invoke", **{"X-Amzn-SageMaker-Target-Model": f"{name[-1]}.tar.gz"}
    )


def _models(server: Server) -> list[dict] | None:
    try:
        return list(json.loads(server.ask("GET", "/models").body)["models"])
    except (ValueError, TypeError, KeyError):
        return None


def _status(reply: Reply, status: int) -> Outcome:
    return Kept() if reply.status == status else Broken(f"it got {reply.summary()}", f"{status}")
