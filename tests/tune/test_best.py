"""The best hyperparameters in files that train, diagnose and launch take; trials that watch
themselves.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from launch.__main__ import main as launch
from recipes.document import read_document
from recipes.recipe import parse_recipe
from tests.support.jobs import REPOSITORY
from tests.support.tuning import search_here, settings
from tests.support.warm_processes import run as run_warm
from tune.results import read_results
from tune.search_settings import BEST_FILE, BEST_RECIPE_FILE, RESULTS_FILE
from tune.show import main as show
from tune.tuner import Tuner

pytestmark = pytest.mark.slow

CLOUD = {
    "region": "eu-west-1",
    "role": "arn:aws:iam::123456789012:role/r",
    "training": {"instance_type": "ml.m5.large"},
}


@pytest.fixture(scope="module")
def search(tmp_path_factory, data) -> Path:
    """A search's output folder."""
    asked = settings(tmp_path_factory.mktemp("search"), data, {"budgets": {"jobs": 2}})
    # The best recipe must keep what launch needs.
    asked.document["sagemaker"] = CLOUD
    search_here(asked)
    Tuner(asked, 0, []).run()
    return asked.out


def run(*arguments: object) -> subprocess.CompletedProcess:
    return run_warm([sys.executable, "-m", *map(str, arguments)], cwd=REPOSITORY)


@pytest.mark.training
def test_train_takes_them(tmp_path, search, data):
    (tmp_path / "input").mkdir()
    (tmp_path / "input/data").symlink_to(data)
    ended = run("train", "--root", tmp_path, "--hyperparameters", search / BEST_FILE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    description = json.loads((tmp_path / "model/model.json").read_text())
    assert description["provenance"]["hyperparameters"]["lr"] == float(best(search)["lr"])
    [job] = read_results(search / RESULTS_FILE)
    winner = job.best()
    assert winner is not None
    assert winner.objective is not None
    curve = re.findall(r"^epoch=.* validation_accuracy=([0-9.]+)", ended.stdout, re.M)
    assert max(map(float, curve)) >= winner.objective == max(winner.curve)
    assert description["accuracy"]["validation"] >= winner.objective - 1e-5


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "the file '{}' of hyperparameters does not exist"),
        ("[", "'{}' is not readable JSON ("),
        ("[]", "'{}' holds a list; expected an object of names and values"),
    ],
)
def test_train_says_what_is_wrong_with_them(tmp_path, capsys, content, sentence):
    from train.__main__ import main

    file = tmp_path / "best.json"
    if content:
        file.write_text(content)
    assert main(["--root", str(tmp_path), "--hyperparameters", str(file)]) != 0
    assert (tmp_path / "output/failure").read_text().startswith(sentence.format(file))
    assert not (tmp_path / "input").exists()


@pytest.mark.training
def test_diagnose_takes_them(tmp_path, search, data):
    ended = run(
        "diagnose",
        tmp_path / "watched",
        "--hyperparameters",
        search / BEST_FILE,
        "--data",
        data,
        "--rules",
        "exploding_tensor",
    )
    # 3: a rule fired. That is no fault of the command.
    assert ended.returncode in (0, 3), ended.stdout + ended.stderr
    assert "epoch=2" in ended.stdout
    assert ended.stdout.count("diagnose: ") == 1
    assert "diagnose: rules=1 " in ended.stdout
    texts = json.loads((tmp_path / "watched/input/config/hyperparameters.json").read_text())
    # The command sets both: it is there to watch.
    assert texts == best(search) | {"debug": "true", "profile": "true"}
    assert (tmp_path / "watched/output/findings.json").is_file()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["new", "--data", "nowhere"],
            "'nowhere' holds no prepared photos; name a folder that `python -m prepare` wrote "
            "with --data",
        ),
        ([".", "--data", "."], "'.' is there already; name a new folder for the training"),
        (
            ["new", "--hyperparameters", "list.json", "--data", "."],
            "'list.json' holds a list; expected an object of names and values",
        ),
        (
            ["new", "--hyperparameters", "no.json", "--data", "."],
            "No such file or directory: 'no.json'",
        ),
        (
            ["new", "--hyperparameters", "wrong.json", "--data", "."],
            "the training failed: hyperparameter 'epoch' is unknown (did you mean 'epochs'?); "
            "known: ",
        ),
    ],
)
def test_diagnose_says_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, sentence):
    from diagnose.__main__ import main

    monkeypatch.chdir(tmp_path)
    for name, content in {"best": {"epochs": "1"}, "list": [], "wrong": {"epoch": "1"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "train").mkdir()
    assert main([arguments[0], "--hyperparameters", "best.json", *arguments[1:]]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"diagnose: failed: {sentence}")
    assert errors.count("\n") == 1


@pytest.mark.training
@pytest.mark.parametrize("command", ["train", "debug"])
def test_launch_takes_them(tmp_path, search, capsys, command):
    demo = str(REPOSITORY / "recipes/demo.yaml")
    assert (
        launch(
            [
                command,
                demo,
                "--dry-run",
                "--out",
                str(tmp_path),
                "--hyperparameters",
                str(search / BEST_FILE),
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)[0]["request"]["HyperParameters"] == best(search)
    assert (
        launch([command, str(search / BEST_RECIPE_FILE), "--dry-run", "--out", str(tmp_path)]) == 0
    )
    (request,) = [call["request"] for call in json.loads(capsys.readouterr().out)]
    assert request["HyperParameters"].keys() == best(search).keys()
    assert float(request["HyperParameters"]["lr"]) == float(best(search)["lr"])
    assert request["RoleArn"] == CLOUD["role"]
    assert request["ResourceConfig"]["InstanceType"] == "ml.m5.large"


def test_launch_says_what_is_wrong_with_them(tmp_path, capsys):
    (tmp_path / "list.json").write_text("[]")
    for name, sentence in (
        ("list.json", "holds a list; expected an object of names and values"),
        ("no.json", "cannot be read: No such file"),
    ):
        assert (
            launch(
                [
                    "train",
                    str(REPOSITORY / "recipes/demo.yaml"),
                    "--dry-run",
                    "--hyperparameters",
                    str(tmp_path / name),
                ]
            )
            == 1
        )
        errors = capsys.readouterr().err
        assert sentence in errors
        assert len([line for line in errors.split("\n") if line.startswith("launch: failed")]) == 1
    with pytest.raises(SystemExit, match="2"):
        launch(["train", "any.yaml", "--best", "--hyperparameters", "best.json"])


def best(search: Path) -> dict[str, str]:
    return json.loads((search / BEST_FILE).read_text())


@pytest.mark.training
def test_the_best_recipe_is_the_searchs_without_its_tuning_jobs(search):
    found = read_document(search / BEST_RECIPE_FILE)
    assert "tuning" not in found
    assert found["sagemaker"] == CLOUD
    assert {
        name: str(text) for name, text in parse_recipe(found).hyperparameters.items()
    }.keys() == best(search).keys()
    assert yaml.safe_load((search / BEST_RECIPE_FILE).read_text())["hyperparameters"]["epochs"] == 2


@pytest.mark.training
def test_show_writes_them_too(tmp_path, search, capsys):
    assert show([str(search / RESULTS_FILE), "--best", str(tmp_path / "new/best.json")]) == 0
    assert json.loads((tmp_path / "new/best.json").read_text()) == best(search)


@pytest.mark.training
def test_trials_that_share_a_process_watch_themselves(tmp_path, data):
    """debug and profile are hyperparameters like any other.

    Each trial has its own tensors, profile and findings, and learns as it would without.
    """
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01", "0.02"]}}
    # The same search unwatched, to compare with.
    plain = search_here(settings(tmp_path / "plain", data, grid, epochs=2, feature_views=0))
    job = search_here(
        settings(
            tmp_path / "watched",
            data,
            grid,
            epochs=2,
            feature_views=0,
            debug="true",
            profile="true",
            debug_train_interval=1,
        )
    )
    assert [trial.status for trial in job.trials] == ["Completed"] * 2
    assert [trial.reason for trial in job.trials] == ["", ""]
    # Watching must not change what is learned.
    assert [trial.curve for trial in job.trials] == [trial.curve for trial in plain.trials]
    for trial in job.trials:
        tree = tmp_path / "watched/trials/job-0" / trial.name
        printed = (tree / "output.log").read_text()
        assert "no more tensors are saved" not in printed
        assert "no tensors will be saved" not in printed
        assert "diagnose: rules=" in printed
        assert (tree / "output/data/findings.json").is_file()
        assert (tree / "output/data/profiler").is_dir()
        assert list((tree / "output/data/tensors/events").iterdir())
        assert not (tree / "model").exists()


@pytest.mark.training
def test_a_trial_finds_what_those_before_it_made(tmp_path, data):
    """The network, every decoded photo and feature, in the same process and in another."""
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01", "0.02"]}}
    other = {**grid, "ranges": {"lr": ["0.01"]}}
    here, there = (
        settings(tmp_path / "a", data, grid, image_size="33"),
        settings(tmp_path / "b", data, other, image_size="33", engine="process"),
    )
    jobs = search_here(here), search_here(there)
    logs = [
        (asked.out / "trials/job-0" / trial.name / "output.log").read_text()
        for asked, job in zip((here, there), jobs, strict=True)
        for trial in job.trials
    ]
    rows = [re.findall(r"^store: (\S+), (\d+) of (\d+) rows are there", log, re.M) for log in logs]
    # Nothing is there when the first trial begins.
    assert all(there == "0" for _, there, _ in rows[0]), logs[0]
    assert len(rows[0]) >= 2, logs[0]
    assert all(there == of for found in rows[1:] for _, there, of in found), logs[1]
    assert all(len(found) >= 2 for found in rows), logs[1]
    # Only the second trial of one process finds the network.
    assert ["the one of the training before" in log for log in logs] == [False, True, False]
