"""A user's own code: what the environment asks for, what is refused, what its requests get."""

from pathlib import Path
from typing import Any

import pytest

from artifact.model import ArtifactError
from serve.answering import DEFAULT_LIMITS
from serve.app import create_app
from serve.batching import EngineDead
from serve.mms.backend import ModelLost
from serve.mms.call import Call, Reply
from serve.mms.room import Room
from serve.mms.user_models import RemoteProgram, call_answered, describe_calls
from serve.settings import SettingsError
from serve.user_code import UserCode, is_met, say_ignored

USUAL = "/opt/ml/model/code"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"SAGEMAKER_SUBMIT_DIRECTORY": USUAL}, None),
        ({"SAGEMAKER_PROGRAM": "inference.py"}, UserCode("inference.py")),
        (
            {"SAGEMAKER_PROGRAM": "a.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"file://{USUAL}/"},
            UserCode("a.py"),
        ),
        (
            {"SAGEMAKER_PROGRAM": "a.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/mine"},
            UserCode("a.py", Path("/mine")),
        ),
    ],
)
def test_what_the_sdk_sets_names_the_code(environment, expected):
    assert UserCode.read(environment) == expected


@pytest.mark.parametrize("program", ["../a.py", "code/a.py", "a.sh", "a b.py", "1.py"])
def test_a_program_elsewhere_is_refused(program):
    with pytest.raises(SettingsError, match="must be the name of a Python file"):
        UserCode.read({"SAGEMAKER_PROGRAM": program})


def test_code_at_an_address_is_refused():
    place = {"SAGEMAKER_PROGRAM": "a.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/sourcedir.tar.gz"}
    with pytest.raises(SettingsError, match=r"this image fetches no code: pack it into"):
        UserCode.read(place)


def test_code_and_what_it_requires_must_be_there(tmp_path):
    code = UserCode("inference.py")
    with pytest.raises(ArtifactError, match=r"holds no inference.py, which SAGEMAKER_PROGRAM"):
        code.check(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").touch()
    code.check(tmp_path)
    requirements = tmp_path / "code/requirements.txt"
    requirements.write_text("# ours\nnumpy>1  # any\n\nnot-there; python_version < '3'\n")
    code.check(tmp_path)
    requirements.write_text("numpy\nnot-there >= 2\n-r other.txt\n")
    with pytest.raises(ArtifactError, match=r"REQUIREMENTS='not-there>=2 -rother.txt'"):
        code.check(tmp_path)


@pytest.mark.parametrize(
    ("line", "met"),
    [("numpy", True), ("numpy<1", False), ("NumPy[x]", True), ("git+https://a/b", False)],
)
def test_a_requirement_is_met_by_what_is_installed(line, met):
    assert is_met(line) == met


@pytest.mark.parametrize(
    "line",
    [b"numpy; " + b"(" * 5000 + b"os_name" + b")" * 5000, b"numpy==" + b"1" * 5000, b"numpy\xff"],
)
def test_a_requirement_that_cannot_be_read_is_not_met(tmp_path, line):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").touch()
    (tmp_path / "code/requirements.txt").write_bytes(line)
    with pytest.raises(ArtifactError, match="asks for 'numpy") as refused:
        UserCode("a.py").check(tmp_path)
    assert len(str(refused.value)) < 2000


@pytest.mark.parametrize("content", ["numpy\n" * 1001, "x" * 70_000])
def test_a_file_that_is_no_list_of_packages_is_refused(tmp_path, content):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").touch()
    (tmp_path / "code/requirements.txt").write_text(content)
    with pytest.raises(ArtifactError, match="more than 65,536 bytes or 1,000 lines"):
        UserCode("a.py").check(tmp_path)


def test_an_image_without_code_says_what_runs_it(caplog):
    say_ignored({})
    assert not caplog.records
    say_ignored({"SAGEMAKER_PROGRAM": "inference.py"})
    assert "slipway-serve-mms-torch runs it" in caplog.text


class FakeMms:
    """In place of multi-model-server: it keeps the call, and gives a reply or an error."""

    def __init__(self, reply: Reply | Exception):
        self.reply = reply
        self.calls: list[Call] = []

    def fault(self) -> None:
        return None

    def predict(self, name: str, body: bytes, timeout_s: float) -> bytes:
        self.calls.append(Call.unpacked(body))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply.packed()


def client_of(mms: Any) -> Any:  # Any: a stand-in; Flask's client
    program: Any = RemoteProgram(Path("/none"), mms, "model", 1, Room(1000))
    app = create_app(program, DEFAULT_LIMITS, answer=call_answered)
    describe_calls(app, False, DEFAULT_LIMITS)
    return app.test_client()


def test_the_code_gets_the_request_and_the_client_its_answer():
    given = Reply(200, {"content-type": "text/plain", "X-Amzn-SageMaker-Custom-Attributes": "b"})
    mms = FakeMms(Reply(200, given.headers, b"\x00\nx"))
    headers = {
        "Content-Type": "a/b",
        "Accept": "c/d",
        "Cookie": "secret",
        "X-Amzn-SageMaker-Custom-Attributes": "a",
    }
    answer = client_of(mms).post("/invocations", data=b"\n\xff", headers=headers)
    assert (answer.status_code, answer.data) == (200, b"\x00\nx")
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "b"
    assert answer.headers["Content-Type"].startswith("text/plain")
    (call,) = mms.calls
    assert call.body == b"\n\xff"
    lower = {name.lower(): value for name, value in call.headers.items()}
    assert lower == {
        "content-type": "a/b",
        "accept": "c/d",
        "x-amzn-sagemaker-custom-attributes": "a",
    }


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        (Reply(500, {}, error="inference.py: no"), 500, "inference.py: no"),
        (MemoryError(), 507, "no memory for this request"),
        (EngineDead("gone"), 503, "gone"),
        (ModelLost("lost"), 503, "lost"),
    ],
)
def test_an_error_is_one_sentence(reply, status, words):
    answer = client_of(FakeMms(reply)).post("/invocations", data=b"x")
    assert answer.status_code == status
    assert words in answer.get_json()["error"]


def test_the_openapi_document_speaks_of_no_photos():
    paths = client_of(FakeMms(EngineDead())).get("/openapi.json").get_json()["paths"]
    assert paths["/invocations"]["post"]["summary"].startswith("What the user's own code")
