#!/bin/bash
# test.sh [quick]: everything that must hold before a change is done.
#
#   ./test.sh         packages; gcc, clang and gcc with sanitizers, a warning being an error; unit tests with all
#                     three; house rules; then every suite in tests/suites. Under 30 minutes.
#   ./test.sh quick   packages; sanitizers only; unit tests, house rules and the suites marked quick.
#
# A suite is an executable tests/suites/NAME.sh. It starts in the top folder, finds the builds in $MQ_BUILD_GCC,
# $MQ_BUILD_CLANG and $MQ_BUILD_ASAN (quick: all three are the build with sanitizers), takes its chance from
# $MQ_SEED, keeps to a temporary directory $MQ_TMP (a fresh one, removed afterwards), and ends with a line
#
#       suite NAME: N passed, N failed, N skipped
#
# Comments at its top tell the runner more:   # seconds-max: N   killed after that (default 300)
#                                             # quick: yes       runs in quick too
# No line, a timeout, or an exit code that contradicts the line counts as one failure. MQ_SEED=N repeats a run;
# what everything printed stays in build/test-logs. The last line is `N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "$0")" || exit 2
export LC_ALL=C

TOTAL_SECONDS_MAX=1740
STARTED=$SECONDS
LOGS=$PWD/build/test-logs
passed=0 failed=0 skipped=0

case ${1:-full} in
    quick) QUICK=1 PRESETS=(asan) PACKAGES=test ;;
    full) QUICK='' PRESETS=(gcc clang asan) PACKAGES=all ;;
    *) echo "unknown argument '$1'. Usage: ./test.sh [quick]" >&2; exit 2 ;;
esac
[[ $# -le 1 ]] || { echo "Usage: ./test.sh [quick]" >&2; exit 2; }

heading() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - STARTED)); }
count() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }
seconds_left() { echo $((TOTAL_SECONDS_MAX - (SECONDS - STARTED))); }

finish() {
    heading "in all"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [[ $failed -eq 0 && $passed -gt 0 ]]
    exit
}

# step NAME COMMAND...: what is not a test and yet must work (packages, a build).
step() {
    local name=$1 log=$LOGS/$1.log
    shift
    if timeout -k 10 "$(seconds_left)" "$@" >"$log" 2>&1; then
        echo "$name: ok"
        return 0
    fi
    grep -E '(error|warning):|CMake Error|^install-deps' "$log" | head -n 20
    tail -n 15 "$log"
    echo "$name: FAILED, see $log"
    count 0 1 0
    return 1
}

build() {
    step "configure-$1" cmake --preset "$1" && step "build-$1" cmake --build --preset "$1"
}

# run_ctest PRESET LABEL: counts from the report that ctest writes.
run_ctest() {
    local report=$LOGS/$1-$2.xml log=$LOGS/$1-$2.log total bad off
    rm -f "$report"
    timeout -k 10 "$(seconds_left)" ctest --test-dir "build/$1" -L "^$2\$" -j 2 --output-on-failure \
        --output-junit "$report" --no-tests=ignore >"$log" 2>&1
    if [[ ! -f $report ]]; then
        tail -n 20 "$log"
        echo "$2 tests, $1: FAILED, ctest made no report"
        count 0 1 0
        return
    fi
    total=$(grep -om1 'tests="[0-9]*"' "$report" | tr -dc 0-9)
    bad=$(grep -om1 'failures="[0-9]*"' "$report" | tr -dc 0-9)
    off=$(($(grep -om1 'skipped="[0-9]*"' "$report" | tr -dc 0-9) + $(grep -om1 'disabled="[0-9]*"' "$report" | tr -dc 0-9)))
    [[ $bad -eq 0 ]] || grep -vE '^ *[0-9]+/[0-9]+ Test.*Passed|^ *Start ' "$log" | head -n 200
    grep -E '\*\*\*Skipped' "$log" || true
    echo "$2 tests, $1: $((total - bad - off)) passed, $bad failed, $off skipped"
    count $((total - bad - off)) "$bad" "$off"
}

run_suite() {
    local file=$1 name log seconds code line now
    name=$(basename "$file" .sh)
    log=$LOGS/suite-$name.log
    seconds=$(sed -n '1,15s/^# seconds-max: *\([0-9]*\).*/\1/p' "$file" | head -n 1)
    seconds=${seconds:-300}
    if [[ $(seconds_left) -lt 20 ]]; then
        echo "suite $name: FAILED, no time left for it"
        count 0 1 0
        return
    fi
    [[ $seconds -le $(seconds_left) ]] || seconds=$(seconds_left)
    now=$SECONDS
    MQ_TMP=$(mktemp -d)
    export MQ_TMP
    timeout -k 10 "$seconds" "$file" >"$log" 2>&1 </dev/null
    code=$?
    rm -rf "$MQ_TMP"
    line=$(grep -E "^suite $name: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped\$" "$log" | tail -n 1)
    read -r p f s < <(tr -c '0-9\n' ' ' <<<"${line#suite "$name"}")
    if [[ -z $line ]]; then
        tail -n 60 "$log"
        echo "suite $name: FAILED, exit code $code (124 is a timeout of $seconds s) and no closing line, see $log"
        count 0 1 0
    elif [[ $f -gt 0 || $code -ne 0 ]]; then
        grep -A 12 '^FAILED' "$log" | head -n 100
        tail -n 15 "$log"
        [[ $f -gt 0 ]] || { f=1; echo "suite $name: exit code $code though its line names no failure"; }
        echo "$line ($((SECONDS - now)) s), see $log"
        count "$p" "$f" "$s"
    else
        grep -iE '^(seed|skip)' "$log" | head -n 20
        echo "$line ($((SECONDS - now)) s)"
        count "$p" "$f" "$s"
    fi
}

mkdir -p "$LOGS"
MQ_SEED=${MQ_SEED:-$(date +%s%N)}
export MQ_SEED UBSAN_OPTIONS=print_stacktrace=1 MQ_FORMAT_STRICT=1
echo "seed $MQ_SEED (MQ_SEED=$MQ_SEED ./test.sh repeats its choices)"

heading "packages"
step packages tools/install-deps.sh "$PACKAGES" || finish

heading "builds"
built=()
for preset in "${PRESETS[@]}"; do
    if build "$preset"; then built+=("$preset"); fi
done
[[ ${#built[@]} -gt 0 ]] || finish

heading "unit tests"
for preset in "${built[@]}"; do run_ctest "$preset" unit; done

heading "house rules"
run_ctest "${built[0]}" house

export MQ_QUICK=$QUICK
export MQ_BUILD_GCC=$PWD/build/gcc MQ_BUILD_CLANG=$PWD/build/clang MQ_BUILD_ASAN=$PWD/build/asan
if [[ -n $QUICK ]]; then MQ_BUILD_GCC=$MQ_BUILD_ASAN MQ_BUILD_CLANG=$MQ_BUILD_ASAN; fi
heading "suites"
for suite in tests/suites/*.sh; do
    [[ -x $suite ]] || continue
    if [[ -n $QUICK ]] && ! sed -n 1,15p "$suite" | grep -q '^# quick: yes'; then continue; fi
    run_suite "$suite"
done
finish
