"""The console in a real browser: it moves, stops, asks; and no other page can."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_sagemaker import folders
from local_sagemaker.jobs import training
from local_sagemaker.jobs.training_run import KIND
from local_sagemaker.platform import Platform
from local_sagemaker.state_folder import console_link
from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import Browser, browsing, file
from tests.support.consoles import Console, console_of, served
from tests.support.hosting import settled, variant
from tests.support.sagemakers import Cloud, training_request, until
from tests.support.servers import photo
from tests.support.shell_engine import ShellEngine
from tests.web.test_rebinding import NAME, START, page_at

pytestmark = pytest.mark.verify

# It prints each file of a folder once the test has written it, and waits for the next one.
SCRIPT = """
n=1
while true; do
  while [ ! -e {lines}/$n ]; do sleep 0.05; done
  cat {lines}/$n
  n=$((n + 1))
done
"""
EVIL = "<img src=x onerror=\"document.title='hurt'\">"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    flags = (
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        # New browsers hold some of this back themselves; others, and older ones, do not.
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    )
    with browsing(tmp_path_factory.mktemp("profile"), *flags) as running:
        running.fulfil[START] = (200, "{}")
        running.call("Fetch.enable", patterns=[{"urlPattern": f"*{START}"}])
        yield running


class Job:
    """A training of the console's server that prints what the test says."""

    def __init__(self, console: Console, folder: Path, name: str) -> None:
        self.name = name
        self._console = console
        self._lines = folder / f"lines-{name}"
        self._lines.mkdir()
        self._count = 0
        console.platform.container_engine = ShellEngine(SCRIPT.format(lines=self._lines))
        request = training_request(name) | {
            "InputDataConfig": [],
            "OutputDataConfig": {"S3OutputPath": f"file://{folder}/out"},
            "HyperParameters": {"note": EVIL},
        }
        training.create(console.platform, request, "eu-west-1")

    def prints(self, line: str) -> None:
        self._count += 1
        written = self._lines / "new"
        written.write_text(line + "\n")
        written.rename(self._lines / str(self._count))

    def status(self) -> str:
        record = self._console.platform.store.find(KIND, self.name) or {}
        return str(record["TrainingJobStatus"])


@pytest.fixture
def console(tmp_path, monkeypatch) -> Iterator[Console]:
    monkeypatch.setattr(folders, "_roots", [tmp_path])
    made = console_of(Platform(tmp_path / "state", "process"))
    yield made
    for runner in list(made.platform.running.values()):
        runner.halt("closing")
        runner.join(timeout=30)


@pytest.fixture
def url(console) -> Iterator[str]:
    with served(console) as address:
        yield address


def opened(browser: Browser, url: str, link: str) -> None:
    browser.open(url + link)
    browser.until("location.pathname === '/' && document.getElementById('lists') !== null")


def test_a_job_moves_and_is_stopped(browser, console, url, tmp_path):
    job = Job(console, tmp_path, "moving")
    opened(browser, url, console.link())
    browser.until("document.querySelector('#lists a[href$=moving]') !== null")
    browser.open(f"{url}/console/training-jobs/moving")
    browser.run("window.same = true")
    browser.until("document.getElementById('state')?.innerText.includes('Training')")
    job.prints(f"epoch 1 validation_accuracy=0.5 {EVIL}")
    browser.until("document.querySelector('#logs .log')?.textContent.includes('epoch 1')")
    browser.until("document.querySelector('.legend')?.textContent.includes('0.5')")
    drawn = browser.run("document.querySelectorAll('#charts circle').length")
    job.prints("epoch 2 validation_accuracy=0.75")
    browser.until("document.querySelector('#logs .log').textContent.includes('epoch 2')")
    browser.until("document.querySelector('.legend').textContent.includes('0.75')")
    assert browser.run("document.querySelectorAll('#charts circle').length") == drawn + 1
    assert browser.run("window.same"), "the page was loaded again"
    browser.run("document.querySelector('#acts button').click()")
    browser.until("document.getElementById('state')?.innerText.includes('Stopped')")
    until(lambda: job.status() == "Stopped")
    browser.until("document.getElementById('acts')?.querySelector('button') === null")
    assert browser.run("document.title") == "moving"
    assert browser.errors == []


def test_a_foreign_page_changes_nothing(browser, console, url, tmp_path):
    """A form of another site, of another port of this machine, and a name that is rebound."""
    job = Job(console, tmp_path, "mine")
    until(lambda: job.status() == "InProgress")
    opened(browser, url, console.link())
    target = f"{url}/console/training-jobs/mine/stop"
    port = url.rpartition(":")[2]
    submit = f"""(() => {{ const form = document.createElement('form'); form.method = 'post';
        form.action = {json.dumps(target)}; document.body.append(form); form.submit(); }})()"""
    with page_at() as foreign:
        for host in (NAME, "127.0.0.1"):
            browser.open(f"http://{host}:{foreign}/")
            browser.run(submit)
            browser.until(f"location.href === {json.dumps(target)}")
            browser.until("document.body?.innerText.includes('another page than this server')")
        # A page cannot read the console either, nor hold it in a frame.
        browser.open(f"http://127.0.0.1:{foreign}/")
        read = f"fetch('{url}/', {{credentials: 'include'}}).then(() => 'read', () => 'closed')"
        assert browser.run(read) == "closed"
    browser.open(f"http://{NAME}:{port}{START}")
    assert browser.run("location.origin") == f"http://{NAME}:{port}"
    for method, path in (("GET", "/"), ("POST", "/console/training-jobs/mine/stop")):
        options = json.dumps({"method": method, "headers": {"Accept": "text/html"}})
        assert browser.run(f"fetch('{path}', {options}).then(answer => answer.status)") == 403
    assert job.status() == "InProgress"


def test_a_used_link_opens_nothing(browser, console, url, tmp_path_factory):
    link = console.link()
    opened(browser, url, link)
    with browsing(tmp_path_factory.mktemp("other")) as other:
        other.open(url + link)
        assert "This link has been used" in other.run("document.body.innerText")
        other.open(f"{url}/")
        assert "works once" in other.run("document.body.innerText")


@pytest.fixture(scope="module")
def endpoint(hosting: Cloud) -> str:
    client = hosting.client("sagemaker")
    client.create_endpoint_config(EndpointConfigName="asked", ProductionVariants=[variant()])
    client.create_endpoint(EndpointName="asked", EndpointConfigName="asked")
    found = settled(client, "asked")
    assert found["EndpointStatus"] == "InService", found
    return "asked"


def command_link(hosting: Cloud) -> str:
    """The path of the link that the command prints."""
    return console_link(hosting.state).removeprefix(hosting.url)


def test_an_endpoint_answers_a_dropped_photo(browser, hosting, endpoint, tmp_path):
    opened(browser, hosting.url, command_link(hosting))
    browser.open(f"{hosting.url}/console/endpoints/{endpoint}")
    browser.drop(
        file(tmp_path, "green.jpg", photo("green")), file(tmp_path, "red.jpg", photo("red"))
    )
    answers = "[...document.querySelectorAll('.answer h3')].map(one => one.innerText).join(' ')"
    browser.until(f"({answers}) === 'red green'")
    assert browser.run("document.querySelectorAll('.answer img').length") == 2
    browser.drop(file(tmp_path, "words.jpg", b"no photo"))
    browser.until(f"({answers}) === 'No answer red green'")
    assert browser.run("document.querySelector('.answer .notice').innerText.length > 20")


def test_an_endpoint_answers_a_form_without_javascript(browser, hosting, endpoint, tmp_path):
    opened(browser, hosting.url, command_link(hosting))
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{hosting.url}/console/endpoints/{endpoint}")
        browser.choose("photo", file(tmp_path, "green.jpg", photo("green")))
        browser.run("HTMLFormElement.prototype.submit.call(document.getElementById('form'))")
        browser.until("document.querySelector('.answer h3')?.innerText === 'green'")
        assert browser.run("location.pathname") == f"/console/endpoints/{endpoint}/ask"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_axe_finds_nothing(browser, console, url, tmp_path):
    axe = axe_source(tmp_path)
    job = Job(console, tmp_path, "seen")
    for number in range(3):
        job.prints(f"validation_accuracy=0.{number}")
    opened(browser, url, console.link())
    until(lambda: len(console.platform.metric_history.of_job("seen")) == 3)
    for path in ("/", "/console/training-jobs", "/console/training-jobs/seen", "/console/models"):
        for width in WIDTHS:
            for dark in (False, True):
                found = violations(browser, axe, url + path, width, dark)
                assert found == [], (path, width, dark)
                assert browser.run("document.documentElement.scrollWidth <= innerWidth"), path
