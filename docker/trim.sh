#!/bin/sh
# Usage: trim.sh VENV
#
# Takes out of VENV what no image of Slipway uses. It runs inside a build, in the same layer as the
# install: a later layer would save nothing. warm_train.py and warm_serve.py then prove that the
# rest still works.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"

# Tests and their data. `testing` packages stay: libraries import those. numpy's needs
# numpy/_core/tests.
find . -type d \( -name tests -o -name test \) -path '*/*/*' \
    ! -path './torch/*' ! -path './pip/*' ! -path './setuptools/*' ! -path './numpy/_core/tests' \
    -prune -exec rm -rf {} +
find numpy/_core/tests -mindepth 1 ! -name _natype.py ! -name __init__.py -delete

# What only builds C++ code: headers, static libraries, CMake files, type stubs. Eager torch and the
# ONNX export need none of these. torch.compile needs a compiler, which no image has: Triton
# compiles its launcher with one. A user who adds gcc and python3-dev to an image gets torch.compile
# on GPUs, since Triton keeps its own headers.
# CUDA's own headers stay: cuDNN and torch may compile kernels with NVRTC while running.
rm -rf torch/include torch/share/cmake torch/bin/protoc* \
    openvino/include openvino/cmake openvino/libs/*.pc numpy/_core/include
find . -name '*.a' -delete
find . -name '*.pyi' -delete

# OpenVINO keeps its CPU plugin and the readers of ONNX and of its own format. The GPU and NPU
# plugins would need Intel's drivers (cache.json is the GPU's tuning table). The other frontends
# read formats that the artifact never holds.
rm -f openvino/libs/libopenvino_intel_gpu_plugin.so openvino/libs/libopenvino_intel_npu_plugin.so \
    openvino/libs/cache.json
for frontend in tensorflow tensorflow_lite paddle pytorch jax gguf; do
    rm -f openvino/libs/libopenvino_${frontend}_frontend.so.*
done

# These are uninstalled, not just deleted: a user's script that asks pip for one of them gets it
# whole. openvino-telemetry reports every import of openvino to Google. NNCF asks for scikit-learn
# (to cluster weights) and ninja (to build torch kernels), but quantizing an OpenVINO model to int8
# uses neither.
"$1"/bin/pip uninstall --yes --quiet openvino-telemetry
if [ -d nncf ]; then
    "$1"/bin/pip uninstall --yes --quiet \
        scikit-learn joblib threadpoolctl narwhals cloudpickle ninja
fi
