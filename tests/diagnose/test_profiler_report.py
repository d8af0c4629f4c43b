"""From a job's output to the JSON of each rule and the page, whatever was there to read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from artifact.pages.plot import line_path, linear_axis
from diagnose.profiler_data import ProfileError
from diagnose.profiler_report import REPORT, profile_report
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES
from diagnose.report_charts import chart, histogram, over_time
from diagnose.report_losses import read_losses
from diagnose.smdebug_compat import load_smdebug
from tests.support.html_page import Page
from tests.support.recorded_profiles import START, machine, record_steps, record_system, steady

# the JSON that SageMaker writes for a rule
RULE_FIELDS = ["RuleTriggered", "Violations", "Details", "Datapoints", "RuleParameters"]
HISTORY = """epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,seconds
1,2.5,0.1,,,0.1,3
2,1.5,0.2,2.0,0.3,0.1,3
3,nan,0.3,1.5,0.4,0.1,3
"""


def report(output: Path, parameters=None, rules=()) -> tuple[list[Result], Page, str]:
    """The answers, and the page that was written, parsed and as text."""
    results = profile_report(output, parameters, rules)
    text = (output / REPORT / "profiler-report.html").read_text()
    return results, Page(text), text


@pytest.fixture
def managed(tmp_path):
    """What a prefix holds that was downloaded after a managed job that recorded its steps too."""
    record_system(tmp_path / "profiler-output", 300, machine(cpu=95, gpu=[4, 60]))
    durations = steady(900, 0.2)
    durations[300:315] = 3  # 15 outliers
    record_steps(tmp_path / "profiler-output", durations, begin=START + 30)
    (tmp_path / "output" / "data").mkdir(parents=True)
    (tmp_path / "output" / "data" / "history.csv").write_text(HISTORY)
    return tmp_path


def test_the_report_of_a_managed_job(managed):
    results, _, _ = report(managed)
    folder = managed / "rule-output" / "ProfilerReport" / "profiler-output" / "profiler-reports"
    assert {result.rule for result in results} == set(RULES)
    assert {file.stem for file in folder.iterdir()} == set(RULES)
    for file in folder.iterdir():
        assert list(json.loads(file.read_text())) == RULE_FIELDS
    bottleneck = json.loads((folder / "CPUBottleneck.json").read_text())
    assert bottleneck["RuleTriggered"] == 5
    assert bottleneck["Violations"] == 600
    assert bottleneck["Datapoints"] == 600
    parameters = ["threshold:50", "gpu_threshold:10", "cpu_threshold:90", "patience:100"]
    assert bottleneck["RuleParameters"].splitlines() == parameters
    usage = json.loads((folder / "OverallSystemUsage.json").read_text())
    assert usage["Details"]["GPU"]["algo-1"]["p50"] == 32
    fired = {result.rule for result in results if result.triggered}
    assert fired == {"CPUBottleneck", "LoadBalancing", "StepOutlier"}


def test_the_page_of_a_managed_job(managed):
    results, page, _ = report(managed)
    fired = [result.rule for result in results if result.triggered]
    assert f"3 of {len(RULES)} rules fired" in page.text
    for rule in fired:
        assert RULES[rule].advice in page.text
    assert RULES["BatchSize"].advice not in page.text
    for words in (
        "Initialization30 s",
        "Training loop",
        "900 steps",
        "How long steps took",
        "Loss",
        "Validation",
        "Use of each GPU",
        "waiting for I/O",
    ):
        assert words in page.text, words
    assert "[" not in re.sub(r"algo-1\S*", "", page.text), "nothing of Python shows"


def test_the_page_asks_nothing_of_the_network(managed):
    _, page, text = report(managed)
    assert not page.tags & {"script", "link", "iframe", "img", "object"}
    links = [value for name, value in page.attributes if name in ("href", "src")]
    assert [link for link in links if not (link or "").startswith("#")] == []
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_text_is_escaped(tmp_path):
    record_system(tmp_path, 30, machine(), node="<script>alert(1)</script>".replace("/", "&"))
    record_steps(tmp_path, steady(20))
    _, page, text = report(tmp_path)
    assert "<script" not in text
    assert "<script>alert(1)" in page.text


def test_a_managed_job_without_spans(tmp_path):
    record_system(tmp_path / "profiler-output", 60, machine(gpu=[90]))
    results, page, _ = report(tmp_path)
    assert "No steps were recorded. A managed job records none on PyTorch 2" in page.text
    not_evaluated = {result.rule for result in results if result.not_evaluated}
    assert "MaxInitializationTime" in not_evaluated
    assert "StepOutlier" in not_evaluated
    assert "Dataloader" in not_evaluated
    assert "OverallFrameworkMetrics" in not_evaluated


def test_spans_without_a_machine(tmp_path):
    _, page, _ = report(record_steps(tmp_path, steady(150), whole=False))
    assert "No metrics of the machine were found." in page.text
    assert "149 steps" in page.text
    assert "broken lines were left out" in page.text


def test_one_measurement_is_enough(tmp_path):
    _, page, _ = report(record_system(tmp_path, 0.5, machine()))
    assert "No rule fired." in page.text


def test_only_the_rules_asked_for(managed):
    results, page, _ = report(managed, {"StepOutlier_n_outliers": "20"}, ["StepOutlier"])
    assert [(result.rule, result.triggered) for result in results] == [("StepOutlier", 0)]
    assert "No rule fired." in page.text
    files = list((managed / REPORT / "profiler-reports").iterdir())
    assert [file.name for file in files] == ["StepOutlier.json"]


@pytest.mark.parametrize("arguments", [{"parameters": {"Nothing_x": "1"}}, {"rules": ["Nothing"]}])
def test_wrong_names_leave_nothing_behind(managed, arguments):
    with pytest.raises(ProfileError, match="profiler rule"):
        profile_report(managed, **arguments)
    assert not (managed / "rule-output").exists()


def test_losses_of_our_history(managed):
    losses = read_losses(managed)
    curves = losses.curves
    assert losses.unit == "epoch"
    assert losses.notes == []
    epochs, training = curves["Training"]
    assert epochs.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(training, [2.5, 1.5, np.nan])
    np.testing.assert_array_equal(curves["Validation"][1], [np.nan, 2, 1.5])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")
def test_losses_of_tensors_that_smdebug_saved(tmp_path):
    with load_smdebug():
        import smdebug.pytorch as smd

    hook = smd.Hook(
        str(tmp_path / "debug-output"),
        save_config=smd.SaveConfig(save_interval=2),
        include_collections=["losses"],
    )
    network = torch.nn.Linear(4, 2)
    loss = torch.nn.CrossEntropyLoss()
    hook.register_module(network)
    hook.register_loss(loss)
    seen = {}
    for mode, words in ((smd.modes.TRAIN, "training"), (smd.modes.EVAL, "validation")):
        hook.set_mode(mode)
        seen[words] = [
            loss(network(torch.randn(3, 4)), torch.tensor([0, 1, 0])).item() for _ in range(7)
        ]
    hook.close()
    saved = read_losses(tmp_path)
    assert saved.unit == "step"
    assert saved.notes == []
    assert set(saved.curves) == {
        "CrossEntropyLoss_output_0 training",
        "CrossEntropyLoss_output_0 validation",
    }
    for words, losses in seen.items():
        steps, values = saved.curves[f"CrossEntropyLoss_output_0 {words}"]
        assert steps.tolist() == [0, 2, 4, 6]
        assert values == pytest.approx(losses[::2], rel=1e-5)
    first, second, *_ = sorted((tmp_path / "debug-output").rglob("*.tfevents"))
    first.unlink()  # what a crash, or half a download, leaves
    second.write_bytes(second.read_bytes()[:40])
    left = read_losses(tmp_path)
    assert sum(len(steps) for steps, _ in left.curves.values()) == 6
    assert "the tensors of 2 steps" in left.notes[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("history.csv", "epoch,train_loss\nx,y\n"),
        ("tensors/index/000000000/000000000000_worker_0.json", "{"),
    ],
)
def test_losses_that_cannot_be_read_are_noted(tmp_path, name, text):
    record_steps(tmp_path / "profiler", steady(20))
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    _, page, _ = report(tmp_path)
    assert "could not be read" in page.text


def test_long_lines_are_thinned():
    times = np.arange(10_000, dtype=np.float64)
    x, y = over_time(times, np.sin(times))
    assert len(x) == 300
    assert abs(y).max() < 0.1
    late = np.arange(301, dtype=np.float64)
    late[1::2] += 0.4
    x, y = over_time(late, np.ones(301))
    assert len(x) == 100
    assert np.isfinite(y).all(), "measurements that come late leave no gap"


def test_lines_break_where_nothing_was_measured():
    x, y = over_time(np.array([0.0, 1, 2, 100, 101]), np.ones(5))
    assert np.isnan(y).tolist() == [False, False, False, True, False, False]
    assert line_path(np.array([1.0, 2, 3]), np.array([5, np.nan, 7])) == "M1 5M3 7"


def test_a_chart_of_a_point_and_of_nothing():
    read = (np.array([0.0]), np.array([5e6]))
    written = (np.zeros(0), np.zeros(0))
    plot = chart("Disk", "B/s", "minutes", {"read": read, "written": written})
    assert plot["unit"] == "MB/s"
    assert plot["lines"][0]["dots"]
    assert plot["lines"][1]["path"] == ""
    assert linear_axis(3, 3, 0, 10, 4).marks()
    assert linear_axis(3, 3, 0, 10, 4, exact=True).marks()


def test_histograms_of_equal_steps_and_of_outliers():
    same = histogram(np.full(200, 0.25))
    assert sum(bar["count"] for bar in same["bars"]) == 200
    assert same["unit"] == "ms"
    spread = histogram(np.concatenate([np.linspace(1, 2, 995), [60] * 5]))
    assert spread["slow"] == 5
    assert spread["slowest"] == "60"
    assert sum(bar["count"] for bar in spread["bars"]) == 1000
