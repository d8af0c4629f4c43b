"""The registry's part of a push: ECR's answers, the file of images, exit codes."""

import json

import pytest
from botocore.stub import Stubber

from launch import ecr
from launch.ecr import Ecr, image_id, main, published, record, registry_of, split_uri
from launch.errors import LaunchError, Missing
from launch.registry import ACCEPTED, DOCKER_MANIFEST, OCI_MANIFEST, HttpRegistry, Manifest
from tests.support.registries import no_credentials

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:" + "a" * 64
WANTED = {
    "registryId": "123456789012",
    "repositoryName": "tiny",
    "imageIds": [{"imageTag": "1"}],
    "acceptedMediaTypes": list(ACCEPTED),
}


@pytest.fixture
def registry(monkeypatch) -> Ecr:
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Ecr(HOST)


@pytest.mark.parametrize(
    "host, region",
    [
        (HOST, "eu-west-1"),
        ("123456789012.dkr-ecr.eu-west-2.on.aws", "eu-west-2"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1"),
    ],
)
def test_hosts_of_ecr(registry, host, region):
    found = registry_of(host)
    assert isinstance(found, Ecr)
    assert found.account == "123456789012"
    assert found.client.meta.region_name == region


def test_other_hosts_are_asked_over_http():
    assert isinstance(registry_of("localhost:5000"), HttpRegistry)
    with pytest.raises(LaunchError, match="'localhost:5000' is not a host of ECR"):
        Ecr("localhost:5000")


def test_a_manifest_is_asked_for_by_tag(registry):
    image = {
        "imageManifest": "{}",
        "imageManifestMediaType": OCI_MANIFEST,
        "imageId": {"imageDigest": DIGEST},
    }
    with Stubber(registry.client) as answers:
        answers.add_response("batch_get_image", {"images": [image]}, WANTED)
        assert registry.manifest("tiny", "1") == Manifest(b"{}", OCI_MANIFEST, DIGEST)
        answers.add_response(
            "batch_get_image", {"images": [{"imageManifest": "{}", "imageId": {}}]}
        )
        assert registry.manifest("tiny", "1") == Manifest(b"{}", "")


@pytest.mark.parametrize(
    "answer, error, expected",
    [
        ({"images": []}, Missing, "ECR has no tiny:1 in this region"),
        ({"images": [], "failures": []}, Missing, "ECR has no tiny:1 in this region"),
        (
            {"images": [], "failures": [{"failureCode": "ImageNotFound"}]},
            Missing,
            "ECR has no tiny:1 in this region",
        ),
        (
            {"images": [], "failures": [{"failureCode": "KmsError", "failureReason": "no key"}]},
            LaunchError,
            "ECR answers for tiny:1: KmsError: no key",
        ),
    ],
)
def test_answers_without_an_image(registry, answer, error, expected):
    with Stubber(registry.client) as answers:
        answers.add_response("batch_get_image", answer)
        with pytest.raises(error, match=expected) as caught:
            registry.manifest("tiny", "1")
    assert type(caught.value) is error


def test_an_unknown_repository_is_missing(registry):
    with Stubber(registry.client) as answers:
        answers.add_client_error("batch_get_image", "RepositoryNotFoundException", "no tiny")
        with pytest.raises(Missing, match="no tiny"):
            registry.manifest("tiny", "1")


def test_a_tag_that_may_not_move_is_an_error(registry):
    wanted = {
        "registryId": "123456789012",
        "repositoryName": "tiny",
        "imageTag": "1",
        "imageManifest": "{}",
        "imageManifestMediaType": DOCKER_MANIFEST,
    }
    with Stubber(registry.client) as answers:
        answers.add_response("put_image", {}, wanted)
        registry.put("tiny", "1", Manifest(b"{}", DOCKER_MANIFEST))
        answers.add_client_error("put_image", "ImageTagAlreadyExistsException")
        with pytest.raises(LaunchError, match="tiny:1 is an OCI image, .* may not move"):
            registry.put("tiny", "1", Manifest(b"{}", DOCKER_MANIFEST))


def test_a_repository_that_another_push_made_meanwhile(registry):
    found = {"repositories": [{"imageTagMutability": "MUTABLE"}]}
    wanted = {"registryId": "123456789012", "repositoryNames": ["tiny"]}
    with Stubber(registry.client) as answers:
        answers.add_client_error("describe_repositories", "RepositoryNotFoundException")
        answers.add_client_error("create_repository", "RepositoryAlreadyExistsException")
        answers.add_response("describe_repositories", found, wanted)
        assert registry.ensure("tiny", immutable=True) == "MUTABLE"
        answers.assert_no_pending_responses()


def test_the_password_is_the_tokens_second_part(registry):
    token = {"authorizationData": [{"authorizationToken": "QVdTOmE6Yg=="}]}  # AWS:a:b
    with Stubber(registry.client) as answers:
        answers.add_response("get_authorization_token", token)
        assert registry.password() == "a:b"


def test_repositories_are_scanned_on_push():
    assert ecr.repository_request("tiny", "MUTABLE") == {
        "repositoryName": "tiny",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "tags": [{"Key": "slipway", "Value": "tiny"}],
    }


def test_images_are_named_by_tag_or_digest():
    assert image_id("1") == {"imageTag": "1"}
    assert image_id(DIGEST) == {"imageDigest": DIGEST}
    assert split_uri("localhost:1/a/b:1.0") == ("localhost:1", "a/b", "1.0")
    assert split_uri(f"h/a@{DIGEST}") == ("h", "a", DIGEST)
    for wrong in ("a", "h/a", "h/a@sha256:1", f"h/a@{DIGEST}0"):
        with pytest.raises(LaunchError, match="is not an image: expected HOST/NAME:TAG"):
            split_uri(wrong)


class Kept:
    """A registry with one manifest, which it keeps with this media type whatever is put."""

    def __init__(self, *kinds: str):
        self.kinds = list(kinds)
        self.put_types: list[str] = []

    def manifest(self, name: str, reference: str) -> Manifest:
        document = {"config": {"mediaType": DOCKER_MANIFEST}, "layers": []}
        if self.kinds[0] == OCI_MANIFEST:
            kind = "application/vnd.oci.image.config.v1+json"
            document["config"] = {"mediaType": kind, "size": 1, "digest": "d"}
        return Manifest(json.dumps(document).encode(), self.kinds.pop(0), DIGEST)

    def put(self, name: str, tag: str, manifest: Manifest) -> None:
        self.put_types.append(manifest.media_type)


@pytest.mark.parametrize(
    "kinds, put_types",
    [([DOCKER_MANIFEST], []), ([OCI_MANIFEST, DOCKER_MANIFEST], [DOCKER_MANIFEST])],
)
def test_only_other_manifests_are_converted(monkeypatch, capsys, kinds, put_types):
    kept = Kept(*kinds)
    monkeypatch.setattr(ecr, "registry_of", lambda host: kept)
    assert published("h/a:1") == f"h/a@{DIGEST}"
    assert kept.put_types == put_types
    assert bool(capsys.readouterr().err) is bool(put_types)


def test_a_registry_that_keeps_its_own_form_is_an_error(monkeypatch):
    monkeypatch.setattr(ecr, "registry_of", lambda host: Kept(OCI_MANIFEST, OCI_MANIFEST))
    with pytest.raises(LaunchError, match="keeps a:1 as '.*oci.*', which SageMaker refuses"):
        published("h/a:1")


def test_the_file_of_images_keeps_the_others(tmp_path):
    file = tmp_path / "out/images.json"
    record(file, "b", "h/b@1")
    record(file, "a", "h/a@1")
    assert file.read_text() == '{\n  "a": "h/a@1",\n  "b": "h/b@1"\n}\n'


def test_publish_writes_and_prints_the_digest_uri(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(ecr, "registry_of", lambda host: Kept(DOCKER_MANIFEST))
    file = tmp_path / "images.json"
    assert main(["publish", "a", "h/a:1", "--out", str(file)]) == 0
    assert capsys.readouterr().out == f"h/a@{DIGEST}\n"
    assert json.loads(file.read_text()) == {"a": f"h/a@{DIGEST}"}


@pytest.mark.parametrize(
    "error, code, said",
    [
        (Missing("no tiny"), 3, "push: no tiny\n"),
        (LaunchError("no"), 1, "push: failed: no\n"),
        (OSError("no disk"), 1, "push: failed: no disk\n"),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, said):
    def fails(host: str) -> Kept:
        raise error

    monkeypatch.setattr(ecr, "registry_of", fails)
    assert main(["digest", "h/a:1"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("words", [[], ["publish", "a", "h/a:1"], ["repository", "h"], ["digest"]])
def test_commands_need_their_arguments(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_a_refusal_names_awss_code(monkeypatch, capsys, registry):
    monkeypatch.setattr(ecr, "registry_of", lambda host: registry)
    with Stubber(registry.client) as answers:
        answers.add_client_error("batch_get_image", "AccessDeniedException", "no")
        assert main(["digest", f"{HOST}/tiny:1"]) == 1
    assert capsys.readouterr().err.endswith("(AccessDeniedException)\n")
