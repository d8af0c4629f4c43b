"""The way of containers to S3: only what their key has signed goes on, and it is signed anew."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.serving import make_server
from werkzeug.test import Client

from local_sagemaker.access.container_door import ContainerDoor, container_variables
from local_sagemaker.access.signatures import new_key
from runtime.ports import free_port

KEY = new_key()
OWN = ("mine", "my secret")


class Backend(BaseHTTPRequestHandler):
    """Stands in for S3: it keeps what it was asked, and hands an object out again."""

    seen: list[tuple[str, str, bytes]] = []

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Authorization"], body))
        self._answer(b"")

    def do_GET(self):
        self._answer(self.seen[-1][2])

    def log_message(self, *_):
        pass

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def door(monkeypatch):
    """URL of a door before a stand-in for S3."""
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    server = make_server("127.0.0.1", free_port(), ContainerDoor(KEY), threaded=True)
    for each in (backend, server):
        threading.Thread(target=each.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{backend.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWN[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OWN[1])
    yield f"http://127.0.0.1:{server.port}"
    for each in (backend, server):
        each.shutdown()
        each.server_close()


def s3(url: str, key: str, secret: str):
    return boto3.Session().client(
        "s3",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )


def test_a_container_writes_and_reads_objects_with_its_key(door):
    client = s3(door, KEY.id, KEY.secret)
    client.put_object(Bucket="photos", Key="a folder/../é+1.bin", Body=b"12345")
    [(path, authorization, body)] = Backend.seen
    assert path == "/photos/a%20folder/../%C3%A9%2B1.bin"
    assert f"Credential={OWN[0]}/" in authorization and KEY.id not in authorization
    assert body == b"12345"
    assert client.get_object(Bucket="photos", Key="a")["Body"].read() == b"12345"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3(door, KEY.id, "another").get_object(Bucket="photos", Key="a")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        s3(door, *OWN).get_object(Bucket="photos", Key="a")


def test_an_unsigned_request_is_refused():
    answer = Client(ContainerDoor(KEY)).get("/photos/a")
    assert answer.status_code == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in answer.data


def test_other_services_are_passed_on_where_moto_stands_in_for_them(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert "AWS_ENDPOINT_URL" not in container_variables("http://door")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://moto")
    assert container_variables("http://door")["AWS_ENDPOINT_URL"] == "http://door"
