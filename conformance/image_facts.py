"""What is known of an image: its description, and what one pass over its layers finds."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.clauses import Shared
from conformance.layers import File, files, taken_away

SECRET_NAMES = re.compile(
    r"(^|/)"
    r"(id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|\.git-credentials|\.aws/credentials"
    r"|\.docker/config\.json|\.npmrc|\.env)$"
)
SECRET_WORDS = re.compile(
    # access keys of AWS, but for those of its documentation
    rb"\b(AKIA|ASIA)[0-9A-Z]{16}\b(?<!EXAMPLE)"
    # tokens of GitHub, GitLab and Hugging Face
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bglpat-[A-Za-z0-9_-]{20}\b|\bhf_[A-Za-z0-9]{34}\b"
    # a whole private key, not only its heading, which programs hold to compare with
    rb"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\r?\n(?:[A-Za-z0-9+/=]{40,}\r?\n){3,}"
    rb"|(?i:aws_secret_access_key\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}\b)"
)
# keys that packages' own tests are published with
PUBLIC = re.compile(
    r"(^|/)(site-packages|dist-packages|python\d[\d.]*|node_modules)/"
    r"(.+/)?(tests?|testing|fixtures)/"
)
CACHES = re.compile(
    r"(^|/)"
    r"(var/lib/apt/lists/(?!lock|partial/?$)|var/cache/apt/.*\.(deb|bin)$|var/cache/(dnf|yum|apk)/"
    r"|\.cache/(pip|uv|conda)/|pkgs/[^/]+\.(conda|tar\.bz2)$"
    r"|\.npm/_cacache/|\.git/objects/)"
)
CUDA = re.compile(r"nvidia_cuda_runtime(?:_cu\d+)?-(\d+\.\d+)|libcudart\.so\.(\d+\.\d+)")
# compat and stubs are parts of CUDA that only look like the driver
DRIVER = re.compile(
    r"^(?!.*(compat|stubs)/)(.*/)?(libcuda\.so\.\d|libnvidia-ml\.so\.\d|bin/nvidia-smi$)"
)


@dataclass
class Findings:
    """What one pass over the layers found. The texts are for the user."""

    secrets: list[str] = field(default_factory=list)
    caches: dict[str, int] = field(default_factory=dict)  # bytes by place
    under_opt_ml: list[str] = field(default_factory=list)
    drivers: list[str] = field(default_factory=list)
    cuda: set[str] = field(default_factory=set)  # versions

    def add(self, file: File) -> None:
        """Look at one entry of a layer; entries come in the order of the layers."""
        self._look_below_opt_ml(file)
        for versions in CUDA.findall(file.path):
            self.cuda.update(version for version in versions if version)
        if not file.is_file or not file.size:
            return
        suspicious = SECRET_NAMES.search(file.path) or SECRET_WORDS.search(file.content)
        if suspicious and not PUBLIC.search(file.path):
            self.secrets.append(f"/{file.path} in layer {file.layer}")
        cache = CACHES.search(file.path)
        if cache:
            self.caches[cache[2]] = self.caches.get(cache[2], 0) + file.size
        if DRIVER.search(file.path):
            self.drivers.append(f"/{file.path}")

    def _look_below_opt_ml(self, file: File) -> None:
        gone = taken_away(file.path)
        if gone is not None:
            self.under_opt_ml = [
                path for path in self.under_opt_ml if not f"{path}/".startswith(f"/{gone}/")
            ]
        elif file.path.startswith("opt/ml/") and not file.is_folder:
            self.under_opt_ml.append(f"/{file.path}")


@dataclass
class ImageFacts:
    """An image and what is known of it.

    description: of `docker image inspect`; ami: of the hosts it is for, "" where unknown; sbom: a
    folder of bills of materials, or None; trains: whether training jobs run it.
    """

    uri: str
    description: dict[str, Any]  # Any: Docker's JSON
    ami: str = ""
    sbom: Path | None = None
    trains: bool = False
    once: "Shared[ImageFacts]" = field(init=False)  # such as once(findings)

    def __post_init__(self) -> None:
        self.once = Shared(self)

    @property
    def config(self) -> dict[str, Any]:
        """Its entrypoint, environment and labels, as Docker names them."""
        config: dict[str, Any] = self.description["Config"]
        return config

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}

    @property
    def environment(self) -> list[str]:
        """Its variables, as NAME=value."""
        return self.config.get("Env") or []


def findings(facts: ImageFacts) -> Findings:
    """What all layers of an image hold."""
    found = Findings()
    for file in files(facts.uri):
        found.add(file)
    return found
