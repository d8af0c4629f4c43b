"""The profiler's rules, each with data at which it must fire and data at which it must not; and the readers under them."""

import json

import numpy as np
import pytest

from diagnose.profiler_balance import jensen_shannon
from diagnose.profiler_data import ProfileError
from diagnose.profiler_reader import read_profile
from diagnose.profiler_rules import RULES, evaluate_rules, parameters_of
from tests.support.recorded_profiles import START, machine, record_steps, record_system, steady


def answer(folder, rule, **parameters):
    (result,) = evaluate_rules(
        read_profile(folder),
        {f"{rule}_{name}": value for name, value in parameters.items()},
        [rule],
    )
    return result


def alternating(second):
    return 100 if int(second * 2) % 3 else 5


def third(second):
    return 4 if second % 3 < 1 else 90


MACHINES = [  # rule, its case, the machine, seconds, parameters, whether it fires
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
        machine(gpu=[90], memory=lambda second: 0 if second < 40 else 80),
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
        machine(gpu=[lambda second: 10 if second < 240 else 90]),
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
    result = answer(
        record_system(tmp_path / "profiler-output", seconds, metrics).parent, rule, **parameters
    )
    assert bool(result.triggered) == fires, (case, result)
    assert bool(result.violations) == fires or rule in ("CPUBottleneck", "IOBottleneck")
    assert not (fires and result.not_evaluated)


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
    p, q = np.array([5, 5, 0]), np.array([0, 0, 7])
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(p, q) == pytest.approx(np.sqrt(np.log(2)))
    middle = (
        np.array([0.5, 0.5, 0]) / 2 + np.array([1, 0, 0]) / 2
    )  # against the definition, written out
    expected = np.sqrt(
        (0.5 * np.log(0.5 / middle[0]) + 0.5 * np.log(0.5 / middle[1]) + 1 * np.log(1 / middle[0]))
        / 2
    )
    assert jensen_shannon(p, np.array([9, 0, 0])) == pytest.approx(expected)


def test_step_outlier(tmp_path):
    durations = steady(600)
    durations[100:112] = 2.0
    record_steps(tmp_path / "slow", durations)
    result = answer(tmp_path / "slow", "StepOutlier")
    assert (result.triggered, result.violations, result.datapoints) == (1, 12, 600)
    details = result.details["step_details"]["algo-1-0"]
    assert (
        details["step_numbers"] == list(range(100, 112))
        and details["phase"] == "Step:ModeKeys.TRAIN"
    )
    assert details["causes"]["Forward"] == pytest.approx(0.95, abs=0.02)
    assert details["step_stats"]["p50"] == pytest.approx(0.1, rel=0.05)
    assert answer(tmp_path / "slow", "StepOutlier", n_outliers=12).triggered == 0
    assert (
        answer(tmp_path / "slow", "StepOutlier", mode="Step:ModeKeys.EVAL").not_evaluated
        == "no steps were recorded of mode Step:ModeKeys.EVAL"
    )


@pytest.mark.parametrize(
    ("count", "outliers", "not_evaluated"), [(600, 0, False), (600, 10, False), (100, 11, True)]
)
def test_no_step_outlier(tmp_path, count, outliers, not_evaluated):
    durations = steady(count)
    durations[:outliers] = 2.0
    result = answer(record_steps(tmp_path, durations), "StepOutlier")
    assert (result.triggered, bool(result.not_evaluated)) == (0, not_evaluated)


def test_max_initialization_time(tmp_path):
    metrics = {("memory", "MemoryUsedPercent", ""): 20.0}
    late = record_steps(
        record_system(tmp_path / "late", 1500, metrics, every=5), steady(10), begin=START + 1300
    )
    result = answer(late, "MaxInitializationTime")
    assert (result.triggered, result.details["step_num"]["first"]) == (2, (START + 1300) * 10**6)
    assert answer(late, "MaxInitializationTime", threshold=22).triggered == 0
    never = record_system(tmp_path / "never", 1500, metrics, every=5)
    assert (
        answer(never, "MaxInitializationTime").not_evaluated
        == "no spans of the training were recorded"
    )
    (never / "framework").mkdir()
    assert answer(never, "MaxInitializationTime").triggered == 5


def test_overall_usage(tmp_path):
    result = answer(
        record_system(tmp_path, 60, machine(cpu=lambda second: second, gpu=[80, 40], memory=30)),
        "OverallSystemUsage",
    )
    assert result.triggered == 0 and set(result.details) == {
        "Network",
        "GPU",
        "CPU",
        "CPU memory",
        "GPU memory",
        "I/O",
    }
    assert (
        result.details["GPU"]["algo-1"]["p50"] == 60
        and result.details["Network"]["algo-1"]["max"] == 400000
    )
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
    assert answer(
        record_system(tmp_path / "managed", 5, machine()), "OverallFrameworkMetrics"
    ).not_evaluated


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
    assert sorted(RULES) == list(RULES) and len(RULES) == 11


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
        match="there is no profiler rule 'CpuBottleneck'; there are BatchSize, CPUBottleneck",
    ):
        evaluate_rules(read_profile(record_system(tmp_path, 5, machine())), rules=["CpuBottleneck"])


def test_what_a_crash_leaves_is_read(tmp_path):
    folder = record_steps(
        record_system(tmp_path / "output" / "profiler", 130, machine()), steady(150), whole=False
    )
    last = sorted((folder / "system").rglob("*.json"))[-1]
    last.write_bytes(last.read_bytes()[:-30])
    (last.parent / "1591750000.algo-1.json").write_bytes(
        b'\x00\xff\xfe\n[1, 2]\n{}\n\n{"Timestamp": NaN}\nnull\n'
    )
    profile = read_profile(tmp_path)
    assert len(profile.steps("TRAIN")[0].starts) == 149
    assert max(len(series.times) for series in profile.series) == 260
    assert profile.notes == (
        "8 broken lines were left out, of 3 files such as '1591748220.algo-1.json'",
    )
    for result in evaluate_rules(profile):
        json.dumps(result.document(), allow_nan=False)


def test_a_trace_on_one_line_with_begin_and_end_events(tmp_path):
    events = [
        {
            "name": "process_name",
            "ph": "M",
            "pid": 7,
            "args": {"name": "allreduce", "start_time_since_epoch_in_micros": 5_000_000},
        },
        {"name": "NCCL", "ph": "B", "pid": 7, "ts": 100},
        {"ph": "E", "pid": 7, "ts": 350},
        {"ph": "E", "pid": 7, "ts": 400},
        {"name": "mark", "ph": "i", "pid": 7, "ts": 3},
    ]
    path = (
        tmp_path
        / "framework"
        / "pevents"
        / "1970010100"
        / "6000000_1234-algo-2_horovod_timeline.json"
    )
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(events))
    (spans,) = read_profile(tmp_path).spans
    assert (spans.worker, spans.phase, spans.name) == ("algo-2-1234", "allreduce", "NCCL")
    assert spans.starts[0] == pytest.approx(5.0001) and spans.durations[0] == pytest.approx(250e-6)


def test_damaged_numbers_neither_hang_nor_break(tmp_path):
    folder = record_steps(record_system(tmp_path, 60, machine(cpu=95, gpu=[4, 60])), steady(150))
    metrics, spans = next(folder.rglob("*.algo-1.json")), next(folder.rglob("*timeline.json"))
    metrics.write_text(
        metrics.read_text()
        .replace('"Timestamp":1591748', '"Timestamp":15917480', 7)
        .replace('"Value":95', '"Value":-9e308', 3)
    )
    spans.write_text(
        spans.read_text()
        .replace('"step_num": "', '"step_num": "x', 2)
        .replace('"ts": 5', '"ts": 9e5', 2)
        .replace('"dur": 1', '"dur": 1e30', 2)
        .replace('"args": {"step', '"args": [], "more": {"step', 4)
        .replace('"pid": 1,', '"pid": [1],', 3)
    )
    profile = read_profile(folder)
    assert len(profile.notes) == 1 and profile.bounds()[1] - profile.bounds()[0] < 120
    for result in evaluate_rules(profile):
        json.dumps(result.document(), allow_nan=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nowhere", "there is no folder"),
        (lambda folder: folder, "holds no profile: looked for system/ and framework/"),
        (
            lambda folder: (folder / "system").mkdir() or folder,
            "holds no readable metric and no readable span; did the job end",
        ),
        (
            lambda folder: (
                (folder / "profiler" / "system" / "incremental").mkdir(parents=True)
                or (folder / "profiler" / "system" / "incremental" / "1.algo-1.json").write_text(
                    '{"Type"'
                )
                and folder
            ),
            "1 broken lines were left out",
        ),
    ],
)
def test_nothing_to_read(tmp_path, make, words):
    with pytest.raises(ProfileError, match="^[^\n]*$") as error:
        read_profile(make(tmp_path))
    assert words in str(error.value)
