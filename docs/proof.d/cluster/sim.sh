#!/bin/bash
# Ten minutes of simulated clusters on both cores without a violation; seven planted faults found; one seed, one trace.
set -uo pipefail
jobs=$(nproc)
from=$((MQ_SEED % 1000000))
minutes=${1:-10}
"$MQ_BUILD/sim" --minutes "$minutes" --jobs "$jobs" --from "$from" | tee "$MQ_TMP/sim" | grep -v '^    '
code=${PIPESTATUS[0]}
number() { grep -oE "$1 [0-9]+" "$MQ_TMP/sim" | tail -n 1 | tr -dc 0-9; }
crashes=$(number crashes) elections=$(number elections) installs=$(number installs) violations=$(number violations)

echo "each planted fault, two minutes at most:"
"$MQ_BUILD/sim" --plants --jobs "$jobs" --from "$from"
plants=$?

same=0
for i in 0 1 2 3 4; do
    one=$("$MQ_BUILD/sim" --seed $((from + i)) --seconds 10 | grep -o 'trace .*')
    two=$("$MQ_BUILD/sim" --seed $((from + i)) --seconds 10 | grep -o 'trace .*')
    echo "seed $((from + i)): $one | $two"
    [[ -n $one && $one == "$two" ]] && same=$((same + 1))
done
echo "$minutes min: $crashes crashes, $elections elections, $installs installs, $violations violations; planted faults $([[ $plants -eq 0 ]] && echo "all found" || echo "MISSED"); $same of 5 seeds gave one trace"
[[ $code -eq 0 && $plants -eq 0 && $same -eq 5 && $violations -eq 0 ]] || exit 1
scale=$((minutes < 10 ? minutes : 10))
[[ $crashes -ge $((100 * scale)) && $elections -ge $((100 * scale)) && $installs -ge $((20 * scale)) ]]
