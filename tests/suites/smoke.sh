#!/bin/bash
# smoke: a cluster of real processes founds itself, serves, loses its leader and comes back; what must be refused is, with a message id.
# seconds-max: 240
# quick: yes
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${MQ_BUILD_ASAN:-build/asan}/bin
source tests/lib/cluster.sh
source tests/lib/suite.sh
export ASAN_OPTIONS=detect_leaks=1

suite_begin smoke cluster_cleanup

ctl() { cluster_ctl "$@"; }
reads() { [[ $(ctl dict get "$1" "$2" --user "$3" --node "$4") == "$5" ]]; }
# refused NODE MESSAGE_ID [CODE]: starting it once more is refused with that id and exit code.
refused() {
    local node=$1 id=$2 want=${3:-78} code
    timeout 20 "$CLUSTER_BIN/mailquorumd" --config "$CLUSTER_DIR/$node/mailquorumd.conf" >"$MQ_TMP/refused" 2>&1
    code=$?
    cat "$MQ_TMP/refused"
    [[ $code -eq $want ]] && grep -q "message=$id " "$MQ_TMP/refused"
}
clean_log() { ! grep -E 'AddressSanitizer|LeakSanitizer|runtime error|must failed' "$CLUSTER_DIR"/*/log; }

cluster_init "$MQ_TMP" three || exit 1
read -r first second third <<<"$CLUSTER_NODES"

# ---- I1: all founders first ----
cluster_start "$first" "$second"
waits_for() { local i; for i in {1..100}; do grep -q "event=founding.waiting.*$2\"" "$CLUSTER_DIR/$1/log" && return 0; sleep 0.1; done; return 1; }
check I1_two_of_three_founders_wait_for_the_third waits_for "$first" "$third"
no_quorum() { ctl status --node "$first" >"$MQ_TMP/st" 2>&1; cat "$MQ_TMP/st"; ! grep -q 'event=shard.founded' "$CLUSTER_DIR/$first/log"; }
check I1_nothing_is_founded_meanwhile no_quorum
cluster_start "$third"
check the_cluster_founds_itself cluster_wait 30

# ---- serving ----
check a_user_gets_a_shard cluster_user alice mail
check a_write_is_applied ctl dict set prefs greeting hello --user alice --node "$first"
for node in $CLUSTER_NODES; do check "it_is_read_from_$node" reads prefs greeting alice "$node" hello; done
unknown_user() { ctl dict get prefs greeting --user nobody; [[ $? -ne 0 ]]; }
check an_unknown_user_is_refused unknown_user

# ---- a leader is killed ----
leader=$(cluster_leader mail)
cluster_kill "$leader"
check a_write_is_applied_while_the_old_leader_is_dead ctl dict set prefs second two --user alice
cluster_start "$leader"
check it_comes_back cluster_wait 30
check it_has_what_it_missed reads prefs second alice "$leader" two
check all_copies_are_equal ctl verify --deep

# ---- switchover ----
switchover() {
    local from to
    from=$(cluster_leader mail)
    for to in $CLUSTER_NODES; do [[ $to == "$from" ]] || break; done
    ctl switchover mail --to "$to" --confirm mail --reason smoke || return 1
    for _ in {1..50}; do [[ $(cluster_leader mail) == "$to" ]] && return 0; sleep 0.1; done
    return 1
}
check a_shard_is_switched_over switchover
stale() { ctl switchover mail --to "$first" --apply 0123456789abcdef --reason smoke; [[ $? -ne 0 ]]; }
check a_stale_plan_is_refused stale

# ---- certificates are changed without dropping anybody ----
reload() {
    local before i
    before=$(grep -c 'event=peer.disconnected' "$CLUSTER_DIR/$first/log")
    for i in 1 2 3; do
        kill -HUP "$(cluster_pid "$first")"
        for _ in {1..50}; do [[ $(grep -c 'event=tls.reloaded' "$CLUSTER_DIR/$first/log") -eq $i ]] && break; sleep 0.1; done
    done
    [[ $(grep -c 'event=tls.reloaded' "$CLUSTER_DIR/$first/log") -eq 3 ]] && ctl shards --node "$first" &&
        [[ $(grep -c 'event=peer.disconnected' "$CLUSTER_DIR/$first/log") -eq $before ]]
}
check certificates_are_reloaded_and_nobody_is_dropped reload

# ---- I4 and its kin ----
check a_second_process_on_a_data_directory_is_refused refused "$first" MQ-DATA-LOCKED 75
stops() { cluster_stop "$first" && grep -q 'event=node.stopped code=0' <<<"$(tail -n 1 "$CLUSTER_DIR/$first/log")"; }
check a_clean_stop_ends_with_0 stops
check the_others_serve_on ctl dict set prefs third three --user alice --node "$second"
cp -a "$CLUSTER_DIR/$first/data" "$CLUSTER_DIR/$first/original"
rm -rf "$CLUSTER_DIR/$first/data"
cp -a "$CLUSTER_DIR/$first/original" "$CLUSTER_DIR/$first/data"
check I4_a_copied_data_directory_is_refused refused "$first" MQ-DATA-COPY
rm -rf "$CLUSTER_DIR/$first/data"
mv "$CLUSTER_DIR/$first/original" "$CLUSTER_DIR/$first/data"
rm -rf "$CLUSTER_DIR/$first/data"/lock
check I4_so_is_one_whose_lock_file_is_another refused "$first" MQ-DATA-COPY
sed -i "s|^data_directory = .*|data_directory = $CLUSTER_DIR/$second/data|" "$CLUSTER_DIR/$first/mailquorumd.conf"
cluster_stop "$second"
check I4_another_nodes_data_directory_is_refused refused "$first" MQ-DATA-NODE
sed -i "s|^data_directory = .*|data_directory = $CLUSTER_DIR/$first/data|" "$CLUSTER_DIR/$first/mailquorumd.conf"
cluster_start "$second"
rm -rf "$CLUSTER_DIR/$first/data"
cluster_start "$first"
replaced() { local i; for i in {1..100}; do grep -q 'message=MQ-FOUND-REPLACED' "$CLUSTER_DIR/$first/log" && return 0; sleep 0.1; done; return 1; }
check I1_a_replaced_disk_does_not_found replaced
check and_the_others_go_on ctl dict set prefs fourth four --user alice --node "$second"
cluster_stop "$first"

# ---- configuration ----
config() { # ID, then lines to add to a copy of the configuration
    local id=$1
    shift
    { cat "$CLUSTER_DIR/$first/mailquorumd.conf" && printf '%s\n' "$@"; } >"$MQ_TMP/bad.conf"
    "$CLUSTER_BIN/mailquorumd" --config "$MQ_TMP/bad.conf" --check-config >"$MQ_TMP/conf" 2>&1
    local code=$?
    cat "$MQ_TMP/conf"
    [[ $code -eq 78 ]] && grep -q "message=MQ-CONFIG" "$MQ_TMP/conf" && grep -q "$id" "$MQ_TMP/conf"
}
check an_unknown_key_names_its_line_and_the_one_that_was_meant config 'bad.conf:[0-9]*:.*heartbeat' '[raft]' 'hartbeat = 50ms'
check a_value_out_of_range_is_refused config 'bad.conf:[0-9]*:' '[limits]' 'connections_max = 1'
check a_good_configuration_is_good "$CLUSTER_BIN/mailquorumd" --config "$CLUSTER_DIR/$first/mailquorumd.conf" --check-config
chmod 644 "$CLUSTER_DIR/$first/node.key"
readable() { refused "$first" MQ-TLS-FILES && grep -q 'chmod 600' "$MQ_TMP/refused"; }
check a_key_that_others_can_read_is_refused_with_what_to_do readable
chmod 600 "$CLUSTER_DIR/$first/node.key"
cp "$CLUSTER_DIR/$second/node.crt" "$CLUSTER_DIR/$first/node.crt"
cp "$CLUSTER_DIR/$second/node.key" "$CLUSTER_DIR/$first/node.key"
check the_certificate_of_another_node_is_refused refused "$first" MQ-TLS-NAME

cluster_stop "$second" "$third"
check no_sanitizer_had_anything_to_say clean_log
