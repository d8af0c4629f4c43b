#!/bin/sh
# Usage: trim_cuda.sh VENV
#
# Takes out of VENV the parts of CUDA and of Triton that nothing loads. It runs inside a build, in
# the same layer as their install: a later layer would save nothing.
#
# A library stays that another one names (readelf -d FILE | grep NEEDED), or that one opens by its
# name while running, as cuDNN does with its parts. So cuSPARSELt, NVSHMEM and cuFile stay, though
# none of our code calls them: libtorch_cuda.so names them, and without them torch does not load.
# tests/docker/test_cuda_parts.py proves that the rest still works.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"

# What only builds C++ code: static libraries, type stubs, the C++ that cuda-bindings was made of.
find . -name '*.a' -delete -o -name '*.pyi' -delete
if [ -d cuda ]; then find cuda \( -name '*.cpp' -o -name '*.pyx' \) -delete; fi

# cuSOLVER for several GPUs in one process, NVRTC's second build, FFTW's and BLAS's interfaces, and
# the device code of NVSHMEM, for whoever writes kernels with it.
for name in libcusolverMg.so libnvrtc.alt.so libnvrtc-builtins.alt.so libcufftw.so libnvblas.so \
    libnvshmem_device.bc; do
    find nvidia -name "$name*" -delete
done
# These need the libraries of MPI, PMIx, OpenSHMEM, UCX, libfabric and RDMA, which no image has.
for name in nvshmem_bootstrap_mpi nvshmem_bootstrap_pmix nvshmem_bootstrap_shmem \
    nvshmem_transport_ibdevx nvshmem_transport_ibgda nvshmem_transport_libfabric \
    nvshmem_transport_ucx libcufile_rdma; do
    find nvidia -name "$name.so*" -delete
done

# Triton compiles kernels for torch.compile. Its profiler Proton, with a CUPTI of its own, and its
# instruments for its developers take no part in that.
rm -rf triton/backends/nvidia/lib/cupti* triton/_C/libproton.so triton/profiler \
    triton/instrumentation triton/FileCheck
