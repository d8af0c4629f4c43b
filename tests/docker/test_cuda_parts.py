"""docker/trim_cuda.sh: what it takes out of an image, and that the rest still works."""

import subprocess

import pytest

from runtime.container_engine import DockerEngine
from runtime.own_images import serve, train
from tests.support.image_jobs import docker, job_for
from tests.support.jobs import REPOSITORY

KEPT = (
    # libtorch_cuda.so names them: torch does not load without them
    "nvidia/cusparselt/lib/libcusparseLt.so.0",
    "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    "nvidia/cufile/lib/libcufile.so.0",
    "nvidia/cusolver/lib/libcusolver.so.11",
    "nvidia/cufft/lib/libcufft.so.11",
    # CUDA 13 has one folder for all
    "nvidia/cu13/lib/libnvrtc.so.13",
    # opened by their names while torch runs
    "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.8",
    "nvidia/cudnn/lib/libcudnn_adv.so.9",
    "nvidia/nccl/lib/libnccl.so.2",
    "nvidia/nccl/include/nccl.h",
    "triton/_C/libtriton.so",
    "triton/backends/nvidia/bin/ptxas",
    "triton/backends/nvidia/lib/libdevice.10.bc",
    "cuda/bindings/driver.cpython-313-x86_64-linux-gnu.so",
)
LEFT_OUT = (
    "nvidia/cusolver/lib/libcusolverMg.so.11",
    "nvidia/cu13/lib/libcusolverMg.so.12",
    "nvidia/cuda_nvrtc/lib/libnvrtc.alt.so.12",
    "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.alt.so.12.8",
    "nvidia/cufft/lib/libcufftw.so.11",
    "nvidia/cublas/lib/libnvblas.so.12",
    "nvidia/nvshmem/lib/libnvshmem_device.bc",
    "nvidia/nvshmem/lib/nvshmem_transport_ucx.so.3",
    "nvidia/cufile/lib/libcufile_rdma.so.1",
    "nvidia/cuda_runtime/lib/libcudart_static.a",
    "triton/_C/libproton.so",
    "triton/backends/nvidia/lib/cupti/libcupti.so.12",
    "triton/backends/nvidia/lib/cupti-blackwell/libcupti.so.13",
    "cuda/bindings/driver.cpp",
)


def test_only_what_nothing_loads_is_left_out(tmp_path):
    packages = tmp_path / "lib" / "python3.13" / "site-packages"
    for name in (*KEPT, *LEFT_OUT):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    subprocess.run(["sh", REPOSITORY / "docker/trim_cuda.sh", tmp_path], check=True)
    left = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert left == set(KEPT)


def with_cuda(images: dict[str, str]) -> list[str]:
    """Our images that carry CUDA, also those of `CUDA=13 make images` where they are here."""
    found = [images["train"], images["serve-gpu"]]
    for image in list(found):
        other = f"{image}-cuda13"
        if docker("image", "inspect", other).returncode == 0:
            found.append(other)
    return found


@pytest.mark.docker
@pytest.mark.verify
def test_what_is_left_loads_and_compiles_for_every_gpu(images):
    """Without a GPU: each library with all its symbols, NVRTC, and Triton for each GPU."""
    script = REPOSITORY / "tests/support/cuda_parts.py"
    options = ("--rm", "--network", "none", "-v", f"{script}:/cuda_parts.py:ro")
    for image in with_cuda(images):
        done = docker("run", *options, image, "python", "/cuda_parts.py", timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "triton: [" in done.stdout


@pytest.mark.docker
@pytest.mark.verify
def test_a_model_is_trained_exported_and_served_without_what_is_left_out(images, tmp_path):
    for number, image in enumerate(with_cuda(images)):
        if "serve-gpu" in image:
            continue
        root = job_for(tmp_path / str(number), epochs=1)
        train(DockerEngine(), root, image)
        assert (root / "model" / "model.onnx").is_file()
        server = image.replace("slipway-train", "slipway-serve-gpu")
        if docker("image", "inspect", server).returncode:
            continue
        with serve(DockerEngine(), root / "model", server) as url:
            assert url.startswith("http://127.0.0.1:")  # ready: it answered /ping
