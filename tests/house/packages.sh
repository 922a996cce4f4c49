#!/bin/bash
# What `cmake --install` brings has one of debian/'s packages to go to (or is named in debian/not-installed), and what the packages ask for
# is brought: dh_install and dh_missing end the build of all of them otherwise, and they are built less often than files are added.
# Elsewhere than where its units expect it, it installs nothing. Skipped where the build has no program to install.
source "$(dirname "$0")/lib/house.bash"

[[ -x $BUILD/bin/mailquorumd && -x $BUILD/bin/mailfeed && -x $BUILD/bin/clusterctl ]] || { echo "house packages: skipped, no programs in '$BUILD'"; exit 77; }
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
DESTDIR=$stage/root cmake --install "$BUILD" >"$stage/log" 2>&1 || { tail -n 5 "$stage/log"; echo "house packages: cmake --install failed"; exit 1; }
mapfile -t brought < <(cd "$stage/root" && find . -type f -printf '%P\n' | sed "s,^${prefix#/}/,usr/," | sort)
DESTDIR=$stage/other cmake --install "$BUILD" --prefix /elsewhere >"$stage/refused" 2>&1
elsewhere=$?

# FILE:LINE:PATTERN of each place a file may go to: a package, nowhere, or debhelper by debian/rules' own mv.
{
    awk 'NF && $1 !~ /^#/ { print FILENAME ":" FNR ":" $1 }' debian/*.install debian/not-installed
    sed -n 's,^\tmv debian/tmp/\([^ ]*\) .*,\1,p' debian/rules | sed 's,^,debian/rules:1:,'
} >"$stage/places"

{
    [[ $elsewhere -ne 0 && ! -e $stage/other ]] && grep -q 'DCMAKE_INSTALL_PREFIX=/elsewhere' "$stage/refused" ||
        echo "packaging/install.cmake:1: another prefix than the units' is not refused before anything is installed, with what to do"
    declare -A taken=()
    while IFS=: read -r file line pattern; do
        found=
        for each in "${brought[@]}"; do
            # shellcheck disable=SC2053 # a pattern, as debhelper takes it
            if [[ $each == $pattern ]]; then found=1 taken[$each]=1; fi
        done
        [[ -n $found ]] || echo "$file:$line: nothing installed is called $pattern"
    done <"$stage/places"
    for each in "${brought[@]}"; do
        [[ -n ${taken[$each]:-} ]] || echo "debian/not-installed:1: $each goes to no package; name it in one of debian/*.install, or here"
    done
} | verdict "${#brought[@]}"
