"""The console of local SageMaker, request by request: who may ask it, and what its pages say."""

import html
import io
import itertools
import json
import math
import re
import urllib.error
import urllib.request

import pytest
from werkzeug.test import Client

from local_sagemaker import folders
from local_sagemaker.access.access import EXPORTS
from local_sagemaker.console.charts import metric_charts, search_chart
from local_sagemaker.console.kinds import KINDS
from local_sagemaker.console.log_tail import MOST_BYTES, tails
from local_sagemaker.jobs import training
from local_sagemaker.metric_history import MetricHistory
from local_sagemaker.platform import Platform
from local_sagemaker.state_folder import console_link
from tests.local_sagemaker.test_pipelines import Server, branching
from tests.support.consoles import console_of
from tests.support.sagemakers import training_request

EVIL = "<img src=x onerror=alert(1)>"
BROWSER = {"Accept": "text/html", "Host": "127.0.0.1:8090"}
OWN = {"Origin": "http://127.0.0.1:8090"}


@pytest.fixture
def console(tmp_path):
    return console_of(Platform(tmp_path, "process"))


def get(client: Client, path: str, **more: str):
    return client.get(path, headers={**BROWSER, **more}, base_url="http://127.0.0.1:8090")


def post(client: Client, path: str, headers=None, **fields: object):
    given = {**BROWSER, **(headers or {})}
    return client.post(path, data=fields, headers=given, base_url="http://127.0.0.1:8090")


@pytest.fixture
def client(console):
    """A browser that has opened the console."""
    opened = Client(console.app)
    assert get(opened, console.link()).status_code == 200
    return opened


def add_training(console, name: str, status: str = "InProgress", **more: object) -> None:
    """The record of a training that nothing runs for."""
    record = training.first_record({**training_request(name), **more}, "eu-west-1")
    record |= {"TrainingJobStatus": status, "SecondaryStatus": status, "TrainingEndTime": 2e9}
    training.add(console.platform, {**record, **more})


def test_a_link_opens_once(console):
    link = console.link()
    first = Client(console.app)
    answer = get(first, link)
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert answer.headers["Refresh"] == "0; url=/"
    assert get(first, "/").status_code == 200
    second = Client(console.app)
    answer = get(second, link)
    assert answer.status_code == 403
    assert "This link has been used, and it opens the console once." in answer.text
    assert "Set-Cookie" not in answer.headers
    assert get(second, "/").status_code == 403
    assert get(first, "/").status_code == 200


def test_a_look_at_a_link_does_not_use_it_up(console):
    link = console.link()
    client = Client(console.app)
    client.head(link, headers=BROWSER)
    assert get(client, link).status_code == 200


def test_who_has_no_cookie_sees_nothing(console):
    add_training(console, "secret-name")
    client = Client(console.app)
    for path in ("/", "/console/training-jobs", "/console/training-jobs/secret-name"):
        for cookie in ("", "slipway-console-8090=abc"):
            answer = get(client, path, Cookie=cookie)
            assert answer.status_code == 403
            assert "works once" in answer.text
            assert "secret-name" not in answer.text
    for link in ("/console/open?key=abc", "/console/open"):
        assert "none of this server's" in html.unescape(get(client, link).text)


def test_programs_are_answered_as_before(console):
    answer = Client(console.app).get("/", headers={"Host": "127.0.0.1"})
    assert json.loads(answer.text)["__type"] == "MissingAuthenticationToken"


@pytest.mark.parametrize(
    "header, value",
    [
        ("Host", "evil.example:8090"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:8091"),  # another server of this machine
        ("Referer", "http://evil.example/page"),
    ],
)
def test_a_foreign_page_is_refused_with_the_cookie(console, client, header, value):
    add_training(console, "mine")
    for path in ("/console/training-jobs/mine/stop", "/console/endpoints/any/ask"):
        assert post(client, path, {**OWN, header: value}).status_code == 403
    assert get(client, "/", **{header: value}).status_code == 403


def test_a_change_needs_an_origin_or_the_forms_token(console, client):
    add_training(console, "mine", "Completed")
    path = "/console/training-jobs/mine/stop"
    for fields in ({}, {"token": "abc"}, {"token": "ü"}):
        answer = post(client, path, **fields)
        assert answer.status_code == 403
        assert "does not come from a page of this console" in answer.text
    # The answer is SageMaker's own: the request has come through.
    assert "is in status Completed" in post(client, path, OWN).text
    add_training(console, "spot", EnableManagedSpotTraining=True, SecondaryStatus="Training")
    page = get(client, "/console/training-jobs/spot").text
    [token, *_] = re.findall(r'name="token"\s+value="([0-9a-f]+)"', page)
    assert "is in status Completed" in post(client, path, token=token).text
    answer = post(client, "/console/training-jobs/spot/stop", token=token)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/training-jobs/spot")


def test_headers_keep_the_page_to_itself(client):
    headers = get(client, "/").headers
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "same-origin"


def test_with_nothing_run_it_says_how_to_begin(client, console):
    console.keys.exports(console.platform.folder, "http://127.0.0.1:8090", {})
    text = html.unescape(get(client, "/").text)
    assert "Nothing has run here yet" in text
    assert (console.platform.folder / EXPORTS).read_text() in text
    for path in KINDS:
        assert "0 " in get(client, f"/console/{path}").text


def test_many_jobs_have_pages_and_filters(client, console, monkeypatch):
    monkeypatch.setattr("local_sagemaker.console.pages.LIST_ROWS", 4)
    for number in range(9):
        add_training(console, f"job-{number}", "Stopped" if number % 2 else "Completed")
    add_training(console, "at-work")
    names = r'training-jobs/([a-z0-9-]+)">'
    overview = re.findall(names, get(client, "/").text)
    assert overview == ["at-work", "job-8", "job-7", "job-6", "job-5", "job-4"]
    found = [re.findall(names, get(client, f"/console/training-jobs?page={n}").text) for n in "123"]
    assert found[2] == ["job-1", "job-0"]
    stopped = get(client, "/console/training-jobs?state=Stopped&name=JOB").text
    assert re.findall(names, stopped) == ["job-7", "job-5", "job-3", "job-1"]
    for odd in ("page=0", "page=99999999999999999", "page=²", "page=x", f"name={EVIL}"):
        answer = get(client, f"/console/training-jobs?{odd}")
        assert answer.status_code == 200
        assert EVIL not in answer.text


def test_nothing_that_a_job_says_becomes_html(client, console):
    long = f"AlgorithmError: {EVIL} {'words ' * 150}"
    tuned = {"note": EVIL, EVIL: "1"}
    add_training(console, "bad", "Failed", FailureReason=long, HyperParameters=tuned)
    metric = {"MetricName": EVIL, "Value": 0.5, "Timestamp": 1e9}
    console.platform.metric_history.put("bad", metric)
    stream = console.platform.logs.stream("TrainingJobs", "bad/algo-1-1", "eu-west-1")
    stream.line(f"\x1b[31m{EVIL}\x1b[0m \x00 {'long ' * 2000}")
    stream.close()
    for path in ("/", "/console/training-jobs", "/console/training-jobs/bad"):
        answer = get(client, path)
        assert answer.status_code == 200
        assert EVIL not in answer.text
    text = html.unescape(answer.text)
    assert long in text
    assert f"{EVIL} \\x00 long" in text  # the log, without colours
    assert get(client, f"/console/training-jobs/{EVIL}").status_code == 404
    assert EVIL not in get(client, f"/console/{EVIL}/{EVIL}").text


def test_pipelines_and_what_they_make_have_pages(tmp_path):
    server = Server(tmp_path)
    folders.allow([tmp_path])
    branching(server)
    execution = server.ended(Share="0.9")
    console = console_of(server.platform)
    client = Client(console.app)
    get(client, console.link())
    run = execution["PipelineExecutionArn"].rpartition("/")[2]
    text = get(client, f"/console/pipeline-executions/{run}").text
    links = re.findall(r'href="(/console/[a-z-]+/[\w.-]+)"', text)
    assert "/console/model-packages/ways.1" in links
    assert "/console/pipelines/Way" in links
    for link in links:
        assert get(client, link).status_code == 200, link
    assert "PendingManualApproval" in get(client, "/console/model-packages").text
    assert f"/console/pipeline-executions/{run}" in get(client, "/console/pipelines/Way").text
    answer = post(client, f"/console/pipeline-executions/{run}/stop", OWN)
    assert "Only an execution that is Executing can be stopped" in answer.text


def test_an_endpoint_that_does_not_answer_says_why(client, console):
    record = {"EndpointName": "e", "EndpointStatus": "InService", "EndpointConfigName": "c"}
    record |= {"Region": "eu-west-1", "EndpointArn": "arn:e"}
    console.platform.store.add("endpoint", "e", record, Exception())
    assert 'enctype="multipart/form-data"' in get(client, "/console/endpoints/e").text
    answer = post(client, "/console/endpoints/e/ask", OWN, photo=(io.BytesIO(b"x"), f"{EVIL}.jpg"))
    assert answer.status_code == 200
    assert "Endpoint e of account 123456789012 not found." in answer.text
    assert EVIL not in answer.text
    large = client.post(
        "/console/endpoints/e/ask",
        data=bytes(7 * 2**20),
        headers={**BROWSER, **OWN, "Content-Type": "multipart/form-data; boundary=x"},
        base_url="http://127.0.0.1:8090",
    )
    assert large.status_code == 413
    assert "larger than the 6291456 bytes" in large.text


def test_a_metric_is_remembered_until_its_job_is_deleted(tmp_path):
    history = MetricHistory(tmp_path / "metrics")
    assert history.of_job("a") == []
    values = [{"MetricName": "m", "Value": float(n), "Timestamp": 1.0} for n in range(3)]
    for value in values:
        history.put("a", value)
    with (tmp_path / "metrics" / "a.jsonl").open("a") as file:
        file.write('{"MetricName": "m", "Va')  # a server that was killed
    assert MetricHistory(tmp_path / "metrics").of_job("a") == values
    history.forget("a")
    assert history.of_job("a") == []


def test_train_and_validation_share_a_chart():
    names = ("train_loss", "validation_loss", "validation:accuracy", "f1", "val:f1")
    values = [
        {"MetricName": name, "Value": value, "Timestamp": 100.0 + 90 * at}
        for name in names
        for at, value in enumerate((0.5, math.nan, 0.25))
    ]
    charts = metric_charts(values)
    lines = {chart["title"]: [line["name"] for line in chart["lines"]] for chart in charts}
    assert lines == {
        "loss": ["train", "validation"],
        "accuracy": ["validation"],
        "f1": ["f1", "val"],
    }
    assert charts[0]["x_label"] == "minutes since the first value"
    assert charts[0]["lines"][0]["last"] == "0.25"


def test_the_best_of_a_search_so_far():
    chart = search_chart("loss", False, [0.5, math.nan, 0.75, 0.25])
    trial, best = chart["lines"]
    assert (len(trial["dots"]), trial["path"], best["last"]) == (3, "", "0.25")
    assert search_chart("loss", True, [math.nan])["lines"][1]["last"] == ""


def test_the_end_of_a_long_log_is_read(tmp_path):
    folder = tmp_path / "Jobs" / "a"
    folder.mkdir(parents=True)
    (folder / "one.log").write_text("line\n" * MOST_BYTES + "the last\n")
    [tail] = tails(tmp_path, "Jobs", "a")
    assert (tail.name, tail.lines[-1], tail.cut) == ("a/one", "the last", True)
    assert set(tail.lines[:-1]) == {"line"}


@pytest.mark.slow
def test_the_server_prints_a_link_to_its_console(hosting):
    printed = hosting.process.stdout
    assert printed is not None  # it is a pipe
    lines = itertools.takewhile(lambda line: "in any shell" not in line, printed)
    link = list(lines)[-1].partition("once by this link: ")[2].strip()
    for url in (link, console_link(hosting.state)):
        request = urllib.request.Request(url, headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert "SameSite=Strict" in answer.headers["Set-Cookie"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=60)
