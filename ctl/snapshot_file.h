/* The file of `clusterctl snapshot save` (proto/snapshot.proto): one consistent checkpoint of every shard, and a check sum over all.
 *
 * Writing: snapshot_writer_open makes FILE.part and locks it (one that a killed save has left is begun again) -> for each shard snapshot_writer_shard, then its pages in order
 * (snapshot_writer_data; what has begun can be taken back) -> snapshot_writer_finish reads it all again, adds the check sum, syncs,
 * and only then it gets its name. Reading: snapshot_read gives head, shards and pages to a visitor as they come, so what a visitor
 * was given counts only if snapshot_read ends with OK. Memory: one frame.
 * Fails: EXISTS (nothing is overwritten), NO_SPACE and other statuses of the disk, CORRUPT for any bytes that were not written so,
 * VERSION for a newer file. */
#ifndef MQ_CTL_SNAPSHOT_FILE_H
#define MQ_CTL_SNAPSHOT_FILE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "proto/snapshot.pb-c.h"

#define SNAPSHOT_VERSION 1u

struct snapshot_writer;
enum status snapshot_writer_open(const char *path, const Mq__SnapshotHead *head,
                                 struct snapshot_writer **out_w, struct error *e);
/* MALFORMED, and nothing is written, for one that snapshot_read would not take. */
enum status snapshot_writer_shard(struct snapshot_writer *w, const Mq__SnapshotShard *shard,
                                  struct error *e);
/* `data`: the frame's own payload; pieces follow each other without a gap, the last one ends the shard. */
enum status snapshot_writer_data(struct snapshot_writer *w, uint64_t offset, struct bytes data,
                                 bool last, struct error *e);
/* Takes the shard back that has begun and not ended. */
enum status snapshot_writer_undo(struct snapshot_writer *w, struct error *e);
enum status snapshot_writer_finish(struct snapshot_writer *w, struct error *e);
/* What is not finished is removed. NULL is ok. */
void snapshot_writer_free(struct snapshot_writer *w);

struct snapshot_visitor { /* each may be NULL; any status but OK ends the reading with it */
    enum status (*head)(void *arg, const Mq__SnapshotHead *head);
    enum status (*shard)(void *arg, const Mq__SnapshotShard *shard);
    enum status (*data)(void *arg, uint64_t offset, struct bytes data, bool last);
    void *arg;
};
enum status snapshot_read(const char *path, const struct snapshot_visitor *v, uint8_t out_sum[32],
                          struct error *e);

#endif
