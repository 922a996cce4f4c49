/* One step of the library, and its update in our own terms.
 *
 * Happy path: engine_step_run() -> raft_step() -> messages (through PREVOTE and STALE), state,
 * entries, an install, the commit index (through COMMIT) -> carry_out() -> what the library
 * handed back with the update is freed. Failure: a refusal of the library is a status and
 * changes nothing; no memory for the messages is fatal, as the update can't be told. */
#include <stdlib.h>

#include "base/must.h"
#include "raft/engine_internal.h"

_Static_assert((int)ENTRY_COMMAND == RAFT_COMMAND && (int)ENTRY_BARRIER == RAFT_BARRIER &&
                   (int)ENTRY_CHANGE == RAFT_CHANGE,
               "entry types are passed on as they are");
_Static_assert((int)ENGINE_FOLLOWER == RAFT_FOLLOWER && (int)ENGINE_CANDIDATE == RAFT_CANDIDATE &&
                   (int)ENGINE_LEADER == RAFT_LEADER,
               "states are passed on as they are");
_Static_assert(RAFT_VERSION_MAJOR == 0 && RAFT_VERSION_MINOR == 22,
               "later versions change who owns memory");

static enum status status_from_raft(int rv)
{
    switch (rv) {
        case 0:
            return OK;
        case RAFT_NOMEM:
            return STATUS_NO_MEMORY;
        case RAFT_NOTLEADER:
            return STATUS_NOT_LEADER;
        case RAFT_NOSPACE:
            return STATUS_FULL;
        case RAFT_CANTCHANGE:
        case RAFT_BUSY:
            return STATUS_BUSY;
        case RAFT_BADID:
        case RAFT_NOTFOUND:
            return STATUS_NOT_FOUND;
        default:
            return STATUS_INTERNAL;
    }
}

enum engine_role engine_role_of(const struct engine *e)
{
    return e->started ? (enum engine_role)e->raft.state : ENGINE_STOPPED;
}

uint64_t engine_leader_of(const struct engine *e)
{
    switch (engine_role_of(e)) {
        case ENGINE_LEADER:
            return e->raft.id;
        case ENGINE_FOLLOWER:
            return e->raft.follower_state.current_leader.id;
        default:
            return 0;
    }
}

static void vote_out(const struct raft_request_vote *from, struct engine_message *m)
{
    m->kind = MESSAGE_VOTE;
    m->term = from->term;
    m->version = from->version;
    m->vote.candidate = from->candidate_id;
    m->vote.last_index = from->last_log_index;
    m->vote.last_term = from->last_log_term;
    m->vote.disrupt_leader = from->disrupt_leader;
    m->vote.pre_vote = from->pre_vote;
}

static void vote_result_out(const struct raft_request_vote_result *from, struct engine_message *m)
{
    m->kind = MESSAGE_VOTE_RESULT;
    m->term = from->term;
    m->version = from->version;
    m->vote_result.granted = from->vote_granted;
    m->vote_result.pre_vote = from->pre_vote;
    m->vote_result.features = from->features;
    m->vote_result.capacity = from->capacity;
}

/* The entries pointer is garbage (U8). */
static void append_out(const struct raft_append_entries *from, struct engine_message *m)
{
    m->kind = MESSAGE_APPEND;
    m->term = from->term;
    m->version = from->version;
    m->append.prev_index = from->prev_log_index;
    m->append.prev_term = from->prev_log_term;
    m->append.commit = from->leader_commit;
    m->append.n = from->n_entries;
}

static void append_result_out(const struct raft_append_entries_result *from,
                              struct engine_message *m)
{
    m->kind = MESSAGE_APPEND_RESULT;
    m->term = from->term;
    m->version = from->version;
    m->append_result.rejected = from->rejected;
    m->append_result.last_log_index = from->last_log_index;
    m->append_result.features = from->features;
    m->append_result.capacity = from->capacity;
}

/* Configuration and data are garbage (U8). */
static void install_out(const struct raft_install_snapshot *from, struct block *configuration,
                        struct engine_message *m)
{
    m->kind = MESSAGE_INSTALL;
    m->term = from->term;
    m->version = from->version;
    m->install.last_index = from->last_index;
    m->install.last_term = from->last_term;
    m->install.configuration_index = from->conf_index;
    m->install.configuration = configuration;
}

static void timeout_now_out(const struct raft_timeout_now *from, struct engine_message *m)
{
    m->kind = MESSAGE_TIMEOUT_NOW;
    m->term = from->term;
    m->version = from->version;
    m->timeout_now.last_index = from->last_log_index;
    m->timeout_now.last_term = from->last_log_term;
}

static void message_out(const struct engine *e, const struct raft_message *from, bool older,
                        struct engine_message *m)
{
    *m = (struct engine_message){.from = e->raft.id, .to = from->server_id};
    switch (from->type) {
        case RAFT_REQUEST_VOTE:
            vote_out(&from->request_vote, m);
            break;
        case RAFT_REQUEST_VOTE_RESULT:
            vote_result_out(&from->request_vote_result, m);
            guard_prevote(&e->raft, m);
            break;
        case RAFT_APPEND_ENTRIES:
            append_out(&from->append_entries, m);
            break;
        case RAFT_APPEND_ENTRIES_RESULT:
            append_result_out(&from->append_entries_result, m);
            guard_stale(older, m);
            break;
        case RAFT_INSTALL_SNAPSHOT:
            install_out(&from->install_snapshot, e->snapshot_configuration, m);
            break;
        case RAFT_TIMEOUT_NOW:
            timeout_now_out(&from->timeout_now, m);
            break;
    }
}

static enum status messages_out(struct engine *e, const struct raft_update *from, bool older,
                                struct engine_update *u)
{
    uint32_t n = (from->flags & (RAFT_UPDATE_MESSAGES)) != 0 ? from->messages.n : 0;

    if (n > e->messages_capacity) {
        struct engine_message *grown = realloc(e->messages, n * sizeof(*grown));
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        e->messages = grown;
        e->messages_capacity = n;
    }
    for (uint32_t i = 0; i < n; i++) {
        message_out(e, &from->messages.batch[i], older, &e->messages[i]);
    }
    u->messages = e->messages;
    u->messages_n = n;
    return OK;
}

/* The batch of an update points into our scratch, or is the barrier that the library submits by
 * itself. */
static void entries_out(const struct engine *e, const struct raft_update *from,
                        const struct engine_step *s, struct engine_entry *barrier,
                        struct engine_update *u)
{
    if ((from->flags & (RAFT_UPDATE_ENTRIES)) == 0) {
        return;
    }
    u->entries_changed = true;
    u->entries_first = from->entries.index;
    u->entries_n = from->entries.n;
    if (from->entries.batch == &e->raft.barrier) {
        *barrier = (struct engine_entry){.term = e->raft.barrier.term, .type = ENTRY_BARRIER};
        u->entries = barrier;
        return;
    }
    must(s->entries != NULL && from->entries.batch >= e->scratch &&
         from->entries.batch + from->entries.n <= e->scratch + e->scratch_capacity);
    u->entries = s->entries + (from->entries.batch - e->scratch);
}

static void state_out(struct engine *e, struct engine_update *u)
{
    uint64_t commit = e->commit;

    u->term = e->raft.current_term;
    u->vote = e->raft.voted_for;
    u->term_changed = u->term != e->told_term;
    u->vote_changed = u->vote != e->told_vote;
    u->role = engine_role_of(e);
    u->leader = engine_leader_of(e);
    u->role_changed = u->role != e->told_role || u->leader != e->told_leader;
    if (!e->raft.snapshot.installing) { /* meanwhile it may run ahead of what is there (U10) */
        commit = guard_commit_max(commit, e->raft.commit_index);
    }
    u->commit = commit;
    u->commit_changed = commit != e->commit;
    e->commit = commit;
    e->told_term = u->term;
    e->told_vote = u->vote;
    e->told_role = u->role;
    e->told_leader = u->leader;
}

/* Gives the update to carry_out(), then frees what the library handed back with it. */
static enum status report(struct engine *e, struct raft_update *from, const struct engine_step *s)
{
    struct engine_update u = {.term = 0};
    struct engine_entry barrier;
    enum status status = messages_out(e, from, s->older, &u);

    if (status != OK) {
        return status;
    }
    state_out(e, &u);
    entries_out(e, from, s, &barrier, &u);
    if ((from->flags & (RAFT_UPDATE_SNAPSHOT)) != 0) {
        u.install = true;
        u.snapshot.index = from->snapshot.metadata.index;
        u.snapshot.term = from->snapshot.metadata.term;
        u.snapshot.configuration_index = from->snapshot.metadata.configuration_index;
        u.snapshot.configuration = s->configuration;
    }
    if (u.term_changed || u.vote_changed || u.entries_changed || u.install || u.messages_n > 0 ||
        u.commit_changed || u.role_changed) {
        e->stepping = true;
        e->options.carry_out(e->options.arg, &u);
        e->stepping = false;
    }
    if (u.entries_changed) {
        raft_free(from->entries.batch[0].batch);
    }
    if (u.install) {
        raft_configuration_close(&from->snapshot.metadata.configuration);
        raft_free(from->snapshot.chunk.base);
    }
    return OK;
}

enum status engine_step_run(struct engine *e, struct engine_step *s)
{
    struct raft_update update = {.flags = 0};
    int rv;

    must(!e->stepping);
    s->event.time = e->now;
    rv = raft_step(&e->raft, &s->event, &update);
    return rv != 0 ? status_from_raft(rv) : report(e, &update, s);
}

enum status engine_tell(struct engine *e)
{
    struct engine_step nothing = {.older = false};
    struct raft_update update = {.flags = 0};

    must(!e->stepping);
    return report(e, &update, &nothing);
}

void engine_time_set(struct engine *e, uint64_t now_ms)
{
    if (now_ms > e->now) {
        e->now = now_ms;
    }
}
