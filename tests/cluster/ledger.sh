#!/bin/bash
# ledger.sh BUILD SECONDS EVENTS ALL LEAST DIR: five processes (2 + 2 + a witness) under tests/cluster/ledger, and kill -9.
#
# EVENTS kills, evenly spread: in turn the leader of one mail shard, the leader of the other, a follower; ALL of the events
# kill all five at once. Whatever was killed comes back half a second to a second and a half later. Then every node is brought back, the ledger is
# compared with what is there, and all copies are compared by digest, computed anew. Chance from MQ_SEED.
# Prints what it did; exit 0 only if everything held.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
export LC_ALL=C
[[ $# -eq 6 ]] || { sed -n '2,3s/^# *//p' "$0"; exit 2; }
BUILD=$1 SECONDS_LOAD=$2 EVENTS=$3 ALL=$4 LEAST=$5 DIR=$6
CLUSTER_BIN=$BUILD/bin
source tests/lib/cluster.sh
trap cluster_cleanup EXIT
RANDOM=$((${MQ_SEED:-1} % 32768))
fail() {
    echo "ledger: $*"
    [[ -z ${CLUSTER_DIR:-} ]] || tail -n 4 "$CLUSTER_DIR"/*/log
    exit 1
}

cluster_init "$DIR" five || fail "no cluster"
[[ -z ${LEDGER_RAFT:-} ]] || cluster_set all raft "$LEDGER_RAFT"
# shellcheck disable=SC2086
cluster_start $CLUSTER_NODES
cluster_wait 60 home || fail "the cluster does not come up"
for user in anna boris; do cluster_user "$user" mail-beijing || exit 1; done
for user in chen dong; do cluster_user "$user" mail-shanghai || exit 1; done

# shellcheck disable=SC2086
"$BUILD/ledger" --nodes "$(cluster_address $CLUSTER_NODES)" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" \
    --users anna,boris,chen,dong --seconds "$SECONDS_LOAD" --rate "${LEDGER_RATE:-1500}" --least "$LEAST" \
    --seed "$((${MQ_SEED:-1} % 1000000007))" --state "$DIR/state" >"$DIR/ledger.out" 2>&1 &
ledger=$!
trap 'kill -KILL $ledger 2>/dev/null; cluster_cleanup' EXIT

killed=0 leaders=0 alls=0
every=$(awk -v t="$SECONDS_LOAD" -v n="$EVENTS" 'BEGIN {printf "%.2f", (t - 2) / (n + 0.5)}')
started=$(date +%s%N)
wait_until() { # seconds since the start of the load
    local left
    left=$(awk -v at="$1" -v s="$started" -v n="$(date +%s%N)" 'BEGIN {d = at - (n - s) / 1e9; printf "%.2f", (d > 0 ? d : 0)}')
    sleep "$left"
}
pause() { sleep "$(awk -v r="$RANDOM" 'BEGIN {printf "%.2f", 0.5 + r / 32768}')"; }

for ((event = 1; event <= EVENTS; event++)); do
    wait_until "$(awk -v e="$every" -v n="$event" 'BEGIN {print e * n}')"
    kill -0 "$ledger" 2>/dev/null || break
    # the events that kill all lie evenly among the others
    if [[ $ALL -gt 0 && $((event * ALL / EVENTS)) -gt $(((event - 1) * ALL / EVENTS)) ]]; then
        # shellcheck disable=SC2086
        cluster_kill $CLUSTER_NODES
        killed=$((killed + 5)) alls=$((alls + 1))
        echo "event $event: all five"
        pause
        # shellcheck disable=SC2086
        cluster_start $CLUSTER_NODES
        continue
    fi
    case $((event % 3)) in
        0) victim='' ;;
        1) victim=$(cluster_leader mail-beijing) ;;
        2) victim=$(cluster_leader mail-shanghai) ;;
    esac
    what=follower
    if [[ -n $victim ]]; then
        leaders=$((leaders + 1)) what=leader
    else
        read -ra names <<<"$CLUSTER_NODES"
        victim=${names[RANDOM % 5]}
    fi
    cluster_kill "$victim"
    killed=$((killed + 1))
    echo "event $event: $victim ($what)"
    pause
    cluster_start "$victim"
done
wait "$ledger"
code=$?
cat "$DIR/ledger.out"
for node in $CLUSTER_NODES; do cluster_running "$node" || fail "$node ended by itself"; done
echo "killed -9: $killed processes, $leaders of them as leaders, all five at once $alls times"
[[ $code -eq 0 ]] || fail "the ledger does not agree (exit code $code)"
cluster_wait 60 || fail "the cluster is not whole again"
cluster_ctl verify --deep >"$DIR/verify.out" 2>&1
code=$?
cat "$DIR/verify.out"
[[ $code -eq 0 ]] || fail "verify --deep: exit code $code"
# shellcheck disable=SC2086
cluster_stop $CLUSTER_NODES || fail "a node does not stop"
if grep -lE 'AddressSanitizer|runtime error|must\(' "$CLUSTER_DIR"/*/log; then fail "a log holds a crash"; fi
grep -q 'unknown 0:' "$DIR/ledger.out" && grep -q 'resolved by a retry 0 ' "$DIR/ledger.out" && echo "note: no outcome was unknown in this run"
echo "$killed $leaders $alls" >"$DIR/killed"
exit 0
