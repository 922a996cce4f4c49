#!/bin/bash
# every parser: its corpus reaches 90 % of its lines, a planted bug is found within a minute, minutes of fuzzing find nothing
#
# fuzz.sh [MINUTES [JOBS]]: fuzzes each target for so long (default 10), so many at a time (default 2). ONLY=NAME: that target alone.
# MISSED=1: the lines that no input of the corpus runs.
#
# A line of the table is a target of tests/fuzz: what it must cover (FILE, or FILE:FUNCTIONS, a regular expression, where a file does
# more than parse; several with commas), and the bug that is planted in a copy (FILE, and what sed does to it).
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../../.." || exit 1
MINUTES=${1:-10} JOBS=${2:-2} PLANT_SECONDS=60 LEAST=90

TABLE='
admin         | node/admin.c,node/service.c:admit|needed_rights|dispatch|refuse_early|service_receive,node/hint.c:hint_touch|hint_subscribe|note_feed,node/assigner.c:assign_start,node/cluster_config.c:on_set|check|config_set_start,node/events.c:events_start|row_fill,node/operations.c:operations_start|row_fill | node/admin.c | s/(r->rights \& rights_for(a)) == 0/false/
answer        | ctl/cluster_view.c,ctl/feed_view.c,ctl/feed.c,ctl/status.c,ctl/event_list.c,ctl/queue_read.c | ctl/feed_view.c | s/if (s == NULL || s->n_troubles > FEED_TROUBLES_MAX) {/if (s == NULL) {/
apply         | storage/apply.c,storage/apply_dict.c,storage/apply_directory.c,storage/apply_lease.c,storage/apply_message.c,storage/apply_queue.c,storage/apply_queue_item.c,storage/apply_report.c,storage/apply_session.c,storage/apply_setting.c,storage/apply_store.c,storage/apply_tick.c | storage/apply_message.c | s/size += strlen(c->keywords\[i\]) + 1;/size += 65536;/
batch         | proto/batch.c:batch_decode_header|batch_next|walk | proto/batch.c | s/if (batch.size - at < BATCH_ITEM_HEADER_SIZE) {/if (batch.size - at < 8) {/
checkpoint    | storage/checkpoint.c:decode|checkpoint_read | storage/checkpoint.c | s/if (more != size - SIDE_HEAD_BYTES - 8) {/if (more > size) {/
client        | proto/client.c:hello_check|on_.*|frames_read|client_receive|complete | proto/client.c | s/if (r != NULL \&\& r->header.id == h->id/if (r->header.id == h->id/
configuration | raft/engine_configuration.c | raft/engine_configuration.c | s/if (size + 2 > b->size ||/if (/
copy          | raft/copy_fetch.c:take_.*|copy_fetch_receive|copy_fetch_closed|on_begun|on_written|job_ends_here|break_off|resume_reading | raft/copy_fetch.c | s/payload.size <= f->descriptor.size - f->offset \&\&/true \&\&/
copy_source   | raft/copy_source.c | raft/copy_source.c | s/if (m->cluster_id.len != 16 || /if (/
copy_stream   | ctl/copy_stream.c:ask|frames|hung_up|receive_some|run|send_some|take.*|copy_stream_run,ctl/snapshot.c:copy_.* | ctl/copy_stream.c | s/if (m == NULL) {/if (false) {/
feed_config   | node/feed/feed_config.c | node/feed/feed_config.c | s/if (strlen(node) - 5 > 107) {/if (strlen(node) - 5 > 1007) {/
feed_view     | node/feed_table.c | node/feed_table.c | s/strnlen(node, NAME_MAX_BYTES)/strlen(node)/
forward       | node/forward.c | node/forward.c | s/strlen(h->leader) <= NAME_MAX_BYTES \&\&/true \&\&/
founding      | node/founding.c:check_.*|founding_check|founding_shard_options|node_of|name_ok|rank_of | node/founding.c | s/if (node_of(m, s->members\[i\]->node) == NULL ||/if (/
frame         | proto/frame.c:frame_decode|check | proto/frame.c | s/if (b.size < FRAME_HEAD_SIZE + body) {/if (b.size < body) {/
hint          | node/feed/hint_request.c | node/feed/hint_request.c | s/if (size - (size_t)(body - data) < length) {/if (length > HINT_BODY_MAX) {/
identity      | proto/tls_identity.c:tls_identity_parse|tls_identity_format|name_valid|role_parse|skip | proto/tls_identity.c | s/if (size == 0 || size > NAME_MAX_BYTES) {/if (size == 0) {/
imap          | node/feed/imap_parser.c,node/feed/imap_pull.c,node/feed/mailbox_name.c | node/feed/imap_parser.c | s/if (f->keywords_n == IMAP_KEYWORDS_MAX || /if (/
install       | storage/env_pages.c | storage/env_pages.c | s/if (at < upper || at % 2 != 0 || at + NODE_HEAD > c->page_size) {/if (false) {/
listing       | node/feed/listing.c | node/feed/listing.c | s/ \&\& l->columns_n < LISTING_COLUMNS_MAX//
lock_holder   | node/feed/lock_holder.c:parse_lock|lock_holder_next|lock_holder_parse_.* | node/feed/lock_holder.c | s/l->at += \*l->at == .\\n.;/l->at++;/
log           | raft/log_format.c:.*decode.*|.*parse.*|log_head_next|log_head_peek,raft/log_recovery.c | raft/log_format.c | s/if (size > LOG_ENTRY_BYTES_MAX || log_record_size(size) > available) {/if (size > LOG_ENTRY_BYTES_MAX) {/
log_file      | node/feed/log_file.c | node/feed/log_file.c | s/p->head <= LOG_FILE_HEAD_MAX) {/true) {/
maillog       | node/feed/maillog.c | node/feed/maillog.c | s/if (n == 0 || n > POSTQUEUE_ID_MAX) {/if (n == 0) {/
message       | raft/message.c:.*decode.*|.*check.* | raft/message.c | s/return size == f->payload.size;/return true;/
node_view     | node/view.c:view_receive|view_find|view_last,node/observe.c,node/status_view.c:said_by|shard_of|replica_of|add_.*|leader_view|fill|judge|look|answer | node/observe.c | s/own->digest.len == sizeof(r->digest)/own->digest.len != 0/
peer_session  | node/greeting.c:check|greeting_.*,node/peer_session.c | node/greeting.c | s/if (h->cluster_id.len != 16 || /if (/
postqueue     | node/feed/postqueue.c | node/feed/postqueue.c | s/if (p->key_n < POSTQUEUE_KEY_MAX) {/if (true) {/
query         | storage/query.c,storage/query_loss.c,storage/query_mailbox.c,storage/query_queue.c | storage/query.c | s/asked == 0 || asked > QUERY_ROWS_MAX/asked == 0/
queue_ask     | node/feed/queue_ask.c | node/feed/queue_ask.c | s/if (i == NULL || strlen(i->id)/if (strlen(i->id)/
read_round    | raft/shard_read.c:finish.*|confirm|check_round|send_.*|start_round|sender|remember_remote|drop_remotes|shard_receive_.*|ask_leader|expire,raft/host.c:receive_read | raft/shard_read.c | s/return member >= 0 \&\& s->o/return s->o/
record        | storage/record.c:.*decode|read_.*|mailbox_cursor_find,storage/record_queue.c:.*decode|.*read.*,storage/pen.h | storage/record.c | s/if (out_r->cursor_count > SLOTS_MAX) {/if (out_r->cursor_count > 255) {/
record_file   | node/record_file.c | node/record_file.c | s/if (value >= size) {/if (value > size) {/
request       | node/command_check.c,node/request_header.c | node/request_header.c | s/if (r->bad || size > (uint64_t)(r->end - r->at)) {/if (r->bad) {/
revoked       | proto/revoked.c:digit|serial_parse|blank|line_strip|lines_parse|revoked_parse|revoked_has | proto/revoked.c | s/n >= 2 \* SERIAL_BYTES_MAX/n > 2 * SERIAL_BYTES_MAX/
settings      | base/settings.c:.*parse.*|setting_find|settings_defaults|section_seen|on_.*|settings_walk|settings_load | base/settings.c | s/if (list->n >= SETTING_LIST_MAX) {/if (list->n > SETTING_LIST_MAX) {/
snapshot      | ctl/snapshot_file.c:corrupt|fill|next_frame|take_.*|take|scan|snapshot_read | ctl/snapshot_file.c | s/f->payload.size <= r->size - r->offset \&\&/true \&\&/
topology      | ctl/topology.c,ctl/topology_check.c,ctl/topology_founding.c | ctl/topology.c | s/if (t->shards_n == SHARDS_MAX) {/if (t->shards_n == SHARDS_MAX + 9) {/
visit_ask     | node/feed/report.c:place_of|report_cursor|report_judge|report_half,node/feed/visit_ask.c | node/feed/visit_ask.c | s/if (c->mailbox.len != sizeof(guid.bytes) || c->cursor/if (c->cursor/
'

newest() { compgen -c "$1-" | grep -xE "$1-[0-9]+" | sort -t- -k3 -n | tail -n 1; }
cmake --preset fuzz >/dev/null || exit 1
clang=$(sed -n 's/^MQ_CLANG:[A-Z]*=//p' build/fuzz/CMakeCache.txt)
version=$("$clang" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q')
for tool in llvm-cov llvm-profdata; do
    command -v "$tool-$version" >/dev/null || { echo "$tool-$version, which belongs to $clang, is missing: apt-get install llvm-$version"; exit 77; }
done

failed=0 least=100 slowest=0 targets=()
trim() { sed 's/^ *//; s/ *$//' <<<"$1"; }
declare -A COVER PLANT_FILE PLANT
while IFS= read -r line; do
    [[ -n $line ]] || continue
    # The bar parts the columns where blanks stand around it.
    mapfile -t column < <(sed 's/ | /\n/g' <<<"$line")
    name=$(trim "${column[0]}")
    [[ -z ${ONLY:-} || $ONLY == "$name" ]] || continue
    targets+=("$name")
    COVER[$name]=$(trim "${column[1]}") PLANT_FILE[$name]=$(trim "${column[2]}") PLANT[$name]=$(trim "${column[3]}")
done <<<"$TABLE"

# A target that the table does not know proves nothing.
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    [[ -n ${ONLY:-} || -n ${COVER[${name#fuzz_}]:-} ]] || { echo "tests/fuzz/$name.c has no line here"; failed=$((failed + 1)); }
done

# ---- coverage --------------------------------------------------------------------------------------------------------

# percent LCOV SPEC: lines run, of the lines of those functions.
percent() {
    awk -v spec="$2" '
        BEGIN { n = split(spec, part, ","); for (i = 1; i <= n; i++) { at = index(part[i], ":"); file[i] = at ? substr(part[i], 1, at - 1) : part[i]
                                                                         functions[i] = at ? "^(" substr(part[i], at + 1) ")$" : "." } }
        function finish(    line, k, best) {
            for (line in count) {
                best = 0
                for (k = 1; k <= starts; k++) if (start[k] <= line + 0 && (!best || start[k] > start[best])) best = k
                if (best && name[best] ~ wanted) { all++; if (count[line] > 0) hit++ }
            }
            delete count; delete start; delete name; starts = 0
        }
        /^SF:/ { wanted = "^$"; for (i = 1; i <= n; i++) if (length($0) > length(file[i]) && substr($0, length($0) - length(file[i])) == "/" file[i]) wanted = functions[i] }
        /^FN:/ { split(substr($0, 4), f, ","); start[++starts] = f[1] + 0; sub(/.*:/, "", f[2]); name[starts] = f[2] }
        /^DA:/ { split(substr($0, 4), f, ","); count[f[1]] = f[2] }
        /^end_of_record/ { finish() }
        END { if (all) printf "%d %d %d\n", hit, all, 100 * hit / all; else print "0 0 0" }' "$1"
}

coverage() {
    local name got hit all
    cmake --preset fuzz -B build/fuzz-coverage -DCMAKE_C_FLAGS='-fprofile-instr-generate -fcoverage-mapping' >/dev/null &&
        cmake --build build/fuzz-coverage --target fuzzers >"$MQ_TMP/build.log" 2>&1 || { tail "$MQ_TMP/build.log"; failed=$((failed + 1)); return; }
    for name in "${targets[@]}"; do
        LLVM_PROFILE_FILE=$MQ_TMP/$name.raw "build/fuzz-coverage/fuzz_$name" -runs=0 "tests/fuzz/corpus/$name" >"$MQ_TMP/said" 2>&1 ||
            { tail -n 5 "$MQ_TMP/said"; echo "$name: the corpus alone fails"; failed=$((failed + 1)); continue; }
        "llvm-profdata-$version" merge -sparse "$MQ_TMP/$name.raw" -o "$MQ_TMP/$name.profile"
        "llvm-cov-$version" export -format=lcov -instr-profile="$MQ_TMP/$name.profile" "build/fuzz-coverage/fuzz_$name" >"$MQ_TMP/$name.lcov" 2>/dev/null
        read -r hit all got < <(percent "$MQ_TMP/$name.lcov" "${COVER[$name]}")
        echo "$name: the corpus ($(find "tests/fuzz/corpus/$name" -type f | wc -l) files) runs $hit of $all lines of its parser, $got %"
        [[ $all -gt 0 && $got -ge $LEAST ]] || { echo "$name: under $LEAST %"; failed=$((failed + 1)); }
        [[ $got -ge $least ]] || least=$got
        if [[ -n ${MISSED:-} ]]; then
            "llvm-cov-$version" show -instr-profile="$MQ_TMP/$name.profile" "build/fuzz-coverage/fuzz_$name" |
                awk -v files=" $(tr ',' '\n' <<<"${COVER[$name]}" | cut -d: -f1 | paste -sd' ') " '
                    BEGIN { n = split(files, name, " ") }
                    /^\/.*:$/ { on = 0; for (i = 1; i <= n; i++) if (index($0, "/" name[i] ":")) { on = 1; file = name[i] } }
                    on && /^ +[0-9]+\| +0\|/ { print file ": " $0 }'
        fi
    done
}

# ---- planted bugs ------------------------------------------------------------------------------------------------------

# plant NAME: build/fuzz's own commands, for a changed copy of one file, linked before the archive that has the good one.
plant() {
    local name=$1 file=${PLANT_FILE[$1]} compile link
    mkdir -p "$MQ_TMP/plant"
    sed "${PLANT[$name]}" "$file" >"$MQ_TMP/plant/$name.c"
    if cmp -s "$file" "$MQ_TMP/plant/$name.c"; then
        echo "$name: the bug could not be planted, $file has changed"
        return 1
    fi
    compile=$(jq -r --arg file "$PWD/$file" '.[] | select(.file == $file) | .command' build/fuzz/compile_commands.json | head -n 1)
    compile=$(sed "s, -o [^ ]*, -o $MQ_TMP/plant/$name.o,; s, -c [^ ]*, -c $MQ_TMP/plant/$name.c,; s,-Werror,,; s,-fprofile[^ ]*,," <<<"$compile")
    link=$(ninja -C build/fuzz -t commands "fuzz_$name" | tail -n 1 | sed "s,\(fuzz_$name\.c\.o\) ,\1 $MQ_TMP/plant/$name.o ,; s, -o fuzz_$name , -o $MQ_TMP/plant/fuzz_$name ,")
    if ! (cd build/fuzz && eval "$compile" && eval "$link") >"$MQ_TMP/build.log" 2>&1; then
        tail -n 5 "$MQ_TMP/build.log"
        echo "$name: does not build with its bug"
        return 1
    fi
}

plants() {
    local name started
    cmake --build --preset fuzz --target fuzzers >"$MQ_TMP/build.log" 2>&1 || { tail "$MQ_TMP/build.log"; failed=$((failed + 1)); return; }
    for name in "${targets[@]}"; do
        plant "$name" || { failed=$((failed + 1)); continue; }
        started=$SECONDS
        mkdir -p "$MQ_TMP/found"
        if "$MQ_TMP/plant/fuzz_$name" "$MQ_TMP/found" "tests/fuzz/corpus/$name" -max_total_time=$PLANT_SECONDS -seed=$((MQ_SEED % 4294967295)) \
            -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_funcs=0 -artifact_prefix="$MQ_TMP/" >"$MQ_TMP/said" 2>&1; then
            echo "$name: the planted bug was NOT found in $PLANT_SECONDS s: ${PLANT[$name]}"
            failed=$((failed + 1))
        else
            echo "$name: the planted bug was found in $((SECONDS - started)) s: $(grep -oE 'runtime error: .{0,60}|AddressSanitizer: [a-z-]+|event=bug.must what=.*|libFuzzer: [a-z ]+' "$MQ_TMP/said" | head -n 1)"
            [[ $((SECONDS - started)) -le $slowest ]] || slowest=$((SECONDS - started))
        fi
        rm -rf "$MQ_TMP/found"
    done
}

# ---- minutes -----------------------------------------------------------------------------------------------------------

fuzz_one() {
    local name=$1 code
    mkdir -p "$MQ_TMP/new/$name"
    "build/fuzz/fuzz_$name" "$MQ_TMP/new/$name" "tests/fuzz/corpus/$name" -max_total_time=$((MINUTES * 60)) -seed=$((MQ_SEED % 4294967295)) \
        -rss_limit_mb=1024 -timeout=20 -print_final_stats=1 -verbosity=0 -print_funcs=0 -artifact_prefix="$MQ_TMP/finding-$name-" >"$MQ_TMP/fuzz-$name" 2>&1
    code=$?
    echo "$name: $(sed -n 's/stat::number_of_executed_units: *//p' "$MQ_TMP/fuzz-$name") inputs in $MINUTES minutes, $([[ $code -eq 0 ]] && echo no finding || echo FINDING)"
    [[ $code -eq 0 ]] || { touch "$MQ_TMP/finding-$name"; tail -n 20 "$MQ_TMP/fuzz-$name"; for f in "$MQ_TMP/finding-$name-"*; do base64 "$f" | head -n 50; done; }
}

minutes() {
    local name
    [[ $MINUTES -gt 0 ]] || return
    for name in "${targets[@]}"; do
        while [[ $(jobs -rp | wc -l) -ge $JOBS ]]; do wait -n; done
        fuzz_one "$name" &
    done
    wait
}

coverage
plants
minutes
findings=$(find "$MQ_TMP" -maxdepth 1 -name 'finding-*' ! -name 'finding-*-*' | wc -l)
echo "fuzz: ${#targets[@]} parsers; each corpus runs at least $least % of its parser's lines; each planted bug found within $slowest s; $MINUTES minutes each: $findings findings; $failed things did not hold"
[[ $failed -eq 0 && $findings -eq 0 ]]
