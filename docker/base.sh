#!/usr/bin/env bash
# Usage: docker/base.sh [--force] [trixie|bookworm|forky]    (as root; with debootstrap, an engine)
#
# Makes slipway-base:trixie, a stand-in for debian:trixie-slim, or the same of another release,
# for networks where no image can be pulled. It is a minimal Debian made by debootstrap, slimmed as
# the real one is, with this site's CA bundle and pip settings: index, proxy, timeout; never a
# folder of this machine, never a password. It carries the label org.slipway.base=stand-in, which
# every image built on it inherits. The script does nothing when the image is there already, unless
# --force is given. For another processor than this machine's (ARCH=arm64), it needs that one's
# programs to run here: apt-get install qemu-user-static binfmt-support.
#
#   ARCH           amd64 or arm64; default amd64
#   DISTRIBUTION   Debian's release where none is given; default trixie
#   ENGINE         docker or podman; default the one that answers
#   BASE_TAG       name of the image; default slipway-base:<release>, for arm64
#                  slipway-base:<release>-arm64
#   DEBIAN_MIRROR  where Debian comes from; default debootstrap's own
#   CA_BUNDLE      PEM file for pip, curl and Python; default what this machine's pip or TLS uses
set -euo pipefail

# shellcheck source=docker/engine.sh
source "$(dirname "${BASH_SOURCE[0]}")/engine.sh"
# Everybody may read what is in the image, whatever may be read of this user's files.
umask 022
# A file of its own, since installing ca-certificates rewrites Debian's bundle.
ca_path=/etc/ssl/site-ca-bundle.crt

fail() { echo "base.sh: $*" >&2; exit 1; }

pip_setting() {  # pip_setting NAME: what the environment says, else pip's files, else nothing
    local variable=PIP_${1^^}
    variable=${variable//-/_}
    if [[ -n ${!variable:-} ]]; then echo "${!variable}"; return; fi
    python3 -m pip config get "global.$1" 2>/dev/null || true
}

portable() {  # portable NAME VALUE: the words of VALUE that hold on any machine, one per line
    local word words
    read -r -a words <<<"$2"
    for word in ${words[@]+"${words[@]}"}; do
        case $word in
            file:* | /* | .* | ~*) ;;
            *://*@*) echo "base.sh: pip's $1 holds a password and is left out of the image" >&2 ;;
            *) echo "$word" ;;
        esac
    done
}

write_pip_settings() {  # write_pip_settings FILE
    local name value
    echo "[global]" >"$1"
    for name in index-url extra-index-url proxy timeout default-timeout trusted-host; do
        value=$(portable "$name" "$(pip_setting "$name")" | paste -sd ' ')
        if [[ -n $value ]]; then echo "${name/default-timeout/timeout} = $value" >>"$1"; fi
    done
}

dropped=(doc groff info linda lintian locale man)  # the folders of /usr/share that slim images lack

keep_slim() {  # keep_slim ROOT: every later apt-get install leaves out the same as slim does
    local root=$1 name
    for name in "${dropped[@]}"; do
        echo "path-exclude /usr/share/$name/*"
    done >"$root/etc/dpkg/dpkg.cfg.d/slim"
    echo "path-include /usr/share/doc/*/copyright" >>"$root/etc/dpkg/dpkg.cfg.d/slim"
    echo "force-unsafe-io" >"$root/etc/dpkg/dpkg.cfg.d/speed"  # a killed build starts over anyway
    cat >"$root/etc/apt/apt.conf.d/slim" <<'APT'
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Apt::AutoRemove::SuggestsImportant "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke {
    "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true";
};
APT
    # No service may start while an image is built.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

slim() {  # slim ROOT: takes out manuals, translations and caches
    local root=$1 name
    for name in "${dropped[@]}"; do
        if [[ -d $root/usr/share/$name ]]; then
            find "$root/usr/share/$name" -type f ! -name copyright -delete
        fi
    done
    find "$root/usr/share/doc" -type l -delete
    find "${dropped[@]/#/$root/usr/share/}" -mindepth 1 -type d -empty -delete 2>/dev/null || true
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/*-old \
        "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/cache/ldconfig/aux-cache
}

force=no suite=${DISTRIBUTION:-trixie}
for word in "$@"; do
    case $word in
        --force) force=yes ;;
        trixie | bookworm | forky) suite=$word ;;
        *) fail "unknown argument '$word'; known: --force trixie bookworm forky" ;;
    esac
done
need_engine
choose_architecture
base_tag=${BASE_TAG:-slipway-base:$suite$arch_suffix}
if [[ $force == no ]] && "$engine" image inspect "$base_tag" >/dev/null 2>&1; then
    echo "base: $base_tag is there already (make it anew: docker/base.sh --force $suite)"
    exit 0
fi
if [[ $(id -u) != 0 && $is_rootless == yes ]]; then
    fail "making a base image takes root, whose engine has images of its own; run:" \
        "sudo $0 $suite && sudo $engine save $base_tag | $engine load"
fi
[[ $(id -u) == 0 ]] || fail "making a base image takes root; run: sudo $0 $suite"
PATH=$PATH:/usr/sbin:/sbin
machine=x86_64  # as the kernel names it
if [[ $arch == arm64 ]]; then machine=aarch64; fi
emulated=/proc/sys/fs/binfmt_misc/qemu-$machine
[[ $(uname -m) == "$machine" || -e $emulated ]] \
    || fail "this machine runs no programs for $arch; install what does:" \
        "apt-get install qemu-user-static binfmt-support (where no service may start, then also:" \
        "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; update-binfmts --enable)"
command -v debootstrap >/dev/null \
    || fail "debootstrap is missing; install it: apt-get install debootstrap"

ca_bundle=${CA_BUNDLE:-$(pip_setting cert)}
ca_bundle=${ca_bundle:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
[[ -r $ca_bundle ]] \
    || fail "the CA bundle '$ca_bundle' cannot be read; name one with CA_BUNDLE=file"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
source=(${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"})
# A debootstrap that is older than the distribution makes it as it makes the unstable one.
scripts=/usr/share/debootstrap/scripts
if [[ ! -e $scripts/$suite ]]; then
    source=("${DEBIAN_MIRROR:-http://deb.debian.org/debian}" "$scripts/sid")
fi
echo "base: debootstrap $suite (about a minute)"
steps=$(dirname "${BASH_SOURCE[0]}")/steps.sh
if ! "$steps" "$base_tag" debootstrap --arch "$arch" --variant=minbase --include=ca-certificates \
    "$suite" "$root" ${source[@]+"${source[@]}"}; then
    fail "debootstrap failed, its last lines are above;" \
        "another mirror can be named with DEBIAN_MIRROR=url"
fi

# debootstrap leaves one line "deb MIRROR SUITE main". The updates and the security fixes stand
# beside it.
mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror $suite main
deb $mirror $suite-updates main
deb ${mirror%/}-security $suite-security main
SOURCES
install -m 644 "$ca_bundle" "$root$ca_path"
write_pip_settings "$root/etc/pip.conf"
keep_slim "$root"
slim "$root"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"  # the engine writes its own

changes=("LABEL org.slipway.base=stand-in" 'CMD ["bash"]')
for variable in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE AWS_CA_BUNDLE; do
    changes+=("ENV $variable=$ca_path")
done
platform=(--platform "linux/$arch")
if [[ $is_podman == yes ]]; then platform=(--os linux --arch "$arch"); fi
pack() { tar --numeric-owner --sort=name --one-file-system -C "$root" -c .; }
if [[ $is_podman == no && $arch != "$(engine_architecture)" ]]; then
    # Docker's import takes the platform for the engine's own, before version 23.
    mkdir "$work/context"
    pack >"$work/context/root.tar"
    printf '%s\n' "FROM scratch" "ADD root.tar /" "${changes[@]}" >"$work/context/Dockerfile"
    "$engine" build --quiet "${platform[@]}" --tag "$base_tag" "$work/context" >/dev/null
else
    options=()
    for change in "${changes[@]}"; do options+=(--change "$change"); done
    pack | "$engine" import "${platform[@]}" "${options[@]}" - "$base_tag" >/dev/null
fi
size=$("$engine" image inspect --format '{{.Size}}' "$base_tag")
echo "base: $base_tag, $((size / 1000000)) MB, $SECONDS s, a stand-in for debian:$suite-slim"
