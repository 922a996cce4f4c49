#!/bin/bash
# a node misses 1,000,000 records the log no longer has: one snapshot, its connection cut half-way and resumed, < 64 MiB, writes go on
#
# catchup.sh [RECORDS]. Five nodes. sh2 is stopped; a million records of 200 bytes are written; sh2 comes back while a
# writer of its own goes on. Cutting a connection of another process needs root and a kernel that can (ss -K): else exit 77.
set -uo pipefail
source tests/lib/cluster.sh
RECORDS=${1:-1000000}
CLUSTER_BIN=$MQ_BUILD/bin
VICTIM=sh2
MEMORY_KIB_MAX=65536
writer='' watch=''
cleanup() {
    [[ -z $writer ]] || kill -KILL "$writer" 2>/dev/null
    [[ -z $watch ]] || kill -KILL "$watch" 2>/dev/null
    cluster_cleanup
}
trap cleanup EXIT
fail() {
    tail -n 5 "$CLUSTER_DIR/$VICTIM/log"
    echo "catchup: $*"
    exit 1
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
run_writer() { # in a subshell: its pid is the writer's
    exec "$MQ_BUILD/writer" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" --user anna "$@"
}

ss -K dst 127.0.0.1 dport = 1 >/dev/null 2>&1 || { echo "ss -K does not work here (root and CONFIG_INET_DIAG_DESTROY are needed)"; exit 77; }
cluster_init "$MQ_TMP" five || exit 1
cluster_set all raft 'log_retain = 64MB' # a million records are some 250 MB of log
# shellcheck disable=SC2086
cluster_start $CLUSTER_NODES
cluster_wait 60 home || fail "the cluster does not come up"
cluster_user anna mail-beijing || exit 1
others=${CLUSTER_NODES//$VICTIM/}
# shellcheck disable=SC2086
addresses=$(cluster_address $others)
cluster_stop "$VICTIM" || fail "$VICTIM does not stop"

echo "$VICTIM is stopped; $RECORDS records of 200 bytes are written, 100 a transaction"
(run_writer --nodes "$addresses" --links 4 --name missed --fill "$RECORDS" --ops 100 --value 200 --depth 8) || fail "the records were not written"
size=$(stat -c %s "$CLUSTER_DIR"/bj1/data/shards/*/*/data.mdb "$CLUSTER_DIR"/bj1/data/shards/*/data.mdb 2>/dev/null | sort -n | tail -n 1)
echo "the store of the shard has $((size / 1048576)) MiB"

run_writer --nodes "$addresses" --links 2 --name meanwhile --rate 800 --value 64 >"$MQ_TMP/writer.out" &
writer=$!
sleep 7 # a checkpoint of all that is due by now
lines=$(wc -l <"$CLUSTER_DIR/$VICTIM/log")
cluster_start "$VICTIM"
started=$(now_ms)
pids=()
for node in $CLUSTER_NODES; do pids+=("$(cluster_pid "$node")"); done
"$MQ_BUILD/memwatch" --interval 50 "${pids[@]}" >"$MQ_TMP/memory.out" &
watch=$!

# The connection that has brought the victim the most: when half the store is through, it is cut.
ports=$(for node in bj1 bj2 sh1; do cluster_address "$node"; done | sed 's/.*://' | tr '\n' ' ')
connections() { # received local remote
    ss -Htni state established 2>/dev/null | awk -v ports=" $ports" '
        /^[0-9]/ {local = $3; remote = $4; next}
        {p = remote; sub(/.*:/, "", p)
         if (index(ports, " " p " ") && match($0, /bytes_received:[0-9]+/))
            print substr($0, RSTART + 15, RLENGTH - 15), local, remote}' | sort -rn | head -n 1
}
cut_at='' seen=0 end=$((SECONDS + 120))
installed() { tail -n +$((lines + 1)) "$CLUSTER_DIR/$VICTIM/log" | grep -c 'event=shard.installed .*name=mail-beijing'; }
while [[ $SECONDS -lt $end ]]; do
    read -r bytes local remote < <(connections)
    if [[ -z $cut_at && ${bytes:-0} -gt $((size / 2)) ]]; then
        ss -K src "${local%:*}" sport = "${local##*:}" dst "${remote%:*}" dport = "${remote##*:}" >/dev/null 2>&1
        cut_at=$bytes
        echo "cut after $((bytes / 1048576)) MiB, $(($(now_ms) - started)) ms after the start of $VICTIM"
    elif [[ -n $cut_at && ${bytes:-0} -gt $seen ]]; then
        seen=$bytes
    fi
    [[ $(installed) -eq 0 ]] || break
done
took=$(($(now_ms) - started))
[[ -n $cut_at ]] || fail "the copy was over before it was cut ($took ms)"
[[ $(installed) -gt 0 ]] || fail "no snapshot was installed"
cluster_wait 60 || { cluster_ctl status; cluster_ctl lag; fail "$VICTIM does not catch up"; }
caught=$(($(now_ms) - started))
sleep 2
kill -TERM "$writer" "$watch"
wait "$writer"; writer=''
wait "$watch"; watch=''
cat "$MQ_TMP/writer.out"

begun=$(tail -n +$((lines + 1)) "$CLUSTER_DIR/$VICTIM/log" | grep -c 'event=shard.installing .*name=mail-beijing')
serving=$(cat "$CLUSTER_DIR"/*/log | grep -c 'event=copy.serving shard=1 ')
echo "snapshots begun $begun, installed $(installed); connections that served it $serving; the second one brought at least $((seen / 1048576)) MiB"
echo "installed after $took ms, caught up after $caught ms"
most=0
for node in $CLUSTER_NODES; do
    read -r kib < <(sed -n "s/^pid=$(cluster_pid "$node") .*most_kib=\([0-9]*\).*/\1/p" "$MQ_TMP/memory.out")
    echo "  $node: at most $((kib / 1024)) MiB of anonymous memory"
    [[ $kib -le $most ]] || most=$kib
done
value() { sed -n "s/.*[ ]$1=\([0-9]*\).*/\1/p" "$MQ_TMP/writer.out"; }
cluster_ctl verify --deep --timeout 5m >"$MQ_TMP/verify.out" 2>&1
verified=$?
grep -E 'mail-beijing|OK|RED|differ' "$MQ_TMP/verify.out"

ok=1
check() { # CONDITION TEXT
    if ! [[ $1 -eq 1 ]]; then echo "does not hold: $2"; ok=''; fi
}
check $((begun == 1 && $(installed) == 1)) "exactly one snapshot"
check $((serving == 2)) "its connection was cut once and resumed"
check $((seen < size - cut_at / 2)) "the second connection went on where the first ended"
check $((most < MEMORY_KIB_MAX)) "anonymous memory under 64 MiB"
check $(($(value slowest_second) >= 500)) "500 writes in each second"
check $(($(value gap_ms) < 1000)) "no gap over a second"
check $((verified == 0)) "equal digests"
echo "$RECORDS records missed: one snapshot of $((size / 1048576)) MiB, cut after $((cut_at / 1048576)) and resumed, installed in $took ms and caught up in $caught ms; at most $((most / 1024)) MiB anonymous; meanwhile at least $(value slowest_second) writes in each second, longest gap $(value gap_ms) ms; digests equal"
[[ -n $ok ]]
