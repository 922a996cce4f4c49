#!/bin/bash
# each guard around libraft holds off its fault: shown with it, without it, and its tests fail when it is taken out
set -uo pipefail
source=tests/unit/raft/test_guard.c
binary=$MQ_BUILD/test_guard
[[ -x $binary ]] || { echo "no $binary: build it first"; exit 1; }
mapfile -t tests < <(sed -n 's/^ *RUN(\([A-Z0-9]*_[A-Za-z0-9_]*\));.*/\1/p' "$source")
guards=(PREV0 PREVOTE COMMIT REJECT STALE VOTERES BUSY NOOP SPLIT CONFIRM)
failed=0 shown=0

for guard in "${guards[@]}"; do
    mine=()
    for test in "${tests[@]}"; do [[ $test != "$guard"_* ]] || mine+=("$test"); done
    if [[ ${#mine[@]} -eq 0 ]]; then
        echo "$guard: NO TEST"
        failed=$((failed + 1))
        continue
    fi
    for test in "${mine[@]}"; do
        if ! said=$(timeout 120 "$binary" "$test" 2>&1); then
            printf '%s\n' "$said" | tail -n 5
            echo "$guard: $test FAILS with the guard on"
            failed=$((failed + 1))
        elif (MQ_GUARDS_OFF=$guard timeout 120 "$binary" "$test"; exit $?) >/dev/null 2>&1; then
            echo "$guard: $test passes although the guard is off"
            failed=$((failed + 1))
        else
            shown=$((shown + 1))
            echo "$guard: ${test#*_}" | tr _ ' '
            sed -n 's/^  seen: /    without it: /p' <<<"$said"
        fi
    done
done
echo "chaos, all guards on, seed $MQ_SEED:"
timeout 300 "$MQ_BUILD/test_engine_chaos" || failed=$((failed + 1))
echo "$shown tests of ${#guards[@]} guards pass, and fail without their guard; $failed failures"
[[ $failed -eq 0 ]]
