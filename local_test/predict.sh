#!/usr/bin/env bash
# Usage: local_test/predict.sh URL PHOTO [CONTENT_TYPE]
#        local_test/predict.sh http://127.0.0.1:8080 photo.jpg
#
# Sends one photo (or a .json request) to URL/invocations, as InvokeEndpoint would, and prints the
# answer. Without CONTENT_TYPE, a .json goes as application/json, all else as application/x-image,
# which leaves the format to the server. Leaves with 1 when the answer is not a 200, and says its
# status.
set -euo pipefail

if [[ $# -lt 2 || $# -gt 3 ]]; then sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; fi
url=${1%/} photo=$2
[[ -r $photo && -f $photo ]] \
    || { echo "predict.sh: the photo '$photo' cannot be read" >&2; exit 2; }
case $photo in
    *.json) content_type=application/json ;;
    *) content_type=application/x-image ;;
esac

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
# A proxy cannot reach this machine's own servers (artifact/host/listening.py).
direct=${no_proxy:-${NO_PROXY:-}}
direct=${direct:+$direct,}localhost,127.0.0.1,::1
# The photo comes by redirection, since curl's own @FILE takes some characters of a name as its own.
status=$(curl --silent --show-error --max-time 60 \
    --noproxy "$direct" --header "Content-Type: ${3:-$content_type}" \
    --data-binary @- --output "$answer" --write-out '%{http_code}' \
    "${url%/invocations}/invocations" <"$photo") ||
    { echo "predict.sh: $url did not answer; is the server up? ($url/ping)" >&2; exit 1; }
cat "$answer"
if [[ -n $(tail -c 1 "$answer") ]]; then echo; fi
if [[ $status != 200 ]]; then echo "predict.sh: HTTP status $status" >&2; exit 1; fi
