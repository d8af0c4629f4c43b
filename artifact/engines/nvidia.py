"""Whether this machine's NVIDIA driver can run torch's CUDA, found out before torch is loaded.

A GPU that is here and cannot be used is an error: on a rented machine it would be paid for and stay
idle. Most is read from files, well under a millisecond, and takes no GPU memory.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from artifact.model import ArtifactError

# The host's, visible in every container on it.
DRIVER_FILE = Path("/proc/driver/nvidia/version")
# The container runtime adds it only where a GPU was given.
DEVICE = Path("/dev/nvidiactl")
LIBRARY = "libcuda.so.1"
# The oldest driver by CUDA's major version. Source: NVIDIA, "CUDA minor version compatibility".
OLDEST_DRIVER = {11: (450, 80), 12: (525, 60), 13: (580, 0)}
# SageMaker's host image with a driver that is new enough. Source: its API, InferenceAmiVersion.
HOST_IMAGE = {
    12: "al2-ami-sagemaker-inference-gpu-3-1",
    13: "al2023-ami-sagemaker-inference-gpu-4-1",
}
# The CUDA that our images carry unless they were built with CUDA=13.
DEFAULT_CUDA = 12
CUDA_LINE = re.compile(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", re.MULTILINE)
DRIVER_VERSION = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")
TOO_OLD = re.compile(r"driver on your system is too old \(found version (\d+)\)")
# CUDA_ERROR_NO_DEVICE of cuda.h: the library is installed on a machine that has no GPU.
NO_DEVICE = 100
PROBE_S = 60
# In a process of its own: after cuInit, forks of a process could use no GPU.
PROBE = f"""import ctypes, json
cuda = ctypes.CDLL("{LIBRARY}")
count = ctypes.c_int()
started = cuda.cuInit(0)
if started == 0:
    cuda.cuDeviceGetCount(ctypes.byref(count))
print(json.dumps([started, count.value]))
"""


class DeviceError(ArtifactError):
    """The device that was asked for is missing or does not start; another one may work."""


def use_gpu(file: Path = DRIVER_FILE) -> bool:
    """Whether torch is to run on a GPU: one is here, not hidden, and torch is built for CUDA.

    DeviceError where one is here and the driver is too old for torch.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    cuda = torch_cuda()
    if cuda is None or not gpu_given():
        return False
    problem = driver_problem(cuda, file)
    if problem:
        raise DeviceError(problem)
    return True


def unused_note(file: Path = DRIVER_FILE) -> str | None:
    """One sentence where the host has an NVIDIA driver, and this process was given no GPU.

    None too where GPUs are hidden on purpose, and where torch could use none.
    """
    driver = None
    if "CUDA_VISIBLE_DEVICES" not in os.environ and torch_cuda() is not None:
        driver = driver_version(file)
    if driver is None or gpu_given():
        return None
    return (
        f"the host has an NVIDIA driver ({driver}), but no GPU was given to this process, which "
        "takes the processor; a container gets it by --gpus all"
    )


def gpu_given(device: Path = DEVICE) -> bool:
    """Whether a GPU is here: by the driver's device, its library, or nvidia-smi.

    Windows (WSL 2) and some container engines give the library without the device.
    """
    if Path(device).exists():
        return True
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return _listed_by_nvidia_smi()
    return _library_sees_one() or _listed_by_nvidia_smi()


def visible_gpus() -> list[str]:
    """A name for each GPU that torch may use here, as CUDA_VISIBLE_DEVICES takes it."""
    if not use_gpu():
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",")]
    probed = _probed()
    return [str(number) for number in range(probed[1] if probed else 1)]


def _library_sees_one() -> bool:
    """Whether the driver's library finds a GPU, or one with which it cannot work."""
    probed = _probed()
    if probed is None:
        return True  # it is here and does not even start
    started, count = probed
    return bool(count) or started not in (0, NO_DEVICE)


def _probed() -> tuple[int, int] | None:
    """What cuInit answers and how many GPUs there are; None where the library does not run."""
    command = [sys.executable, "-I", "-S", "-c", PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=PROBE_S, check=True).stdout
        started, count = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return started, count


def _listed_by_nvidia_smi() -> bool:
    return any(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def _nvidia_smi(*options: str) -> list[str]:
    """The lines of NVIDIA's own program; none where it is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=PROBE_S)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def start_cuda(number: int | None = None) -> None:
    """Start torch's CUDA for a GPU, the current one without a number.

    DeviceError where the driver or the GPU is not of this torch's kind.
    """
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch's gap
        device = torch.cuda.current_device() if number is None else number
        problem = gpu_problem(
            torch.cuda.get_device_name(device),
            torch.cuda.get_device_capability(device),
            torch.cuda.get_arch_list(),
        )
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(start_problem(str(error), torch.version.cuda)) from error
    if problem:
        raise DeviceError(problem)


def settle_device(wanted: str) -> bool:
    """Let this process, and those that it starts, use the device `wanted`; whether it is a GPU.

    wanted: auto, cpu or cuda. `cpu` hides the GPUs, so it is settled before torch asks for them.
    DeviceError where a GPU is here that cannot be used, and for cuda without one.
    """
    if wanted == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return False
    if not use_gpu() and wanted != "cuda":
        return False
    start_cuda()
    return True


def torch_cuda() -> str | None:
    """The CUDA version of the installed torch, such as "13.0".

    None without torch or with a build for the CPU.
    """
    found = importlib.util.find_spec("torch")
    if found is None or not found.origin:
        return None
    return cuda_in(Path(found.origin).with_name("version.py"))


def cuda_in(version_file: Path) -> str | None:
    """The CUDA version in a torch's version.py; None where it names none."""
    try:
        text = Path(version_file).read_text(encoding="utf-8")
    except OSError:
        return None
    return next(iter(CUDA_LINE.findall(text)), None)


def driver_version(file: Path = DRIVER_FILE) -> str | None:
    """The version of the host's NVIDIA driver, such as "580.65.06"; None without one.

    Windows (WSL 2) has no such file; nvidia-smi tells it there, and where the file cannot be read.
    """
    with contextlib.suppress(OSError):
        text = Path(file).read_text(encoding="utf-8", errors="replace")
        for version in DRIVER_VERSION.findall(text + "\n"):
            return str(version)
    told = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader")
    return next((line for line in told if re.fullmatch(r"\d+(\.\d+)+", line)), None)


def driver_problem(cuda: str, file: Path = DRIVER_FILE) -> str | None:
    """One sentence where the host's driver is too old for a CUDA version.

    None where it is new enough or unknown.
    """
    found = driver_version(file)
    oldest = OLDEST_DRIVER.get(int(cuda.split(".")[0]))
    if not found or not oldest or tuple(map(int, found.split(".")[:2])) >= oldest:
        return None
    return (
        f"the host's NVIDIA driver {found} is too old: torch carries CUDA {cuda}, "
        f"which needs {_number(oldest)} or newer; {advice(cuda)}"
    )


def start_problem(error: str, cuda: str | None, file: Path = DRIVER_FILE) -> str:
    """One sentence for the text with which torch refused to start CUDA."""
    if cuda is None:
        return (
            "the installed torch was built without CUDA; "
            "install the registry's build, or use the device cpu"
        )
    older = driver_problem(cuda, file)
    if older:
        return older
    old = TOO_OLD.search(error)
    if old:
        # torch writes 12040 for 12.4
        reached = f"{int(old[1]) // 1000}.{int(old[1]) % 1000 // 10}"
        return (
            f"the host's NVIDIA driver is too old: it reaches CUDA {reached}, "
            f"torch carries CUDA {cuda}; {advice(cuda)}"
        )
    driver = driver_version(file)
    if "Found no NVIDIA driver" in error:
        found = "no NVIDIA driver is here; take a machine with a GPU, "
        if driver or gpu_given():
            known = driver or "unknown"
            found = f"the host's NVIDIA driver is {known}, and its library {LIBRARY} is not here; "
        return found + "start the container with --gpus all, or use the device cpu"
    first_line = error.strip().partition("\n")[0].rstrip(".") or "no reason given"
    return (
        f"CUDA {cuda} does not start on the NVIDIA driver {driver or 'of this machine'} "
        f"({first_line}); "
        "start the container with --gpus all, or use the device cpu"
    )


def gpu_problem(name: str, capability: tuple[int, int], kernels: Sequence[str]) -> str | None:
    """One sentence where torch has no kernels for a GPU this old.

    kernels: as in torch.cuda.get_arch_list(), such as "sm_75".
    """
    versions = [int(found[1]) for found in map(re.compile(r"sm_(\d+)").match, kernels) if found]
    oldest = min(versions, default=0)
    if capability[0] * 10 + capability[1] >= oldest:
        return None
    return (
        f"the GPU {name} has compute capability {capability[0]}.{capability[1]}; "
        f"this torch has kernels from {oldest // 10}.{oldest % 10} on: "
        "take a newer GPU (on SageMaker ml.g4dn, g5, g6, p4d or later), or use the device cpu"
    )


def advice(cuda: str) -> str:
    """What to do where the driver is too old for a CUDA version."""
    major = int(cuda.split(".")[0])
    image = HOST_IMAGE.get(major)
    cure = "update the host's driver, or use the device cpu"
    if image is not None:
        cure = f"set an endpoint's InferenceAmiVersion to {image}, elsewhere {cure}"
    if major <= DEFAULT_CUDA:
        return cure
    oldest = _number(OLDEST_DRIVER[DEFAULT_CUDA])
    return f"build the images with CUDA={DEFAULT_CUDA} (driver {oldest} or newer), {cure}"


def _number(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}".removesuffix(".0")
