"""Manifests and their registry over HTTP: conversions, sign-ins, docker's logins."""

import base64
import hashlib
import http.server
import json
import urllib.parse

import pytest

from launch.errors import LaunchError, Missing
from launch.registry import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    HttpRegistry,
    Manifest,
    as_docker,
    digest_for_sagemaker,
    docker_login,
    manifest_of,
)
from tests.support.aws import running_server

LOGIN = base64.b64encode(b"user:secret").decode()
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Registry(http.server.ThreadingHTTPServer):
    """Answers with what `answers` holds, in order: status, headers, body. asked: the requests."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        status, headers, content = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            # The realm leads back to this server, whose port is not known before.
            self.send_header(name, value.replace("HOST", self.server.host))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def logins(tmp_path, monkeypatch):
    """Writes docker's configuration, which is empty before."""
    # The logins of the machine's own user must not be used.
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(document: dict[str, object]) -> None:
        (tmp_path / "config.json").write_text(json.dumps(document))

    return write


def oci(layer: str = OCI_LAYER, config: str = OCI_CONFIG) -> Manifest:
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": config, "size": 1, "digest": "sha256:1", "annotations": {}},
        "layers": [{"mediaType": layer, "size": 2, "digest": "sha256:2"}],
    }
    return Manifest(json.dumps(document).encode(), OCI_MANIFEST)


def never(digest: str) -> Manifest:
    raise AssertionError(f"{digest} is not needed")


def test_a_manifest_is_named_by_its_digest():
    assert Manifest(b"{}", "").digest == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert Manifest(b"{}", "", "sha256:1").digest == "sha256:1"
    assert manifest_of(b'{"mediaType": "a"}', "b", "c") == Manifest(b'{"mediaType": "a"}', "a", "c")
    # A header may have parameters.
    assert manifest_of(b"{}", "b ; charset=utf-8").media_type == "b"


def test_a_docker_manifest_stays_as_it_is():
    manifest = Manifest(b"{}", DOCKER_MANIFEST)
    assert as_docker(manifest, never) is manifest


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_oci_image_gets_dockers_media_types(media_type):
    platform = {"os": "linux", "architecture": "amd64"}
    images = {"manifests": [{"digest": "sha256:0", "platform": platform}]}
    listed = Manifest(json.dumps(images).encode(), media_type)
    converted = as_docker(listed, lambda digest: {"sha256:0": oci()}[digest])
    assert converted.media_type == DOCKER_MANIFEST
    # The digest is that of the bytes: their form must not change.
    assert converted.content.startswith(b'{\n   "schemaVersion": 2,\n   "mediaType"')
    assert json.loads(converted.content) == {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": 1, "digest": "sha256:1"},
        "layers": [{"mediaType": DOCKER_LAYER, "size": 2, "digest": "sha256:2"}],
    }


def test_docker_types_inside_an_oci_manifest_are_taken():
    assert as_docker(oci(DOCKER_LAYER, DOCKER_CONFIG), never).media_type == DOCKER_MANIFEST


@pytest.mark.parametrize(
    "manifest, expected",
    [
        (Manifest(b"{}", "text/plain"), "a manifest of type 'text/plain' is not an image that"),
        (oci(layer="zstd"), "the image holds 'zstd', which SageMaker does not take"),
        (oci(config="other"), "the image holds 'other', which SageMaker does not take"),
    ],
)
def test_manifests_that_sagemaker_cannot_take(manifest, expected):
    with pytest.raises(LaunchError, match=expected):
        as_docker(manifest, never)


@pytest.mark.parametrize(
    "platforms, count",
    [
        ([], 0),
        ([("linux", "arm64"), ("windows", "amd64")], 0),
        ([("linux", "amd64"), ("linux", "amd64")], 2),
    ],
)
def test_a_list_needs_one_image_for_sagemaker(platforms, count):
    images = [{"digest": "a", "platform": {"os": os, "architecture": cpu}} for os, cpu in platforms]
    with pytest.raises(LaunchError, match=f"names {count} for linux/amd64, "):
        # An entry without a platform is none for SageMaker.
        digest_for_sagemaker({"manifests": [*images, {"digest": "b"}]})
    fitting = {"digest": "c", "platform": {"os": "linux", "architecture": "amd64"}}
    if count == 0:
        assert digest_for_sagemaker({"manifests": [*images, fitting]}) == "c"


@pytest.mark.parametrize(
    "host, base",
    [
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:80", "http://[::1]:80"),
        ("example.org", "https://example.org"),
        # A name that only begins like localhost.
        ("localhost.example.org", "https://localhost.example.org"),
    ],
)
def test_only_loopback_is_asked_by_plain_http(host, base):
    assert HttpRegistry(host).base == base


def test_a_registry_is_asked_for_all_accepted_types():
    with running_server(Registry((200, {"Content-Type": OCI_INDEX}, b"{}"))) as server:
        assert HttpRegistry(server.host).manifest("a", "1").media_type == OCI_INDEX
    method, path, headers, _ = server.asked[0]
    assert (method, path) == ("GET", "/v2/a/manifests/1")
    accepted = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX]
    assert headers["Accept"].split(", ") == accepted
    assert "Authorization" not in headers


def test_a_manifest_is_put_with_its_type():
    with running_server(Registry((201, {}, b""))) as server:
        HttpRegistry(server.host).put("a", "1", Manifest(b"{}", OCI_MANIFEST))
    method, path, headers, body = server.asked[0]
    assert (method, path, body) == ("PUT", "/v2/a/manifests/1", b"{}")
    assert headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize(
    "status, error, expected",
    [
        (404, Missing, "' has no a:1$"),
        # Only the beginning is shown: it may be a page of HTML.
        (500, LaunchError, "' answered 500 for a:1: x{300}$"),
        (403, LaunchError, "' answered 403 for a:1: x{300}$"),
    ],
)
def test_other_answers_are_errors(status, error, expected):
    server = Registry((status, {}, b"x" * 301))
    with running_server(server), pytest.raises(error, match=expected) as caught:
        HttpRegistry(server.host).manifest("a", "1")
    assert type(caught.value) is error


def test_a_registry_that_is_not_there():
    with running_server(Registry()) as server:
        host = server.host
    server.server_close()
    with pytest.raises(LaunchError, match=f"the registry '{host}' does not answer: "):
        HttpRegistry(host).manifest("a", "1")


BEARER = {"WWW-Authenticate": 'Bearer realm="http://HOST/token",service="me"'}


# Registries differ in the field's name.
@pytest.mark.parametrize("field", ["token", "access_token"])
@pytest.mark.parametrize("login, sent", [("", None), (LOGIN, f"Basic {LOGIN}")])
def test_a_bearer_token_is_fetched_once(logins, field, login, sent):
    token = json.dumps({field: "t"}).encode()
    answers = [(401, BEARER, b""), (200, {}, token), (200, {}, b"{}"), (200, {}, b"{}")]
    with running_server(Registry(*answers)) as server:
        logins({"auths": {server.host: {"auth": login}}})
        registry = HttpRegistry(server.host)
        registry.manifest("a", "1")
        registry.manifest("a", "2")
    path, _, query = server.asked[1][1].partition("?")
    assert path == "/token"
    assert urllib.parse.parse_qs(query) == {"service": ["me"], "scope": ["repository:a:pull,push"]}
    assert server.asked[1][2].get("Authorization") == sent
    # The token is asked for once, and used for both.
    for asked in server.asked[2:]:
        assert asked[2]["Authorization"] == "Bearer t"


def test_a_basic_sign_in_sends_dockers_login(logins):
    basic = {"WWW-Authenticate": 'Basic realm="me"'}
    with running_server(Registry((401, basic, b""), (200, {}, b"{}"))) as server:
        logins({"auths": {server.host: {"auth": LOGIN}}})
        HttpRegistry(server.host).manifest("a", "1")
    assert server.asked[1][2]["Authorization"] == f"Basic {LOGIN}"


@pytest.mark.parametrize("challenge", ['Basic realm="me"', "", "Digest"])
def test_without_a_login_one_sentence_says_how(challenge):
    with running_server(Registry((401, {"WWW-Authenticate": challenge}, b""))) as server:
        host = server.host
        with pytest.raises(LaunchError, match=f"wants a sign-in; run: docker login {host}"):
            HttpRegistry(host).manifest("a", "1")


def test_a_second_401_is_an_error(logins):
    basic = {"WWW-Authenticate": 'Basic realm="me"'}
    with running_server(Registry((401, basic, b""), (401, basic, b"wrong"))) as server:
        logins({"auths": {server.host: {"auth": LOGIN}}})
        with pytest.raises(LaunchError, match="answered 401 for a:1: wrong"):
            HttpRegistry(server.host).manifest("a", "1")


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE"])
def test_podmans_login_is_found_too(logins, variable, tmp_path, monkeypatch):
    logins({"auths": {"other": {"auth": "x"}}})
    file = tmp_path / "containers/auth.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"auths": {"h": {"auth": LOGIN}}}))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    assert docker_login("h") == ""
    monkeypatch.setenv(variable, str(tmp_path if variable == "XDG_RUNTIME_DIR" else file))
    assert docker_login("h") == LOGIN


def test_dockers_login_is_in_its_file_or_in_a_helper(logins, tmp_path, monkeypatch):
    assert docker_login("h") == ""
    auths = {"auths": {"h": {"auth": LOGIN}}}
    logins(auths)
    assert docker_login("h") == LOGIN
    assert docker_login("other") == ""
    answers = tmp_path / "docker-credential-good"
    answers.write_text('#!/bin/sh\necho "{\\"Username\\": \\"$(cat)\\", \\"Secret\\": \\"s\\"}"\n')
    fails = tmp_path / "docker-credential-bad"
    fails.write_text("#!/bin/sh\necho nothing\nexit 1\n")
    for program in (answers, fails):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    logins({"credsStore": "good"})
    assert base64.b64decode(docker_login("h")) == b"h:s"
    logins({**auths, "credsStore": "bad"})
    assert docker_login("h") == LOGIN
    logins({**auths, "credsStore": "bad", "credHelpers": {"h": "good"}})
    assert base64.b64decode(docker_login("h")) == b"h:s"
