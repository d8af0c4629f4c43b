"""The page's routes where they run: in the server itself under load, and in Lambda without anything installed; and what the template lets it do."""

import ast
import http.server
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from launch.requests_api import code
from runtime.ports import free_port
from tests.support.aws import running_server
from tests.support.jobs import COLOURS, REPOSITORY
from tests.support.sagemakers import until
from tests.support.servers import b64, photo, serving
from tests.support.stacks import resources
from web import wikipedia
from web.legacy_yoga_api import spoken

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
            if status != 200 or path == "/classify" and json.loads(answer)["label"] != colour:
                wrong.append((method, path, status, answer[:200]))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(times) == 4 * CLIENTS
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
    assert (
        status == 200
        and page == (REPOSITORY / "web" / "page.html").read_bytes()
        and "script-src 'sha256-" in headers["content-security-policy"]
    )
    assert (
        json.loads(server.ask("GET", "/labels")[2]) == {"labels": sorted(COLOURS)}
        and server.ask("GET", "/healthz")[0] == 200
    )
    document = json.loads(server.ask("GET", "/openapi.json")[2])
    assert {
        "/",
        "/classify",
        "/sample",
        "/labels",
        "/healthz",
        "/getyogaapp",
        "/invocations",
        "/ping",
    } <= set(document["paths"])
    before = counted(server)
    assert (
        server.invoke(photo("green"), path="/classify")[0] == 200 and counted(server) == before + 1
    )  # it is work as /invocations is, on those threads
    status, answer = server.invoke(photo() + bytes(10 * 1024 * 1024), path="/classify")
    assert status == 413 and "10 MB" in answer["error"]
    status, answer = server.invoke(b"\xff\xd8\xff broken", path="/classify")
    assert status == 422 and "photo" in answer["error"]
    status, answer = server.invoke(
        json.dumps({"is_user_data": False}).encode(), "application/json", "/getyogaapp"
    )
    assert (
        status == 200
        and answer["prediction"] == answer["groundtruth"]
        and server.label(photo("red")) == "red"
    )


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
    ):
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(place)
    command = [
        "make",
        "--no-print-directory",
        "-f",
        str(REPOSITORY / "Makefile"),
        "-o",
        ".venv/.process",
        "web",
        f"PORT={port}",
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "VENV"))
    }  # else those of `make test VENV=…` would hold here, too
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert f"web: http://127.0.0.1:{port}/" in process.stdout.readline()
            until(
                lambda: (
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).status
                    == 200
                )
            )
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                assert page.read() == (REPOSITORY / "web" / "page.html").read_bytes()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/sample", timeout=5) as sample:
                assert json.load(sample)["label"] in COLOURS
            large = urllib.request.Request(
                f"http://127.0.0.1:{port}/classify",
                photo("blue") + bytes(9 * 1024 * 1024),
                {"Content-Type": "image/jpeg"},
            )
            with urllib.request.urlopen(
                large, timeout=20
            ) as answer:  # the page's 10 MB, not the endpoint's 6
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
            "import sys, serve.page, serve.factory; print({'boto3', 'botocore', 'api'} & set(sys.modules))",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_the_function_needs_boto3_and_the_standard_library_only(tmp_path):
    zipped = code()
    assert zipped == code() and len(zipped) < 60_000
    zipfile.ZipFile(io.BytesIO(zipped)).extractall(tmp_path)
    found = {".".join(path.relative_to(tmp_path).parts) for path in tmp_path.rglob("*.*")}
    assert {
        "web.aws.handler.py",
        "web.aws.endpoint.py",
        "web.page.html",
        "web.site.py",
    } <= found and len(found) < 15
    for file in tmp_path.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {
                "web",
                "boto3",
                "botocore",
            }, file
    event = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from web.aws.handler import handle; print(handle({event!r})['statusCode'])"
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


def test_the_template_passes_cfn_lint():
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        pytest.skip("cfn-lint is not installed here")
    done = subprocess.run(
        [program, REPOSITORY / "web" / "aws" / "template.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_function_may_do_five_things_and_no_more():
    template = resources()
    [policy] = template["Resources"]["Role"]["Properties"]["Policies"]
    statements = [
        entry[1] if isinstance(entry, list) else entry
        for entry in policy["PolicyDocument"]["Statement"]
    ]
    actions = {str(statement["Action"]): statement["Resource"] for statement in statements}
    assert set(actions) == {
        "sagemaker:InvokeEndpoint",
        "['logs:CreateLogStream', 'logs:PutLogEvents']",
        "s3:GetObject",
        "s3:ListBucket",
        "kms:Decrypt",
    }
    assert actions["sagemaker:InvokeEndpoint"].endswith(":endpoint/${EndpointArnName}")
    assert actions["kms:Decrypt"] == "SamplesKeyArn" and statements[0]["Condition"][1] == {
        "StringEquals": {"sagemaker:TargetModel": "TargetModel"}
    }
    assert actions["s3:GetObject"].endswith("${SamplesBucket}/${SamplesPrefix}*")
    assert statements[3]["Condition"] == {"StringLike": {"s3:prefix": "${SamplesPrefix}*"}}
    assert "ManagedPolicyArns" not in template["Resources"]["Role"]["Properties"]
    routes = {
        name: entry["Properties"]
        for name, entry in template["Resources"].items()
        if entry["Type"] == "AWS::ApiGatewayV2::Route"
    }
    closed = {route["RouteKey"] for route in routes.values() if "AuthorizationType" in route}
    stage = template["Resources"]["Stage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": "RequestsPerSecond",
        "ThrottlingBurstLimit": "RequestBurst",
    }
    assert (
        json.loads(re.sub(r":(\$[\w.]+)", r':"\1"', stage["AccessLogSettings"]["Format"]))["status"]
        == "$context.status"
    )
    assert (
        template["Resources"]["Api"]["Properties"]["CorsConfiguration"][1]["AllowOrigins"]
        == "AllowedOrigins"
    )
    assert closed == {"POST /classify", "GET /sample", "GET /labels", "POST /getyogaapp"}
    assert template["Rules"]["OnePrefix"]["Assertions"][0]["Assert"] == [
        ["SamplesPrefix", ""]
    ]  # never a whole bucket
    for prefix, taken in (
        ("photos/", True),
        ("", True),
        ("/", False),
        ("photos", False),
        ("*/", False),
        ("${aws:userid}/", False),
    ):
        assert (
            bool(re.fullmatch(template["Parameters"]["SamplesPrefix"]["AllowedPattern"], prefix))
            == taken
        ), prefix


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("001.Afghan_hound", "Afghan hound"),
        ("ArdhaChandrasana", "Ardha Chandrasana"),
        ("Downward_dog", "Downward dog"),
        ("red", "red"),
    ],
)
def test_labels_are_spoken_as_people_write_them(label, words):
    assert spoken(label) == words


def test_wikipedias_words_are_taken_as_it_gives_them(monkeypatch):
    monkeypatch.setitem(wikipedia._pause, "until", 0.0)
    asked = []

    class Encyclopedia(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            asked.append((query["gsrsearch"], self.headers["User-Agent"]))
            pages = (
                {"query": {"pages": [{"title": "Red", "extract": "Red is a colour.\n"}]}}
                if query["gsrsearch"] == "red"
                else {"batchcomplete": True}
            )
            body = json.dumps(pages).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with running_server(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Encyclopedia)) as running:
        address = f"http://127.0.0.1:{running.server_port}/"
        assert (
            wikipedia.summary_of("red", address)
            == wikipedia.summary_of("red", address)
            == ("Red", "Red is a colour.")
        )
        assert (
            wikipedia.summary_of("qwertz", address) == ("", "")
            and len(asked) == 2
            and "slipway" in asked[0][1]
        )
    assert (
        wikipedia.summary_of("green", address) == ("", "")
        and wikipedia._pause["until"] > time.monotonic()
    )
