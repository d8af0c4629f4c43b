#!/usr/bin/env bash
# Usage: local_test/serve.sh IMAGE ROOT_OR_MODEL_DIR [PORT [docker options…]]
#        local_test/serve.sh slipway-serve out/job 8080 --read-only --tmpfs /tmp
#
# Runs a serving image as SageMaker does: `docker run IMAGE serve`. The model (ROOT/model, or the
# folder itself) is read-only at /opt/ml/model, and http://127.0.0.1:PORT (default 8080) leads to
# the container's port 8080. The script stays in the foreground. Ctrl-C is what SageMaker does to
# end it: SIGTERM, and SIGKILL 30 s later.
set -euo pipefail

# shellcheck source=local_test/attached.sh
source "$(dirname "${BASH_SOURCE[0]}")/attached.sh"

fail() { echo "serve.sh: $1" >&2; exit 2; }

if [[ $# -lt 2 ]]; then sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; fi
image=$1 folder=$2 port=${3:-8080}
shift $(($# < 3 ? $# : 3))
[[ $port =~ ^[0-9]+$ ]] || fail "PORT is '$port', expected a number such as 8080"
if [[ -e $folder/model/model.json ]]; then folder=$folder/model; fi
[[ -e $folder/model.json ]] \
    || fail "neither '$folder/model.json' nor '$folder/model/model.json' is there; train first"
model=$(CDPATH='' cd "$folder" && pwd)
name=slipway-serve-$$-$RANDOM

echo "serve.sh: $model on http://127.0.0.1:$port" >&2
need_engine
run_attached "$name" 30 --publish "127.0.0.1:$port:8080" \
    "$(mount_option "$model" /opt/ml/model ,readonly)" "$@" "$image" serve
