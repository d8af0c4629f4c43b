"""The launcher's clients of AWS: where they speak to, and that they try again after a pause."""

import http.server
import json
import time

import pytest
from botocore.exceptions import ClientError

from launch.aws import client
from launch.errors import sentence
from tests.support.aws import running_server
from tests.support.registries import no_credentials


class Busy(http.server.ThreadingHTTPServer):
    """Answers that many faults of SageMaker, then a list of endpoints.

    asked: the time of each request, in seconds.
    """

    def __init__(self, faults: int, status: int, code: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = faults
        self.status = status
        self.code = code
        self.asked: list[float] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Busy

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(time.monotonic())
        fault = len(self.server.asked) <= self.server.faults
        status = 200
        document: dict[str, object] = {"Endpoints": []}
        if fault:
            status = self.server.status
            document = {"__type": self.server.code, "message": "no"}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def someone(monkeypatch):
    no_credentials(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.mark.slow
@pytest.mark.parametrize(
    "status, code", [(400, "ThrottlingException"), (503, "ServiceUnavailable")]
)
def test_who_is_busy_is_asked_again(someone, monkeypatch, status, code):
    with running_server(Busy(2, status, code)) as busy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{busy.server_port}")
        assert client("sagemaker", "eu-west-1").list_endpoints()["Endpoints"] == []
    assert len(busy.asked) == 3
    assert busy.asked[2] > busy.asked[0]


def test_a_refusal_is_taken_at_its_first_word(someone, monkeypatch):
    with running_server(Busy(9, 400, "AccessDeniedException")) as busy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{busy.server_port}")
        with pytest.raises(ClientError) as caught:
            client("sagemaker", "eu-west-1").list_endpoints()
    assert len(busy.asked) == 1
    assert sentence(caught.value).startswith("you may not ListEndpoints: no")


@pytest.mark.parametrize(
    "region, host",
    [
        ("eu-west-1", "api.sagemaker.eu-west-1.amazonaws.com"),
        ("cn-north-1", "api.sagemaker.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "api.sagemaker.us-gov-west-1.amazonaws.com"),
    ],
)
def test_clients_speak_to_the_regions_own_hosts(someone, region, host):
    assert client("sagemaker", region).meta.endpoint_url == f"https://{host}"
