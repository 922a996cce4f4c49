/* What a snapshot is for: each shard of the file becomes a store again, as a node's would, and its digest is computed anew from every
 * stored pair.
 *
 *   snapshot_install FILE DIR     one line a shard: name, index, digest; exit 1 when one does not become a store of that digest */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/snapshot_file.h"
#include "node/replica.h"

static struct {
    const char *directory;
    struct random random;
    struct replica *replica;
    struct sm_install *install;
    struct sm_descriptor descriptor;
    char name[64];
    unsigned shards;
} now;

static enum status on_shard(void *arg, const Mq__SnapshotShard *m)
{
    (void)arg;
    struct replica_options o = {.data = now.directory,
                                .shard = m->shard,
                                .disk = &disk_posix,
                                .random = &now.random,
                                .map_bytes = 1ull << 34,
                                .reserve_bytes = 1 << 20};
    enum status s = replica_new(&o, &now.replica);
    if (s != OK) {
        return s;
    }
    now.descriptor = (struct sm_descriptor){
        .epoch = {m->epoch_number, m->epoch_id, 0},
        .checkpoint = m->checkpoint,
        .index = m->index,
        .term = m->term,
        .configuration = block_copy(m->configuration.data, m->configuration.len),
        .configuration_index = m->configuration_index,
        .size = m->size};
    memcpy(now.descriptor.digest, m->digest.data, sizeof(now.descriptor.digest));
    memcpy(now.descriptor.environment.bytes, m->environment.data, 16);
    snprintf(now.name, sizeof(now.name), "%s", m->name);
    struct state_machine *sm = replica_machine(now.replica);
    return sm->ops->install_begin(sm->self, &now.descriptor, &now.install);
}

static enum status on_data(void *arg, uint64_t offset, struct bytes data, bool last)
{
    (void)arg;
    struct state_machine *sm = replica_machine(now.replica);
    struct uuid environment;
    struct error e = {0};
    enum status s = sm->ops->install_write(now.install, offset, data.data, data.size);
    if (s != OK || !last) {
        return s;
    }
    s = sm->ops->install_commit(now.install, &environment, &e);
    printf("%s index %llu digest ", now.name, (unsigned long long)now.descriptor.index);
    for (size_t i = 0; i < sizeof(now.descriptor.digest); i++) {
        printf("%02x", now.descriptor.digest[i]);
    }
    printf(" %s %s\n", status_name(s), e.text);
    block_unref(now.descriptor.configuration);
    replica_free(now.replica);
    now.shards++;
    return s;
}

int main(int argc, char **argv)
{
    struct snapshot_visitor v = {.shard = on_shard, .data = on_data};
    struct error e = {0};
    uint8_t sum[32];
    if (argc != 3) {
        fprintf(stderr, "usage: snapshot_install FILE DIR\n");
        return 2;
    }
    now.directory = argv[2];
    random_init_system(&now.random);
    if (snapshot_read(argv[1], &v, sum, &e) != OK) {
        fprintf(stderr, "snapshot_install: %s\n", e.text);
        return 1;
    }
    printf("%u shards became stores, every digest as computed anew\n", now.shards);
    return now.shards > 0 ? 0 : 1;
}
