#!/usr/bin/env bash
# Usage: ./build_and_push.sh [IMAGE]...   IMAGE: train, serve, serve-gpu, serve-mms,
#                                         serve-mms-torch or all (default all)
#
# Builds the images (docker/build.sh), pushes them to your ECR, and makes sure that SageMaker takes
# them: a Docker v2 manifest. Tags by git commit. Writes the digest URIs to out/images.json, where
# recipes find them.
#
#   CUDA        12, or 13 for train and serve-gpu alone: its tags end in -cuda13, and so do its
#               names in out/images.json; default 12
#   ARCH        amd64 or arm64, which is for endpoints on Graviton: its tags end in -arm64, and so
#               do its names in out/images.json; default amd64
#   AWS_REGION, AWS_PROFILE   where and who; account and partition follow from them
#   REGISTRY    push there instead of to ECR, such as localhost:5000
#   REGISTRY_TOKEN_HOST  a host beside REGISTRY itself that gives its tokens, such as auth.docker.io
#   LATEST=1    also move the tag latest
#   DIRTY=1     push uncommitted changes too; the tag then ends in -dirty
#   IMMUTABLE=1 make a missing repository with tags that cannot move
#   OUT         the file of digest URIs; default out/images.json
#   ENGINE      docker or podman; default the one that answers
#   VENV        a Python environment with boto3; default .venv, which make environment makes
set -euo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=docker/engine.sh
source docker/engine.sh
# shellcheck source=docker/in_time.sh
source docker/in_time.sh
# shellcheck source=docker/cuda.sh
source docker/cuda.sh
out=${OUT:-out/images.json}

fail() { echo "build_and_push.sh: $*" >&2; exit 1; }

# Names and tree are looked at before anything takes time.
chosen=$(docker/build.sh --names "$@")
read -r -a names <<<"$chosen"

commit=$(in_time "$GIT_S" git rev-parse --short=12 HEAD 2>/dev/null) \
    || fail "$(docker/changes.sh --why)"
changes=$(docker/changes.sh)
tag=$commit
if [[ -n $changes ]]; then
    first=$(head -n 1 <<<"$changes" | cut -c 4-)
    [[ ${DIRTY:-} == 1 ]] \
        || fail "there are uncommitted changes ($first…); commit them, or set DIRTY=1"
    tag=$commit-dirty
fi
choose_cuda
tag=$tag$cuda_suffix

python=${VENV:-.venv}/bin/python
if [[ ! -x $python ]]; then python=python3; fi
ask() { "$python" -m launch.ecr "$@"; }

"$python" -c 'import boto3, launch.ecr' 2>/dev/null \
    || fail "'$python' lacks the packages of docker/requirements-host.txt;" \
        "run make environment, or set VENV=…"
registry=${REGISTRY:-}
ecr=""
if [[ -z $registry ]]; then
    registry=$(ask registry)
    ecr=1
fi

need_engine
export ENGINE=$engine
choose_architecture
tag=$tag$arch_suffix
suffix=$cuda_suffix$arch_suffix
ARCH=$arch docker/build.sh "${names[@]}"

for name in "${names[@]}"; do
    platform=$("$engine" image inspect --format '{{.Os}}/{{.Architecture}}' "slipway-$name:$tag")
    [[ $platform == "linux/$arch" ]] \
        || fail "slipway-$name:$tag is for $platform; linux/$arch was asked for"
done

if [[ -n $ecr ]]; then
    password=$(ask password "$registry")
    "$engine" login --username AWS --password-stdin "$registry" <<<"$password" >/dev/null
fi

push_options=() untag_options=(--no-prune)
if [[ $is_podman == yes ]]; then
    push_options=(--format v2s2) untag_options=()
    # Docker, too, speaks plain HTTP with a registry on loopback.
    if [[ $registry =~ ^(localhost|127\.[0-9.]+)(:[0-9]+)?$ ]]; then
        push_options+=(--tls-verify=false)
    fi
fi

push() {  # push NAME TAG
    "$engine" tag "slipway-$1:$tag" "$registry/slipway-$1:$2"
    local code=0
    "$engine" push ${push_options[@]+"${push_options[@]}"} "$registry/slipway-$1:$2" || code=$?
    # of a push that failed, too
    "$engine" image rm ${untag_options[@]+"${untag_options[@]}"} \
        "$registry/slipway-$1:$2" >/dev/null
    return "$code"
}

facts() {  # facts NAME: what `launch check` compares with the machines
    local labels='{{index .Config.Labels "org.slipway.cuda"}}'
    labels+='|{{index .Config.Labels "org.slipway.gpus"}}'
    "$engine" image inspect --format "{{.Architecture}}|$labels" "slipway-$1:$tag"
}

publish() {  # publish NAME: push it, assert its manifest, and print and record its digest URI
    local name=$1 image=$registry/slipway-$1 mutability=MUTABLE uri="" code=0
    if [[ -n $ecr ]]; then
        mutability=$(ask repository "$registry" "slipway-$name" ${IMMUTABLE:+--immutable})
    fi
    if [[ $mutability == IMMUTABLE* ]]; then
        [[ ${LATEST:-} != 1 ]] \
            || fail "LATEST=1, but the tags of the repository slipway-$name cannot move"
        uri=$(ask digest "$image:$tag" 2>/dev/null) || code=$?
        # 3: the tag is not there yet. The second call lets the user see what else is wrong.
        [[ $code == 0 || $code == 3 ]] || ask digest "$image:$tag" >/dev/null
    fi
    if [[ -n $uri ]]; then
        echo "push: slipway-$name:$tag is there already and cannot move"
    else
        push "$name" "$tag"
    fi
    uri=$(ask publish "$name$suffix" "$image:$tag" --out "$out" --facts "$(facts "$name")")
    if [[ ${LATEST:-} == 1 ]]; then
        push "$name" "latest$suffix"
        ask publish "$name$suffix" "$image:latest$suffix" --out "$out" \
            --facts "$(facts "$name")" >/dev/null
    fi
    echo "push: $name$suffix=$uri"
}

for name in "${names[@]}"; do publish "$name"; done
echo "push: ${#names[@]} image(s) at $registry, tag $tag, written to $out"
