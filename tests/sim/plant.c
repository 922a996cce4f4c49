/* Faults of our own making, one at a time, to show that the simulator finds each of them. None needs a line of product code: a sync
 * site is made a no-op, or a table (state machine, reads) is used wrongly. (Guards of the engine: tests/unit/raft/test_guard.c.) */
#include <string.h>

#include "tests/sim/world.h"

const struct plant plants[] = {
    {"log-not-synced", "the sync of the log says OK and does nothing"},
    {"checkpoint-not-synced", "the sync of a checkpoint's data says OK and does nothing"},
    {"side-file-not-kept", "the directory of a checkpoint's side file is not synced"},
    {"apply-differs", "one node in a while applies an entry without its contents"},
    {"read-without-round", "a linearizable read does not ask a majority"},
    {"session-ignored", "a retry is not recognised by its session and sequence"},
    {"belief-is-a-vote", "who is believed gone counts as having granted its vote"},
};
const unsigned plants_n = sizeof(plants) / sizeof(plants[0]);

bool planted(const struct world *w, const char *name)
{
    return w->o.plant != NULL && strcmp(w->o.plant, name) == 0;
}

void plant_node(struct sim_node *n)
{
    struct world *w = n->world;
    crash_fs_skip_site(n->fs, planted(w, "log-not-synced")          ? "log.batch"
                              : planted(w, "checkpoint-not-synced") ? "checkpoint.data"
                              : planted(w, "side-file-not-kept")    ? "checkpoint.directory"
                                                                    : NULL);
}
