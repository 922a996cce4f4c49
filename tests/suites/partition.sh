#!/bin/bash
# partition: links between real processes are cut, silenced, made one-way and slowed; the majority serves on, the minority says that it cannot,
# nothing acknowledged is lost, and all copies are equal after healing.
# seconds-max: 240
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_GCC:-build/gcc}/bin
TOOLS=${MQ_BUILD_GCC:-build/gcc}
source tests/lib/cluster.sh
source tests/lib/suite.sh
suite_begin partition cluster_cleanup

cluster_init "$MQ_TMP" three || exit 1
cluster_links "$TOOLS/linkproxy" "$MQ_TMP" || exit 1
# around NODE VERB: all links from and to it
around() {
    local other
    for other in $CLUSTER_NODES; do
        [[ $other == "$1" ]] || cluster_link "$1-$other $2" "$other-$1 $2"
    done
}

# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check the_cluster_is_whole_over_its_links cluster_wait 30
check a_user_is_there cluster_user alice mail

set_at() { cluster_ctl dict set prefs "$1" "$2" --user alice --node "$3" --timeout 8s; }
get_at() { [[ $(cluster_ctl dict get prefs "$1" --user alice --node "$2" --timeout 8s) == "$3" ]]; }
others() { local n; for n in $CLUSTER_NODES; do [[ $n == "$1" ]] || echo "$n"; done; }
no_quorum_here() { cluster_ctl status --node "$1" --timeout 8s >"$MQ_TMP/st" 2>&1; cat "$MQ_TMP/st"; grep -qi 'no quorum' "$MQ_TMP/st"; }
refuses_or_unknown() { ! cluster_ctl dict set prefs lost x --user alice --node "$1" --timeout 3s; }
no_stale_read() { ! cluster_ctl dict get prefs "$2" --user alice --node "$1" --timeout 3s; }

scenario() { # NAME VERB: what is done to the links of the leader
    local name=$1 verb=$2 leader rest
    leader=$(cluster_leader mail) || { failed "$name: nobody leads"; return; }
    mapfile -t rest < <(others "$leader")
    around "$leader" "$verb"
    check "${name}_the_majority_serves_on" set_at "$name" one "${rest[0]}"
    check "${name}_and_reads_its_writes_from_the_other_node" get_at "$name" "${rest[1]}" one
    check "${name}_the_old_leader_takes_no_write" refuses_or_unknown "$leader"
    check "${name}_and_answers_no_old_value_as_current" no_stale_read "$leader" "$name"
    check "${name}_its_view_says_that_it_has_no_quorum" no_quorum_here "$leader"
    cluster_link '* heal'
    check "${name}_all_is_whole_after_healing" cluster_wait 30
    check "${name}_the_old_leader_has_what_it_missed" get_at "$name" "$leader" one
}
scenario cut cut
scenario silent silent

# ---- one way only: the leader is heard and hears nothing ----
leader=$(cluster_leader mail)
mapfile -t rest < <(others "$leader")
for other in "${rest[@]}"; do cluster_link "$other-$leader forward-silent" "$leader-$other backward-silent"; done
check one_way_somebody_serves set_at one_way one "${rest[0]}"
check one_way_reads_are_right get_at one_way "${rest[1]}" one
cluster_link '* heal'
check one_way_all_is_whole_after_healing cluster_wait 30

# ---- slow ----
cluster_link '* delay 30'
check with_30_ms_each_way_writes_are_applied set_at slow one "${rest[0]}"
check and_read get_at slow "${rest[1]}" one
cluster_link '* heal'

# ---- flapping ----
for i in {1..8}; do
    around "${rest[0]}" cut
    sleep 0.3
    cluster_link '* heal'
    sleep 0.5
done
check a_flapping_node_leaves_a_whole_cluster cluster_wait 30
check and_all_copies_are_equal cluster_ctl verify --deep
