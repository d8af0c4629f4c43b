#!/bin/sh
# Usage: slipway/environment.sh docker|process|mutants|docs|notebooks
#
# Makes the Python environment VENV, or brings it up to date with the locks. It does nothing, and
# asks no network, when that is done already. An environment whose making was interrupted is made
# anew.
#
#   docker    the few packages that a machine needs whose containers do the work
#   process   all packages: without containers, and for the tests
#   mutants   what tests/mutants.py needs, in VENV-mutants
#   docs      what builds docs/, in VENV-docs
#   notebooks JupyterLab, SageMaker's SDK and the checkout's own packages, in VENV-notebooks
#
#   VENV     the folder; default .venv
#   PYTHON   the Python to take. Default: the newest on PATH that pyproject.toml allows and that has
#            venv. Where there is none, uv fetches one into VENV-python. uv itself comes from PATH,
#            or by pip into an environment that is thrown away.
set -eu

CDPATH='' cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
kind=${1-}
case $kind in
    docker) names="host" ;;
    process) names="dev smdebug" ;;
    mutants | docs)
        names=$kind
        venv=$venv-$kind ;;
    notebooks)
        names="notebooks smdebug"
        venv=$venv-notebooks ;;
    *) sed -n '2s/^# //p' "$0" >&2; exit 2 ;;
esac
# What would reach into the environment from outside
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_PYTHON
[ -d "${TMPDIR:-/tmp}" ] || unset TMPDIR
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DRY_RUN=0 PIP_QUIET=0
unfinished=$venv/.unfinished  # there while the environment is not whole
tools=""

say() { echo "environment: $*"; }

fail() { echo "environment: $*" >&2; exit 1; }

locks() {  # locks NAME…: their files
    for name in "$@"; do echo "docker/requirements-$name.txt"; done
}

is_current() {  # is_current KIND NAME…: whether these locks, as they are now, are installed
    stamp=$venv/.$1
    shift
    # shellcheck disable=SC2046  # names of files without blanks
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(cksum $(locks "$@"))" ]
}

allowed=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)"$/\1 \2/p' pyproject.toml)
oldest=${allowed% *}
newest=$((${allowed#* } - 1))
wanted="Python 3.$oldest"
if [ "$newest" != "$oldest" ]; then wanted="$wanted to 3.$newest"; fi

probe='import sys
try:
    import ensurepip, venv
    word = "venv"
except ImportError:
    word = "bare"
print("%d.%d %s" % (sys.version_info[0], sys.version_info[1], word))'

look_at() {  # look_at PROGRAM: sets version and has (venv or bare); fails when it does not run
    answer=$("$1" -c "$probe" 2>/dev/null) || return 1
    version=${answer% *}
    has=${answer#* }
}

is_allowed() {  # is_allowed VERSION, such as 3.12
    case $1 in
        3.*) [ "${1#3.}" -ge "$oldest" ] && [ "${1#3.}" -le "$newest" ] ;;
        *) return 1 ;;
    esac
}

lacks_venv() {  # lacks_venv VERSION
    fail "Python $1 lacks venv; type: $(slipway/install_command.sh "python$1-venv")"
}

take_named_python() {
    [ -n "$PYTHON" ] || fail "PYTHON is empty; type: unset PYTHON; make environment"
    look_at "$PYTHON" \
        || fail "PYTHON is '$PYTHON', which does not run; type: make PYTHON=python3 environment"
    is_allowed "$version" || fail "$wanted is needed, and PYTHON='$PYTHON' is $version;" \
        "without PYTHON one is found or fetched; type: unset PYTHON; make environment"
    [ "$has" = venv ] || lacks_venv "$version"
    python=$PYTHON
}

find_python() {  # sets python; else bare: a version that fits, without venv; other: one with venv
    python="" bare="" other="" seen=""
    candidates=""
    minor=$newest
    while [ "$minor" -ge "$oldest" ]; do
        candidates="$candidates python3.$minor"
        minor=$((minor - 1))
    done
    for name in $candidates python3 python; do
        look_at "$name" || continue
        seen=$version
        case $version,$has in
            3.*,venv) other=${other:-$name} ;;
        esac
        is_allowed "$version" || continue
        if [ "$has" = venv ]; then
            python=$name
            return
        fi
        bare=${bare:-$version}
    done
}

find_uv() {  # sets uv; installs it into an environment that is thrown away where PATH has none
    uv=$(command -v uv || true)
    if [ -n "$uv" ]; then return; fi
    if [ -n "$bare" ]; then lacks_venv "$bare"; fi
    if [ -z "$other" ]; then
        [ -z "$seen" ] || lacks_venv "$seen"
        fail "no Python is here; type: $(slipway/install_command.sh python3 python3-venv)"
    fi
    say "installing uv, for a moment, by $other"
    tools=$(mktemp -d)
    "$other" -m venv "$tools" || fail "'$other' cannot make an environment in '$tools'"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r docker/requirements-uv.txt || fail "uv could not be installed; the reason stands above"
    uv=$tools/bin/uv
}

fetch_python() {  # sets python to one of uv's
    find_uv
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
    python=$("$uv" python find --quiet --no-python-downloads ">=3.$oldest,<=3.$newest.99" || true)
    if [ -n "$python" ] && look_at "$python" && [ "$has" = venv ]; then return; fi
    export UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$venv-python}"
    say "$wanted with venv is not here; uv fetches Python 3.$newest into $UV_PYTHON_INSTALL_DIR"
    "$uv" python install --no-bin "3.$newest" \
        || fail "uv could not fetch Python 3.$newest; the reason stands above"
    python=$("$uv" python find --managed-python --no-python-downloads "3.$newest")
    look_at "$python" || fail "Python 3.$newest, which uv fetched, does not run"
}

is_installing() {  # is_installing PROCESS: whether slipway/installing.py runs there
    [ -n "$1" ] || return 1
    { cat "/proc/$1/cmdline" || ps -o args= -p "$1"; } 2>/dev/null | grep -q installing
}

stop_beside_another() {  # two at work in one folder would break it
    process=$(cat "$unfinished" 2>/dev/null || true)
    if is_installing "$process"; then
        fail "process $process is installing into $venv; wait for its end, or type: kill $process"
    fi
}

runs() {  # after an upgrade of Debian, a venv's Python may be another, which lacks all packages
    [ ! -e "$unfinished" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null
}

is_whole() {  # sets reason where VENV has to be made anew
    reason=""
    if ! runs; then
        reason="its making was interrupted, or its Python is gone"
        return 1
    fi
    look_at "$venv/bin/python"
    inside=$version
    if [ -n "$named" ] && [ "$named" != "$inside" ]; then
        reason="it has Python $inside, and PYTHON is $named"
    elif ! is_allowed "$inside"; then
        reason="it has Python $inside"
    fi
    [ -z "$reason" ]
}

check_place() {  # a sentence where no environment can be made
    case $PWD in
        *:*) fail "'$PWD' has a colon, which no environment of Python's may have in its path;" \
            "move the checkout, or clone it elsewhere" ;;
    esac
    [ -w . ] || [ -w "$venv" ] || fail "this user cannot write to '$PWD', and the environment" \
        "lies there; clone the repository into a folder of yours"
}

make_anew() {
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ ! -e "$unfinished" ] \
        && [ -n "$(ls -A "$venv")" ]; then
        fail "'$venv' is no Python environment; type: mv '$venv' '$venv.old'"
    fi
    if [ -z "$named" ]; then find_python; fi
    if [ -z "$python" ]; then fetch_python; fi
    chosen="Python ${named:-$version} ($python)"
    if [ -n "$reason" ] && [ -e "$venv" ]; then
        say "making $venv anew: $reason"
    fi
    # All but the folder itself, which may be a link or a mount; the mark stays until the end.
    mkdir -p "$venv"
    : >"$unfinished"
    find "$venv/" -mindepth 1 -maxdepth 1 ! -name .unfinished -exec rm -rf {} +
    say "making $venv by $chosen"
    "$python" -m venv "$venv" || fail "'$python' could not make $venv; the reason stands above"
    rm "$unfinished"
}

python=""
if [ "${PYTHON+set}" ]; then take_named_python; fi
named=${python:+$version}
if [ -z "$named" ] && runs; then
    # shellcheck disable=SC2086  # words
    if is_current "$kind" $names; then exit 0; fi
    # The tests' packages hold those of a machine with containers.
    if [ "$kind" = docker ] && is_current process dev smdebug; then exit 0; fi
fi
trap 'if [ -n "$tools" ]; then rm -rf "$tools"; fi' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
stop_beside_another
check_place
if ! is_whole; then make_anew; fi
# shellcheck disable=SC2086
if is_current "$kind" $names; then exit 0; fi
rm -f "$venv/.docker" "$venv/.process" "$venv/.mutants" "$venv/.docs" "$venv/.notebooks"
# shellcheck disable=SC2046,SC2086
"$venv/bin/python" -I slipway/installing.py "$venv" $(locks $names)
if [ "$kind" = notebooks ]; then  # `import slipway` works in every notebook
    for folder in "$venv"/lib/python*/site-packages; do pwd >"$folder/slipway.pth"; done
fi
# shellcheck disable=SC2046,SC2086
cksum $(locks $names) >"$venv/.new"
mv "$venv/.new" "$venv/.$kind"
