#!/usr/bin/env bash
# Usage: tests/check.sh      (make check)
#
# The gates that need no test: lint, format, types, the reference pages, scripts, Dockerfiles. All
# run, whatever fails. Ends with 0 when all are clean.
#
#   VENV   the environment with docker/requirements-dev.txt; default .venv
set -uo pipefail

CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
bin=${VENV:-.venv}/bin
failed=()

gate() {  # gate NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        echo "check: $name: ok"
    else
        failed+=("$name")
    fi
}

scripts=()
while IFS= read -r file; do scripts+=("$file"); done < <(
    git ls-files '*.sh' .ci/run bin/slipway docker/serve docker/serve-mms serve/mms/java/python
)
dockerfiles=()
while IFS= read -r file; do dockerfiles+=("$file"); done < <(git ls-files '*.Dockerfile')

gate "ruff check" "$bin/ruff" check --quiet .
gate "ruff format" "$bin/ruff" format --quiet --check .
gate "mypy" "$bin/mypy" --no-error-summary .
gate "reference" "$bin/python" -m reference --check
gate "shellcheck" "$bin/shellcheck" ${scripts[@]+"${scripts[@]}"}
gate "hadolint" "$bin/hadolint" ${dockerfiles[@]+"${dockerfiles[@]}"}

if [[ ${#failed[@]} -gt 0 ]]; then
    echo "check: failed: ${failed[*]-}" >&2
    exit 1
fi
echo "check: all clean"
