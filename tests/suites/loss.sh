#!/bin/bash
# loss: two mail hosts with a Dovecot and a feed each, in two sites of one cluster: what each site knows of the other, and what
# `clusterctl report lost-site` says is what the stores really hold.
# seconds-max: 120
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${CLUSTER_BIN:-$MQ_BUILD_GCC/bin}
. tests/lib/cluster.sh
. tests/lib/dovecot.sh
. tests/lib/suite.sh
D=$(mktemp -d /tmp/mqls.XXXXXX)
RANDOM=$((${MQ_SEED:-1} % 32768))
echo "seed ${MQ_SEED:-1}"
USERS=(anna bo carl dora emil)
COPIED=(anna carl)
declare -A feed=()

clean_up() {
    local site
    for site in "${!feed[@]}"; do kill "${feed[$site]}" 2>/dev/null; done
    cluster_cleanup
    for site in beijing shanghai; do [[ ! -f $D/$site/dovecot.conf ]] || dovecot_stop "$D/$site"; done
    rm -rf "$D"
}
suite_begin loss clean_up
bad() {
    failed "$@"
    tail -n 5 "$D"/*.log
    exit 1
}
if [[ ! $(dovecot_version) =~ ^2\.[34]$ ]] || ! command -v jq >/dev/null; then
    skip loss "Dovecot 2.3 or 2.4 and jq are needed"
    exit 0
fi

# until SECONDS WHAT COMMAND...: the command's output is in $D/said.
until_ok() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >"$D/said" 2>&1; do
        if [[ $SECONDS -ge $until ]]; then
            cat "$D/said"
            bad "$what"
        fi
        sleep 0.2
    done
}

start_feed() { # SITE NODES
    dovecot_use "$D/$1"
    {
        printf '[feed]\nstore = %s-store\nsite = %s\nhost = mx-%s\nlease_ttl = 3s\nnodes = %s\n' "$1" "$1" "$1" "$2"
        printf '[tls]\nca = %s\ncertificate = %s/host/mx-%s.crt\nkey = %s/host/mx-%s.key\n' "$CLUSTER_CA" "$D" "$1" "$D" "$1"
        printf '[dovecot]\nconfig = %s\nusers_file = %s\nsweep_interval = 1s\n' "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
    } >"$D/$1.conf"
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$D/$1.conf" >>"$D/feed-$1.log" 2>&1 </dev/null &
    feed[$1]=$!
}

save() { # USER MAILBOX N
    local i
    for ((i = 0; i < $3; i++)); do
        printf 'From: a@b\r\nSubject: n%d\r\n\r\n%*s\r\n' "$i" $((RANDOM % 3000 + 1)) x | dovecot_adm save -u "$1" -m "$2" || bad "save $1"
    done
}

# Copies Beijing's users to Shanghai as an administrator would; what was changed in the copy takes a second run.
copy_all() {
    local user tries
    for user in "${COPIED[@]}"; do
        for tries in 1 2 3 failed; do
            [[ $tries != failed ]] || bad "backup $user: $(cat "$D/said")"
            doveadm -c "$D/beijing/dovecot.conf" backup -u "$user" /usr/bin/env -i PATH="$PATH" \
                doveadm -c "$D/shanghai/dovecot.conf" dsync-server -u "$user" >"$D/said" 2>&1 && break
        done
    done
}

# held SITE USER...: what that site's Dovecot holds: user, mailbox GUID, UID, GUID, size, when it was saved.
held() {
    local site=$1 user
    shift
    for user in "$@"; do
        doveadm -c "$D/$site/dovecot.conf" -f tab fetch -u "$user" 'mailbox-guid uid guid size.virtual date.saved.unixtime' mailbox '*' 2>/dev/null |
            awk -F'\t' -v user="$user" 'NR > 1 { print user, $1, $2, $3, $4, $5 }'
    done
}
# What Beijing has and Shanghai has not.
lost_truth() {
    held shanghai "${COPIED[@]}" >"$D/held-shanghai"
    held beijing "${USERS[@]}" | awk -v there="$D/held-shanghai" '
        BEGIN { while ((getline line <there) > 0) { split(line, f, " "); has[f[1] " " f[2] " " f[3]] = 1 } }
        !(($1 " " $2 " " $3) in has)' | sort
}
# The messages of a report in $D/report.json as lost_truth writes them, without the last column.
lost_listed() {
    jq -r '.data.mailboxes[] | .user as $u | .guid as $g | .messages[] | "\($u) \($g) \(.uid) \(.guid) \(.size_bytes)"' "$D/report.json" | awk '
        BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%02x", i)] = sprintf("%c", i) }
        { out = ""; for (i = 1; i < length($4); i += 2) out = out byte[substr($4, i, 2)]; $4 = out; print }' | sort
}
report() { cluster_ctl --node "$1" -o json report lost-site beijing >"$D/report.json"; }
report_equals_truth() { # NODE
    report "$1" || { cat "$D/report.json"; return 1; }
    lost_truth | cut -d' ' -f1-5 >"$D/truth"
    lost_listed >"$D/listed"
    diff "$D/truth" "$D/listed" | head -n 10
    cmp -s "$D/truth" "$D/listed" && [[ $(jq -r .data.totals.messages "$D/report.json") -eq $(wc -l <"$D/truth") ]]
}

# ---- two sites --------------------------------------------------------------------------------------------------

cluster_init "$MQ_TMP" five || bad "no cluster"
# shellcheck disable=SC2086 # names, parted by blanks
cluster_start $CLUSTER_NODES
cluster_wait 30 || bad "the cluster does not start"
chmod 755 "$D"
for site in beijing shanghai; do
    dovecot_start "$D/$site" || bad "Dovecot does not start"
    "$CLUSTER_BIN/clusterctl" cert issue host "mx-$site" --ca "$CLUSTER_DIR/ca" --out "$D/host" >"$D/cert.log" 2>&1 || bad "no certificate"
done
for user in "${USERS[@]}" stranger; do dovecot_user "$D/beijing" "$user"; done
for user in "${COPIED[@]}"; do dovecot_user "$D/shanghai" "$user"; done
dovecot_use "$D/beijing"
for user in "${USERS[@]}"; do
    cluster_user "$user" mail-beijing || bad "user $user"
    dovecot_adm mailbox create -u "$user" Work
    dovecot_adm mailbox create -u "$user" Empty
    save "$user" INBOX 5
    save "$user" Work 3
done
copy_all
start_feed beijing "$(cluster_address bj1 bj2)"
start_feed shanghai "$(cluster_address sh1 sh2)"

# ---- what the feeds say of themselves ------------------------------------------------------------------------------

# The exit code of clusterctl speaks of the whole cluster: the text is what is looked at here.
ctl_json() { cluster_ctl -o json "$@" 2>&1 || true; }
feeds_are() { ctl_json ${2:+--node "$2"} feed list | jq -e "[.data.feeds[] | $1] | all and length == 2"; }
stranger_named() { { cluster_ctl feed show mx-beijing || true; } | grep 'MQ-FEED-UNASSIGNED .*stranger'; }
no_trouble() { ctl_json feed show mx-beijing | jq -e '.data.feeds[0].troubles == []'; }
for node in bj1 sh2 wit1; do
    until_ok 30 "feed list on $node" feeds_are '.silent == false and .users >= 1 and .sweep_end != null' "$node"
done
ok "every node, the witness too, knows both feeds"
until_ok 20 "the stranger" stranger_named
cluster_ctl status >"$D/said"
if [[ $? -eq 10 ]] && grep -q 'MQ-FEED-UNASSIGNED' "$D/said"; then ok "a user without a shard is a trouble in status"; else cat "$D/said"; bad "status"; fi
cluster_user stranger mail-beijing
until_ok 20 "the trouble goes" no_trouble
ok "and goes when the user has one"

# ---- what each site knows of the other, and what would be lost -------------------------------------------------------

until_ok 30 "the loss report after the first copies" report_equals_truth bj1
[[ $(wc -l <"$D/truth") -eq 24 ]] || bad "three users with eight messages each are not copied"
jq -e '.data.nothing == false and ([.data.users[].user] | sort) == ["bo", "dora", "emil"] and .data.totals.mailboxes == "9"' "$D/report.json" >/dev/null || bad "users and mailboxes"
ok "24 messages, 9 mailboxes and 3 users exist in Beijing only, as the stores say"
nothing_in_shanghai() { ctl_json report lost-site shanghai | jq -e '.data.nothing and .data.unproved == ["users-unreported", "no-queue"] and .data.totals.messages_held_there == "16" and (.data.windows[] | select(.at_lost_site) | .reported_up_to != null)'; }
until_ok 20 "nothing would be lost with Shanghai" nothing_in_shanghai
ok "with Shanghai nothing would be lost, and the positions say so; not known are the user of whom nothing was reported, and its mail queue"

dovecot_use "$D/beijing"
for user in anna bo; do save "$user" INBOX 2; done
dovecot_adm expunge -u carl mailbox Work uid 2
dovecot_adm flags add -u anna '\Flagged' mailbox INBOX uid 1
dovecot_use "$D/shanghai"
dovecot_adm flags add -u anna '\Draft' mailbox INBOX uid 2
dovecot_adm expunge -u anna mailbox Work uid 1
until_ok 30 "after new mail" report_equals_truth sh2
[[ $(wc -l <"$D/truth") -eq 29 ]] || bad "4 new ones, and 1 that the copy lost"
ok "new mail, an expunge at home and one in the copy: 29 messages, asked from the other site"
follows_home() {
    ctl_json mailbox show anna INBOX --messages | jq -e '[.data.messages[] | select(.uid <= 2) | .flags] == [["\\Flagged"], []]' &&
        ctl_json mailbox show carl Work | jq -e '.data.mailbox.messages == "2" and ([.data.mailbox.stores[] | select(.lead) | .store] == ["beijing-store"])'
}
until_ok 20 "the record follows the store at home" follows_home
ok "flags and expunges of home count, those of a copy do not"
store_listed() { ctl_json store list | jq -e '.data.stores[] | select(.store == "shanghai-store" and .shard == "mail-beijing") | .messages_missing == "3" and .behind_seconds != null'; }
until_ok 20 "store list" store_listed
counters() { ctl_json status | jq -e '.data.rpo.sites | map({(.site): .messages_only_there}) | add == {beijing: "29", shanghai: "0"}'; }
until_ok 20 "status has the counters" counters
ok "store list and status say the same from counters"
[[ $(cluster_ctl -o csv report lost-site beijing | grep -c '^message,') -eq 29 ]] || bad "csv"
ok "and the csv has a row each"
copy_all
until_ok 30 "after copying again" report_equals_truth bj2
[[ $(wc -l <"$D/truth") -eq 26 ]] || bad "anna's two are copied now"
ok "what is copied is no longer listed"

# ---- deleted at home, and still in the copy ------------------------------------------------------------------------

dovecot_use "$D/beijing"
dovecot_adm mailbox delete -u carl -s Work
only_copied() {
    ctl_json mailbox show carl Work | jq -e '[.data.mailbox.stores[] | [.store, .lead]] == [["shanghai-store", true]]' &&
        ctl_json report lost-site shanghai | jq -e '.data.nothing == false and .data.totals.messages == "2" and [.data.mailboxes[].user] == ["carl"]'
}
until_ok 20 "the copy of a mailbox that is deleted at home" only_copied
ok "a mailbox deleted at home is known as the copy's alone, and would be lost with the other site"
copy_all
really_gone() { ctl_json mailbox list carl | jq -e '[.data.mailboxes[].name] | sort == ["Empty", "INBOX"]'; }
until_ok 20 "its copy is deleted as well" really_gone
until_ok 20 "nothing would be lost with Shanghai again" report_equals_truth bj1
ok "and is gone when the copy is"

# ---- the site burns ------------------------------------------------------------------------------------------------

kill -KILL "${feed[beijing]}" && wait "${feed[beijing]}" 2>/dev/null
unset 'feed[beijing]'
sleep 1.1 # the second in which mail was saved is the finest that Dovecot tells
dovecot_use "$D/beijing"
for user in anna bo; do save "$user" INBOX 1; done
lost_truth >"$D/burned"
cluster_kill bj1 bj2
dovecot_stop "$D/beijing"
mv "$D/beijing" "$D/burned.d"
until_ok 30 "a report without the site" report sh1
lost_listed >"$D/listed"
cut -d' ' -f1-5 "$D/burned" >"$D/truth"
[[ -z $(comm -13 "$D/truth" "$D/listed") ]] || bad "a line of the report is not true"
comm -23 "$D/truth" "$D/listed" >"$D/unlisted"
[[ $(wc -l <"$D/unlisted") -eq 2 ]] || bad "two messages came after the last report"
position=$(jq -r '[.data.windows[] | select(.at_lost_site and .shard == "mail-beijing")][0].reported_up_to | sub("\\.[0-9]+Z$"; "Z") | fromdate' "$D/report.json")
while read -r user box uid _; do
    saved=$(awk -v k="$user $box $uid" 'index($0, k " ") == 1 { print $6 }' "$D/burned")
    [[ $saved -ge $position ]] || bad "a lost message that is not listed lies before the stated position: $saved < $position"
done <"$D/unlisted"
ok "the site is gone: each line is true, and what is not listed lies in the window that is stated"
silent() { { cluster_ctl --node sh1 status || true; } | grep 'FEED_SILENT.*mx-beijing'; }
until_ok 40 "the silent feed is named" silent
ok "the feed that is silent is named in status"
cluster_kill wit1
cluster_start wit1
told() { ctl_json --node wit1 --local feed list | jq -e '[.data.feeds[] | select(.silent) | .host] == ["mx-beijing"]'; }
until_ok 30 "a node that comes back is told of it" told
ok "a node that was started since knows of it from the others"
