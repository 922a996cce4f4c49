#!/bin/bash
# queue_equal.sh MESSAGES: a private Postfix (two instances), mailfeed, and a cluster of three nodes. Deferrals, holds, releases, requeues,
# deletes, expiries, bounces, and a postqueue whose output is cut at random: nothing that lives is ever closed, and at the end the items
# in the queue are Postfix' and those that left it ended as its log says.
# Ends with one line of figures, or with a line that begins with FAILED. Wants CLUSTER_BIN, MQ_TMP, MQ_SEED; see tests/suites/queue.sh.
set -uo pipefail
export LC_ALL=C
. tests/lib/cluster.sh
. tests/lib/postfix.sh
MESSAGES=$1
D=$(mktemp -d /tmp/mqq.XXXXXX)
RANDOM=$((${MQ_SEED:-1} % 32768))
HOST=mx1
feed=''
checks=0

finish() {
    trap - EXIT
    [[ -z $feed ]] || kill "$feed" 2>/dev/null
    cluster_cleanup
    for i in a b; do [[ ! -d $D/$i/queue ]] || postfix_kill "$D/$i"; done
    for i in ok no; do postfix_sink_stop "$D/$i"; done
    rm -rf "$D"
    exit "${1:-1}"
}
trap finish EXIT
trap 'exit 1' TERM INT
bad() {
    echo "FAILED $* ($SECONDS s)"
    [[ ! -f $D/feed.log ]] || grep -v 'event=feed.status' "$D/feed.log" | tail -n 15
    finish 1
}

# ---- what Postfix says -----------------------------------------------------------------------------------------------------------

both() { local i; for i in a b; do "$@" "$D/$i"; done; }
listing_() { postqueue -c "$1/etc" -j; }
ids_() { postfix_ids "$1"; }

# id, state, recipients with reasons, sorted: the queue as it is.
truth_open() {
    both listing_ | jq -r '"\(.queue_id) \(.queue_name) \(.sender | if . == "MAILER-DAEMON" then "" else . end) \(.message_size) " +
        ([.recipients[] | "\(.address)=\(.delay_reason // "" | .[0:197])"] | sort | join(" "))' | sort
}
record_open() {
    cluster_ctl queue list $HOST -o json 2>"$D/ctl.err" | jq -r '.data.items[] | "\(.id) \(.state) \(.sender) \(.bytes) " +
        ([.recipients[] | select(.outcome == "open") | "\(.address)=\(.reply // "" | .[0:197])"] | sort | join(" "))' | sort
}
# id, recipient, outcome of what has left, as the cluster has it.
record_closed() {
    cluster_ctl queue list $HOST --closed -o json 2>"$D/ctl.err" |
        jq -r '.data.items[] | select(.closed) | .id as $id | .recipients[] | "\($id) \(.address) \(.outcome)"' | sort
}
# The same by the logs: for each "id recipient outcome" of the cluster what is right.
by_log() {
    cat "$D"/[ab]/log/mail.log* | awk -v record="$1" '
        { id = $6; sub(/:$/, "", id); tag = $5; sub(/\[.*/, "", tag); sub(/.*\//, "", tag) }
        $7 ~ /^to=</ && match($0, /, status=[a-z]+/) {
            to = $7; sub(/^to=</, "", to); sub(/>,$/, "", to)
            status = substr($0, RSTART + 9, RLENGTH - 9)
            if (status == "sent") fate[id, to] = "delivered"
            if (status == "bounced") fate[id, to] = "bounced"
        }
        tag == "qmgr" && /status=(force-)?expired, returned/ { rest[id] = "expired" }
        tag == "qmgr" && $7 == "removed" && !(id in rest) { rest[id] = "unknown" }
        tag == "postsuper" && $7 == "removed" { rest[id] = "deleted" }
        tag == "pickup" && match($0, /orig_id=[0-9A-Za-z]+/) { rest[substr($0, RSTART + 8, RLENGTH - 8)] = "requeued" }
        END {
            while ((getline line <record) > 0) {
                split(line, f, " ")
                print f[1], f[2], ((f[1], f[2]) in fate) ? fate[f[1], f[2]] : (f[1] in rest) ? rest[f[1]] : "open"
            }
        }' | sort
}

# Nothing that is in the queue now was closed before.
none_closed_that_lives() {
    cluster_ctl queue list $HOST --closed -o json 2>"$D/ctl.err" | jq -r '.data.items[] | select(.closed) | .id' | sort -u >"$D/closed.ids"
    both ids_ | sort -u >"$D/living.ids"
    comm -12 "$D/closed.ids" "$D/living.ids" >"$D/both.ids"
    checks=$((checks + 1))
    [[ ! -s $D/both.ids ]] || bad "$1: closed and alive: $(head -n 3 "$D/both.ids" | tr '\n' ' ')"
}

# ---- what happens ----------------------------------------------------------------------------------------------------------------

some_ids() { postfix_ids "$1" "$2" | shuf -n "$3" --random-source=<(yes "$RANDOM"); }
round() { # INSTANCE COUNT
    local i=$1 n=$2
    postfix_source "$i" s@src.test "u$RANDOM@ok.test" $((n * 45 / 100)) || bad smtp-source
    postfix_source "$i" s@src.test "u$RANDOM@far.test" $((n * 45 / 100)) || bad smtp-source
    postfix_source "$i" s@ok.test "u$RANDOM@no.test" $((n / 10)) || bad smtp-source
    printf 'Subject: several\n\nx\n' | postfix_send "$i" several@src.test a@ok.test b@far.test c@ok.test d@far.test || bad "no message"
    some_ids "$i" deferred $((n / 20 + 1)) | postfix_super "$i" -h - 2>/dev/null
    some_ids "$i" hold $((n / 40 + 1)) | postfix_super "$i" -H - 2>/dev/null
    some_ids "$i" deferred $((n / 20 + 1)) | postfix_super "$i" -r - 2>/dev/null
    some_ids "$i" deferred $((n / 20 + 1)) | postfix_super "$i" -d - 2>/dev/null
    some_ids "$i" deferred $((n / 40 + 1)) | postfix_super "$i" -e - 2>/dev/null
    [[ $((RANDOM % 3)) -ne 0 ]] || postfix_flush "$i"
}

start_feed() {
    cat >"$D/feed.conf" <<CONF
[feed]
store = store-a
site = beijing
host = $HOST
nodes = unix:$CLUSTER_DIR/bj1/sock unix:$CLUSTER_DIR/sh1/sock unix:$CLUSTER_DIR/sz1/sock
lease_ttl = 5s
[dovecot]
enabled = no
[postfix]
enabled = yes
config_directories = $D/a/etc $D/b/etc
postqueue = $D/postqueue
interval = 1s
CONF
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$D/feed.conf" >>"$D/feed.log" 2>&1 </dev/null &
    feed=$!
}

postfix_available || { echo "SKIP Postfix and root are needed"; finish 77; }
cluster_init "$MQ_TMP" three || bad "no cluster"
# shellcheck disable=SC2086 # names, parted by blanks
cluster_start $CLUSTER_NODES
chmod 755 "$D"
POSTFIX_EXTRA='smtp_skip_5xx_greeting = yes' both postfix_start || bad "Postfix does not start"
postfix_sink_start "$D/ok" && ok_port=$POSTFIX_SINK_PORT || bad "no sink"
postfix_sink_start "$D/no" 0 -f rcpt && no_port=$POSTFIX_SINK_PORT || bad "no sink"
postfix_closed_port
for i in a b; do
    postfix_route "$D/$i" ok.test "smtp:[127.0.0.1]:$ok_port"
    postfix_route "$D/$i" no.test "smtp:[127.0.0.1]:$no_port"
    postfix_route "$D/$i" far.test "smtp:[127.0.0.1]:$POSTFIX_CLOSED_PORT"
done
# A postqueue that is cut while `cut` is there: it ends early, in every way a program may.
cat >"$D/postqueue" <<WRAPPER
#!/bin/bash
if [[ ! -f $D/cut || \$((RANDOM % 3)) -eq 0 ]]; then exec postqueue "\$@"; fi
echo >>$D/cuts
postqueue "\$@" >$D/all.\$\$; size=\$(stat -c %s $D/all.\$\$); head -c \$((size * (RANDOM % 100) / 100 + 1)) $D/all.\$\$; rm $D/all.\$\$
case \$((RANDOM % 3)) in 0) exit 0 ;; 1) exit 1 ;; 2) kill -9 \$\$ ;; esac
WRAPPER
chmod 755 "$D/postqueue"
cluster_wait 30 || bad "the cluster does not start"
start_feed
for ((i = 0; i < 100; i++)); do grep -q MQ-FEED-QUEUE-UNASSIGNED "$D/feed.log" && break; sleep 0.1; done
grep -q MQ-FEED-QUEUE-UNASSIGNED "$D/feed.log" || bad "the feed of a host without a shard does not say so"
cluster_ctl queue assign $HOST mail >"$D/assign.out" 2>&1 || bad "queue assign: $(cat "$D/assign.out")"

rounds=$((MESSAGES / 100 < 4 ? 4 : MESSAGES / 100 > 20 ? 20 : MESSAGES / 100))
touch "$D/cut"
for ((r = 1; r <= rounds; r++)); do
    round "$D/a" $((MESSAGES * 8 / 10 / rounds))
    round "$D/b" $((MESSAGES * 2 / 10 / rounds))
    none_closed_that_lives "round $r"
    if [[ $r -eq $((rounds / 2)) ]]; then # and with the feed killed and started again
        kill -9 "$feed" && wait "$feed" 2>/dev/null
        start_feed
    elif [[ $r -eq $((rounds / 2 + 1)) ]] && leader=$(cluster_leader mail); then # and with the leader killed under it
        cluster_kill "$leader"
    fi
    [[ $MESSAGES -gt 1000 ]] || sleep 0.7
done
[[ -z ${leader:-} ]] || cluster_start "$leader"
none_closed_that_lives "the last round"
rm "$D/cut"
flush_some() { some_ids "$D/$1" deferred $((MESSAGES / 20 + 2)) | while read -r id; do postqueue -c "$D/$1/etc" -i "$id"; done; }
for i in a b; do # some of those that waited long are delivered, others bounce
    postfix_route "$D/$i" far.test "smtp:[127.0.0.1]:$ok_port"
    flush_some $i
    postfix_wait_idle "$D/$i" 60 || bad "mail is still under way"
    postfix_route "$D/$i" far.test "smtp:[127.0.0.1]:$no_port"
    flush_some $i
done
for i in a b; do postfix_wait_idle "$D/$i" 60 || bad "mail is still under way"; done

# ---- at the end ------------------------------------------------------------------------------------------------------------------

until=$((SECONDS + 60))
while :; do
    truth_open >"$D/truth"
    record_open >"$D/record"
    record_closed >"$D/ended"
    by_log "$D/ended" >"$D/right"
    cmp -s "$D/truth" "$D/record" && cmp -s "$D/ended" "$D/right" && break
    [[ $SECONDS -lt $until ]] || {
        diff "$D/truth" "$D/record" | head -n 6
        diff "$D/right" "$D/ended" | head -n 6
        head -n 3 "$D/ctl.err"
        bad "items or outcomes are not Postfix' (< is what is right)"
    }
    sleep 0.5
done
none_closed_that_lives "the end"
unexplained=$(cluster_ctl queue list -o json | jq -r '[.data.queues[].unexplained | tonumber] | add')
[[ $unexplained -eq $(grep ' unknown$' "$D/ended" | cut -d' ' -f1 | sort -u | wc -l) ]] || bad "$unexplained items are called unexplained"
[[ -s $D/cuts ]] || bad "postqueue was never cut"
[[ $(wc -l <"$D/truth") -gt 0 && $(wc -l <"$D/ended") -gt 0 ]] || bad "nothing was compared"
cluster_ctl verify --deep >"$D/verify" 2>&1 || { cat "$D/verify"; bad "verify --deep"; }
kill "$feed" && wait "$feed"
grep -q 'event=feed.stopped code=0' "$D/feed.log" || bad "the feed does not stop cleanly"
if grep -lE 'AddressSanitizer|runtime error' "$D/feed.log" "$CLUSTER_DIR"/*/log; then bad "a sanitizer spoke"; fi
feed=''
fates=$(cut -d' ' -f3 "$D/ended" | sort | uniq -c | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2 }')
accepted=$(cat "$D"/[ab]/log/mail.log | grep -c 'smtpd.*: client=')
echo "$accepted messages through two instances: $(wc -l <"$D/truth") items still queued and $(wc -l <"$D/ended") recipients of those that left ($fates) equal to postqueue and the log; $(wc -l <"$D/cuts") cut listings; $checks times none closed that lived"
finish 0
