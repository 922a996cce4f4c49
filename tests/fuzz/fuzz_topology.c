/* Any bytes as topology.ini: what clusterctl accepts can be made a founding record, and every node accepts that record. */
#include "ctl/topology.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "ctl/topology_founding.h"
#include "node/founding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(const struct topology *t)
{
    struct random random;
    struct buffer b = {0};
    struct uuid cluster;
    struct error e = {0};
    random_init_seed(&random, 1);
    must(topology_founding(t, &random, 1700000000000, &b, &cluster) == OK);
    Mq__Founding *m = mq__founding__unpack(NULL, b.size, b.data);
    must(m != NULL);
    must(founding_check(m, &e) == OK);
    must(m->n_nodes == t->nodes_n);
    must(m->n_shards == t->shards_n);
    mq__founding__free_unpacked(m, NULL);
    buffer_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct topology *t = NULL;
    struct error e = {0};
    const char *sites[NODES_MAX];
    if (topology_parse("t.ini", (struct bytes){data, size}, &t, &e) != OK) {
        must(strncmp(e.text, "t.ini", 5) == 0);
        must(t == NULL);
        return 0;
    }
    must(topology_sites(t, sites) <= t->nodes_n);
    must(t->warnings_n <= TOPOLOGY_WARNINGS_MAX);
    found(t);
    topology_free(t);
    return 0;
}
