#!/bin/sh
# Usage: slipway/install_command.sh PROGRAM…
#
# Prints the command that installs programs on this system. They have Debian's names, such as make
# or python3.13-venv.
set -eu

sudo=sudo
if [ "$(id -u)" = 0 ]; then sudo=""; fi

if [ "$(uname -s)" = Darwin ]; then
    case $* in
        *python*) echo "brew install python" ;;
        *) echo "xcode-select --install" ;;
    esac
elif command -v apt-get >/dev/null; then
    echo "${sudo:+$sudo }apt-get install --yes $*"
elif command -v dnf >/dev/null; then
    # Fedora's Python has its venv.
    programs=$(echo "$*" | sed 's/ *python3[^ ]*-venv//')
    echo "${sudo:+$sudo }dnf install --assumeyes ${programs:-python3}"
else
    case $* in
        *python*) echo "curl -LsSf https://astral.sh/uv/install.sh | sh" ;;
        *) echo "install $* by this system's package manager" ;;
    esac
fi
