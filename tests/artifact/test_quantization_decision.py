"""The decision on the int8 model, and its child process; no model is quantized here."""

import errno
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from artifact import quantization
from artifact.model import ArtifactError, Description
from artifact.preprocessing import Preprocessing
from artifact.quantization import STOPPED, quantize

DESCRIPTION = Description(("a", "b"), Preprocessing(36, 32), "resnet18")


@pytest.fixture
def calibrated(monkeypatch) -> list[list[Path]]:
    """The photos of each quantization, which takes no time and always works."""
    given: list[list[Path]] = []

    def write(directory: Path, description: Description, photos: list[Path], stop: object) -> None:
        given.append(photos)

    monkeypatch.setattr(quantization, "_write_int8", write)
    return given


def decided(folder: Path, f32: float | None, int8: float | None, **options: float):
    accuracies = {"f32": f32, "int8": int8}
    return quantize(
        folder,
        DESCRIPTION,
        [Path("/a.jpg")],
        lambda description, precision: accuracies[precision],
        lambda: False,
        **options,
    )


@pytest.mark.parametrize(
    "count, chosen, first, last",
    [(1, 1, [0], 0), (299, 299, [0, 1, 2], 298), (300, 300, [0, 1, 2], 299)]
    + [(301, 300, [0, 1, 2], 299), (900, 300, [0, 3, 6], 897)],
)
def test_photos_are_taken_from_all_over_the_list(tmp_path, calibrated, count, chosen, first, last):
    photos = [Path(f"/{number}") for number in range(count)]
    figures = quantize(tmp_path, DESCRIPTION, photos, lambda *_: 1.0, lambda: False)
    assert figures["calibration_photos"] == chosen
    assert len(calibrated[0]) == chosen
    assert calibrated[0][: len(first)] == [photos[index] for index in first]
    assert calibrated[0][-1] == photos[last]


@pytest.mark.parametrize(
    "f32, int8, kept",
    [(0.9, 0.895, True), (0.9, 0.8949, False), (0.9, 0.95, True), (1.0, 0.995, True)],
)
def test_int8_may_cost_half_a_percent(tmp_path, calibrated, f32, int8, kept):
    (tmp_path / "model.int8.xml").touch()
    (tmp_path / "model.int8.bin").touch()
    figures = decided(tmp_path, f32, int8)
    assert figures["kept"] is kept
    assert figures["gate"] == 0.005
    assert figures["f32_accuracy"] == f32
    assert figures["int8_accuracy"] == int8
    assert (tmp_path / "model.int8.xml").exists() is kept
    assert (tmp_path / "model.int8.bin").exists() is kept
    if not kept:
        assert figures["reason"] == f"accuracy fell from {f32:.5f} to {int8:.5f}"


@pytest.mark.parametrize("f32, int8", [(None, 0.9), (0.9, None)])
def test_a_stop_while_measuring_keeps_nothing(tmp_path, calibrated, f32, int8):
    figures = decided(tmp_path, f32, int8)
    assert figures["kept"] is False
    assert figures["reason"] == STOPPED


def test_a_stop_before_costs_no_work(tmp_path, calibrated):
    figures = quantize(tmp_path, DESCRIPTION, [Path("/a")], lambda *_: 1.0, lambda: True)
    assert figures["reason"] == STOPPED
    assert calibrated == []


def test_an_int8_model_that_does_not_load_is_dropped(tmp_path, calibrated):
    def broken(description: Description, precision: str) -> float:
        raise ArtifactError("is not a graph")

    figures = quantize(tmp_path, DESCRIPTION, [Path("/a")], broken, lambda: False)
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
    assert started[0][1:] == ["-m", "artifact.quantization", str(tmp_path)]
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
    reason = quantization._write_int8(tmp_path, DESCRIPTION, [Path("/ä")], lambda: False)
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
    assert quantization._write_int8(tmp_path, DESCRIPTION, [Path("/ä")], lambda: False) is None
    assert orders[0]["graph"] == str(tmp_path / "model.onnx")
    assert orders[0]["architecture"] == "resnet18"
    assert orders[0]["photos"] == ["/ä".encode().hex()]
    assert {path.name for path in tmp_path.iterdir()} == {"model.int8.xml", "model.int8.bin"}
