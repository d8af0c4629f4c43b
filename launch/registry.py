"""Manifests in a registry of container images: asked for over HTTP, and converted for SageMaker.

SageMaker refuses OCI manifests and lists, and accepts the same layers under a Docker v2 manifest.
A converted manifest changes media types only: configuration and layers are the same blobs.
Source: Docker's "Image Manifest V 2, Schema 2", and OCI's image and distribution specifications.
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
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any

from artifact.text.json_text import read_json
from artifact.text.names import printable
from launch.errors import LaunchError, Missing

# JSON of a registry; another program writes it.
Document = dict[str, Any]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = (DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX)
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIGS = ("application/vnd.oci.image.config.v1+json", DOCKER_CONFIG)
LAYERS = ("application/vnd.oci.image.layer.v1.tar+gzip", DOCKER_LAYER)
# Docker, too, speaks plain HTTP with a registry on loopback only.
LOOPBACK = re.compile(r"^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$")
TIMEOUT_S = 60
# Bytes of a manifest or a token that are read; Docker's own bound for a manifest.
LARGEST_ANSWER = 4 * 1024**2
# Names a host beside the registry's own that may be asked for a token, such as auth.docker.io.
TOKEN_HOST = "REGISTRY_TOKEN_HOST"


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry keeps it. named: the registry's own digest of it, if known."""

    content: bytes
    media_type: str
    named: str = ""

    @property
    def digest(self) -> str:
        return self.named or f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def manifest_of(content: bytes, header: str = "", digest: str = "") -> Manifest:
    """A manifest with the media type in its content, else with that of the registry's header."""
    media_type = read_json(content).get("mediaType") or header.partition(";")[0].strip()
    return Manifest(content, media_type, digest)


def as_docker(manifest: Manifest, fetch: Callable[[str], Manifest]) -> Manifest:
    """The Docker v2 manifest of the same linux/amd64 image.

    fetch: the manifest of a digest; a list needs it. LaunchError without such an image,
    or where Docker's form has no name for the compression of a layer.
    """
    if manifest.media_type == DOCKER_MANIFEST:
        return manifest
    document: Document = read_json(manifest.content)
    if manifest.media_type in (DOCKER_LIST, OCI_INDEX):
        return as_docker(fetch(digest_for_sagemaker(document)), fetch)
    if manifest.media_type != OCI_MANIFEST:
        raise LaunchError(
            f"a manifest of type '{manifest.media_type}' is not an image that SageMaker takes; "
            f"expected {DOCKER_MANIFEST}"
        )
    for entry in [document["config"], *document["layers"]]:
        if entry["mediaType"] not in (*CONFIGS, *LAYERS):
            raise LaunchError(
                f"the image holds '{entry['mediaType']}', which SageMaker does not take; "
                "push layers packed by gzip"
            )
    converted = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _entry(document["config"], DOCKER_CONFIG),
        "layers": [_entry(layer, DOCKER_LAYER) for layer in document["layers"]],
    }
    # Docker writes its own manifests with this indentation, too.
    return Manifest(json.dumps(converted, indent=3).encode(), DOCKER_MANIFEST)


def digest_for_sagemaker(images: Document) -> str:
    """The digest of a list's one linux/amd64 image. LaunchError for none or several."""
    fitting = []
    for entry in images["manifests"]:
        platform = entry.get("platform", {})
        if platform.get("os") == "linux" and platform.get("architecture") == "amd64":
            fitting.append(str(entry["digest"]))
    if len(fitting) != 1:
        raise LaunchError(
            f"the list of images names {len(fitting)} for linux/amd64, "
            "where SageMaker needs one; build with --platform linux/amd64"
        )
    return fitting[0]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: urllib would send the sign-in along to whatever host it names."""

    def redirect_request(self, *_: object) -> None:
        return None


def ask(request: urllib.request.Request) -> tuple[bytes, Message]:
    """Body and headers of an answer. OSError; LaunchError for more than any manifest or token."""
    opener = urllib.request.build_opener(NoRedirect)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        body = answer.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER:
            raise LaunchError(
                f"'{request.host}' answered with more than {LARGEST_ANSWER // 1024**2} MB"
            )
        return body, answer.headers


class Unauthorized(LaunchError):
    """The registry wants a sign-in. challenge: its header WWW-Authenticate."""

    def __init__(self, text: str, challenge: str):
        super().__init__(text)
        self.challenge = challenge


class HttpRegistry:
    """Any registry with the distribution API.

    It is asked by plain HTTP on loopback, else by HTTPS with docker's own logins.
    """

    def __init__(self, host: str):
        self.host = host
        scheme = "https"
        if LOOPBACK.match(host):
            scheme = "http"
        self.base = f"{scheme}://{host}"
        self._authorization = ""

    def manifest(self, repository: str, reference: str) -> Manifest:
        """By tag or digest. Missing when there is none, LaunchError for other answers."""
        content, headers = self._ask("GET", repository, reference, {"Accept": ", ".join(ACCEPTED)})
        return manifest_of(content, headers.get("Content-Type", ""))

    def put(self, repository: str, tag: str, manifest: Manifest) -> None:
        """Let a tag name this manifest; its blobs must be there."""
        self._ask("PUT", repository, tag, {"Content-Type": manifest.media_type}, manifest.content)

    def _ask(
        self,
        method: str,
        repository: str,
        reference: str,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> tuple[bytes, Message]:
        """Body and headers of the answer. A first 401 is answered with a sign-in."""
        url = f"{self.base}/v2/{repository}/manifests/{reference}"
        name = f"{repository}:{reference}"
        try:
            return self._send(method, url, headers, body, name)
        except Unauthorized as error:
            self._authorization = self._sign_in(error.challenge, repository)
        return self._send(method, url, headers, body, name)

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, name: str
    ) -> tuple[bytes, Message]:
        """One request. name: the image's, for error sentences."""
        sent = dict(headers)
        if self._authorization:
            sent["Authorization"] = self._authorization
        request = urllib.request.Request(url, body, sent, method=method)
        try:
            return ask(request)
        except urllib.error.HTTPError as error:
            # The error holds the open connection.
            with error:
                text = error.read(300).decode(errors="replace").strip()
            if error.code == 404:
                raise Missing(f"'{self.host}' has no {name}") from error
            refusal = f"'{self.host}' answered {error.code} for {name}: {text}"
            if error.code == 401:
                raise Unauthorized(refusal, error.headers.get("WWW-Authenticate", "")) from error
            raise LaunchError(refusal) from error
        except OSError as error:
            raise LaunchError(f"the registry '{self.host}' does not answer: {error}") from error

    def _sign_in(self, challenge: str, repository: str) -> str:
        """The Authorization header that a 401 asks for, from docker's own logins.

        challenge: the answer's WWW-Authenticate, of the scheme Basic or Bearer.
        """
        # Source: the registry's documentation, "Token Authentication".
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
        realm = wanted.get("realm", "")
        check_realm(realm, self.host)
        request = urllib.request.Request(f"{realm}?{query}")
        if basic:
            request.add_header("Authorization", f"Basic {basic}")
        try:
            token = read_json(ask(request)[0])
            return f"Bearer {token.get('token') or token['access_token']}"
        except (OSError, HTTPException, ValueError, KeyError, AttributeError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the open connection
            shown = printable(realm)
            raise LaunchError(f"'{shown}' gave no token for '{self.host}': {error!r}") from error


def check_realm(realm: str, host: str) -> None:
    """LaunchError unless a registry's token comes from itself or from the declared host, by https.

    Whoever answers for a registry writes the realm, and this machine asks it with docker's login.
    """
    try:
        parts = urllib.parse.urlsplit(realm)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    trusted = {host.lower(), os.environ.get(TOKEN_HOST, "").lower()}
    secure = parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.match(parts.netloc))
    # The whole of it is compared: a user's name, another port or an empty host are not the same.
    if not secure or not parts.netloc or parts.netloc.lower() not in trusted:
        raise LaunchError(
            f"'{host}' wants a sign-in at '{printable(realm)}', which is neither its own https "
            f"address nor one at the host that {TOKEN_HOST} names; nothing was sent there"
        )


def docker_login(host: str) -> str:
    """base64 of user:password that `docker login` or `podman login` keeps; empty without one.

    Both keep it in a file, or in a helper program.
    """
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    podman = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere") / "containers" / "auth.json"
    podmans_own = Path(os.environ.get("REGISTRY_AUTH_FILE") or podman)
    return _login_in(docker, host) or _login_in(podmans_own, host)


def _login_in(path: Path, host: str) -> str:
    """The login of a registry in such a file, or that of its helper program."""
    try:
        config: Document = read_json(path.read_text(encoding="utf-8"))
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
            answer = read_json(found.stdout)
            return base64.b64encode(f"{answer['Username']}:{answer['Secret']}".encode()).decode()
    # A helper without this registry's login fails; the file may still have it.
    return str(config.get("auths", {}).get(host, {}).get("auth", ""))


def _entry(entry: Document, media_type: str) -> Document:
    return {"mediaType": media_type, "size": entry["size"], "digest": entry["digest"]}
