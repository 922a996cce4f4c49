#!/bin/bash
# a locked mailbox, a doveadm that hangs, a feed without a node, a node without a quorum: each named in status, in words that say what to do
set -uo pipefail
export LC_ALL=C
CLUSTER_BIN=$MQ_BUILD/bin
. tests/lib/cluster.sh
. tests/lib/dovecot.sh
. tests/lib/mail_host.sh
PIDS=()
end_started() {
    local pid
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null; done
}
mail_host_begin mqtr end_started
D=$HOST
fail() { echo "$*"; exit 1; }
NAMED=()

# named SECONDS WHAT NODE PATTERN CODE: status on NODE has a line like PATTERN and a next step, and ends with CODE.
named() {
    local until=$((SECONDS + $1)) code
    while :; do
        cluster_ctl --node "$3" status -o wide >"$D/said" 2>&1
        code=$?
        if grep -qE "$4" "$D/said" && grep -q 'next: ' "$D/said" && [[ $code -eq $5 ]]; then break; fi
        [[ $SECONDS -lt $until ]] || { cat "$D/said"; fail "$2 is not named (exit $code)"; }
        sleep 0.3
    done
    printf '== %s (exit %d)\n' "$2" "$code"
    grep -E -A 3 "$4" "$D/said" | sed 's/^/   /'
    NAMED+=("$2")
}

# hang is the user at whose name this doveadm never answers.
cat >"$D/doveadm" <<'SH'
#!/bin/bash
for word in "$@"; do
    [[ $word != hang ]] || exec sleep 1000
    if [[ $word == /dev/fd/3 ]] && grep -qx hang /dev/fd/3; then exec sleep 1000; fi
done
exec doveadm "$@"
SH
chmod 755 "$D/doveadm"

cluster_init "$MQ_TMP" five || fail 'no cluster'
# shellcheck disable=SC2086 # a list of names
cluster_start $CLUSTER_NODES
cluster_wait 30 || fail 'the cluster does not start'
dovecot_start "$D/d" || fail 'Dovecot does not start'
for user in anna bo; do dovecot_user "$D/d" "$user"; done # before anybody is looked up: the file is read again once a second
for user in anna bo; do
    cluster_user "$user" mail-beijing || fail "user $user"
    printf 'Subject: one\n\ntext\n' | dovecot_adm save -u "$user" -m INBOX
done
{
    printf '[feed]\nstore = beijing\nsite = beijing\nhost = mail-beijing\nnodes = %s\n' "$(cluster_address bj1 bj2)"
    printf '[tls]\nca = %s/mail-beijing/ca.crt\ncertificate = %s/mail-beijing/host.crt\nkey = %s/mail-beijing/host.key\n' "$CLUSTER_DIR" "$CLUSTER_DIR" "$CLUSTER_DIR"
    printf '[dovecot]\ndoveadm = %s/doveadm\nconfig = %s\nusers_file = %s\nsweep_interval = 1s\npull_deadline = 5s\nlocked_after = 5s\n' "$D" "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
} >"$D/feed.conf"
"$CLUSTER_BIN/mailfeed" "$D/feed.conf" >"$D/feed.log" 2>&1 </dev/null &
PIDS+=($!)
there() { cluster_ctl mailbox list "$1" -o json 2>/dev/null | jq -e '[.data.mailboxes[] | select(.messages == "'"$2"'")] | length > 0' >/dev/null; }
for user in anna bo; do
    for tries in {1..100}; do if there "$user" 1; then break; fi; sleep 0.2; done
    there "$user" 1 || { tail "$D/feed.log"; fail "$user is not reported"; }
done

"$MQ_BUILD/hold_lock" "$D/d/home"/bo/Maildir/dovecot.index.log >"$D/held" &
HOLDER=$!
PIDS+=("$HOLDER")
until grep -q held "$D/held"; do sleep 0.05; done
printf 'Subject: two\n\ntext\n' | dovecot_adm save -u anna -m INBOX
MAILDIR=$D/d/home
printf 'Subject: two\n\ntext\n' >"$MAILDIR/bo/Maildir/new/1700000000.M1P1.two" && chmod 644 "$MAILDIR/bo/Maildir/new/1700000000.M1P1.two"
named 60 'a locked mailbox, with its holder' sh1 "MQ-FEED-USER-STUCK.*bo.*$HOLDER" 10
there anna 2 || fail 'anna waits for bo'
kill "$HOLDER"
for tries in {1..200}; do grep -q MQ-FEED-USER-STUCK <<<"$(cluster_ctl --node sh1 status 2>/dev/null)" || break; sleep 0.2; done

dovecot_user "$D/d" hang
cluster_user hang mail-beijing || fail 'user hang'
named 60 'a doveadm that hangs' sh1 'MQ-FEED-(USER|USER-STUCK|SWEEP).*hang' 10

cluster_kill bj1 bj2
named 90 'a feed without a node' sh1 'FEED_SILENT.*mail-beijing' 10

cluster_kill wit1
named 30 'a node without a quorum' sh1 'NO[ _]QUORUM' 12
echo "named in status, each with what to do next: $(printf '%s; ' "${NAMED[@]}" | sed 's/; $//')"
