#!/usr/bin/env bash
# Usage: docker/lock.sh [--upgrade]
#
# Resolves docker/requirements-*.in into docker/requirements-*.txt with hashes, for Python 3.11 on linux x86_64, from
# the public index whatever this machine's uv and pip settings say. Versions already locked stay unless --upgrade is
# given; a package that several images use gets one version in all of them.
set -euo pipefail

UV_VERSION=0.13.8
case "${1:-}" in
    "") upgrade=() ;;
    --upgrade) upgrade=(--upgrade) ;;
    *) echo "lock.sh: unknown argument '$1'; the only one is --upgrade" >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"

compile() {  # compile NAME [NAME of an already locked set that this one must agree with | --option of uv]...
    local name=$1 constraints=()
    shift
    for other in "$@"; do
        case $other in
            --*) constraints+=("$other") ;;
            *) constraints+=(--constraint "requirements-$other.txt") ;;
        esac
    done
    echo "lock: requirements-$name.txt"
    env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX_URL -u UV_DEFAULT_INDEX \
        "$tools/bin/uv" pip compile --quiet --no-config --system-certs \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" ${upgrade[@]+"${upgrade[@]}"} ${constraints[@]+"${constraints[@]}"} \
        "requirements-$name.in" --output-file "requirements-$name.txt"
}

compile train
compile sdist train --no-deps
compile serve train
compile serve-gpu train serve
compile serve-mms serve  # not train: sagemaker-inference wants an older retrying than sagemaker-training
compile build train
compile smdebug train --no-deps
compile dev train serve
compile host dev
compile mutants
