"""The command size: machines, prices and targets from an artifact's measured times."""

import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from launch.__main__ import main
from launch.cost import read_prices
from launch.errors import LaunchError
from launch.packages import description_in
from launch.size import Wanted, cores_of, read_speed, sizes_of, work_of
from tests.support.jobs import REPOSITORY

SPEED = {"decode_ms": 4.0, "engine_ms": 20.0, "precision": "bf16", "processor": "a fast one"}
RECIPE = str(REPOSITORY / "recipes/demo.yaml")


@pytest.fixture
def prices(tmp_path, monkeypatch):
    """A table of two types without a GPU, and of two that are left out."""
    monkeypatch.setattr("launch.queueing.REQUESTS", 500)  # quicker, and less exact
    table = tmp_path / "prices.yaml"
    table.write_text(
        "as_of: now\nregion: us-east-1\nspot_share: 1\nvolume_gb_month: 0\n"
        "serverless_gb_s: 0\nprovisioned_gb_s: 0\n"
        "instances: {ml.c6i.large: 0.1, ml.c6i.xlarge: 0.3, ml.g5.xlarge: 1, ml.t3.medium: 0.01}\n"
    )
    return table


def artifact(folder: Path, speed: object = SPEED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"provenance": {"speed": speed}}))
    return folder


@pytest.mark.parametrize(
    ("name", "cores"),
    [
        ("ml.m5.large", 2),
        ("ml.c6i.xlarge", 4),
        ("ml.c6i.4xlarge", 16),
        ("ml.c7i.24xlarge", 96),
        ("ml.c7i.metal", 0),
    ],
)
def test_a_types_cores_stand_in_its_name(name, cores):
    assert cores_of(name) == cores


def test_the_cheapest_type_comes_first_and_needs_more_machines_in_bursts(prices):
    found = sizes_of(work_of(SPEED), Wanted(100, 200), read_prices(prices))
    assert [one.type for one in found] == ["ml.c6i.large", "ml.c6i.xlarge"]
    small = found[0]
    assert 2 <= small.machines < small.machines_in_bursts
    assert small.p99_ms <= 220
    assert small.p99_in_bursts_ms <= 220
    assert small.dollars_per_month == pytest.approx(small.machines_in_bursts * 0.1 * 730)
    assert small.target == int(0.8 * 60 * small.rate)


def test_the_table_has_the_recipes_lines_and_what_is_not_known(tmp_path, prices, capsys):
    model = artifact(tmp_path / "model")
    words = ["--rps", "10", "--p99-ms", "300", "--model", str(model), "--prices", str(prices)]
    assert main(["size", RECIPE, *words]) == 0
    said = capsys.readouterr().out
    assert "      instance_type: ml.c6i.large\n      instance_count: 1\n" in said
    assert "4.0 ms to decode a photo and 20.0 ms to run the network in bf16" in said
    assert "not known: the speed of another type's processor" in said
    assert "-m artifact.engines.speed /opt/ml/model >speed.json" in said
    assert main(["size", RECIPE, *words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["ml.c6i.large", "ml.c6i.xlarge"]
    assert lines[0]["target"] > 0


def test_a_limit_below_one_photo_is_refused(tmp_path, prices, capsys):
    model = artifact(tmp_path / "model")
    words = ["--rps", "10", "--p99-ms", "5", "--model", str(model), "--prices", str(prices)]
    assert main(["size", RECIPE, *words]) == 1
    assert "launch: failed: no type answers within 5 ms: a photo alone takes" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "many"])
def test_a_rate_is_a_number_above_zero(capsys, text):
    with pytest.raises(SystemExit, match="2"):
        main(["size", RECIPE, "--rps", text, "--p99-ms", "100"])
    assert "it must be a number above 0" in capsys.readouterr().err


def test_measured_times_are_those_of_a_folder_an_archive_or_a_file(tmp_path):
    folder = artifact(tmp_path / "model")
    assert read_speed(folder, None) == SPEED
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        data = (folder / "model.json").read_bytes()
        member = tarfile.TarInfo("model.json")
        member.size = len(data)
        packed.addfile(member, io.BytesIO(data))
    assert read_speed(archive, None) == SPEED
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(SPEED | {"engine_ms": 1.0}))
    assert read_speed(folder, file)["engine_ms"] == 1.0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read .* name an artifact's folder or its model.tar.gz with --model"),
        ("{", "is not readable JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "holds no measured times: .* python -m artifact.engines.speed"),
    ],
)
def test_what_holds_no_times_is_named(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(LaunchError, match=sentence):
        read_speed(tmp_path, None)


def damaged_archives(whole: bytes) -> list[bytes]:
    return [b"", b"text", whole[:40], whole[:9000], whole[:12] + b"xxxx" + whole[16:]]


def test_a_damaged_archive_is_one_sentence(tmp_path):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as packed:
        member = tarfile.TarInfo("model.json")
        member.size = 20_000
        packed.addfile(member, io.BytesIO(random.Random(0).randbytes(20_000)))
    archive = tmp_path / "model.tar.gz"
    for content in damaged_archives(plain.getvalue()):
        archive.write_bytes(content)
        with pytest.raises(LaunchError, match=r"model.tar.gz' cannot be read .* with --model"):
            read_speed(archive, None)
        with pytest.raises((OSError, ValueError)):
            description_in(str(archive))


@pytest.mark.parametrize("wrong", [None, "x", "5", True, [5]])
@pytest.mark.parametrize("name", ["decode_ms", "engine_ms"])
def test_times_that_are_none_are_refused(name, wrong):
    speed = {"decode_ms": 1, "engine_ms": 1} | {name: wrong}
    with pytest.raises(LaunchError, match=f"no number for {name} .found "):
        work_of(speed)
    with pytest.raises(LaunchError, match="above 0 ms"):
        work_of({"decode_ms": 0, "engine_ms": 1})
