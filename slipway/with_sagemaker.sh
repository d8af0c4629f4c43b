#!/bin/sh
# Usage: slipway/with_sagemaker.sh COMMAND …
#
# Runs a command for which this machine is SageMaker: boto3, the SDKs and `slipway` reach local
# SageMaker. `slipway` is on its PATH. The server ends with the command, and starts with nothing in
# S3.
#
#   ENGINE  docker, podman or process; default: what is here
#   STATE   the folder of what the server remembers, and its log; default out/notebooks/sagemaker
set -eu

root=$(CDPATH='' cd -P -- "$(dirname "$0")/.." && pwd -P)
state=${STATE:-$root/out/notebooks/sagemaker}
PATH=$root/bin:$PATH
export PATH

[ $# -gt 0 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$state"
slipway local-sagemaker --state "$state" --port 0 --engine "${ENGINE-}" >"$state/server.log" 2>&1 &
trap 'slipway local-sagemaker stop --state "$state" >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
exports=$(slipway local-sagemaker env --state "$state") || { cat "$state/server.log" >&2; exit 1; }
eval "$exports"
echo "sagemaker: this machine, at $AWS_ENDPOINT_URL_SAGEMAKER; its log: $state/server.log"
"$@"
