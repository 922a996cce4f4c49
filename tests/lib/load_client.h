/* Some connections to a cluster for test programs: proto/client driven by poll(2) on one thread.
 *
 * Happy path: load_init -> loop { load_submit when load_ready; load_turn } -> load_deinit; answers come through the requests' done()
 * from inside load_turn or load_deinit. load_call waits for one answer, turning the loop itself.
 * Failure: a connection that ends completes what it carried (proto/client.h says how) and dials the next node of the list, again and
 * again, waiting a little between; with `fixed` it dials its own node again. load_submit says CLOSED meanwhile. Nothing here retries
 * a request: what to do with refused and unknown is what the tests are about. */
#ifndef MQ_TESTS_LIB_LOAD_CLIENT_H
#define MQ_TESTS_LIB_LOAD_CLIENT_H

#include <netdb.h>

#include "base/error.h"
#include "proto/client.h"
#include "proto/command.pb-c.h"

#define LOAD_LINKS_MAX  64
#define LOAD_NODES_MAX  16
#define LOAD_REDIAL_MS  50
#define LOAD_CONNECT_MS 2000
#define LOAD_HELLO_MS   5000

enum load_link_state { LOAD_DOWN, LOAD_RESOLVING, LOAD_CONNECTING, LOAD_UP };

struct load_link {
    struct client client;
    int fd;
    unsigned node; /* index of the node it is or was connected to */
    enum load_link_state state;
    uint64_t redial_at_ms, connect_by_ms;
    char host[128];
    struct gaicb lookup; /* of host, by a thread: a name that is gone may take long to say so */
    char why[256];       /* it ended the last time */
};

struct load_options {
    const char *nodes; /* "host:port,host:port"; link i begins with node i modulo their number */
    const char *ca, *certificate, *key;
    unsigned links;
    bool fixed; /* a link stays with its node */
};

struct load {
    struct tls_context *tls;
    char nodes[LOAD_NODES_MAX][128];
    unsigned nodes_n;
    struct load_link links[LOAD_LINKS_MAX];
    unsigned links_n;
    bool fixed;
    uint64_t connects_total, losses_total;
};

struct load_answer { /* result must be deinited; zero it before the first use */
    Mq__Outcome outcome;
    enum status status;
    char text[256], leader[NAME_MAX_BYTES + 1];
    uint32_t shard;
    uint64_t index;
    struct buffer result; /* the payload: a Result, QueryResult or AdminResult */
};

enum status load_init(struct load *l, const struct load_options *o, struct error *e);
void load_deinit(struct load *l);
uint64_t load_now_ms(void);
bool load_ready(const struct load *l, unsigned link);
/* As client_submit; CLOSED while the link is down. */
enum status load_submit(struct load *l, unsigned link, struct client_request *r);
/* One turn: dials what is down, writes, waits up to wait_ms for anything, reads, completes what is overdue. */
void load_turn(struct load *l, uint32_t wait_ms);
/* Waits until every link is up; false when that takes longer. */
bool load_wait(struct load *l, uint32_t wait_ms);
/* header: op, user or shard, session; id and deadline are filled in. Waits for the link to come up within the deadline. */
void load_call(struct load *l, unsigned link, const Mq__RequestHeader *header, struct bytes payload,
               uint32_t deadline_ms, struct load_answer *out_a);
/* Packed behind what is in b; NO_MEMORY. */
enum status load_pack(const ProtobufCMessage *m, struct buffer *b);

#endif
