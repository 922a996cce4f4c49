/* Any bytes as a FRAME_RAFT: a decoded message encodes to the same bytes, and engine_receive()
 * of a fresh engine takes it or refuses it. */
#include <stdlib.h>
#include <string.h>

#include "raft/message.h"

static void carry_out(void *arg, const struct engine_update *u)
{
    (void)arg;
    (void)u;
}

/* Asks for votes; with votes to spare it leads. */
static uint64_t promote(struct engine *e, enum engine_role role)
{
    uint64_t now = engine_deadline_ms(e);
    struct engine_message m = {
        .kind = MESSAGE_VOTE_RESULT, .from = 2, .to = 1, .version = 2, .term = engine_term(e) + 1};

    if (role == ENGINE_FOLLOWER) {
        return 2;
    }
    (void)engine_tick(e, now);
    m.vote_result.granted = true;
    m.vote_result.pre_vote = true;
    if (role == ENGINE_LEADER) {
        (void)engine_receive(e, now, &m);
        m.vote_result.pre_vote = false;
        (void)engine_receive(e, now, &m);
    }
    if (engine_role(e) != role) {
        abort();
    }
    return now;
}

static void feed(struct message_in *in, enum engine_role role)
{
    struct engine_configuration c = {.n = 3};
    struct engine_options o = {.replica = 1,
                               .election_timeout_ms = 500,
                               .heartbeat_ms = 50,
                               .inflight_max = 64,
                               .carry_out = carry_out};
    struct engine_entry entries[4] = {{.term = 1, .type = ENTRY_CHANGE},
                                      {.term = 1, .type = ENTRY_COMMAND},
                                      {.term = 2, .type = ENTRY_BARRIER},
                                      {.term = 2, .type = ENTRY_COMMAND}};
    struct engine_start s = {.term = 2, .start_index = 1, .entries = entries, .entries_n = 4};
    struct engine *e;
    uint64_t now;

    for (uint32_t i = 0; i < c.n; i++) {
        c.members[i] =
            (struct engine_member){.replica = i + 1, .node = i + 1, .role = MEMBER_VOTER};
    }
    if (engine_configuration_encode(&c, &entries[0].payload) != OK || engine_new(&o, &e) != OK ||
        engine_start(e, 1, &s) != OK) {
        abort();
    }
    now = promote(e, role);
    in->message.to = 1;
    (void)engine_receive(e, now, &in->message);
    (void)engine_receive(e, now + 1, &in->message);
    (void)engine_tick(e, engine_deadline_ms(e));
    (void)engine_receive(e, now + 5000, &in->message);
    engine_free(e);
    block_unref(entries[0].payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message_envelope env;
    struct message_in in;
    struct block *again;
    struct frame f = {.kind = FRAME_RAFT};
    size_t header = size;

    /* The header's size follows from its own count, so that inputs need no framing. */
    if (size >= MESSAGE_HEADER_SIZE) {
        uint64_t want = MESSAGE_HEADER_SIZE + (uint64_t)get_le32(data + 80) * MESSAGE_ENTRY_SIZE;
        header = want < size ? (size_t)want : size;
    }
    f.header = (struct bytes){data, header};
    f.payload = (struct bytes){data + header, size - header};
    if (message_decode(&f, &env, &in) != OK) {
        return 0;
    }
    if (message_encode(&env, &in.message, &again) != OK || again->size != FRAME_HEAD_SIZE + size ||
        memcmp(again->data + FRAME_HEAD_SIZE, data, size) != 0) {
        abort();
    }
    block_unref(again);
    for (int role = ENGINE_FOLLOWER; role <= ENGINE_LEADER; role++) {
        feed(&in, (enum engine_role)role);
    }
    message_in_deinit(&in);
    return 0;
}
