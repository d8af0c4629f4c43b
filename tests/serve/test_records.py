"""What is kept of a request, WSGI calls, and the documents of routes; no server runs."""

import json
from typing import Any

import pytest

from serve.inputs import MAX_INSTANCES
from serve.metrics import FOLDER, Metrics, share_between_workers
from serve.multi_model import TOKEN_DIGITS
from serve.openapi import ERRORS, document
from serve.request_log import record, route_of
from serve.request_state import KEY, RequestState
from serve.wsgi import Answer, call, environment

SCOPE = {"method": "POST", "path": "/invocations", "headers": []}
REFUSED = Answer(413, [], b'{"error": "too large"}')
FINE = Answer(200, [], b"{}")


def logged(capsys, scope: dict[str, Any], answer: Answer) -> tuple[dict[str, Any], str]:
    """A request's line in the log, and the metrics after it."""
    metrics = Metrics()
    state = RequestState.lasting(10)
    state.photos = 3
    state.add("read", 0.0123456)
    record(metrics, {**SCOPE, **scope}, answer, 77, state)
    line = capsys.readouterr().out
    text, _ = metrics.text()
    return json.loads(line or "{}"), text.decode()


@pytest.mark.parametrize("status", [399, 400])
def test_a_request_becomes_a_line(capsys, status):
    found, _ = logged(capsys, {}, Answer(status, [], b'{"error": "too large"}'))
    assert found["status"] == status
    assert found["bytes"] == 77
    assert found["photos"] == 3
    assert found["read_ms"] == 12.35
    assert 0 <= found["total_ms"] < 5000
    assert found["inference_id"] is None
    assert found.get("error") == ("too large" if status == 400 else None)


def test_a_traced_request_names_its_trace(capsys):
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    headers = [(b"traceparent", b"00-" + trace + b"-00f067aa0ba902b7-01")]
    found, _ = logged(capsys, {"headers": headers}, FINE)
    assert found["trace_id"] == trace.decode()
    assert "trace_id" not in logged(capsys, {}, FINE)[0]


def test_what_a_client_sends_is_cut_in_the_log(capsys):
    headers = [(b"x-amzn-sagemaker-inference-id", b"i" * 65)]
    found, _ = logged(capsys, {"path": "/" + "p" * 300, "headers": headers}, REFUSED)
    assert found["path"] == "/" + "p" * 199
    assert found["inference_id"] == "i" * 64


@pytest.mark.parametrize(
    "path, answer, lines, photos",
    [
        ("/ping", FINE, False, "0.0"),
        ("/ping", Answer(503, [], b"x"), True, "0.0"),
        ("/models", FINE, False, "0.0"),
        ("/invocations", FINE, True, "3.0"),
        ("/models/a/invoke", FINE, True, "3.0"),
        ("/invocations", REFUSED, True, "0.0"),
    ],
)
def test_a_good_ping_is_counted_and_not_logged(capsys, path, answer, lines, photos):
    found, text = logged(capsys, {"path": path}, answer)
    assert bool(found) is lines
    assert f"slipway_photos_total {photos}" in text
    count = f'slipway_requests_total{{route="{route_of(path)}",status="{answer.status}"}} 1.0'
    assert count in text
    assert ('slipway_stage_seconds_count{stage="total"} 1.0' in text) is lines


@pytest.mark.parametrize(
    "body, error",
    [(b"", ""), (b"[1]", ""), (b"{}", ""), (b'{"error": "sentence"}', "sentence"), (b"1", "")],
)
def test_the_sentence_of_an_answer_is_logged(capsys, body, error):
    found, _ = logged(capsys, {}, Answer(500, [], body))
    assert found["error"] == error


def test_routes_have_few_names():
    assert route_of("/invocations") == "/invocations"
    assert route_of("/models/x/invoke") == "/models/{name}/invoke"
    assert route_of("/models/x") == "other"


def test_live_numbers_are_read_when_they_are_asked_for():
    metrics = Metrics()
    waiting = [4]
    metrics.live("slipway_queue_photos", "Photos", lambda: waiting[0])
    waiting[0] = 5
    text, content_type = metrics.text()
    assert b"slipway_queue_photos 5.0" in text
    assert content_type.startswith("text/plain")
    assert b"_created" not in text
    assert b"process_resident_memory_bytes" in text


def test_workers_share_a_folder_of_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(FOLDER, "before")
    share_between_workers()
    (made,) = tmp_path.iterdir()
    import os

    assert os.environ[FOLDER] == str(made)
    assert made.name.startswith("metrics-")


def scope_of(**changed: object) -> dict[str, Any]:
    return {
        "method": "POST",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "http_version": "1.1",
        "scheme": "http",
        "headers": [(b"content-type", b"image/png"), (b"x-a", b"1"), (b"x-a", b"2")],
        **changed,
    }


def test_an_asgi_request_becomes_a_wsgi_environment():
    state = RequestState.lasting(1)
    environ = environment(scope_of(server=("host", 8080), client=("10.0.0.1", 5)), b"body", state)
    assert environ["PATH_INFO"] == "/a b"
    assert environ["QUERY_STRING"] == "c=d"
    assert environ["SERVER_NAME"] == "host"
    assert environ["SERVER_PORT"] == "8080"
    assert environ["REMOTE_ADDR"] == "10.0.0.1"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["CONTENT_TYPE"] == "image/png"
    assert environ["CONTENT_LENGTH"] == "4"
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["wsgi.input"].read() == b"body"
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ[KEY] is state


def test_a_socket_without_an_address_has_a_name_too():
    environ = environment(scope_of(headers=[]), b"", RequestState.lasting(1))
    assert environ["SERVER_NAME"] == "localhost"
    assert environ["SERVER_PORT"] == "80"
    assert environ["REMOTE_ADDR"] == ""
    assert environ["CONTENT_LENGTH"] == "0"


class Chunks(list[bytes]):
    """An app's body, which must be closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_an_apps_whole_answer_is_taken_and_its_body_closed():
    chunks = Chunks([b"a", b"b"])

    def app(environ: object, start_response: Any) -> Chunks:
        start_response("404 NOT FOUND", [("X-Name", "ü")])
        return chunks

    assert call(app, {}) == Answer(404, [(b"x-name", "ü".encode("latin-1"))], b"ab")
    assert chunks.closed
    assert call(lambda environ, start: start("200 OK", []) or [b"c"], {}) == Answer(200, [], b"c")


def operations(multi_model: bool) -> dict[str, dict[str, Any]]:
    paths = document(multi_model, 6)["paths"]
    return {
        f"{method} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    }


EVERYWHERE = {"get /ping": {"200", "503"}, "get /metrics": {"200"}, "get /openapi.json": {"200"}}
ANY_ERROR = {"200"} | {str(code) for code in ERRORS}


@pytest.mark.parametrize(
    "multi_model, expected",
    [
        (False, {"post /invocations": ANY_ERROR, "get /execution-parameters": {"200"}}),
        (
            True,
            {
                "get /models": {"200", "400"},
                "post /models": {"200", "400", "408", "409", "413", "415", "503", "507"},
                "get /models/{name}": {"200", "404"},
                "delete /models/{name}": {"200", "404"},
                "post /models/{name}/invoke": ANY_ERROR,
            },
        ),
    ],
)
def test_each_routes_statuses_are_described(multi_model, expected):
    found = operations(multi_model)
    statuses = {name: set(operation["responses"]) for name, operation in found.items()}
    assert statuses == {**EVERYWHERE, **expected}
    for name, operation in found.items():
        if name.startswith("post"):
            assert operation["requestBody"]["required"] is True
    assert set(ERRORS) == {400, 404, 406, 408, 413, 415, 422, 503}


def test_the_described_bounds_are_those_of_the_server():
    described = document(True, 0.5)
    assert "Bodies of up to 0.5 MiB" in described["info"]["description"]
    schemas = described["components"]["schemas"]
    instances = schemas["Instances"]["anyOf"][1]
    assert instances["maxItems"] == MAX_INSTANCES
    assert instances["minItems"] == 1
    assert schemas["Instance"]["anyOf"][1]["minLength"] == 1
    probability = schemas["Label"]["properties"]["probability"]
    assert probability == {"type": "number", "minimum": 0, "maximum": 1}
    (token,) = described["paths"]["/models"]["get"]["parameters"]
    assert token["schema"]["pattern"] == f"^[0-9]{{1,{TOKEN_DIGITS}}}$"
    (name,) = described["paths"]["/models/{name}"]["parameters"]
    assert name["required"] is True
    assert name["schema"]["minLength"] == 1
    wanted = described["paths"]["/models"]["post"]["requestBody"]["content"]["application/json"]
    assert wanted["schema"]["properties"]["url"]["minLength"] == 1
    assert wanted["schema"]["properties"]["model_name"]["minLength"] == 1
    (attributes,) = described["paths"]["/models/{name}/invoke"]["post"]["parameters"]
    assert attributes["schema"]["maxLength"] == 1024  # SageMaker's own maximum


def test_the_page_is_described_where_it_is_offered():
    assert "/classify" in document(False, 6, page=True)["paths"]
    assert "/classify" not in document(False, 6)["paths"]
