"""A search of several machines over PostgreSQL; two processes stand for two machines.

Where the system lets it, the second has a host name of its own, so that it is another machine for
the first one and the database's heartbeat alone decides on its trials.
"""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest

from artifact.text.json_text import read_json
from tests.support.jobs import REPOSITORY
from tests.support.postgresql import PASSWORD, WRITTEN, programs, server, wait_for
from tests.support.tuning import command, document
from tune.results import TuningJob, read_results
from tune.storage import GRACE_S

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed"),
]
JOBS = 8
LIMIT_S = 600.0
OTHER_NAME = ("unshare", "--uts", "sh", "-c", 'hostname machine-b && exec "$@"', "sh")


@pytest.fixture(scope="module")
def database():
    with server() as made:
        yield made


def machine(
    folder: Path, data: Path, url: str, name: str = "job-0", jobs: int = JOBS, prefix=()
) -> subprocess.Popen[str]:
    """`python -m tune` on a machine whose files lie in a folder of its own; one worker."""
    recipe = document({"name": name, "budgets": {"jobs": jobs, "parallel": 2}}, epochs=2)
    words = command(folder, data, recipe, "--workers", 1, "--storage", url)
    with open(folder / "printed", "w", encoding="utf-8") as printed:
        return subprocess.Popen(
            [*prefix, *words], cwd=REPOSITORY, stdout=printed, stderr=subprocess.STDOUT, text=True
        )


def results(folder: Path) -> TuningJob:
    return read_results(folder / "out" / "tuning.json")[0]


def begun(folder: Path) -> int:
    """Trials of which the machine has a tree."""
    return len(list((folder / "out/trials").glob("*/*/output.log")))


def printed_by(folder: Path) -> str:
    return (folder / "printed").read_text(encoding="utf-8")


def own_name() -> tuple[str, ...]:
    """What gives a process a host name of its own; nothing where that is not allowed."""
    tried = subprocess.run([*OTHER_NAME, "true"], capture_output=True, check=False)
    return OTHER_NAME if tried.returncode == 0 else ()


def check_whole(job: TuningJob, jobs: int = JOBS) -> None:
    """No trial is lost and none is doubled."""
    assert job.status == "Completed"
    assert [trial.status for trial in job.trials] == ["Completed"] * jobs
    names = Counter(trial.name for trial in job.trials)
    assert max(names.values()) == 1, names
    values = Counter(trial.hyperparameters["lr"] for trial in job.trials)
    assert max(values.values()) == 1, values


def no_secret_in(folder: Path) -> None:
    """Nothing that a machine has written holds the password."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PASSWORD.encode() not in content, path
            assert WRITTEN.encode() not in content, path


def kill_all(process: subprocess.Popen[str]) -> None:
    """kill -9 of a machine's processes, as when its power fails."""
    every = psutil.Process(process.pid).children(recursive=True)
    for child in [psutil.Process(process.pid), *every]:
        with_it = [] if not child.is_running() else [child]
        for found in with_it:
            os.kill(found.pid, signal.SIGKILL)
    process.wait(timeout=30)


def test_two_machines_come_to_one_table(tmp_path, data, database):
    running = [machine(tmp_path / name, data, database.url) for name in ("a", "b")]
    for process in running:
        for part in [psutil.Process(process.pid), *psutil.Process(process.pid).children()]:
            wait_for(lambda part=part: WRITTEN not in " ".join(part.cmdline()))
    codes = [process.wait(timeout=LIMIT_S) for process in running]
    assert codes == [0, 0], printed_by(tmp_path / "a") + printed_by(tmp_path / "b")
    assert results(tmp_path / "a") == results(tmp_path / "b")
    check_whole(results(tmp_path / "a"))
    assert begun(tmp_path / "a") + begun(tmp_path / "b") == JOBS
    for name in ("a", "b"):
        page = (tmp_path / name / "out/tuning.html").read_text(encoding="utf-8")
        assert f"job-0-{JOBS:03d}" in page
        assert read_json((tmp_path / name / "out/best.json").read_bytes())
        no_secret_in(tmp_path / name)


def test_a_machine_that_is_killed_loses_and_doubles_nothing(tmp_path, data, database):
    a = machine(tmp_path / "a", data, database.url, "killed")
    b = machine(tmp_path / "b", data, database.url, "killed", prefix=own_name())
    wait_for(lambda: begun(tmp_path / "b") >= 2)
    kill_all(b)
    code = a.wait(timeout=LIMIT_S + GRACE_S)
    assert code == 0, printed_by(tmp_path / "a")
    check_whole(results(tmp_path / "a"))
    # The killed machine comes back: all is done, and its results become the same.
    b = machine(tmp_path / "b", data, database.url, "killed")
    assert b.wait(timeout=LIMIT_S) == 0, printed_by(tmp_path / "b")
    assert results(tmp_path / "b") == results(tmp_path / "a")
    no_secret_in(tmp_path)


def test_a_database_that_goes_is_one_sentence_and_the_search_goes_on(tmp_path, data):
    with server() as made:
        process = machine(tmp_path / "a", data, made.url, "gone", jobs=4)
        wait_for(lambda: begun(tmp_path / "a") >= 2)
        made.stop()
        assert process.wait(timeout=LIMIT_S) == 1
        said = printed_by(tmp_path / "a")
        assert "Traceback" not in said
        assert "127.0.0.1" in said.splitlines()[-1]
        assert "answers no more" in said.splitlines()[-1]
        assert results(tmp_path / "a").status == "Stopped"
        made.start()
        process = machine(tmp_path / "a", data, made.url, "gone", jobs=4)
        assert process.wait(timeout=LIMIT_S) == 0, printed_by(tmp_path / "a")
        check_whole(results(tmp_path / "a"), 4)
        no_secret_in(tmp_path)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ((f":{WRITTEN}@", ":another@"), "password authentication failed"),
        (("/postgres", "/elsewhere"), 'database "elsewhere" does not exist'),
    ],
)
def test_a_wrong_url_is_one_sentence(tmp_path, data, database, change, sentence):
    head, tail = database.url.rsplit("@", 1)
    url = f"{head}@{tail.replace(*change)}" if change[0] in tail else database.url.replace(*change)
    process = machine(tmp_path, data, url)
    assert process.wait(timeout=LIMIT_S) == 1
    said = printed_by(tmp_path)
    assert "Traceback" not in said
    assert sentence in said
    assert "another" not in said.replace("another --", "")
    no_secret_in(tmp_path)
