"""Who may ask local SageMaker: by Host, by Origin and Referer, and by the signature."""

import dataclasses
import datetime
import hashlib
import json
import os
import shutil
import stat
import subprocess

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from local_sagemaker.access.access import Access
from local_sagemaker.platform import Platform
from local_sagemaker.server import create_app
from tests.support.jobs import REPOSITORY
from tests.support.sagemakers import (
    Cloud,
    asked,
    client_at,
    local_sagemaker,
    moto,
    post,
    signed,
)
from tests.support.shell_engine import ShellEngine, ran

pytestmark = pytest.mark.slow

LIST = {"X-Amz-Target": "SageMaker.ListTrainingJobs", "Content-Type": "application/x-amz-json-1.1"}
ROUTES = (
    *("/", "/endpoints/any/invocations", "/nothing"),
    *("/local/training-jobs/any/interrupt", "/local/tuning-jobs/any/trials"),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as running:
        yield running


def signed_for(
    cloud: Cloud,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    key: tuple[str, str] | None = None,
) -> dict[str, str]:
    return signed(cloud.url, method, path, body, headers, key or cloud.key)


def send(cloud: Cloud, **more: str) -> tuple[int, dict]:
    """ListTrainingJobs, rightly signed; with further headers, or others in their place."""
    return asked(cloud, "POST", "/", b"{}", {**signed_for(cloud, "POST", "/", b"{}", LIST), **more})


def test_a_signed_request_is_answered(cloud):
    assert send(cloud) == (200, {"TrainingJobSummaries": []})


@pytest.mark.parametrize("path", ROUTES)
def test_a_request_without_a_signature_is_refused(cloud, path):
    status, answer = asked(cloud, "POST", path, b"{}", LIST)
    assert (status, answer["__type"]) == (403, "MissingAuthenticationToken")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "header, value",
    [
        # A page of this name can have the name lead to 127.0.0.1.
        ("Host", "evil.example"),
        ("Host", "evil.example:8090"),
        ("Origin", "http://evil.example"),
        # What a page in a sandbox sends.
        ("Origin", "null"),
        ("Referer", "http://evil.example/page"),
    ],
)
def test_a_request_of_a_web_page_is_refused_whoever_signed_it(cloud, path, header, value):
    headers = signed_for(cloud, "POST", path, b"{}", LIST)
    status, answer = asked(cloud, "POST", path, b"{}", {**headers, header: value})
    assert (status, answer["__type"]) == (403, "AccessDeniedException")
    assert repr(value) in answer["message"]


def test_an_absolute_target_counts_by_its_own_host(cloud):
    headers = signed_for(cloud, "POST", "/", b"{}", LIST)
    # The form of a request line that proxies get.
    assert asked(cloud, "POST", f"{cloud.url}/", b"{}", headers)[0] == 200
    status, answer = asked(cloud, "POST", "http://evil.example/", b"{}", headers)
    assert (status, answer["__type"]) == (403, "AccessDeniedException")


def test_moto_is_closed_to_web_pages_too(cloud):
    at_moto = dataclasses.replace(cloud, url=cloud.moto_url)
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert asked(at_moto, "GET", "/moto-api/data.json", b"", headers)[0] == 403
    assert asked(at_moto, "GET", "/moto-api/data.json", b"", {})[0] == 200


@pytest.mark.parametrize(
    "change, code",
    [
        ({"Authorization": "Bearer abc"}, "IncompleteSignature"),
        ({"Authorization": ""}, "IncompleteSignature"),
        ({"X-Amz-Date": "yesterday"}, "IncompleteSignature"),
        # A header of x-amz that is not signed could have been added on the way.
        ({"X-Amz-Meta": "not signed"}, "IncompleteSignature"),
        ({"X-Amz-Target": "SageMaker.ListModels"}, "SignatureDoesNotMatch"),
        ({"Content-Type": "text/plain"}, "SignatureDoesNotMatch"),
    ],
)
def test_a_changed_request_is_refused(cloud, change, code):
    status, answer = send(cloud, **change)
    assert (status, answer["__type"]) == (403, code)


def test_another_key_body_path_or_method_is_refused(cloud):
    key, secret = cloud.key
    # The right id with a wrong secret.
    headers = signed_for(cloud, "POST", "/", b"{}", LIST, (key, secret[::-1]))
    assert asked(cloud, "POST", "/", b"{}", headers)[1]["__type"] == "SignatureDoesNotMatch"
    # The key that moto takes.
    headers = signed_for(cloud, "POST", "/", b"{}", LIST, ("testing", "testing"))
    assert asked(cloud, "POST", "/", b"{}", headers)[1]["__type"] == "InvalidClientTokenId"
    headers = signed_for(cloud, "POST", "/", b"{}", LIST)
    # A space more in the body, another method, another query.
    for method, path, body in (("POST", "/", b"{} "), ("PUT", "/", b"{}"), ("POST", "/?x", b"{}")):
        status, answer = asked(cloud, method, path, body, headers)
        assert (status, answer["__type"]) == (403, "SignatureDoesNotMatch")


def test_a_digest_that_is_sent_must_be_the_bodys(cloud):
    # Only S3 takes a request whose body is not signed.
    for digest, status in ((hashlib.sha256(b"{}").hexdigest(), 200), ("UNSIGNED-PAYLOAD", 403)):
        headers = {**LIST, "X-Amz-Content-SHA256": digest}
        headers = signed_for(cloud, "POST", "/", b"{}", headers)
        assert asked(cloud, "POST", "/", b"{}", headers)[0] == status


@pytest.mark.parametrize("minutes, status", [(-14, 200), (14, 200), (-16, 403), (16, 403)])
def test_a_signature_lasts_fifteen_minutes(cloud, monkeypatch, minutes, status):
    # AWS allows clocks to differ by that much.
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)
    found, answer = send(cloud)
    assert found == status
    if status == 403:
        assert answer["__type"] == "RequestExpired"


def presigned(cloud: Cloud, expires: int, method: str = "POST") -> str:
    """The target of a presigned request without a body, and without a host."""
    url = f"{cloud.url}/local/training-jobs/none/interrupt?a=b%20c&A"
    request = AWSRequest(method, url)
    key = ReadOnlyCredentials(*cloud.key, "")
    SigV4QueryAuth(key, "sagemaker", "eu-west-1", expires).add_auth(request)
    return str(request.url).removeprefix(cloud.url)


def test_a_presigned_request_is_answered_until_it_expires(cloud):
    status, answer = asked(cloud, "POST", presigned(cloud, 60), b"", {})
    assert (status, answer["message"]) == (400, "Requested resource not found.")
    for target, code in (
        (presigned(cloud, -1), "IncompleteSignature"),
        # AWS presigns for seven days at most.
        (presigned(cloud, 700000), "IncompleteSignature"),
        (presigned(cloud, 60)[:-1], "IncompleteSignature"),
        (presigned(cloud, 60).replace("a=b", "a=c"), "SignatureDoesNotMatch"),
        (presigned(cloud, 60, "PUT"), "SignatureDoesNotMatch"),
    ):
        status, answer = asked(cloud, "POST", target, b"", {})
        assert (status, answer["__type"]) == (403, code)


def test_names_with_odd_characters_are_signed_as_clients_do(cloud):
    runtime = cloud.client("sagemaker-runtime")
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(
            EndpointName="a-b", Body=b"\x00\xff", CustomAttributes="a  b, c", InferenceId="x=1"
        )
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    for path in ("/endpoints/%C3%A9%20x/invocations", "/endpoints/a%2Fb/invocations?x=%7E&b"):
        headers = signed_for(cloud, "POST", path, b"{}", LIST)
        assert asked(cloud, "POST", path, b"{}", headers)[1]["__type"] != "SignatureDoesNotMatch"


def test_curl_interrupts_a_training(cloud):
    """The command of docs/guides/local-sagemaker.md, as a shell runs it."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    page = REPOSITORY / "docs" / "guides" / "local-sagemaker.md"
    section = page.read_text(encoding="utf-8").partition("## A spot interruption")[2]
    command = section.partition("```text\n")[2].partition("```")[0]
    done = subprocess.run(
        ["bash", "-c", command.replace("NAME", "none")],
        env={**os.environ, **cloud.exports},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["message"] == "Requested resource not found.", done.stdout


def test_the_exports_are_the_users_alone(cloud):
    path = cloud.state / "exports.sh"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = subprocess.run(
        ["sh", "-c", f". {path}; echo $AWS_ACCESS_KEY_ID $AWS_ENDPOINT_URL_SAGEMAKER"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [cloud.key[0], cloud.url]


def test_a_body_without_a_signature_is_not_read(cloud):
    headers = {**LIST, "Content-Length": str(2**40)}
    assert asked(cloud, "POST", "/", b"{}", headers)[0] == 403  # it does not wait for the rest
    headers = {**signed_for(cloud, "POST", "/", b"{}", LIST), "Content-Length": str(2**40)}
    assert asked(cloud, "POST", "/", b"{}", headers)[0] == 413


@pytest.mark.slow
def test_each_server_makes_its_own_key(cloud, tmp_path):
    with local_sagemaker(tmp_path / "state", cloud.moto_url) as other:
        assert other.key != cloud.key
        stranger = client_at(other.url, "sagemaker", key=cloud.key)
        with pytest.raises(ClientError) as caught:
            stranger.list_models()
        assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
        assert post(other, "ListModels", b"{}") == (200, {"Models": []})


@pytest.fixture
def here(tmp_path, request):
    """The app in this process, with both of its keys, and nothing behind it."""
    keys = Access(getattr(request, "param", False))
    client = create_app(Platform(tmp_path, "process"), keys).test_client()

    def send(environment: dict[str, str], operation: str, path: str = "/") -> tuple[int, dict]:
        url = "http://localhost"
        key = (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        headers = {**LIST, "X-Amz-Target": f"SageMaker.{operation}"}
        given = signed(url, "POST", path, b"{}", headers, key)
        answer = client.post(path, data=b"{}", headers=given)
        return answer.status_code, json.loads(answer.data)

    return keys, send


def test_containers_have_a_key_of_their_own_that_starts_nothing(here):
    keys, send = here
    user = keys.user_environment("http://localhost")
    container = keys.container_environment("http://localhost")
    assert user["AWS_SECRET_ACCESS_KEY"] != container["AWS_SECRET_ACCESS_KEY"]
    for who in (user, container):
        assert send(who, "ListTrainingJobs")[0] == 200
        answer = send(who, "", "/endpoints/none/invocations")[1]
        assert answer["__type"] == "ValidationError"
    for operation in ("CreateTrainingJob", "StopTrainingJob", "DeleteModel", "AddTags"):
        assert send(user, operation)[1]["__type"] == "ValidationException"
        assert send(container, operation)[1]["__type"] == "AccessDeniedException"
    own = ("training-jobs/none/interrupt", "tuning-jobs/none/trials", "console-links")
    for path in ("/endpoints/none/async-invocations", *(f"/local/{name}" for name in own)):
        assert send(user, "", path)[1].get("__type") != "AccessDeniedException"
        status, answer = send(container, "", path)
        assert (status, answer["__type"]) == (403, "AccessDeniedException")


@pytest.mark.parametrize("here, status", [(True, 200), (False, 403)], indirect=["here"])
def test_the_servers_own_credentials_are_taken_where_the_user_says_so(here, status, monkeypatch):
    own = {"AWS_ACCESS_KEY_ID": "AKIAOWN", "AWS_SECRET_ACCESS_KEY": "the user's real secret"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    keys, send = here
    assert send(own, "ListModels")[0] == status
    wrong = {**own, "AWS_SECRET_ACCESS_KEY": "another"}
    assert send(wrong, "ListModels")[0] == 403
    assert send(keys.user_environment(""), "ListModels")[0] == 200


def test_a_training_gets_the_containers_key_unless_it_is_isolated(tmp_path, monkeypatch):
    given = Access().container_environment("http://127.0.0.1:8090")
    for isolated in (False, True):
        engine = ShellEngine("true")
        folder = tmp_path / str(isolated)
        ran(folder, monkeypatch, engine, given, EnableNetworkIsolation=isolated)
        [spec] = engine.started
        assert (spec.environment.items() >= given.items()) == (not isolated)
        assert ("AWS_SECRET_ACCESS_KEY" in spec.environment) == (not isolated)
