"""Run inside an image that carries CUDA: what docker/trim_cuda.sh left can do all that it must.

No GPU is needed. Prints a line for each part; ends with a traceback where one is missing.
"""

import ctypes
import re
import sys
from pathlib import Path

PACKAGES = next(Path(folder) for folder in sys.path if folder.endswith("site-packages"))
# The host brings it with its driver.
DRIVER = "libcuda.so.1"
# Compute capabilities, times ten: V100 (CUDA 12 alone), T4, A100, H100, B200.
TARGETS = {12: (70, 75, 80, 90, 100), 13: (75, 80, 90, 100)}
KERNEL = b'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'


def load_libraries() -> int:
    """Load each library of CUDA's and torch's with all its symbols; how many there are.

    What only the driver is missing for does not count.
    """
    loaded = 0
    for pattern in ("nvidia/**/*.so*", "torch/lib/*.so*", "torchvision/*.so", "cuda/**/*.so"):
        for path in sorted(PACKAGES.glob(pattern)):
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL | 2)  # 2: RTLD_NOW, all symbols
            except OSError as error:
                # its own extras of profiling, which libcupti asks for while it profiles
                if DRIVER not in str(error):
                    raise
            loaded += 1
    return loaded


def compile_by_triton(major: int) -> list[int]:
    """Bytes of a kernel that Triton compiles for each GPU, as torch.compile has it do."""
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    @triton.jit
    def twice(x, count, SIZE: tl.constexpr):
        place = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
        tl.store(x + place, tl.load(x + place, mask=place < count) * 2, mask=place < count)

    types = {"x": "*fp32", "count": "i32", "SIZE": "constexpr"}
    source = ASTSource(twice, types, {(2,): 128})
    made = [triton.compile(source, target=GPUTarget("cuda", gpu, 32)) for gpu in TARGETS[major]]
    return [len(one.asm["cubin"]) for one in made]


def compile_by_nvrtc() -> None:
    """Compile a kernel as torch's own fusion and cuDNN do while they run."""
    library = next(PACKAGES.glob("nvidia/**/libnvrtc.so.*"))
    nvrtc = ctypes.CDLL(str(library))
    program = ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), KERNEL, b"twice.cu", 0, None, None)
    options = (ctypes.c_char_p * 1)(b"--gpu-architecture=compute_80")
    compiled = nvrtc.nvrtcCompileProgram(program, 1, options)
    if made or compiled:
        raise SystemExit(f"NVRTC does not compile: {made}, {compiled}")


def ask_torch() -> None:
    """What torch finds out without a GPU."""
    import torch
    import torch._inductor.compile_fx
    import torchvision

    flags = torch._C._cuda_getArchFlags() or ""
    assert re.search(r"\bsm_\d", flags), flags
    assert torch.backends.cudnn.version() > 90000
    assert torch.distributed.is_nccl_available()
    assert torch.cuda.nccl.version()[0] == 2
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {flags}")


def main() -> None:
    import torch

    ask_torch()
    print(f"{load_libraries()} libraries load")
    import cuda.bindings.driver
    import cuda.bindings.nvrtc
    import cuda.bindings.runtime

    print(f"cuda-bindings: {cuda.bindings.driver.__name__}")
    compile_by_nvrtc()
    print(f"triton: {compile_by_triton(int((torch.version.cuda or '0').split('.')[0]))}")


if __name__ == "__main__":
    main()
