/* The data directory: whose it is, and that nobody else works on it (agreement.md section 8, I1 I2
 * I4).
 *
 *   DATA/lock          held with flock() by the running process
 *   DATA/identity      cluster, founding, node, format, machine, inode and birth of the lock file;
 *                      founded or not; shards that were born here
 *   DATA/incarnation   counter, nonce, nonce before: written durably at every start
 *   DATA/peers         which founders were ever seen as founded (so that a replaced disk is told
 * so)
 *   DATA/log/          raft/log            DATA/shards/<id>/  storage
 *
 * Open is blocking and runs before the loop. Everything it refuses says what to do; message ids
 * are in docs/messages.md. Changes while running go through a job (data_directory_save). */
#ifndef MQ_NODE_DATA_DIRECTORY_H
#define MQ_NODE_DATA_DIRECTORY_H

#include "base/disk.h"
#include "base/error.h"
#include "base/executor.h"
#include "base/identity.h"
#include "base/random.h"
#include "node/record_file.h"

#define DATA_FORMAT 2u /* 2: stores have places, sums and positions */

struct data_save {
    struct job job;
    struct data_directory *owner;
    struct executor *executor;
    struct record_file identity, peers;
    enum status status;
    bool running, again;
};

struct data_directory {
    char path[512], log_path[528];
    struct disk *disk;
    int lock_fd;
    /* whose it is */
    struct uuid cluster, founding;
    node_id node;
    char name[NAME_MAX_BYTES + 1];
    char machine[33]; /* a hash of the machine id */
    uint64_t inode;   /* of the lock file */
    uint64_t born_ns; /* its birth, ns since 1970; 0: this file system doesn't say */
    bool fresh;       /* made by this start */
    /* I1 */
    bool founded;
    bool born[SHARDS_MAX];          /* by shard id; larger ids are never founded here */
    bool acquainted[NODES_MAX + 1]; /* founders seen as founded */
    /* I2 */
    uint64_t incarnation, nonce, previous_nonce;
    struct data_save *save;
    /* Called on the loop when a save is durable, or failed. */
    void (*saved)(void *arg, enum status s);
    void *saved_arg;
};

struct data_directory_options {
    const char *path;
    struct disk *disk;
    struct random *random;
    struct uuid cluster, founding;
    node_id node;
    const char *name;
};

/* message_id gets the id of the refusal. */
enum status data_directory_open(struct data_directory *d, const struct data_directory_options *o,
                                const char **out_message_id, struct error *e);
/* Writes identity and peers durably, in a job; calls saved() after the last change is durable. */
void data_directory_save(struct data_directory *d, struct executor *e);
void data_directory_close(struct data_directory *d);

#endif
