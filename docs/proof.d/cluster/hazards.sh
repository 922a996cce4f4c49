#!/bin/bash
# each hazard of log, checkpoints, copies and identity has a test of its name, which fails when its rule is taken out
#
# The rules of the log (W1-W5) have switches, and their tests run with and without. Every other rule is taken out of a copy of the sources,
# one edit at a time (file, what, by what); the test must pass before and fail after. An edit that finds nothing to change is a failure.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
copy=$MQ_TMP/source build=$MQ_TMP/mutants
shown=0 failed=0
declare -A hazards=()

complain() { echo "$1: $2" && failed=$((failed + 1)); }

# run BINARY TEST: both streams, bounded
run() { (timeout 120 "$@" >"$MQ_TMP/said" 2>&1; exit $?) >/dev/null 2>&1; }

# switched HAZARD BINARY TEST: the test itself runs with and without its rule
switched() {
    if run "$MQ_BUILD/$2" "$3" && grep -q "^ok 1 $3" "$MQ_TMP/said"; then
        shown=$((shown + 1)) hazards[$1]=1
        echo "$1: ${3#*_}" | tr _ ' '
    else
        tail -n 3 "$MQ_TMP/said"
        complain "$1" "$3 fails"
    fi
}

# edit FILE FROM TO: one place of the copy, literally
edit() {
    FROM=$2 TO=$3 perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/ or exit 9' "$copy/$1" && ! cmp -s "$1" "$copy/$1"
}

# without HAZARD BINARY TEST FILE FROM TO
without() {
    local hazard=$1 binary=$2 test=$3 file=$4
    if ! run "$MQ_BUILD/$binary" "$test" || ! grep -q "^ok 1 $test" "$MQ_TMP/said"; then
        tail -n 3 "$MQ_TMP/said"
        complain "$hazard" "$test fails with the rule"
        return
    fi
    if ! edit "$file" "$5" "$6"; then
        complain "$hazard" "$file has not got: $5"
    elif ! nice ninja -C "$build" "$binary" >"$MQ_TMP/build.out" 2>&1; then
        grep -m 3 error: "$MQ_TMP/build.out"
        complain "$hazard" "without its rule $file does not build"
    elif run "$build/$binary" "$test"; then
        complain "$hazard" "$test passes although $file has not got: $5"
    else
        shown=$((shown + 1)) hazards[$hazard]=1
        echo "$hazard: ${test#*_}" | tr _ ' '
        echo "    without it ($file): $(grep -v '^event' "$MQ_TMP/said" | tail -n 1 | cut -c1-150)"
    fi
    cp "$file" "$copy/$file"
}

mkdir -p "$copy"
git ls-files -z | grep -zv '^docs/' | xargs -0 cp --parents -t "$copy" 2>/dev/null
cmake -S "$copy" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug >"$MQ_TMP/build.out" 2>&1 || { tail "$MQ_TMP/build.out"; exit 1; }

for test in $(sed -n 's/^ *RUN(\(W[1-5]_[A-Za-z0-9_]*\));.*/\1/p' tests/unit/raft/test_log_hazards.c); do
    switched "${test%%_*}" test_log_hazards "$test"
done
without W6 test_host W6_a_log_that_ends_below_its_store_is_refused raft/shard_start.c \
    'if (!s->lost && s->applier.applied > last' 'if (false && s->applier.applied > last'
without W6 test_engine W6_a_log_that_does_not_reach_its_snapshot_is_refused raft/engine.c \
    's->start_index > s->snapshot.index + 1 || last < s->snapshot.index' 's->start_index > s->snapshot.index + 1 + (1u << 30)'

k=test_hazards_k
without K0 $k K0_a_start_is_the_pinned_checkpoint_however_much_was_written_since storage/env.c \
    's = write_metas(o->disk, env->file, m);' '(void)write_metas;'
without K0 $k K0_a_start_is_the_pinned_checkpoint_however_much_was_written_since storage/env.c \
    '    *out_pin = p;
    return OK;' '    mdb_txn_reset(p->txn);
    *out_pin = p;
    return OK;'
without K0 $k K0_the_old_pin_stays_until_the_next_side_file_is_durable storage/checkpoint.c \
    '    s->in_flight = c;' '    env_pin_free(s->durable->pin);
    s->durable->pin = NULL;
    s->in_flight = c;'
without K1 test_host_hazards K1_a_snapshot_is_the_durable_checkpoint raft/shard_checkpoint.c \
    '    shard_put_state(s);
    uint64_t cut' '    uint64_t cut'
without K1 test_host_hazards K1_a_checkpoint_that_is_not_durable_is_no_snapshot raft/shard_checkpoint.c \
    'work_finish(struct job *j)
{' 'work_finish(struct job *j)
{
    struct shard_checkpointer *early = container_of(j, struct shard_checkpointer, job);
    struct shard *of = container_of(early, struct shard, checkpointer);
    tell_engine(of, of->applier.applied, of->log_state.term, 1, of->configurations[0].block);'
without K2 test_host_hazards K2_a_copy_goes_on_where_its_connection_broke raft/copy_source.c \
    'bool same = p->shard == s &&' 'bool same = false && p->shard == s &&'
without K2 $k K2_a_copy_that_is_not_what_its_source_said_is_refused storage/copy.c \
    '!digest_equal(sum, i->descriptor.digest)' 'false'
without K3 test_host K3_a_replica_that_the_log_no_longer_reaches_gets_a_copy raft/shard_install.c \
    's->log_state.environment = *environment;' '(void)environment;'
without K3 $k K3_an_environment_is_there_when_it_is_whole_and_not_before storage/copy.c \
    '    *out_i = i;' '    checkpoint_write(i->options.disk, i->directory, &i->descriptor);
    memcpy(i->descriptor.meta.bytes, d->meta.bytes, ENV_META_BYTES);
    checkpoint_write(i->options.disk, i->directory, &i->descriptor);
    *out_i = i;'
without K4 test_host_hazards K4_a_repair_outside_the_log_is_not_taken raft/shard_install.c \
    'if (!installable(s, d)) {' 'if (false && !installable(s, d)) {'

without I1 test_founding I1_a_replaced_disk_never_founds_even_with_another_blank_one node/founding.c \
    'if (g->heard && g->knows_us) {' 'if (false) {'
without I1 test_founding I1_it_waits_while_one_has_not_greeted node/founding.c 'if (missing > 0) {' 'if (false) {'
without I1 test_data_directory I1_founded_born_and_acquainted_are_kept node/data_directory.c \
    'd->acquainted[v] = true;' '(void)v;'
without I2 test_data_directory I2_every_start_is_a_new_life node/data_directory.c 'd->incarnation++;' ''
without I2 test_data_directory I2_a_founded_node_without_its_incarnation_is_refused node/data_directory.c \
    's != STATUS_NOT_FOUND || d->founded' 's != STATUS_NOT_FOUND'
without I4 test_data_directory I4_a_second_process_is_refused node/data_directory.c \
    'flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0' 'false'
without I4 test_data_directory I4_a_plain_copy_is_refused node/data_directory.c '|| !same_lock_file(d, r)' ''
without I4 test_data_directory I4_a_copy_that_got_the_same_inode_is_refused node/data_directory.c \
    'born_ns == d->born_ns;' 'true;'
without I4 test_data_directory I4_another_node_cluster_or_founding_is_refused node/data_directory.c \
    '!uuid_equal(&u, &d->founding)' 'false'

for hazard in W1 W2 W3 W4 W5 W6 K0 K1 K2 K3 I1 I2 I4; do
    [[ -n ${hazards[$hazard]:-} ]] || complain "$hazard" "no test of it shows its rule"
done
echo "${#hazards[@]} hazards, $shown times a test passes with its rule and fails without it; $failed failures"
[[ $failed -eq 0 ]]
