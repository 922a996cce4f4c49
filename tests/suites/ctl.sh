#!/bin/bash
# ctl: clusterctl against a real cluster, without a terminal and with one: it never hangs and never asks back, its output is what it says it is,
# and events, top, settings and operations tell what really happened.
# seconds-max: 300
set -uo pipefail
export LC_ALL=C.UTF-8
unset NO_COLOR MAILQUORUM_CONFIG
BUILD=${MQ_BUILD_GCC:-build/gcc}
CLUSTER_BIN=$PWD/$BUILD/bin
[[ $BUILD != /* ]] || CLUSTER_BIN=$BUILD/bin
source tests/lib/cluster.sh
source tests/lib/suite.sh
children=()

clean_up() {
    local pid node
    for pid in "${children[@]}"; do kill "$pid" 2>/dev/null; done
    for node in ${CLUSTER_NODES:-}; do kill -CONT "$(cluster_pid "$node")" 2>/dev/null; done
    cluster_cleanup
}
suite_begin ctl clean_up

CTL=$CLUSTER_BIN/clusterctl
ctl() { cluster_ctl "$@" </dev/null; }
# The answer as JSON, whatever the exit code says of the cluster's health.
json() { ctl "$@" -o json || true; }
# On a terminal of its own; what it wrote comes on standard output.
terminal() { TERM=xterm script -qefc "$*" /dev/null; }
commands() { "$CTL" complete -- '' | cut -f1 | grep -v '^help$'; }

# ---- what needs no cluster ----------------------------------------------------------------------------------------------

every_help() {
    local noun
    for noun in $(commands); do
        "$CTL" help "$noun" >"$MQ_TMP/help" || { echo "$noun"; return 1; }
        "$CTL" "$noun" --help | cmp -s - "$MQ_TMP/help" || { echo "$noun --help says something else"; return 1; }
        awk -v noun="$noun" 'length > 100 { print noun ": " $0; bad = 1 } END { exit bad }' "$MQ_TMP/help" || return 1
    done
}
check every_noun_has_help_within_100_columns every_help
usage_is_64() { ends 64 "$CTL" && ends 64 "$CTL" mailbox && ends 64 "$CTL" statsu && ends 64 "$CTL" status --nod x; }
check usage_ends_with_64 usage_is_64
no_configuration() {
    ends 78 "$CTL" --config "$MQ_TMP/none" status 2>"$MQ_TMP/err" && grep "no configuration $MQ_TMP/none.*--config FILE.*MAILQUORUM_CONFIG.*--node unix:" "$MQ_TMP/err" || return 1
    { "$CTL" --config "$MQ_TMP/none" status -o json || true; } | jq -e '.severity == "red" and .messages[0].id == "NOT_FOUND"'
}
check without_a_configuration_it_says_what_would_do no_configuration
usage_as_json() { { "$CTL" "$@" 2>/dev/null || true; } | jq -e '.kind == "error" and .severity == "yellow" and (.summary | length > 0) and (.messages | length == 1)'; }
check usage_is_json_for_who_wants_json usage_as_json statsu -o json
check also_behind_a_slip_in_a_flag usage_as_json status --nod x --output=ndjson
did_you_mean() { { "$CTL" mailbox lst li 2>&1 || true; } | grep 'did you mean "mailbox list"'; }
check a_slip_gets_a_suggestion did_you_mean
pages() {
    local page
    mkdir -p "$MQ_TMP/man" && "$CTL" man "$MQ_TMP/man" || return 1
    for noun in $(commands); do [[ -s $MQ_TMP/man/clusterctl-$noun.1 ]] || { echo "no page of $noun"; return 1; }; done
    "$CLUSTER_BIN/mailquorumd" --man >"$MQ_TMP/man/mailquorumd.8" && "$CLUSTER_BIN/mailquorumd" --man-config >"$MQ_TMP/man/mailquorumd.conf.5" &&
        "$CLUSTER_BIN/mailfeed" --man >"$MQ_TMP/man/mailfeed.8" && "$CLUSTER_BIN/mailfeed" --man-config >"$MQ_TMP/man/mailfeed.conf.5" &&
        awk -v version=0 -f docs/messages-man.awk docs/messages.md >"$MQ_TMP/man/mailquorum-messages.7" || return 1
    for page in "$MQ_TMP"/man/*.?; do
        groff -man -Tutf8 -ww -z "$page" >"$MQ_TMP/groff" 2>&1
        [[ ! -s $MQ_TMP/groff ]] || { cat "$MQ_TMP/groff"; return 1; }
    done
}
if command -v groff >/dev/null; then check every_manual_page_is_good_roff pages; else skip every_manual_page_is_good_roff 'groff is not there'; fi
completes() { # WORDS... : what bash offers for the last of them
    CTL=$CTL bash -c '
        PATH=$(dirname "$CTL"):$PATH
        source <(clusterctl completion bash)
        COMP_WORDS=(clusterctl "$@") COMP_CWORD=$#
        _clusterctl
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}
offers() {
    local want=$1
    shift
    grep -qx -- "$want" <<<"$(completes "$@")" || { completes "$@"; return 1; }
}
check bash_completes_nouns offers mailbox mailb
check bash_completes_verbs offers changes mailbox ch
check bash_completes_flags offers --since mailbox changes --si
check bash_completes_choices offers ndjson status -o n
check bash_completes_a_value_behind_an_equals_sign offers ndjson status --output = nd
if command -v zsh >/dev/null; then
    zsh_reads() { "$CTL" completion zsh >"$MQ_TMP/_clusterctl" && zsh -n "$MQ_TMP/_clusterctl"; }
    check zsh_reads_its_script zsh_reads
else
    skip zsh_reads_its_script 'zsh is not there'
fi

# ---- a cluster ------------------------------------------------------------------------------------------------------------

cluster_init "$MQ_TMP" three || exit 1
read -r first second third <<<"$CLUSTER_NODES"
# shellcheck disable=SC2086
cluster_start $CLUSTER_NODES
check the_cluster_founds_itself cluster_wait 60
check a_user_gets_a_shard cluster_user anna mail
check live_names_are_completed offers mail --config "$CLUSTER_CONF" switchover m
wrong_cluster() {
    sed 's/^id *=.*/id = 0123456789abcdef0123456789abcdef/' "$CLUSTER_CONF" >"$MQ_TMP/wrong.conf"
    ends 31 "$CTL" --config "$MQ_TMP/wrong.conf" status 2>"$MQ_TMP/err" && grep 'belongs to another cluster' "$MQ_TMP/err"
}
check a_node_of_another_cluster_is_named_as_such wrong_cluster
check live_nodes_are_completed offers "$second" --config "$CLUSTER_CONF" switchover mail --to ''

enveloped() {
    local command
    while read -r command; do
        # shellcheck disable=SC2086
        json $command >"$MQ_TMP/json"
        jq -e --arg command "$command" '
            (keys - ["api", "as_of", "cluster", "data", "kind", "messages", "severity", "source", "summary"] == []) and
            (["api", "as_of", "cluster", "data", "kind", "messages", "severity", "source", "summary"] - keys == []) and
            .api == "v1" and (.cluster | has("name") and has("id") and has("epoch")) and
            (.source | has("node") and has("consistency") and has("age_seconds")) and
            (.severity | IN("ok", "blue", "yellow", "orange", "red"))' "$MQ_TMP/json" >/dev/null || { echo "$command"; cat "$MQ_TMP/json"; return 1; }
        # shellcheck disable=SC2086
        [[ $({ ctl $command -o ndjson || true; } | wc -l) -eq 1 ]] || { echo "$command: not one line"; return 1; }
    done <<<"$views"
}
views=$'status\nmembers\nshards\nlag\nverify\nuser show anna\nmailbox list anna\ntop --once --interval 200ms\nevents\nconfig get\nconfig diff\nop list\nfeed list'
check json_is_the_envelope_and_ndjson_one_line enveloped
narrow() {
    local command
    while read -r command; do
        # shellcheck disable=SC2086
        { ctl $command || true; } | awk -v c="$command" 'length > 100 { print c ": " $0; bad = 1 } END { exit bad }' || return 1
    done <<<"$views"
}
check no_view_is_wider_than_100_columns narrow
as_csv() { # a table, or refused: never nothing
    local command code
    while read -r command; do
        # shellcheck disable=SC2086
        ctl $command -o csv >"$MQ_TMP/csv" 2>/dev/null
        code=$?
        [[ $code -eq 64 || -s $MQ_TMP/csv ]] || { echo "$command: code $code, and nothing said"; return 1; }
    done <<<"$views"
    ends 64 "$CTL" --config "$CLUSTER_CONF" mailbox show anna INBOX -o csv
}
check csv_is_a_table_or_refused as_csv
leads() { json status | jq -e '[.data.sites[].leads | type] | all(. == "array")' && json status | jq -e '[.data.sites[].leads[]] | sort == ["directory", "mail"]'; }
check what_a_site_leads_is_a_list leads
pager() { # CODE WORD
    local line code
    line=$(ctl status --nagios)
    code=$?
    echo "$code: $line"
    [[ $code -eq $1 && $line == "MAILQUORUM $2 - "* && $line != *$'\n'* && $line != *'|'* ]]
}
check a_pager_is_told_that_all_is_well pager 0 OK
pager_config() { ends 3 "$CTL" --config "$MQ_TMP/none" status --nagios >"$MQ_TMP/line" && grep '^MAILQUORUM UNKNOWN - there is no configuration' "$MQ_TMP/line"; }
check or_that_the_check_cannot_work pager_config
waits_for_health() { [[ $(ends 0 "$CTL" --config "$CLUSTER_CONF" status --exit-when-healthy --timeout 20s | wc -l) -gt 3 ]]; }
check all_is_well_at_once waits_for_health
watches() { # a line a look; the time ends it with the code of the last look
    ends 0 "$CTL" --config "$CLUSTER_CONF" status --watch --interval 300ms --timeout 2s -o json >"$MQ_TMP/looks"
    [[ $(jq -c .kind "$MQ_TMP/looks" | wc -l) -ge 2 && $(wc -l <"$MQ_TMP/looks") -eq $(jq -c .kind "$MQ_TMP/looks" | wc -l) ]]
}
check a_line_a_look watches
nobody_gets_well() {
    ends 30 "$CTL" --config "$CLUSTER_CONF" --node 127.0.0.1:9 status --exit-when-healthy --timeout 2s >"$MQ_TMP/looks" 2>"$MQ_TMP/looks.err"
    [[ $(grep -c . "$MQ_TMP/looks.err") -le 3 ]]
}
check who_is_never_well_is_told_how_it_is_when_the_time_is_over nobody_gets_well
strings() { json shards | jq -e '.data.shards[0] | (.term | type) == "string" and (.replicas[0].applied_index | type) == "string"'; }
check numbers_of_64_bits_are_strings strings

esc=$'\033'
coloured() { terminal "$CTL --config $CLUSTER_CONF status $1" >"$MQ_TMP/pty"; grep "$esc\[3" "$MQ_TMP/pty"; }
plain() { ! coloured "$1"; }
piped() { ctl status >"$MQ_TMP/plain"; ! grep "$esc" "$MQ_TMP/plain" && grep -E '^(OK|BLUE|YELLOW|ORANGE) ' "$MQ_TMP/plain"; }
no_color() { ! NO_COLOR=1 coloured ''; }
dumb() { script -qefc "TERM=dumb $CTL --config $CLUSTER_CONF status" /dev/null >"$MQ_TMP/pty"; ! grep "$esc" "$MQ_TMP/pty" && grep nodes "$MQ_TMP/pty"; }
check colours_on_a_terminal coloured ''
check no_colours_with_the_flag plain --no-color
check no_colours_with_NO_COLOR no_color
check no_colours_on_a_dumb_terminal dumb
check no_colours_in_a_pipe_and_severity_is_a_word piped

target=$first
[[ $(cluster_leader mail) != "$first" ]] || target=$second
check what_is_dangerous_is_refused_with_22_and_asks_nothing ends 22 "$CTL" --config "$CLUSTER_CONF" switchover mail --to "$target"
asks_nothing() { terminal "$CTL --config $CLUSTER_CONF switchover mail --to $target" >"$MQ_TMP/pty"; [[ $? -eq 22 ]] && ! grep -qi 'y/n\|yes/no\|? *$' "$MQ_TMP/pty"; }
check nor_does_it_on_a_terminal asks_nothing
check a_reason_is_wanted ends 64 "$CTL" --config "$CLUSTER_CONF" switchover mail --to "$target" --confirm mail
quiet_pipe() { ctl events 2>"$MQ_TMP/err" | head -n 1 >/dev/null; [[ ! -s $MQ_TMP/err ]]; }
check a_reader_that_goes_away_is_met_with_silence quiet_pipe

# ---- events ---------------------------------------------------------------------------------------------------------------

timeout 120 "$CTL" --config "$CLUSTER_CONF" events --follow --since 1s -o ndjson >"$MQ_TMP/follow" 2>"$MQ_TMP/follow.err" </dev/null &
children+=($!)
has_event() { json events | jq -e --arg id "$1" --arg text "$2" '[.data.events[] | select(.id == $id and (.text | contains($text)))] | length > 0'; }
check events_tell_of_starts has_event MQ-EVENT-START started
check events_tell_of_leaders has_event MQ-EVENT-LEADER 'leads shard mail'
check a_switchover_is_done ctl switchover mail --to "$target" --confirm mail --reason CHG-88
check events_tell_of_it_and_why until_ 20 has_event MQ-EVENT-SWITCHOVER CHG-88
in_order() { json events | jq -e '[.data.events[].time] | . == sort and length > 5'; }
check events_are_in_order_of_time in_order
once() { json events | jq -e '[.data.events[] | select(.id == "MQ-EVENT-LEADER")] | map(.text | split(" (before")[0]) | length == (unique | length)'; }
check what_all_saw_is_told_once once
leader=$(cluster_leader mail)
cluster_kill "$leader"
check events_tell_of_a_lost_peer until_ 30 has_event MQ-EVENT-PEER-LOST "lost $leader"
new_leader() { json events | jq -e --arg l "$leader" '[.data.events[] | select(.id == "MQ-EVENT-LEADER" and .object == "mail" and (.text | contains("(before: " + $l + ")")) and (.text | contains("not connected")))] | length > 0'; }
check events_tell_why_there_is_a_new_leader until_ 30 new_leader
check a_silent_node_is_named_and_is_10 ends 10 "$CTL" --config "$CLUSTER_CONF" events
followed() { grep -q "MQ-EVENT-PEER-LOST.*lost $leader" "$MQ_TMP/follow" && jq -e . "$MQ_TMP/follow" >/dev/null && grep -q "$leader does not answer" "$MQ_TMP/follow.err"; }
check follow_has_told_it_as_it_came until_ 20 followed
cluster_start "$leader"
check it_comes_back cluster_wait 60
check follow_says_that_it_answers_again until_ 20 grep -q "$leader answers again" "$MQ_TMP/follow.err"
kill "${children[0]}" 2>/dev/null
check a_moment_that_is_none_is_usage ends 64 "$CTL" --config "$CLUSTER_CONF" events --since yesterday

# ---- top ------------------------------------------------------------------------------------------------------------------

load() { while [[ -e $MQ_TMP/load ]]; do ctl dict set prefs n "$RANDOM" --user anna >/dev/null 2>&1; done; }
touch "$MQ_TMP/load"
load &
children+=($!)
counts() { json top --once | jq -e '.data.shards[] | select(.name == "mail") | .writes_per_second > 0 and .write_p99_seconds > 0'; }
check top_counts_writes_and_their_p99 until_ 20 counts
one_sample() { timeout 20 "$CTL" --config "$CLUSTER_CONF" top </dev/null >"$MQ_TMP/top"; !  grep -q "$esc" "$MQ_TMP/top" && grep -q '^mail ' "$MQ_TMP/top"; }
check without_a_terminal_top_is_one_sample one_sample
keys() {
    (sleep 2; printf e; sleep 3; printf s; sleep 1; printf q) | TERM=xterm timeout 60 script -qefc "$CTL --config $CLUSTER_CONF top --interval 300ms" /dev/null >"$MQ_TMP/pty" || return 1
    grep -q 'WRITES/S' "$MQ_TMP/pty" && grep -q 'events, the newest first' "$MQ_TMP/pty" && grep -q "$esc\[?1049l" "$MQ_TMP/pty"
}
check on_a_terminal_top_takes_keys_and_puts_the_screen_back keys
small() { # 60 by 15: no picture of top has more lines, or wider ones
    (sleep 4; printf q) | TERM=xterm timeout 60 script -qefc "stty rows 15 cols 60; $CTL --config $CLUSTER_CONF top --interval 300ms" /dev/null >"$MQ_TMP/pty" || return 1
    tr -d '\r' <"$MQ_TMP/pty" | sed "s/$esc\[K//g" | awk -v e="$esc" '
        { i = index($0, e "[H") }
        i { line = 0; $0 = substr($0, i + 3) }
        index($0, e "[J") { line = 0; exact++; next }
        { line++; if (line > 14 || length > 60) { print line ": " $0; bad = 1 } seen += /^SHARD/; verdict += line == 2 && /^(OK|BLUE|YELLOW|ORANGE|RED) / }
        END { print exact, seen, verdict; exit bad || !seen || !verdict }'
}
check top_fits_a_small_terminal small
rm -f "$MQ_TMP/load"

# ---- settings -------------------------------------------------------------------------------------------------------------

check an_unknown_setting_is_usage ends 64 "$CTL" --config "$CLUSTER_CONF" config set raft.preferance no
check a_value_out_of_bounds_is_usage ends 64 "$CTL" --config "$CLUSTER_CONF" config set raft.checkpoint_interval 1ms
check a_setting_is_not_changed_by_accident ends 22 "$CTL" --config "$CLUSTER_CONF" config set raft.preference no
hash=$(json config set raft.preference no --plan | jq -r .data.hash)
check a_plan_is_carried_out ctl config set raft.preference no --apply "$hash" --reason CHG-90
check a_plan_is_carried_out_once ends 21 "$CTL" --config "$CLUSTER_CONF" config set raft.preference no --apply "$hash" --reason CHG-90
kept() { json config get raft.preference | jq -e '.data.settings[0] | .value == "no" and .reason == "CHG-90" and .author != null and .changed != null'; }
check it_is_kept_with_who_and_why kept
everywhere() { json config diff | jq -e '[.data.rows[] | select(.key == "raft.preference" and .running == "no" and .file == "yes")] | length == 3'; }
check every_node_runs_with_it until_ 20 everywhere
check events_tell_who_changed_it_and_why has_event MQ-EVENT-SETTING CHG-90
cluster_kill "$third"
check another_is_changed_meanwhile ctl config set limits.node_requests_max 9999 --confirm limits.node_requests_max --reason CHG-91
cluster_start "$third"
check the_cluster_is_whole_again cluster_wait 60
caught_up() { json config diff --node "$third" | jq -e '[.data.rows[] | select(.key == "limits.node_requests_max" and .running == "9999")] | length == 1'; }
check a_node_that_was_away_takes_it_up until_ 20 caught_up
check settings_are_taken_away_again ctl config set raft.preference default --confirm raft.preference --reason CHG-92

# ---- operations -----------------------------------------------------------------------------------------------------------

frozen=$third
[[ $(cluster_leader directory) != "$third" ]] || frozen=$second
others=()
for node in $CLUSTER_NODES; do [[ $node == "$frozen" ]] || others+=(--node "$node"); done
kill -STOP "$(cluster_pid "$frozen")"
timeout 60 "$CTL" --config "$CLUSTER_CONF" "${others[@]}" verify --deep >"$MQ_TMP/verify" 2>&1 </dev/null &
children+=($!)
listed() { json op list "${others[@]}" | jq -e '[.data.operations[] | select(.kind == "verify --deep" and .unit == "copies" and (.total | tonumber) > 0)] | length > 0'; }
check a_verification_is_an_operation until_ 20 listed
op=$(json op list "${others[@]}" | jq -r '[.data.operations[] | select(.kind == "verify --deep")][-1].id')
check watching_it_ends_when_it_ends ends 0 "$CTL" --config "$CLUSTER_CONF" "${others[@]}" op watch "$op"
kill -CONT "$(cluster_pid "$frozen")"
check an_operation_that_is_none_is_refused ends 20 "$CTL" --config "$CLUSTER_CONF" op watch "$first-99999"
check it_is_whole_after_the_frost cluster_wait 60
# shellcheck disable=SC2086
cluster_stop $CLUSTER_NODES
rm -rf "$CLUSTER_DIR/$frozen/data/shards/1"
cluster_start "$frozen"
waits() { json op list --node "$frozen" | jq -e '[.data.operations[] | select(.kind == "copy" and .running and (.waits_for | contains("member")))] | length > 0'; }
check a_copy_that_nobody_gives_says_what_it_waits_for until_ 30 waits
op=$(json op list --node "$frozen" | jq -r '[.data.operations[] | select(.kind == "copy" and .running)][0].id')
check the_end_of_the_time_leaves_it_running ends 24 "$CTL" --config "$CLUSTER_CONF" --node "$frozen" op watch "$op" --timeout 1s
interrupted() {
    timeout -s INT 2 "$CTL" --config "$CLUSTER_CONF" --node "$frozen" op watch "$op" >"$MQ_TMP/watch" 2>&1 </dev/null
    grep "$op goes on" "$MQ_TMP/watch"
}
check so_does_an_interrupt interrupted
lost() { # its node dies: how it ends nobody knows
    local code watcher
    rm -f "$MQ_TMP/lost.err"
    timeout 60 "$CTL" --config "$CLUSTER_CONF" --node "$frozen" op watch -o json "$@" >"$MQ_TMP/lost" 2>"$MQ_TMP/lost.err" </dev/null &
    watcher=$!
    until_ 20 grep -q "^$op " "$MQ_TMP/lost.err" || return 1
    cluster_kill "$frozen"
    wait "$watcher"
    code=$?
    cat "$MQ_TMP/lost"
    [[ $code -eq 24 ]] && jq -e --arg op "$op" '(.messages[] | select(.id == "OP_LOST") | .object == $op) and .as_of != null and .cluster.id != null and
        .cluster.name != null and .data.operation.id == $op and .data.operation.running == null and .data.operation.outcome == null' "$MQ_TMP/lost" >/dev/null
}
again() { # the copy is still wanted, in another life of the node
    cluster_start "$frozen"
    until_ 30 waits && op=$(json op list --node "$frozen" | jq -r '[.data.operations[] | select(.kind == "copy" and .running)][0].id')
}
check one_whose_node_dies_ends_with_24 lost "$op"
check one_of_a_node_that_is_down_is_not_said_to_be_none ends 30 "$CTL" --config "$CLUSTER_CONF" --node "$frozen" op watch "$op"
check nor_is_it_said_that_nothing_runs_there ends 30 "$CTL" --config "$CLUSTER_CONF" --node "$frozen" op watch
again || true
check so_it_does_as_one_of_all lost
again || true
for node in $CLUSTER_NODES; do [[ $node == "$frozen" ]] || cluster_start "$node"; done
check a_node_without_its_store_comes_back cluster_wait 60
check watching_it_ends_well_then ends 0 "$CTL" --config "$CLUSTER_CONF" op watch "$op"
copied() { json op list --node "$frozen" | jq -e '[.data.operations[] | select(.kind == "copy" and .object == "mail" and .outcome == "OK")] | length > 0'; }
check its_copy_was_an_operation until_ 20 copied

# ---- one refuses, one is frozen, one answers ------------------------------------------------------------------------------

cluster_kill "$first"
reasons() { # a light that is not green has its reason with it
    local command
    for command in members shards lag 'explain mail'; do
        # shellcheck disable=SC2086
        json $command | jq -e --arg n "$first" '.severity != "ok" and (.summary | length > 0) and (.messages | tostring | contains($n))' || { echo "$command"; return 1; }
        # shellcheck disable=SC2086
        { ctl $command || true; } >"$MQ_TMP/text"
        head -n 1 "$MQ_TMP/text" | grep -E '^(YELLOW|ORANGE|RED) ' || { cat "$MQ_TMP/text"; return 1; }
    done
}
check members_shards_lag_and_explain_say_why_it_is_not_green until_ 20 reasons
check a_pager_is_told_of_a_node_that_is_down pager 1 WARNING
check names_are_completed_though_the_first_node_is_down until_ 20 offers mail --config "$CLUSTER_CONF" explain m
kill -STOP "$(cluster_pid "$second")"
within() { # SECONDS COMMAND...
    local began=$SECONDS most=$1
    shift
    "$@" || return 1
    ((SECONDS - began <= most)) || { echo "took $((SECONDS - began)) s"; return 1; }
}
sampled() { ctl top --once >"$MQ_TMP/top" 2>"$MQ_TMP/top.err"; cat "$MQ_TMP/top" "$MQ_TMP/top.err"; grep -q '^mail ' "$MQ_TMP/top"; }
check top_gives_a_sample_during_an_outage within 9 sampled
in_two_seconds() { ctl status --timeout 2s >"$MQ_TMP/status"; cat "$MQ_TMP/status"; grep -q "local view of $third" "$MQ_TMP/status"; }
check status_says_something_within_its_two_seconds within 3 in_two_seconds
keys_meanwhile() {
    (sleep 5; printf q; sleep 9) | TERM=xterm timeout 60 script -qefc "$CTL --config $CLUSTER_CONF top --interval 300ms; date +%s%N >$MQ_TMP/left" /dev/null >"$MQ_TMP/pty" &
    local script=$! began
    began=$(date +%s%N)
    wait "$script"
    grep -q 'WRITES/S' "$MQ_TMP/pty" || return 1
    echo "left after $((($(<"$MQ_TMP/left") - began) / 1000000)) ms"
    (($(<"$MQ_TMP/left") - began < 8000000000))
}
check top_draws_and_takes_a_key_meanwhile keys_meanwhile
kill -CONT "$(cluster_pid "$second")"
cluster_start "$first"
check it_is_whole_after_the_outage cluster_wait 60

# ---- nobody answers -------------------------------------------------------------------------------------------------------

for node in $CLUSTER_NODES; do kill -STOP "$(cluster_pid "$node")"; done
hangs_not() {
    local code
    timeout 30 "$CTL" --config "$CLUSTER_CONF" --timeout 2s "$@" </dev/null
    code=$?
    [[ $code -eq 30 || $code -eq 24 || $code -eq 12 || $code -eq 20 ]] || { echo "exit code $code"; return 1; }
}
check status_of_a_frozen_cluster_ends hangs_not status
check a_pager_is_told_that_nobody_answers pager 2 CRITICAL
check so_does_a_write hangs_not dict set a b c --user anna
check so_do_events hangs_not events
names_anyway() { grep -qx "$first" <<<"$(timeout 10 "$CTL" complete -- --config "$CLUSTER_CONF" status --node '' | cut -f1)"; }
check names_of_the_configuration_are_completed_anyway names_anyway
for node in $CLUSTER_NODES; do kill -CONT "$(cluster_pid "$node")"; done
clean_log() { ! grep -E 'AddressSanitizer|LeakSanitizer|runtime error|must failed' "$CLUSTER_DIR"/*/log; }
check nothing_in_the_logs_that_must_not_be clean_log
