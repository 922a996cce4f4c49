#!/bin/bash
# base-image.sh [12|13|all]: the images mailquorum-base:12 and mailquorum-base:13, a minimal Debian each, without
# any registry: mmdebstrap makes the root from the mirror that this machine's own apt configuration names, and
# docker import takes it in. An image that is there is left alone (--force makes it anew).
#
# The image's apt keeps that mirror (main, updates, security), so tools/install-deps.sh works inside as it does
# outside. Fails when no mirror is configured, or when it does not carry the release asked for.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

die() { printf 'base-image: %s\n' "$@" >&2; exit 1; }

# The mirror of Debian's main archive, and of its security archive, as apt has them.
mirror_of() {
    apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(REPO_URI)' |
        awk -v want="$1" '$1 == "Packages" && $2 ~ want && $3 !~ /^cdrom:/ {print $3; exit}'
}

make_image() {
    local version=$1 codename=$2 image="mailquorum-base:$1" archive security tar
    if [[ -z $FORCE ]] && docker image inspect "$image" >/dev/null 2>&1; then
        echo "base-image: $image is there"
        return
    fi
    archive=$(mirror_of '^(bookworm|trixie|stable|oldstable)$')
    security=$(mirror_of '^(bookworm|trixie|stable|oldstable)-security$')
    [[ -n $archive ]] || die "apt on this machine names no mirror of Debian's main archive."
    tar=$TMP/$version.tar
    {
        echo "deb $archive $codename main"
        echo "deb $archive $codename-updates main"
        [[ -z $security ]] || echo "deb $security $codename-security main"
    } >"$TMP/$version.list"
    echo "base-image: making $image ($codename), about a minute"
    mmdebstrap --quiet --variant=apt --include=ca-certificates \
        --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$codename" "$tar" "$TMP/$version.list" || die "mmdebstrap failed for $codename: does the mirror carry it?"
    docker import --change 'CMD ["/bin/bash"]' "$tar" "$image" >/dev/null
    rm -f "$tar"
    echo "base-image: $image made"
}

FORCE=
[[ ${1:-} != --force ]] || { FORCE=1; shift; }
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
docker version >/dev/null 2>&1 || die "no docker daemon answers."
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
case ${1:-all} in
    12) make_image 12 bookworm ;;
    13) make_image 13 trixie ;;
    all) make_image 12 bookworm; make_image 13 trixie ;;
    *) die "unknown argument '$1'. Usage: docker/base-image.sh [--force] [12|13|all]" ;;
esac
