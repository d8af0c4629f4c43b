#!/usr/bin/env bash
# Usage: docker/build.sh [--names] IMAGE...      IMAGE: train, serve, serve-gpu, serve-mms,
#                                            serve-mms-torch or all (default all)
#
# Builds slipway-NAME of each docker/NAME.Dockerfile, tagged :latest, :<git commit> and
# :checkout-<number of this checkout>, and prints their sizes. Another checkout on the same engine
# moves :latest; runs of this checkout take its own tag. slipway-serve-gpu stands on slipway-train
# of the same commit, which is built first where it is missing, and slipway-serve-mms-torch on
# slipway-serve-gpu and slipway-serve-mms. With --names it builds nothing: it prints the names
# that it would build.
#
#   ENGINE          docker or podman; default the one that answers
#   CUDA            12, or 13, whose torch is newer and needs driver 580: train and serve-gpu alone,
#                   with tags that end in -cuda13; default 12
#   ARCH            amd64, arm64 (for Graviton and Apple's processors; its tags end in -arm64), or
#                   engine: the engine's own, whose images run here without emulation; default amd64
#   DISTRIBUTION    Debian's release: trixie (Python 3.13) or bookworm (3.11); default trixie
#   BASE_IMAGE      the image to build on; default debian:<DISTRIBUTION>-slim. Where that cannot be
#                   pulled it is the stand-in of docker/base.sh, which is made first if it is
#                   missing (that takes root)
#   WEIGHTS         ImageNet weights to bake into slipway-train, such as resnet50,vgg16;
#                   default none
#   REQUIREMENTS    packages of Python for slipway-serve-mms-torch, such as 'pandas==3.0.2', which a
#                   model's code/requirements.txt asks for; default none
#   PACKAGES        more of Debian's packages for slipway-train, such as 'g++ python3-dev' for
#                   compile=true; default none
#   MLFLOW          1 puts mlflow-skinny into slipway-train, which records trainings; default 0
#   HEIC            0 leaves HEIC out, with pillow-heif and libheif; default 1
#   BUILD_NETWORK   --network of the builds; default host on the stand-in, else the engine's own
#   PULL_TIMEOUT_S  how long the base image's registry may take; default 60
set -euo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
# An archive of the code may be unpacked within another project, whose commit is not ours.
export GIT_CEILING_DIRECTORIES=${PWD%/*}
# shellcheck source=docker/engine.sh
source docker/engine.sh
# shellcheck source=docker/in_time.sh
source docker/in_time.sh
# shellcheck source=docker/cuda.sh
source docker/cuda.sh
distribution=${DISTRIBUTION:-trixie}
default_base=docker.io/library/debian:$distribution-slim  # Podman asks for short names

fail() { echo "build.sh: $1" >&2; exit 1; }

has_image() { "$engine" image inspect "$1" >/dev/null 2>&1; }

has_base() {  # has_base IMAGE: one of the wanted architecture; a tag may name another
    local found
    found=$("$engine" image inspect --format '{{.Architecture}}' "$1" 2>/dev/null) || return 1
    [[ -z $found || $found == "$arch" ]]
}

megabytes() { echo "$(($("$engine" image inspect --format '{{.Size}}' "$1") / 1000000))MB"; }

pull() { in_time "$2" "$engine" pull --quiet --platform "linux/$arch" "$1"; }  # IMAGE SECONDS

choose_base() {  # sets base
    base=${BASE_IMAGE:-}
    if [[ -n $base ]]; then return; fi
    base=$default_base
    if has_base "$base"; then return; fi
    echo "images: pulling $base (at most ${PULL_TIMEOUT_S:-60} s)"
    if pull "$base" "${PULL_TIMEOUT_S:-60}"; then return; fi
    base=$stand_in
    echo "images: $default_base cannot be pulled; building on the stand-in $base instead"
    if ! has_base "$base"; then ARCH=$arch docker/base.sh "$distribution"; fi
}

# Sets context: a copy of what the Dockerfiles copy, which everybody may read. A clone that was made
# under umask 077 would give images that only root can run, since COPY keeps the modes. With the
# same modes everywhere, checkouts also share their layers.
make_context() {
    local line path
    [[ -d ${TMPDIR:-/tmp} ]] || unset TMPDIR
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    cp .dockerignore "$context"
    while read -r line; do
        # what .dockerignore lets through, such as !recipes/*.py
        if [[ $line != !* ]]; then continue; fi
        for path in ${line#!}; do
            mkdir -p "$context/$(dirname "$path")"
            cp -RpP "$path" "$context/$path"
        done
    done <.dockerignore
    chmod -R u+rw,go=rX "$context"
}

# The tag latest is everybody's on this engine.
say_whose_latest() {  # say_whose_latest NAME
    local tags
    tags=$("$engine" image inspect --format '{{json .RepoTags}}' "slipway-$1:$latest" 2>/dev/null) \
        || return 0
    if [[ $tags == *:checkout-* && $tags != *":$mine"* ]]; then
        echo "images: slipway-$1:$latest was another checkout's; that one keeps its own tag"
    fi
}

is_stand_in() {
    local format='{{index .Config.Labels "org.slipway.base"}}'
    [[ $("$engine" image inspect --format "$format" "$1" 2>/dev/null) == stand-in ]]
}

# Sets proxies: options that give RUN this shell's proxies, which Docker keeps out of the image.
# Docker's older builder takes no layer that was made with such options for a build without them,
# nor the other way round. It does not compare their values, so one of them is always there: then
# a change of the proxies, or a dead one, leaves the layers as they are.
# Podman hands the proxies on by itself.
choose_proxies() {
    local variable upper value
    proxies=()
    if [[ $is_podman == yes ]]; then return; fi
    proxies=(--build-arg "ftp_proxy=${ftp_proxy:-${FTP_PROXY:-}}")
    for variable in http_proxy https_proxy no_proxy; do
        upper=$(tr '[:lower:]' '[:upper:]' <<<"$variable")  # apt reads the lower case alone
        value=${!variable:-${!upper:-}}
        if [[ -n $value ]]; then proxies+=(--build-arg "$variable=$value"); fi
    done
}

build() {  # build NAME: docker/NAME.Dockerfile becomes slipway-NAME, once in a run
    local name=$1 stands_on=$base began=$SECONDS options=(--platform "linux/$arch")
    options+=(--build-arg "GIT_COMMIT=$commit" --build-arg "VERSION=$version")
    if [[ " ${built[*]-} " == *" $name "* ]]; then return; fi
    case $name in
        train)
            options+=(--build-arg "BASE_IMAGE=$base" --build-arg "TRAIN_LOCK=$train_lock")
            options+=(--build-arg "WEIGHTS=${WEIGHTS:-}" --build-arg "PACKAGES=${PACKAGES:-}"
                --build-arg "MLFLOW=${MLFLOW:-0}") ;;
        serve-gpu)
            if ! is_this_build slipway-train; then build train; fi
            stands_on=slipway-train:$tag
            options+=(--build-arg "TRAIN_IMAGE=$stands_on") ;;
        serve-mms-torch)
            build serve-gpu  # where it is there, every layer is found
            if ! is_this_build slipway-serve-mms; then build serve-mms; fi
            stands_on=slipway-serve-gpu:$tag
            options+=(--build-arg "SERVE_GPU_IMAGE=$stands_on")
            options+=(--build-arg "SERVE_MMS_IMAGE=slipway-serve-mms:$tag")
            options+=(--build-arg "REQUIREMENTS=${REQUIREMENTS:-}") ;;
        *) options+=(--build-arg "BASE_IMAGE=$base") ;;
    esac
    if [[ $name != serve-gpu && $name != serve-mms-torch ]]; then
        options+=(--build-arg "HEIC=${HEIC:-1}")
    fi
    options+=(--label "org.opencontainers.image.base.name=$stands_on")
    if [[ -n $source ]]; then options+=(--label "org.opencontainers.image.source=$source"); fi
    if [[ -n $network ]]; then options+=(--network "$network"); fi
    options+=(${proxies[@]+"${proxies[@]}"})
    echo "images: building slipway-$name:$tag on $base"
    say_whose_latest "$name"
    # SageMaker refuses OCI manifests, which are Podman's own.
    if [[ $is_podman == yes ]]; then options+=(--format docker); fi
    options+=(--file "docker/$name.Dockerfile")
    options+=(--tag "slipway-$name:$latest" --tag "slipway-$name:$tag" --tag "slipway-$name:$mine")
    if [[ $name == train ]]; then
        know_torch "slipway-train:$mine"
        options+=(${torch_labels[@]+"${torch_labels[@]}"})
    fi
    docker/steps.sh "slipway-$name" "$engine" build "${options[@]}" "$context"
    # The labels need the image, and the image its labels; the second build finds every layer.
    if [[ $name == train && $arch == amd64 && -z ${torch_labels[*]-} ]]; then
        ask_torch "slipway-train:$mine"
        docker/steps.sh "slipway-$name" "$engine" build "${options[@]}" \
            ${torch_labels[@]+"${torch_labels[@]}"} "$context"
    fi
    echo "images: made slipway-$name:$tag, $(megabytes "slipway-$name:$mine")," \
        "$((SECONDS - began)) s"
    built+=("$name")
}

is_this_build() {  # is_this_build IMAGE: whether it is of this commit and stands on this base
    local format='{{index .Config.Labels "org.opencontainers.image.base.name"}}'
    # a tag of no commit, or of uncommitted changes, says nothing of what is inside
    [[ $tag != unknown* && $tag != *-dirty* ]] \
        && [[ $("$engine" image inspect --format "$format" "$1:$tag" 2>/dev/null) == "$base" ]]
}

only_names=no
if [[ ${1:-} == --names ]]; then
    only_names=yes
    shift
fi
known=()
for file in docker/*.Dockerfile; do name=${file#docker/}; known+=("${name%.Dockerfile}"); done
choose_cuda
with_cuda=""
if [[ -n $cuda_suffix ]]; then known=(train serve-gpu) with_cuda=" with CUDA=$CUDA"; fi
names=("${@:-all}")
if [[ ${names[*]} == all ]]; then names=(${known[@]+"${known[@]}"}); fi
for name in "${names[@]}"; do
    [[ " ${known[*]-} " == *" $name "* ]] \
        || fail "unknown image '$name'$with_cuda; known: ${known[*]-} all"
done
if [[ $only_names == yes ]]; then
    echo "${names[*]}"
    exit 0
fi
need_engine
choose_architecture
if [[ $arch == arm64 && " ${names[*]} " == *" serve-gpu "* ]]; then
    fail "serve-gpu is for amd64 alone: torch's packages for Arm have no CUDA; name other images"
fi
[[ $arch == amd64 || -z $cuda_suffix ]] || fail "CUDA=$CUDA is for amd64 alone; leave it out"
suffix=$cuda_suffix$arch_suffix
mine=$(checkout_tag)$suffix
latest=latest$suffix
stand_in=${BASE_TAG:-slipway-base:$distribution$arch_suffix}

# BuildKit builds where the client has it: always before version 23, and as the plug-in buildx
# since. The Dockerfiles need nothing that only BuildKit has.
client=$("$engine" version --format '{{.Client.Version}}' || true)
if "$engine" buildx version >/dev/null 2>&1 || [[ $client =~ ^(19|20)\. ]]; then
    export DOCKER_BUILDKIT=1
else
    export DOCKER_BUILDKIT=0
fi
export BUILDKIT_PROGRESS=plain  # what docker/steps.sh reads
# Attestations make the image an OCI index, which SageMaker refuses.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

choose_base
choose_proxies
make_context
network=${BUILD_NETWORK:-}
# The networks that need a stand-in tend to need the host's name service and routes too.
if [[ -z $network ]] && is_stand_in "$base"; then network=host; fi

commit=unknown version=unknown tag=unknown source=""
if in_time "$GIT_S" git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    dirty=$([[ -z $(docker/changes.sh) ]] || echo -dirty)
    commit=$(git rev-parse HEAD)$dirty
    tag=$(git rev-parse --short=12 HEAD)$dirty
    version=$(git describe --tags --always)$dirty
    origin=$(git config --get remote.origin.url || true)
    # An origin with a password, or in a folder of this machine, stays out of the image.
    if [[ $origin =~ ^https://[^@]+$ ]]; then source=$origin; fi
fi
tag=$tag$suffix

built=()
for name in "${names[@]}"; do build "$name"; done
sizes=""
for name in "${names[@]}"; do sizes+="$name=$(megabytes "slipway-$name:$mine") "; done
base_size=$(has_image "$base" && megabytes "$base" || echo unknown)
echo "images: ${sizes}base=$base_size commit=$tag on=$base seconds=$SECONDS"
