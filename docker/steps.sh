#!/usr/bin/env bash
# Usage: docker/steps.sh NAME COMMAND…
#
# Runs a build, such as `docker build …`, or another long command, and prints a line per step, and
# one every few seconds in between. All that it says is kept until its end. When it fails, the last
# lines follow on standard error. Leaves with its exit code.
#
#   PULSE_S   seconds between two lines of one step; default 10
#   SPEAKER   the word before each line; default images
set -uo pipefail

name=$1
shift
log=$(mktemp)

speaker=${SPEAKER:-images}

say() { echo "$speaker: $name: $SECONDS s, $1"; }

short() { LC_ALL=C tr -cd '\012\040-\176' | cut -c -70; }  # no letter is cut in two

plain() { LC_ALL=C sed $'s/\033\\[[0-9;]*[A-Za-z]//g' | grep -v '^[[:space:]]*$'; }  # no colours

pulse() {  # pulse PROCESS: what the build is at, until that process ends
    # The sleeping program keeps no pipe of ours open.
    while sleep "${PULSE_S:-10}" >/dev/null 2>&1 && kill -0 "$1" 2>/dev/null; do
        say "$(tail -n 5 "$log" 2>/dev/null | plain | tail -n 1 | short)"
    done
}

# The classic builder, podman, BuildKit
step='^(Step|STEP) ([0-9]+/[0-9]+) ?: (.*)|^#[0-9]+ \[([a-z0-9 -]* )?([0-9]+/[0-9]+)\] (.*)'

show() {  # its input's steps
    local line
    while IFS= read -r line; do
        if [[ $line =~ $step ]]; then
            line="${BASH_REMATCH[2]-}${BASH_REMATCH[5]-} ${BASH_REMATCH[3]-}${BASH_REMATCH[6]-}"
            say "step $(short <<<"$line")"
        fi
    done
}

pulse $$ &
pulse=$!
# shellcheck disable=SC2317,SC2329  # the trap calls it
end() {
    kill "$pulse" 2>/dev/null
    wait "$pulse" 2>/dev/null
    rm -f "$log"
}
trap end EXIT
"$@" 2>&1 | tee "$log" | show
code=${PIPESTATUS[0]}
if [[ $code != 0 ]]; then
    echo "$speaker: $name failed after $SECONDS s; its last lines:" >&2
    tail -n 40 "$log" >&2
fi
exit "$code"
