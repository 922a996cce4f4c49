#!/bin/bash
# proof.sh AREA/NAME [ARGUMENTS]: runs one proof of docs/proof.md. Without arguments it lists those that exist.
#
# A proof is an executable docs/proof.d/AREA/NAME.sh; the first comment line says what it proves. It starts in the
# top folder with a release build in $MQ_BUILD and the builds of test.sh beside it, a fresh temporary directory
# $MQ_TMP, and its chance in $MQ_SEED. It prints what it measured; the last line it prints is its verdict in
# words. This script ends with one line:   proof AREA/NAME: PASS (SECONDS s): VERDICT      or FAIL, and that is
# the exit code too. Exit 77 is a SKIP: this machine lacks what the proof needs, and the line says what.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
export LC_ALL=C

list() {
    local file name
    for file in docs/proof.d/*/*.sh; do
        [[ -x $file ]] || continue
        name=${file#docs/proof.d/}
        printf '%-28s %s\n' "${name%.sh}" "$(sed -n '2s/^# *//p' "$file")"
    done
}

if [[ $# -eq 0 || $1 == -h || $1 == --help ]]; then
    echo "Usage: docs/proof.sh AREA/NAME"
    list
    exit 0
fi
name=${1%.sh}
shift
file=docs/proof.d/$name.sh
if [[ ! $name =~ ^[a-z0-9-]+/[a-z0-9-]+$ || ! -x $file ]]; then
    echo "proof.sh: there is no proof '$name'; there are:" >&2
    list >&2
    exit 2
fi

started=$SECONDS
MQ_TMP=$(mktemp -d)
MQ_SEED=${MQ_SEED:-$(date +%s%N)}
export MQ_TMP MQ_SEED MQ_BUILD=$PWD/build/release
export MQ_BUILD_GCC=$PWD/build/gcc MQ_BUILD_CLANG=$PWD/build/clang MQ_BUILD_ASAN=$PWD/build/asan
trap 'rm -rf "$MQ_TMP"' EXIT
echo "proof $name, seed $MQ_SEED"

verdict() { echo "proof $name: $1 ($((SECONDS - started)) s): $2"; }

if ! { tools/install-deps.sh all && cmake --preset release && cmake --build --preset release; } \
    >"$MQ_TMP/build.log" 2>&1; then
    tail -n 30 "$MQ_TMP/build.log"
    verdict FAIL "the release build failed"
    exit 1
fi
"$file" "$@" 2>&1 | tee "$MQ_TMP/proof.log"
code=${PIPESTATUS[0]}
last=$(grep -v '^[[:space:]]*$' "$MQ_TMP/proof.log" | tail -n 1)
case $code in
    0) verdict PASS "$last" ;;
    77) verdict SKIP "$last" ;;
    *) verdict FAIL "${last:-nothing printed}, exit code $code" ;;
esac
exit "$code"
