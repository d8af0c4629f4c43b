#!/usr/bin/env bash
# Usage: docker/build.sh [--names] [train|serve|serve-gpu|serve-mms|all]...      (default all)
#
# Builds slipway-NAME of each docker/NAME.Dockerfile, tagged :latest and :<git commit>, and prints
# their sizes. slipway-serve-gpu stands on slipway-train of the same commit, which is built first
# where it is missing. With --names it builds nothing: it prints the names that it would build.
#
#   BASE_IMAGE      the image to build on; default debian:bookworm-slim. Where that cannot be pulled
#                   it is the stand-in of docker/base.sh, which is made first if it is missing (that
#                   takes root)
#   WEIGHTS         ImageNet weights to bake into slipway-train, such as resnet50,vgg16;
#                   default none
#   PACKAGES        more of Debian's packages for slipway-train, such as 'g++ python3-dev' for
#                   compile=true; default none
#   BUILD_NETWORK   --network of the builds; default host on the stand-in, else the engine's own
#   PULL_TIMEOUT_S  how long the base image's registry may take; default 60
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
default_base=debian:bookworm-slim
stand_in=${BASE_TAG:-slipway-base:bookworm}

fail() { echo "build.sh: $1" >&2; exit 1; }

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

megabytes() { echo "$(($(docker image inspect --format '{{.Size}}' "$1") / 1000000))MB"; }

choose_base() {  # sets base
    base=${BASE_IMAGE:-}
    if [[ -n $base ]]; then return; fi
    base=$default_base
    if has_image "$base"; then return; fi
    echo "images: pulling $base (at most ${PULL_TIMEOUT_S:-60} s)"
    if timeout "${PULL_TIMEOUT_S:-60}" docker pull --quiet --platform linux/amd64 "$base"; then
        return
    fi
    base=$stand_in
    echo "images: $default_base cannot be pulled; building on the stand-in $base instead"
    if ! has_image "$base"; then docker/base.sh; fi
}

is_stand_in() {
    local format='{{index .Config.Labels "org.slipway.base"}}'
    [[ $(docker image inspect --format "$format" "$1" 2>/dev/null) == stand-in ]]
}

build() {  # build NAME: docker/NAME.Dockerfile becomes slipway-NAME, once in a run
    local name=$1 stands_on=$base options=(--platform linux/amd64)
    options+=(--build-arg "GIT_COMMIT=$commit" --build-arg "VERSION=$version")
    if [[ " ${built[*]-} " == *" $name "* ]]; then return; fi
    case $name in
        train)
            options+=(--build-arg "BASE_IMAGE=$base")
            options+=(--build-arg "WEIGHTS=${WEIGHTS:-}" --build-arg "PACKAGES=${PACKAGES:-}") ;;
        serve-gpu)
            if ! is_this_commit slipway-train; then build train; fi
            stands_on=slipway-train:$tag
            options+=(--build-arg "TRAIN_IMAGE=$stands_on") ;;
        *) options+=(--build-arg "BASE_IMAGE=$base") ;;
    esac
    options+=(--label "org.opencontainers.image.base.name=$stands_on")
    if [[ -n $source ]]; then options+=(--label "org.opencontainers.image.source=$source"); fi
    if [[ -n $network ]]; then options+=(--network "$network"); fi
    # The engine hands these to RUN and keeps them out of the image.
    for variable in http_proxy https_proxy no_proxy; do
        if [[ -n ${!variable:-} ]]; then options+=(--build-arg "$variable"); fi
    done
    echo "images: building slipway-$name:$tag on $base"
    docker build "${options[@]}" --file "docker/$name.Dockerfile" \
        --tag "slipway-$name:latest" --tag "slipway-$name:$tag" .
    built+=("$name")
}

is_this_commit() {  # a tag of no commit, or of uncommitted changes, says nothing of what is inside
    [[ $tag != unknown && $tag != *-dirty ]] && has_image "$1:$tag"
}

only_names=no
if [[ ${1:-} == --names ]]; then
    only_names=yes
    shift
fi
known=()
for file in docker/*.Dockerfile; do name=${file#docker/}; known+=("${name%.Dockerfile}"); done
names=("${@:-all}")
if [[ ${names[*]} == all ]]; then names=("${known[@]}"); fi
for name in "${names[@]}"; do
    [[ " ${known[*]} " == *" $name "* ]] || fail "unknown image '$name'; known: ${known[*]} all"
done
if [[ $only_names == yes ]]; then
    echo "${names[*]}"
    exit 0
fi
command -v docker >/dev/null || fail "docker is missing; install it: apt-get install docker.io"
docker info >/dev/null 2>&1 \
    || fail "no Docker engine answers; start one, or add yourself to the group docker"

# BuildKit builds where the client has it: always before version 23, and as the plug-in buildx
# since. The Dockerfiles need nothing that only BuildKit has.
client=$(docker version --format '{{.Client.Version}}' || true)
if docker buildx version >/dev/null 2>&1 || [[ $client =~ ^(19|20)\. ]]; then
    export DOCKER_BUILDKIT=1
else
    export DOCKER_BUILDKIT=0
fi
if [[ ! -t 1 ]]; then export BUILDKIT_PROGRESS=plain; fi
# Attestations make the image an OCI index, which SageMaker refuses.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

choose_base
network=${BUILD_NETWORK:-}
# The networks that need a stand-in tend to need the host's name service and routes too.
if [[ -z $network ]] && is_stand_in "$base"; then network=host; fi

commit=unknown version=unknown tag=unknown source=""
if git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    dirty=$([[ -z $(docker/changes.sh) ]] || echo -dirty)
    commit=$(git rev-parse HEAD)$dirty
    tag=$(git rev-parse --short=12 HEAD)$dirty
    version=$(git describe --tags --always)$dirty
    origin=$(git config --get remote.origin.url || true)
    # An origin with a password, or in a folder of this machine, stays out of the image.
    if [[ $origin =~ ^https://[^@]+$ ]]; then source=$origin; fi
fi

built=()
for name in "${names[@]}"; do build "$name"; done
sizes=""
for name in "${names[@]}"; do sizes+="$name=$(megabytes "slipway-$name:latest") "; done
base_size=$(has_image "$base" && megabytes "$base" || echo unknown)
echo "images: ${sizes}base=$base_size commit=$tag on=$base"
