#!/bin/bash
# sim: whole clusters on one thread from one seed; one seed is one run; planted faults are found.
# seconds-max: 420
# quick: yes
#
# A violation prints its seed: `sim --seed N --nodes K --verbose` of the same build repeats it.
set -uo pipefail
passed=0 failed=0
judge() { # NAME: counts the exit code before it
    if [[ $? -eq 0 ]]; then passed=$((passed + 1)) && echo "ok $1"; else failed=$((failed + 1)) && echo "FAILED $1"; fi
}
from=$((MQ_SEED % 1000000))
echo "seed $MQ_SEED, worlds from $from"

same_trace() {
    local seed=$1 one two
    one=$("$MQ_BUILD_ASAN/sim" --seed "$seed" --seconds 8 | tee "$MQ_TMP/one" | grep -o 'trace .*') || { cat "$MQ_TMP/one"; return 1; }
    two=$("$MQ_BUILD_ASAN/sim" --seed "$seed" --seconds 8 | grep -o 'trace .*')
    echo "seed $seed: $one, $two"
    [[ -n $one && $one == "$two" ]]
}
for i in 0 1 2 3; do
    same_trace $((from + i))
    judge "a seed gives one trace ($i)"
done

# Seeds that once found something (nodes:seed, and what it was in the history of raft/ and storage/).
known=(3:1067 5:224 5:34 5:36 5:38 5:12 5:5032 5:5064 5:5068 3:5087 5:5138 5:5148 5:5172 5:9004 3:9035 5:9070 5:1010808 3:861619 3:361603)
[[ -n $MQ_QUICK ]] && known=("${known[@]:0:3}")
for one in "${known[@]}"; do
    "$MQ_BUILD_GCC/sim" --seed "${one#*:}" --nodes "${one%:*}" --no-beliefs >"$MQ_TMP/known" 2>&1 || { tail -n 80 "$MQ_TMP/known"; false; }
    judge "seed ${one#*:} of ${one%:*} nodes stays found"
done

"$MQ_BUILD_ASAN/sim" --minutes "$([[ -n $MQ_QUICK ]] && echo 0.5 || echo 1)" --jobs 2 --from "$from" >"$MQ_TMP/asan" 2>&1
code=$?
tail -n 120 "$MQ_TMP/asan"
(exit $code)
judge "no violation, with sanitizers"

if [[ -z $MQ_QUICK ]]; then
    "$MQ_BUILD_GCC/sim" --minutes 1 --jobs 2 --from $((from + 500000)) >"$MQ_TMP/gcc" 2>&1
    code=$?
    tail -n 120 "$MQ_TMP/gcc"
    (exit $code)
    judge "no violation"
    "$MQ_BUILD_GCC/sim" --plants --jobs 2 --from "$from"
    judge "every planted fault is found"
fi
echo "suite sim: $passed passed, $failed failed, 0 skipped"
[[ $failed -eq 0 ]]
