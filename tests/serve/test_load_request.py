"""POST /models: only JSON, only models below the models' folder, and nothing told about others."""

import json
from pathlib import Path

import pytest

from serve.answering import ServingLimits
from serve.inputs import InputError
from serve.load_request import LoadRequest, load_request_of
from serve.models import Models
from serve.multi_model import create_multi_model_app

JSON = "application/json"


@pytest.fixture
def place(tmp_path) -> Path:
    """The models' folder, with one empty model; a secret lies beside the folder."""
    (tmp_path / "models/a/model").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/passwords").write_text("x")
    return tmp_path / "models"


def body(url: object, name: object = "a") -> bytes:
    return json.dumps({"model_name": name, "url": url}).encode()


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON; charset=utf-8"])
def test_name_and_path_are_read(place, content_type):
    url = str(place / "a/model")
    assert load_request_of(content_type, body(url, "a b"), place) == LoadRequest("a b", url)


def test_a_link_to_the_models_folder_stands_for_it(place, tmp_path):
    (tmp_path / "link").symlink_to(place)
    url = str(place / "a/model")
    assert load_request_of(JSON, body(url), tmp_path / "link").url == url
    url = str(tmp_path / "link/a/model")
    assert load_request_of(JSON, body(url), place).url == url


@pytest.mark.parametrize(
    "sent, words",
    [
        (b"{", "the body is not JSON"),
        (b"[" * 65 + b"]" * 65, "more than 64 levels"),
        (b"[" * 100_000, "more than 1,000 values"),
        (b"\xff", "the body is not JSON"),
        (b"[]", "the JSON lacks model_name or url"),
        (b'{"model_name": "", "url": "/a"}', "the JSON lacks"),
        (b'{"model_name": "a", "url": ""}', "the JSON lacks"),
        (b'{"model_name": 1, "url": "/a"}', "the JSON lacks"),
        (b'{"model_name": "a", "url": 1}', "the JSON lacks"),
        (b'{"model_name": "a/b", "url": "/a"}', "'a/b' holds a slash"),
        (b'{"model_name": "a\\n", "url": "/a"}', "cannot be printed"),
    ],
)
def test_a_body_that_names_no_model_is_refused(place, sent, words):
    with pytest.raises(InputError, match=words) as caught:
        load_request_of(JSON, sent, place)
    assert caught.value.status == 400
    assert 'send {"model_name": "…", "url": "/opt/ml/models/…/model"}' in str(caught.value)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(place, content_type):
    with pytest.raises(InputError, match="send application/json") as caught:
        load_request_of(content_type, body(str(place / "a")), place)
    assert caught.value.status == 415


ELSEWHERE = [
    "/etc",
    "/etc/passwd",
    "/",
    "~",
    ".",
    "a/model",
    "{models}",
    "{models}/",
    "{models}/.",
    "{models}/../secret",
    "{models}/a/../../secret",
    "{models}/link",
    "{models}/loop/../../secret",
    "{models}/a\x00",
    "{models}/\ud800",
    # A name that begins as the folder's.
    "{models}else/model",
    "file://{models}/a",
    "http://127.0.0.1:9/a.mar",
    "s3://bucket/model.tar.gz",
    "//" + "x" * 5000,
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_path_elsewhere_is_refused_in_the_same_words(place, url):
    (place / "link").symlink_to(place.parent / "secret")
    (place / "loop").symlink_to(place / "loop")
    sent = url.replace("{models}", str(place))
    with pytest.raises(InputError) as caught:
        load_request_of(JSON, body(sent), place)
    assert caught.value.status == 400
    shown = repr(sent[:100])
    assert str(caught.value) == f"url is {shown}; send the path of a model below '{place}'"


def test_an_answer_lists_no_folder(place):
    """Neither of a path elsewhere nor of a folder below that is no model."""
    (place / "a/model/private.txt").touch()
    app = create_multi_model_app(Models(), ServingLimits(), models_folder=place)
    client = app.test_client()
    for url in (place.parent / "secret", place / "a/model", place / "none"):
        answer = client.post("/models", json={"model_name": "a", "url": str(url)})
        assert answer.status_code == 400
        assert "passwords" not in answer.text and "private" not in answer.text
    assert "holds no model.json; expected the files" in answer.get_json()["error"]
    assert client.get("/models").get_json() == {"models": []}
