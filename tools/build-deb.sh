#!/bin/bash
# build-deb.sh [DIR]: the packages mailquorumd, mailfeed and clusterctl for the Debian it runs on, into DIR (default build/deb).
#
# It builds in a copy of the sources, as any user; tools/install-deps.sh package brings what it needs. The version is debian/changelog's.
# Fails with the last lines of dpkg-buildpackage when that does.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'build-deb: %s\n' "$@" >&2; exit 1; }

out=${1:-build/deb}
mkdir -p "$out"
out=$(cd "$out" && pwd)
command -v dpkg-buildpackage >/dev/null && command -v dh >/dev/null ||
    die "dpkg-buildpackage or debhelper is missing. What to do: tools/install-deps.sh package"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/mailquorum"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$copy/mailquorum"
if ! (cd "$copy/mailquorum" && dpkg-buildpackage -b -us -uc) >"$copy/log" 2>&1; then
    tail -n 40 "$copy/log" >&2
    die "dpkg-buildpackage failed (above)"
fi
rm -f "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes
mv "$copy"/*.deb "$copy"/*.buildinfo "$copy"/*.changes "$out/"
printf '%s\n' "$out"/*.deb | grep -v dbgsym
