"""Which engine is opened, on what, and the OpenVINO engine on a model made by hand."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from artifact.engines import choice, torch_engine
from artifact.engines.choice import open_engine, precisions
from artifact.engines.nvidia import DeviceError
from artifact.engines.openvino_engine import OpenVINOEngine, graphs_kept, load_openvino
from artifact.engines.openvino_engine import _read as read_graph
from artifact.host.machine import cpu_count, processor_flags
from artifact.model import ArtifactError, Description, read_description
from tests.support.colour_model import write_colour_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_colour_model(folder)
    return folder


@pytest.fixture(scope="module")
def description(folder) -> Description:
    return read_description(folder)


@pytest.fixture
def gpu(monkeypatch) -> list[tuple[Any, ...]]:
    """A stand-in for the engine on a GPU: the arguments with which it was opened."""
    opened: list[tuple[Any, ...]] = []

    def engine(*arguments: Any) -> SimpleNamespace:
        opened.append(arguments)
        return SimpleNamespace(name="torch", run=lambda pixels: np.full((1, 3), 1 / 3))

    monkeypatch.setattr(torch_engine, "TorchEngine", engine)
    return opened


@pytest.mark.parametrize(
    "flags, has_int8, expected",
    [
        ({"avx512_vnni"}, True, "int8"),
        ({"avx_vnni", "amx_bf16"}, True, "int8"),
        ({"amx_int8"}, False, "f32"),
        ({"amx_bf16"}, True, "bf16"),
        ({"avx512_bf16", "avx512_vnni"}, False, "bf16"),
        ({"avx2"}, True, "f32"),
    ],
)
def test_auto_takes_the_quickest(description, flags, has_int8, expected):
    described = dataclasses.replace(description, quantization={"kept": has_int8})
    assert precisions(described, frozenset(flags))[0] == expected


def test_flags_are_those_of_the_first_processor(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text("model : x\nflags\t\t: fpu amx_int8\nflags\t: other\n")
    assert processor_flags(tmp_path / "cpuinfo") == {"fpu", "amx_int8"}
    # an emulated process sees the report of the other architecture
    (tmp_path / "cpuinfo").write_text("Features : neon\n")
    assert processor_flags(tmp_path / "cpuinfo") == frozenset()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor_flags(tmp_path / "cpuinfo") == {"neon"}
    # As on another system than Linux.
    assert processor_flags(tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    "device, available, precision, gpu_precision",
    [
        # Asked for, it is tried, whatever the look says.
        ("cuda", False, "auto", "auto"),
        ("cuda", True, "f16", "f16"),
        # int8 is for CPUs: the GPU chooses for itself.
        ("auto", True, "int8", "auto"),
        ("auto", False, "f32", None),
        ("cpu", True, "f32", None),
    ],
)
def test_a_gpu_is_used_where_it_is_asked_for_or_works(
    folder, description, gpu, monkeypatch, device, available, precision, gpu_precision
):
    monkeypatch.setattr(choice, "use_gpu", lambda: available)
    engine = open_engine(folder, description, precision, 1, device)
    if gpu_precision is None:
        assert engine.name == "openvino"
        assert gpu == []
        return
    assert engine.name == "torch"
    assert gpu == [(folder, description, gpu_precision)]


def test_a_gpu_that_does_not_start_is_an_error(folder, description, monkeypatch):
    def broken(*arguments: object) -> None:
        raise DeviceError("no driver")

    monkeypatch.setattr(torch_engine, "TorchEngine", broken)
    monkeypatch.setattr(choice, "use_gpu", lambda: True)
    for device in ("auto", "cuda"):
        with pytest.raises(DeviceError, match="no driver"):
            open_engine(folder, description, "f32", 1, device)
    assert open_engine(folder, description, "f32", 1, "cpu").name == "openvino"


@pytest.mark.parametrize(
    "options, error, words",
    [
        (
            {"precision": "f8"},
            ValueError,
            "precision must be one of auto, f32, bf16, int8, f16; found 'f8'",
        ),
        ({"device": "tpu"}, ValueError, "device must be one of auto, cpu, cuda; found 'tpu'"),
        ({"precision": "f16"}, ArtifactError, "precision f16 is a GPU's, and none is used"),
        (
            {"precision": "int8"},
            ArtifactError,
            r"holds no int8 model \(training did not quantize it\); ask for precision auto",
        ),
    ],
)
def test_what_cannot_be_had_is_one_sentence(folder, description, options, error, words):
    with pytest.raises(error, match=words):
        open_engine(folder, description, **options)


def test_the_reason_why_there_is_no_int8_model_is_given(folder, description):
    figures = {"kept": False, "reason": "accuracy fell"}
    judged = dataclasses.replace(description, quantization=figures)
    with pytest.raises(ArtifactError, match=r"holds no int8 model \(accuracy fell\)"):
        open_engine(folder, judged, "int8")


@pytest.mark.parametrize(
    "kept, precision, threads, expected",
    [
        (False, "f32", 3, ("model.onnx", "f32", 3)),
        (True, "int8", 1, ("model.int8.xml", "int8", 1)),
        (True, "auto", None, ("model.int8.xml", "int8", cpu_count())),
        (False, "auto", None, ("model.onnx", "bf16", cpu_count())),
    ],
)
def test_the_file_and_the_threads_of_a_precision(
    folder, description, monkeypatch, kept, precision, threads, expected
):
    opened: list[tuple[object, ...]] = []
    done: list[object] = []

    def run(pixels: Any) -> Any:
        done.append(pixels.shape)
        return np.full((1, 3), 1 / 3, np.float32)

    def engine(path: Path, *arguments: object) -> SimpleNamespace:
        opened.append((path.name, *arguments))
        methods = {"run": run, "prepare_streams": lambda: done.append("streams")}
        return SimpleNamespace(input_shape=(32, 32, 3), classes=3, columns=3, **methods)

    monkeypatch.setattr(choice, "OpenVINOEngine", engine)
    # A processor that has everything.
    monkeypatch.setattr(choice, "processor_flags", lambda: frozenset({"amx_int8", "amx_bf16"}))
    judged = dataclasses.replace(description, quantization={"kept": kept})
    open_engine(folder, judged, precision, threads)
    assert opened == [(*expected, False)]
    # The streams take no core from what warms it.
    assert done == [(1, 32, 32, 3), (1, 32, 32, 3), "streams"]


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 32, 32, 3), np.float32), np.zeros((1, 32, 31, 3), np.uint8)]
)
def test_other_pixels_are_refused(folder, description, pixels):
    engine = open_engine(folder, description, "f32", 1)
    with pytest.raises(ValueError) as caught:
        engine.run(pixels)
    found = f"found {pixels.dtype} {list(pixels.shape)}"
    assert str(caught.value) == f"expected uint8 pixels [N, 32, 32, 3], {found}"
    engine.close()


@pytest.mark.parametrize("threads, streams", [(1, 1), (2, 2), (3, 3), (9, 4)])
def test_photos_run_side_by_side_on_up_to_four_streams(folder, threads, streams):
    engine = OpenVINOEngine(folder / "model.onnx", "f32", threads, openvino_streams=True)
    engine.prepare_streams()
    # A thread prepares the streams.
    if engine._preparing:
        engine._preparing.join()
    assert engine.max_batch == streams
    pixels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    alone = OpenVINOEngine(folder / "model.onnx", "f32", 1)
    assert alone.max_batch == 1
    np.testing.assert_allclose(engine.run(pixels), alone.run(pixels), atol=1e-6)
    assert len(engine._requests(streams)) == streams
    # Fewer photos than streams: one after another.
    assert len(engine._requests(streams - 1)) == 1
    engine.close()
    # Closing twice does no harm.
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        engine.run(pixels)


def test_streams_that_cannot_be_made_leave_one(folder, caplog):
    engine = OpenVINOEngine(folder / "model.onnx", "f32", 1)

    def compile_model(*arguments: object) -> None:
        raise RuntimeError("first line\nno memory")

    core = SimpleNamespace(compile_model=compile_model)
    engine._prepare(core, None, {}, 2)
    assert engine.max_batch == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    # Of the library's lines, the last says what is wrong.
    assert "several side by side (no memory)" in caplog.text
    engine.close()


def test_an_int8_model_keeps_its_name_and_f32_has_its_own(folder):
    for asked, found in (("int8", "int8"), ("f32", "f32")):
        engine = OpenVINOEngine(folder / "model.onnx", asked, 1)
        assert engine.precision == found
        engine.close()


def test_within_a_context_a_graph_is_read_once(folder, tmp_path):
    core = load_openvino().Core()
    path = folder / "model.onnx"
    with graphs_kept():
        first = read_graph(core, path)
        assert read_graph(core, path) is first
        (tmp_path / "model.onnx").write_bytes(path.read_bytes())
        other = read_graph(core, tmp_path / "model.onnx")
        assert other is not first
        assert read_graph(core, path) is not first  # only the last is kept
    assert read_graph(core, path) is not read_graph(core, path)


def test_a_graph_that_is_not_there_is_one_sentence(tmp_path):
    with graphs_kept(), pytest.raises(ArtifactError, match="is not a graph that OpenVINO reads"):
        OpenVINOEngine(tmp_path / "none.onnx", "f32", 1)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_users_own_network_leaves_no_gpu_idle(folder, description, gpu, monkeypatch, device):
    own = dataclasses.replace(description, architecture="own/Net")
    monkeypatch.setattr(choice, "use_gpu", lambda: True)
    with pytest.raises(DeviceError, match="own/Net is a user's own, which no GPU engine can re"):
        open_engine(folder, own, "f32", device=device)
    engine = open_engine(folder, own, "f32", device="cpu")
    engine.close()
    assert engine.name == "openvino"
    assert not gpu
