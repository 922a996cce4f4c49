#!/bin/bash
# hostile: garbage, half frames, slow, too many and lying clients and peers never stop a node, and each is refused by name.
# seconds-max: 200
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_ASAN:-build/asan}/bin
HOSTILE=${MQ_BUILD_ASAN:-build/asan}/hostile
source tests/lib/cluster.sh
source tests/lib/suite.sh

suite_begin hostile cluster_cleanup

cluster_init "$MQ_TMP" three || exit 1
read -r first second third <<<"$CLUSTER_NODES"
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check the_cluster_is_whole cluster_wait 30
check a_user_is_there cluster_user alice mail
id=$(sed -n 's/^id = //p' "$CLUSTER_CONF")
address=$(cluster_address "$first")

hostile() { # MODE, then options that replace the operator's certificate
    local mode=$1
    shift
    ASAN_OPTIONS=detect_leaks=0 timeout 40 "$HOSTILE" --node "$address" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" --cluster "$id" \
        --mode "$mode" "$@"
}
serves() { timeout 10 "$CLUSTER_BIN/clusterctl" --config "$CLUSTER_CONF" --node "$first" dict set prefs key "$RANDOM" --user alice; }
anonymous_kb() { awk '/^RssAnon/ { print $2 }' "/proc/$(cluster_pid "$first")/status"; }

# The long ones side by side: each waits for a deadline of the node.
slow=(garbage http silent half-hello byte-a-second no-hello half-frame)
pids=()
for mode in "${slow[@]}"; do hostile "$mode" >"$MQ_TMP/$mode.out" 2>&1 & pids+=($!); done
check it_serves_meanwhile serves
for mode in request-first wrong-cluster second-hello giant-frame over-limit unknown-kind peer-frame malformed-header garbage-command \
    count-bomb later-level internal-command peer-alpn; do
    check "$mode" hostile "$mode"
    check "it_serves_after_$mode" serves
done
for i in "${!slow[@]}"; do
    check "${slow[$i]}" wait "${pids[$i]}"
    [[ $SUITE_FAILED -eq 0 ]] || cat "$MQ_TMP/${slow[$i]}.out"
done

# ---- peers that lie: a valid certificate of the wrong node, of another cluster, of another CA ----
peer() { hostile peer-hello --cert "$CLUSTER_DIR/$second/node.crt" --key "$CLUSTER_DIR/$second/node.key" "$@"; }
check a_peer_that_says_it_is_another_node peer --name "$third" --id 3
check a_peer_of_no_node_of_ours peer --name nobody --id 9
check a_peer_of_another_founding peer --name "$second" --id 2
check a_peer_that_is_the_node_itself peer --cert "$CLUSTER_DIR/$first/node.crt" --key "$CLUSTER_DIR/$first/node.key" --name "$first" --id 1
logged() { grep -c 'event=peer.refused message=MQ-PEER-REFUSED' "$CLUSTER_DIR/$first/log"; [[ $(grep -c 'event=peer.refused' "$CLUSTER_DIR/$first/log") -ge 4 ]]; }
check each_has_its_log_line logged
"$CLUSTER_BIN/clusterctl" cert ca init --out "$MQ_TMP/ca2" --name other >/dev/null 2>&1
"$CLUSTER_BIN/clusterctl" cert issue operator eve --role admin --ca "$MQ_TMP/ca2" --out "$MQ_TMP/eve" >/dev/null 2>&1
cert=$(find "$MQ_TMP/eve" -name '*.crt' ! -name 'ca.crt' | head -n 1)
other_ca() { [[ -n $cert ]] && ! "$CLUSTER_BIN/clusterctl" --config "$MQ_TMP/eve.conf" status; }
sed "s|^certificate = .*|certificate = $cert|; s|^key = .*|key = ${cert%.crt}.key|" "$CLUSTER_CONF" >"$MQ_TMP/eve.conf"
check a_certificate_of_another_CA other_ca
check it_serves_after_liars serves

# ---- too many, too slow ----
before=$(anonymous_kb)
hostile flood >"$MQ_TMP/flood.out" 2>&1 &
flood=$!
sleep 1
check it_serves_during_a_flood_of_silent_connections serves
keeps_peers() { cluster_wait 3; } # a flood lasts 6 s
check and_keeps_its_peers keeps_peers
wait "$flood"
check a_reader_that_does_not_read_is_not_read hostile slow-reader
check it_serves_after_it serves
bounded() { local kb; kb=$(anonymous_kb); echo "anonymous memory $before kB before, $kb kB after"; [[ $kb -lt $((before + 400000)) ]]; }
check memory_stays_bounded bounded

# ---- few descriptors ----
cluster_stop "$first"
CLUSTER_WRAP='prlimit --nofile=260:260' cluster_start "$first"
check it_starts_with_few_descriptors cluster_wait 30
hostile flood >"$MQ_TMP/flood.out" 2>&1 &
flood=$!
sleep 2
check with_few_descriptors_peers_are_kept_in_a_flood keeps_peers
wait "$flood"
check it_serves_with_few_descriptors serves
lost_nothing() { ! grep 'environment_lost' "$CLUSTER_DIR"/*/log; }
check with_few_descriptors_strangers_take_none_from_the_store lost_nothing
clean_log() { ! grep -E 'AddressSanitizer|runtime error|must failed' "$CLUSTER_DIR"/*/log; }
# shellcheck disable=SC2086
cluster_stop $CLUSTER_NODES
check no_sanitizer_had_anything_to_say clean_log
