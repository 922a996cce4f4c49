#!/bin/bash
# feed: mailfeed between a real Dovecot and a cluster that misbehaves: whatever happens, the cluster ends with exactly what
# doveadm says: mailboxes, UIDs, GUIDs, flags, keywords, MODSEQ, sizes and dates.
# seconds-max: 280
#
# The cluster is tests/cluster/feed_fake_cluster.c: a plain model that checks every rule a feed must keep.
set -uo pipefail
. tests/lib/dovecot.sh
. tests/lib/suite.sh

BIN=${MQ_FEED_BIN:-$MQ_BUILD_ASAN/bin}/mailfeed
FAKE=${MQ_FEED_FAKE:-$MQ_BUILD_ASAN}/feed_fake_cluster
D=$(mktemp -d /tmp/mqfeed.XXXXXX)
RANDOM=$((${MQ_SEED:-1} % 32768))
echo "seed ${MQ_SEED:-1}"
pids=()

clean_up() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    [[ ! -f $D/dovecot/dovecot.conf ]] || dovecot_stop "$D/dovecot"
    rm -rf "$D"
}
suite_begin feed clean_up
bad() {
    failed "$@"
    tail -n 15 "$D"/feed*.log
}

if [[ ! $(dovecot_version) =~ ^2\.[34]$ ]]; then
    skip feed "Dovecot 2.3 or 2.4 is not installed"
    exit 0
fi
USERS=(anna bo carl dora)

# ---- the truth and the model, line by line the same --------------------------------------------------------------

truth() {
    local user
    dovecot_adm -f tab mailbox list -F "$DOVECOT_USERS_FILE" -s '*' 2>/dev/null | tail -n +2 >"$D/subscribed"
    dovecot_adm -f tab mailbox status -F "$DOVECOT_USERS_FILE" 'guid uidvalidity uidnext highestmodseq messages' '*' 2>/dev/null |
        awk -F'\t' -v subs="$D/subscribed" '
            BEGIN { while ((getline line <subs) > 0) s[line] = 1 }
            NR == 1 { for (i = 1; i <= NF; i++) c[tolower($i)] = i; next }
            $c["mailbox"] ~ /^(Public|Virtual)\// { next } # owned by no user, excluded
            { print "box\t" $c["username"] "\t" $c["mailbox"] "\t" $c["guid"] "\t" $c["uidvalidity"] "\t" $c["uidnext"] "\t" \
                $c["highestmodseq"] "\t" $c["messages"] "\t" (($c["username"] "\t" $c["mailbox"]) in s ? "subscribed" : "-") }'
    for user in "${USERS[@]}"; do
        dovecot_adm -f tab fetch -u "$user" 'mailbox-guid uid guid modseq size.virtual date.received.unixtime flags mailbox' mailbox '*' |
            awk -F'\t' -v user="$user" '
                NR == 1 || $8 ~ /^(Public|Virtual)\// { next }
                {
                    n = split($7, f, " "); sys = ""; k = 0; delete kw
                    for (i = 1; i <= n; i++) seen[f[i]] = NR
                    split("\\Seen \\Answered \\Flagged \\Deleted \\Draft", order, " ")
                    for (i = 1; i <= 5; i++) if (seen[order[i]] == NR) sys = sys order[i]
                    for (i = 1; i <= n; i++) if (f[i] !~ /^\\/) kw[++k] = f[i]
                    for (i = 2; i <= k; i++) for (j = i; j > 1 && kw[j - 1] > kw[j]; j--) { t = kw[j]; kw[j] = kw[j - 1]; kw[j - 1] = t }
                    words = ""
                    for (i = 1; i <= k; i++) words = words (i > 1 ? " " : "") kw[i]
                    print "msg\t" user "\t" $1 "\t" $2 "\t" $3 "\t" $4 "\t" $5 "\t" $6 "\t" sys "\t" words
                }'
    done
}

model() {
    rm -f "$D/dump"
    kill -USR1 "$fake" 2>/dev/null || return 1
    local i
    for i in {1..100}; do
        [[ ! -f $D/dump ]] || { grep -v '^#' "$D/dump"; return 0; }
        sleep 0.05
    done
    return 1
}

# same WHAT SECONDS: waits until the model is the truth.
same() {
    local until=$((SECONDS + $2))
    while :; do
        truth | sort >"$D/truth" # each time: Dovecot may say UIDVALIDITY 0 of a mailbox it is just making
        model | sort >"$D/model"
        if cmp -s "$D/truth" "$D/model"; then
            ok "$1: $(grep -c ^box "$D/truth") mailboxes, $(grep -c ^msg "$D/truth") messages the same"
            return 0
        fi
        [[ $SECONDS -lt $until ]] || break
        kill -0 "$fake" 2>/dev/null || break
        kill -0 "$feed" 2>/dev/null || [[ ${FEED_IS_GONE:-} == yes ]] || break
        sleep 0.3
    done
    diff "$D/truth" "$D/model" | head -n 12
    tail -n 3 "$D/fake.log"
    bad "$1: the model is not what doveadm says"
    exit 1 # what follows would only wait for the same
}

start_fake() {
    "$FAKE" "$D/sock" "$D/dump" "$@" >>"$D/fake.log" 2>&1 &
    fake=$!
    pids+=("$fake")
    local i
    for i in {1..50}; do [[ -S $D/sock ]] && return 0; sleep 0.05; done
}
stop() { # PID [SIGNAL]
    kill -"${2:-TERM}" "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

config() { # FILE HOST [lines of dovecot section]
    cat >"$1" <<CONF
[feed]
store = store-a
site = beijing
host = $2
nodes = unix:$D/sock
lease_ttl = ${LEASE_TTL:-3s}
[dovecot]
doveadm = ${DOVEADM:-$(command -v doveadm)}
config = $DOVECOT_CONF
users_file = $DOVECOT_USERS_FILE
sweep_interval = ${SWEEP:-500ms}
imap_children_max = 3
pull_deadline = ${DEADLINE:-10s}
locked_after = ${LOCKED_AFTER:-60s}
sweep_cpu = 100
exclude = Virtual/
CONF
}
start_feed() { # HOST
    config "$D/$1.ini" "$1"
    MQ_LOG_TIME=1 "$BIN" "$D/$1.ini" >>"$D/feed-$1.log" 2>&1 &
    feed=$!
    pids+=("$feed")
}

# ---- mail ------------------------------------------------------------------------------------------------------

message() { printf 'From: %s@example.org\r\nSubject: %s\r\n\r\n%*s\r\n' "$1" "$2" $((RANDOM % 3000 + 1)) x; }
pick() { local a=("$@"); echo "${a[RANDOM % ${#a[@]}]}"; }
BOXES=(INBOX Work Work/2026 'Entwürfe & Co' 'Q "x" \ y')

random_ops() {
    local i user box
    for ((i = 0; i < $1; i++)); do
        user=$(pick "${USERS[@]}") box=$(pick "${BOXES[@]}")
        case $((RANDOM % 12)) in
            0 | 1 | 2 | 3) message "$user" "n$i" | dovecot_adm save -u "$user" -m "$box" ;;
            4 | 5) dovecot_adm flags "$(pick add remove)" -u "$user" "$(pick '\Seen' '\Flagged' '\Answered \Draft' '$Forwarded kw1' kw2)" mailbox "$box" uid $((RANDOM % 20 + 1)):$((RANDOM % 20 + 1)) ;;
            6 | 7) dovecot_adm expunge -u "$user" mailbox "$box" uid $((RANDOM % 30 + 1)):$((RANDOM % 30 + 1)) ;;
            8) dovecot_adm copy -u "$user" "$(pick "${BOXES[@]}")" mailbox "$box" uid $((RANDOM % 20 + 1)) ;;
            9) dovecot_adm move -u "$user" "$(pick "${BOXES[@]}")" mailbox "$box" uid $((RANDOM % 20 + 1)) ;;
            10) dovecot_adm mailbox rename -u "$user" Temp Temp2 || dovecot_adm mailbox rename -u "$user" Temp2 Temp || dovecot_adm mailbox create -u "$user" Temp ;;
            11)
                case $((RANDOM % 3)) in
                    0) dovecot_adm mailbox subscribe -u "$user" "$box" ;;
                    1) dovecot_adm mailbox unsubscribe -u "$user" "$box" ;;
                    2) dovecot_adm mailbox delete -u "$user" -s Temp || dovecot_adm mailbox delete -u "$user" -s Temp2 ;;
                esac ;;
        esac
    done >/dev/null 2>&1
}

# ---- tests -----------------------------------------------------------------------------------------------------

config_errors() {
    local text
    config "$D/bad.ini" x
    sed -i 's/^sweep_interval/sweep_intervall/' "$D/bad.ini"
    text=$("$BIN" --check-config "$D/bad.ini" 2>&1)
    if [[ $? -eq 78 && $text =~ bad.ini:[0-9]+:.*sweep_interval ]]; then ok "an unknown key is refused with its line and a suggestion"; else bad "unknown key: $text"; fi
    config "$D/good.ini" x
    if "$BIN" --check-config "$D/good.ini" >/dev/null; then ok "a good file passes --check-config"; else bad "good file"; fi
}

flags_of_thousands() {
    local i
    mkdir -p "$D/mb" && chmod 777 "$D/mb"
    for ((i = 0; i < 2500; i++)); do printf 'From x@y.org Mon Jan  1 00:00:00 2024\nSubject: b%d\n\nb\n\n' "$i"; done >"$D/mb/mbox"
    chmod 666 "$D/mb/mbox"
    dovecot_adm import -u anna "mbox:$D/mb:INBOX=$D/mb/mbox:INDEX=MEMORY" Big all >/dev/null
    dovecot_adm flags add -u anna '\Flagged' mailbox Big/INBOX all
    [[ $(truth | grep -c ^msg) -ge 2500 ]] || bad "the mailbox of 2500 was not made"
    same "2500 messages and one flag command for all of them, in pages" 60
    dovecot_adm flags add -u anna '\Seen' mailbox Big/INBOX all
    dovecot_adm expunge -u anna mailbox Big/INBOX uid 100:1900
    same "2500 flags with one MODSEQ, then 1801 expunged" 60
}

# The index log is lost: HIGHESTMODSEQ falls, and everything is compared. Only the record's HIGHESTMODSEQ stays as high as it was.
lost_index_log() {
    local until=$((SECONDS + 30)) from
    # The message first: its flags then raise HIGHESTMODSEQ to where a new log does not come soon.
    from=$(grep -c 'event=feed.full_compare user=carl.*HIGHESTMODSEQ is below' "$D/feed-first.log")
    message carl before | dovecot_adm save -u carl -m INBOX
    for _ in 1 2 3 4; do dovecot_adm flags add -u carl '\Seen' mailbox INBOX all; dovecot_adm flags remove -u carl '\Seen' mailbox INBOX all; done
    same "before an index log is lost" 30
    local home=$D/dovecot/home
    rm -f "$home"/carl/Maildir/dovecot.index*
    dovecot_adm expunge -u carl mailbox INBOX uid 1:3
    message carl after | dovecot_adm save -u carl -m INBOX
    while :; do
        truth | sort >"$D/truth"
        model | sort >"$D/model"
        diff <(cut -f1-6,8- "$D/truth" | grep -v '^msg') <(cut -f1-6,8- "$D/model" | grep -v '^msg') >"$D/diff" &&
            diff <(grep '^msg' "$D/truth") <(grep '^msg' "$D/model") >"$D/diff" && break
        if [[ $SECONDS -ge $until ]]; then
            head -n 12 "$D/diff"
            bad "a lost index log"
            exit 1
        fi
        sleep 0.3
    done
    if [[ $(grep -c 'event=feed.full_compare user=carl.*HIGHESTMODSEQ is below' "$D/feed-first.log") -gt $from ]]; then
        ok "an index log was lost: one full comparison, and nothing is"
    else
        bad "no full comparison after the index log was lost"
    fi
    # so that the rest of the suite can compare everything again
    until [[ $(dovecot_adm -f tab mailbox status -u carl highestmodseq INBOX | tail -n 1 | cut -f2) -ge $(grep -P '^box\tcarl\tINBOX\t' "$D/model" | cut -f7) ]]; do
        dovecot_adm flags add -u carl '\Seen' mailbox INBOX all
        dovecot_adm flags remove -u carl '\Seen' mailbox INBOX all
    done
}

# The feed sleeps while an index log is lost, a client turns MODSEQs on, and they climb over the recorded one: nothing in EXAMINE tells of it.
# A message has come and another is gone, so that not even the number of messages has changed.
index_log_that_climbs() {
    local recorded now tries home=$D/dovecot/home
    recorded=$(grep -P '^box\tcarl\tINBOX\t' "$D/model" | cut -f7)
    kill -STOP "$feed"
    rm -f "$home"/carl/Maildir/dovecot.index*
    printf 'a ENABLE QRESYNC\r\nb SELECT INBOX\r\nc LOGOUT\r\n' | dovecot_adm exec imap -u carl >/dev/null
    dovecot_adm expunge -u carl mailbox INBOX uid "$(dovecot_adm -f tab fetch -u carl uid mailbox INBOX | sed -n 2p)"
    message carl climbs | dovecot_adm save -u carl -m INBOX
    for ((tries = 0; tries < 200; tries++)); do
        dovecot_adm flags add -u carl '\Seen' mailbox INBOX 1
        dovecot_adm flags remove -u carl '\Seen' mailbox INBOX 1
        now=$(dovecot_adm -f tab mailbox status -u carl highestmodseq INBOX | tail -n 1 | cut -f2)
        [[ $now -le $recorded ]] || break
    done
    kill -CONT "$feed"
    same "an index log lost, and MODSEQs beyond the recorded one" 30
}

# What all see is nobody's own, and costs no visit at each sweep.
public_namespace() {
    local i visits
    if grep -q '^Public/Notices$' <<<"$(dovecot_adm mailbox list -u anna)"; then
        ok "all of the above with a public mailbox and an excluded one"
    else
        bad "no public mailbox"
    fi
    # Once what is under way has ended, four sweeps in a row (each logs a line) visit nobody.
    for ((i = 0; i < 200; i++)); do
        visits=$(grep -o 'event=feed.status .* visits=[0-9]*' "$D/feed-first.log" | sed 's/.* visits=//' | tail -n 5)
        [[ $(uniq <<<"$visits" | wc -l) -gt 1 ]] || break
        sleep 0.1
    done
    if [[ $i -lt 200 ]]; then ok "at rest nobody is visited because of it"; else bad "users are visited at rest:" $visits; fi
}

hints() {
    stop "$feed"
    SWEEP=1h start_feed hinted
    same "a feed that was away catches up with its first sweep" 30
    message anna hint | dovecot_adm save -u anna -m INBOX
    local from=${EPOCHREALTIME/./}
    "$FAKE" touch "$D/sock" anna
    same "a hint is followed without a sweep" 10
    echo "hint to model took at most $(((${EPOCHREALTIME/./} - from) / 1000)) ms, asking included"
}

lease() {
    LEASE_TTL=3s SWEEP=500ms start_feed second
    local second=$feed i
    for i in {1..60}; do grep -q event=feed.connected "$D/feed-second.log" && break; sleep 0.1; done
    "$FAKE" touch "$D/sock" anna
    message bo lease | dovecot_adm save -u bo -m INBOX
    same "two feeds of one store do not disturb each other" 30
    stop "$second"
    if grep -q 'event=feed.stopped code=0' "$D/feed-second.log"; then ok "SIGTERM ends a feed cleanly"; else bad "SIGTERM"; fi
}

once() {
    stop "$feed"
    message carl once | dovecot_adm save -u carl -m INBOX
    SWEEP=1s config "$D/once.ini" once
    if timeout 60 "$BIN" --once "$D/once.ini" >>"$D/feed-once.log" 2>&1; then ok "--once ends with 0"; else bad "--once: $?"; fi
    FEED_IS_GONE=yes same "what --once leaves behind is complete" 3
}

# doveadm that hangs whenever the user "hang" is named, by -u or in the users file.
hanging_user() {
    cat >"$D/slow-doveadm" <<SH
#!/bin/bash
for word in "\$@"; do
    [[ \$word != hang ]] || exec sleep 1000
    if [[ \$word == /dev/fd/3 ]] && grep -qx hang /dev/fd/3; then exec sleep 1000; fi
done
exec $(command -v doveadm) "\$@"
SH
    chmod 755 "$D/slow-doveadm"
    dovecot_user "$D/dovecot" hang
    message bo hang | dovecot_adm save -u bo -m INBOX
    DOVEADM=$D/slow-doveadm DEADLINE=1s SWEEP=500ms start_feed slow
    sed -i '/^hang$/d' "$DOVECOT_USERS_FILE.truth" 2>/dev/null
    same "a user that hangs costs the others nothing" 30
    local i
    for i in {1..100}; do grep -q 'event=feed.visit_failed user=hang' "$D/feed-slow.log" && break; sleep 0.1; done
    if grep -q 'event=feed.visit_failed user=hang.*killed' "$D/feed-slow.log"; then ok "the user that hangs is killed and named"; else bad "hanging user"; fi
    stop "$feed"
    sed -i '/^hang$/d' "$DOVECOT_USERS_FILE"
    if pgrep -f "sleep 1000" -P 1 >/dev/null; then bad "a killed child left something behind"; fi
}

# Somebody holds bo's index log: who is named, anna's new message comes through meanwhile, and after the lock is gone all is there.
locked_mailbox() {
    local i messages holder
    message bo before | dovecot_adm save -u bo -m INBOX
    "${MQ_FEED_FAKE:-$MQ_BUILD_ASAN}/hold_lock" "$D/dovecot/home"/bo/Maildir/dovecot.index.log >"$D/held" &
    holder=$!
    pids+=("$holder")
    until grep -q held "$D/held"; do sleep 0.05; done
    messages=$(model | grep -c '^msg.anna')
    message anna locked | dovecot_adm save -u anna -m INBOX
    DEADLINE=1s LOCKED_AFTER=2s SWEEP=500ms start_feed locked
    for ((i = 0; i < 300; i++)); do grep -q "event=feed.user_stuck.*user=bo pid=$holder .* old, holds the lock; its command: .*hold_lock" "$D/feed-locked.log" && break; sleep 0.1; done
    if [[ $i -lt 300 ]]; then ok "a locked mailbox: the holder is named"; else grep user_stuck "$D/feed-locked.log"; bad "the holder of a lock is not named"; fi
    for ((i = 0; i < 300; i++)); do [[ $(model | grep -c '^msg.anna') -gt $messages ]] && break; sleep 0.1; done
    if [[ $i -lt 300 ]]; then ok "the others go on"; else bad "the others wait for a locked mailbox"; fi
    kill "$holder"
    wait "$holder" 2>/dev/null
    same "when the lock is gone" 60
    for ((i = 0; i < 100; i++)); do grep -q 'event=feed.user_answers user=bo' "$D/feed-locked.log" && break; sleep 0.1; done
    if [[ $i -lt 100 ]]; then ok "and that it is gone is said"; else bad "still said to be stuck"; fi
    stop "$feed"
}

# logged WHAT PATTERN: the feed's log has such a line within 30 s.
logged() {
    local i
    for ((i = 0; i < 300; i++)); do grep -q "$2" "$D/feed-$FEED_NAME.log" && break; sleep 0.1; done
    if [[ $i -lt 300 ]]; then ok "$1"; else bad "$1: no line like $2"; fi
}

# Dovecot cannot read one of carl's mailboxes: it is not taken for deleted, what is wrong is said, and the others are reported.
unreadable_mailbox() {
    local box="$D/dovecot/home"/carl/Maildir/.Work messages mode FEED_NAME=unreadable
    start_feed unreadable
    same "before a mailbox cannot be read" 30
    mode=$(stat -c %a "$box")
    messages=$(model | grep -c '^msg.carl')
    chmod 000 "$box"
    message carl unreadable | dovecot_adm save -u carl -m INBOX
    logged "a mailbox that cannot be read fails its user's visit, and is named" 'event=feed.visit_failed user=carl .*could be listed.*Work'
    if [[ $(model | grep -c '^msg.carl') -gt $messages ]]; then ok "and what can be read is reported"; else bad "carl's INBOX is not reported"; fi
    chmod "$mode" "$box"
    same "when it can be read again" 60
    stop "$feed"
}

# carl's mail is away, as on a volume that is not mounted: Dovecot makes a new INBOX, and nothing is deleted. Then it is back.
unmounted() {
    local mail="$D/dovecot/home"/carl/Maildir messages FEED_NAME=unmounted
    start_feed unmounted
    same "before the mail is away" 30
    messages=$(model | grep -c '^msg.carl')
    mv "$mail" "$mail.away"
    logged "mail that is not mounted is not taken for deleted" 'event=feed.visit_failed user=carl .*INBOX is gone'
    message carl lost | dovecot_adm save -u carl -m INBOX
    "$FAKE" touch "$D/sock" carl
    logged "it stays so with mail in the new INBOX" 'event=feed.visit_failed user=carl failures=3'
    if [[ $(model | grep -c '^msg.carl') -ge $((messages + 1)) ]]; then ok "what was there is kept, and what is new is reported"; else bad "carl's mail: $(model | grep -c '^msg.carl') of $messages"; fi
    rm -rf "$mail"
    mv "$mail.away" "$mail"
    same "when it is back" 60
    stop "$feed"
}

misbehaving() {
    local round
    stop "$fake"
    start_fake lose_answer=40 lose_question=40 refuse=40 unknown_applied=60 unknown_not=40 resync=10 stale=30 removals=3 too_big=40 seed=$RANDOM
    start_feed faulty
    for round in 1 2 3; do
        random_ops 60
        stop "$feed" KILL
        start_feed faulty
    done
    random_ops 30
    same "a cluster that loses answers, connections and leases, and a feed killed three times" 90
    grep '^#' "$D/dump"
    stop "$feed"
    stop "$fake"
}

unassigned() {
    start_fake assigned=anna
    start_feed partly
    local i
    for i in {1..100}; do grep -q 'event=feed.status sweep=4' "$D/feed-partly.log" && break; sleep 0.1; done
    if [[ $(grep -c 'event=feed.user_unassigned user=bo' "$D/feed-partly.log") -eq 1 ]] && grep -q 'unassigned=4' "$D/feed-partly.log"; then
        ok "users of no shard are named once and counted"
    else
        bad "unassigned users"
    fi
    stop "$feed"
}

mkdir -p "$D/dovecot"
chmod 755 "$D"
DOVECOT_PUBLIC=yes dovecot_start "$D/dovecot" || { bad "Dovecot does not start"; exit 1; }
for user in "${USERS[@]}"; do dovecot_user "$D/dovecot" "$user"; done
echo nobody-here >>"$DOVECOT_USERS_FILE"
for user in "${USERS[@]}"; do
    for box in "${BOXES[@]}"; do dovecot_adm mailbox create -u "$user" "$box" 2>/dev/null; done
done

dovecot_adm mailbox create -u anna Public/Notices
dovecot_adm mailbox create -u anna Virtual/All
message anna virtual | dovecot_adm save -u anna -m Virtual/All
message anna public | dovecot_adm save -u anna -m Public/Notices

config_errors
start_fake
start_feed first
random_ops 100
same "100 random operations" 40
flags_of_thousands
random_ops 60
same "60 more, while pages are under way" 40
lost_index_log
index_log_that_climbs
public_namespace
hints
lease
once
hanging_user
locked_mailbox
unreadable_mailbox
unmounted
misbehaving
unassigned
exit 0
