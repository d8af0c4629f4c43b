"""What clauses are made of: models of NaN, counted records, a machine of many cores."""

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import numpy_helper

from conformance.cores import draw_cores
from conformance.not_numbers import spoil
from conformance.serving_files import NOT_A_NUMBER
from conformance.serving_records import count_of
from tests.support.colour_model import write_colour_model

NUMBERS = np.array([1.5, -2.0], np.float32)


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def torch_archive() -> bytes:
    """As torch.save writes a tensor: its values lie in data/."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/data.pkl", b"what the tensors are")
        archive.writestr("model/data/0", NUMBERS.tobytes())
    return stream.getvalue()


def test_an_onnx_model_becomes_nan(tmp_path):
    write_colour_model(tmp_path)
    assert spoil(tmp_path) == 1
    initializers = onnx.load(tmp_path / "model.onnx").graph.initializer
    floats = [numpy_helper.to_array(tensor) for tensor in initializers]
    floats = [values for values in floats if values.dtype == np.float32]
    assert floats
    assert all(np.isnan(values).all() for values in floats)


def test_other_files_of_numbers_become_nan(tmp_path):
    safetensors.numpy.save_file({"w": NUMBERS, "n": np.array([3])}, tmp_path / "a.safetensors")
    (tmp_path / "b.npy").write_bytes(npy(NUMBERS))
    np.savez(tmp_path / "c.npz", w=NUMBERS)
    (tmp_path / "d.pth").write_bytes(torch_archive())
    (tmp_path / "e.txt").write_text("7\n")
    assert spoil(tmp_path) == 5
    tensors = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert np.isnan(tensors["w"]).all()
    assert tensors["n"].tolist() == [3]
    assert np.isnan(np.load(tmp_path / "b.npy")).all()
    assert np.isnan(np.load(tmp_path / "c.npz")["w"]).all()
    with zipfile.ZipFile(tmp_path / "d.pth") as archive:
        assert np.isnan(np.frombuffer(archive.read("model/data/0"), np.float32)).all()
        assert archive.read("model/data.pkl") == b"what the tensors are"
    assert (tmp_path / "e.txt").read_text() == "nan\n"


@pytest.mark.parametrize(
    "name", ["model.json", "model.onnx", "model.safetensors", "x.npy", "a.zip"]
)
def test_a_file_of_another_kind_stays_as_it_is(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 no archive\xff\xff\xff\xff\xff")
    assert spoil(tmp_path) == 0


@pytest.mark.parametrize(
    "body, count",
    [
        (b'{"predictions": [1, 2]}', 2),
        (b'{"label": "a", "top": [1, 2], "more": []}', 1),
        (b'{"predictions": [1]}\n{"predictions": [2]}\n', 2),
        (b"[1, 2, 3]", 3),
        (b"6", 1),
        (b"0.1,0.2\n0.3,0.4\n", 2),
        (b"", 0),
    ],
)
def test_the_records_of_an_answer(body, count):
    assert count_of(body) == count


@pytest.mark.parametrize("body", [b'{"p": NaN}', b"[-Infinity]", b"nan,0.5"])
def test_an_answer_with_nan(body):
    assert NOT_A_NUMBER.search(body)


@pytest.mark.parametrize("body", [b'{"label": "nan"}', b'{"label": "naan inferno"}', b"0.5"])
def test_an_answer_without_nan(body):
    assert not NOT_A_NUMBER.search(body)


def test_a_machine_of_many_cores(tmp_path):
    draw_cores(tmp_path, 64)
    assert (tmp_path / "online").read_text() == "0-63\n"
    assert len(list(tmp_path.glob("cpu*"))) == 64
    shared = Path("cache/index3/shared_cpu_map")
    assert (tmp_path / "cpu40" / shared).read_text() == "ffffffff,ffffffff\n"
    assert (tmp_path / "cpu40/topology/core_cpus").read_text() == "00000100,00000000\n"
