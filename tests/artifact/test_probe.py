"""The probe: on another kind of machine it decides which precision an engine computes in."""

import dataclasses
import io
import logging
import math
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from artifact.engines import choice, probe
from artifact.engines.choice import open_engine, precisions
from artifact.engines.openvino_engine import load_openvino
from artifact.engines.probe import (
    FILE_BYTES,
    compare,
    difference,
    photos_that_fit,
    probe_facts,
    probe_rows,
    read_probe,
    with_bound,
    write_probe,
)
from artifact.host.machine import machine_kind
from artifact.model import (
    GRAPH_FILE,
    INT8_FILE,
    PROBE_FILE,
    ArtifactError,
    Description,
    read_description,
    write_description,
)
from artifact.photos.preprocessing import Preprocessing
from tests.support.colour_model import write_colour_model

OTHER = "amd64 avx2"
GRAVITON = frozenset({"asimddp", "asimdhp", "bf16", "i8mm", "sve"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An artifact with an int8 model, which computes as the float one does, and a probe."""
    tmp_path = tmp_path_factory.mktemp("model")
    write_colour_model(tmp_path)
    openvino = load_openvino()
    openvino.save_model(openvino.Core().read_model(tmp_path / GRAPH_FILE), tmp_path / INT8_FILE)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 1, 1, 3), np.uint8)
    pixels = np.broadcast_to(pixels, (8, 32, 32, 3)).copy()
    described = dataclasses.replace(read_description(tmp_path), quantization={"kept": True})
    engine = open_engine(tmp_path, described, "f32", 1)
    write_probe(tmp_path, pixels, engine.run(pixels))
    engine.close()
    write_description(tmp_path, dataclasses.replace(described, probe=probe_facts(pixels)))
    return tmp_path


@pytest.fixture
def folder(made, tmp_path):
    """A copy of that artifact, to be spoilt."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def made_on(folder, machine: str) -> Description:
    described = read_description(folder)
    return dataclasses.replace(described, probe=described.probe | {"machine": machine})


def spoil(folder) -> None:
    """Let the probe's answers be those of other photos, as if this machine computed wrongly."""
    pixels, answers = read_probe(folder, read_description(folder))
    write_probe(folder, pixels, np.roll(answers, 1, axis=1))


@pytest.fixture
def quick(monkeypatch):
    """A processor that multiplies bytes, whatever this one does."""
    monkeypatch.setattr(choice, "processor_flags", lambda: frozenset({"avx_vnni"}))


def test_the_machine_that_exports_needs_no_probe(folder, quick, caplog):
    (folder / PROBE_FILE).write_bytes(b"never read")
    engine = open_engine(folder, read_description(folder), threads=1)
    assert engine.precision == "int8"
    assert caplog.text == ""


def test_another_kind_takes_int8_that_agrees(folder, quick, caplog):
    caplog.set_level(logging.INFO)
    assert open_engine(folder, made_on(folder, OTHER), threads=1).precision == "int8"
    assert "probe: int8 differs from f32 by " in caplog.text
    assert f"the model was made on '{OTHER}', " in caplog.text


def test_another_kind_leaves_int8_that_differs(folder, quick, caplog):
    spoil(folder)
    assert open_engine(folder, made_on(folder, OTHER), threads=1).precision == "f32"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a slower precision is taken" in caplog.text
    with pytest.raises(ArtifactError, match="int8 differs from f32 by .*; ask for precision auto"):
        open_engine(folder, made_on(folder, OTHER), "int8", 1)
    # one that is not asked for is not looked at
    assert open_engine(folder, made_on(folder, OTHER), "f32", 1).precision == "f32"


def test_a_bound_follows_what_int8_differs_by(folder):
    described = read_description(folder)
    assert with_bound(described, 0.001)["bound"] == 0.02
    assert with_bound(described, 0.03)["bound"] == 0.06
    assert with_bound(described, 0.03)["photos"] == 8


def test_on_arm_int8_needs_a_probe(folder, monkeypatch):
    monkeypatch.setattr(choice, "architecture", lambda: "arm64")
    monkeypatch.setattr(probe, "machine_kind", lambda: "arm64 asimddp asimdhp")
    described = made_on(folder, OTHER)
    assert precisions(described, GRAVITON) == ["int8", "f16", "f32"]
    assert precisions(described, frozenset()) == ["f32"]
    older = dataclasses.replace(described, probe={})
    assert precisions(older, GRAVITON) == ["f32"]
    for asked in ("int8", "f16", "bf16"):
        with pytest.raises(ArtifactError, match=f"no probe .*so nothing shows that {asked}"):
            open_engine(folder, older, asked, 1)
    assert open_engine(folder, older, threads=1).precision == "f32"


def test_an_older_artifact_is_served_as_before(folder, quick):
    older = dataclasses.replace(read_description(folder), probe={})
    (folder / PROBE_FILE).unlink()
    assert open_engine(folder, older, threads=1).precision == "int8"


@pytest.mark.parametrize(
    "side, columns, count", [(224, 1001, 32), (384, 134, 11), (32, 3, 32), (1291, 2, 0)]
)
def test_a_probe_takes_five_megabytes_at_most(tmp_path, side, columns, count):
    assert photos_that_fit(side, columns) == count
    if side == 224:
        pixels = np.zeros((count, side, side, 3), np.uint8)
        write_probe(tmp_path, pixels, np.zeros((count, columns), np.float32))
        assert (tmp_path / PROBE_FILE).stat().st_size <= FILE_BYTES
    assert probe_facts(np.zeros((0, 1, 1, 3), np.uint8)) == {}


@pytest.mark.parametrize("shift, photos", [(0.005, 8), (0.015, 24)])
def test_a_few_photos_decide_where_they_are_clear(tmp_path, shift, photos):
    pixels = np.zeros((24, 32, 32, 3), np.uint8)
    answers = np.full((24, 2), 0.5, np.float32)
    write_probe(tmp_path, pixels, answers)
    described = Description(("a", "b"), Preprocessing(crop=32), "", probe=probe_facts(pixels))
    shifted = SimpleNamespace(run=lambda some: answers[: len(some)] + np.float32(shift))
    found = compare(shifted, tmp_path, described)
    assert found.photos == photos
    assert found.difference == pytest.approx(shift, abs=1e-6)
    nothing = SimpleNamespace(run=lambda some: answers[: len(some)] * np.float32("nan"))
    assert compare(nothing, tmp_path, described).difference == math.inf


def test_the_first_photos_are_of_all_classes():
    rows = probe_rows(320, 224, 101)
    assert len(rows) == 32
    assert rows[:8] == [0, 40, 80, 120, 160, 200, 240, 280]
    assert probe_rows(3, 224, 101) == [0, 1, 2]
    assert probe_rows(0, 224, 101) == []


def test_a_photo_between_two_classes_counts_by_its_share():
    expected = np.tile(np.array([[0.9, 0.1, 5.0]], np.float32), (4, 1))
    answers = expected.copy()
    answers[0] = (0.1, 0.9, 7.0)  # the last column is a distance
    described = Description(("a", "b"), Preprocessing(), "", known={"threshold": 10.0})
    assert difference(answers, expected, described) == pytest.approx(0.2)
    answers[0, -1] = 25.0
    assert difference(answers, expected, described) == pytest.approx(0.5)


def npz(**members: bytes) -> bytes:
    """An npz file of these bytes, whether or not they are arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def claiming(shape: str) -> bytes:
    """An array's header alone."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': " + shape.encode() + b"}\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header


NO_PROBES = {
    "empty": b"",
    "cut": b"PK",
    "text": b"x" * 100,
    "no arrays": npz(pixels=b"text", answers=b"text"),
    "one array alone": npz(pixels=claiming("(0,)")),
    "a shape of terabytes": npz(pixels=claiming("(1000000, 1000000)"), answers=b""),
    "a shape below zero": npz(pixels=claiming("(-1,)"), answers=b""),
    "a shape that is none": npz(pixels=claiming("'x'"), answers=b""),
}


@pytest.mark.parametrize("content", NO_PROBES.values(), ids=NO_PROBES)
def test_a_probe_that_is_none_is_one_sentence(folder, content):
    (folder / PROBE_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="model.probe.npz' is not a probe that can be read"):
        read_probe(folder, read_description(folder))


def test_a_probe_must_fit_its_model(folder):
    described = read_description(folder)
    pixels, answers = read_probe(folder, described)
    write_probe(folder, pixels[:4], answers)
    with pytest.raises(ArtifactError, match=r"has pixels uint8 \[4, 32, 32, 3\]; model.json says"):
        read_probe(folder, described)
    np.savez_compressed(folder / PROBE_FILE, pixels=pixels, answers=answers)
    with pytest.raises(ArtifactError, match="it is compressed"):
        read_probe(folder, described)
    (folder / PROBE_FILE).write_bytes(b"x" * (FILE_BYTES + 1))
    with pytest.raises(ArtifactError, match="more than 5 MB"):
        read_probe(folder, described)
    (folder / PROBE_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"holds no model\.probe\.npz"):
        read_description(folder)


@pytest.mark.parametrize(
    "facts", [{"photos": 3}, {"photos": 0, "bound": 1, "machine": "a"}, {"bound": "x"}]
)
def test_half_a_probe_in_model_json_is_refused(folder, facts):
    write_description(folder, dataclasses.replace(read_description(folder), probe=facts))
    with pytest.raises(ArtifactError, match="expected its photos, machine and bound"):
        read_description(folder)


def test_the_kind_of_this_machine():
    assert machine_kind().split()[0] in ("amd64", "arm64")
