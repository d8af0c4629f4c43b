"""The profile's files to the byte."""

import json
from contextlib import closing

import pytest

from artifact.host.system_files import SystemFiles
from artifact.host.system_metrics import Metric
from train.recording.profile_files import Span, SpanFiles

DAY_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
DAY_US = 1_700_000_000_000_000
NAME = "0-algo-1_pythontimeline.json"


def spans(folder, rotate_bytes: int = 10**6, rotate_s: int = 60) -> SpanFiles:
    return SpanFiles(folder, "0-algo-1", rotate_bytes, rotate_s)


def test_spans_are_chromes_trace_events(tmp_path):
    files = spans(tmp_path)
    assert list((tmp_path / "framework").iterdir()) == []
    files.write([Span("Step", "a", DAY_S, 0.25, {"step_num": 3}), Span("Step", "b", DAY_S, 0, {})])
    files.write([Span("Load", "c", DAY_S + 0.5, -1.0, {})])
    files.close()
    files.close()
    [path] = (tmp_path / "framework").rglob("*.json")
    assert path == tmp_path / f"framework/pevents/2023111422/{DAY_US + 500_000}_{NAME}"
    assert json.loads(path.read_text()) == [
        named(0, {"start_time_since_epoch_in_micros": DAY_US}),
        named(0, {"name": "slipway"}),
        named(1, {"name": "Step"}),
        event("a", 1, 0, 250_000, {"step_num": "3"}),
        event("b", 1, 0, 0, {}),
        named(2, {"name": "Load"}),
        event("c", 2, 500_000, 0, {}),
    ]


def named(phase: int, arguments: dict) -> dict:
    return {"name": "process_name", "ph": "M", "pid": phase, "args": arguments}


def event(name: str, phase: int, start_us: int, duration_us: int, arguments: dict) -> dict:
    return {
        "name": name,
        "pid": phase,
        "ph": "X",
        "ts": start_us,
        "dur": duration_us,
        "args": arguments,
    }


@pytest.mark.parametrize("age_s, rotated", [(59.9, 0), (60.0, 0), (60.1, 1)])
def test_a_file_of_spans_ends_when_it_is_old(tmp_path, age_s, rotated):
    with closing(spans(tmp_path)) as files:
        files.rotate(DAY_S)  # nothing is there yet
        files.write([Span("Step", "a", DAY_S, 0.25, {})])
        files.rotate(DAY_S + age_s)
        assert len(list(tmp_path.rglob("*.json"))) == rotated


def test_a_file_of_spans_ends_when_it_is_large(tmp_path):
    span = Span("Step", "a", DAY_S, 0.25, {})
    with closing(spans(tmp_path / "probe")) as probe:
        probe.write([span])
        [open_path] = (tmp_path / "probe").rglob("*.tmp")
        size = open_path.stat().st_size
    for name, bound, rotated in (("as-large", size, 0), ("larger", size - 1, 1)):
        with closing(spans(tmp_path / name, rotate_bytes=bound)) as files:
            files.write([span])
            files.rotate(DAY_S)
            assert len(list((tmp_path / name).rglob("*.json"))) == rotated, name


def test_a_growing_file_of_a_killed_run_is_kept_under_another_name(tmp_path):
    with closing(spans(tmp_path)) as files:
        (tmp_path / "framework" / f"{NAME}.tmp").write_text("[")
        files.write([Span("Step", "b", DAY_S, 0.25, {})])
        left = sorted(path.name for path in (tmp_path / "framework").iterdir())
    assert len(left) == 2
    assert left[0] == f"{NAME}.tmp"
    time_us, _, rest = left[1].partition("_")
    assert rest == f"{NAME}.tmp"
    assert 15 < len(time_us) < 18  # microseconds since the epoch


def test_metrics_are_a_line_each(tmp_path):
    files = SystemFiles(tmp_path, "algo-1", 10**6, 60)
    files.write(DAY_S + 0.25, [Metric("cpu", "cpu0", "CPUUtilization", 12.345)])
    [path] = tmp_path.rglob("*.json")
    assert path == tmp_path / "system/incremental/2023111422/1700000000.algo-1.json"
    assert path.read_text() == (
        '{"Type":"cpu","Name":"cpu0","Dimension":"CPUUtilization","Value":12.35,'
        '"NodeId":"algo-1","Timestamp":1700000000.250000}\n'
    )
    files.close()


@pytest.mark.parametrize("bound, names", [(0, [120, 121]), (1000, [120])])
def test_a_file_of_metrics_ends_when_it_is_large(tmp_path, bound, names):
    files = SystemFiles(tmp_path, "n", bound, 60)
    for second in (120.5, 121.5):
        files.write(second, [Metric("cpu", "cpu0", "CPUUtilization", 1.0)])
    files.close()
    found = sorted(int(path.name.split(".")[0]) for path in tmp_path.rglob("*.json"))
    assert found == names


def test_a_file_of_metrics_as_large_as_its_bound_goes_on(tmp_path):
    metric = Metric("cpu", "cpu0", "CPUUtilization", 1.0)
    probe = SystemFiles(tmp_path / "probe", "n", 10**6, 60)
    probe.write(120.5, [metric])
    probe.close()
    [path] = (tmp_path / "probe").rglob("*.json")
    files = SystemFiles(tmp_path / "own", "n", path.stat().st_size, 60)
    for second in (120.5, 121.5, 122.5):
        files.write(second, [metric])
    files.close()
    found = sorted(path.name for path in (tmp_path / "own").rglob("*.json"))
    assert found == ["120.n.json", "122.n.json"]
