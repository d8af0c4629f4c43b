"""Manifests in a registry of container images: asked for over HTTP, and put into the form that SageMaker takes.

SageMaker refuses OCI manifests and lists; the same layers under a Docker v2 manifest it takes. A converted manifest changes media
types only: configuration and layers are the same blobs.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launch.errors import LaunchError, Missing

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST, OCI_INDEX = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
ACCEPTED = (DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX)
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIGS = ("application/vnd.oci.image.config.v1+json", DOCKER_CONFIG)
LAYERS = ("application/vnd.oci.image.layer.v1.tar+gzip", DOCKER_LAYER)
LOOPBACK = re.compile(r"^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry keeps it. named: the digest by which the registry knows it, else content's own."""

    content: bytes
    media_type: str
    named: str = ""

    @property
    def digest(self) -> str:
        return self.named or f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def manifest_of(content: bytes, said: str = "", digest: str = "") -> Manifest:
    """A manifest by what it says it is itself, else by what the registry said."""
    return Manifest(
        content, json.loads(content).get("mediaType") or said.partition(";")[0].strip(), digest
    )


def as_docker(manifest: Manifest, fetch: Callable[[str], Manifest]) -> Manifest:
    """The Docker v2 manifest of the same linux/amd64 image. fetch: the manifest of a digest, for lists.

    LaunchError where there is no such image, or a layer is packed in a way that Docker's form cannot name.
    """
    document = json.loads(manifest.content)
    if manifest.media_type == DOCKER_MANIFEST:
        return manifest
    if manifest.media_type in (DOCKER_LIST, OCI_INDEX):
        fitting = [
            entry
            for entry in document["manifests"]
            if (entry.get("platform", {}).get("os"), entry.get("platform", {}).get("architecture"))
            == ("linux", "amd64")
        ]
        if len(fitting) != 1:
            raise LaunchError(
                f"the list of images names {len(fitting)} for linux/amd64, where SageMaker needs one; build with --platform linux/amd64"
            )
        return as_docker(fetch(fitting[0]["digest"]), fetch)
    if manifest.media_type != OCI_MANIFEST:
        raise LaunchError(
            f"a manifest of type '{manifest.media_type}' is no image that SageMaker takes; expected {DOCKER_MANIFEST}"
        )
    strange = [
        entry["mediaType"]
        for entry in [document["config"], *document["layers"]]
        if entry["mediaType"] not in (*CONFIGS, *LAYERS)
    ]
    if strange:
        raise LaunchError(
            f"the image holds '{strange[0]}', which SageMaker does not take; push layers packed by gzip"
        )
    converted = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _entry(document["config"], DOCKER_CONFIG),
        "layers": [_entry(layer, DOCKER_LAYER) for layer in document["layers"]],
    }
    return Manifest(json.dumps(converted, indent=3).encode(), DOCKER_MANIFEST)


class HttpRegistry:
    """Any registry that speaks the distribution API; plain HTTP on loopback, else HTTPS with docker's own logins."""

    def __init__(self, host: str):
        self.host = host
        self.base = f"{'http' if LOOPBACK.match(host) else 'https'}://{host}"
        self._authorization = ""

    def manifest(self, repository: str, reference: str) -> Manifest:
        """By tag or digest. Missing when there is none, LaunchError when the registry does not say."""
        content, headers = self._ask("GET", repository, reference, {"Accept": ", ".join(ACCEPTED)})
        return manifest_of(content, headers.get("Content-Type", ""))

    def put(self, repository: str, tag: str, manifest: Manifest) -> None:
        """Let a tag name this manifest; its blobs must be there."""
        self._ask("PUT", repository, tag, {"Content-Type": manifest.media_type}, manifest.content)

    def _ask(
        self, method: str, repository: str, reference: str, headers: dict, body: bytes | None = None
    ):
        url = f"{self.base}/v2/{repository}/manifests/{reference}"
        for attempt in (1, 2):
            sent = {
                **headers,
                **({"Authorization": self._authorization} if self._authorization else {}),
            }
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, body, sent, method=method), timeout=TIMEOUT_S
                ) as answer:
                    return answer.read(), answer.headers
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise Missing(f"'{self.host}' has no {repository}:{reference}") from error
                if error.code != 401 or attempt == 2:
                    told = error.read(300).decode(errors="replace").strip()
                    raise LaunchError(
                        f"'{self.host}' answered {error.code} for {repository}:{reference}: {told}"
                    ) from error
                self._authorization = self._sign_in(
                    error.headers.get("WWW-Authenticate", ""), repository
                )
            except OSError as error:
                raise LaunchError(f"the registry '{self.host}' does not answer: {error}") from error

    def _sign_in(self, challenge: str, repository: str) -> str:
        """The Authorization header that a 401 asks for, from docker's own logins."""
        basic = docker_login(self.host)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and basic:
            return f"Basic {basic}"
        if scheme.lower() != "bearer":
            raise LaunchError(f"'{self.host}' wants a sign-in; run: docker login {self.host}")
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        query = urllib.parse.urlencode(
            {"service": wanted.get("service", ""), "scope": f"repository:{repository}:pull,push"}
        )
        request = urllib.request.Request(
            f"{wanted.get('realm', '')}?{query}",
            headers={"Authorization": f"Basic {basic}"} if basic else {},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            token = json.load(answer)
        return f"Bearer {token.get('token') or token.get('access_token')}"


def docker_login(host: str) -> str:
    """base64 of user:password that `docker login` keeps for a registry, in its file or its helper; empty without one."""
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return ""
    helper = config.get("credHelpers", {}).get(host) or config.get("credsStore")
    if helper:
        found = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=host,
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode == 0:
            answer = json.loads(found.stdout)
            return base64.b64encode(f"{answer['Username']}:{answer['Secret']}".encode()).decode()
    return config.get("auths", {}).get(host, {}).get("auth", "")


def _entry(entry: dict, media_type: str) -> dict:
    return {"mediaType": media_type, "size": entry["size"], "digest": entry["digest"]}
