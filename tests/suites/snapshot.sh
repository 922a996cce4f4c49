#!/bin/bash
# snapshot: a file with every shard's state is taken while writes go on, checked, found out when damaged, and becomes stores again.
# seconds-max: 120
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_GCC:-build/gcc}/bin
TOOLS=${MQ_BUILD_GCC:-build/gcc}
source tests/lib/cluster.sh
source tests/lib/suite.sh
WRITER=''

clean_up() {
    [[ -z $WRITER ]] || kill "$WRITER" 2>/dev/null
    cluster_cleanup
}
suite_begin snapshot clean_up

json() { cluster_ctl -o json "$@"; }

cluster_init "$MQ_TMP" five || exit 1
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
# shellcheck disable=SC2086
writer=("$TOOLS/writer" --nodes "$(cluster_address $CLUSTER_NODES)" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" --user anna)
check the_cluster_comes_up cluster_wait 60
check a_user_is_assigned cluster_user anna mail-beijing
check entries_are_written "${writer[@]}" --fill 5000

"${writer[@]}" --rate 200 >"$MQ_TMP/writer.out" 2>&1 &
WRITER=$!
sleep 0.5
before=$(json verify | jq '[.data.rows[] | select(.index != null)] | group_by(.shard) | map({(.[0].shard): (map(.index | tonumber) | max)}) | add')
save() { json snapshot save "$MQ_TMP/all.mqsnap" --timeout 60s >"$MQ_TMP/saved"; }
check it_is_saved_while_writes_go_on save
kill -TERM "$WRITER" && wait "$WRITER"
WRITER=''

has_all() {
    jq -r '.data.shards[] | "\(.shard) \(.index)"' "$MQ_TMP/saved" && echo "before: $before"
    [[ $(jq '.data.shards | length' "$MQ_TMP/saved") -eq 3 ]] &&
        jq -e --argjson b "$before" '[.data.shards[] | $b[.shard] > 0 and (.index | tonumber) >= $b[.shard]] | all' "$MQ_TMP/saved"
}
check every_shard_is_in_it_at_least_as_new_as_before has_all
same() {
    cluster_ctl snapshot inspect "$MQ_TMP/all.mqsnap" || return 1
    json snapshot inspect "$MQ_TMP/all.mqsnap" >"$MQ_TMP/inspected"
    diff <(jq -S '.data.shards' "$MQ_TMP/saved") <(jq -S '.data.shards' "$MQ_TMP/inspected") &&
        [[ $(jq -r .data.cluster_id "$MQ_TMP/inspected") == "$(json members | jq -r .cluster.id)" ]]
}
check inspect_says_what_was_saved_and_needs_no_node same
check nothing_is_overwritten ends 20 cluster_ctl snapshot save "$MQ_TMP/all.mqsnap"

"$CLUSTER_BIN/clusterctl" cert issue operator reader --ca "$CLUSTER_DIR/ca" --role viewer --out "$MQ_TMP/reader" >/dev/null 2>&1
sed -e "s|^certificate.*|certificate = $MQ_TMP/reader/reader.crt|" -e "s|^key.*|key = $MQ_TMP/reader/reader.key|" "$CLUSTER_CONF" >"$MQ_TMP/reader.conf"
viewer() { # told at once, with the time of 10 minutes that a save has
    local began=$SECONDS
    ends 31 "$CLUSTER_BIN/clusterctl" --config "$MQ_TMP/reader.conf" snapshot save "$MQ_TMP/denied" 2>"$MQ_TMP/said" || return 1
    cat "$MQ_TMP/said"
    ((SECONDS - began < 10)) && grep -q 'this certificate may take no copy' "$MQ_TMP/said" && [[ ! -e $MQ_TMP/denied && ! -e $MQ_TMP/denied.part ]]
}
check a_viewer_is_denied_at_once viewer
too_old() { # time that no checkpoint is new enough in: the reason is named once, whole
    local i
    for i in {1..5}; do
        cluster_ctl snapshot save "$MQ_TMP/hasty" --timeout 300ms >/dev/null 2>"$MQ_TMP/said" && rm -f "$MQ_TMP/hasty" && continue
        cat "$MQ_TMP/said"
        [[ ! -e $MQ_TMP/hasty && ! -e $MQ_TMP/hasty.part ]] && return
    done
    echo 'each was saved in 300 ms'
}
check one_that_runs_out_of_time_leaves_nothing too_old

damaged() { # one bit in the middle
    local at byte
    at=$(($(stat -c %s "$MQ_TMP/all.mqsnap") / 2 + RANDOM))
    cp "$MQ_TMP/all.mqsnap" "$MQ_TMP/bad"
    byte=$(od -An -tu1 -j "$at" -N 1 "$MQ_TMP/bad")
    printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$MQ_TMP/bad" bs=1 seek="$at" count=1 conv=notrunc status=none
    ends 11 cluster_ctl snapshot inspect "$MQ_TMP/bad"
}
check a_changed_byte_is_found damaged
cut_off() { head -c -5000 "$MQ_TMP/all.mqsnap" >"$MQ_TMP/bad" && ends 11 cluster_ctl snapshot inspect "$MQ_TMP/bad"; }
check a_cut_off_file_is_found cut_off
installs() { mkdir "$MQ_TMP/stores" && "$TOOLS/snapshot_install" "$MQ_TMP/all.mqsnap" "$MQ_TMP/stores"; }
check its_shards_become_stores_with_the_same_digests installs
