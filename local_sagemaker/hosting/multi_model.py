"""A multi-model endpoint's models: fetched, loaded by the container, and unloaded to make room."""

import hashlib
import json
import shutil
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.contract import ApiError
from local_sagemaker.hosting.calls import ask, model_error
from local_sagemaker.hosting.variants import NotHealthy, Variant, unpack

LOAD_TIMEOUT_S = 60
# Statuses of POST /models. Source: the multi-model contract in SageMaker's guide.
FULL = 507  # the container has no memory left for another model
THERE = 409  # it is loaded already


def path(variant: Variant, url: str, target: str | None) -> str:
    """Where to POST for a target model, which is loaded if need be.

    ApiError when the call names no model, or it cannot be had.
    """
    if not target:
        raise ApiError(
            "ValidationError",
            "The header X-Amzn-SageMaker-Target-Model is missing: this is a multi-model endpoint",
        )
    # Containers know a model by this name alone: a target may have slashes in it.
    uri = objects.joined(variant.container["ModelDataUrl"], target)
    name = hashlib.sha256(uri.encode()).hexdigest()[:32]
    with variant.loading:
        loaded = variant.loaded.setdefault(url, {})
        if name not in loaded:
            _load(variant, url, name, uri, target, loaded)
        loaded[name] = loaded.pop(name)  # the last used comes last
    return f"/models/{name}/invoke"


def _fetch(uri: str, folder: Path) -> None:
    """A model's files into a folder, which is there once all of them are.

    ObjectError or NotHealthy leave nothing, so that the next call tries again.
    """
    if folder.is_dir():
        return
    new = folder.with_name("new")
    try:
        new.mkdir(parents=True)
        unpack(uri, new)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _load(
    variant: Variant, url: str, name: str, uri: str, target: str, loaded: dict[str, bool]
) -> None:
    folder = variant.folder / name / "model"
    try:
        _fetch(uri, folder)
    except (objects.ObjectError, NotHealthy) as error:
        raise ApiError(
            "ValidationError",
            f"Failed to download model data for model {target} from {uri}: {error}",
        ) from error
    body = json.dumps({"model_name": name, "url": variant.inside(folder)}).encode()
    while True:
        status, _, content = ask(
            url, "POST", "/models", body, {"Content-Type": "application/json"}, LOAD_TIMEOUT_S
        )
        if status in (200, THERE):
            loaded[name] = True
            return
        if status != FULL or not loaded:
            shutil.rmtree(folder)  # a mended archive of the same name is fetched anew
            raise model_error(
                status, content.decode("utf-8", errors="replace"), "the endpoint's log"
            )
        # `path` keeps the order of use, so that the first one was not used for longest.
        oldest = next(iter(loaded))
        ask(url, "DELETE", f"/models/{oldest}", None, {}, LOAD_TIMEOUT_S)
        loaded.pop(oldest)
