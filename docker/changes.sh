#!/usr/bin/env bash
# Usage: docker/changes.sh [--why]
#
# Prints the checkout's uncommitted changes as `git status --porcelain` does. While there are any,
# an image is not that of a commit. Recipes are left out: no image holds one, so your own may lie
# in recipes/. With --why it says why git knows no commit here, and what to type; nothing where it
# knows one.
#
#   GIT_S   seconds that git may take; default 60
set -euo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=docker/in_time.sh
source docker/in_time.sh
# An archive of the code may be unpacked within another project, whose commit is not ours.
export GIT_CEILING_DIRECTORIES=${PWD%/*}
if [[ ${1:-} == --why ]]; then
    if ! command -v git >/dev/null; then
        echo "git is missing; type: $(slipway/install_command.sh git)"
    elif said=$(in_time "$GIT_S" git rev-parse --verify HEAD 2>&1 >/dev/null); then
        exit 0
    elif [[ $? == 124 ]]; then
        echo "git does not answer within $GIT_S s; look at the disk of '$PWD'"
    else
        # the name of git's setting stands in the sentence of any language
        if [[ $said == *safe.directory* ]]; then
            folder=$(printf '%s' "$PWD" | sed "s/'/'\\\\''/g")
            cure="git config --global --add safe.directory '$folder'"
            echo "git reads no checkout of another user; type: $cure"
        else
            why="this folder has no commit, and the images' tags are commits"
            cure="git init; git add --all; git commit --message Slipway"
            echo "$why; clone the repository, or type: $cure"
        fi
    fi
    exit 0
fi
own_recipes=(':(exclude)recipes/*.yaml' ':(exclude)recipes/*.yml' ':(exclude)recipes/*.json')
code=0
in_time "$GIT_S" git status --porcelain -- . "${own_recipes[@]}" || code=$?
if [[ $code == 124 ]]; then
    echo "changes.sh: git status does not answer within $GIT_S s; look at the disk of '$PWD'" >&2
fi
exit "$code"
