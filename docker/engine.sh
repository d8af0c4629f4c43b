#!/usr/bin/env bash
# Usage: docker/engine.sh [--facts]
#
# Says what runs containers here: docker, podman, or process where none does and plain processes do
# the work. Why none does goes to stderr, with the command that mends it. With --facts it prints
# what runtime/engine_facts.py reads, one NAME=VALUE a line. Other scripts source this file and call
# need_engine.
#
#   ENGINE       docker, podman or process; default docker, else podman, whichever answers first
#   CDI_FOLDERS  where Podman's descriptions of GPUs lie; default /etc/cdi and /var/run/cdi

# Our images are chosen by their names. With this variable an engine would look for others.
unset DOCKER_DEFAULT_PLATFORM
engine_names="docker podman"
instead="everything runs as plain processes, which need 5 GB of packages"

# look_at NAME: whether this engine answers. Sets engine_state to answers, denied, silent or
# missing, engine_found to that in words, and engine_mend to the command that mends it.
look_at() {
    local said macos=no
    if [[ $(uname -s) == Darwin ]]; then macos=yes; fi
    engine_mend=""
    if ! command -v "$1" >/dev/null; then
        engine_state=missing engine_found="there is no $1"
        engine_mend="sudo apt-get install ${1/#docker/docker.io}"
        if [[ $macos == yes ]]; then engine_mend="brew install ${1/#docker/--cask docker}"; fi
        return 1
    fi
    if said=$("$1" info 2>&1 >/dev/null); then
        engine_state=answers engine_found="$1 answers"
        return 0
    fi
    if [[ $said == *"ermission denied"* ]]; then
        engine_state=denied engine_found="$1 is there, but this user may not ask it"
        # shellcheck disable=SC2016  # the user's shell expands it
        engine_mend='sudo usermod -aG docker "$USER"; newgrp docker'
        return 1
    fi
    engine_state=silent engine_found="$1 is installed, but no engine answers"
    engine_mend="sudo systemctl start docker"
    if [[ $macos == yes ]]; then engine_mend="open -a Docker"; fi
    if [[ $1 == podman ]]; then engine_mend="podman info"; fi
    if [[ $1 == podman && $macos == yes ]]; then engine_mend="podman machine start"; fi
    return 1
}

# find_engine: sets engine to docker, podman or process, and what look_at sets: of the engine, or of
# the one whose mending helps most. Ends with 1 for a wrong ENGINE, or one that does not answer.
find_engine() {
    local name state found mend
    case ${ENGINE:-} in
        docker | podman)
            engine=$ENGINE
            if look_at "$ENGINE"; then return 0; fi
            echo "ENGINE=$ENGINE, but $engine_found; type: $engine_mend" \
                "(or set ENGINE=process: then $instead)" >&2
            return 1 ;;
        process | "") ;;
        *) echo "ENGINE must be docker, podman or process, found '$ENGINE'" >&2; return 1 ;;
    esac
    state="" found="" mend=""
    for name in $engine_names; do
        engine=$name
        if look_at "$name"; then return 0; fi
        # Docker that only this user lacks is mended sooner than what is not even installed.
        if [[ -z $state || $state == missing && $engine_state != missing ]]; then
            state=$engine_state found=$engine_found mend=$engine_mend
        fi
    done
    engine=process engine_state=$state engine_found=$found engine_mend=$mend
}

# need_engine: sets engine to docker or podman, and its facts, or ends the script with a sentence.
need_engine() {
    if [[ ${ENGINE:-} == process ]]; then local ENGINE=""; fi  # what calls this needs one
    find_engine || exit 1
    if [[ $engine == process ]]; then
        echo "${0##*/}: $engine_found; type: $engine_mend" >&2
        exit 1
    fi
    engine_facts
}

# engine_facts: sets is_podman and is_rootless to yes or no, and two arrays of options of `run`:
# all_gpus gives a container all GPUs, confinement lets it read the user's folders.
engine_facts() {
    local runtimes options folder
    is_podman=no is_rootless=no all_gpus=() confinement=()
    # Podman also comes as a program of the name docker.
    if [[ $("$engine" --version 2>/dev/null) == *podman* ]]; then is_podman=yes; fi
    if [[ $is_podman == yes ]]; then
        # With SELinux, Podman's containers otherwise may not.
        confinement=(--security-opt=label=disable)
        if [[ $("$engine" info --format '{{.Host.Security.Rootless}}' 2>/dev/null) == true ]]; then
            is_rootless=yes
        fi
        # NVIDIA's toolkit describes the GPUs in files. Podman takes them from there, by name.
        for folder in ${CDI_FOLDERS:-/etc/cdi /var/run/cdi}; do
            if grep -qs 'nvidia.com/gpu' "$folder"/*; then
                all_gpus=(--device=nvidia.com/gpu=all)
            fi
        done
        return 0
    fi
    runtimes=$("$engine" info --format '{{json .Runtimes}}' 2>/dev/null || true)
    options=$("$engine" info --format '{{json .SecurityOptions}}' 2>/dev/null || true)
    if [[ $options == *name=rootless* ]]; then is_rootless=yes; fi
    if [[ $runtimes == *'"nvidia"'* ]]; then all_gpus=(--gpus=all); fi
}

# engine_architecture: prints the engine's own, as images name it: amd64 or arm64.
engine_architecture() {
    local said
    if [[ $is_podman == yes ]]; then
        said=$("$engine" info --format '{{.Host.Arch}}' 2>/dev/null || true)
    else
        said=$("$engine" version --format '{{.Server.Arch}}' 2>/dev/null || true)
    fi
    case $said in
        arm64 | aarch64) echo arm64 ;;
        *) echo amd64 ;;
    esac
}

# choose_architecture: sets arch to the architecture that ARCH asks for, and arch_suffix to what the
# tags of its images end in: nothing for amd64, which SageMaker's machines mostly are.
choose_architecture() {
    arch_suffix=""
    case ${ARCH:-amd64} in
        amd64 | x86_64) arch=amd64 ;;
        arm64 | aarch64) arch=arm64 arch_suffix=-arm64 ;;
        engine)
            arch=$(engine_architecture)
            arch_suffix=${arch/#amd64/}
            arch_suffix=${arch_suffix:+-$arch_suffix} ;;
        *) echo "${0##*/}: ARCH must be amd64, arm64 or engine, found '$ARCH'" >&2; exit 1 ;;
    esac
}

# mount_option SOURCE TARGET [,OPTION…]: the option of `run` that mounts one; both paths may hold
# blanks, colons, commas and quotes.
mount_option() {
    local target="dst=$2"
    if [[ $2 == *[,\"]* ]]; then target="\"dst=${2//\"/\"\"}\""; fi
    echo "--mount=type=bind,\"src=${1//\"/\"\"}\",$target${3:-}"
}

# checkout_tag: a tag that the images of this checkout carry, and those of no other one here.
checkout_tag() {
    local sum
    sum=$(CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")" && cd .. && pwd -P | cksum)
    echo "checkout-${sum%% *}"
}

print_facts() {
    local ENGINE=${ENGINE:-} arch=amd64
    if [[ $ENGINE == process ]]; then ENGINE=""; fi
    find_engine 2>/dev/null || true
    is_podman=no is_rootless=no all_gpus=() confinement=()
    if [[ $engine_state == answers ]]; then
        engine_facts
        arch=$(engine_architecture)
    fi
    echo "engine=$engine"
    echo "state=$engine_state"
    echo "found=$engine_found"
    echo "mend=$engine_mend"
    echo "podman=$is_podman"
    echo "rootless=$is_rootless"
    echo "gpus=${all_gpus[*]-}"
    echo "confinement=${confinement[*]-}"
    echo "architecture=$arch"
    echo "checkout=$(checkout_tag)"
}

main() {
    set -euo pipefail
    case "${1:-}" in
        "") ;;
        --facts) print_facts; return ;;
        *) echo "engine.sh: unknown argument '$1'; the only one is --facts" >&2; exit 2 ;;
    esac
    if [[ ${ENGINE:-} == process ]]; then echo process; return; fi
    find_engine || exit 1
    if [[ $engine == process && $engine_state != missing ]]; then
        echo "engine: $engine_found: until you type $engine_mend, $instead" >&2
    fi
    echo "$engine"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
