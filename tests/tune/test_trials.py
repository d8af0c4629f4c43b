"""A trial's life without a training: values from lines, stops, ends, and what stays on disk."""

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from recipes.tuning import Budgets, Objective, Tuning
from runtime import docker
from tests.support.tuning import settings_tuning
from tune import trials
from tune.search import steer
from tune.search_settings import SearchSettings
from tune.study import make_study
from tune.trial_runners import Commands, Failed, InProcess, _docker_run, make_engine
from tune.trial_states import claim
from tune.trials import Running, conclude, prune, run_trial

LOSS = Objective("loss", "loss=(.*)", "Minimize")


class Engine:
    """Prints lines in place of a training."""

    channels_by = "folder"

    def __init__(self, *lines: str, failure: str = "") -> None:
        self.lines = lines
        self.failure = failure
        self.stops = 0

    def run(self, root: Path, on_line: Callable[[str], None]) -> None:
        for folder in ("model", "checkpoints", "output"):
            (root / folder).mkdir(exist_ok=True)
        for line in self.lines:
            on_line(line)
        if self.failure:
            raise Failed(self.failure)

    def stop(self) -> None:
        self.stops += 1


def tuning(**changes: object) -> Tuning:
    one = settings_tuning(Budgets(9), "Minimize")
    changed: dict[str, Any] = {"objective": LOSS, **changes}
    return dataclasses.replace(one, **changed)


def begun(asked: Tuning) -> optuna.Trial:
    """A claimed trial of a study in memory."""
    study = make_study(optuna.storages.InMemoryStorage(), asked, ())
    steer(study, asked, 0)
    trial = study.ask()
    assert claim(trial, asked)
    return trial


def run(folder: Path, engine: Engine, keep: bool = False, leaving: bool = False):
    """The trial after run_trial, as its study keeps it."""
    asked = tuning()
    trial = begun(asked)
    root = folder / "tree"
    stand_in: Any = engine
    run_trial(trial, asked, stand_in, root, {"train": folder}, keep, lambda: leaving)
    return trial.study.trials[0], root


def test_a_trial_that_completes(tmp_path):
    ended, root = run(tmp_path, Engine("loss=0.5", "epoch", "loss=0.25"))
    assert ended.state == TrialState.COMPLETE
    assert ended.value == 0.25
    assert ended.intermediate_values == {1: 0.5, 2: 0.25}
    assert list(ended.user_attrs["hyperparameters"]) == ["lr"]
    assert (root / "output.log").read_text() == "loss=0.5\nepoch\nloss=0.25\n"
    assert sorted(path.name for path in root.iterdir()) == ["input", "output", "output.log"]
    assert not (root / "input" / "data").exists()


def test_a_kept_tree_stays_whole(tmp_path):
    _, root = run(tmp_path, Engine("loss=0.5"), keep=True)
    assert (root / "input" / "data" / "train").is_symlink()
    assert (root / "model").is_dir()
    assert (root / "checkpoints").is_dir()


@pytest.mark.parametrize(
    "lines, failure, reason",
    [
        (("loss=0.5",), "out\nof  memory", "out of memory"),
        (
            ("epoch",),
            "",
            "the objective loss was never printed: no line of the output matches the regex "
            "'loss=(.*)'",
        ),
        (("loss=nan",), "", "the objective loss was printed as 'nan', which is not a number"),
        (("loss=low",), "", "the objective loss was printed as 'low', which is not a number"),
        ((), "x" * 2000, "x" * 1024),
    ],
)
def test_a_trial_that_fails(tmp_path, lines, failure, reason):
    ended, _ = run(tmp_path, Engine(*lines, failure=failure))
    assert ended.state == TrialState.FAIL
    assert ended.user_attrs["reason"] == reason


def test_a_group_that_took_no_part_is_no_number():
    asked = tuning(objective=Objective("loss", "loss=([0-9]+)?"))
    running = Running(begun(asked), asked, Engine())  # type: ignore[arg-type]  # a stand-in
    with pytest.raises(Failed, match="was printed as 'None', which is not a number"):
        running.read("loss=x")


def test_a_worker_that_leaves_runs_nothing_and_queues_its_trial(tmp_path):
    ended, root = run(tmp_path, Engine("loss=0.5"), leaving=True)
    assert ended.state == TrialState.FAIL
    assert "reason" not in ended.user_attrs
    assert (root / "output.log").read_text() == ""


@pytest.mark.parametrize(
    "why, reason, leaving, state",
    [
        ("its budget", "", False, TrialState.PRUNED),
        ("its budget", "", True, TrialState.PRUNED),
        ("its budget", "no memory", False, TrialState.FAIL),
        ("its budget", "no memory", True, TrialState.FAIL),
        ("", "no memory", False, TrialState.FAIL),
        ("", "", False, TrialState.COMPLETE),
        ("", "", True, TrialState.FAIL),
    ],
)
def test_how_a_trial_is_concluded(why, reason, leaving, state):
    asked = tuning()
    running = Running(begun(asked), asked, Engine())  # type: ignore[arg-type]  # a stand-in
    running.read("loss=0.5")
    running.why = why
    conclude(running, reason, leaving)
    first, *queued = running.trial.study.trials
    assert first.state == state
    left = leaving and not (why and not reason)
    assert ("reason" in first.user_attrs) == (state != TrialState.COMPLETE and not left)


@pytest.mark.parametrize(
    "strategy, values, sentence",
    [
        ("Random", ("0.9",), "stopped by the median rule after 1 value"),
        ("Random", ("0.1", "0.9"), "stopped by the median rule after 2 values"),
        ("Hyperband", ("0.9",), "stopped by Hyperband after 1 value"),
    ],
)
def test_the_pruners_stop_has_its_sentence(monkeypatch, strategy, values, sentence):
    asked = tuning(strategy=strategy)
    engine = Engine()
    trial = begun(asked)
    running = Running(trial, asked, engine)  # type: ignore[arg-type]  # a stand-in
    monkeypatch.setattr(trial, "should_prune", lambda: len(running.values) == len(values))
    for value in values:
        running.read(f"loss={value}")
    running.read("loss=1.0")
    running.stop("another reason")
    assert running.why == sentence
    assert engine.stops == 1  # the first reason stays


def test_a_running_trial_ends_with_its_job(monkeypatch):
    monkeypatch.setattr(trials, "WATCH_S", 0.001)
    asked = tuning()
    trial = begun(asked)
    beats: list[int] = []
    monkeypatch.setattr(trial.study._storage, "record_heartbeat", beats.append, raising=False)
    running = Running(trial, asked, Engine())  # type: ignore[arg-type]  # a stand-in
    watcher = threading.Thread(target=running.watch)
    watcher.start()
    time.sleep(0.02)
    assert running.why == ""
    trial.study.set_user_attr("slipway_ended", "its 120 s are over")
    deadline = time.monotonic() + 30
    while not running.why:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    running.over.set()
    watcher.join()
    assert running.why == "stopped as its tuning job ended: its 120 s are over"
    assert beats == [trial._trial_id]  # the next one is due in ten seconds


def test_pruning_a_tree_keeps_log_and_output(tmp_path):
    for folder in ("input/data/train", "input/config", "model", "checkpoints", "output"):
        (tmp_path / folder).mkdir(parents=True)
    prune(tmp_path)
    prune(tmp_path)  # nothing left to remove
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input", "output"]
    assert [path.name for path in (tmp_path / "input").iterdir()] == ["config"]


def command(script: str) -> Commands:
    return Commands(lambda root: [sys.executable, "-c", script])


def test_a_command_is_read_line_by_line(tmp_path):
    lines: list[str] = []
    command("print('a'); print('b')").run(tmp_path, lines.append)
    assert lines == ["a", "b"]


@pytest.mark.parametrize(
    "failure, printed, reason",
    [
        (" no photos \n", "x", "no photos"),
        (None, "last words", "last words"),
        (None, "", "the training ended with code 3 and left no reason"),
    ],
)
def test_a_commands_failure_has_the_best_reason_there_is(tmp_path, failure, printed, reason):
    if failure is not None:
        (tmp_path / "output").mkdir()
        (tmp_path / "output" / "failure").write_text(failure)
    script = f"import sys; print({printed!r}) if {printed!r} else None; sys.exit(3)"
    with pytest.raises(Failed) as caught:
        command(script).run(tmp_path, lambda line: None)
    assert str(caught.value) == reason


def test_a_command_is_cleaned_up_after_even_when_reading_fails(tmp_path):
    removed: list[Path] = []
    engine = Commands(
        lambda root: [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
        removed.append,
    )

    def fail(line: str) -> None:
        raise Failed("no number")

    with pytest.raises(Failed, match="no number"):
        engine.run(tmp_path, fail)
    assert removed == [tmp_path, tmp_path]  # before and after
    engine.stop()  # nothing runs any more


def test_a_command_is_stopped_by_sigterm(tmp_path):
    script = "import time; print(1, flush=True); time.sleep(60)"
    engine = command(script)
    with pytest.raises(Failed, match="1"):
        engine.run(tmp_path, lambda line: engine.stop())


def settings(**values: Any) -> SearchSettings:
    given: dict[str, Any] = {"channels": {}, **values}
    return SearchSettings(Path("out"), document={}, changed={}, **given)


def test_the_engines_by_name(tmp_path):
    process = make_engine(settings(engine="process"))
    assert isinstance(process, Commands)
    assert process.channels_by == "folder"
    expected = [sys.executable, "-m", "train", "--root", str(tmp_path)]
    assert process._command(tmp_path) == expected
    container = make_engine(settings(engine="container"))
    assert isinstance(container, Commands)
    assert container.channels_by == "mount"
    any_program = make_engine(settings(engine="command", command=("any", "program")))
    assert isinstance(any_program, Commands)
    assert any_program._command(tmp_path) == ["any", "program", str(tmp_path)]
    assert InProcess.channels_by == "folder"  # not made here: torch takes seconds to load


@pytest.mark.parametrize("gpu, options", [(None, []), (0, ["--gpus", "device=0"])])
def test_a_containers_command(tmp_path, gpu, options):
    words = _docker_run(
        tmp_path,
        settings(
            channels={"train": Path("/photos")}, image="mine", variables=("AWS_REGION", "MINE")
        ),
        gpu,
    )
    joined = " ".join(words)
    assert docker.mount(tmp_path, "/opt/ml", writable=True) in words
    assert docker.mount(Path("/photos"), "/opt/ml/input/data/train") in words
    assert "--hostname algo-1" in joined
    assert "--env AWS_REGION --env MINE" in joined
    assert (" ".join(options) in joined) is True
    assert ("--gpus" in words) == bool(options)
    assert words[-2:] == ["mine", "train"]
