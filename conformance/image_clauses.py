"""Clauses on an image by itself: what it is, what it says of itself, and what was left in its layers."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from conformance import layers
from conformance.clauses import IMAGE, Broken, Kept, NotApplicable, Outcome, Shared, clause
from conformance.limits import IMAGE_BYTES
from runtime import docker

CAPABILITIES = "com.amazonaws.sagemaker.capabilities."
KNOWN = ("accept-bind-to-port", "multi-models", "bidirectional-streaming")
DOCKER_MANIFESTS = ("application/vnd.docker.distribution.manifest.v2+json",)
BASE = "org.opencontainers.image.base.name"
INITS = re.compile(r"(^|/)(tini|tini-static|dumb-init|catatonit)$")
SHELL_FORM = (["/bin/sh", "-c"], ["/bin/bash", "-c"], ["sh", "-c"], ["bash", "-c"])
SECRET_NAMES = re.compile(
    r"(^|/)(id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|\.git-credentials|\.aws/credentials|\.docker/config\.json|\.npmrc|\.env)$"
)
SECRET_WORDS = re.compile(
    rb"\b(AKIA|ASIA)[0-9A-Z]{16}\b(?<!EXAMPLE)|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bglpat-[A-Za-z0-9_-]{20}\b|\bhf_[A-Za-z0-9]{34}\b"
    rb"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\r?\n(?:[A-Za-z0-9+/=]{40,}\r?\n){3,}"
    rb"|(?i:aws_secret_access_key\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}\b)"
)
PUBLIC = re.compile(
    r"(^|/)(site-packages|dist-packages|python\d[\d.]*|node_modules)/(.+/)?(tests?|testing|fixtures)/"
)  # keys of packages' own tests
SECRET_VARIABLES = re.compile(
    r"(?i)\b\w*(secret|password|passwd|token(?!i[sz]|s)|api_?key|credential)\w*=(?![\"']?[$/])\S{6,}|://[^/\s:@]+:[^/\s@$]+@"
)
CACHES = re.compile(
    r"(^|/)(var/lib/apt/lists/(?!lock|partial/?$)|var/cache/apt/.*\.(deb|bin)$|var/cache/(dnf|yum|apk)/"
    r"|\.cache/(pip|uv|conda)/|pkgs/[^/]+\.(conda|tar\.bz2)$"
    r"|\.npm/_cacache/|\.git/objects/)"
)
CACHE_BYTES = 1_000_000
CUDA = re.compile(r"nvidia_cuda_runtime(?:_cu\d+)?-(\d+\.\d+)|libcudart\.so\.(\d+\.\d+)")
DRIVER = re.compile(
    r"(^|/)(?!.*(compat|stubs)/)(libcuda\.so\.\d|libnvidia-ml\.so\.\d|bin/nvidia-smi$)"
)
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


@dataclass
class ImageFacts:
    """An image's description by `docker image inspect`. ami: of the hosts it is for, "" if unknown; sbom: a folder of bills of materials, or None.

    trains: whether training jobs run it.
    """

    uri: str
    description: dict
    ami: str = ""
    sbom: Path | None = None
    trains: bool = False
    once: Shared = field(init=False)

    def __post_init__(self):
        self.once = Shared(self)

    @property
    def config(self) -> dict:
        return self.description["Config"]

    @property
    def labels(self) -> dict[str, str]:
        return self.config.get("Labels") or {}


@dataclass(frozen=True)
class Findings:
    """What one pass over the layers found: texts to be shown."""

    secrets: list[str]
    caches: dict[str, int]
    under_opt_ml: list[str]
    drivers: list[str]
    cuda: set[str]


def looked_through(facts: ImageFacts) -> Findings:
    """All layers of an image."""
    found = Findings([], {}, [], [], set())
    for file in layers.files(facts.uri):
        if (gone := layers.taken_away(file.path)) is not None:
            found.under_opt_ml[:] = [
                path for path in found.under_opt_ml if not f"{path}/".startswith(f"/{gone}/")
            ]
        elif file.path.startswith("opt/ml/") and not file.is_folder:
            found.under_opt_ml.append(f"/{file.path}")
        found.cuda.update(
            version for groups in CUDA.findall(file.path) for version in groups if version
        )
        if not file.is_file or not file.size:
            continue
        if (
            SECRET_NAMES.search(file.path) or SECRET_WORDS.search(file.content)
        ) and not PUBLIC.search(file.path):
            found.secrets.append(f"/{file.path} in layer {file.layer}")
        if match := CACHES.search(file.path):
            found.caches[match[2]] = found.caches.get(match[2], 0) + file.size
        if DRIVER.search(file.path):
            found.drivers.append(f"/{file.path}")
    return found


@clause(IMAGE)
def manifest_type(facts: ImageFacts) -> Outcome:
    """What a push makes of the image is a Docker manifest of schema 2, of linux/amd64 or, to serve alone, linux/arm64: OCI manifests and indexes are refused.

    Source: amazon-sagemaker-feedback issue 180; mlflow issue 13834; moby/buildkit issue 5480; ProductionVariant, InstanceType: ml.c7g and others
    Fix: build with docker buildx build --platform linux/amd64 --provenance=false --sbom=false --output type=docker
    """
    platform = f"{facts.description.get('Os')}/{facts.description.get('Architecture')}"
    if platform not in ("linux/amd64", *(() if facts.trains else ("linux/arm64",))):
        return Broken(f"it is for {platform}")
    kind = (facts.description.get("Descriptor") or {}).get("mediaType")
    return (
        Kept(kind or "the engine's own store pushes schema 2")
        if kind is None or kind in DOCKER_MANIFESTS
        else Broken(f"it is {kind}")
    )


@clause(IMAGE)
def size_under_10_gb(facts: ImageFacts) -> Outcome:
    """The image has at most 10 GB.

    Source: developer guide, "Amazon SageMaker Serverless Inference": container images of up to 10 GB
    Fix: build in stages, without compilers and caches in the last one
    """
    size = facts.description["Size"]
    return Kept(f"{size / 1e9:.2f} GB") if size <= IMAGE_BYTES else Broken(f"{size / 1e9:.2f} GB")


@clause(IMAGE)
def capability_labels(facts: ImageFacts) -> Outcome:
    """Labels under com.amazonaws.sagemaker.capabilities are ones that the platform knows, and say true.

    Source: developer guide, "Run real-time predictions with an inference pipeline"; "Custom containers contract for multi-model endpoints"
    Fix: spell the label as the platform does, with the value true, or take it away
    """
    found = {
        name.removeprefix(CAPABILITIES): value
        for name, value in facts.labels.items()
        if name.startswith(CAPABILITIES)
    }
    wrong = [
        f"{name}={value}" for name, value in found.items() if name not in KNOWN or value != "true"
    ]
    return Broken(", ".join(wrong)) if wrong else Kept(", ".join(sorted(found)) or "none")


@clause(IMAGE)
def exec_form_entrypoint(facts: ImageFacts) -> Outcome:
    """ENTRYPOINT is in exec form, so that SIGTERM reaches the program, and `train` or `serve` too.

    Source: developer guide, "How Amazon SageMaker runs your training image"; "… your inference image": use the exec form
    Fix: write ENTRYPOINT ["program", "argument"], not ENTRYPOINT program
    """
    entrypoint = facts.config.get("Entrypoint") or []
    return (
        Broken(f"it is {json.dumps(entrypoint)}")
        if entrypoint[:2] in SHELL_FORM
        else Kept(json.dumps(entrypoint) if entrypoint else "none")
    )


@clause(IMAGE)
def no_init_as_entrypoint(facts: ImageFacts) -> Outcome:
    """The entrypoint is no tini or the like.

    Source: developer guide, "How Amazon SageMaker runs your training image": tini gets confused by the train and serve arguments
    Fix: make the program itself the entrypoint, and let it reap its children
    """
    first = (facts.config.get("Entrypoint") or [""])[0]
    return Broken(f"it is {first}") if INITS.search(first) else Kept()


@clause(IMAGE)
def nothing_under_opt_ml(facts: ImageFacts) -> Outcome:
    """No file is put below /opt/ml: the platform mounts over it.

    Source: developer guide, "Use your own training algorithms": /opt/ml and all its subdirectories are reserved
    Fix: put code and weights elsewhere, such as /opt/program
    """
    found = facts.once(looked_through).under_opt_ml
    return Broken(f"there is {found[-1]}") if found else Kept()


@clause(IMAGE)
def no_secrets_in_layers(facts: ImageFacts) -> Outcome:
    """No layer holds a private key, a password file or an access key, not even one that a later layer hides.

    Source: AWS Well-Architected, SEC02-BP03: store and use secrets securely; CWE-538
    Fix: revoke it, then build without it: RUN --mount=type=secret, and .dockerignore
    """
    found = facts.once(looked_through).secrets
    return (
        Broken(f"{found[0]}" + (f" and {len(found) - 1} more" if found[1:] else ""))
        if found
        else Kept()
    )


@clause(IMAGE)
def no_secrets_in_the_history(facts: ImageFacts) -> Outcome:
    """Neither the environment nor a build's commands and arguments hold a password or a token.

    Source: Docker's documentation, "Build secrets": build arguments and environment variables persist in the image
    Fix: revoke it, then give it by RUN --mount=type=secret, not by ARG or ENV
    """
    commands = docker.image_history(facts.uri)
    for text in (*facts.config.get("Env", ()), *commands):
        if match := SECRET_VARIABLES.search(text):
            return Broken(f"there is {match[0].partition('=')[0][:60]}=…")
    return Kept()


@clause(IMAGE)
def no_caches_in_layers(facts: ImageFacts) -> Outcome:
    """No layer holds package lists, downloaded packages or a repository: 1 MB of them at most.

    Source: Docker's documentation, "Best practices": apt-get; size is start-up time
    Fix: remove them in the same RUN that makes them: rm -rf /var/lib/apt/lists/*; pip install --no-cache-dir
    """
    found = facts.once(looked_through).caches
    total = sum(found.values())
    return (
        Kept(f"{total / 1e6:.1f} MB")
        if total <= CACHE_BYTES
        else Broken(f"{total / 1e6:.1f} MB, such as {max(found, key=found.get)}")
    )


@clause(IMAGE)
def base_is_not_latest(facts: ImageFacts) -> Outcome:
    """The base image that the label org.opencontainers.image.base.name names has a tag other than latest, or a digest.

    Source: Docker's documentation, "Best practices": pin base image versions; OCI image annotations
    Fix: name the base by a version or a digest
    """
    if not (base := facts.labels.get(BASE, "")):
        return NotApplicable(f"the image does not say what it stands on, by the label {BASE}")
    tag = base.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return Kept(base) if "@" in base or tag not in ("", "latest") else Broken(f"it is {base}")


@clause(IMAGE)
def no_driver_inside(facts: ImageFacts) -> Outcome:
    """NVIDIA's driver is not in the image: the host's is mounted.

    Source: developer guide, "Use your own training algorithms": don't bundle NVIDIA drivers with the image
    Fix: install the CUDA runtime without the driver's packages
    """
    found = facts.once(looked_through).drivers
    return Broken(f"there is {found[0]}") if found else Kept()


@clause(IMAGE)
def cuda_fits_the_driver(facts: ImageFacts) -> Outcome:
    """The image's CUDA is no newer than the driver of the hosts' AMI runs.

    Source: CreateEndpointConfig, ProductionVariant.InferenceAmiVersion; deep-learning-containers issue 4990: CannotStartContainerError without a log
    Fix: choose an AMI with a newer driver, or build on an older CUDA
    """
    variables = dict(entry.partition("=")[::2] for entry in facts.config.get("Env", ()))
    versions = (
        {variables["CUDA_VERSION"]}
        if variables.get("CUDA_VERSION")
        else facts.once(looked_through).cuda
    )
    if not versions:
        return NotApplicable("the image has no CUDA")
    newest = max(float(".".join(version.split(".")[:2])) for version in versions)
    if not facts.ami:
        return NotApplicable(f"the image has CUDA {newest}; name the hosts' AMI by --ami")
    known = AMIS[facts.ami]
    # within one major version a newer runtime goes with an older driver
    if int(newest) <= int(known):
        return Kept(f"CUDA {newest}, driver for {known}")
    return Broken(f"the image has CUDA {newest}; the driver of {facts.ami} runs {known}")


@clause(IMAGE)
def bill_of_materials(facts: ImageFacts) -> Outcome:
    """There is a CycloneDX bill of materials that names the image by its id and lists what is in it.

    Source: CISA, "Types of Software Bill of Materials"; Amazon Inspector, SBOM export
    Fix: write one of this very image and give its folder by --sbom
    """
    if facts.sbom is None:
        return NotApplicable("no folder is given by --sbom")
    for path in sorted(facts.sbom.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if (
                document["bomFormat"] == "CycloneDX"
                and document["metadata"]["component"]["version"] == facts.description["Id"]
            ):
                count = len(document.get("components", ()))
                return (
                    Kept(f"{path.name}, {count} components")
                    if count
                    else Broken(f"{path.name} lists nothing")
                )
        except (ValueError, KeyError, TypeError):
            continue
    return Broken(f"none in '{facts.sbom}' is of {facts.description['Id'][:19]}")
