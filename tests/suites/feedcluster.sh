#!/bin/bash
# feedcluster: real mail in a real Dovecot, mailfeed, and a real cluster whose leaders are killed meanwhile: at rest every node holds exactly
# what doveadm says: mailboxes, UIDs, GUIDs, flags, keywords, MODSEQ, sizes and dates; all digests are equal.
# seconds-max: 240
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=${CLUSTER_BIN:-$MQ_BUILD_ASAN/bin}
. tests/lib/cluster.sh
. tests/lib/dovecot.sh
. tests/lib/mail_truth.sh
. tests/lib/suite.sh
D=$(mktemp -d /tmp/mqfc.XXXXXX)
RANDOM=$((${MQ_SEED:-1} % 32768))
echo "seed ${MQ_SEED:-1}"
feed=''
USERS=(anna bo carl)

clean_up() {
    [[ -z $feed ]] || kill "$feed" 2>/dev/null
    cluster_cleanup
    [[ ! -f $D/d/dovecot.conf ]] || dovecot_stop "$D/d"
    rm -rf "$D"
}
suite_begin feedcluster clean_up
bad() {
    failed "$@"
    grep -v event=feed.status "$D/feed.log" | tail -n 15
    exit 1
}
if [[ ! $(dovecot_version) =~ ^2\.[34]$ ]] || ! command -v jq >/dev/null; then
    skip feedcluster "Dovecot 2.3 or 2.4 and jq are needed"
    exit 0
fi

same() { # WHAT SECONDS NODE...
    local what=$1 seconds=$2
    shift 2
    mail_same "$D" "$seconds" "$*" -- "${USERS[@]}" || bad "$what"
    ok "$what: $MAIL_RECORDS records the same on $*"
}

start_feed() { # NODES...
    {
        printf '[feed]\nstore = store-a\nsite = beijing\nlease_ttl = 3s\n'
        printf 'nodes = %s\n' "$@"
        printf '[tls]\nca = %s\ncertificate = %s/host/mailhost.crt\nkey = %s/host/mailhost.key\n' "$CLUSTER_CA" "$D" "$D"
        printf '[dovecot]\nconfig = %s\nusers_file = %s\nsweep_interval = 1s\nsweep_cpu = 100\n' "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
    } >"$D/feed.conf"
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$D/feed.conf" >>"$D/feed.log" 2>&1 </dev/null &
    feed=$!
}
kill_feed() {
    kill "-$1" "$feed" 2>/dev/null
    wait "$feed" 2>/dev/null
}

pick() { local a=("$@"); echo "${a[RANDOM % ${#a[@]}]}"; }
BOXES=(INBOX Work Work/2026 'Entwürfe & Co')
random_ops() {
    local i user box
    for ((i = 0; i < $1; i++)); do
        user=$(pick "${USERS[@]}") box=$(pick "${BOXES[@]}")
        case $((RANDOM % 10)) in
            0 | 1 | 2 | 3) printf 'From: a@b\r\nSubject: n%d\r\n\r\n%*s\r\n' "$i" $((RANDOM % 2000 + 1)) x | dovecot_adm save -u "$user" -m "$box" ;;
            4 | 5) dovecot_adm flags "$(pick add remove)" -u "$user" "$(pick '\Seen' '\Flagged' '$Forwarded kw1' kw2)" mailbox "$box" uid $((RANDOM % 20 + 1)):$((RANDOM % 20 + 1)) ;;
            6) dovecot_adm expunge -u "$user" mailbox "$box" uid $((RANDOM % 30 + 1)):$((RANDOM % 30 + 1)) ;;
            7) dovecot_adm move -u "$user" "$(pick "${BOXES[@]}")" mailbox "$box" uid $((RANDOM % 20 + 1)) ;;
            8) dovecot_adm mailbox rename -u "$user" Temp Temp2 || dovecot_adm mailbox rename -u "$user" Temp2 Temp || dovecot_adm mailbox create -u "$user" Temp ;;
            9)
                case $((RANDOM % 3)) in
                    0) dovecot_adm mailbox subscribe -u "$user" "$box" ;;
                    1) dovecot_adm mailbox unsubscribe -u "$user" "$box" ;;
                    2) dovecot_adm mailbox delete -u "$user" -s Temp || dovecot_adm mailbox delete -u "$user" -s Temp2 ;;
                esac ;;
        esac
    done >/dev/null 2>&1
}

# ---- a cluster, a Dovecot, a certificate for this mail host --------------------------------------------------------

cluster_init "$MQ_TMP" three || bad "no cluster"
# shellcheck disable=SC2086 # names, parted by blanks
cluster_start $CLUSTER_NODES
cluster_wait 30 || bad "the cluster does not start"
chmod 755 "$D"
dovecot_start "$D/d" || bad "Dovecot does not start"
for user in "${USERS[@]}"; do
    dovecot_user "$D/d" "$user"
    cluster_user "$user" mail || bad "user $user"
    for box in "${BOXES[@]}"; do dovecot_adm mailbox create -u "$user" "$box" 2>/dev/null; done
done
dovecot_user "$D/d" unassigned
"$CLUSTER_BIN/clusterctl" cert issue host mailhost --ca "$CLUSTER_DIR/ca" --out "$D/host" >"$D/cert.log" 2>&1 || {
    cat "$D/cert.log"
    bad "no certificate for the mail host"
}
# shellcheck disable=SC2086
ADDRESSES=$(cluster_address $CLUSTER_NODES)
read -r one two three <<<"$CLUSTER_NODES"

# shellcheck disable=SC2086
start_feed $ADDRESSES
random_ops 60
same "60 random operations" 60 "$one" "$two" "$three"
random_ops 20
leader=$(cluster_leader mail)
cluster_kill "$leader"
random_ops 40
others=$(for n in $CLUSTER_NODES; do [[ $n == "$leader" ]] || echo "$n"; done)
# shellcheck disable=SC2086
same "the leader killed under it" 60 $others
cluster_start "$leader"
kill_feed KILL
random_ops 20
start_feed "unix:$CLUSTER_DIR/$three/sock"
same "the feed killed under it, and started again on a unix socket" 60 "$one" "$two" "$three"
mkdir -p "$D/mb" && chmod 777 "$D/mb"
for ((i = 0; i < 2500; i++)); do printf 'From x@y.org Mon Jan  1 00:00:00 2024\nSubject: b%d\n\nb\n\n' "$i"; done >"$D/mb/mbox"
chmod 666 "$D/mb/mbox"
dovecot_adm import -u anna "mbox:$D/mb:INBOX=$D/mb/mbox:INDEX=MEMORY" Big all >/dev/null
dovecot_adm flags add -u anna '\Flagged' mailbox Big/INBOX all
sleep 1.5
dovecot_adm expunge -u anna mailbox Big/INBOX uid 100:1900
same "2500 messages, one flag command for all, 1801 expunged" 90 "$one"
# clusterctl mailbox changes: read in pieces, each going on where the one before says, it is the same as read at once.
start=$(cluster_ctl mailbox show anna Big/INBOX -o json | jq -r .data.mailbox.change)
dovecot_adm flags add -u anna '\Answered' mailbox Big/INBOX all
dovecot_adm expunge -u anna mailbox Big/INBOX uid 2001:2100
same "flagged again, 100 more expunged" 60 "$one"
cluster_ctl mailbox changes anna Big/INBOX --since "$start" -o json | jq -c '.data.changes[] | [.uid, .expunged]' | sort >"$D/changes"
since=$start pieces=0
while [[ $pieces -lt 100 ]]; do
    cluster_ctl mailbox changes anna Big/INBOX --since "$since" --limit 50 -o json >"$D/piece" || bad "mailbox changes"
    jq -c '.data.changes[] | [.uid, .expunged]' "$D/piece"
    since=$(jq -r .data.next_since "$D/piece") pieces=$((pieces + 1))
    [[ $(jq .data.complete "$D/piece") != true ]] || break
done | sort >"$D/pieces"
if cmp -s "$D/changes" "$D/pieces" && [[ $(grep -c 'true' "$D/changes") -eq 100 && $(wc -l <"$D/changes") -eq 699 ]]; then
    ok "mailbox changes in pieces are those at once: 599 present, 100 expunged"
else
    wc -l "$D/changes" "$D/pieces"
    bad "mailbox changes in pieces"
fi
code=0
cluster_ctl mailbox changes anna Big/INBOX --since 999999999 >/dev/null 2>&1 || code=$?
if [[ $code -eq 20 ]]; then ok "a change number of the future is refused"; else bad "a change number of the future: exit code $code"; fi
from=$SECONDS
printf 'Subject: hint\r\n\r\nx\r\n' | dovecot_adm save -u bo -m INBOX
cluster_ctl mailbox touch bo INBOX >/dev/null || bad "mailbox touch"
for ((i = 0; i < 50; i++)); do grep -q 'hints=[1-9]' "$D/feed.log" && break; sleep 0.1; done
if grep -q 'hints=[1-9]' "$D/feed.log"; then ok "clusterctl mailbox touch reaches the feed"; else bad "no hint arrived"; fi
same "after the hint" $((SECONDS - from + 20)) "$two"
if [[ $(grep -c 'event=feed.user_unassigned user=unassigned' "$D/feed.log") -eq 2 ]]; then
    ok "a user of no shard is named once by each feed"
else
    bad "unassigned user"
fi
kill_feed TERM
if grep -q 'event=feed.stopped code=0' <<<"$(tail -n 1 "$D/feed.log")"; then ok "the feed stops cleanly"; else bad "the feed does not stop"; fi
if cluster_ctl verify --deep >"$D/verify" 2>&1; then ok "all digests are equal, recomputed"; else cat "$D/verify"; bad "verify --deep"; fi
if grep -lE 'AddressSanitizer|runtime error' "$D/feed.log" "$CLUSTER_DIR"/*/log; then bad "a sanitizer spoke"; fi
