#!/usr/bin/env bash
# The CUDA that slipway-train carries. docker/build.sh and build_and_push.sh source this file, after
# docker/engine.sh.
#
#   CUDA   12 or 13; default 12
# shellcheck disable=SC2034,SC2154  # they use what it sets, and set what it uses

# choose_cuda: sets cuda_suffix to what the tags of the images end in, nothing for the default, and
# train_lock to the file of slipway-train's packages.
choose_cuda() {
    case ${CUDA:-12} in
        12) cuda_suffix="" train_lock=requirements-train.txt ;;
        13) cuda_suffix=-cuda13 train_lock=requirements-train-cuda13.txt ;;
        *) echo "${0##*/}: CUDA must be 12 or 13, found '$CUDA'" >&2; exit 1 ;;
    esac
}

# know_torch IMAGE: sets torch_labels to the CUDA of the torch in this image of slipway-train, and
# the GPUs that it has kernels for. They stay empty unless the image is of the same locked packages.
know_torch() {
    local format lock="" cuda="" gpus=""
    torch_labels=()
    format='{{index .Config.Labels "org.slipway.lock"}}|{{index .Config.Labels "org.slipway.cuda"}}'
    format+='|{{index .Config.Labels "org.slipway.gpus"}}'
    IFS='|' read -r lock cuda gpus \
        < <("$engine" image inspect --format "$format" "$1" 2>/dev/null) || return 0
    if [[ $lock == "$(lock_number)" && -n $gpus ]]; then set_torch_labels "$cuda" "$gpus"; fi
}

ask_torch() {  # ask_torch IMAGE: the same, by starting the image; no GPU is needed for it
    local cuda gpus
    read -r cuda gpus < <("$engine" run --rm --network none --entrypoint /opt/venv/bin/python \
        "$1" -c 'import torch; print(torch.version.cuda, torch._C._cuda_getArchFlags())')
    set_torch_labels "$cuda" "$gpus"
}

set_torch_labels() {
    torch_labels=(--label "org.slipway.lock=$(lock_number)")
    torch_labels+=(--label "org.slipway.cuda=$1" --label "org.slipway.gpus=$2")
}

lock_number() { cksum <"docker/$train_lock" | cut -d ' ' -f 1; }
