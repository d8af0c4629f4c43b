"""The decision on the int8 model, and its child process; no model is quantized here."""

import errno
import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from artifact.engines import quantization
from artifact.engines.int8_gate import Judgement, compared
from artifact.engines.quantization import STOPPED, quantize
from artifact.model import ArtifactError, Description
from artifact.photos.preprocessing import Preprocessing

DESCRIPTION = Description(("a", "b"), Preprocessing(36, 32), "resnet18")


@pytest.fixture
def calibrated(monkeypatch) -> list[list[Path]]:
    """The photos of each quantization, which takes no time and always works."""
    given: list[list[Path]] = []

    def write(
        directory: Path, description: Description, photos: list[Path], attempt: int, stop: object
    ) -> None:
        given.append(photos)

    monkeypatch.setattr(quantization, "_write_int8", write)
    return given


def judged(answers: list[int]) -> Judgement:
    """Answers of a photo each, of which 0 is right."""
    given = np.array(answers)
    return Judgement(given, given == 0)


def decided(folder: Path, f32: Judgement | None, int8: Judgement | None, **options: Any):
    found = {"f32": f32, "int8": int8}
    judges = 1000 if f32 is None else len(f32.correct)
    return quantize(
        folder,
        DESCRIPTION,
        [Path("/a.jpg")],
        judges,
        lambda description, precision: found[precision],
        lambda: False,
        **options,
    )


def alike(*_: object) -> Judgement:
    return judged([0] * 100)


@pytest.mark.parametrize(
    "count, chosen, first, last",
    [(1, 1, [0], 0), (149, 149, [0, 1, 2], 148), (150, 150, [0, 1, 2], 149)]
    + [(151, 150, [0, 1, 2], 149), (450, 150, [0, 3, 6], 447)],
)
def test_photos_are_taken_from_all_over_the_list(tmp_path, calibrated, count, chosen, first, last):
    photos = [Path(f"/{number}") for number in range(count)]
    figures = quantize(tmp_path, DESCRIPTION, photos, 100, alike, lambda: False)
    assert figures["calibration_photos"] == chosen
    assert len(calibrated[0]) == chosen
    assert calibrated[0][: len(first)] == [photos[index] for index in first]
    assert calibrated[0][-1] == photos[last]


@pytest.mark.parametrize(
    "f32, int8, reason",
    [
        # 10 of 1,000 answers may differ.
        ([0] * 1000, [0] * 1000, None),
        ([1] * 1000, [2] * 10 + [1] * 990, None),
        (
            [1] * 1000,
            [2] * 11 + [1] * 989,
            "it answers 98.90 % of 1000 photos as f32 does; 99 % are wanted",
        ),
        # 3 of 1,000 photos may be lost by luck, 6 not.
        ([0] * 1000, [1] * 3 + [0] * 997, None),
        (
            [0] * 1000,
            [1] * 6 + [0] * 994,
            "it loses 0.60 percentage points of accuracy (0.12 to 1.08); 0.2 may be lost",
        ),
        # A loss beside a gain.
        ([1] * 4 + [0] * 996, [0] * 4 + [1] * 6 + [0] * 990, None),
        ([0] * 99, [0] * 99, "99 photos are too few to judge one; 100 are needed"),
    ],
)
def test_int8_must_agree_and_lose_nothing(tmp_path, calibrated, f32, int8, reason):
    (tmp_path / "model.int8.xml").touch()
    (tmp_path / "model.int8.bin").touch()
    figures = decided(tmp_path, judged(f32), judged(int8))
    assert figures["kept"] is (reason is None)
    assert figures.get("reason") == reason
    assert figures["photos"] == len(f32)
    assert (tmp_path / "model.int8.xml").exists() is (reason is None)
    assert (tmp_path / "model.int8.bin").exists() is (reason is None)
    assert re.search(r" (with|without) ", figures["processor"])
    if len(f32) == 1000:
        same = np.mean(np.array(f32) == np.array(int8))
        assert figures["agreement"] == pytest.approx(same)
        assert figures["f32_accuracy"] == np.mean(np.array(f32) == 0)
        assert figures["int8_accuracy"] == np.mean(np.array(int8) == 0)
    else:
        assert calibrated == []


def test_fewer_layers_compute_in_int8_where_all_differ_too_much(tmp_path, monkeypatch):
    """f32 is asked once, and the first model that passes is kept."""
    made: list[int] = []
    asked: list[str] = []

    def write(
        directory: Path, description: Description, photos: list[Path], attempt: int, stop: object
    ) -> None:
        made.append(attempt)

    def judge(description: Description, precision: str) -> Judgement:
        asked.append(precision)
        worse = precision == "int8" and len(made) == 1
        return judged([int(worse)] * 100)

    monkeypatch.setattr(quantization, "_write_int8", write)
    figures = quantize(tmp_path, DESCRIPTION, [Path("/a.jpg")], 100, judge, lambda: False)
    assert figures["kept"] is True
    assert made == [0, 1]
    assert figures["attempt"] == 2
    assert asked == ["f32", "int8", "int8"]


def test_of_several_labels_all_must_agree():
    first = np.array([[True, False], [True, True]])
    second = np.array([[True, False], [True, False]])
    right = np.array([True, True])
    found = compared(Judgement(first, right), Judgement(second, right))
    assert (found.agreement, found.loss, found.low, found.high) == (0.5, 0, 0, 0)


@pytest.mark.parametrize("f32, int8", [(None, [0]), ([0] * 100, None)])
def test_a_stop_while_measuring_keeps_nothing(tmp_path, calibrated, f32, int8):
    figures = decided(tmp_path, f32 and judged(f32), int8 and judged(int8))
    assert figures["kept"] is False
    assert figures["reason"] == STOPPED


def test_a_stop_before_costs_no_work(tmp_path, calibrated):
    figures = quantize(tmp_path, DESCRIPTION, [Path("/a")], 100, alike, lambda: True)
    assert figures["reason"] == STOPPED
    assert calibrated == []


def test_an_int8_model_that_does_not_load_is_dropped(tmp_path, calibrated):
    def broken(description: Description, precision: str) -> Judgement:
        raise ArtifactError("is not a graph")

    figures = quantize(tmp_path, DESCRIPTION, [Path("/a")], 100, broken, lambda: False)
    assert figures["kept"] is False
    assert figures["reason"] == "is not a graph"


class Child:
    """A process that ends with a code after some looks at it."""

    def __init__(self, looks: int = 0, code: int = 0):
        self.looks = looks
        self.returncode: int | None = None
        self.code = code
        self.killed = 0
        self.waited = 0

    def poll(self) -> int | None:
        if self.looks > 0:
            self.looks -= 1
            return None
        self.returncode = self.code
        return self.code

    def kill(self) -> None:
        self.killed += 1

    def wait(self) -> None:
        self.waited += 1


@pytest.mark.parametrize(
    "code, output, reason",
    [
        (0, b"", None),
        (1, b"Traceback\nValueError: no\n\n", "NNCF cannot quantize resnet18 (ValueError: no)"),
        (1, b"y" * 300, f"NNCF cannot quantize resnet18 ({'y' * 200})"),
        (-9, b"", "NNCF cannot quantize resnet18 (it ended with code -9)"),
    ],
)
def test_a_child_that_fails_is_one_sentence(tmp_path, monkeypatch, code, output, reason):
    child = Child(code=code)
    started: list[list[str]] = []

    def start(command: list[str], **options: object) -> Child:
        started.append(command)
        assert options["start_new_session"] is True
        options["stdout"].write(output)  # type: ignore[attr-defined]  # a file
        return child

    monkeypatch.setattr(subprocess, "Popen", start)
    order: dict[str, object] = {"architecture": "resnet18"}
    assert quantization._run_child(tmp_path, order, lambda: False) == reason
    assert started[0][1:] == ["-m", "artifact.engines.quantization", str(tmp_path)]
    assert json.loads((tmp_path / "order.json").read_text()) == order
    assert child.killed == 1
    assert child.waited == 1


def test_a_stop_ends_the_child(tmp_path, monkeypatch):
    child = Child(looks=1000)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: child)
    assert quantization._run_child(tmp_path, {}, lambda: True) == STOPPED
    assert child.killed == 1
    assert child.waited == 1


def test_while_it_runs_it_is_reported_every_twenty_seconds(monkeypatch, caplog):
    seconds = [0.0]

    def sleep(duration: float) -> None:
        assert duration == 0.05
        seconds[0] += 5

    clock = SimpleNamespace(monotonic=lambda: seconds[0], sleep=sleep)
    monkeypatch.setattr(quantization, "time", clock)
    caplog.set_level("INFO")
    child: Any = Child(looks=11)  # in place of a Popen
    assert quantization._wait(child, lambda: False)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["progress: quantizing for 25 s", "progress: quantizing for 50 s"]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quantization, "_run_child", full)
    reason = quantization._write_int8(tmp_path, DESCRIPTION, [Path("/ä")], 0, lambda: False)
    assert reason == (f"the int8 model cannot be written to '{tmp_path}' (No space left on device)")
    assert not any(tmp_path.iterdir())


def test_the_order_holds_all_that_the_child_needs_and_its_files_are_moved(tmp_path, monkeypatch):
    orders: list[dict[str, object]] = []

    def run(folder: Path, order: dict[str, object], stop: object) -> None:
        orders.append(order)
        assert folder.parent == tmp_path
        (folder / "model.int8.xml").write_text("graph")
        (folder / "model.int8.bin").write_text("weights")

    monkeypatch.setattr(quantization, "_run_child", run)
    assert quantization._write_int8(tmp_path, DESCRIPTION, [Path("/ä")], 0, lambda: False) is None
    assert orders[0]["graph"] == str(tmp_path / "model.onnx")
    assert orders[0]["architecture"] == "resnet18"
    assert orders[0]["attempt"] == 0
    assert orders[0]["photos"] == ["/ä".encode().hex()]
    assert {path.name for path in tmp_path.iterdir()} == {"model.int8.xml", "model.int8.bin"}
