"""python -m launch.ecr: a registry's part of build_and_push.sh. For ECR by boto3, without AWS CLI.

registry                    the host of this account's ECR in this region
password                    a password for `docker login --username AWS`
repository HOST NAME        make the repository if it is really missing; prints its tag mutability
digest HOST/NAME:TAG        the digest URI of the image of that tag; exit code 3 when there is none
publish NAME HOST/NAME:TAG  make sure that the tag names a Docker v2 manifest, write its digest URI
                            to --out, print it
"""

import argparse
import base64
import json
import re
import sys
from pathlib import Path

from artifact.text.json_text import read_json
from artifact.text.names import printable
from launch.aws import Request, account_of, aws_location, client, find_region
from launch.errors import LaunchError, Missing, code_of, message_of, sentence
from launch.image_facts import facts_in, note
from launch.registry import (
    ACCEPTED,
    DOCKER_MANIFEST,
    HttpRegistry,
    Manifest,
    as_docker,
    manifest_of,
)
from recipes.command_line import CommandLine

# Groups: account and region. ECR also has dual-stack (dkr-ecr) and FIPS hosts.
ECR_HOST = re.compile(r"^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.")
# Exit codes.
FINE = 0
FAILED = 1
MISSING = 3


class Ecr:
    """One account's registry in one region, through boto3."""

    def __init__(self, host: str):
        found = ECR_HOST.match(host)
        if not found:
            raise LaunchError(f"'{host}' is not a host of ECR")
        self.account = found[1]
        self.client = client("ecr", region=found[2])

    def ensure(self, name: str, immutable: bool) -> str:
        """Make a repository if it is really missing, scanned on push. Its tag mutability."""
        try:
            return self._mutability(name)
        except self.client.exceptions.RepositoryNotFoundException:
            # Any other error, such as a refusal to look, is raised.
            pass
        mutability = "MUTABLE"
        if immutable:
            mutability = "IMMUTABLE"
        try:
            self.client.create_repository(**repository_request(name, mutability))
        except self.client.exceptions.RepositoryAlreadyExistsException:
            # Another push has made it since.
            return self.ensure(name, immutable)
        return mutability

    def _mutability(self, name: str) -> str:
        answer = self.client.describe_repositories(registryId=self.account, repositoryNames=[name])
        return str(answer["repositories"][0]["imageTagMutability"])

    def password(self) -> str:
        answer = self.client.get_authorization_token()
        token = answer["authorizationData"][0]["authorizationToken"]
        # The token is base64 of AWS:password.
        return base64.b64decode(token).decode().partition(":")[2]

    def manifest(self, repository: str, reference: str) -> Manifest:
        """By tag or digest. Missing when there is none."""
        try:
            answer = self.client.batch_get_image(
                registryId=self.account,
                repositoryName=repository,
                imageIds=[image_id(reference)],
                acceptedMediaTypes=list(ACCEPTED),
            )
        except self.client.exceptions.RepositoryNotFoundException as error:
            raise Missing(message_of(error)) from error
        if not answer["images"]:
            failure = (answer.get("failures") or [{}])[0]
            code = failure.get("failureCode")
            # ECR lists an unknown tag as a failure, not as an error.
            if code in (None, "ImageNotFound"):
                raise Missing(f"ECR has no {repository}:{reference} in this region")
            raise LaunchError(
                f"ECR answers for {repository}:{reference}: {code}: {failure.get('failureReason')}"
            )
        found = answer["images"][0]
        return manifest_of(
            found["imageManifest"].encode(),
            found.get("imageManifestMediaType") or "",
            found["imageId"].get("imageDigest", ""),
        )

    def put(self, repository: str, tag: str, manifest: Manifest) -> None:
        """Let a tag name this manifest; its blobs must be there. LaunchError for fixed tags."""
        try:
            self.client.put_image(
                registryId=self.account,
                repositoryName=repository,
                imageTag=tag,
                imageManifest=manifest.content.decode(),
                imageManifestMediaType=manifest.media_type,
            )
        except self.client.exceptions.ImageTagAlreadyExistsException as error:
            raise LaunchError(
                f"{repository}:{tag} is an OCI image, which SageMaker refuses, and tags of this "
                "repository may not move; push a new commit with DOCKER_BUILDKIT=0, "
                "or from an engine without the containerd image store"
            ) from error


def image_id(reference: str) -> dict[str, str]:
    """ECR's ImageIdentifier of a tag or a digest."""
    if reference.startswith("sha256:"):
        return {"imageDigest": reference}
    return {"imageTag": reference}


def repository_request(name: str, mutability: str) -> Request:
    """CreateRepository: scanned on push, encrypted by ECR."""
    return {
        "repositoryName": name,
        "imageTagMutability": mutability,
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "slipway", "Value": name}],
    }


def registry_of(host: str) -> Ecr | HttpRegistry:
    if ECR_HOST.match(host):
        return Ecr(host)
    return HttpRegistry(host)


def split_uri(uri: str) -> tuple[str, str, str]:
    """HOST/NAME:TAG or HOST/NAME@DIGEST in its three parts. LaunchError for anything else."""
    found = re.match(r"^([^/]+)/([^@]+?)(?::([\w][\w.-]*)|@(sha256:[0-9a-f]{64}))$", uri)
    if not found:
        raise LaunchError(f"'{uri}' is not an image: expected HOST/NAME:TAG or HOST/NAME@sha256:…")
    return found[1], found[2], found[3] or found[4]


def published(uri: str) -> str:
    """The digest URI of a pushed tag.

    The tag names a Docker v2 manifest when this returns: an OCI one is converted.
    """
    host, name, tag = split_uri(uri)
    registry = registry_of(host)
    manifest = registry.manifest(name, tag)
    if manifest.media_type != DOCKER_MANIFEST:
        print(
            f"push: the engine pushed '{manifest.media_type}'; "
            "putting the same layers under a Docker v2 manifest",
            file=sys.stderr,
        )
        registry.put(name, tag, as_docker(manifest, lambda digest: registry.manifest(name, digest)))
        manifest = registry.manifest(name, tag)
    if manifest.media_type != DOCKER_MANIFEST:
        raise LaunchError(
            f"the registry keeps {name}:{tag} as '{manifest.media_type}', "
            f"which SageMaker refuses; expected {DOCKER_MANIFEST}"
        )
    return f"{host}/{name}@{manifest.digest}"


def record(file: Path, name: str, uri: str) -> None:
    """Write one image's digest URI into the file of all images."""
    # Loads numpy and Pillow, which the other commands do without.
    from artifact.model import write_atomically

    try:
        images = read_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        images = {}
    images[name] = uri
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(images, indent=2, sort_keys=True).encode() + b"\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0, 1 with a sentence on stderr, or 3 when `digest` finds nothing."""
    options = _parse(arguments)
    try:
        print(_answer(options))
    except Missing as error:
        print(f"push: {printable(error)}", file=sys.stderr)
        return MISSING
    except Exception as error:  # botocore's errors have no common parent
        text = sentence(error)
        code = code_of(error)
        if code:
            text += f" ({code})"
        print(f"push: failed: {printable(text)}", file=sys.stderr)
        return FAILED
    return FINE


def _answer(options: argparse.Namespace) -> str:
    """The line that a command prints."""
    if options.command == "registry":
        region = find_region()
        return aws_location(region, account_of(region)).ecr_host()
    if options.command == "password":
        return Ecr(options.host).password()
    if options.command == "repository":
        return Ecr(options.host).ensure(options.name, options.immutable)
    if options.command == "digest":
        host, name, tag = split_uri(options.uri)
        return f"{host}/{name}@{registry_of(host).manifest(name, tag).digest}"
    uri = published(options.uri)
    record(options.out, options.name, uri)
    note(options.out, uri, facts_in(options.facts))
    return uri


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="launch.ecr", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("registry")
    commands.add_parser("password").add_argument("host")
    repository = commands.add_parser("repository")
    repository.add_argument("host")
    repository.add_argument("name")
    repository.add_argument("--immutable", action="store_true")
    commands.add_parser("digest").add_argument("uri")
    publish = commands.add_parser("publish")
    publish.add_argument("name")
    publish.add_argument("uri")
    publish.add_argument("--out", type=Path, required=True)
    publish.add_argument("--facts", default="", help="ARCHITECTURE|CUDA|GPUS of the image")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
