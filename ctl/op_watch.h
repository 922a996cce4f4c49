/* What a watch has seen of operations: those that it follows, and how each ended, also between two looks. Pure.
 *
 * A look is: op_watch_begin, op_watch_row for each row that the nodes tell, op_watch_end. An operation that is not told any more while its
 * node answers is lost (the node began anew), also where another one has its number since; so is one whose node is silent for
 * OP_WATCH_SILENT_MS. How a lost one ended nobody knows. */
#ifndef MQ_CTL_OP_WATCH_H
#define MQ_CTL_OP_WATCH_H

#include <jansson.h>

#include "base/identity.h"
#include "ctl/exit_code.h"
#include "proto/api.pb-c.h"

#define OP_ID_SIZE         (NAME_MAX_BYTES + 32)
#define OP_WATCH_MAX       256u
#define OP_WATCH_SILENT_MS 10000u
#define OP_WATCH_SKEW_MS   3000u /* its beginning, worked out at each look, moves less than this */

enum op_state { OP_RUNNING, OP_DONE, OP_FAILED, OP_FORGOTTEN, OP_SILENT, OP_STATES };

struct op_seen {
    char id[OP_ID_SIZE];
    unsigned node; /* place in the fleet */
    enum op_state state;
    enum status outcome; /* of one that is DONE or FAILED */
    bool changed;        /* at this look: it is new, or its state is another */
    uint64_t heard_ms, began_ms;
    json_t *row; /* the caller's, freed by op_watch_deinit; may be NULL */
};

struct op_watch {
    const char *id; /* NULL: every one that runs; borrowed */
    struct op_seen seen[OP_WATCH_MAX];
    unsigned n, left_out; /* left out: not followed for want of room, counted at each look */
};

/* "sh2-3" */
const char *op_id_format(const char *node, const Mq__OperationRow *row, char text[OP_ID_SIZE]);
void op_watch_init(struct op_watch *w, const char *id);
void op_watch_deinit(struct op_watch *w);
void op_watch_begin(struct op_watch *w);
/* NULL: it is not followed. */
struct op_seen *op_watch_row(struct op_watch *w, unsigned place, const char *node,
                             const Mq__OperationRow *row, uint64_t now_ms);
/* answers: by place, who told its rows at this look. */
void op_watch_end(struct op_watch *w, const bool *answers, uint64_t now_ms);
bool op_watch_running(const struct op_watch *w);
/* Of the first that failed; 24 when how one ended is not known; else 0. */
enum exit_code op_watch_code(const struct op_watch *w);

#endif
