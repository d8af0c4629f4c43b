import os
import subprocess
import sys

import pytest

from artifact.engines import nvidia
from artifact.engines.nvidia import (
    DeviceError,
    cuda_in,
    driver_problem,
    driver_version,
    gpu_given,
    gpu_problem,
    start_problem,
    torch_cuda,
)
from tests.support.jobs import REPOSITORY
from tests.support.planted_gpu import plant_driver_library, plant_nvidia_smi

OLD = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13 16:14:05 UTC 2021
GCC version:  gcc version 7.3.1 20180712 (Red Hat 7.3.1-12) (GCC)
"""
NEW = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  \
(dvs-builder@U22-I3)  Sun Jul 27
GCC version:  gcc version 11.5.0
"""


@pytest.fixture
def driver(tmp_path):
    def write(text: str):
        (tmp_path / "version").write_text(text)
        return tmp_path / "version"

    return write


@pytest.mark.parametrize(
    "text, version",
    [
        (OLD, "470.57.02"),
        (NEW, "580.65.06"),
        (NEW.replace("580.65.06", "580.95"), "580.95"),
        ("", None),
        ("rubbish", None),
    ],
)
def test_the_drivers_version_is_read(driver, text, version):
    assert driver_version(driver(text)) == version


def test_a_version_that_its_file_does_not_say_is_asked_for(driver, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(plant_nvidia_smi(tmp_path)))
    assert driver_version(driver("rubbish")) == "470.57.02"
    assert driver_version(driver(NEW)) == "580.65.06"


def test_an_old_driver_is_told_with_what_to_set(driver, tmp_path):
    sentence = driver_problem("13.0", driver(OLD))
    assert sentence == (
        "the host's NVIDIA driver 470.57.02 is too old: torch carries CUDA 13.0, "
        "which needs 580 or newer; build the images with CUDA=12 (driver 525.60 or newer), "
        "set an endpoint's InferenceAmiVersion to "
        "al2023-ami-sagemaker-inference-gpu-4-1, elsewhere update the host's driver, "
        "or use the device cpu"
    )
    problem = driver_problem("12.8", driver(OLD)) or ""
    assert "525.60 or newer" in problem
    assert "inference-gpu-3-1" in problem
    assert driver_problem("11.8", driver(OLD)) is None
    assert driver_problem("13.0", driver(NEW)) is None
    assert driver_problem("13.0", tmp_path / "none") is None
    assert driver_problem("99.0", driver(OLD)) is None  # unknown: torch will find out


@pytest.mark.parametrize(
    "error, cuda, text, words",
    [
        (
            "Found no NVIDIA driver on your system. Please check that",
            "13.0",
            OLD,
            "driver 470.57.02 is too old",
        ),
        (
            "Found no NVIDIA driver on your system. Please check that",
            "13.0",
            "",
            "no NVIDIA driver is here; take a machine with a GPU",
        ),
        (
            "Found no NVIDIA driver on your system. Please check that",
            "12.8",
            NEW,
            "NVIDIA driver is 580.65.06, and its library libcuda.so.1 is not here; start",
        ),
        (
            "The NVIDIA driver on your system is too old (found version 11040). Please update your",
            "13.0",
            "",
            "it reaches CUDA 11.4, torch carries CUDA 13.0; build the images",
        ),
        (
            "No CUDA GPUs are available",
            "13.0",
            NEW,
            r"driver 580.65.06 \(No CUDA GPUs are available\); start the container with --gpus all",
        ),
        (
            "Unexpected error from cudaGetDeviceCount().\nError 804",
            "13.0",
            NEW,
            r"\(Unexpected error from cudaGetDeviceCount\(\)\)",
        ),
        ("", "13.0", "", "no reason given"),
        ("Torch not compiled with CUDA enabled", None, NEW, "built without CUDA"),
    ],
)
def test_what_torch_says_becomes_one_sentence(driver, error, cuda, text, words):
    sentence = start_problem(error, cuda, driver(text))
    assert "\n" not in sentence
    assert "device cpu" in sentence
    with pytest.raises(ValueError, match=words):
        raise ValueError(sentence)


def test_a_gpu_without_kernels_is_named():
    kernels = ["sm_75", "sm_80", "sm_90", "sm_120", "compute_120"]
    assert gpu_problem("Tesla T4", (7, 5), kernels) is None
    assert gpu_problem("NVIDIA H200", (9, 0), kernels) is None
    problem = gpu_problem("Tesla V100", (7, 0), kernels) or ""
    assert "Tesla V100 has compute capability 7.0; this torch has kernels from 7.5 on" in problem
    assert gpu_problem("Tesla V100", (7, 0), []) is None


@pytest.mark.parametrize(
    "text, cuda",
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", "13.0"),
        ('cuda = "12.8"\n', "12.8"),
        ("cuda: Optional[str] = None\n", None),
        ("", None),
    ],
)
def test_torchs_cuda_is_read_from_its_file(tmp_path, text, cuda):
    (tmp_path / "version.py").write_text("__version__ = '2.14.1'\n" + text)
    assert cuda_in(tmp_path / "version.py") == cuda
    assert cuda_in(tmp_path / "none.py") is None


def test_it_reads_what_torch_itself_says():
    import torch

    assert torch_cuda() == torch.version.cuda


@pytest.fixture
def no_gpu_here(monkeypatch):
    """As on a machine without a GPU, whatever this one has."""
    monkeypatch.setattr(nvidia, "LIBRARY", "libcuda-that-is-not-there.so")
    monkeypatch.setattr(nvidia, "_nvidia_smi", lambda *options: [])


def test_a_gpu_is_there_where_its_device_is(tmp_path, no_gpu_here):
    assert not gpu_given(tmp_path / "nvidiactl")
    (tmp_path / "nvidiactl").touch()
    assert gpu_given(tmp_path / "nvidiactl")


def test_a_gpu_is_there_where_nvidias_program_lists_it(tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia, "LIBRARY", "libcuda-that-is-not-there.so")
    monkeypatch.setenv("PATH", str(plant_nvidia_smi(tmp_path)))
    assert gpu_given(tmp_path / "none")
    assert driver_version(tmp_path / "none") == "470.57.02"
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert not gpu_given(tmp_path / "none")
    assert driver_version(tmp_path / "none") is None


@pytest.mark.parametrize(
    "started, count, seen",
    # 100: no device; 803: the library is of another version than the kernel's driver
    [(0, 1, True), (0, 0, False), (100, 0, False), (803, 0, True)],
)
def test_a_gpu_is_there_where_the_drivers_library_has_one(
    tmp_path, monkeypatch, started, count, seen
):
    library = plant_driver_library(tmp_path, started, count)
    monkeypatch.setattr(nvidia, "PROBE", nvidia.PROBE.replace(nvidia.LIBRARY, str(library)))
    monkeypatch.setattr(nvidia, "LIBRARY", str(library))
    monkeypatch.setattr(nvidia, "_nvidia_smi", lambda *options: [])
    assert gpu_given(tmp_path / "none") is seen


def test_a_gpu_is_tried_only_with_a_driver_that_will_do(driver, monkeypatch):
    monkeypatch.setattr(nvidia, "gpu_given", lambda: True)
    monkeypatch.setattr(nvidia, "torch_cuda", lambda: "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert nvidia.use_gpu(driver(NEW))
    with pytest.raises(DeviceError, match="InferenceAmiVersion"):
        nvidia.use_gpu(driver(OLD))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not nvidia.use_gpu(driver(OLD))


@pytest.mark.parametrize(
    "given, hidden, told", [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_container_without_its_hosts_gpu_says_so(driver, monkeypatch, given, hidden, told):
    monkeypatch.setattr(nvidia, "gpu_given", lambda: given)
    monkeypatch.setattr(nvidia, "torch_cuda", lambda: "12.8")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    note = nvidia.unused_note(driver(NEW))
    assert bool(note) is told
    if note:
        assert "(580.65.06), but no GPU was given to this process" in note


def test_the_processor_is_taken_where_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(nvidia, "use_gpu", lambda: True)
    started: list[bool] = []
    monkeypatch.setattr(nvidia, "start_cuda", lambda: started.append(True))
    assert nvidia.settle_device("auto")
    assert started == [True]
    assert not nvidia.settle_device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert started == [True]


def test_asking_loads_no_torch():
    code = (
        "import sys; from artifact.engines.nvidia import use_gpu; use_gpu()\n"
        "print('torch' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )
