#!/bin/bash
# demo: two data centres and a witness on this machine, real mail in both, a leader killed, a shard moved, and a fire.
#
#   ./demo.sh            installs what is missing, builds, shows, cleans up after itself
#   ./demo.sh --keep     leaves everything running and prints what to try
#   ./demo.sh --corrupt  (for the proof) changes one byte of a known record in a stopped node's store: must end non-zero, and say
#                        which node, shard and index
#   MQ_DEMO_BIN=DIR      programs built before, instead of installing and building
#
# It must be root's: Postfix and Dovecot give up rights they were started with (exit 77 if it isn't).
# Five mailquorumd (beijing 2, shanghai 2, witness 1); a private Postfix, Dovecot and mailfeed a site; loopback only, nothing of
# the system's mail configuration is read or changed. Every claim below is checked; the first one that does not hold ends the demo.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

KEEP='' CORRUPT=''
for argument in "$@"; do
    case $argument in
        --keep) KEEP=yes ;;
        --corrupt) CORRUPT=yes ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 64 ;;
    esac
done

if [[ $(id -u) -ne 0 ]]; then
    echo 'demo: its Postfix and Dovecot are started by root only: sudo ./demo.sh. Nothing was installed or built.' >&2
    exit 77
fi

BOLD='' DIM='' PLAIN=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m'; fi
say() { printf '\n%s%s%s\n' "$BOLD" "$1" "$PLAIN"; }
note() { printf '  %s\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }
TABLE=()
row() { TABLE+=("$(printf '%-44s %s' "$1" "$2")"); note "$1: $2"; }

# ---- what it needs ----------------------------------------------------------------------------------------------

if [[ -n ${MQ_DEMO_BIN:-} ]]; then
    BUILD=$(cd "$MQ_DEMO_BIN/.." && pwd)
else
    say 'Installing what is missing, and building'
    tools/install-deps.sh demo || fail 'the packages above could not be installed'
    cmake --preset release >/dev/null || fail 'cmake could not configure the build'
    cmake --build --preset release --target mailquorumd mailfeed clusterctl mq-replay writer 2>&1 | tail -n 1 || fail 'the build failed'
    BUILD=$PWD/build/release
fi
START=$SECONDS
export CLUSTER_BIN=$BUILD/bin
. tests/lib/cluster.sh
. tests/lib/dovecot.sh
. tests/lib/postfix.sh
. tests/lib/mail_load.sh
. tests/lib/fire.sh
D=$(mktemp -d /tmp/mqdemo.XXXXXX) # short: unix sockets have 107 bytes
chmod 711 "$D" # mail belongs to another user
declare -A FEEDS=()
WRITER='' LOAD=()

finish() {
    local code=$?
    trap - EXIT
    if [[ -n $KEEP && $code -eq 0 ]]; then
        exit 0
    fi
    [[ -z $WRITER ]] || kill "$WRITER" 2>/dev/null
    for pid in "${FEEDS[@]}" "${LOAD[@]}"; do kill "$pid" 2>/dev/null; done
    for site in "$D"/beijing "$D"/shanghai "$D"/burnt/beijing; do [[ ! -f $site/dovecot.conf ]] || dovecot_stop "$site"; done
    for site in beijing shanghai; do [[ ! -f $D/$site/postfix/port ]] || postfix_stop "$D/$site/postfix"; done
    cluster_cleanup
    if [[ $code -eq 0 || -z $KEEP ]]; then rm -rf "$D"; fi
    exit "$code"
}
# What ends all that the fire has left, wherever it is now, and removes it.
write_end() {
    cat >"$1" <<END
#!/bin/bash
cd '$PWD' || exit 1
. tests/lib/dovecot.sh
. tests/lib/postfix.sh
pids=(${FEEDS[*]} \$(cat '$CLUSTER_DIR'/*/pid))
kill "\${pids[@]}"
for site in '$D/shanghai' '$D/burnt/beijing'; do dovecot_stop "\$site"; done
postfix_stop '$D/shanghai/postfix'
for _ in {1..100}; do kill -0 "\${pids[@]}" 2>/dev/null || break; sleep 0.1; done
rm -rf '$D'
END
    chmod +x "$1"
}
trap finish EXIT
trap 'exit 1' INT TERM

json() { cluster_ctl -o json "$@" 2>/dev/null; }

# ---- the cluster -------------------------------------------------------------------------------------------------

say 'Founding a cluster: beijing 2, shanghai 2, witness 1; two mail shards, each at home in one site'
cluster_init "$D" five || fail 'clusterctl init'
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
cluster_wait 30 home || fail 'the cluster did not come up'
cluster_ctl status | sed 's/^/  /'

# ---- mail --------------------------------------------------------------------------------------------------------

# Twenty users a site; the mail of the first ten is also copied to the other site, by `doveadm backup`.
declare -A USERS COPIED OTHER_SITE=([beijing]=shanghai [shanghai]=beijing)
for site in beijing shanghai; do
    USERS[$site]=$(printf "u%02d@$site.test " {1..20})
    COPIED[$site]=$(printf "u%02d@$site.test " {1..10})
done
declare -A LOCAL=([beijing]='bj1 bj2' [shanghai]='sh1 sh2')
declare -A OTHER=([beijing]=sh2 [shanghai]=bj2)

say 'A private Postfix and Dovecot in each site, and a feed beside them'
postfix_closed_port || fail 'no free port'
for site in beijing shanghai; do
    dovecot_start "$D/$site" >/dev/null || fail "Dovecot of $site does not start"
    for user in ${USERS[$site]} ${COPIED[${OTHER_SITE[$site]}]}; do dovecot_user "$D/$site" "$user"; done
    postfix_start "$D/$site/postfix" || fail "Postfix of $site does not start"
    postfix_route "$D/$site/postfix" "$site.test" "lmtp:inet:127.0.0.1:$DOVECOT_LMTP_PORT"
    postfix_route "$D/$site/postfix" closed.test "smtp:[127.0.0.1]:$POSTFIX_CLOSED_PORT"
    for user in ${USERS[$site]}; do cluster_user "$user" "mail-$site" || exit 1; done & ASSIGNING=$!
    {
        printf '[feed]\nstore = %s\nsite = %s\nhost = mail-%s\n' "$site" "$site" "$site"
        for node in ${LOCAL[$site]}; do printf 'nodes = %s\n' "$(cluster_address "$node")"; done
        printf '[tls]\nca = %s/mail-%s/ca.crt\ncertificate = %s/mail-%s/host.crt\nkey = %s/mail-%s/host.key\n' "$CLUSTER_DIR" "$site" \
            "$CLUSTER_DIR" "$site" "$CLUSTER_DIR" "$site"
        printf '[dovecot]\nconfig = %s\nusers_file = %s\nsweep_interval = 1s\n' "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
        printf '[postfix]\nenabled = yes\nconfig_directories = %s\ninterval = 1s\n' "$POSTFIX_CONF"
    } >"$D/feed-$site.conf"
    "$CLUSTER_BIN/mailfeed" "$D/feed-$site.conf" >"$D/feed-$site.log" 2>&1 </dev/null &
    FEEDS[$site]=$!
    disown $!
    cluster_ctl queue assign "mail-$site" "mail-$site" >/dev/null || fail "the queue of mail-$site"
    wait "$ASSIGNING" || fail "users of $site"
    note "$site: Postfix $(postconf -h mail_version), Dovecot $(dovecot_version) and mailfeed for 20 users of its own and copies of 10 of the other's"
done

# Four senders a site, each for five of its users; every tenth message goes where nobody listens, and stays queued.
senders() {
    local site=$1 round=$2 count=$3 pause=$4 k users
    postfix_use "$D/$site/postfix"
    read -ra users <<<"${USERS[$site]}"
    for k in 0 1 2 3; do
        mail_sender "$POSTFIX_PORT" "$site-$round-$k" "$count" "$pause" "$D/ledger-$site" "${users[@]:k * 5:5}" "${users[@]:k * 5:4}" someone@closed.test &
        SENDERS+=($!)
    done
}

# Mail arrives, is read, filed and thrown away, in one site.
traffic() {
    local site=$1 round=$2 user SENDERS=() pid
    dovecot_use "$D/$site" || return 1
    senders "$site" "$round" 30 0
    for pid in "${SENDERS[@]}"; do wait "$pid" || return 1; done
    postfix_wait_idle "$D/$site/postfix" 30 || return 1
    for user in $(printf "u%02d@$site.test " 1 6 11 16); do
        dovecot_adm mailbox create -u "$user" Archive 2>/dev/null
        dovecot_adm flags add -u "$user" '\Seen' mailbox INBOX uid 1:4
        dovecot_adm flags add -u "$user" '\Flagged $Invoice' mailbox INBOX uid 2,5
        dovecot_adm move -u "$user" Archive mailbox INBOX uid 3
        dovecot_adm expunge -u "$user" mailbox INBOX uid 4
    done
}

say 'Real mail arrives in both sites at once'
traffic beijing first & T1=$!
traffic shanghai first & T2=$!
wait "$T1" || fail 'mail to beijing was not taken'; wait "$T2" || fail 'mail to shanghai was not taken'
note "$(cat "$D"/ledger-* | wc -l) messages got a 250 for 40 users, a tenth of them stays queued; flags, keywords, moves and expunges"

# What Dovecot says, one line a mailbox and a message.
truth() {
    local site=$1 user=$2
    dovecot_use "$D/$site"
    dovecot_adm -f tab mailbox status -u "$user" 'guid uidvalidity uidnext highestmodseq messages' '*' | awk -F'\t' '
        NR == 1 { for (i = 1; i <= NF; i++) c[tolower($i)] = i; next }
        { print "mailbox", $c["guid"], $c["uidvalidity"], $c["uidnext"], $c["highestmodseq"], $c["messages"] }' | sort
    dovecot_adm -f tab fetch -u "$user" 'mailbox-guid uid guid modseq size.virtual date.received.unixtime flags' mailbox '*' |
        awk -F'\t' 'NR > 1 {
            n = split($7, f, " "); k = 0
            for (i = 1; i <= n; i++) if (f[i] != "\\Recent") kept[++k] = f[i]
            for (i = 2; i <= k; i++) for (j = i; j > 1 && kept[j - 1] > kept[j]; j--) { t = kept[j]; kept[j] = kept[j - 1]; kept[j - 1] = t }
            words = ""
            for (i = 1; i <= k; i++) words = words " " kept[i]
            print "message " $1 " " $2 " " $3 " " $4 " " $5 " " $6 words }' | sort
}

# What the other site's node holds itself.
record() {
    local node=$1 user=$2 guid
    for guid in $(json --node "$node" --local mailbox list "$user" | jq -r '.data.mailboxes[].guid'); do
        json --node "$node" --local mailbox show "$user" "$guid" --messages | jq -r '
            (.data.mailbox | "mailbox \(.guid) \(.uidvalidity) \(.uidnext) \(.highestmodseq) \(.messages)"),
            (.data.mailbox.guid as $box | .data.messages[] | "message \($box) \(.uid) \(.guid) \(.modseq) \(.size_bytes) \(.internal_date | fromdate)" +
                ((.flags + .keywords) | sort | map(" " + .) | join("")))'
    done | hex_guids | sort
}

# GUIDs of messages are bytes to us: shown as hex, Maildir's are text.
hex_guids() {
    awk '
        function text(hex, i, out) {
            for (i = 1; i < length(hex); i += 2) out = out sprintf("%c", digit(substr(hex, i, 1)) * 16 + digit(substr(hex, i + 1, 1)))
            return out
        }
        function digit(c) { return index("0123456789abcdef", c) - 1 }
        $1 == "message" { $4 = text($4) } { print }'
}

compare() {
    local site user tries equal=0 records=0
    for site in beijing shanghai; do
        for user in ${USERS[$site]}; do
            truth "$site" "$user" >"$D/truth"
            for tries in {1..100}; do
                record "${OTHER[$site]}" "$user" >"$D/record"
                if cmp -s "$D/truth" "$D/record"; then break; fi
                sleep 0.2
            done
            if ! cmp -s "$D/truth" "$D/record"; then
                diff "$D/truth" "$D/record" | head -n 10 >&2
                fail "${OTHER[$site]} does not hold what Dovecot of $site says of $user (< Dovecot, > ${OTHER[$site]})"
            fi
            equal=$((equal + 1))
            records=$((records + $(wc -l <"$D/truth")))
        done
    done
    row "$1" "$records of $records equal, $equal users"
}

say 'Every record is read from the OTHER site, and compared with what Dovecot says'
compare 'records read from the other site'
cluster_ctl --node sh1 mailbox list u01@beijing.test | sed 's/^/  /'

# ---- failures ----------------------------------------------------------------------------------------------------

start_writer() {
    "$BUILD/writer" --nodes "$(cluster_address bj1 bj2 sh1 sh2 | tr -d ' ')" --ca "$CLUSTER_CA" --cert "$CLUSTER_CERT" --key "$CLUSTER_KEY" \
        --user u01@beijing.test --rate 1000 >"$D/writer.out" 2>"$D/writer.err" &
    WRITER=$!
    sleep 1.5
}
stop_writer() {
    sleep 1.5
    kill -TERM "$WRITER" 2>/dev/null
    wait "$WRITER" || { cat "$D/writer.err" >&2; fail 'the independent writer had no write acknowledged'; }
    WRITER=''
}
of_writer() { tr ' ' '\n' <"$D/writer.out" | sed -n "s/^$1=//p" | head -n 1; }

LEADER=$(cluster_leader mail-beijing) || fail 'mail-beijing has no leader'
say "kill -9 of $LEADER, which leads mail-beijing, under a writer that writes each millisecond"
start_writer
cluster_kill "$LEADER"
for tries in {1..100}; do
    NEW=$(cluster_leader mail-beijing) && [[ $NEW != "$LEADER" ]] && break
    sleep 0.1
done
[[ ${NEW:-$LEADER} != "$LEADER" ]] || fail 'nobody took over'
stop_writer
row 'leader killed: longest gap between answers' "$(of_writer gap_ms) ms (led by $NEW now)"
row '  writes acknowledged / refused / unknown' "$(of_writer acknowledged) / $(of_writer refused) / $(of_writer unknown)"
cluster_ctl status | sed 's/^/  /'
note "$LEADER comes back"
cluster_start "$LEADER"
cluster_wait 30 || fail "$LEADER did not come back"

NOW=$(cluster_leader mail-beijing)
TARGET=sh1
[[ $NOW != sh1 ]] || TARGET=sh2
say "A planned switchover: mail-beijing from $NOW to $TARGET (plan first, then apply by its hash)"
start_writer
cluster_ctl switchover mail-beijing --to "$TARGET" --plan | sed 's/^/  /'
HASH=$(json switchover mail-beijing --to "$TARGET" --plan | jq -r '.data.hash // .data.plan.hash // empty')
[[ -n $HASH ]] || fail 'no plan'
cluster_ctl switchover mail-beijing --to "$TARGET" --apply "$HASH" --reason demo | sed 's/^/  /' || fail 'switchover'
stop_writer
[[ $(cluster_leader mail-beijing) == "$TARGET" ]] || fail "$TARGET does not lead mail-beijing"
row 'switchover: longest gap between answers' "$(of_writer gap_ms) ms"
row '  writes acknowledged / refused / unknown' "$(of_writer acknowledged) / $(of_writer refused) / $(of_writer unknown)"

say 'Mail went on; the records are compared again'
traffic beijing second || fail 'mail to beijing was not taken'
compare 'records after both'

# ---- one index, one digest ---------------------------------------------------------------------------------------

# A byte of a known record, changed in every place a stopped node's store has it.
corrupt() {
    local node=$1 mark=the-demo-knows-this-record file at
    cluster_ctl dict set demo known "$mark" >/dev/null || fail 'dict set'
    sleep 6 # a checkpoint, and a second
    cluster_stop "$node" || fail "$node does not stop"
    while IFS=: read -r file at _; do
        printf 'X' | dd of="$file" bs=1 seek="$at" count=1 conv=notrunc status=none
        note "changed byte $at of ${file#"$D"/}"
    done < <(grep -rabo --include=data.mdb "$mark" "$CLUSTER_DIR/$node/" | sed 's/:the-demo.*//')
    cluster_start "$node"
    cluster_wait 30 || note 'the cluster is not whole (expected)'
}

if [[ -n $CORRUPT ]]; then
    say 'One byte of a known record is changed in the store of sh2 while it is stopped'
    corrupt sh2
fi
say 'All copies at one index: digests, and digests computed anew from every stored pair'
for tries in {1..60}; do # a node that has just been started opens its shards one after the other
    json verify --deep >"$D/verify.json"
    [[ $(jq '[.data.rows[] | select(.index == null)] | length' "$D/verify.json") -ne 0 ]] || break
    sleep 0.5
done
cluster_ctl verify | sed 's/^/  /'
BAD=$(jq -r '.data.rows[] | select(.ok != true) | "node \(.node), shard \(.shard), index \(.index): \(.text)"' "$D/verify.json")
if [[ -n $BAD || $(jq '.data.rows | length' "$D/verify.json") -lt 13 ]]; then
    fail "a copy differs from its digest: ${BAD:-not every copy answered}"
fi
DIFFERENT=$(jq -r '.data.rows | group_by(.shard)[] | select((map(.recomputed) | unique | length) > 1 and (map(.index) | unique | length) == 1) | .[0].shard' "$D/verify.json")
[[ -z $DIFFERENT ]] || fail "copies of $DIFFERENT differ"
row 'copies verified from every stored pair' "$(jq '.data.rows | length' "$D/verify.json"), all equal"

# ---- the fire ------------------------------------------------------------------------------------------------------

# As an administrator copies today: each user's mail, again and again, to the other site.
copies() {
    local site=$1 user
    while :; do
        for user in ${COPIED[$site]}; do
            doveadm -c "$D/$site/dovecot.conf" backup -u "$user" /usr/bin/env -i PATH="$PATH" doveadm -c "$D/${OTHER_SITE[$site]}/dovecot.conf" \
                dsync-server -u "$user" >>"$D/copies.log" 2>&1
        done
        sleep 0.5
    done
}
report() { cluster_ctl --node sh1 -o json report lost-site beijing >"$1" || fail "report lost-site: $(cat "$1")"; }

say "People at work: 8 senders, 2 readers that stay connected, half of the users copied to the other site by doveadm backup"
SENDERS=()
for site in beijing shanghai; do
    copies "$site" & LOAD+=($!)
    senders "$site" fire 100000 0.3
    dovecot_use "$D/$site"
    mail_reader "$DOVECOT_IMAP_PORT" "u11@$site.test" secret 100000 1 "$D/reader-$site" & LOAD+=($!)
done
LOAD+=("${SENDERS[@]}")
disown "${LOAD[@]}"
start_writer
sleep 6
cluster_ctl status | sed 's/^/  /'
note "clusterctl report lost-site beijing, as a preview:"
cluster_ctl --node sh1 report lost-site beijing --limit 3 | sed 's/^/  /'
report "$D/preview.json"

say 'Beijing burns: its nodes, Postfix, Dovecot and feed end with kill -9, their directories are gone'
kill -KILL "${FEEDS[beijing]}"
unset 'FEEDS[beijing]'
cluster_kill bj1 bj2 & T1=$!
postfix_kill "$D/beijing/postfix"
dovecot_kill "$D/beijing"
wait "$T1"
mkdir -p "$D/burnt/nodes"
mv "$D/beijing" "$D/burnt/beijing" && mv "$CLUSTER_DIR/bj1" "$CLUSTER_DIR/bj2" "$D/burnt/nodes/" || fail 'mv'
LED=no
for tries in {1..200}; do
    LED=$(json --node sh1 shards | jq -r '[.data.shards[].site] | all(. == "shanghai")')
    [[ $LED != true ]] || break
    sleep 0.05
done
[[ $LED == true ]] || fail 'Shanghai does not lead every shard'
stop_writer
row 'site burnt: longest gap between answers' "$(of_writer gap_ms) ms (all led by shanghai)"
row '  writes acknowledged / refused / unknown' "$(of_writer acknowledged) / $(of_writer refused) / $(of_writer unknown)"
cluster_ctl --node sh1 status | sed 's/^/  /'
before=$(wc -l <"$D/reader-shanghai")
for tries in {1..100}; do
    [[ $(wc -l <"$D/reader-shanghai") -le $before ]] || break
    sleep 0.1
done
[[ $(wc -l <"$D/reader-shanghai") -gt $before ]] || fail 'the reader of shanghai did not go on'
note "the reader of shanghai goes on in its session ($(wc -l <"$D/reader-shanghai") steps said yes to)"
kill "${LOAD[@]}" 2>/dev/null
LOAD=()
postfix_wait_idle "$D/shanghai/postfix" 30 || fail 'the mail of shanghai does not come to rest'

# What was copied in the last moment counts as soon as Shanghai's feed has looked.
looked() {
    report "$D/report.json"
    jq -e --argjson at "$1" '[.data.windows[] | select(.at_lost_site | not) | .reported_up_to // "1970-01-01T00:00:00Z" | sub("\\.[0-9]+Z$"; "Z") | fromdate] | min > $at' \
        "$D/report.json" >/dev/null
}
REST=$(date +%s)
for tries in {1..300}; do
    if looked "$REST"; then break; fi
    sleep 0.2
done
looked "$REST" || fail "the feed of shanghai has not looked since $(date -u -d "@$REST" +%T)"

say 'What the report says is lost, against what was in the burnt directories and in the ledgers of the senders'
cluster_ctl --node sh1 report lost-site beijing --limit 5 | sed 's/^/  /'
fire_revive "$D/beijing" "$D/burnt/beijing" || fail 'the burnt store cannot be read'
# shellcheck disable=SC2086 # lists of users
fire_held "$D/burnt/beijing/dovecot.conf" ${USERS[beijing]} ${COPIED[shanghai]} >"$D/held-burnt"
# shellcheck disable=SC2086
fire_held "$D/shanghai/dovecot.conf" ${USERS[shanghai]} ${COPIED[beijing]} >"$D/held-shanghai"
fire_listed "$D/report.json" >"$D/listed"
PREVIEW=$(fire_position "$D/preview.json") && POSITION=$(fire_position "$D/report.json") || fail 'a store of beijing never said what it holds'
[[ $POSITION -ge $PREVIEW ]] || fail 'the position went back'
fire_judge "$D/held-burnt" "$D/held-shanghai" "$D/listed" "$POSITION" "$D/untrue" || { head "$D/untrue" >&2; fail 'the report is not true'; }
[[ $FIRE_LISTED -gt 0 ]] || fail 'nothing is listed, and half of the users had no copy'
row 'messages lost with beijing' "$FIRE_LOST; listed $FIRE_LISTED, each of them true ($FIRE_MOVED expunged since)"
QUEUED=0 GONE=0
while read -r id; do # Postfix goes on until it burns: what left its queue since it was listed has a line in its log
    grep -qw "$id" "$D/ledger-beijing" || fail "queue item $id was never accepted"
    if [[ -n $(find "$D/burnt/beijing/postfix/queue"/{active,deferred,incoming,hold} -name "$id" -print -quit) ]]; then
        QUEUED=$((QUEUED + 1))
    elif grep -q "$id: removed" "$D/burnt/beijing/postfix/log/mail.log"; then
        GONE=$((GONE + 1))
    else
        fail "queue item $id is not in the burnt queue"
    fi
done < <(json --node sh1 queue list mail-beijing --limit 1000 | jq -r '.data.items[] | select(.closed | not) | .id')
[[ $QUEUED -gt 0 ]] || fail 'no queue item of beijing is known'
row 'queued mail lost with beijing' "$QUEUED items known one by one, each of them true ($GONE delivered since)"
row '  not listed, all in the window stated' "$FIRE_UNLISTED (saved after $(date -u -d "@$POSITION" +%T))"

say 'What you saw'
printf '  %s\n' "${TABLE[@]}"
printf '\n%sdone in %d s%s\n' "$DIM" $((SECONDS - START)) "$PLAIN"
if [[ -n $KEEP ]]; then
    say 'It is left running. Try:'
    note "alias clusterctl='$CLUSTER_BIN/clusterctl --config $CLUSTER_CONF'"
    note 'clusterctl status; clusterctl lag; clusterctl mailbox list u01@beijing.test; clusterctl verify --deep'
    note "clusterctl report lost-site beijing; clusterctl queue list mail-beijing"
    note "doveadm -c $D/shanghai/dovecot.conf flags add -u u01@shanghai.test '\\Answered' mailbox INBOX 1; clusterctl --node sh2 --local mailbox show u01@shanghai.test INBOX --messages"
    note "one node more, and no majority is left: kill -STOP \$(cat $CLUSTER_DIR/sh2/pid); sleep 5; clusterctl status; kill -CONT \$(cat $CLUSTER_DIR/sh2/pid)"
    write_end "$D/end" || fail "$D/end"
    note "to end it: $D/end"
fi
exit 0
