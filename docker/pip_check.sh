#!/bin/sh
# Usage: pip_check.sh VENV [PATTERN]
#
# `pip check` of an environment with smdebug, which is installed without its dependencies
# (requirements-smdebug.in says why): exactly these of its wishes may be unfulfilled. PATTERN, for
# grep -E, is what else may be.
set -eu
known='^smdebug 1\.0\.34 (has requirement protobuf<=3\.20\.3|requires pyinstrument, which is not)'
complaints=$("$1/bin/pip" check | grep -vE "^No broken requirements|$known${2:+|$2}" || true)
if [ -n "$complaints" ]; then
    echo "$complaints" >&2
    exit 1
fi
