#!/bin/bash
# a leader killed with kill -9 is replaced within a tenth of a second (20 runs); 1,000 simulated seeds with false beliefs, none violated
#
#   early.sh [RUNS] [SEEDS]
set -uo pipefail
runs=${1:-20} seeds=${2:-1000}
export CLUSTER_BIN=$MQ_BUILD/bin
. tests/lib/cluster.sh
writer=''
trap 'kill -CONT $(cat "$CLUSTER_DIR"/*/pid) 2>/dev/null; [[ -z $writer ]] || kill "$writer" 2>/dev/null; cluster_cleanup' EXIT

of_writer() { tr ' ' '\n' <"$MQ_TMP/writer.out" | sed -n "s/^$1=//p" | head -n 1; }

# The leader of mail-beijing killed (or, $2, frozen) under a writer of each millisecond; the longest gap between two answers
# goes to $GAP.
lose_leader() {
    local old new='' tries what=$2
    cluster_wait 60 || return 1
    "$MQ_BUILD/writer" --nodes "$(cluster_address $CLUSTER_NODES)" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" \
        --user anna --rate 1000 >"$MQ_TMP/writer.out" 2>"$MQ_TMP/writer.err" &
    writer=$!
    sleep 1.5
    old=$(cluster_leader mail-beijing) || return 1
    if [[ $what == frozen ]]; then kill -STOP "$(cluster_pid "$old")"; else cluster_kill "$old"; fi
    for tries in {1..100}; do
        new=$(cluster_leader mail-beijing) && [[ $new != "$old" ]] && break
        sleep 0.1
    done
    sleep 1
    if [[ $what == frozen ]]; then kill -CONT "$(cluster_pid "$old")"; else cluster_start "$old"; fi
    kill -TERM "$writer"
    wait "$writer" || { cat "$MQ_TMP/writer.err" >&2; return 1; }
    writer=''
    GAP=$(of_writer gap_ms)
    printf 'run %d: %s %s, %s leads, longest gap %s ms, acknowledged %s, refused %s, unknown %s\n' "$1" "$old" "$what" "$new" "$GAP" \
        "$(of_writer acknowledged)" "$(of_writer refused)" "$(of_writer unknown)"
    [[ $new != "$old" ]]
}

# $1 runs, killed or frozen ($2); their gaps, sorted, to the file $3.
measure() {
    local i
    : >"$3"
    for ((i = 1; i <= $1; i++)); do
        lose_leader "$i" "$2" || { echo "run $i failed"; return 1; }
        echo "$GAP" >>"$3"
    done
    sort -n -o "$3" "$3"
}
median() { awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }' "$1"; }

cluster_init "$MQ_TMP/c" five || exit 1
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
cluster_wait 60 home && cluster_user anna mail-beijing || exit 1
measure "$runs" killed "$MQ_TMP/early" && measure 3 frozen "$MQ_TMP/frozen" || exit 1
early_median=$(median "$MQ_TMP/early") early_worst=$(tail -n 1 "$MQ_TMP/early")

echo "the same by timers alone ([raft] early_campaign = no):"
cluster_wait 60 || exit 1
# shellcheck disable=SC2086
cluster_stop $CLUSTER_NODES
cluster_set all raft 'early_campaign = no'
# shellcheck disable=SC2086
cluster_start $CLUSTER_NODES
cluster_wait 60 && measure 5 killed "$MQ_TMP/timers" || exit 1
timers_median=$(median "$MQ_TMP/timers") frozen_median=$(median "$MQ_TMP/frozen")
cluster_cleanup

"$MQ_BUILD/sim" --count "$seeds" --seconds 8 --false-beliefs --jobs "$(nproc)" --from $((MQ_SEED % 1000000)) | tee "$MQ_TMP/sim" | grep -v '^    '
code=${PIPESTATUS[0]}
number() { grep -oE "$1 [0-9]+" "$MQ_TMP/sim" | tail -n 1 | tr -dc 0-9; }
"$MQ_BUILD/sim" --minutes 2 --false-beliefs --plant belief-is-a-vote --jobs "$(nproc)" --from $((MQ_SEED % 1000000)) >"$MQ_TMP/plant"
plant=$?
echo "planted: a node believed gone counts as having granted its vote: $([[ $plant -eq 0 ]] && echo found || echo MISSED)"
echo "leader killed with kill -9, $runs runs: longest gap between two answers $early_median ms median, $early_worst ms worst (by timers alone $timers_median ms; frozen instead of killed $frozen_median ms); $(number worlds) simulated seeds with $(number 'of which false') false beliefs: $(number violations) violations; a wrong quorum is $([[ $plant -eq 0 ]] && echo found || echo MISSED)"
[[ $code -eq 0 && $plant -eq 0 ]] && awk -v m="$early_median" 'BEGIN { exit !(m < 100) }'
