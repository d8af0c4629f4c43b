"""Real registries to push to, on this machine: Debian's docker-registry, and moto's ECR."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launch.aws import RETRIES, session
from runtime.ports import free_port

CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: 'localhost:%d'}
"""
FAKE_DOCKER = """#!{python}
# A docker client that keeps a record, and for which a push is a manifest in moto's ECR.
import json, sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
words = sys.argv[1:]
if words[:2] == ["image", "inspect"]:
    print("linux/amd64" if "Architecture" in " ".join(words) else 1000000)
if words[0] == "login":
    # docker reads the password from stdin, so that no process list shows it.
    assert sys.stdin.read().strip(), "no password"
if words[0] == "push":
    import boto3
    host, _, rest = words[1].partition("/")
    name, _, tag = rest.partition(":")
    config = {{
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "size": 2,
        "digest": "sha256:" + "0" * 64,
    }}
    manifest = {{"schemaVersion": 2, "mediaType": {kind!r}, "config": config, "layers": []}}
    # The region is the fourth part of an ECR's host name.
    boto3.client("ecr", region_name=host.split(".")[3]).put_image(
        repositoryName=name,
        imageTag=tag,
        imageManifest=json.dumps(manifest),
        imageManifestMediaType={kind!r},
    )
"""


def needed(there: object, message: str) -> None:
    """Skip the test where something is missing; with REQUIRE_DOCKER=1 it fails."""
    if there:
        return
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """host:port of a running, empty registry."""
    needed(
        shutil.which("docker-registry"),
        "docker-registry is not installed: the push is not tested "
        "(apt-get install docker-registry)",
    )
    port = free_port()
    config = folder / "config.yml"
    config.write_text(CONFIG % (folder / "data", port))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=log
        )
    try:
        wait_for_registry(port, process, folder / "log")
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for_registry(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait at most 10 s until the registry answers."""
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/v2/", timeout=2).close()
            return
        except OSError:
            # A registry that has ended never answers: its log says why.
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)


def fake_docker(folder: Path, kind: str) -> Path:
    """A program `docker` in a new folder; the file of its record.

    Its pushes are manifests of that media type in ECR.
    """
    folder.mkdir()
    log = folder / "docker.log"
    program = folder / "docker"
    program.write_text(FAKE_DOCKER.format(python=sys.executable, log=str(log), kind=kind))
    program.chmod(0o755)
    return log


@contextmanager
def aws(patch: pytest.MonkeyPatch, region: str = "eu-west-1") -> Iterator[str]:
    """URL of moto's server, empty; boto3 of this process and of its children uses it.

    The credentials are nobody's.
    """
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
    }
    try:
        no_credentials(patch)
        # boto3's session keeps the settings it was made with.
        session.cache_clear()
        # moto answers an operation that it lacks with 500: a retry would only take time.
        patch.setitem(RETRIES, "max_attempts", 1)
        for name, value in environment.items():
            patch.setenv(name, value)
        # moto's state outlives its server: it belongs to the process.
        reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset, timeout=10).close()
        yield url
    finally:
        server.stop()
        session.cache_clear()


def no_credentials(patch: pytest.MonkeyPatch) -> None:
    # Variables alone do not do: botocore also reads files and asks EC2's metadata.
    """Hide this machine's own AWS settings; no host is asked for credentials."""
    session.cache_clear()
    for name in list(os.environ):
        if name.startswith("AWS_"):
            patch.delenv(name)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
