"""Clauses on an image by itself: its description, and what was left in its layers."""

import json
import re
from pathlib import Path

from conformance.clauses import IMAGE, Broken, Kept, NotApplicable, Outcome, clause
from conformance.image_facts import ImageFacts, findings
from conformance.limits import IMAGE_BYTES
from runtime import docker

CAPABILITIES = "com.amazonaws.sagemaker.capabilities."
KNOWN = ("accept-bind-to-port", "multi-models", "bidirectional-streaming")
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
BASE = "org.opencontainers.image.base.name"
INITS = re.compile(r"(^|/)(tini|tini-static|dumb-init|catatonit)$")
SHELL_FORM = (["/bin/sh", "-c"], ["/bin/bash", "-c"], ["sh", "-c"], ["bash", "-c"])
SECRET_VARIABLES = re.compile(
    # NAME=value, where the value is neither a variable's reference nor a path
    r"(?i)\b\w*(secret|password|passwd|token(?!i[sz]|s)|api_?key|credential)\w*="
    r"(?![\"']?[$/])\S{6,}"
    r"|://[^/\s:@]+:[^/\s@$]+@"  # scheme://user:password@host
)
CACHE_BYTES = 1_000_000
# InferenceAmiVersion, and TransformAmiVersion: the newest CUDA that the host's driver runs
AMIS = {
    "al2-ami-sagemaker-inference-gpu-2": 12.2,
    "al2-ami-sagemaker-inference-gpu-2-1": 12.2,
    "al2-ami-sagemaker-inference-gpu-3-1": 12.4,
    "al2023-ami-sagemaker-inference-gpu-4-1": 13.0,
    "al2-ami-sagemaker-batch-gpu-470": 11.4,
    "al2-ami-sagemaker-batch-gpu-535": 12.2,
    "default": 11.4,
}


@clause(IMAGE)
def manifest_type(facts: ImageFacts) -> Outcome:
    """A push turns the image into a Docker manifest of schema 2, for linux/amd64. An image that
    only serves may be for linux/arm64. SageMaker refuses OCI manifests and indexes.

    Source: amazon-sagemaker-feedback issue 180; mlflow issue 13834; moby/buildkit issue 5480;
        ProductionVariant, InstanceType: ml.c7g and others
    Fix: build with docker buildx build --platform linux/amd64 --provenance=false --sbom=false
        --output type=docker
    """
    platforms = ["linux/amd64"]
    if not facts.trains:
        platforms.append("linux/arm64")
    description = facts.description
    platform = f"{description.get('Os')}/{description.get('Architecture')}"
    if platform not in platforms:
        return Broken(f"it is for {platform}")
    # only engines with containerd's image store have a descriptor
    kind = (description.get("Descriptor") or {}).get("mediaType")
    if kind is None:
        return Kept("the engine's own store pushes schema 2")
    if kind != DOCKER_MANIFEST:
        return Broken(f"it is {kind}")
    return Kept(kind)


@clause(IMAGE)
def size_under_10_gb(facts: ImageFacts) -> Outcome:
    """The image has at most 10 GB.

    Source: developer guide, "Amazon SageMaker Serverless Inference": container images of up to
        10 GB
    Fix: build in stages, without compilers and caches in the last stage
    """
    size = facts.description["Size"]
    seen = f"{size / 1e9:.2f} GB"
    if size > IMAGE_BYTES:
        return Broken(seen)
    return Kept(seen)


@clause(IMAGE)
def capability_labels(facts: ImageFacts) -> Outcome:
    """The labels under com.amazonaws.sagemaker.capabilities are known to the platform, and have
    the value true.

    Source: developer guide, "Run real-time predictions with an inference pipeline"; "Custom
        containers contract for multi-model endpoints"
    Fix: spell the label as the platform does, with the value true, or remove it
    """
    names = []
    wrong = []
    for label, value in facts.labels.items():
        if not label.startswith(CAPABILITIES):
            continue
        name = label.removeprefix(CAPABILITIES)
        names.append(name)
        if name not in KNOWN or value != "true":
            wrong.append(f"{name}={value}")
    if wrong:
        return Broken(", ".join(wrong))
    return Kept(", ".join(sorted(names)) or "none")


@clause(IMAGE)
def exec_form_entrypoint(facts: ImageFacts) -> Outcome:
    """ENTRYPOINT is in exec form. Otherwise neither SIGTERM nor the arguments `train` and `serve`
    reach the program.

    Source: developer guide, "How Amazon SageMaker runs your training image"; "… your inference
        image": use the exec form
    Fix: write ENTRYPOINT ["program", "argument"], not ENTRYPOINT program
    """
    entrypoint = facts.config.get("Entrypoint") or []
    if entrypoint[:2] in SHELL_FORM:
        return Broken(f"it is {json.dumps(entrypoint)}")
    if not entrypoint:
        return Kept("none")
    return Kept(json.dumps(entrypoint))


@clause(IMAGE)
def no_init_as_entrypoint(facts: ImageFacts) -> Outcome:
    """The entrypoint is not an init program such as tini.

    Source: developer guide, "How Amazon SageMaker runs your training image": tini gets confused
        by the train and serve arguments
    Fix: make the program itself the entrypoint, and let it reap its children
    """
    entrypoint = facts.config.get("Entrypoint") or [""]
    if INITS.search(entrypoint[0]):
        return Broken(f"it is {entrypoint[0]}")
    return Kept()


@clause(IMAGE)
def nothing_under_opt_ml(facts: ImageFacts) -> Outcome:
    """The image has no files below /opt/ml. The platform mounts its own folders there.

    Source: developer guide, "Use your own training algorithms": /opt/ml and all its
        subdirectories are reserved
    Fix: put code and weights elsewhere, such as /opt/program
    """
    found = facts.once(findings).under_opt_ml
    if found:
        return Broken(f"there is {found[-1]}")
    return Kept()


@clause(IMAGE)
def no_secrets_in_layers(facts: ImageFacts) -> Outcome:
    """No layer holds a private key, a password file or an access key. A file that a later layer
    hides is still in the image.

    Source: AWS Well-Architected, SEC02-BP03: store and use secrets securely; CWE-538
    Fix: revoke the secret, then build without it: RUN --mount=type=secret, and .dockerignore
    """
    found = facts.once(findings).secrets
    if not found:
        return Kept()
    if len(found) == 1:
        return Broken(found[0])
    return Broken(f"{found[0]} and {len(found) - 1} more")


@clause(IMAGE)
def no_secrets_in_the_history(facts: ImageFacts) -> Outcome:
    """The environment and the build's commands and arguments hold no password and no token.

    Source: Docker's documentation, "Build secrets": build arguments and environment variables
        persist in the image
    Fix: revoke the secret, then pass it by RUN --mount=type=secret, not by ARG or ENV
    """
    for text in (*facts.environment, *docker.image_history(facts.uri)):
        match = SECRET_VARIABLES.search(text)
        if match:
            # the name alone: results go to logs
            name = match[0].partition("=")[0][:60]
            return Broken(f"there is {name}=…")
    return Kept()


@clause(IMAGE)
def no_caches_in_layers(facts: ImageFacts) -> Outcome:
    """The layers hold at most 1 MB of package lists, downloaded packages and repositories.

    Source: Docker's documentation, "Best practices": apt-get; size is start-up time
    Fix: remove them in the RUN that makes them: rm -rf /var/lib/apt/lists/*; pip install
        --no-cache-dir
    """
    found = facts.once(findings).caches
    total = sum(found.values())
    seen = f"{total / 1e6:.1f} MB"
    if total <= CACHE_BYTES:
        return Kept(seen)
    largest = max(found, key=lambda place: found[place])
    return Broken(f"{seen}, such as {largest}")


@clause(IMAGE)
def base_is_not_latest(facts: ImageFacts) -> Outcome:
    """The base image has a digest, or a tag other than latest. The label
    org.opencontainers.image.base.name names it.

    Source: Docker's documentation, "Best practices": pin base image versions; OCI image
        annotations
    Fix: name the base by a version or a digest
    """
    base = facts.labels.get(BASE, "")
    if not base:
        return NotApplicable(f"the image has no label {BASE} that names its base image")
    if "@" in base:
        return Kept(base)
    # the registry before the last / may have a port, which is not a tag
    tag = base.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        return Broken(f"it is {base}")
    return Kept(base)


@clause(IMAGE)
def no_driver_inside(facts: ImageFacts) -> Outcome:
    """NVIDIA's driver is not in the image. The platform mounts the host's driver.

    Source: developer guide, "Use your own training algorithms": don't bundle NVIDIA drivers with
        the image
    Fix: install the CUDA runtime without the driver's packages
    """
    found = facts.once(findings).drivers
    if found:
        return Broken(f"there is {found[0]}")
    return Kept()


@clause(IMAGE)
def cuda_fits_the_driver(facts: ImageFacts) -> Outcome:
    """The image's CUDA is not newer than the CUDA of the driver in the hosts' AMI.

    Source: CreateEndpointConfig, ProductionVariant.InferenceAmiVersion; deep-learning-containers
        issue 4990: CannotStartContainerError without a log
    Fix: choose an AMI with a newer driver, or build on an older CUDA
    """
    newest = _newest_cuda(facts)
    if newest is None:
        return NotApplicable("the image has no CUDA")
    if not facts.ami:
        return NotApplicable(f"the image has CUDA {newest}; name the hosts' AMI by --ami")
    known = AMIS[facts.ami]
    # within one major version a newer runtime works with an older driver
    if int(newest) <= int(known):
        return Kept(f"CUDA {newest}, driver for {known}")
    return Broken(f"the image has CUDA {newest}; the driver of {facts.ami} runs {known}")


def _newest_cuda(facts: ImageFacts) -> float | None:
    """Major and minor version of the image's newest CUDA, such as 12.4; None without CUDA."""
    variables = dict(entry.partition("=")[::2] for entry in facts.environment)
    versions = {variables.get("CUDA_VERSION", "")} - {""}
    if not versions:
        versions = facts.once(findings).cuda
    numbers = [float(".".join(version.split(".")[:2])) for version in versions]
    return max(numbers, default=None)


@clause(IMAGE)
def bill_of_materials(facts: ImageFacts) -> Outcome:
    """A CycloneDX bill of materials names the image by its id and lists its components.

    Source: CISA, "Types of Software Bill of Materials"; Amazon Inspector, SBOM export
    Fix: write a bill of exactly this image and give its folder by --sbom
    """
    if facts.sbom is None:
        return NotApplicable("no folder is given by --sbom")
    image_id = facts.description["Id"]
    for path in sorted(facts.sbom.glob("*.json")):
        count = _components(path, image_id)
        if count is None:
            continue
        if count == 0:
            return Broken(f"{path.name} lists nothing")
        return Kept(f"{path.name}, {count} components")
    return Broken(f"none in '{facts.sbom}' is of {image_id[:19]}")


def _components(path: Path, image_id: str) -> int | None:
    """The number of components in a bill of this image; None where the file is not such a bill."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["bomFormat"] != "CycloneDX":
            return None
        if document["metadata"]["component"]["version"] != image_id:
            return None
        return len(document.get("components", ()))
    except (ValueError, KeyError, TypeError):
        return None
