#!/bin/bash
# imap_equal.sh BUILD LAYOUT OPS MODE DIR: random IMAP operations against a Dovecot in Beijing, mailfeed beside it, and a cluster; at rest the
# nodes of the other site hold what doveadm says.
#
# MODE plain: Dovecot's event exporter says who has changed, a sweep each 10 s; nohints: a sweep a second and nothing else; killed: so
# too, and feed and nodes are killed with -9 at random and come back. Chance from MQ_SEED; PAUSE_MS: between two operations, 30 on average;
# MQ_MAIL_TMP: where the mail is, /tmp. Prints what was done and how many full synchronisations there were; exit 0 only if all was
# equal, digests too, and there were no more of them than mailboxes ever made + changes of UIDVALIDITY.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
export LC_ALL=C
[[ $# -eq 5 ]] || { sed -n '2,3s/^# *//p' "$0"; exit 2; }
BUILD=$1 LAYOUT=$2 OPS=$3 MODE=$4 DIR=$5
CLUSTER_BIN=$BUILD/bin
source tests/lib/cluster.sh
source tests/lib/dovecot.sh
source tests/lib/mail_host.sh
source tests/lib/mail_truth.sh
SEED=$((${MQ_SEED:-1} % 1000000007))
RANDOM=$((SEED % 32768))
USERS=(anna bo carl)
feed='' killer=''
killed=0 killed_feed=0

end_feed() {
    [[ -z $killer ]] || kill "$killer" 2>/dev/null
    kill_feed KILL
}
mail_host_begin mqie end_feed
fail() {
    echo "imap_equal $MODE, seed $SEED: $*"
    [[ ! -f $DIR/feed.log ]] || grep -v event=feed.status "$DIR/feed.log" | tail -n 15
    exit 1
}
pause() { sleep "$(awk -v r="$RANDOM" -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a + (b - a) * r / 32768}')"; }

# The feed's pid is in a file: whoever kills it and starts it again is another process of this script.
start_feed() {
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$DIR/feed.conf" >>"$DIR/feed.log" 2>&1 </dev/null &
    echo $! >"$DIR/feed.pid"
    disown $!
}
kill_feed() {
    [[ -s $DIR/feed.pid ]] || return 0
    local pid tries
    pid=$(<"$DIR/feed.pid")
    kill "-$1" "$pid" 2>/dev/null
    for tries in {1..500}; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.02
    done
    : >"$DIR/feed.pid"
}
write_feed_conf() {
    {
        printf '[feed]\nstore = store-beijing\nsite = beijing\nlease_ttl = 3s\n'
        # shellcheck disable=SC2086
        printf 'nodes = %s\n' "$(cluster_address $CLUSTER_NODES)"
        printf '[tls]\nca = %s\ncertificate = %s/host/mailhost.crt\nkey = %s/host/mailhost.key\n' "$CLUSTER_CA" "$DIR" "$DIR"
        printf '[dovecot]\nconfig = %s\nusers_file = %s\n' "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
        if [[ -n ${DOVECOT_HINTS:-} ]]; then echo "hints = $DOVECOT_HINTS"; else printf 'sweep_interval = 1s\nsweep_cpu = 100\n'; fi
    } >"$DIR/feed.conf"
}

# Until it is told to stop: the feed, one node, or (one time in six) all nodes.
kill_at_random() {
    local names node
    read -ra names <<<"$CLUSTER_NODES"
    while [[ ! -e $DIR/enough ]]; do
        pause 0.5 2.5
        case $((RANDOM % 6)) in
            0 | 1 | 2)
                kill_feed KILL
                echo "$EPOCHSECONDS feed" >>"$DIR/kills"
                pause 0 1
                start_feed ;;
            3 | 4)
                node=${names[RANDOM % ${#names[@]}]}
                cluster_kill "$node"
                echo "$EPOCHSECONDS $node" >>"$DIR/kills"
                pause 0.2 1.5
                cluster_start "$node" ;;
            5)
                # shellcheck disable=SC2086
                cluster_kill $CLUSTER_NODES
                echo "$EPOCHSECONDS all nodes" >>"$DIR/kills"
                pause 0.1 0.5
                # shellcheck disable=SC2086
                cluster_start $CLUSTER_NODES ;;
        esac
    done
}

# ---- a cluster, a Dovecot, a certificate for this mail host -----------------------------------------------------

case $LAYOUT in five) shard=mail-beijing others='sh1 sh2' ;; *) shard=mail others=sh1 ;; esac
mkdir -p "$DIR"
cluster_init "$DIR" "$LAYOUT" || fail "no cluster"
# shellcheck disable=SC2086
cluster_start $CLUSTER_NODES
cluster_wait 60 || fail "the cluster does not start"
[[ $MODE != plain ]] || DOVECOT_HINTS=127.0.0.1:$(dovecot_free_port)
dovecot_start "$HOST/d" || fail "Dovecot does not start"
for user in "${USERS[@]}"; do
    dovecot_user "$HOST/d" "$user"
    cluster_user "$user" "$shard" || fail "user $user"
done
"$CLUSTER_BIN/clusterctl" cert issue host mailhost --ca "$CLUSTER_DIR/ca" --out "$DIR/host" >"$DIR/cert.log" 2>&1 ||
    { cat "$DIR/cert.log"; fail "no certificate for the mail host"; }
write_feed_conf
start_feed

# ---- the run ----------------------------------------------------------------------------------------------------

if [[ $MODE == killed ]]; then
    kill_at_random &
    killer=$!
fi
from=$SECONDS
"$BUILD/imap_random" --port "$DOVECOT_IMAP_PORT" --config "$DOVECOT_CONF" --seed "$SEED" --ops "$OPS" --pause-ms "${PAUSE_MS:-30}" "${USERS[@]}" \
    >"$DIR/random.out" 2>"$DIR/random.err" || { cat "$DIR/random.err"; fail "the operations were not done"; }
cat "$DIR/random.out"
took=$((SECONDS - from))
if [[ -n $killer ]]; then
    touch "$DIR/enough"
    wait "$killer"
    killer=''
    killed_feed=$(grep -c feed "$DIR/kills") killed=$(grep -vc feed "$DIR/kills")
    echo "killed -9: the feed $killed_feed times, nodes $killed times"
    cluster_wait 60 || fail "the cluster is not whole again"
fi
from=$SECONDS
mail_same "$DIR" 120 "$others" -- "${USERS[@]}" || fail "not equal after $((SECONDS - from)) s"
echo "equal $((SECONDS - from)) s after the last operation: $MAIL_RECORDS records on $others"
kill_feed TERM
if [[ $MODE == plain ]]; then
    hints=$(grep -o ' hints=[0-9]*' "$DIR/feed.log" | tail -n 1 | tr -dc 0-9)
    [[ ${hints:-0} -gt 0 ]] || fail "no hint came"
    echo "hints: $hints"
fi
full=$(grep -c 'event=feed.full_compare' "$DIR/feed.log")
most=$(sed -E 's/.* mailboxes=([0-9]+) .* uidvalidity=([0-9]+)\/.*/\1 + \2/' "$DIR/random.out")
[[ $full -le $((most)) ]] || fail "$full full synchronisations; mailboxes + UIDVALIDITY changes: $most"
cluster_ctl verify --deep >"$DIR/verify.out" 2>&1 || { cat "$DIR/verify.out"; fail "verify --deep"; }
if grep -lE 'AddressSanitizer|runtime error|must\(' "$DIR/feed.log" "$CLUSTER_DIR"/*/log; then fail "a log holds a crash"; fi
echo "imap_equal $MODE, seed $SEED: $OPS operations in $took s, $MAIL_RECORDS records equal on $others, $full full synchronisations of at most $((most)) ($most), feed killed $killed_feed times, nodes $killed times"
