#!/usr/bin/env bash
# Usage: docker/changes.sh
#
# Prints the checkout's uncommitted changes as `git status --porcelain` does. While there are any,
# an image is not that of a commit. Recipes are left out: no image holds one, so your own may lie
# in recipes/.
set -euo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
own_recipes=(':(exclude)recipes/*.yaml' ':(exclude)recipes/*.yml' ':(exclude)recipes/*.json')
git status --porcelain -- . "${own_recipes[@]}"
