#!/bin/bash
# five processes, two minutes at >= 500 acknowledged writes a second, >= 15 kill -9: every answer agrees with what is there
set -uo pipefail
tests/cluster/ledger.sh "$MQ_BUILD" 120 14 2 500 "$MQ_TMP" || { echo "the ledger does not hold"; exit 1; }
read -r killed leaders alls <"$MQ_TMP/killed"
unknown=$(sed -n 's/.*unknown \([0-9]*\): .*/\1/p' "$MQ_TMP/ledger.out")
resolved=$(sed -n 's/.*resolved by a retry \([0-9]*\) .*/\1/p' "$MQ_TMP/ledger.out")
rate=$(sed -n 's/^acknowledged  *[0-9]*  *\([0-9]*\)\/s.*/\1/p' "$MQ_TMP/ledger.out")
gap=$(sed -n 's/.*longest gap \([0-9.]*\) s.*/\1/p' "$MQ_TMP/ledger.out")
ok=1
[[ $killed -ge 15 && $leaders -ge 5 && $alls -ge 2 ]] || { echo "too few kills: $killed, $leaders leaders, $alls times all"; ok=''; }
[[ $unknown -gt 0 && $resolved -gt 0 ]] || { echo "no outcome was unknown: nothing was shown about them"; ok=''; }
echo "$rate acknowledged writes a second over two minutes with $killed kill -9 ($leaders leaders, $alls times all five; longest gap $gap s): all there once, sums equal, nothing refused there, $unknown + $resolved unknown and resolved, digests equal"
[[ -n $ok ]]
