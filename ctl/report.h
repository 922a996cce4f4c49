/* One loss report in the making; shared by report.c and report_queue.c only. */
#ifndef MQ_CTL_REPORT_H
#define MQ_CTL_REPORT_H

#include "ctl/ctl.h"
#include "ctl/report_proof.h"

struct report {
    struct ctl *c;
    const char *site;
    struct screen *s;
    const Mq__FoundingShard *shard; /* at hand */
    uint64_t now_ms, rows, rows_max;
    uint64_t users, mailboxes, messages, bytes, unreported;
    json_t *json_users, *json_boxes, *json_box; /* json_box: borrowed, the last one */
    struct uuid box_guid;
    char box_user[256];
    /* queues */
    uint64_t queues, queued, queued_bytes, unplaced, unplaced_messages;
    json_t *json_queue, *json_unplaced, *json_queue_windows; /* owned */
    Mq__AdminResult *feeds;                                  /* what feeds say of themselves */
    struct proof_facts facts;
};

/* One more row: is it shown? */
bool report_room(struct report *r);
/* Asks which host stands at which site (the feeds' own words). */
enum status report_feeds(struct report *r, enum exit_code *out_code);
/* The queues of r->shard whose hosts stand at the site. */
enum status report_queues(struct report *r, struct call_answer *a, enum exit_code *out_code);
/* The feed of this host, or of this store (the other one NULL) has been heard of in the last day. */
bool report_feed_heard(const struct report *r, const char *host, const char *store);
/* How many feeds of the site leave out users or queues. */
unsigned report_feeds_troubled(const struct report *r);
/* A window of what counts. */
void report_window(struct report *r, uint64_t window_ms);
/* What was found, as a line and in the data. */
void report_queues_show(struct report *r);

#endif
