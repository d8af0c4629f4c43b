"""What a host with an NVIDIA GPU has, planted on one without: its program and its library."""

import shutil
import subprocess
from pathlib import Path

import pytest

SMI = """#!/bin/sh
case $1 in
    -L) echo "GPU 0: Tesla T4 (UUID: GPU-1)" ;;
    *) echo {version} ;;
esac
"""
LIBRARY = """int cuInit(unsigned flags) {{ return {started}; }}
int cuDeviceGetCount(int *count) {{ *count = {count}; return 0; }}
"""


def plant_nvidia_smi(folder: Path, version: str = "470.57.02") -> Path:
    """A folder for PATH with an nvidia-smi that lists one GPU and this version of the driver."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "nvidia-smi"
    program.write_text(SMI.format(version=version))
    program.chmod(0o755)
    return programs


def plant_driver_library(folder: Path, started: int, count: int) -> Path:
    """A driver's library whose cuInit answers `started` and which counts this many GPUs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source = folder / "cuda.c"
    source.write_text(LIBRARY.format(started=started, count=count))
    library = folder / "libcuda-planted.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library
