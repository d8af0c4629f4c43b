# shellcheck shell=bash
# What train.sh and serve.sh share: a container in the foreground, which Ctrl-C ends as SageMaker
# does. The engine is the one that ENGINE names, else the one that answers.

# shellcheck source=docker/engine.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/engine.sh"

# run_attached NAME SECONDS OPTION…
# `run` of the container NAME with these options, to its end. Returns the container's exit
# code. Ctrl-C sends it SIGTERM, and SIGKILL so many seconds later.
run_attached() {
    local name=$1 patience=$2 interrupted=yes client code
    shift 2
    # In the background, so that this shell can turn Ctrl-C into a SIGTERM for the container.
    "$engine" run --rm --name "$name" --sig-proxy=false ${confinement[@]+"${confinement[@]}"} \
        --env OMP_NUM_THREADS "$@" &
    client=$!
    # shellcheck disable=SC2317,SC2329  # the trap calls it
    stop() {
        echo "${0##*/}: stopping $name" >&2
        "$engine" stop --time "$patience" "$name" >/dev/null || true
        interrupted=yes
    }
    trap stop INT TERM
    # A signal ends `wait` early, with a code that is not the container's.
    while [[ $interrupted == yes ]]; do
        interrupted=no code=0
        wait "$client" || code=$?
    done
    trap - INT TERM
    return "$code"
}
