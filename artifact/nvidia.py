"""Whether this machine's NVIDIA driver can run torch's CUDA, found out before torch is loaded.

Everything is read from files, so it costs well under a millisecond and takes no GPU memory. It does
not know the GPUs themselves.
"""

import importlib.util
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

# The host's, visible in every container on it.
DRIVER_FILE = Path("/proc/driver/nvidia/version")
# The container runtime adds them only where a GPU was given: on Linux, and on Windows (WSL 2).
DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
# The oldest driver by CUDA's major version. Source: NVIDIA, "CUDA minor version compatibility".
OLDEST_DRIVER = {11: (450, 80), 12: (525, 60), 13: (580, 0)}
# SageMaker's host image with a driver that is new enough. Source: its API, InferenceAmiVersion.
HOST_IMAGE = {
    12: "al2-ami-sagemaker-inference-gpu-3-1",
    13: "al2023-ami-sagemaker-inference-gpu-4-1",
}
CUDA_LINE = re.compile(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)['\"]", re.MULTILINE)
DRIVER_VERSION = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")
TOO_OLD = re.compile(r"driver on your system is too old \(found version (\d+)\)")

log = logging.getLogger(__name__)


def cuda_available(file: Path = DRIVER_FILE) -> bool:
    """Whether to try a GPU.

    This machine or container has one, torch is installed for CUDA, and the driver is new enough. A
    driver that is too old is logged in one sentence.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    if not gpu_given():
        return False
    cuda = torch_cuda()
    if cuda is None:
        return False
    problem = driver_problem(cuda, file)
    if problem:
        log.warning("%s", problem)
    return problem is None


def gpu_given(devices: Sequence[Path] = DEVICES) -> bool:
    """Whether the driver's devices are here, as in a container that was started with --gpus."""
    return any(Path(path).exists() for path in devices)


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
    """The version of the kernel's NVIDIA driver, such as "580.65.06"; None without one."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return next(iter(DRIVER_VERSION.findall(text + "\n")), None)


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
    if "Found no NVIDIA driver" in error:
        return (
            "no NVIDIA driver is here; take a machine with a GPU, "
            "start the container with --gpus all, or use the device cpu"
        )
    first_line = error.strip().partition("\n")[0].rstrip(".") or "no reason given"
    driver = driver_version(file) or "of this machine"
    return (
        f"CUDA {cuda} does not start on the NVIDIA driver {driver} ({first_line}); "
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
    image = HOST_IMAGE.get(int(cuda.split(".")[0]))
    cure = "update the host's driver, or use the device cpu"
    if image is None:
        return cure
    return f"on SageMaker set the variant's InferenceAmiVersion to {image}, elsewhere {cure}"


def _number(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}".removesuffix(".0")
