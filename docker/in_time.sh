#!/usr/bin/env bash
# Usage: source docker/in_time.sh; in_time SECONDS COMMAND…
#
# Runs a command, and ends it after so many seconds: the code is then 124. Not everywhere is there a
# program `timeout`.
GIT_S=${GIT_S:-60}  # for git, which may lie on a disk that does not answer

in_time() {
    local most=$(($1 * 10)) waited=0 client
    shift
    "$@" &
    client=$!
    while kill -0 "$client" 2>/dev/null; do
        if [[ $waited -ge $most ]]; then
            kill "$client"
            return 124
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    wait "$client"
}
