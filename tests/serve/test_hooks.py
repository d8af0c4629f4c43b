"""A user's own functions of code/hooks.py: when they run, what they change, their faults."""

import json
import logging
import shutil

import numpy as np
import pytest

from artifact.model import ArtifactError
from serve.app import create_app
from serve.hooks import FILE, NO_HOOKS, HookError, open_hooks
from serve.predictor import Predictor
from tests.support.servers import b64, photo

HOOKS = """
import base64
import json

from words import word


def transform_request(body, content_type):
    if content_type != "application/x-mine":
        return body, content_type
    record = json.loads(body)
    if "picture" not in record:
        raise ValueError("send a picture")
    return base64.b64decode(record["picture"]), "image/jpeg"


def transform_probabilities(probabilities, classes):
    probabilities[classes.index("red")] = 0
    return probabilities


def transform_answer(prediction):
    return {**prediction, "said": word}
"""


@pytest.fixture(scope="module")
def client(colours, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooked") / "model"
    shutil.copytree(colours.model, folder)
    (folder / "code").mkdir()
    (folder / FILE).write_text(HOOKS)
    (folder / "code/words.py").write_text("word = 'hello'")
    predictor = Predictor(folder, hooks=True)
    yield create_app(predictor).test_client()
    predictor.close()


def hooks_of(folder, text, wanted=True):
    (folder / "code").mkdir(exist_ok=True)
    (folder / FILE).write_text(text)
    return open_hooks(folder, wanted)


def test_hooks_change_the_request_the_probabilities_and_the_answer(client):
    body = json.dumps({"picture": b64(photo("red"))})
    answer = client.post("/invocations", data=body, content_type="application/x-mine")
    assert answer.status_code == 200, answer.text
    (found,) = answer.get_json()["predictions"]
    assert found["said"] == "hello"
    # The colour of the photo is ruled out.
    assert found["label"] != "red"
    assert found["top"][-1] == {"label": "red", "probability": 0.0}
    refused = client.post("/invocations", data="{}", content_type="application/x-mine")
    assert refused.status_code == 400
    assert refused.get_json()["error"] == "the request is refused: send a picture"
    failed = client.post("/invocations", data="[1]", content_type="application/x-mine")
    assert failed.status_code == 400
    other = client.post("/invocations", data=photo("blue"), content_type="image/jpeg")
    assert other.get_json()["predictions"][0]["label"] == "blue"


def test_without_the_variable_nothing_runs(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert hooks_of(tmp_path, "raise SystemExit('it ran')", wanted=False) is NO_HOOKS
    assert "do not run here; SLIPWAY_HOOKS=1 runs code/hooks.py" in caplog.text


def test_a_variable_without_a_file_is_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert open_hooks(tmp_path, True) is NO_HOOKS
    assert "holds no file code/hooks.py" in caplog.text


@pytest.mark.parametrize(
    "text, words",
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("x = 1\ny = 1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "defines none of transform_request"),
        ("def transform_anwser(p): return p", "did you mean transform_answer?"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path, text, words):
    with pytest.raises(ArtifactError) as caught:
        hooks_of(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_out_of_the_artifact_is_no_hook(tmp_path):
    (tmp_path / "elsewhere.py").write_text("def transform_answer(p): return p")
    (tmp_path / "code").mkdir()
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere.py")
    assert open_hooks(tmp_path, True) is NO_HOOKS


@pytest.mark.parametrize(
    "text, words",
    [
        ("def transform_request(b, t): return b", "must return the body (bytes) and its type"),
        ("def transform_request(b, t):\n  return b[t]", "transform_request failed: TypeError"),
        ("def transform_probabilities(p, c): return p[1:]", "must return 2 numbers from 0 to 1"),
        ("def transform_probabilities(p, c): return p * 9", "must return 2 numbers from 0 to 1"),
        ("def transform_probabilities(p, c): return p * float('nan')", "must return 2 numbers"),
        ("def transform_answer(p): return []", "must return a dict"),
        ("def transform_answer(p): return {'x': {1}}", "transform_answer failed: TypeError"),
        ("def transform_answer(p): return {'x': '\\ud800'}", "transform_answer failed: UnicodeEnc"),
        ("def transform_answer(p): raise SystemExit(3)", "transform_answer failed: SystemExit: 3"),
        ("def transform_answer(p):\n  raise KeyError('x')", "failed: KeyError: 'x' (line 2)"),
    ],
)
def test_a_fault_of_a_function_is_one_sentence(tmp_path, text, words):
    hooks = hooks_of(tmp_path, text)
    with pytest.raises(HookError) as caught:
        hooks.request(b"body", "image/jpeg")
        hooks.probabilities(np.array([0.25, 0.75], np.float32), ["a", "b"])
        hooks.answer({"label": "a"})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
