/* Messages in: checked as a whole first (hostile ones are MALFORMED and change nothing), then
 * guarded, then fed.
 *
 * An AppendEntries may be fed in several parts (SPLIT, CONFIRM); each part is a message that the
 * leader might have sent. Once the checks are through there are no refusals: whatever a step
 * returns but OK is fatal. */
#include "raft/engine_internal.h"

#define VOTE_VERSION 2u /* what 0.22 sends; below, a pre-vote can't be told from a vote */

static bool append_valid(const struct engine_message *m)
{
    uint64_t prev = m->append.prev_index;
    uint64_t prev_term = m->append.prev_term;

    if (prev >= ENGINE_INDEX_LIMIT || prev_term > m->term ||
        m->append.commit >= ENGINE_INDEX_LIMIT || m->append.n > ENGINE_ENTRIES_MAX ||
        (prev == 0) != (prev_term == 0) || (m->append.n > 0 && m->append.entries == NULL)) {
        return false;
    }
    if (!engine_entries_valid(m->append.entries, m->append.n, prev_term, m->term)) {
        return false;
    }
    return prev != 0 || m->append.n == 0 || m->append.entries[0].type == ENTRY_CHANGE;
}

static bool message_valid(const struct engine *e, const struct engine_message *m)
{
    if (m->to != e->raft.id || m->from == 0 || m->from == m->to || m->term == 0 ||
        m->term >= ENGINE_INDEX_LIMIT) {
        return false;
    }
    switch (m->kind) {
        case MESSAGE_VOTE:
            return m->version >= VOTE_VERSION && m->vote.candidate == m->from &&
                   m->vote.last_index < ENGINE_INDEX_LIMIT && m->vote.last_term <= m->term &&
                   (m->vote.last_index == 0) == (m->vote.last_term == 0);
        case MESSAGE_VOTE_RESULT:
            return m->version >= VOTE_VERSION;
        case MESSAGE_APPEND:
            return append_valid(m);
        case MESSAGE_APPEND_RESULT:
            return m->append_result.rejected < ENGINE_INDEX_LIMIT &&
                   m->append_result.last_log_index < ENGINE_INDEX_LIMIT;
        case MESSAGE_INSTALL:
            return engine_snapshot_valid(&(struct engine_snapshot){
                       .index = m->install.last_index,
                       .term = m->install.last_term,
                       .configuration_index = m->install.configuration_index,
                       .configuration = m->install.configuration}) &&
                   m->install.last_term <= m->term;
        case MESSAGE_TIMEOUT_NOW:
            return m->timeout_now.last_index < ENGINE_INDEX_LIMIT &&
                   m->timeout_now.last_term <= m->term;
        default:
            return false;
    }
}

static enum status message_run(struct engine *e, const struct engine_message *m,
                               struct raft_message *to, struct engine_step *s)
{
    enum status status;

    to->server_id = m->from;
    to->server_address = ENGINE_PEER_NAME;
    s->event.type = RAFT_RECEIVE;
    s->event.receive.message = to;
    status = engine_step_run(e, s);
    /* There are no refusals here: whatever is not OK has left the engine half way. */
    return status == OK || status == STATUS_NO_MEMORY ? status : STATUS_INTERNAL;
}

static enum status append_run(struct engine *e, const struct engine_message *m, bool older)
{
    struct engine_step step = {.entries = m->append.entries, .older = older};
    struct raft_message to = {.type = RAFT_APPEND_ENTRIES};

    if (m->append.n > 0) {
        enum status status = engine_entries_in(e, m->append.entries, m->append.n);
        if (status != OK) {
            return status;
        }
    }
    to.append_entries = (struct raft_append_entries){
        .version = m->version,
        .term = m->term,
        .prev_log_index = m->append.prev_index,
        .prev_log_term = m->append.prev_term,
        .leader_commit = m->append.commit,
        .entries = m->append.n > 0 ? e->scratch : NULL,
        .n_entries = m->append.n,
    };
    return message_run(e, m, &to, &step); /* it has freed the batch, or report() has */
}

/* F6: tells the library that the change it holds as uncommitted is committed. */
static enum status confirm_run(struct engine *e)
{
    struct engine_step step = {.event = {.type = RAFT_CONFIGURATION}};
    const struct raft_configuration *from = &e->raft.configuration;
    struct raft_configuration *to = &step.event.configuration.conf;

    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        if (raft_configuration_add(to, from->servers[i].id, from->servers[i].address,
                                   from->servers[i].role) != 0) {
            raft_configuration_close(to);
            return STATUS_NO_MEMORY;
        }
    }
    step.event.configuration.index = e->raft.configuration_uncommitted_index;
    return engine_step_run(e, &step);
}

/* Feeds the entries part by part (SPLIT), going on only while the log has taken all of the last
 * part. */
static enum status receive_append(struct engine *e, const struct engine_message *m)
{
    struct engine_message part = *m;
    const struct engine_entry *entries;
    uint32_t rest;

    if (m->term < e->raft.current_term) { /* only to be answered */
        part.append.n = 0;
        part.append.entries = NULL;
        return append_run(e, &part, true);
    }
    guard_prev0(&e->raft, &part);
    entries = part.append.entries;
    rest = part.append.n;
    for (;;) {
        struct engine_message fed;
        enum status status = OK;
        uint32_t n = rest > 0 ? guard_split(entries, rest) : 0;
        part.append.n = n;
        part.append.entries = entries;
        if (guard_confirm(&e->raft, &part)) {
            status = confirm_run(e);
        }
        fed = part;
        guard_commit(&e->raft, &fed);
        if (status == OK) {
            status = append_run(e, &fed, false);
        }
        if (status != OK || n == rest || e->raft.snapshot.installing ||
            guard_term_of(&e->raft, part.append.prev_index + n) != entries[n - 1].term) {
            return status;
        }
        part.append.prev_index += n;
        part.append.prev_term = entries[n - 1].term;
        entries += n;
        rest -= n;
    }
}

static enum status receive_install(struct engine *e, const struct engine_message *m)
{
    struct engine_step step = {.configuration = m->install.configuration,
                               .older = m->term < e->raft.current_term};
    struct raft_message to = {.type = RAFT_INSTALL_SNAPSHOT};
    struct raft_install_snapshot *i = &to.install_snapshot;
    enum status status;

    if (guard_busy(&e->raft)) {
        return OK;
    }
    i->version = m->version;
    i->term = m->term;
    i->last_index = m->install.last_index;
    i->last_term = m->install.last_term;
    i->conf_index = m->install.configuration_index;
    i->data.base = raft_malloc(8); /* what stands there is told by our own copy */
    if (i->data.base == NULL) {
        return STATUS_NO_MEMORY;
    }
    status = engine_configuration_in(engine_block_bytes(m->install.configuration), &i->conf);
    return status == OK ? message_run(e, m, &to, &step) : status;
}

static enum status receive_vote(struct engine *e, const struct engine_message *m)
{
    struct engine_step step = {.older = false};
    struct raft_message to = {.type = RAFT_REQUEST_VOTE};

    to.request_vote = (struct raft_request_vote){
        .version = m->version,
        .term = m->term,
        .candidate_id = m->vote.candidate,
        .last_log_index = m->vote.last_index,
        .last_log_term = m->vote.last_term,
        .disrupt_leader = m->vote.disrupt_leader,
        .pre_vote = m->vote.pre_vote,
    };
    return message_run(e, m, &to, &step);
}

static enum status receive_vote_result(struct engine *e, const struct engine_message *m)
{
    struct engine_step step = {.older = false};
    struct raft_message to = {.type = RAFT_REQUEST_VOTE_RESULT};

    if (guard_voteres(&e->raft)) {
        return OK;
    }
    if (m->vote_result.granted &&
        m->term > e->raft.current_term + (m->vote_result.pre_vote ? 1 : 0)) {
        return STATUS_MALFORMED; /* grants what we never asked for */
    }
    to.request_vote_result = (struct raft_request_vote_result){
        .version = m->version,
        .term = m->term,
        .vote_granted = m->vote_result.granted,
        .pre_vote = m->vote_result.pre_vote,
        .features = m->vote_result.features,
        .capacity = m->vote_result.capacity,
    };
    return message_run(e, m, &to, &step);
}

static enum status receive_append_result(struct engine *e, const struct engine_message *m)
{
    struct engine_step step = {.older = false};
    struct raft_message to = {.type = RAFT_APPEND_ENTRIES_RESULT};

    if (guard_reject(&e->raft, m)) {
        return OK;
    }
    to.append_entries_result = (struct raft_append_entries_result){
        .version = m->version,
        .term = m->term,
        .rejected = m->append_result.rejected,
        .last_log_index = m->append_result.last_log_index,
        .features = m->append_result.features,
        .capacity = m->append_result.capacity,
    };
    return message_run(e, m, &to, &step);
}

static enum status receive_timeout_now(struct engine *e, const struct engine_message *m)
{
    struct engine_step step = {.older = false};
    struct raft_message to = {.type = RAFT_TIMEOUT_NOW};

    if (engine_elects_itself(e)) { /* F2: the next tick will, with a new term */
        return OK;
    }
    to.timeout_now = (struct raft_timeout_now){
        .version = m->version,
        .term = m->term,
        .last_log_index = m->timeout_now.last_index,
        .last_log_term = m->timeout_now.last_term,
    };
    return message_run(e, m, &to, &step);
}

enum status engine_receive(struct engine *e, uint64_t now_ms, const struct engine_message *m)
{
    if (!e->started) {
        return STATUS_CLOSED;
    }
    if (!message_valid(e, m)) {
        return STATUS_MALFORMED;
    }
    if ((m->kind == MESSAGE_APPEND || m->kind == MESSAGE_INSTALL) && e->raft.state == RAFT_LEADER &&
        m->term == e->raft.current_term) {
        /* Two leaders of one term can't be; the library would overwrite its own state. */
        return STATUS_MALFORMED;
    }
    engine_time_set(e, now_ms);
    switch (m->kind) {
        case MESSAGE_VOTE:
            return receive_vote(e, m);
        case MESSAGE_VOTE_RESULT:
            return receive_vote_result(e, m);
        case MESSAGE_APPEND:
            return receive_append(e, m);
        case MESSAGE_APPEND_RESULT:
            return receive_append_result(e, m);
        case MESSAGE_INSTALL:
            return receive_install(e, m);
        case MESSAGE_TIMEOUT_NOW:
            return receive_timeout_now(e, m);
    }
    return STATUS_MALFORMED;
}
