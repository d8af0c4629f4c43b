#!/usr/bin/env bash
# Usage: local_test/train.sh IMAGE ROOT [docker options…]
#        local_test/train.sh slipway-train out/job --network none --env USE_SMDEBUG=0
#
# Runs a training image as SageMaker does: `docker run IMAGE train`, with ROOT as /opt/ml. ROOT
# holds your input/data/<channel>/ and, if you like, input/config/hyperparameters.json. What else
# SageMaker writes into input/config is added where it is missing. Ctrl-C is StopTrainingJob:
# SIGTERM, and SIGKILL 120 s later. Leaves with the container's exit code. The container runs as
# root, as on SageMaker; what it wrote is handed to you at the end.
#
#   ENGINE         docker or podman; default the one that answers
#   GPUS           all, none, or auto: all where the engine has NVIDIA's; default auto
#   SHM_SIZE       size of /dev/shm; default 2g. NCCL needs it, and your own scripts if their data
#                  loaders have worker processes
#   STOP_TIMEOUT_S seconds between SIGTERM and SIGKILL; default 120
set -euo pipefail

# shellcheck source=local_test/attached.sh
source "$(dirname "${BASH_SOURCE[0]}")/attached.sh"

fail() { echo "train.sh: $1" >&2; exit 2; }

if [[ $# -lt 2 ]]; then sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; fi
image=$1
[[ -d $2/input/data ]] \
    || fail "'$2' has no folder input/data; lay it out as /opt/ml is: input/data/<channel>/…"
root=$(CDPATH='' cd "$2" && pwd)
shift 2
name=slipway-train-$$-$RANDOM

need_engine
gpus=()
case ${GPUS:-auto} in
    all) gpus=(--gpus all) ;;
    none) ;;
    auto) gpus=(${all_gpus[@]+"${all_gpus[@]}"}) ;;
    *) fail "GPUS='$GPUS' is none of all, none, auto" ;;
esac

write_missing() {  # write_missing NAME JSON
    local file=$root/input/config/$1.json
    if [[ ! -e $file ]]; then printf '%s\n' "$2" >"$file"; fi
}

# What the platform makes before the container starts.
mkdir -p "$root/input/config" "$root/model" "$root/output/data" "$root/checkpoints"
shopt -s nullglob
channel='{"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated",'
channel+=' "RecordWrapperType": "None"}'
channels=""
for folder in "$root"/input/data/*/; do
    channels+=${channels:+, }"\"$(basename "$folder")\": $channel"
done
write_missing inputdataconfig "{$channels}"
# The same as runtime/opt_ml.py writes; tests/runtime/test_opt_ml.py compares them.
write_missing resourceconfig '{"current_host": "algo-1", "hosts": ["algo-1"],
  "network_interface_name": "eth0",
  "current_instance_type": "local", "current_group_name": "homogeneousCluster",
  "instance_groups": [{"instance_group_name": "homogeneousCluster", "instance_type": "local",
    "hosts": ["algo-1"]}]}'
write_missing hyperparameters '{}'

code=0
run_attached "$name" "${STOP_TIMEOUT_S:-120}" --shm-size "${SHM_SIZE:-2g}" \
    "$(mount_option "$root" /opt/ml)" ${gpus[@]+"${gpus[@]}"} "$@" "$image" train || code=$?

# Root's files would be in the way of the next run. A rootless engine's are yours already.
written=("$root/model" "$root/output" "$root/checkpoints")
if [[ -n $(find "${written[@]}" ! -user "$(id -u)" -print -quit 2>/dev/null) ]]; then
    "$engine" run --rm --network none "$(mount_option "$root" /opt/ml)" \
        --entrypoint chown "$image" \
        -R "$(id -u):$(id -g)" /opt/ml/model /opt/ml/output /opt/ml/checkpoints
fi
exit "$code"
