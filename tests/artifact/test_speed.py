"""What a photo costs one core, measured on an artifact."""

import json

import pytest

from artifact.engines.speed import decode_ms, main, processor, speed, stand_in
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import REPOSITORY


def test_the_figures_of_photos_and_an_engine():
    found = speed(Preprocessing(), [stand_in()] * 3, 7.12345, "bf16")
    assert found["engine_ms"] == 7.123
    assert found["precision"] == "bf16"
    assert 0 < found["decode_ms"] < 1000
    assert found["processor"]


def test_a_processor_has_a_name_wherever_linux_has_none(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name : A fast one\n")
    assert processor(tmp_path / "cpuinfo") == "A fast one"
    assert processor(tmp_path / "none")


@pytest.mark.parametrize("words", [["nowhere"], [str(REPOSITORY / "docs"), "--photos", "x"]])
def test_what_is_no_artifact_is_one_sentence(capsys, words):
    assert main(words) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("speed: failed: ")
    assert errors.count("\n") == 1


def test_the_command_prints_what_size_reads(trained, tmp_path, capsys):
    (tmp_path / "one.jpg").write_bytes(stand_in())
    assert main([str(trained.model), "--photos", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["engine_ms"] > 0
    assert decode_ms(Preprocessing(), [stand_in()]) > 0
