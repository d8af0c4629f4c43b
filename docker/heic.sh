#!/bin/sh
# Usage: heic.sh build VENV REQUIREMENTS
#        heic.sh libraries
#
# Runs inside the builds of the images. build: makes pillow-heif for VENV from its locked source,
# against Debian's libheif, since its wheel carries x265, an encoder under GPL-2. libraries: what
# that needs to run. With HEIC=0 nothing is installed, and pillow-heif leaves REQUIREMENTS. So it is
# on bookworm, whose libheif is too old and not apart from its encoders.
set -eu
apt-get update
if [ "${HEIC:-1}" != 0 ] && ! apt-cache show libheif-plugin-libde265 > /dev/null 2>&1; then
    echo "heic.sh: this release of Debian has no libheif that is new enough; HEIC is left out"
    HEIC=0
fi
case $1 in
    libraries)
        if [ "${HEIC:-1}" != 0 ]; then
            apt-get install --yes --no-install-recommends libheif1 libheif-plugin-libde265
        fi ;;
    build)
        venv=$2 requirements=$3
        if [ "${HEIC:-1}" != 0 ]; then
            apt-get install --yes --no-install-recommends \
                gcc libc6-dev python3-dev libheif-dev pkg-config
            awk '/^[a-z]/ { kept = /^pillow-heif==/ } kept' "$requirements" > /tmp/heic.txt
            "$venv/bin/pip" install --require-hashes --no-deps --no-build-isolation \
                --no-binary pillow-heif --requirement /tmp/heic.txt
            rm /tmp/heic.txt
        else
            awk '/^[a-z]/ { kept = !/^pillow-heif==/ } kept' "$requirements" > /tmp/others.txt
            mv /tmp/others.txt "$requirements"
        fi ;;
    *) echo "heic.sh: unknown command '$1'" >&2; exit 2 ;;
esac
rm -rf /var/lib/apt/lists/*
