"""A project in an empty folder: from init to an answered photo; a failure leaves out/ alone."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from artifact.pages.project_pages import UNFINISHED
from recipes.recipe import parse_recipe
from runtime import processes
from runtime.errors import RunError
from runtime.ports import free_port
from runtime.probes import wait_ready
from slipway.project import photos_of
from slipway.steps import unfinished
from tests.support.jobs import SMALL, draw_channel
from tests.support.own_checkout import run

QUICK = [f"--set={name}={value}" for name, value in {**SMALL, "epochs": "8"}.items()]


def results_of(folder) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder, but of what an unfinished run wrote."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((UNFINISHED, ".lock")):
            found[name] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


@pytest.mark.training
def test_from_init_to_an_answered_photo(program, tmp_path):
    draw_channel(tmp_path / "my photos", 12)
    done = run(program, "init", "mine", "--photos", "my photos", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    project = tmp_path / "mine"
    done = run(program, "train", "--engine", "process", *QUICK, folder=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train: recipe=mine validation_accuracy=" in done.stdout.splitlines()[-1]
    assert (project / "out/model.tar.gz").is_file()
    assert (project / "out/ml/output/data/report.html").is_file()
    assert (project / "out/prepared/report.html").is_file()
    index = (project / "out/index.html").read_text(encoding="utf-8")
    assert index.count("recipe mine") == 2  # of the photos and of the training
    assert 'href="ml/output/data/predictions.csv"' in index
    assert not list((project / "out").glob(f"{UNFINISHED}*"))
    before = results_of(project / "out")
    # Photos that nothing can be learnt from: all of the earlier training's results stay.
    (tmp_path / "broken/red").mkdir(parents=True)
    (tmp_path / "broken/red/1.jpg").write_bytes(b"no photo")
    wrong = ["--engine", "process", "--photos", "../broken"]
    done = run(program, "train", *wrong, folder=project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "train: failed: prepare ended with code 1"
    assert results_of(project / "out") == before
    photo = next((tmp_path / "my photos/red").iterdir())
    assert answer(program, project, photo.read_bytes())["predictions"][0]["label"]


def started(program, project) -> subprocess.Popen:
    """A long training, in its second epoch."""
    words = [program, "train", "--engine", "process", *QUICK, "--set=epochs=100000"]
    training = subprocess.Popen(
        words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert training.stdout is not None
    for line in training.stdout:
        if line.startswith("epoch=1 "):
            return training
    pytest.fail(f"it did not train: {training.communicate()[1]}")


@pytest.fixture
def project(program, tmp_path):
    """A project with photos, and with the model of an earlier training."""
    run(program, "init", "mine", folder=tmp_path)
    draw_channel(tmp_path / "mine/photos", 12)
    model = tmp_path / "mine/out/ml/model"
    model.mkdir(parents=True)
    (model / "model.json").write_text("of an earlier training")
    return tmp_path / "mine"


@pytest.mark.verify
@pytest.mark.training
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_earlier_results(program, project, number):
    training = started(program, project)
    training.send_signal(number)
    _, said = training.communicate(timeout=120)
    assert training.returncode == 130
    assert said.splitlines()[-1] == "train: interrupted; the earlier results are as they were"
    assert "Traceback" not in said
    assert (project / "out/ml/model/model.json").read_text() == "of an earlier training"


@pytest.mark.verify
@pytest.mark.training
def test_after_a_kill_the_next_run_starts_and_nothing_goes_on(program, project):
    training = started(program, project)
    below = processes.below(training.pid)[1:]
    training.kill()
    done = run(program, "train", "--engine", "process", *QUICK, folder=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((project / "out/ml/model/model.json").read_text())["accuracy"]
    training.communicate(timeout=120)  # until nobody holds its output any more
    deadline = time.monotonic() + 60
    while any(map(is_alive, below)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with unfinished(project / "out") as results:
        assert list((project / "out").glob(f"{UNFINISHED}-*")) == [results.out]


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.verify
@pytest.mark.training
def test_a_search_in_a_project(program, tmp_path):
    """Its photos are prepared first, by the recipe; the best values are the project's."""
    run(program, "init", "mine", folder=tmp_path)
    draw_channel(tmp_path / "mine/photos", 12)
    recipe = tmp_path / "mine/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("jobs: 8, parallel: 2", "jobs: 2, parallel: 1"))
    quick = [word for word in QUICK if not word.startswith(("--set=lr", "--set=batch_size"))]
    words = [word for option in quick for word in ("--set", option.removeprefix("--set="))]
    done = run(program, "tune", *words, folder=tmp_path / "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lr" in json.loads((tmp_path / "mine/out/tune/mine/best.json").read_text())


@pytest.mark.verify
@pytest.mark.docker
@pytest.mark.training
def test_a_project_in_containers(program, tmp_path, images):
    draw_channel(tmp_path / "photos", 12)
    run(program, "init", "mine", "--photos", "photos", folder=tmp_path)
    project = tmp_path / "mine"
    done = run(program, "train", "--engine", "docker", *QUICK, folder=project)
    assert done.returncode == 0, done.stdout + done.stderr
    photo = next((tmp_path / "photos/red").iterdir()).read_bytes()
    assert answer(program, project, photo, "docker")["predictions"][0]["label"]


def answer(program, project, photo: bytes, engine: str = "process") -> dict:
    """What `slipway serve` answers for a photo."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = [program, "serve", "--engine", engine, "--port", str(port)]
    server = subprocess.Popen(
        words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_ready(lambda: is_up(url), server.poll)
        taken = run(program, *words[1:], folder=project)
        assert taken.returncode == 1
        assert f"port {port} of 127.0.0.1 is taken by another program" in taken.stderr
        request = urllib.request.Request(
            f"{url}/invocations", photo, {"Content-Type": "image/jpeg"}
        )
        with urllib.request.urlopen(request, timeout=60) as found:
            return json.load(found)
    finally:
        server.send_signal(signal.SIGINT)  # as Ctrl-C reaches a container
        printed, _ = server.communicate(timeout=60)
        assert server.returncode == 0
        assert "SIGKILL" not in printed


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("command", ["train", "tune", "check", "invoke"])
def test_without_a_recipe_it_says_so(command, program, tmp_path):
    done = run(program, command, folder=tmp_path)
    assert done.returncode == 2
    assert f"there is no recipe.yaml in '{tmp_path}'; go to the" in done.stderr
    assert "or type: slipway init NAME" in done.stderr


def test_without_photos_it_says_so(program, tmp_path):
    run(program, "init", "mine", folder=tmp_path)
    os.rmdir(tmp_path / "mine/photos")
    for command in ("train", "prepare"):
        done = run(program, command, folder=tmp_path / "mine")
        assert done.returncode == 1
        assert f"'{tmp_path / 'mine/photos'}' does not exist" in done.stderr
    done = run(program, "serve", folder=tmp_path / "mine")
    assert done.returncode == 1
    assert "there is no model in" in done.stderr
    assert "type: slipway train" in done.stderr


@pytest.mark.slow
def test_prepare_takes_the_recipe_s_photos_and_options(program, tmp_path):
    run(program, "init", "mine", folder=tmp_path)
    draw_channel(tmp_path / "mine/photos", 5)
    done = run(program, "prepare", "--workers=1", "--split=0.6,0.2,0.2", folder=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    assert "photos=15 train=9 validation=3 test=3" in done.stdout
    run(program, "prepare", "--workers", "1", folder=tmp_path / "mine")
    state = json.loads((tmp_path / "mine/out/prepared/prepare.json").read_text())
    assert state["options"]["split"] == [0.7, 0.1, 0.2]


def test_a_run_that_fails_changes_nothing(tmp_path):
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml/model").write_text("earlier")
    before = results_of(tmp_path)
    with pytest.raises(RuntimeError), unfinished(tmp_path, keeps=("ml",)) as results:
        assert (results.out / "ml/model").read_text() == "earlier"
        (results.out / "ml/new").write_text("half")
        raise RuntimeError
    assert results_of(tmp_path) == before
    with unfinished(tmp_path, keeps=("ml",)) as results:
        assert not (results.out / "ml/new").exists()
        (results.out / "ml/new").write_text("whole")
    assert sorted(path.name for path in (tmp_path / "ml").iterdir()) == ["model", "new"]


def test_two_runs_in_one_folder_do_not_mix(tmp_path):
    refused = pytest.raises(RunError, match="another run is at work")
    with unfinished(tmp_path), refused, unfinished(tmp_path):
        pytest.fail("it began")


def test_a_recipe_without_photos_needs_the_option(tmp_path):
    recipe = parse_recipe({"name": "x"}, path=tmp_path / "recipe.yaml")
    with pytest.raises(RunError, match="names no photos; set `prepare: photos:`"):
        photos_of(recipe)
    assert photos_of(recipe, tmp_path) == tmp_path
