"""Profiles as a crash, a download or another profiler left them, and what is read of them."""

import json
from pathlib import Path

import pytest

from diagnose.profiler_data import ProfileError
from diagnose.profiler_reader import read_profile
from diagnose.profiler_rules import evaluate_rules
from tests.support.recorded_profiles import machine, record_steps, record_system, steady


def test_what_a_crash_leaves_is_read(tmp_path):
    folder = record_system(tmp_path / "output" / "profiler", 130, machine())
    record_steps(folder, steady(150), whole=False)
    last = sorted((folder / "system").rglob("*.json"))[-1]
    # Cut off in the middle of a line.
    last.write_bytes(last.read_bytes()[:-30])
    # Lines of every kind that is no metric.
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
        # B and E are the two ends of a span.
        {"name": "NCCL", "ph": "B", "pid": 7, "ts": 100},
        {"ph": "E", "pid": 7, "ts": 350},
        # An end without a beginning.
        {"ph": "E", "pid": 7, "ts": 400},
        {"name": "mark", "ph": "i", "pid": 7, "ts": 3},
    ]
    folder = tmp_path / "framework" / "pevents" / "1970010100"
    folder.mkdir(parents=True)
    path = folder / "6000000_1234-algo-2_horovod_timeline.json"
    path.write_text(json.dumps(events))
    (spans,) = read_profile(tmp_path).spans
    assert (spans.worker, spans.phase, spans.name) == ("algo-2-1234", "allreduce", "NCCL")
    assert spans.starts[0] == pytest.approx(5.0001)
    assert spans.durations[0] == pytest.approx(250e-6)


def test_damaged_numbers_neither_hang_nor_break(tmp_path):
    folder = record_steps(record_system(tmp_path, 60, machine(cpu=95, gpu=[4, 60])), steady(150))
    metrics = next(folder.rglob("*.algo-1.json"))
    spans = next(folder.rglob("*timeline.json"))
    metrics.write_text(
        metrics.read_text()
        # A damaged digit must not stretch the profile over centuries.
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
    assert len(profile.notes) == 1
    first, last = profile.bounds()
    assert last - first < 120
    for result in evaluate_rules(profile):
        # JSON has no NaN.
        json.dumps(result.document(), allow_nan=False)


def missing_folder(folder: Path) -> Path:
    return folder / "nowhere"


def empty_folder(folder: Path) -> Path:
    return folder


def empty_profile(folder: Path) -> Path:
    (folder / "system").mkdir()
    return folder


def broken_profile(folder: Path) -> Path:
    metrics = folder / "profiler" / "system" / "incremental"
    metrics.mkdir(parents=True)
    (metrics / "1.algo-1.json").write_text('{"Type"')
    return folder


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing_folder, "does not exist"),
        (empty_folder, "holds no profile: looked for system/ and framework/"),
        (empty_profile, "holds no readable metric and no readable span; did the job end"),
        (broken_profile, "1 broken lines were left out"),
    ],
)
def test_nothing_to_read(tmp_path, make, words):
    with pytest.raises(ProfileError, match="^[^\n]*$") as error:
        read_profile(make(tmp_path))
    assert words in str(error.value)
