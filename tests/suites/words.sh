#!/bin/bash
# words: real clusters lose nodes, sites, links and power, and `status` and `explain` say what happened by its name, what is survived, what to
# do, and end with the right code.
# seconds-max: 300
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_GCC:-build/gcc}/bin
TOOLS=${MQ_BUILD_GCC:-build/gcc}
source tests/lib/cluster.sh
source tests/lib/suite.sh
suite_begin words cluster_cleanup

cluster_init "$MQ_TMP" five || exit 1
cluster_set all raft 'segment_bytes = 4MB' 'log_retain = 3MB' # a witness that soon cuts what a site behind a cut link lacks
cluster_links "$TOOLS/linkproxy" "$MQ_TMP" || exit 1
# between A B VERB: both links of two nodes
between() { cluster_link "$1-$2 $3" "$2-$1 $3"; }

# says SECONDS CODE|CODE NODE,... COMMAND... -- PATTERN...: until that command, asked of those nodes, ends with CODE and says every pattern.
says() {
    local began=${EPOCHREALTIME/./} end=$((SECONDS + $1)) want="|$2|" node code pattern all command=() nodes=()
    for node in ${3//,/ }; do nodes+=(--node "$node"); done
    shift 3
    while [[ $1 != -- ]]; do command+=("$1"); shift; done
    shift
    while :; do
        cluster_ctl "${command[@]}" "${nodes[@]}" --timeout 5s >"$MQ_TMP/said" 2>&1
        code=$?
        all=yes
        for pattern in "$@"; do grep -qE -- "$pattern" <<<"$(tr '\n' ' ' <"$MQ_TMP/said" | tr -s ' ')" || all="no: $pattern"; done
        if [[ $want == *"|$code|"* && $all == yes ]]; then
            SUITE_NOTE="; right after $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
            return 0
        fi
        [[ $SECONDS -le $end ]] || break
        sleep 0.2
    done
    echo "ended with $code, wanted $want; said all: $all"
    cat "$MQ_TMP/said"
    return 1
}
# Nothing to do, but perhaps on this machine's disk.
calm() {
    local end=$((SECONDS + 20))
    while [[ $SECONDS -le $end ]]; do
        cluster_ctl status --node "$1" -o json >"$MQ_TMP/said" 2>&1
        ! jq -e '.source.consistency == "quorum" and .data.survives.text == "survives 1 site or any 2 nodes" and
            ([.messages[] | select(.id != "DISK_LOW" and .severity != "blue")] | length == 0)' "$MQ_TMP/said" >/dev/null || return 0
        sleep 0.2
    done
    cat "$MQ_TMP/said"
    return 1
}
whole() { cluster_wait 40 home && calm "$1"; }

# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check a_whole_cluster_is_calm whole sh1
check its_lag_will_never_reach_the_limit says 10 '0|10' sh1 lag --eta -- 'ETA>5.00s' 'mail-beijing bj. .*never'
check a_leader_is_explained says 10 '0|10' sh1 explain mail-shanghai -- 'leader sh. \(shanghai\) since ' 'wit1 NO keeps_state'
check as_json_every_candidate_has_its_conditions until_ 20 bash -c '
    "$1" --config "$2" explain mail-shanghai -o json | jq -e ".data.candidates | length == 5 and
        all(.conditions | length == 6) and ([.[] | select(.may_lead)] | length == 4)"' _ "$CLUSTER_BIN/clusterctl" "$CLUSTER_CONF"

check a_local_view_of_it_is_calm_too says 10 '0|10' sh1 status --local -- '^(OK|BLUE|YELLOW) ' 'LOCAL VIEW sh1, not confirmed \(not asked\)' \
    '5 of 5 nodes heard'

# ---- a node is killed ----
leader=$(cluster_leader mail-beijing)
cluster_kill "$leader"
check a_killed_node_is_down says 20 10 sh1,sh2 status -- "^YELLOW .*$leader \(beijing\) DOWN since .*no mailquorumd runs there" \
    'NOT site shanghai' "next: start mailquorumd on $leader" 'do not: empty' '4/5 nodes \| 3/3 shards led'
check and_who_leads_instead_is_explained says 20 10 sh1,sh2 explain mail-beijing -- "$leader was not heard for" "$leader NO alive"
check as_json_the_finding_has_since_and_what_not_to_do until_ 20 bash -c '
    "$1" --config "$2" status -o json | jq -e ".severity == \"yellow\" and (.messages[0] | .id == \"NODE_DOWN\" and .since != null and
        .do_not != null and .hint != null) and .data.survives.any_nodes == 1"' _ "$CLUSTER_BIN/clusterctl" "$CLUSTER_CONF"
cluster_start "$leader"
check back_all_is_whole whole sh1

# ---- a node is frozen, and goes on ----
leader=$(cluster_leader mail-shanghai)
other=$([[ $leader == sh1 ]] && echo sh2 || echo sh1)
kill -STOP "$(cluster_pid "$leader")"
check a_stopped_node_is_frozen says 20 10 bj1,bj2 status -- "^YELLOW .*$leader \(shanghai\) FROZEN since .*nothing answers" "kill -CONT" \
    "do not: start a second"
check why_it_was_replaced says 20 10 bj1,bj2 explain mail-shanghai -- "leader $other" "$leader was not heard for"
sleep 3 # as long a stop as is worth a word; what follows is waited for
kill -CONT "$(cluster_pid "$leader")"
check it_says_itself_that_it_stood_still says 20 '0|10' bj1,bj2 status -- "$leader stood still for"
check gone_on_all_is_whole whole bj1

# ---- the data centres do not hear each other ----
for a in bj1 bj2; do for b in sh1 sh2; do between $a $b cut; done; done
check cut_data_centres_are_named says 30 10 bj1,bj2,wit1 status -- '^ORANGE .*beijing and shanghai do not hear each other since' \
    'each site serves what it leads' 'survives site beijing or shanghai, NOT site witness' '5/5 nodes|3/5 nodes' '3/3 shards led'
check the_other_site_s_leader_is_known_by_hearsay says 20 10 bj1,bj2,wit1 explain mail-shanghai -- 'leader sh'
# the site that does not hear the directory's leader: nobody confirms its view, and it names the cut all the same
check the_site_without_the_directory_s_leader_names_the_cut_too says 20 12 sh1 status -- '^ORANGE DC_LINK_CUT .*beijing and shanghai do not hear' \
    'view of sh1, not confirmed: the directory is led by bj., not heard here; .* and served: mail-shanghai'
check and_explains_who_leads says 20 12 sh1 explain mail-shanghai -- 'leader sh'
cluster_link '* heal'
check healed_all_is_whole whole sh1

# ---- ... for longer than the witness keeps what one of them lacks, and then the other burns ----
cluster_user anna mail-beijing || exit 1
for a in bj1 bj2; do for b in sh1 sh2; do between $a $b cut; done; done
check what_is_acknowledged_in_one_site "$TOOLS/writer" --nodes "$(cluster_address bj1 bj2)" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" \
    --key "$CLUSTER_KEY" --user anna --fill 100000 --value 200
check is_said_to_be_there_alone says 20 10 bj1,wit1 status -- 'survives site shanghai, NOT site beijing or witness' \
    'ORANGE SOLE_SITE: beijing alone holds [0-9]+ entries of mail-beijing' 'do not: stop nodes of beijing'
cluster_kill bj1 bj2
check nobody_promises_that_nothing_is_lost says 30 11 sh1,sh2,wit1 status -- '^RED QUORUM_LOST: mail-beijing: ' \
    'next: bring back at least 1 of bj1 bj2: their disks alone may hold what sh1 sh2 must copy'
cluster_link '* heal'
cluster_start bj1 # one of its disks is enough
check with_one_of_its_disks_the_shard_serves says 60 10 sh1,sh2 status -- '^YELLOW NODE_DOWN .*bj2' '3/3 shards led'
cluster_start bj2
check and_with_both_all_is_whole whole sh1

# ---- one way between the data centres: what beijing sends to shanghai is lost ----
for a in bj1 bj2; do for b in sh1 sh2; do cluster_link "$a-$b forward-silent" "$b-$a backward-silent"; done; done
check the_deaf_site_names_it says 30 12 sh1 status -- \
    '^ORANGE (ASYMMETRIC|DC_LINK_CUT) .*(shanghai does not hear beijing|do not hear each other)' 'the directory is led by bj., not heard here'
cluster_link '* heal'
check both_ways_again_all_is_whole whole sh1

# ---- one way: bj1 is heard and hears nobody ----
for other in bj2 sh1 sh2 wit1; do cluster_link "$other-bj1 forward-silent" "bj1-$other backward-silent"; done
check a_deaf_node_is_named says 30 10 sh1,sh2 status -- '^ORANGE ASYMMETRIC .*bj1<-\*: bj1 hears nobody since' 'next: look at the network towards bj1'
check and_it_says_itself_that_it_has_no_quorum says 30 12 bj1 status -- '^RED .*NO QUORUM, LOCAL VIEW bj1: 1 of 5 \(bj1\)' \
    'bring back ANY 2 of bj2 sh1 sh2 wit1' 'NO QUORUM VIEW'
check without_a_quorum_nobody_leads says 30 12 bj1 explain mail-beijing -- 'without a quorum nobody can say who leads'
cluster_link '* heal'
check hearing_again_all_is_whole whole sh1

# ---- a site is lost, then the witness too ----
cluster_kill bj1 bj2
check a_lost_site_is_gone says 20 10 sh1,sh2 status -- '^ORANGE .*beijing GONE since .*\(0/2 nodes, silent from sh1 sh2 wit1\)' \
    'survives nothing more' 'next: bring back any node of beijing \(bj1 bj2\)' 'margin 0: .* no further node' '3/5 nodes \| 3/3 shards led'
check and_why_its_shard_is_away says 20 10 sh1,sh2 explain mail-beijing -- 'leader sh' 'not in beijing because: bj1 NO alive: .*bj2 NO alive'
check a_copy_that_is_down_is_ahead_of_every_forecast says 20 10 sh1 lag --eta -- 'mail-beijing sh. .*bj1 \+1 down' 'mail-shanghai sh. .*bj1 \+1 down'
only_silence_is_found() {
    cluster_ctl --node sh1 verify "$@" -o json >"$MQ_TMP/said"
    local code=$?
    cat "$MQ_TMP/said"
    [[ $code -eq 10 ]] && jq -e '.severity == "yellow" and (.messages | length > 0 and all(.id == "NOT_VERIFIED")) and
        ([.data.rows[] | select(.node | startswith("sh")) | .ok] | length == 6 and all)' "$MQ_TMP/said" >/dev/null
}
check what_is_left_is_verified_and_nothing_named_that_is_only_silent until_ 20 only_silence_is_found --timeout 5s
check so_it_is_from_every_pair until_ 20 only_silence_is_found --deep --timeout 5s
cluster_kill wit1
check without_a_majority_it_says_so says 20 12 sh1 status -- '^RED .*NO QUORUM, LOCAL VIEW sh1: 2 of 5 \(sh1 sh2\); bj1 bj2 wit1 unheard since' \
    'bring back ANY 1 of bj1 bj2 wit1'
check its_local_view_says_so_too says 10 12 sh1 status --local -- '^RED .*NO QUORUM, LOCAL VIEW sh1: 2 of 5'
voters_counted() {
    cluster_ctl "$@" --node bj1 --node sh1 --node wit1 -o json --timeout 9s >"$MQ_TMP/said"
    cat "$MQ_TMP/said"
    jq -e '.data.shards | length == 3 and all(.voters == 5 and .voters_up == 2)' "$MQ_TMP/said" >/dev/null
}
check and_every_voter_is_counted_though_nobody_hears_it until_ 20 voters_counted shards
check by_top_too until_ 20 voters_counted top --once
cluster_start wit1
check any_one_of_them_heals_it says 40 10 sh1,sh2 status -- '^ORANGE .*beijing GONE'

# ---- and the power of all ----
cluster_kill sh1 sh2 wit1
check nobody_answers says 20 30 sh1,sh2 status -- .
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
check after_a_power_cut_all_is_whole_by_itself whole sh1
check and_all_copies_are_equal cluster_ctl verify --deep
