"""The profiler's rules, each with data at which it must fire and data at which it must not."""

from pathlib import Path

import numpy as np
import pytest

from diagnose.profiler_balance import jensen_shannon
from diagnose.profiler_data import ProfileError
from diagnose.profiler_reader import read_profile
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES, evaluate_rules, parameters_of
from tests.support.recorded_profiles import (
    START,
    Metrics,
    machine,
    record_steps,
    record_system,
    steady,
)


def answer(folder: Path, rule: str, **parameters: object) -> Result:
    """One rule's answer on the profile in a folder."""
    texts = {f"{rule}_{name}": value for name, value in parameters.items()}
    (result,) = evaluate_rules(read_profile(folder), texts, [rule])
    return result


def alternating(second: float) -> float:
    """Percent of use: low in one of three measurements."""
    return 100 if int(second * 2) % 3 else 5


def third(second: float) -> float:
    """Percent of use: low for a third of the time."""
    return 4 if second % 3 < 1 else 90


def filled_at_first(second: float) -> float:
    """Percent of use: none, until the training has begun."""
    return 0 if second < 40 else 80


def idle_at_first(second: float) -> float:
    """Percent of use: low for the first half."""
    return 10 if second < 240 else 90


# rule, its case, the machine, seconds, parameters, whether it fires
MACHINES: list[tuple[str, str, Metrics, int, dict[str, object], bool]] = [
    ("CPUBottleneck", "a busy core beside an idle GPU", machine(cpu=95, gpu=[4]), 60, {}, True),
    ("CPUBottleneck", "a busy core beside a busy GPU", machine(cpu=95, gpu=[90]), 60, {}, False),
    ("CPUBottleneck", "an idle core", machine(cpu=80, gpu=[4]), 60, {}, False),
    ("CPUBottleneck", "a third of the time", machine(cpu=95, gpu=[third]), 60, {}, False),
    (
        "CPUBottleneck",
        "a third of the time, where that is enough",
        machine(cpu=95, gpu=[third]),
        60,
        {"threshold": 30},
        True,
    ),
    ("CPUBottleneck", "too early", machine(cpu=95, gpu=[4]), 40, {}, False),
    ("IOBottleneck", "waiting for the disk", machine(gpu=[60], waiting=60), 520, {}, True),
    ("IOBottleneck", "waiting little", machine(gpu=[60], waiting=40), 520, {}, False),
    ("IOBottleneck", "waiting beside a busy GPU", machine(gpu=[80], waiting=60), 520, {}, False),
    (
        "GPUMemoryIncrease",
        "a leak",
        machine(gpu=[90], memory=lambda second: 20 + second / 15),
        600,
        {},
        True,
    ),
    (
        "GPUMemoryIncrease",
        "a slow leak",
        machine(gpu=[90], memory=lambda second: 20 + second / 30),
        600,
        {},
        False,
    ),
    (
        "GPUMemoryIncrease",
        "memory filled in the beginning only",
        machine(gpu=[90], memory=filled_at_first),
        600,
        {},
        False,
    ),
    ("LowGPUUtilization", "an idle GPU", machine(gpu=[30]), 510, {}, True),
    ("LowGPUUtilization", "up and down", machine(gpu=[alternating]), 510, {}, True),
    ("LowGPUUtilization", "a busy GPU", machine(gpu=[85]), 510, {}, False),
    ("LowGPUUtilization", "an idle GPU, with patience", machine(gpu=[30]), 490, {}, False),
    (
        "LowGPUUtilization",
        "idle in the beginning only",
        machine(gpu=[idle_at_first]),
        510,
        {},
        False,
    ),
    ("BatchSize", "nothing used much", machine(cpu=30, gpu=[50], memory=40), 260, {}, True),
    ("BatchSize", "memory full", machine(cpu=30, gpu=[50], memory=90), 260, {}, False),
    ("BatchSize", "GPU busy", machine(cpu=30, gpu=[95], memory=40), 260, {}, False),
    ("BatchSize", "processor busy", machine(cpu=90, gpu=[50], memory=40), 260, {}, False),
    ("LoadBalancing", "one of two GPUs works", machine(gpu=[90, 10]), 30, {}, True),
    ("LoadBalancing", "both work alike", machine(gpu=[90, 90]), 30, {}, False),
    ("LoadBalancing", "one GPU", machine(gpu=[90]), 30, {}, False),
]


@pytest.mark.parametrize(
    ("rule", "case", "metrics", "seconds", "parameters", "fires"),
    MACHINES,
    ids=[f"{entry[0]}: {entry[1]}" for entry in MACHINES],
)
def test_rules_over_the_machine(tmp_path, rule, case, metrics, seconds, parameters, fires):
    record_system(tmp_path / "profiler-output", seconds, metrics)
    result = answer(tmp_path, rule, **parameters)
    assert bool(result.triggered) == fires, (case, result)
    if rule not in ("CPUBottleneck", "IOBottleneck"):  # these list moments below the limit, too
        assert bool(result.violations) == fires
    if fires:
        assert result.not_evaluated == ""


@pytest.mark.parametrize(
    "rule",
    [
        "CPUBottleneck",
        "IOBottleneck",
        "GPUMemoryIncrease",
        "LowGPUUtilization",
        "BatchSize",
        "LoadBalancing",
    ],
)
def test_without_a_gpu_a_rule_says_so(tmp_path, rule):
    result = answer(record_system(tmp_path, 60, machine(cpu=99, waiting=99)), rule)
    assert (result.triggered, result.not_evaluated) == (0, "no GPU was measured")


def test_a_bottleneck_counts_moments_not_threads_that_wake_up_apart(tmp_path):
    result = answer(record_system(tmp_path, 60, machine(cpu=95, gpu=[4, 90])), "CPUBottleneck")
    assert (result.datapoints, result.violations) == (120, 120)
    assert result.details["low_gpu_utilization"] == 120
    assert result.details[f"{START + 0.001:.6f}"] == {"GPUs": 1, "CPUs": 2}


def test_a_rule_fires_once_a_scan(tmp_path):
    folder = record_system(tmp_path, 180, machine(cpu=95, gpu=[4]))
    assert answer(folder, "CPUBottleneck").triggered == 3
    assert answer(folder, "CPUBottleneck", scan_interval_us=600_000_000).triggered == 1


def test_distances_of_histograms():
    even = np.array([5, 5, 0])
    elsewhere = np.array([0, 0, 7])
    assert jensen_shannon(even, even) == 0
    assert jensen_shannon(even, elsewhere) == pytest.approx(np.sqrt(np.log(2)))
    # against the definition, written out: p = (1/2, 1/2, 0), q = (1, 0, 0), m = (3/4, 1/4, 0)
    p_to_m = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    q_to_m = np.log(1 / 0.75)
    expected = np.sqrt((p_to_m + q_to_m) / 2)
    assert jensen_shannon(even, np.array([9, 0, 0])) == pytest.approx(expected)


def test_step_outlier(tmp_path):
    durations = steady(600)
    durations[100:112] = 2.0
    record_steps(tmp_path / "slow", durations)
    result = answer(tmp_path / "slow", "StepOutlier")
    assert (result.triggered, result.violations, result.datapoints) == (1, 12, 600)
    details = result.details["step_details"]["algo-1-0"]
    assert details["step_numbers"] == list(range(100, 112))
    assert details["phase"] == "Step:ModeKeys.TRAIN"
    assert details["causes"]["Forward"] == pytest.approx(0.95, abs=0.02)
    assert details["step_stats"]["p50"] == pytest.approx(0.1, rel=0.05)
    # "more than", so 12 are not enough
    assert answer(tmp_path / "slow", "StepOutlier", n_outliers=12).triggered == 0
    validation = answer(tmp_path / "slow", "StepOutlier", mode="Step:ModeKeys.EVAL")
    assert validation.not_evaluated == "no steps were recorded of mode Step:ModeKeys.EVAL"


@pytest.mark.parametrize(
    ("count", "outliers", "not_evaluated"), [(600, 0, False), (600, 10, False), (100, 11, True)]
)
def test_no_step_outlier(tmp_path, count, outliers, not_evaluated):
    durations = steady(count)
    durations[:outliers] = 2.0
    result = answer(record_steps(tmp_path, durations), "StepOutlier")
    assert (result.triggered, bool(result.not_evaluated)) == (0, not_evaluated)


def test_max_initialization_time(tmp_path):
    metrics: Metrics = {("memory", "MemoryUsedPercent", ""): 20.0}
    late = record_system(tmp_path / "late", 1500, metrics, every=5)
    record_steps(late, steady(10), begin=START + 1300)
    result = answer(late, "MaxInitializationTime")
    assert (result.triggered, result.details["step_num"]["first"]) == (2, (START + 1300) * 10**6)
    assert answer(late, "MaxInitializationTime", threshold=22).triggered == 0
    never = record_system(tmp_path / "never", 1500, metrics, every=5)
    without_spans = answer(never, "MaxInitializationTime")
    assert without_spans.not_evaluated == "no spans of the training were recorded"
    (never / "framework").mkdir()
    assert answer(never, "MaxInitializationTime").triggered == 5


def test_overall_usage(tmp_path):
    metrics = machine(cpu=lambda second: second, gpu=[80, 40], memory=30)
    result = answer(record_system(tmp_path, 60, metrics), "OverallSystemUsage")
    assert result.triggered == 0
    resources = {"Network", "GPU", "CPU", "CPU memory", "GPU memory", "I/O"}
    assert set(result.details) == resources
    assert result.details["GPU"]["algo-1"]["p50"] == 60
    assert result.details["Network"]["algo-1"]["max"] == 400000
    assert result.details["CPU"]["algo-1"] == {
        "max": 59.5,
        "p99": pytest.approx(58.9, abs=0.1),
        "p95": pytest.approx(56.5, abs=0.1),
        "p50": 29.75,
        "min": 0,
    }


def test_overall_framework_metrics(tmp_path):
    record_steps(tmp_path, [1.0] * 30)
    record_steps(tmp_path, [1.0] * 10, begin=START + 40, mode="EVAL")
    details = answer(tmp_path, "OverallFrameworkMetrics").details
    assert details["phase"] == {
        "Step:ModeKeys.TRAIN": pytest.approx(100 * 30 / 45, abs=0.01),
        "Step:ModeKeys.EVAL": pytest.approx(100 * 10 / 45, abs=0.01),
        "others": pytest.approx(100 * 5 / 45, abs=0.01),
    }
    assert details["general"] == {"Forward": 100}
    managed = record_system(tmp_path / "managed", 5, machine())
    assert answer(managed, "OverallFrameworkMetrics").not_evaluated


def test_the_documented_defaults():
    defaults = parameters_of({})
    assert vars(defaults["IOBottleneck"]) == {
        "threshold": 50,
        "gpu_threshold": 70,
        "io_threshold": 50,
        "patience": 1000,
        "scan_interval_us": 60000000,
    }
    assert vars(defaults["StepOutlier"]) == {
        "stddev": 5,
        "n_outliers": 10,
        "mode": "",
        "scan_interval_us": 60000000,
    }
    assert sorted(RULES) == list(RULES)
    assert len(RULES) == 11


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"GPUBottleneck_threshold": "5"}, "'GPUBottleneck_threshold' names no profiler rule"),
        (
            {"CPUBottleneck": "5"},
            "rule CPUBottleneck has no parameter ''; it has threshold, gpu_threshold",
        ),
        ({"CPUBottleneck_cpu_treshold": "5"}, "no parameter 'cpu_treshold'"),
        (
            {"CPUBottleneck_cpu_threshold": "much"},
            "CPUBottleneck_cpu_threshold must be a number of at least 0; found 'much'",
        ),
        ({"CPUBottleneck_patience": "1.5"}, "must be a whole number"),
        ({"CPUBottleneck_patience": None}, "found 'None'"),
        ({"BatchSize_window": "0"}, "must be at least 1"),
        ({"BatchSize_scan_interval_us": "0"}, "must be at least 1"),
    ],
)
def test_bad_parameters(texts, words):
    with pytest.raises(ProfileError, match="^[^\n]*$") as error:
        parameters_of(texts)
    assert words in str(error.value)


def test_an_unknown_rule(tmp_path):
    with pytest.raises(
        ProfileError,
        match=r"'CpuBottleneck' is unknown \(did you mean 'CPUBottleneck'\?\); known: BatchSize, ",
    ):
        evaluate_rules(read_profile(record_system(tmp_path, 5, machine())), rules=["CpuBottleneck"])
