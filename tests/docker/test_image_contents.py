"""The contents of the images: their sizes, labels, and what is left out."""

import json
import re

import pytest

from tests.support.image_jobs import docker

pytestmark = pytest.mark.docker


# Bytes of the unpacked wheels of torch, torchvision and all they require, by their own records:
# before any trimming.
TORCH_ALONE = """
import importlib.metadata as metadata, re
seen, todo = set(), ["torch", "torchvision"]
while todo:
    name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
    if name in seen:
        continue
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    seen.add(name)
    for text in found.requires or ():
        if "extra ==" not in text or name == "cuda-toolkit":  # torch asks for that one's extras
            todo.append(re.match(r"[A-Za-z0-9._-]+", text)[0])
files = [file for name in seen for file in metadata.distribution(name).files]
print(sum(file.size or 0 for file in files if file.suffix != ".pyc"))
"""


def test_the_images_are_small_and_say_what_they_are(images):
    sizes = {
        name: int(docker("image", "inspect", "--format", "{{.Size}}", name, check=True).stdout)
        for name in images.values()
    }
    assert sizes[images["serve"]] < 450e6
    torch_alone = int(
        docker("run", "--rm", images["train"], "python", "-c", TORCH_ALONE, check=True).stdout
    )
    # beside torch: faiss has 66 MB, timm and the hub's client 40, EfficientNet-Lite0's weights 19
    assert 5e9 < torch_alone < sizes[images["train"]] < torch_alone + 750e6
    for kind, name in images.items():
        config = json.loads(docker("image", "inspect", name, check=True).stdout)[0]["Config"]
        assert config["Labels"]["org.opencontainers.image.title"] == f"slipway-{kind}"
        assert config["Labels"]["org.opencontainers.image.revision"]
        assert isinstance(config["Entrypoint"], list)
        assert config["User"] == ""
        for capability in ("accept-bind-to-port", "multi-models") if "serve" in kind else ():
            assert config["Labels"][f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"
    train = json.loads(docker("image", "inspect", images["train"], check=True).stdout)[0]["Config"]
    assert "NVIDIA_VISIBLE_DEVICES=all" in train["Env"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in train["Env"]


@pytest.mark.parametrize("name", ["train", "serve", "serve-gpu", "serve-mms", "serve-mms-torch"])
def test_no_file_gives_its_user_other_rights(images, name):
    """setuid and setgid: whoever breaks in as a plain user has nothing to become root by."""
    find = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    found = docker("run", "--rm", images[name], *find, check=True)
    assert found.stdout == ""


def test_the_serving_image_has_no_torch_and_nothing_under_opt_ml(images):
    code = (
        "import importlib.util as u; "
        "print([n for n in ('torch', 'torchvision', 'boto3') if u.find_spec(n)])"
    )
    assert docker("run", "--rm", images["serve"], "python", "-c", code, check=True).stdout == "[]\n"
    for name in images.values():
        assert docker("run", "--rm", name, "ls", "/opt/ml").returncode != 0


@pytest.mark.parametrize("name", ["train", "serve-gpu"])
def test_only_smdebugs_wishes_and_what_was_trimmed_are_missing(images, name):
    printed = docker("run", "--rm", images[name], "pip", "check").stdout
    known = (
        r"smdebug 1\.0\.34 has requirement protobuf<=3\.20\.3"
        r"|smdebug 1\.0\.34 requires pyinstrument, which is not installed"
        r"|\S+ \S+ requires (openvino-telemetry|ninja|scikit-learn), which is not installed"
    )
    assert [line for line in printed.splitlines() if not re.match(known, line)] == []
    assert "smdebug 1.0.34 has requirement protobuf" in printed
