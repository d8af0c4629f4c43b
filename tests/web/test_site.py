"""The page's routes in the server, under load, and in Lambda's zip; the template's permissions."""

import ast
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from launch.requests_api import code
from runtime.ports import free_port
from tests.support.jobs import COLOURS, REPOSITORY
from tests.support.sagemakers import until
from tests.support.servers import b64, photo, serving

pytestmark = pytest.mark.slow

CLIENTS = 100


@pytest.fixture(scope="module")
def server(colours):
    with serving(
        colours.model,
        SLIPWAY_PAGE=1,
        SLIPWAY_SAMPLES=colours.root / "input" / "data" / "validation",
        SAGEMAKER_MAX_PAYLOAD_IN_MB=14,
    ) as running:
        yield running


def test_a_hundred_clients_get_their_own_answers(server):
    wrong, times = [], []

    def client(number: int) -> None:
        colour = sorted(COLOURS)[number % 3]
        for method, path, body, kind in (
            ("GET", "/", None, ""),
            ("GET", "/sample", None, ""),
            ("POST", "/classify", photo(colour), "image/jpeg"),
            (
                "POST",
                "/classify",
                json.dumps({"b64": b64(photo(colour))}).encode(),
                "application/json",
            ),
        ):
            started = time.monotonic()
            status, _, answer = server.ask(
                method, path, body, {"Content-Type": kind} if kind else {}
            )
            times.append(time.monotonic() - started)
            if status != 200 or (path == "/classify" and json.loads(answer)["label"] != colour):
                wrong.append((method, path, status, answer[:200]))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(times) == 4 * CLIENTS
    print(f"{len(times)} requests, slowest {max(times):.2f} s")


def counted(server) -> float:
    """Photos answered so far."""
    [line] = [
        line
        for line in server.ask("GET", "/metrics")[2].decode().split("\n")
        if line.startswith("slipway_photos_total ")
    ]
    return float(line.split()[1])


def test_the_server_itself_serves_the_same_routes(server):
    status, headers, page = server.ask("GET", "/")
    assert status == 200
    assert b"The model is <b>shufflenet_v2_x0_5</b>. It is right on <b>100.0 %</b>" in page
    assert b"<!--" not in page
    assert "script-src 'sha256-" in headers["content-security-policy"]
    assert json.loads(server.ask("GET", "/labels")[2]) == {"labels": sorted(COLOURS)}
    assert server.ask("GET", "/healthz")[0] == 200
    document = json.loads(server.ask("GET", "/openapi.json")[2])
    assert {
        "/",
        "/classify",
        "/answer",
        "/saliency",
        "/sample",
        "/labels",
        "/healthz",
        "/getyogaapp",
        "/invocations",
        "/ping",
    } <= set(document["paths"])
    before = counted(server)
    # it is work as /invocations is, on those threads
    assert server.invoke(photo("green"), path="/classify")[0] == 200
    assert counted(server) == before + 1
    status, answer = server.invoke(photo() + bytes(10 * 1024 * 1024), path="/classify")
    assert status == 413
    assert "10 MB" in answer["error"]
    status, answer = server.invoke(b"\xff\xd8\xff broken", path="/classify")
    assert status == 422
    assert "photo" in answer["error"]
    status, answer = server.invoke(
        json.dumps({"is_user_data": False}).encode(), "application/json", "/getyogaapp"
    )
    assert status == 200
    assert answer["prediction"] == answer["groundtruth"]
    assert server.label(photo("red")) == "red"


def test_it_is_off_unless_it_is_asked_for(colours):
    with serving(colours.model) as plain:
        for method, path in (
            ("GET", "/"),
            ("POST", "/classify"),
            ("GET", "/sample"),
            ("POST", "/getyogaapp"),
        ):
            assert plain.ask(method, path)[0] == 404
        assert "/classify" not in json.loads(plain.ask("GET", "/openapi.json")[2])["paths"]


def test_make_web_serves_the_page_in_front_of_the_demos_model(colours, tmp_path):
    port = free_port()
    for link, place in (
        (".venv", sys.prefix),
        ("out/ml/model", colours.model),
        ("out/prepared/validation", colours.root / "input/data/validation"),
        *((place.parent.name, place.parent) for place in REPOSITORY.glob("*/__init__.py")),
    ):
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(place)
    command = [
        "make",
        "--no-print-directory",
        "web",
        f"PORT={port}",
        "ENGINE=process",
    ]
    (tmp_path / "Makefile").write_text(
        f"include {REPOSITORY}/Makefile\n.venv/.process: ; @:\n"  # the environment is there
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "VENV"))
    }  # else those of `make test VENV=…` would hold here, too
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert (
                f" at http://127.0.0.1:{port}/, with plain processes" in process.stdout.readline()
            )
            until(
                lambda: (
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).status
                    == 200
                )
            )
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                shown = page.read()
                assert b"The model is <b>shufflenet_v2_x0_5</b>." in shown
                assert f"http://127.0.0.1:{port}/classify".encode() in shown
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/sample", timeout=5) as sample:
                assert json.load(sample)["label"] in COLOURS
            large = urllib.request.Request(
                f"http://127.0.0.1:{port}/classify",
                photo("blue") + bytes(9 * 1024 * 1024),
                {"Content-Type": "image/jpeg"},
            )
            # the page's 10 MB, not the endpoint's 6
            with urllib.request.urlopen(large, timeout=20) as answer:
                assert json.load(answer)["label"] == "blue"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SLIPWAY_PAGE": "1", "SLIPWAY_SAMPLES": "/nowhere"}, "SLIPWAY_SAMPLES must be a folder"),
        ({"SLIPWAY_PAGE": "maybe"}, "SLIPWAY_PAGE must be true or false"),
        ({"SLIPWAY_PAGE": "1", "SAGEMAKER_MULTI_MODEL": "true"}, "does not go with"),
        ({"SLIPWAY_SURE_FROM": "2"}, "between 0 and 1"),
    ],
)
def test_settings_of_the_page_are_checked(variables, words):
    from serve.settings import ServingSettings, SettingsError

    with pytest.raises(SettingsError, match=words):
        ServingSettings.read(variables)


def test_the_server_needs_nothing_of_aws():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, serve.page, serve.factory; "
            "print({'boto3', 'botocore', 'web.aws'} & set(sys.modules))",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def imported_by(file: Path) -> set[str]:
    """The top-level names of a file's imports."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_the_function_needs_boto3_and_the_standard_library_only(tmp_path):
    zipped = code()
    assert zipped == code()
    assert len(zipped) < 60_000
    zipfile.ZipFile(io.BytesIO(zipped)).extractall(tmp_path)
    found = {".".join(path.relative_to(tmp_path).parts) for path in tmp_path.rglob("*.*")}
    assert {
        "web.aws.handler.py",
        "web.aws.endpoint.py",
        "web.page.html",
        "web.site.py",
    } <= found
    assert len(found) <= 22
    allowed = sys.stdlib_module_names | {"web", "artifact", "boto3", "botocore"}
    for file in tmp_path.rglob("*.py"):
        assert imported_by(file) <= allowed, file
    event = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        f"from web.aws.handler import handle; print(handle({event!r})['statusCode'])"
    )
    variables = {"SLIPWAY_ENDPOINT": "x", "AWS_DEFAULT_REGION": "eu-west-1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "200\n", done.stderr
