#!/bin/bash
# 1,000,000 messages in 2,000 mailboxes from a real Dovecot: time, processor, memory, bytes a record by table, and what 10^9 would cost
#
# scale.sh [MESSAGES [MAILBOXES]]. A private Dovecot (Maildir; the bodies are hard links to those of one mailbox, they are not replicated), ten
# mailboxes a user; three nodes; one mailfeed with default settings, started when Dovecot has indexed everything. What the other site's node
# holds must equal what doveadm says: the count of every mailbox, and every message of five users drawn at random. Fails too when it
# takes over 30 minutes or a node or the feed has over 64 MiB of anonymous memory. MQ_MAIL_TMP: where the mail is, /tmp.
set -uo pipefail
source tests/lib/cluster.sh
source tests/lib/dovecot.sh
source tests/lib/mail_host.sh
source tests/lib/mail_truth.sh
MESSAGES=${1:-1000000} MAILBOXES=${2:-2000}
ROUNDS=${ROUNDS:-3} BOXES_A_USER=10 CHECKED_USERS=5 SECONDS_MAX=1800 MEMORY_KIB_MAX=65536 SEGMENT_MIB=1
USERS=$((MAILBOXES / BOXES_A_USER)) PER_BOX=$((MESSAGES / MAILBOXES))
[[ $USERS -gt 0 && $PER_BOX -gt 0 && $((USERS * BOXES_A_USER * PER_BOX)) -eq $MESSAGES ]] || {
    echo "scale: MAILBOXES must be a multiple of $BOXES_A_USER, and MESSAGES of MAILBOXES"
    exit 2
}
CLUSTER_BIN=$MQ_BUILD/bin
RANDOM=$((${MQ_SEED:-1} % 32768))
feed='' watch='' sampler='' R=$MQ_TMP
end_watchers() {
    local pid
    for pid in $feed $watch $sampler; do kill "$pid" 2>/dev/null; done
}
mail_host_begin mqsc end_watchers
fail() {
    [[ ! -f $R/feed.log ]] || tail -n 8 "$R/feed.log"
    echo "scale: $*"
    exit 1
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
calc() { awk "BEGIN { printf(\"$1\", ($2)) }"; } # FORMAT EXPRESSION

# ---- the mail ---------------------------------------------------------------------------------------------------

# One mailbox with true sizes in the names (as deliveries write them), dates of ten years, flags and keywords.
make_model() {
    local cur=$1/cur i name size flags
    mkdir -p "$cur" "$1/new" "$1/tmp"
    printf '0 $Label1\n1 NonJunk\n' >"$1/dovecot-keywords"
    for ((i = 1; i <= PER_BOX; i++)); do
        printf 'Subject: message %d\n\n%*s\n' "$i" $((RANDOM % 2000)) x >"$cur/x"
        size=$(stat -c %s "$cur/x") flags=''
        [[ $((RANDOM % 20)) -ne 0 ]] || flags+=F
        [[ $((RANDOM % 8)) -ne 0 ]] || flags+=R
        [[ $((RANDOM % 5)) -eq 0 ]] || flags+=S
        [[ $((RANDOM % 10)) -ne 0 ]] || flags+=a
        [[ $((RANDOM % 4)) -ne 0 ]] || flags+=b
        name=$((1500000000 + i * (300000000 / PER_BOX))).M$((100000 + RANDOM * 9))P$((1000 + RANDOM)).mx1
        touch -d "@${name%%.*}" "$cur/x"
        mv "$cur/x" "$cur/$name,S=$size,W=$((size + 3)):2,$flags"
    done
}

make_mail() {
    local u b box model=$HOST/model
    make_model "$model"
    for ((u = 1; u <= USERS; u++)); do
        printf 'u%d:{PLAIN}secret:%s:%s::%s/d/home/u%d::\n' "$u" "$DOVECOT_MAIL_UID" "$DOVECOT_MAIL_GID" "$HOST" "$u" >>"$HOST/d/passwd"
        echo "u$u" >>"$DOVECOT_USERS_FILE"
        for ((b = 0; b < BOXES_A_USER; b++)); do
            box=$HOST/d/home/u$u/Maildir
            [[ $b -eq 0 ]] || box+=/.Folder$b
            mkdir -p "$box"
            cp -al "$model/." "$box/" || return 1
            rm "$box/dovecot-keywords" && cp "$model/dovecot-keywords" "$box/" # Dovecot may write to this one
        done
    done
    [[ $(id -u) -ne 0 ]] || chown -R "$DOVECOT_MAIL_UID:$DOVECOT_MAIL_GID" "$HOST/d/home"
}

# ---- what is measured -------------------------------------------------------------------------------------------

# Seconds of processor: cpu PID own|children|all of one process (children: those that have ended), and of Dovecot with all below it.
cpu() {
    awk -v what="$2" -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); own = $12 + $13; children = $14 + $15
        printf "%.2f", (what == "own" ? own : what == "children" ? children : own + children) / hz }' "/proc/$1/stat" 2>/dev/null
}
cpu_dovecot() {
    local pid master
    master=$(<"$HOST/d/run/master.pid")
    for pid in $master $(dovecot_descendants_ "$master"); do
        cpu "$pid" all
        echo
    done | awk '{ s += $1 } END { printf "%.2f", s }'
}
# Bytes that a process has handed to write calls: of a follower nearly all for log and store. (write_bytes counts whole folios of the page
# cache, ten times as much here, whatever of them the disk gets.)
written_bytes() { awk '$1 == "wchar:" { print $2 }' "/proc/$1/io"; }
# Dovecot's caches of sizes and dates: each round begins without them, as a store does whose mail nobody read by IMAP.
cache_kib() { find "$HOST/d/home" -name dovecot.index.cache -printf '%s\n' | awk '{ s += $1 } END { printf "%d", s / 1024 }'; }
anon_kib() { cat "${@/%//status}" 2>/dev/null | awk '/^RssAnon/ { s += $2 } END { print s + 0 }'; }

# Each half second: anonymous memory of the feed's children together and how many they are, and of Dovecot.
sample_others() {
    local children dovecot
    while sleep 0.5; do
        read -ra children < <(sed 's,[0-9]\+,/proc/&,g' "/proc/$feed/task/$feed/children" 2>/dev/null)
        read -ra dovecot < <(dovecot_descendants_ "$(<"$HOST/d/run/master.pid")" | sed 's,^,/proc/,' | tr '\n' ' ')
        echo "$(anon_kib "${children[@]:-/proc/none}") ${#children[@]} $(anon_kib "${dovecot[@]:-/proc/none}")"
    done >"$R/others"
}

# What the node of the other site holds by its own words: "mailboxes messages".
progress() {
    cluster_ctl -o json --node sh1 --local store list 2>/dev/null |
        jq -r '[.data.stores[]? | select(.store == "store-beijing")][0] | if . == null then "0 0"
            else "\(.mailboxes) \(.messages)" end' 2>/dev/null
}
segments() { # the highest number of a segment in a node's log, from the heads of its files
    local file
    for file in "$CLUSTER_DIR/$1"/data/log/*; do od -An -t u8 -j 48 -N 8 "$file" 2>/dev/null; done | sort -n | tail -n 1 | tr -dc 0-9
}

# ---- the run ----------------------------------------------------------------------------------------------------

start_mail() {
    local from
    dovecot_start "$HOST/d" || fail "Dovecot does not start"
    from=$(now_ms)
    make_mail || fail "the mail was not made"
    echo "mail: $MESSAGES messages, $MAILBOXES mailboxes, $USERS users made in $(($(now_ms) - from)) ms"
    from=$(now_ms)
    dovecot_adm -f tab mailbox status -A 'messages guid uidnext highestmodseq' '*' >"$MQ_TMP/indexed" || fail "Dovecot does not index it"
    echo "Dovecot has indexed it in $(($(now_ms) - from)) ms (not part of what follows)"
}

start_cluster() {
    local from u
    cluster_init "$R" three || fail "no cluster"
    cluster_set sz1 raft "segment_bytes = ${SEGMENT_MIB}MB" # so that its segments can be counted; the others as they come
    # shellcheck disable=SC2086
    cluster_start $CLUSTER_NODES
    cluster_wait 60 home || fail "the cluster does not start"
    from=$(now_ms)
    for ((u = 1; u <= USERS; u++)); do cluster_user "u$u" mail || fail "user u$u"; done
    echo "users assigned in $(($(now_ms) - from)) ms"
    "$CLUSTER_BIN/clusterctl" cert issue host mailhost --ca "$CLUSTER_DIR/ca" --out "$R/host" >"$R/cert.log" 2>&1 || fail "no certificate"
    {
        # shellcheck disable=SC2086
        printf '[feed]\nstore = store-beijing\nsite = beijing\nnodes = %s\n' "$(cluster_address $CLUSTER_NODES)"
        printf '[tls]\nca = %s\ncertificate = %s/host/mailhost.crt\nkey = %s/host/mailhost.key\n' "$CLUSTER_CA" "$R" "$R"
        printf '[dovecot]\nconfig = %s\nusers_file = %s\n' "$DOVECOT_CONF" "$DOVECOT_USERS_FILE"
    } >"$R/feed.conf"
}

# From the feed's start until the other site's node has everything; sets TOOK_MS. A line in progress.out each look.
synchronise() {
    local mailboxes messages started pids=() node
    started=$(now_ms)
    MQ_LOG_TIME=1 "$CLUSTER_BIN/mailfeed" "$R/feed.conf" >"$R/feed.log" 2>&1 </dev/null &
    feed=$!
    for node in $CLUSTER_NODES; do pids+=("$(cluster_pid "$node")"); done
    "$MQ_BUILD/memwatch" --interval 50 "$feed" "${pids[@]}" >"$R/memory.out" &
    watch=$!
    sample_others &
    sampler=$!
    while sleep 0.2; do
        kill -0 "$feed" 2>/dev/null || fail "the feed has ended"
        read -r mailboxes messages < <(progress)
        TOOK_MS=$(($(now_ms) - started))
        echo "$TOOK_MS ${messages:-0}" >>"$R/progress.out"
        [[ ${mailboxes:-0} -ne $MAILBOXES || ${messages:-0} -ne $MESSAGES ]] || break
        [[ $TOOK_MS -lt $((SECONDS_MAX * 1000)) ]] ||
            fail "after $SECONDS_MAX s the other site's node has $mailboxes mailboxes with $messages messages"
    done
}

show_progress() {
    awk -v all="$MESSAGES" '
        $2 > 0 && !first { first = $1 }
        { for (q = 1; q <= 4; q++) if (!t[q] && $2 >= all * q / 4) t[q] = $1 }
        END { printf "  a quarter after %d ms, half %d, three quarters %d, all %d: messages a second in each quarter", t[1], t[2], t[3], t[4]
            for (q = 1; q <= 4; q++) { d = t[q] - (q > 1 ? t[q - 1] : 0); printf(" %s", (d > 0 ? int(all / 4 * 1000 / d) : "-")) }
            print "" }' "$R/progress.out"
}

# Counts of all mailboxes, and every message of some users.
equal() {
    local u chosen=()
    dovecot_adm -f tab mailbox status -A 'messages guid uidnext highestmodseq' '*' |
        awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) c[tolower($i)] = i; next }
            { print $c["username"], $c["guid"], $c["messages"], $c["uidnext"], $c["highestmodseq"] }' | sort >"$MQ_TMP/counts.truth"
    for ((u = 1; u <= USERS; u++)); do
        cluster_ctl -o json --node sh1 --local mailbox list "u$u" |
            jq -r --arg u "u$u" '.data.mailboxes[] | "\($u) \(.guid) \(.messages) \(.uidnext) \(.highestmodseq)"'
    done | sort >"$MQ_TMP/counts.record"
    [[ $(wc -l <"$MQ_TMP/counts.truth") -eq $MAILBOXES ]] || fail "doveadm lists $(wc -l <"$MQ_TMP/counts.truth") mailboxes"
    cmp -s "$MQ_TMP/counts.truth" "$MQ_TMP/counts.record" || {
        diff "$MQ_TMP/counts.truth" "$MQ_TMP/counts.record" | head -n 6
        fail "mailboxes differ"
    }
    read -ra chosen < <(for ((u = 1; u <= USERS; u++)); do echo "$RANDOM u$u"; done | sort -n | head -n "$CHECKED_USERS" | cut -d' ' -f2 | tr '\n' ' ')
    mail_same "$MQ_TMP" 60 sh1 -- "${chosen[@]}" || fail "messages differ"
    echo "equal on sh1: GUID, count, UIDNEXT and HIGHESTMODSEQ of $MAILBOXES mailboxes, and all $MAIL_RECORDS records of ${chosen[*]}"
}

# ---- figures ----------------------------------------------------------------------------------------------------

of() { sed -n "s/.* $2=\([0-9]*\).*/\1/p" <<<" $1"; } # LINE WORD: its number
per() { calc %.1f "$1 / $MESSAGES"; }

# The store of the follower, which is stopped for it.
show_bytes() {
    local file line table t segments
    segments=$(($(segments sz1) - SEGMENTS_BEFORE)) LOG_BYTES=$((segments * SEGMENT_MIB * 1048576))
    echo "log of sz1: $segments segments of $SEGMENT_MIB MiB, $(per $LOG_BYTES) bytes a message with the padding of its batches"
    cluster_stop sz1 || fail "sz1 does not stop"
    for file in "$CLUSTER_DIR"/sz1/data/shards/*/*/data.mdb; do
        "$MQ_BUILD/store_bytes" "${file%/*}" >"$MQ_TMP/bytes.out" || fail "store_bytes $file"
        [[ $(of "$(grep '^table message ' "$MQ_TMP/bytes.out")" rows) -eq 0 ]] || break
    done
    line=$(grep '^file ' "$MQ_TMP/bytes.out")
    USED=$(of "$line" used) FREE=$(of "$line" free) ALLOCATED=$(of "$line" allocated)
    echo "store of sz1, bytes a message: on disk $(per "$ALLOCATED") ($(calc %.0f "$ALLOCATED / 1048576") MiB, of it up to 64 MiB reserved ahead); pages in use $(per "$USED"), free for the next commits $(per "$FREE")"
    while read -r _ table line; do
        t=$(($(of "$line" branch) + $(of "$line" leaf) + $(of "$line" overflow)))
        [[ $t -lt $((USED / 200)) ]] || printf '  table %-10s %9d rows, %6.1f bytes a message: leaf %d, branch %d pages; rows take %d %% of the leaves\n' \
            "$table" "$(of "$line" rows)" "$(per $t)" $(($(of "$line" leaf) / 4096)) $(($(of "$line" branch) / 4096)) "$(of "$line" fill)"
    done < <(grep '^table ' "$MQ_TMP/bytes.out")
    line=$(grep '^message ' "$MQ_TMP/bytes.out")
    echo "  a message row: key $(per "$(of "$line" key)"), fixed fields $(per "$(of "$line" fixed)"), GUID $(per "$(of "$line" guid)"), keywords $(per "$(of "$line" keywords)"), hash $(per "$(of "$line" hash)"), LMDB's node $(per "$(of "$line" node)"), slack of its pages $(per "$(of "$line" slack)"); no index row"
    GUID=$(of "$line" guid) SLACK=$(of "$line" slack)
    cluster_start sz1
    local from
    from=$(now_ms)
    cluster_wait 60 || fail "sz1 does not come back"
    echo "sz1 stopped and started: whole again $(($(now_ms) - from)) ms after the start"
}

show_memory() {
    local name pid kib
    for name in mailfeed $CLUSTER_NODES; do
        pid=$feed
        [[ $name == mailfeed ]] || pid=${PID_OF[$name]}
        kib=$(of "$(grep "^pid=$pid " "$R/memory.out")" most_kib)
        [[ ${kib:-0} -le $most_kib ]] || most_kib=$kib
        [[ $name != mailfeed ]] || FEED_KIB=$kib
        echo "  $name: at most $(calc %.1f "${kib:-0} / 1024") MiB of anonymous memory"
    done
    awk '$1 > c { c = $1; n = $2 } $3 > d { d = $3 }
        END { printf "  the feed'\''s children (doveadm, imap), %d at once: at most %.1f MiB together; Dovecot below its master: at most %.1f MiB\n", n, c / 1024, d / 1024 }' "$R/others"
}

# 10^9 messages by rule of three; what does not grow with them is said so.
show_billion() {
    local rate=$1 store shards
    store=$(calc %.0f "1e9 * $USED / $MESSAGES")
    shards=$(calc %.0f "int($store / (256 * 1073741824)) + 1")
    echo "10^9 messages in $(calc %.0f "1e9 / $PER_BOX") mailboxes, from the figures above (a byte a message is a GB):"
    echo "  disk: 10^9 x $(per "$USED") = $(calc %.0f "$store / 1e9") GB of pages a copy, $(calc %.0f "3 * $store / 1e9") GB in three; of each $(per "$GUID") GB are GUIDs, $(per "$SLACK") GB slack"
    echo "  address space: a shard's map is 256 GiB: $shards shard or more ($(calc %.1f "256 * 1.073741824 * $MESSAGES / $USED") x 10^9 messages a shard at most); its pages are the page cache's, not anonymous memory"
    echo "  anonymous memory: a node keeps nothing for each message: the log's cache (8 MB), waiting entries, 1,024 rows ($((most_kib / 1024)) MiB at most here); pages in use must fit the page cache, or a change costs a read. A feed keeps a row of 88 bytes a mailbox: $(calc %.0f "88e9 / $PER_BOX / 1e6") MB if one had all; at most $FEED_KIB KiB here"
    echo "  first synchronisation: 10^9 / $rate = $(calc %.1f "1e9 / $rate / 3600") h through one feed on this machine; processor: mail hosts $(calc %.1f "$CPU_MAIL * 1e9 / $MESSAGES / 3600") h, leaders $(calc %.1f "$CPU_LEADER * 1e9 / $MESSAGES / 3600") h, a follower $(calc %.1f "$CPU_FOLLOWER * 1e9 / $MESSAGES / 3600") h"
    echo "  log: 10^9 x $(per "$LOG_BYTES") = $(per "$LOG_BYTES") GB written once a copy, cut behind checkpoints; log and store together $(per "$WRITTEN") GB of writes (sz1)"
    echo "  checkpoints: each syncs what changed since the last (64 MB of log or 5 s), not the store"
    echo "  a copy to a new node: $(calc %.0f "$store / 1e9") GB at $(calc %.0f "$SNAPSHOT_BYTES / 1000 / $SNAPSHOT_MS") MB a second (snapshot save: $(calc %.0f "$SNAPSHOT_BYTES / 1e6") MB in $SNAPSHOT_MS ms, from memory) = $(calc %.0f "$store / $SNAPSHOT_BYTES * $SNAPSHOT_MS / 60000") min, or as fast as disk and link are"
    echo "  verify --deep: $VERIFY_MS ms here, from memory = $(calc %.0f "$VERIFY_MS * 1e9 / $MESSAGES / 60000") min"
}

# Round N: a new cluster and a feed from nothing over the same mail; one line of figures goes to rounds.out.
run_round() {
    local n=$1 node leader caches dovecot_before used written feed_own feed_children dovecot_cpu rate
    R=$MQ_TMP/r$n
    find "$HOST/d/home" -name dovecot.index.cache -delete
    start_cluster
    for node in $CLUSTER_NODES; do
        PID_OF[$node]=$(cluster_pid "$node")
        BEFORE[$node]=$(cpu "${PID_OF[$node]}" own) WROTE[$node]=$(written_bytes "${PID_OF[$node]}")
    done
    caches=$(cache_kib) dovecot_before=$(cpu_dovecot) SEGMENTS_BEFORE=$(segments sz1)
    synchronise
    leader=$(cluster_leader mail) || fail "no leader"
    feed_own=$(cpu "$feed" own) feed_children=$(cpu "$feed" children)
    dovecot_cpu=$(calc %.2f "$(cpu_dovecot) - $dovecot_before") rate=$(calc %.0f "$MESSAGES * 1000 / $TOOK_MS")
    echo "round $n: synchronised in $TOOK_MS ms: $rate messages a second; load $(cut -d' ' -f1-3 /proc/loadavg)"
    show_progress
    echo "  processor: mailfeed $feed_own s, its doveadm and imap $feed_children s, Dovecot's services $dovecot_cpu s; Dovecot's caches had $caches KiB before and $(cache_kib) behind it"
    CPU_FOLLOWER=0
    for node in $CLUSTER_NODES; do
        used=$(calc %.2f "$(cpu "${PID_OF[$node]}" own) - ${BEFORE[$node]}") written=$(($(written_bytes "${PID_OF[$node]}") - WROTE[$node]))
        echo "  $node$([[ $node != "$leader" ]] || echo ' (leader)'): $used s, $(per "$(calc %.0f "$used * 1000000")") us a message; handed $(per $written) bytes a message to the kernel, for log, store and peers"
        if [[ $node == "$leader" ]]; then CPU_LEADER=$used; else CPU_FOLLOWER=$(calc %.2f "$used > $CPU_FOLLOWER ? $used : $CPU_FOLLOWER"); fi
        [[ $node != sz1 ]] || WRITTEN=$written
    done
    kill "$sampler" && kill -TERM "$watch"
    wait "$watch"
    sampler='' watch=''
    show_memory
    equal
    kill -TERM "$feed"
    wait "$feed"
    feed=''
    echo "$TOOK_MS $(calc %.2f "$feed_own + $feed_children + $dovecot_cpu") $CPU_LEADER $CPU_FOLLOWER" >>"$MQ_TMP/rounds.out"
}
median() { cut -d' ' -f"$1" "$MQ_TMP/rounds.out" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# What reading all of a store costs, by a copy into a file and by sums made anew.
read_all() {
    local from
    from=$(now_ms)
    cluster_ctl snapshot save "$MQ_TMP/snapshot" --timeout 10m >"$MQ_TMP/save.out" 2>&1 || { cat "$MQ_TMP/save.out"; fail "snapshot save"; }
    SNAPSHOT_MS=$(($(now_ms) - from)) SNAPSHOT_BYTES=$(stat -c %s "$MQ_TMP/snapshot")
    from=$(now_ms)
    cluster_ctl verify --deep --timeout 20m >"$MQ_TMP/verify.out" 2>&1 || { cat "$MQ_TMP/verify.out"; fail "verify --deep"; }
    VERIFY_MS=$(($(now_ms) - from))
}

echo "load before: $(cut -d' ' -f1-3 /proc/loadavg); $(nproc) processors; Dovecot $(dovecot --version)"
declare -A PID_OF BEFORE WROTE
most_kib=0
start_mail
for ((round = 1; round <= ROUNDS; round++)); do
    run_round "$round"
    # shellcheck disable=SC2086
    [[ $round -eq $ROUNDS ]] || { cluster_stop $CLUSTER_NODES && rm -rf "$R"; } || fail "the cluster does not stop"
done
show_bytes
read_all
TOOK_MS=$(median 1) CPU_MAIL=$(median 2) CPU_LEADER=$(median 3) CPU_FOLLOWER=$(median 4)
rate=$(calc %.0f "$MESSAGES * 1000 / $TOOK_MS")
echo "medians of $ROUNDS rounds: $TOOK_MS ms, $rate messages a second; processor: mail host $CPU_MAIL s, leader $CPU_LEADER s, busier follower $CPU_FOLLOWER s"
show_billion "$rate"
[[ $most_kib -lt $MEMORY_KIB_MAX ]] || fail "$((most_kib / 1024)) MiB of anonymous memory"
echo "$MESSAGES messages in $MAILBOXES mailboxes equal on the other site's node $(calc %.1f "$TOOK_MS / 1000") s after the feed's start (median of $ROUNDS, $rate a second): $CPU_MAIL s of processor on the mail host, $CPU_LEADER s leader, $CPU_FOLLOWER s follower; at most $((most_kib / 1024)) MiB anonymous; $(per "$USED") bytes a message in the store (GUID $(per "$GUID"), slack $(per "$SLACK")), $(per "$LOG_BYTES") in the log; 10^9: $(per "$USED") GB a copy, $(calc %.1f "1e9 / $rate / 3600") h through one feed"
