#!/usr/bin/env bash
# Usage: docker/steps.sh NAME COMMAND…
#
# Runs a build, such as `docker build …`, or another long command, and prints a line per step, and
# one every few seconds in between. In a terminal it is one line, with a bar of the steps, and with
# the time left by the last such run. All that it says is kept until its end. When it fails, the
# last lines follow on standard error. Leaves with its exit code.
#
#   PULSE_S   seconds between two lines of one step; default 10, in a terminal 1
#   SPEAKER   the word before each line; default images
set -uo pipefail

name=$1
shift
[[ -d ${TMPDIR:-/tmp} ]] || unset TMPDIR  # a shell may name a folder that is gone
log=$(mktemp) || exit

speaker=${SPEAKER:-images}
earlier=$(dirname "$0")/../.cache/seconds-$speaker-$name  # how long the last run took
terminal=
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then terminal=1; fi
PULSE_S=${PULSE_S:-$((terminal ? 1 : 10))}

say() { echo "$speaker: $name: $SECONDS s, $1"; }

short() { LC_ALL=C tr -cd '\012\040-\176' | cut -c -70; }  # no letter is cut in two

plain() { LC_ALL=C sed $'s/\033\\[[0-9;]*[A-Za-z]//g' | grep -v '^[[:space:]]*$'; }  # no colours

bar() {  # bar DONE TOTAL: 20 characters, the done ones bright
    local filled=$(($1 * 20 / $2)) place bright='' dark=''
    for ((place = 0; place < 20; place++)); do
        if ((place < filled)); then bright+=━; else dark+=─; fi
    done
    if [[ -n ${NO_COLOR:-} ]]; then echo "$bright$dark"; return; fi
    printf '\033[32m%s\033[0m\033[2m%s\033[0m' "$bright" "$dark"
}

draw() {  # the one line of a terminal: bar, time, time left, what the build is at
    local at line='' left='' width
    at=$(plain <"$log" | grep -oE '^(Step|STEP) [0-9]+/[0-9]+|^#[0-9]+ \[[^]]*[0-9]+/[0-9]+\]' |
        tail -n 1 | grep -oE '[0-9]+/[0-9]+')
    if [[ -n $at ]]; then line="$(bar "$((${at%/*} - 1))" "${at#*/}") $at  "; fi
    if ((SECONDS < last)); then left=", about $((last - SECONDS)) s left"; fi
    width=$((columns - ${#speaker} - ${#name} - ${#left} - 42))
    if ((width < 1)); then width=1; fi
    at=$(tail -n 5 "$log" 2>/dev/null | plain | tail -n 1 | short | cut -c "-$width")
    printf '\r\033[K%s: %s %s%s s%s  %s' "$speaker" "$name" "$line" "$SECONDS" "$left" "$at"
}

columns=$(stty size 2>/dev/null | cut -d ' ' -f 2)  # of standard input, as a rule the same one
columns=${columns:-80}
last=$(cat "$earlier" 2>/dev/null || echo 0)

pulse() {  # pulse PROCESS: what the build is at, until that process ends
    # The sleeping program keeps no pipe of ours open.
    while sleep "$PULSE_S" >/dev/null 2>&1 && kill -0 "$1" 2>/dev/null; do
        if [[ -n $terminal ]]; then draw; continue; fi
        say "$(tail -n 5 "$log" 2>/dev/null | plain | tail -n 1 | short)"
    done
}

# The classic builder, podman, BuildKit
step='^(Step|STEP) ([0-9]+/[0-9]+) ?: (.*)|^#[0-9]+ \[([a-z0-9 -]* )?([0-9]+/[0-9]+)\] (.*)'

show() {  # its input's steps
    local line
    while IFS= read -r line; do
        if [[ -z $terminal && $line =~ $step ]]; then
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
kill "$pulse" 2>/dev/null
if [[ -n $terminal ]]; then draw; printf '\r\033[K'; say "ended with code $code"; fi
if [[ $code == 0 ]] && mkdir -p "${earlier%/*}" 2>/dev/null; then
    echo "$SECONDS" >"$earlier" 2>/dev/null
fi
if [[ $code != 0 ]]; then
    echo "$speaker: $name failed after $SECONDS s; its last lines:" >&2
    tail -n 40 "$log" >&2
fi
exit "$code"
