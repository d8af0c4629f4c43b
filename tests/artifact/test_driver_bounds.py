"""The oldest driver of each CUDA version, and the first GPU with kernels: at the bound itself."""

import importlib.util
from types import SimpleNamespace

import pytest

from artifact.engines import nvidia
from artifact.engines.nvidia import advice, driver_problem, gpu_problem, start_problem, torch_cuda
from tests.artifact.test_nvidia import NEW

NO_KERNELS = (
    "the GPU T has compute capability {found}; this torch has kernels from 7.5 on: "
    "take a newer GPU (on SageMaker ml.g4dn, g5, g6, p4d or later), or use the device cpu"
)


@pytest.mark.parametrize(
    "cuda, version, needed",
    [
        ("11.8", "450.79.1", "450.80"),
        ("11.8", "450.80.02", None),
        ("11.8", "449.99", "450.80"),
        ("12.8", "525.59", "525.60"),
        ("12.8", "525.60.13", None),
        ("13.0", "579.99", "580"),
        ("13.0", "580.0", None),
        # Of a newer CUDA nothing is known yet.
        ("14.0", "1.0", None),
    ],
)
def test_the_oldest_driver(tmp_path, cuda, version, needed):
    file = tmp_path / "version"
    file.write_text(NEW.replace("580.65.06", version))
    problem = driver_problem(cuda, file)
    if needed is None:
        assert problem is None
        return
    assert problem is not None
    assert f"driver {version} is too old: torch carries CUDA {cuda}" in problem
    assert f"needs {needed} or newer" in problem


@pytest.mark.parametrize(
    "number, reached",
    # torch gives 12.4 as 12040.
    [("12040", "12.4"), ("13010", "13.1"), ("9020", "9.2"), ("11090", "11.9")],
)
def test_torchs_number_of_a_cuda_version_is_read(tmp_path, number, reached):
    error = f"The NVIDIA driver on your system is too old (found version {number})."
    sentence = start_problem(error, "13.0", tmp_path / "none")
    assert f"it reaches CUDA {reached}, torch carries CUDA 13.0;" in sentence


def test_a_cuda_without_a_known_host_image_gets_the_other_advice():
    assert advice("11.8") == "update the host's driver, or use the device cpu"
    assert advice("12.4").startswith("set an endpoint's InferenceAmiVersion to al2-ami")
    assert advice("13.0").startswith("build the images with CUDA=12 (driver 525.60 or newer), set")


@pytest.mark.parametrize(
    "capability, found", [((7, 5), None), ((8, 0), None), ((7, 4), "7.4"), ((6, 9), "6.9")]
)
def test_the_first_gpu_with_kernels(capability, found):
    problem = gpu_problem("T", capability, ["sm_90", "sm_75", "compute_50"])
    assert problem == (found and NO_KERNELS.format(found=found))


@pytest.mark.parametrize(
    "visible, given, cuda, tried",
    [
        (None, True, "13.0", True),
        ("0", True, "13.0", True),
        # -1 hides all GPUs.
        ("-1", True, "13.0", False),
        (" ", True, "13.0", False),
        (None, False, "13.0", False),
        (None, True, None, False),
    ],
)
def test_a_gpu_is_tried_where_all_is_there(tmp_path, monkeypatch, visible, given, cuda, tried):
    monkeypatch.setattr(nvidia, "gpu_given", lambda: given)
    monkeypatch.setattr(nvidia, "torch_cuda", lambda: cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (tmp_path / "version").write_text(NEW)
    assert nvidia.use_gpu(tmp_path / "version") is tried


@pytest.mark.parametrize("found", [None, SimpleNamespace(origin=None)])
def test_without_torch_there_is_no_cuda(monkeypatch, found):
    # A namespace without a package has no origin.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    assert torch_cuda() is None
