"""make bench-accuracy: parts are kept, a bench that is told to stop shows its table."""

import subprocess
import sys

from bench.accuracy.parts import Bench
from bench.accuracy.results import NAMES, last_line, table
from bench.accuracy.trainings import each_seed
from bench.parts import Parts
from tests.support.jobs import REPOSITORY


def test_a_part_is_measured_once_for_each_settings(tmp_path):
    parts = Parts[dict[str, float]](tmp_path / "parts")
    assert parts.figures("quick-0") is None
    parts.keep("quick-0", {"sizes": (1, 2)}, {"accuracy": 0.5})
    assert parts.figures("quick-0", {"sizes": (1, 2)}) == {"accuracy": 0.5}
    assert parts.figures("quick-0", {"sizes": (1, 3)}) is None
    assert parts.figures("quick-0") == {"accuracy": 0.5}


def test_parts_that_are_there_need_no_photos(tmp_path):
    bench = Bench(None, tmp_path, 2)
    for seed in range(2):
        bench.parts.keep(f"x-{seed}", {"lr": 1, "seed": seed}, {"accuracy": seed, "seconds": 1.0})
    assert [figures["accuracy"] for figures in each_seed(bench, "x", {"lr": 1})] == [0, 1]


STOPPED = """
import signal
from bench.told_to_stop import until_told
with until_told():
    print("measuring")
    signal.raise_signal(signal.SIGTERM)
    print("never")
print("table")
"""


def test_a_bench_that_is_told_to_stop_goes_on_behind_its_measuring():
    # A process of its own: the signal must not reach the tests.
    printed = subprocess.run(
        [sys.executable, "-c", STOPPED], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert printed == "measuring\nbench: told to stop; what is measured so far:\ntable\n"


def test_the_last_line_names_every_figure_measured_or_not():
    words = last_line({"yoga8_quick": 0.95, "seconds_quick": 31.23}).split()
    assert words[:2] == ["bench-accuracy:", "yoga8_quick=0.9500"]
    assert [word.partition("=")[0] for word in words[1:]] == list(NAMES)
    assert "seconds_quick=31.2" in words
    assert "head_seconds=none" in words
    assert "| yoga8_best beside yoga8_quick | 0.9 | at least 0.95 | no |" in table(
        {"yoga8_best": 0.9, "yoga8_quick": 0.95}
    )
