#!/usr/bin/env bash
# Usage: tests/fresh_machine.sh bookworm|trixie|forky [COMMAND…]
#        tests/fresh_machine.sh trixie 'make demo'
#
# Types commands on a fresh Debian that has git, make and python3 alone, as a stranger does; default
# `make demo`, then `make test-fast`. Where a command says what to type, that is typed, and the
# command again. The machine is a container with the network of this one. It gets a clone of the
# last commit. All is harder than at most places: the clone's path has blanks and letters beyond
# ASCII, its umask is 077, its user has no entry in /etc/passwd and no home, LANG is C, there is no
# terminal. The first command runs a second time without a network. The last line is the result.
#
#   LIMITS         options of `docker run`; default '--cpuset-cpus 0 --memory 2g --memory-swap 2g'
#   DOCKER_SOCKET  an engine's socket for the machine, such as /var/run/docker.sock; default none
#   PIP_CACHE_DIR  a folder that keeps packages between runs; default none
#   WORK           where the clone and its environment lie, 15 GB; default a temporary folder
set -euo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=docker/engine.sh
source docker/engine.sh

fail() { echo "fresh_machine.sh: $*" >&2; exit 1; }

case ${1:-} in
    bookworm | trixie | forky) distribution=$1 ;;
    *) sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
shift
commands=("${@:-make demo}")
if [[ $# == 0 ]]; then commands+=("make test-fast"); fi
socket=${DOCKER_SOCKET:-}
read -r -a limits <<<"${LIMITS---cpuset-cpus 0 --memory 2g --memory-swap 2g}"
need_engine
docker/base.sh "$distribution"

work=$(mktemp -d "${WORK:-${TMPDIR:-/tmp}}/fresh.XXXXXX")
machine=slipway-fresh-$distribution-$$
checkout="$work/a stranger's ü/slipway"
end() {
    "$engine" rm --force "$machine" >/dev/null 2>&1 || true
    "$engine" image rm "$machine" >/dev/null 2>&1 || true
    local tag name
    tag=$("$checkout/docker/engine.sh" --facts 2>/dev/null | sed -n s/^checkout=//p)
    for name in slipway-train slipway-serve; do
        # what an interrupted demo left at work in the engine outside
        "$engine" ps --quiet --filter "ancestor=$name:$tag" |
            xargs -r "$engine" rm --force >/dev/null 2>&1 || true
        "$engine" image rm "$name:$tag" >/dev/null 2>&1 || true
    done
    rm -rf --one-file-system "$work"
}
trap end EXIT

packages=(git make python3)
user=(--user 12345:12345)
# the same path, since an engine outside mounts what lies below
mounts=("$(mount_option "$work" "$work")")
if [[ -n $socket ]]; then
    packages+=("$([[ $distribution == bookworm ]] && echo docker.io || echo docker-cli)")
    user+=(--env DOCKER_HOST="unix://$socket")
    mounts+=("$(mount_option "$socket" "$socket")" --group-add "$(stat -c %g "$socket")")
    docker/base.sh
fi
if [[ -n ${PIP_CACHE_DIR:-} ]]; then
    mounts+=("$(mount_option "$PIP_CACHE_DIR" /pip-cache)" --env PIP_CACHE_DIR=/pip-cache)
fi

start() {  # start IMAGE OPTION…
    local image=$1
    shift
    "$engine" rm --force "$machine" >/dev/null 2>&1 || true
    "$engine" run --detach --init --name "$machine" ${limits[@]+"${limits[@]}"} \
        "${mounts[@]}" "$@" "$image" sleep infinity >/dev/null
}

as_root() { "$engine" exec "$machine" bash -c "export DEBIAN_FRONTEND=noninteractive; $1"; }

as_user() {  # as_user COMMAND: in the checkout
    "$engine" exec "${user[@]}" --env LANG=C --workdir "$checkout" "$machine" \
        bash -c "umask 077; $1" </dev/null 2>&1
}

# Shows its input, and writes the longest pause between two lines in seconds.
show() {
    local line last=$SECONDS longest=0
    while IFS= read -r line; do
        if [[ $((SECONDS - last)) -gt $longest ]]; then longest=$((SECONDS - last)); fi
        last=$SECONDS
        echo "  $line"
    done
    echo "$longest" >"$work/pause"
}

result=""
type_command() {  # type_command COMMAND NAME: adds to result; what a sentence says is typed first
    local began log=$work/log advice
    for _ in 1 2 3; do
        echo "fresh machine: $1"
        began=$SECONDS
        if as_user "$1" | tee "$log" | show; then
            result+=" $2=$((SECONDS - began))s longest_pause=$(cat "$work/pause")s"
            return
        fi
        advice=$(sed -n 's/^[a-z]*: .*; type: \(sudo \)\{0,1\}\(apt-get .*\)/\2/p' "$log")
        [[ -n $advice ]] || fail "'$1' failed on $distribution"
        echo "fresh machine: # $advice"
        as_root "apt-get update --quiet=2 && $advice --no-install-recommends" >"$log" 2>&1 \
            || { tail -n 5 "$log" >&2; fail "'$advice' failed on $distribution"; }
    done
    fail "'$1' failed on $distribution"
}

mkdir -p "$(dirname "$checkout")"
(umask 077; git clone --quiet . "$checkout")
chown -R 12345:12345 "$work"
start "slipway-base:$distribution" --network host
echo "fresh machine: $distribution, ${packages[*]}"
# A mirror that is updated seldom holds lists of forky that have expired.
as_root "echo 'Acquire::Check-Valid-Until \"false\";' >/etc/apt/apt.conf.d/mirror"
as_root "apt-get update --quiet=2 && \
    apt-get install --quiet=2 --yes --no-install-recommends ${packages[*]}" >"$work/log" 2>&1 \
    || { tail -n 5 "$work/log" >&2; fail "the packages cannot be installed"; }

type_command "${commands[0]}" first
"$engine" commit "$machine" "$machine" >/dev/null
if [[ -n $socket ]]; then  # the demo asks a container by the host's network
    user+=(--env https_proxy=http://127.0.0.1:9 --env http_proxy=http://127.0.0.1:9)
    start "$machine" --network host
else
    start "$machine" --network none
fi
type_command "${commands[0]}" second
limits=()  # tests run several processes beside each other
start "$machine" --network host
for command in "${commands[@]:1}"; do type_command "$command" "${command#make }"; done
python=$(as_user "ls .venv/lib")
size=$(du -sm "$checkout/.venv" | cut -f 1)
where=$([[ -n $socket ]] && echo "with an engine" || echo "as processes")
echo "fresh machine: $distribution $python $where:$result environment=${size}MB"
