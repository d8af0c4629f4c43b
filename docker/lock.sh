#!/usr/bin/env bash
# Usage: docker/lock.sh [--upgrade]
#
# Resolves docker/requirements-*.in into docker/requirements-*.txt with hashes: one lock for Python
# 3.11 and newer on every platform, whose lines carry markers where these differ. The index is the
# public one, whatever this machine's uv and pip settings say.
# Versions already locked stay unless --upgrade is given. A package that several images use gets one
# version in all of them.
set -euo pipefail

case "${1:-}" in
    "") upgrade=() ;;
    --upgrade) upgrade=(--upgrade) ;;
    *) echo "lock.sh: unknown argument '$1'; the only one is --upgrade" >&2; exit 2 ;;
esac
CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
    -r requirements-uv.txt

# compile [FOLDER/]NAME[=SOURCE] [OTHER | --OPTION]...
# FOLDER: where its files lie; docker/ without it. SOURCE: whose .in is read, where it is not
# NAME's. OTHER: a set, locked already, that this one must agree with; --OPTION: an option of uv.
compile() {
    local name=${1%=*} source=${1#*=} options=() file
    file=requirements-$name source=requirements-$source.in
    if [[ $name == */* ]]; then
        file=${name%/*}/requirements-${name##*/}
        source=$file.in
    fi
    shift
    for other in "$@"; do
        case $other in
            --*) options+=("$other") ;;
            *) options+=(--constraint "requirements-$other.txt") ;;
        esac
    done
    options+=(${upgrade[@]+"${upgrade[@]}"})
    echo "lock: $file.txt"
    env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX_URL -u UV_DEFAULT_INDEX \
        "$tools/bin/uv" pip compile --quiet --no-config --system-certs \
        --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
        ${options[@]+"${options[@]}"} \
        "$source" --output-file "$file.txt"
}

compile uv
compile train
# CUDA=13 has another torch, and its CUDA. The rest agrees with the default; no comments say why a
# package is there, since they would name this machine's folders.
awk '/^[a-z]/ && !/^(torch|torchvision|triton|nvidia-.*|cuda-.*)==/ { sub(/ \\$/, ""); print }' \
    requirements-train.txt >"$tools/beside-torch.txt"
compile train-cuda13=train --override=requirements-cuda13.in \
    "--constraint=$tools/beside-torch.txt" --no-annotate
compile sdist train --no-deps
compile serve train
compile serve-gpu train serve
# serve-mms need not agree with train: sagemaker-inference wants an older retrying than
# sagemaker-training.
compile serve-mms serve
compile build train
compile smdebug train --no-deps
compile dev train serve
compile host dev
compile mlflow train
compile mutants
compile docs
# SageMaker's SDK has its own wishes. What slipway.load runs on is what serves.
awk '/^(numpy|openvino|pillow|pillow-heif)==/ { sub(/ \\$/, ""); print }' \
    requirements-serve.txt >"$tools/of-serving.txt"
compile notebooks "--constraint=$tools/of-serving.txt" --no-annotate
compile fuzz
compile ../tests/clients/v2
compile ../tests/clients/v3
compile ../tests/clients/trackers
