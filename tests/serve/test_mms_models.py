"""slipway-serve-mms with many models, over a stand-in for MMS; no container."""

import io
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.mms_servers import MmsServer, mms_serving, wait_until
from tests.support.servers import photo

pytestmark = pytest.mark.slow
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def models(colours, tmp_path_factory) -> Path:
    """The folder of models: as files, as an archive, without a graph, as a broken archive."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(colours.model, root / "files")
    shutil.copytree(colours.model, root / "broken")
    (root / "broken" / "model.onnx").write_bytes(b"none")
    for name, source in {"archive": "files", "broken archive": "broken"}.items():
        (root / name).mkdir()
        with tarfile.open(root / name / "model.tar.gz", "w:gz") as tar:
            tar.add(root / source, ".")
    return root


@pytest.fixture(scope="module")
def many(models, tmp_path_factory):
    environment = {"SLIPWAY_MODELS_DIR": models, "SLIPWAY_MAX_MODEL_MB": 8}
    with mms_serving(tmp_path_factory.mktemp("many"), **environment) as running:
        yield running


def label(many: MmsServer, name: str) -> tuple[int, str]:
    """Status, and label or error, of a green photo."""
    status, answer = many.server.invoke(photo("green"), path=f"/models/{name}/invoke")
    return status, answer["predictions"][0]["label"] if status == 200 else answer["error"]


@pytest.mark.parametrize(
    "path, body, headers",
    [
        ("/models?url=http://127.0.0.1:9/x.mar", b"", {}),
        ("/models?url=http://127.0.0.1:9/x.mar&synchronous=true", b"{}", JSON),
        ("/models", b'{"model_name": "a", "url": "http://127.0.0.1:9/x.mar"}', JSON),
        ("/models", b'{"model_name": "a", "url": "file:///etc"}', JSON),
        ("/models", b'{"model_name": "a", "url": "/etc"}', JSON),
        ("/models", b'{"model_name": "a", "url": "MODELS/../../etc"}', JSON),
        ("/models", b'{"model_name": "a", "url": "MODELS/nowhere"}', JSON),
        ("/models", b'{"model_name": "a", "url": "MODELS/files", "handler": "os:system"}', JSON),
        ("/models?handler=os:system", b'{"model_name": "a", "url": "MODELS/files"}', JSON),
        ("/models", b"model_name=a&url=MODELS/files", {}),
    ],
)
def test_a_model_is_loaded_only_by_name_and_folder(many, models, path, body, headers):
    before = many.asked() if (many.orders / "asked").exists() else []
    body = body.replace(b"MODELS", str(models).encode())
    status, _, answer = many.server.ask("POST", path, body, headers)
    assert 400 <= status < 500
    assert b'"error"' in answer
    assert [line for line in many.asked()[len(before) :] if line.startswith("POST")] == []


@pytest.mark.parametrize(
    "method, path",
    [
        ("PUT", "/models/a?min_worker=9"),
        ("PUT", "/models/a"),
        ("PUT", "/models/a/invoke"),
        ("GET", "/api-description"),
        ("OPTIONS", "/predictions/a"),
        ("POST", "/predictions/a"),
    ],
)
def test_mms_never_sees_what_the_contract_does_not_have(many, method, path):
    status, _, answer = many.server.ask(method, path, b"", JSON)
    assert status == 404
    assert b'"error"' in answer


@pytest.mark.parametrize("name", ["files", "archive"])
def test_models_come_and_go_without_a_trace(many, models, name):
    assert many.load("a", models / name)[0] == 200
    assert many.load("a", models / name)[0] == 409
    assert label(many, "a") == (200, "green")
    assert many.temporary() != []
    assert many.unload("a") == 200
    assert many.unload("a") == 404
    assert label(many, "a")[0] == 404
    assert many.temporary() == []


@pytest.mark.parametrize("name", ["broken", "broken archive"])
def test_a_load_that_fails_says_why_and_leaves_nothing(many, models, name):
    status, answer = many.load("a", models / name)
    assert status == 400
    assert "the model 'a' cannot be loaded: " in answer["error"]
    assert "is not a graph that OpenVINO reads" in answer["error"]
    assert many.temporary() == []
    assert many.load("a", models / "files")[0] == 200
    assert many.unload("a") == 200


@pytest.mark.parametrize(
    "members, size, words", [(1001, 0, "more than 1,000 members"), (1, 9 * 2**20, "more than 8 MB")]
)
def test_an_archive_beyond_the_bounds_is_refused_and_leaves_nothing(
    many, models, members, size, words
):
    folder = models / f"{members} members"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for number in range(members):
            member = tarfile.TarInfo(f"{number}")
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    status, answer = many.load("a", folder)
    assert status in (400, 507)
    assert words in answer["error"]
    assert many.temporary() == []


def test_mms_gets_names_of_our_own(many, models):
    name = "ä \u2603 ../x?y=%zz" * 3
    status, answer = many.load(name.replace("/", "\u2215"), models / "files")
    assert status == 200, answer
    asked = [line for line in many.asked() if line.startswith("POST /models")]
    assert "model_name=model-" in asked[-1]
    quoted = answer["modelName"].encode()
    path = "/models/" + "".join(f"%{byte:02X}" for byte in quoted)
    assert many.server.ask("DELETE", path)[0] == 200


def test_an_artifact_cannot_name_code_for_mms(many, models, colours):
    """MMS alone takes a handler, and a program to run it, from a manifest in the folder."""
    hostile = models / "hostile"
    shutil.copytree(colours.model, hostile)
    (hostile / "MAR_INF").mkdir()
    (hostile / "MAR_INF" / "MANIFEST.json").write_text('{"model": {"handler": "evil:run"}}')
    assert many.load("a", hostile)[0] == 200
    asked = [line for line in many.asked() if line.startswith("POST /models")]
    assert "handler=serve.mms.handler" in asked[-1]
    assert "hostile" not in asked[-1]
    assert many.unload("a") == 200


def test_a_model_that_is_unloaded_first_answers_the_requests_under_way(many, models):
    assert many.load("a", models / "files")[0] == 200
    (many.orders / "hold").touch()
    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(label, many, "a") for _ in range(8)]
        wait_until(lambda: many.waiting() == 8)
        gone = pool.submit(many.unload, "a")
        wait_until(lambda: many.server.ask("GET", "/models/a")[0] == 404)
        assert label(many, "a")[0] == 404  # as for all new requests
        assert not gone.done()
        (many.orders / "hold").unlink()
        assert [answer.result()[0] for answer in answers] == [200] * 8
        assert gone.result() == 200
    assert many.temporary() == []


def test_a_model_whose_processes_die_is_forgotten_with_its_files(many, models):
    assert many.load("a", models / "archive")[0] == 200
    loaded = [line for line in many.asked() if line.startswith("POST /models")][-1]
    name = loaded.partition("model_name=")[2].partition("&")[0]
    (many.orders / f"{name}.lost").touch()
    wait_until(lambda: many.server.ask("GET", "/models/a")[0] == 404)
    wait_until(lambda: many.temporary() == [])
    assert label(many, "a")[0] == 404
    assert many.load("a", models / "archive")[0] == 200
    assert label(many, "a") == (200, "green")
    assert many.unload("a") == 200
