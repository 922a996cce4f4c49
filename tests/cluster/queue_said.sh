#!/bin/bash
# queue_said.sh: a Postfix that is nothing but programs that say what they are told, and a cluster. Wants CLUSTER_BIN, MQ_TMP; ends with one
# line of figures, or one that begins with FAILED.
#
#   queue_said.sh many COUNT   a queue of COUNT items: what the first sweep, one at rest, and a feed that starts anew cost in time and memory
#   queue_said.sh journal      instances by postmulti, the log by journalctl that ends, goes on behind a cursor, and says how items ended
set -uo pipefail
export LC_ALL=C
. tests/lib/cluster.sh
MODE=$1 COUNT=${2:-0} ARRIVAL=$(($(date +%s) - 100))
D=$(mktemp -d /tmp/mqm.XXXXXX)
feed=''

finish() {
    trap - EXIT
    [[ -z $feed ]] || kill "$feed" 2>/dev/null
    cluster_cleanup
    rm -rf "$D"
    exit "${1:-1}"
}
trap finish EXIT
trap 'exit 1' TERM INT
bad() {
    echo "FAILED $* ($SECONDS s)"
    [[ ! -f $D/feed.log ]] || tail -n 10 "$D/feed.log"
    finish 1
}

start_feed() {
    : >"$D/feed.log"
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$D/feed.conf" >>"$D/feed.log" 2>&1 </dev/null &
    feed=$!
}
sweeps() { grep -c 'event=feed.queue_status .*complete=1' "$D/feed.log"; }
wait_sweeps() { # N SECONDS
    local until=$((SECONDS + $2))
    while [[ $(sweeps) -lt $1 ]]; do
        { kill -0 "$feed" 2>/dev/null && [[ $SECONDS -lt $until ]]; } || bad "no sweep $1 after $2 s"
        sleep 0.2
    done
}
took() { sed -n "s/.*event=feed.queue_status .*complete=1 took_ms=\([0-9]*\) listed=$COUNT .*/\1/p" "$D/feed.log" | sed -n "$1p"; }
peak_mib() { awk '/^VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$feed/status"; }
now_mib() { awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$feed/status"; }

mkdir -p "$D/postfix"
: >"$D/mail.log"
printf '#!/bin/sh\nexec cat %s\n' "$D/listing" >"$D/postqueue"
printf '#!/bin/sh\nprintf "postfix\\n%s\\n\\n"\n' "$D/mail.log" >"$D/postconf"
chmod 755 "$D/postqueue" "$D/postconf"
cluster_init "$MQ_TMP" three || bad "no cluster"
# shellcheck disable=SC2086 # names, parted by blanks
cluster_start $CLUSTER_NODES
cluster_wait 60 || bad "the cluster does not start"
cluster_ctl queue assign mx1 mail >"$D/assign.out" 2>&1 || bad "queue assign: $(cat "$D/assign.out")"
cat >"$D/feed.conf" <<CONF
[feed]
store = store-a
site = beijing
host = mx1
nodes = unix:$CLUSTER_DIR/bj1/sock
[dovecot]
enabled = no
[postfix]
enabled = yes
postqueue = $D/postqueue
postconf = $D/postconf
postmulti = $D/postmulti
journalctl = $D/journalctl
interval = 1s
CONF

many() {
    local before first rest peak again peak_again changed open i
    awk -v n="$COUNT" -v arrival="$ARRIVAL" 'BEGIN { for (i = 0; i < n; i++)
        printf "{\"queue_name\": \"deferred\", \"queue_id\": \"4jY%08dz1Sx\", \"arrival_time\": %d, \"message_size\": %d, \"forced_expire\": false, \"sender\": \"s%d@src.test\", \"recipients\": [{\"address\": \"user%d@far.test\", \"delay_reason\": \"connect to mx.far.test[192.0.2.%d]:25: Connection timed out\"}]}\n", i, arrival, 500 + i % 9000, i % 977, i, i % 250 }' >"$D/listing.new"
    printf 'config_directories = %s/postfix\nlog = %s/mail.log\n' "$D" "$D" >>"$D/feed.conf"
    : >"$D/listing"
    start_feed
    wait_sweeps 1 60
    before=$(now_mib)
    mv "$D/listing.new" "$D/listing"
    for ((i = 0; i < 1500; i++)); do [[ -z $(took 2) ]] || break; sleep 0.2; done
    first=$(took 1) rest=$(took 2) peak=$(peak_mib)
    kill -9 "$feed"
    wait "$feed" 2>/dev/null
    start_feed
    wait_sweeps 1 300
    again=$(took 1) peak_again=$(peak_mib) changed=$(sed -n 's/.*event=feed.queue_status .*complete=1.* changed=\([0-9]*\).*/\1/p' "$D/feed.log" | head -n 1)
    open=$(cluster_ctl queue list -o json | jq -r '.data.queues[0].open')
    [[ $open -eq $COUNT ]] || bad "$open of $COUNT items are recorded"
    [[ $changed -eq 0 ]] || bad "a feed that started anew reported $changed items again"
    kill "$feed" && wait "$feed"
    feed=''
    echo "$COUNT queued items: first sweep $first ms, one at rest $rest ms, after a restart $again ms with nothing reported again; the feed's memory at most $peak MiB, after a restart $peak_again MiB ($before MiB without a queue)"
}

# fate ID: what clusterctl says of it.
fate() { cluster_ctl queue show mx1 "$1" -o json 2>/dev/null | jq -r '.data.items[0] | if .closed then .outcome else .state end'; }
until_fate() { # ID FATE
    local until=$((SECONDS + 60))
    while [[ $(fate "$1") != "$2" ]]; do
        [[ $SECONDS -lt $until ]] || bad "$1 is $(fate "$1"), not $2"
        sleep 0.3
    done
}
say() { # ID: as postqueue lists it
    printf '{"queue_name": "deferred", "queue_id": "%s", "arrival_time": %s, "message_size": 1, "forced_expire": false, "sender": "s@src.test", "recipients": [{"address": "bo@far.test", "delay_reason": "later"}]}\n' "$1" "$ARRIVAL"
}
entry() { # CURSOR TAG TEXT [SECONDS after the arrival]: as journalctl says it
    printf '{"__CURSOR":"%s","__REALTIME_TIMESTAMP":"%s000000","SYSLOG_FACILITY":"2","SYSLOG_IDENTIFIER":"postfix/%s","MESSAGE":"%s"}\n' "$1" "$((ARRIVAL + ${4:-50}))" "$2" "$3" >>"$D/journal"
}
journal() {
    # Its arguments are kept; it follows a file, from behind the cursor it was given, and ends now and then as journalctl may.
    cat >"$D/journalctl" <<'FAKE'
#!/bin/bash
cd "$(dirname "$0")" || exit 1
echo "$*" >>journalctl.args
cursor=$(sed -n 's/.*--after-cursor=\([^ ]*\).*/\1/p' <<<"$*")
from=1
[[ -z $cursor ]] || from=$(($(grep -n "\"__CURSOR\":\"$cursor\"" journal | cut -d: -f1) + 1))
exec timeout 4 tail -n "+$from" -f journal
FAKE
    printf '#!/bin/sh\necho "-               -               y         %s/postfix"\n' "$D" >"$D/postmulti"
    chmod 755 "$D/journalctl" "$D/postmulti"
    : >"$D/journal"
    printf 'log = journal\n' >>"$D/feed.conf"
    { say one; say two; say three; say four; say five; } >"$D/listing"
    start_feed
    wait_sweeps 2 60
    until_fate four deferred
    { say two; say three; say four; say five; } >"$D/listing.new" && mv "$D/listing.new" "$D/listing"
    entry s=1 smtp 'one: to=<bo@far.test>, relay=x, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)'
    entry s=2 qmgr 'one: removed'
    until_fate one delivered
    kill -9 "$feed" && wait "$feed" 2>/dev/null
    { say three; say four; say five; } >"$D/listing.new" && mv "$D/listing.new" "$D/listing"
    entry s=3 postsuper 'two: removed' # while nobody follows
    start_feed
    until_fate two deleted
    grep -q -- '--after-cursor=s=' "$D/journalctl.args" || bad "journalctl was not asked to go on behind a cursor: $(cat "$D/journalctl.args")"
    { say four; say five; } >"$D/listing.new" && mv "$D/listing.new" "$D/listing"
    until_fate three unknown # the log is late
    entry s=4 smtp 'three: to=<bo@far.test>, relay=x, delay=1, delays=1/0/0/0, dsn=5.0.0, status=bounced (550 no)'
    entry s=5 qmgr 'three: removed'
    until_fate three bounced
    say four >"$D/listing.new" && mv "$D/listing.new" "$D/listing"
    entry s=6 qmgr 'five: removed' -30 # the clock was set back: no word that the cluster can take
    until_fate five unknown
    [[ $(fate four) == deferred ]] || bad "four is $(fate four)"
    grep -q 'event=feed.journal_ended' "$D/feed.log" || sleep 5
    grep -q 'event=feed.journal_ended' "$D/feed.log" || bad "journalctl never ended"
    [[ $(cluster_ctl -o json queue list | jq -r '.data.queues[0].site') == beijing ]] || bad "the queue's site is not recorded"
    if cluster_ctl queue forget mx1 >"$D/forget.out" 2>&1; then bad "a queue that is reported was forgotten"; fi
    grep -q 'a feed reports it' "$D/forget.out" || bad "queue forget: $(cat "$D/forget.out")"
    kill "$feed" && wait "$feed"
    grep -q 'event=feed.stopped code=0' "$D/feed.log" || bad "the feed does not stop cleanly"
    cluster_ctl queue forget mx1 >"$D/forget.out" 2>&1 || bad "queue forget: $(cat "$D/forget.out")"
    cluster_ctl -o json queue list | jq -e '.data.queues == []' >/dev/null || bad "the queue is listed after it was forgotten"
    until_fate four null # there is no such item
    if grep -lE 'AddressSanitizer|runtime error' "$D/feed.log" "$CLUSTER_DIR"/*/log; then bad "a sanitizer spoke"; fi
    feed=''
    echo "by the journal: delivered, deleted while the feed was dead, unknown and then bounced by a late line, unknown when the line is older than the item, forgotten when its feed had stopped; journalctl was started $(wc -l <"$D/journalctl.args") times"
}

$MODE
finish 0
