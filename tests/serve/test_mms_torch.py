"""The image slipway-serve-mms-torch: a user's own network and code, in the SDK's layout."""

import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests.support.mms_containers import (
    HARDENED,
    ask,
    container,
    docker,
    load,
    manage,
    model,
    photo,
    ready,
)
from tests.support.user_models import PROGRAM, pack_resnet18

pytestmark = [pytest.mark.docker, pytest.mark.verify]

IMAGE = "serve-mms-torch"
JPEG = {"Content-Type": "image/jpeg"}
SDK = [option for pair in PROGRAM.items() for option in ("-e", "=".join(pair))]
SIZES = transforms.Compose(
    [transforms.Resize(64), transforms.CenterCrop(64), transforms.ToTensor()]
)


def expected(network: torch.nn.Module, data: bytes) -> list[float]:
    with torch.inference_mode():
        answer: list[float] = network(SIZES(Image.open(io.BytesIO(data)))[None])[0].tolist()
    return answer


def test_the_sdks_layout_answers_as_the_network_does(images, tmp_path):
    network = pack_resnet18(tmp_path / "m")
    with container(*model(tmp_path / "m"), *SDK, *HARDENED, image=images[IMAGE]) as (_, url):
        ready(url)
        for colour in ("red", "green"):
            data = photo(colour)
            status, kind, answer = ask(url, data, JPEG)
            assert (status, kind) == (200, "application/json"), answer
            assert json.loads(answer)[0] == pytest.approx(expected(network, data), abs=1e-4)
        status, kind, answer = ask(url, photo(), {**JPEG, "Accept": "text/csv"})
        assert (status, kind) == (200, "text/csv")
        assert len(answer.decode().split(",")) == 3
        status, kind, answer = ask(url, photo(), {**JPEG, "Accept": "application/x-npy"})
        assert np.load(io.BytesIO(answer)).shape == (1, 3)
        status, _, answer = ask(url, b"x", {"Content-Type": "text/plain"})
        assert status == 500
        assert json.loads(answer) == {"error": "inference.py: text/plain is no photo"}
        assert ask(url, b"x" * 7_000_000, JPEG)[0] == 413


def failed(images: dict[str, str], folder, *options: str) -> "subprocess.CompletedProcess[str]":
    return docker(
        "run", "--rm", *model(folder), *SDK, *options, images[IMAGE], "serve", check=False
    )


def test_requirements_that_are_not_there_are_refused_in_a_sentence(images, tmp_path):
    pack_resnet18(tmp_path / "m")
    (tmp_path / "m/code/requirements.txt").write_text("numpy\n# why\nnot-there>=2\n")
    done = failed(images, tmp_path / "m")
    assert done.returncode == 3
    assert "asks for 'not-there>=2', which this image does not have" in done.stderr
    assert "REQUIREMENTS='not-there>=2'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_fn_that_fails_gives_its_own_words(images, tmp_path):
    pack_resnet18(tmp_path / "m")
    (tmp_path / "m/model.pth").unlink()
    done = failed(images, tmp_path / "m")
    assert done.returncode == 3
    last = done.stderr.strip().splitlines()[-1]
    assert "inference.py could not open the model: FileNotFoundError" in last


def test_code_runs_only_where_it_is_asked_for(images, tmp_path, colours):
    folder = tmp_path / "m"
    shutil.copytree(colours.model, folder)
    (folder / "code").mkdir()
    (folder / "code/inference.py").write_text("raise SystemExit('it ran')\n")
    for kind in (IMAGE, "serve-mms", "serve"):
        wanted = [] if kind == IMAGE else SDK
        with container(*model(folder), *wanted, image=images[kind]) as (name, url):
            ready(url)
            status, _, answer = ask(url, photo("red"), JPEG)
            assert json.loads(answer)["predictions"][0]["label"] == "red", status
            log = docker("logs", name)
            said = "this image runs no code of a model" in log.stdout + log.stderr
            assert said == (kind != IMAGE)
    done = failed(images, folder)
    assert "inference.py ended with code it ran while it was imported" in done.stderr


def test_many_models_each_have_their_own_code(images, tmp_path):
    networks = {}
    for number in (1, 2):
        networks[number] = pack_resnet18(tmp_path / f"m{number}/model", seed=number)
    options = ["-v", f"{tmp_path}:/opt/ml/models:ro", "-e", "SAGEMAKER_MULTI_MODEL=true"]
    with container(*options, *SDK, image=images[IMAGE]) as (_, url):
        ready(url)
        for number, network in networks.items():
            assert load(url, f"model{number}", f"m{number}") == 200
            status, _, answer = ask(url, photo(), JPEG, f"/models/model{number}/invoke")
            assert status == 200
            wanted = expected(network, photo())
            assert json.loads(answer)[0] == pytest.approx(wanted, abs=1e-4)
        assert manage(url, "DELETE", "/model1")[0] == 200
        os.rename(tmp_path / "m1/model/code", tmp_path / "m1/model/gone")
        assert load(url, "model1", "m1") == 400
